use super::*;
use crate::Device;
use crate::testing::{EPOCH, check_identification, effects, errors, slot};
use addr::Width;
use device_model::{
    Effects, GuestError, Level, NANOSECONDS_PER_SECOND as SECOND, Slot, TimerRequest,
};
use proptest::prelude::*;

struct Bench {
    slot: Slot<Device>,
    now: u64,
    last: Effects,
}

impl Bench {
    fn new() -> Self {
        Self {
            slot: slot(Pl031::default()),
            now: 0,
            last: effects(0),
        }
    }

    fn read(&mut self, register: Register) -> u64 {
        self.last = effects(self.now);
        self.slot
            .read(&mut self.last, register.offset(), Width::Word)
            .unwrap()
    }

    fn write(&mut self, register: Register, value: u64) {
        self.last = effects(self.now);
        self.slot
            .write(&mut self.last, register.offset(), Width::Word, value)
            .unwrap();
    }

    fn expire(&mut self) {
        self.last = effects(self.now);
        self.slot.timer_expired(&mut self.last);
    }
}

#[test]
fn the_clock_shows_the_time_of_day() {
    let mut bench = Bench::new();
    assert_eq!(bench.read(Register::Data), EPOCH);
    bench.now = 5 * SECOND - 1;
    assert_eq!(bench.read(Register::Data), EPOCH + 4);
    bench.now = 5 * SECOND;
    assert_eq!(bench.read(Register::Data), EPOCH + 5);
    assert_eq!(bench.read(Register::Control), 1);
    bench.write(Register::Control, 0);
    assert_eq!(bench.read(Register::Control), 1);
}

#[test]
fn the_time_can_be_set_and_wraps() {
    let mut bench = Bench::new();
    bench.write(Register::Load, 0xffff_fffe);
    assert_eq!(bench.read(Register::Load), 0xffff_fffe);
    assert_eq!(bench.read(Register::Data), 0xffff_fffe);
    bench.now = 3 * SECOND;
    assert_eq!(bench.read(Register::Data), 1);
    let mut host = effects(bench.now);
    bench.slot.reset(&mut host);
    assert_eq!(bench.read(Register::Data), 1);
    assert_eq!(bench.read(Register::Load), 0);
}

#[test]
fn a_match_interrupts_at_the_second_and_not_before() {
    let mut bench = Bench::new();
    bench.now = SECOND / 2;
    bench.write(Register::InterruptMask, 1);
    bench.write(Register::Match, EPOCH + 3);
    assert_eq!(bench.last.timer, Some(TimerRequest::Arm(3 * SECOND)));
    bench.now = 3 * SECOND - 1;
    bench.expire();
    assert_eq!(bench.last.timer, Some(TimerRequest::Arm(3 * SECOND)));
    assert_eq!(bench.slot.level(), Level::Low);
    bench.now = 3 * SECOND;
    bench.expire();
    assert_eq!(bench.slot.level(), Level::High);
    assert_eq!(bench.last.timer, None);
    bench.write(Register::InterruptClear, 0);
    assert_eq!(bench.slot.level(), Level::High);
    bench.write(Register::InterruptClear, 1);
    assert_eq!(bench.slot.level(), Level::Low);
    assert_eq!(bench.read(Register::RawInterrupt), 0);
}

#[test]
fn the_guest_sees_the_interrupt_even_if_the_timer_is_late() {
    let mut bench = Bench::new();
    bench.write(Register::Match, EPOCH + 1);
    bench.now = SECOND;
    assert_eq!(bench.read(Register::RawInterrupt), 1);
    assert_eq!(bench.read(Register::MaskedInterrupt), 0);
    bench.write(Register::InterruptMask, 0xffff_ffff);
    assert_eq!(bench.read(Register::InterruptMask), 1);
    assert_eq!(bench.slot.level(), Level::High);
}

#[test]
fn a_match_with_the_current_second_interrupts_at_once() {
    let mut bench = Bench::new();
    bench.write(Register::Match, EPOCH);
    assert_eq!(bench.read(Register::RawInterrupt), 1);
    bench.write(Register::InterruptClear, 1);
    bench.write(Register::Load, EPOCH - 10);
    assert_eq!(bench.last.timer, Some(TimerRequest::Arm(10 * SECOND)));
}

#[test]
fn a_match_in_the_past_waits_for_the_wrap() {
    let mut bench = Bench::new();
    bench.write(Register::Match, EPOCH - 1);
    let ahead = (1_u64 << 32) - 1;
    assert_eq!(bench.last.timer, Some(TimerRequest::Arm(ahead * SECOND)));
}

#[test]
fn reset_cancels_the_alarm() {
    let mut bench = Bench::new();
    bench.write(Register::InterruptMask, 1);
    bench.write(Register::Match, EPOCH);
    assert_eq!(bench.slot.level(), Level::High);
    let mut host = effects(0);
    bench.slot.reset(&mut host);
    assert_eq!(host.timer, Some(TimerRequest::Cancel));
    assert_eq!(bench.slot.level(), Level::Low);
}

#[test]
fn identification_is_the_manuals_and_cannot_be_written() {
    let ids = [0x31, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1];
    check_identification(&mut slot(Pl031::default()), ids);
}

#[test]
fn b5_wrong_directions_and_unknown_offsets_are_counted() {
    let mut bench = Bench::new();
    for register in [
        Register::Data,
        Register::RawInterrupt,
        Register::MaskedInterrupt,
    ] {
        let before = bench.read(register);
        bench.write(register, 0xffff_ffff);
        assert_eq!(errors(&bench.last), [GuestError::ReadOnly]);
        assert_eq!(bench.read(register), before);
    }
    assert_eq!(bench.read(Register::InterruptClear), 0);
    assert_eq!(errors(&bench.last), [GuestError::WriteOnly]);
    let mut host = effects(0);
    assert_eq!(bench.slot.read(&mut host, 0x20, Width::Word), Ok(0));
    assert_eq!(errors(&host), [GuestError::UnknownOffset]);
}

#[test]
fn a_paused_alarm_goes_off_when_the_clock_goes_on() {
    let mut bench = Bench::new();
    bench.write(Register::InterruptMask, 1);
    bench.write(Register::Match, EPOCH + 3);
    let mut host = effects(0);
    bench.slot.pause(&mut host).unwrap();
    assert_eq!(host.timer, Some(TimerRequest::Cancel));
    let mut copy = bench.slot.clone();
    let mut host = effects(SECOND);
    copy.resume(&mut host).unwrap();
    assert_eq!(host.timer, Some(TimerRequest::Arm(3 * SECOND)));
    let mut host = effects(4 * SECOND);
    bench.slot.resume(&mut host).unwrap();
    assert_eq!(bench.slot.level(), Level::High);
}

proptest! {
    #[test]
    fn any_stream_keeps_line_and_alarm_in_step(
        steps in proptest::collection::vec(
            (
                proptest::sample::select(Register::ALL.to_vec()),
                prop_oneof![(EPOCH - 5)..(EPOCH + 50), 0..4_u64, any::<u64>()],
                0..3 * SECOND,
                any::<bool>(),
            ),
            1..100,
        ),
    ) {
        let mut bench = Bench::new();
        let mut timer = None;
        for (register, value, pause, write) in steps {
            bench.now += pause;
            if timer.is_some_and(|deadline| deadline <= bench.now) {
                timer = None;
                bench.expire();
            }
            if write {
                bench.write(register, value);
            } else {
                let _ = bench.read(register);
            }
            match bench.last.timer {
                Some(TimerRequest::Arm(deadline)) => timer = Some(deadline),
                Some(TimerRequest::Cancel) => timer = None,
                None => {}
            }
            let masked = bench.read(Register::MaskedInterrupt);
            let raw = bench.read(Register::RawInterrupt);
            prop_assert_eq!(masked, raw & bench.read(Register::InterruptMask));
            prop_assert_eq!(bench.slot.level(), Level::from(masked != 0));
            let Device::Pl031(clock) = bench.slot.device() else {
                panic!("no clock");
            };
            if let Some(alarm) = clock.state().alarm {
                prop_assert_eq!(timer, Some(alarm - EPOCH * SECOND));
                let shown = (alarm / SECOND) as u32;
                prop_assert_eq!(
                    shown.wrapping_add(clock.state().offset),
                    clock.state().matching
                );
            }
        }
    }
}
