use super::*;
use crate::testing::EPOCH;
use addr::Width;
use device_model::property::{Properties, Property, Value};
use device_model::{
    Effects, GuestError, GuestEvent, Host, Level, LineUpdate, Moment, Signal, Slot, TimeBase,
};
use proptest::prelude::*;
use std::vec::Vec;

/// What a PC's board gives a device: lines, pulses and messages.
struct Board {
    effects: Effects,
    lines: Vec<(u8, Level)>,
    signals: Vec<Signal>,
    deadline: Option<u64>,
}

impl Host for Board {
    fn set_line(&mut self, update: LineUpdate) {
        self.lines.push((update.line, update.level));
    }

    fn signal(&mut self, signal: Signal) {
        self.signals.push(signal);
    }

    fn transmit(&mut self, _: u8) {}

    fn transmit_room(&self) -> usize {
        0
    }

    fn request_work(&mut self) {}

    fn input_wanted(&mut self) {}

    fn now(&self) -> u64 {
        self.effects.now()
    }

    fn wall_clock(&self) -> u64 {
        self.effects.wall_clock()
    }

    fn arm_timer(&mut self, deadline: u64) {
        self.deadline = Some(deadline);
    }

    fn cancel_timer(&mut self) {
        self.deadline = None;
    }

    fn guest_error(&mut self, error: GuestError, offset: u64) {
        self.effects.guest_error(error, offset);
    }

    fn guest_event(&mut self, _: GuestEvent) {}
}

struct Bench {
    slot: Slot<Hpet>,
    board: Board,
}

const TICK: u64 = 10;
const CONFIG: u64 = 0x10;
const STATUS: u64 = 0x20;
const COUNTER: u64 = 0xf0;
const LEVEL: u64 = 1 << 1;
const ENABLE: u64 = 1 << 2;
const PERIODIC: u64 = 1 << 3;
const SET: u64 = 1 << 6;
const NARROW: u64 = 1 << 8;
const FSB: u64 = 1 << 14;

const fn timer(index: u64) -> u64 {
    0x100 + index * 0x20
}

const fn route(line: u64) -> u64 {
    line << 9
}

impl Bench {
    fn new() -> Self {
        Self::with(Config {
            timers: 32,
            ..Config::default()
        })
    }

    fn with(config: Config) -> Self {
        let base = TimeBase {
            frequency: 1_000_000_000,
            epoch: EPOCH,
        };
        Self {
            slot: Slot::new(Hpet::new(config)),
            board: Board {
                effects: Effects::new(Moment { ticks: 0, base }),
                lines: Vec::new(),
                signals: Vec::new(),
                deadline: None,
            },
        }
    }

    fn read(&mut self, offset: u64) -> u64 {
        self.slot
            .read(&mut self.board, offset, Width::Double)
            .unwrap()
    }

    fn write(&mut self, offset: u64, value: u64) {
        self.slot
            .write(&mut self.board, offset, Width::Double, value)
            .unwrap();
    }

    fn read_word(&mut self, offset: u64) -> u64 {
        self.slot
            .read(&mut self.board, offset, Width::Word)
            .unwrap()
    }

    fn write_word(&mut self, offset: u64, value: u64) {
        self.slot
            .write(&mut self.board, offset, Width::Word, value)
            .unwrap();
    }

    /// Goes to a time in ticks and calls the device as a board does.
    fn go(&mut self, ticks: u64) {
        let end = ticks * TICK;
        while let Some(deadline) = self.board.deadline.filter(|deadline| *deadline <= end) {
            self.board.effects.moment.ticks = deadline.max(self.board.now());
            self.board.deadline = None;
            self.slot.timer_expired(&mut self.board);
        }
        self.board.effects.moment.ticks = end;
    }

    fn pulses(&mut self) -> Vec<u8> {
        let signals = core::mem::take(&mut self.board.signals);
        let line = |signal| match signal {
            Signal::Pulse(line) => line,
            Signal::Message { .. } => panic!("a message"),
        };
        signals.into_iter().map(line).collect()
    }
}

#[test]
fn capabilities_are_the_configurations() {
    let mut bench = Bench::with(Config {
        timers: 5,
        period: 69_841_279,
        routes: 0x4,
    });
    let id = 0x0429_b17f_8086_a401;
    assert_eq!(bench.read(0), id);
    assert_eq!(bench.read_word(0), id & 0xffff_ffff);
    assert_eq!(bench.read_word(4), id >> 32);
    assert_eq!(bench.read(timer(4)), 0x4_0000_8030);
    bench.write(0, !0);
    assert_eq!(bench.read(0), id);
    // There is no sixth timer.
    assert_eq!(bench.read(timer(5)), 0);
    bench.write(timer(5) + 8, 1);
    assert_eq!(bench.read(timer(5) + 8), 0);
}

#[test]
fn the_counter_runs_only_while_it_is_enabled() {
    let mut bench = Bench::new();
    bench.go(100);
    assert_eq!(bench.read(COUNTER), 0);
    bench.write(COUNTER, 0xffff_fff0);
    bench.write(CONFIG, 1);
    bench.go(150);
    assert_eq!(bench.read(COUNTER), 0x1_0000_0022);
    assert_eq!(bench.read_word(COUNTER), 0x22);
    assert_eq!(bench.read_word(COUNTER + 4), 1);
    // While it runs, it can't be set.
    bench.write(COUNTER, 7);
    assert_eq!(bench.read(COUNTER), 0x1_0000_0022);
    bench.write(CONFIG, 0);
    bench.go(200);
    assert_eq!(bench.read(COUNTER), 0x1_0000_0022);
    bench.write_word(COUNTER, 5);
    assert_eq!(bench.read(COUNTER), 0x1_0000_0005);
}

#[test]
fn a_one_shot_timer_pulses_once_at_its_time() {
    let mut bench = Bench::new();
    bench.write(timer(2), ENABLE | route(20));
    bench.write(timer(2) + 8, 5_000);
    bench.write(CONFIG, 1);
    assert_eq!(bench.board.deadline, Some(50_000));
    bench.go(4_999);
    assert_eq!(bench.pulses(), []);
    bench.go(5_000);
    assert_eq!(bench.pulses(), [20]);
    bench.go(1_000_000);
    assert_eq!(bench.pulses(), []);
    assert_eq!(bench.read(STATUS), 0);
}

#[test]
fn a_periodic_timer_pulses_every_period() {
    let mut bench = Bench::new();
    bench.write(timer(31), ENABLE | PERIODIC | SET | route(16));
    // The first write sets accumulator and period, the second the period.
    bench.write(timer(31) + 8, 3_000);
    bench.write(timer(31) + 8, 2_000);
    bench.write(CONFIG, 1);
    for (at, expected) in [(2_999, 0), (3_000, 1), (4_999, 0), (5_000, 1), (9_000, 2)] {
        bench.go(at);
        assert_eq!(bench.pulses().len(), expected, "{at}");
    }
    assert_eq!(bench.read(timer(31) + 8), 11_000);
}

#[test]
fn a_level_stays_until_its_status_is_cleared() {
    let mut bench = Bench::new();
    bench.write(timer(1), ENABLE | LEVEL | route(23));
    bench.write(timer(1) + 8, 1_000);
    bench.write(CONFIG, 1);
    bench.go(1_000);
    assert_eq!(bench.board.lines, [(23, Level::High)]);
    assert_eq!(bench.read(STATUS), 2);
    bench.write(STATUS, 1);
    assert_eq!(bench.read(STATUS), 2);
    // Without the timers' enable, nothing is asserted.
    bench.write(CONFIG, 0);
    assert_eq!(bench.board.lines[1..], [(23, Level::Low)]);
    bench.write(CONFIG, 1);
    assert_eq!(bench.board.lines[2..], [(23, Level::High)]);
    bench.write_word(STATUS, 2);
    assert_eq!(bench.board.lines[3..], [(23, Level::Low)]);
    assert_eq!(bench.read(STATUS), 0);
}

#[test]
fn two_timers_share_a_line() {
    let mut bench = Bench::new();
    for index in [3, 4] {
        bench.write(timer(index), ENABLE | LEVEL | route(17));
        bench.write(timer(index) + 8, 1_000 * index);
    }
    bench.write(CONFIG, 1);
    bench.go(4_000);
    assert_eq!(bench.read(STATUS), 0x18);
    bench.write(STATUS, 0x8);
    assert_eq!(bench.board.lines, [(17, Level::High)]);
    bench.write(STATUS, 0x10);
    assert_eq!(bench.board.lines, [(17, Level::High), (17, Level::Low)]);
}

#[test]
fn legacy_replacement_takes_the_lines_of_pit_and_rtc() {
    let mut bench = Bench::new();
    for index in 0..3 {
        bench.write(timer(index), ENABLE | route(18));
        bench.write(timer(index) + 8, 2_000 + 2_000 * index);
    }
    bench.write(CONFIG, 3);
    bench.go(10_000);
    assert_eq!(bench.pulses(), [2, 8, 18]);
}

#[test]
fn the_front_side_bus_carries_messages() {
    let mut bench = Bench::new();
    bench.write(timer(0) + 0x10, 0xfee0_1000_0000_4031);
    bench.write(timer(0), ENABLE | LEVEL | FSB);
    bench.write(timer(0) + 8, 1_000);
    bench.write(CONFIG, 1);
    bench.go(2_000);
    let message = Signal::Message {
        address: 0xfee0_1000,
        data: 0x4031,
    };
    assert_eq!(bench.board.signals, [message]);
    assert!(bench.board.lines.is_empty());
    assert_eq!(bench.read(STATUS), 0);
}

#[test]
fn in_32_bit_mode_the_low_half_counts() {
    let mut bench = Bench::new();
    bench.write(COUNTER, 0x5_ffff_ff00);
    bench.write(timer(0), ENABLE | NARROW | route(16));
    bench.write(timer(0) + 8, 0x7_0000_0100);
    assert_eq!(bench.read(timer(0) + 8), 0x100);
    bench.write(CONFIG, 1);
    bench.go(0x1ff);
    assert_eq!(bench.pulses(), []);
    bench.go(0x10_000);
    assert_eq!(bench.pulses(), [16]);
    // It matches again when the low half comes round.
    bench.go(0x1_0000_0200 + 1_000);
    assert_eq!(bench.pulses(), [16]);
}

#[test]
fn a_comparator_begins_with_all_bits_set() {
    let mut bench = Bench::new();
    assert_eq!(bench.read(timer(2) + 8), u64::MAX);
    bench.write(timer(2) + 8, 7);
    bench.slot.reset(&mut bench.board);
    assert_eq!(bench.read(timer(2) + 8), u64::MAX);
}

#[test]
fn in_32_bit_mode_a_comparator_has_no_high_half_to_write() {
    let mut bench = Bench::new();
    bench.write(timer(2), PERIODIC | SET | NARROW | route(16));
    bench.write_word(timer(2) + 12, 1);
    // That was no write of the comparator: the next one still sets the accumulator.
    bench.write_word(timer(2) + 8, 5);
    assert_eq!(bench.read(timer(2) + 8), 5);
}

#[test]
fn a_timer_without_its_enable_sets_its_status_only() {
    let mut bench = Bench::new();
    bench.write(timer(0), LEVEL);
    bench.write(timer(0) + 8, 1_000);
    bench.write(timer(1) + 8, 1_000);
    bench.write(CONFIG, 1);
    assert_eq!(bench.board.deadline, None);
    bench.go(1_000);
    assert_eq!(bench.read(STATUS), 1);
    assert!(bench.board.lines.is_empty());
    assert!(bench.board.signals.is_empty());
}

#[test]
fn a_route_that_does_not_exist_is_not_taken() {
    let mut bench = Bench::new();
    bench.write(timer(0), ENABLE | route(20));
    bench.write(timer(0), ENABLE | LEVEL | route(5));
    assert_eq!(
        bench.read(timer(0)) & 0x7fff,
        ENABLE | LEVEL | route(20) | 0x30
    );
    let error = bench.board.effects.errors.first().unwrap().error;
    assert_eq!(error, GuestError::Unimplemented);
}

#[test]
fn i2_a_period_of_one_tick_keeps_nobody_busy() {
    let mut bench = Bench::new();
    for index in 0..32 {
        bench.write(timer(index), ENABLE | PERIODIC | SET | route(16));
        bench.write(timer(index) + 8, 1);
    }
    bench.write(CONFIG, 1);
    // A second has 100 million periods of each.
    bench.go(100_000_000);
    let calls = 1_000_000_000 / MIN_INTERVAL;
    assert_eq!(bench.pulses().len() as u64, 32 * calls);
    assert_eq!(bench.read(timer(7) + 8), 100_000_001);
}

#[test]
fn the_counter_stands_still_during_a_pause() {
    let mut bench = Bench::new();
    bench.write(timer(0), ENABLE | route(16));
    bench.write(timer(0) + 8, 5_000);
    bench.write(CONFIG, 1);
    bench.go(3_000);
    bench.slot.pause(&mut bench.board).unwrap();
    assert_eq!(bench.board.deadline, None);
    bench.go(10_000);
    bench.slot.resume(&mut bench.board).unwrap();
    assert_eq!(bench.read(COUNTER), 3_000);
    assert_eq!(bench.board.deadline, Some(12_000 * TICK));
    bench.go(12_000);
    assert_eq!(bench.pulses(), [16]);
}

#[test]
fn b1_b2_b5_odd_accesses_do_nothing() {
    let mut bench = Bench::new();
    for (offset, width) in [
        (0xf0, Width::Byte),
        (0xf0, Width::Half),
        (0xf4, Width::Double),
        (0xf2, Width::Word),
    ] {
        assert!(bench.slot.read(&mut bench.board, offset, width).is_err());
    }
    for offset in [0x08, 0x18, 0x28, 0xe8, 0xf8, 0x118, 0x500, 0xff8] {
        assert_eq!(bench.read(offset), 0);
        bench.write(offset, !0);
        assert_eq!(bench.read(offset), 0);
    }
}

#[test]
fn the_configuration_can_be_described() {
    let set = |name, number| {
        Config::from_properties(&[Property {
            name,
            value: Value::Number(number),
        }])
    };
    assert_eq!(set("timers", 32).map(|config| config.timers), Ok(32));
    assert!(set("timers", 2).is_err());
    assert!(set("timers", 33).is_err());
    assert!(set("period", 100_000_001).is_err());
}

proptest! {
    #[test]
    fn timers_agree_with_a_model_that_goes_tick_by_tick(
        periodic in any::<bool>(),
        narrow in any::<bool>(),
        start in 0..200_u64,
        first in 0..400_u64,
        period in 1..100_u64,
        length in 1..600_u64,
        high in any::<bool>(),
    ) {
        // Near the end of 32 bits, or at 0.
        let start = if high { 0xffff_ff80 + start } else { start };
        let width = if narrow { 0xffff_ffff } else { u64::MAX };
        let mut timer = Timer::default();
        let config = TimerConfig::default().with_periodic(periodic).with_narrow(narrow);
        timer.set_config(config.bits() | SET, !0);
        let comparator = (start + first) & width;
        timer.set_comparator(comparator, !0);
        timer.config = timer.config.with_set_accumulator(false);
        timer.set_comparator(if periodic { period } else { comparator }, !0);
        let mut expected = comparator;
        let mut matches = 0;
        for counter in start + 1..=start + length {
            if counter & width == expected {
                matches += 1;
                if periodic {
                    expected = (expected + period) & width;
                }
            }
        }
        let reached = timer.advance(start, length) == timer::Match::Reached;
        prop_assert_eq!(reached, matches > 0);
        prop_assert_eq!(timer.comparator, expected);
    }
}
