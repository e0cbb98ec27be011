use super::*;
use crate::Device;
use crate::testing::{check_identification, effects, errors, slot};
use addr::Width;
use device_model::property::{Properties, Property, Value};
use device_model::{Effects, GuestError, Level, Slot, TimerRequest};
use proptest::prelude::*;
use std::string::ToString;

struct Bench {
    slot: Slot<Device>,
    last: Effects,
}

impl Bench {
    fn new() -> Self {
        Self {
            slot: slot(Pl061::default()),
            last: effects(0),
        }
    }

    fn read_at(&mut self, offset: u64) -> u64 {
        self.last = effects(0);
        self.slot.read(&mut self.last, offset, Width::Word).unwrap()
    }

    fn write_at(&mut self, offset: u64, value: u64) {
        self.last = effects(0);
        self.slot
            .write(&mut self.last, offset, Width::Word, value)
            .unwrap();
    }

    fn read(&mut self, register: Register) -> u64 {
        self.read_at(register.offset())
    }

    fn write(&mut self, register: Register, value: u64) {
        self.write_at(register.offset(), value);
    }

    fn with<R>(&mut self, now: u64, change: impl FnOnce(&mut Pl061, &mut Effects) -> R) -> R {
        self.last = effects(now);
        self.slot.poke(&mut self.last, |device, host| match device {
            Device::Pl061(gpio) => change(gpio, host),
            _ => panic!("no GPIO"),
        })
    }

    fn drive(&mut self, pin: u8, level: Level) {
        self.with(0, |gpio, _| gpio.set_input(pin, level));
    }

    fn expire(&mut self, now: u64) {
        self.last = effects(now);
        self.slot.timer_expired(&mut self.last);
    }
}

#[test]
fn identification_is_the_manuals_and_cannot_be_written() {
    let ids = [0x61, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1];
    check_identification(&mut slot(Pl061::default()), ids);
}

#[test]
fn all_registers_are_zero_after_reset() {
    let mut bench = Bench::new();
    for register in Register::ALL {
        bench.write(*register, 0xff);
    }
    let mut host = effects(0);
    bench.slot.reset(&mut host);
    for register in Register::ALL {
        assert_eq!(bench.read(*register), 0, "{register:?}");
    }
    assert_eq!(bench.read_at(0x3fc), 0);
}

#[test]
fn the_offset_of_the_data_register_chooses_pins() {
    let mut bench = Bench::new();
    bench.write(Register::Direction, 0xf0);
    bench.write_at(0x3fc, 0xff);
    assert_eq!(bench.read_at(0x3fc), 0xf0);
    bench.write_at(0x10 << 2, 0);
    assert_eq!(bench.read_at(0x3fc), 0xe0);
    assert_eq!(bench.read_at(0x20 << 2), 0x20);
    assert_eq!(bench.read_at(0), 0);
    bench.drive(1, Level::High);
    bench.drive(7, Level::High);
    bench.drive(8, Level::High);
    assert_eq!(bench.read_at(0x3fc), 0xe2);
    // An output that becomes an input shows what the outside drives.
    bench.write(Register::Direction, 0);
    assert_eq!(bench.read_at(0x3fc), 0x82);
}

#[test]
fn edges_interrupt_as_they_are_chosen() {
    for (both, event, rises, falls) in [
        (0, 0, false, true),
        (0, 2, true, false),
        (2, 0, true, true),
        (2, 2, true, true),
    ] {
        let mut bench = Bench::new();
        bench.write(Register::BothEdges, both);
        bench.write(Register::Event, event);
        bench.write(Register::InterruptMask, 0xff);
        for (level, expected) in [(Level::High, rises), (Level::Low, falls)] {
            bench.drive(1, level);
            assert_eq!(bench.slot.level(), Level::from(expected));
            assert_eq!(bench.read(Register::RawInterrupts), u64::from(expected) * 2);
            // The same level again is no edge.
            bench.write(Register::InterruptClear, 2);
            bench.drive(1, level);
            assert_eq!(bench.slot.level(), Level::Low);
        }
    }
}

#[test]
fn levels_interrupt_while_they_last() {
    let mut bench = Bench::new();
    bench.write(Register::InterruptMask, 4);
    bench.write(Register::Event, 4);
    bench.write(Register::Sense, 4);
    assert_eq!(bench.slot.level(), Level::Low);
    bench.drive(2, Level::High);
    bench.write(Register::InterruptClear, 0xff);
    assert_eq!(bench.slot.level(), Level::High);
    assert_eq!(bench.read(Register::MaskedInterrupts), 4);
    bench.drive(2, Level::Low);
    assert_eq!(bench.slot.level(), Level::Low);
    bench.write(Register::Event, 0);
    assert_eq!(bench.slot.level(), Level::High);
    bench.write(Register::InterruptMask, 0);
    assert_eq!(bench.slot.level(), Level::Low);
}

#[test]
fn the_key_goes_down_and_up_by_itself() {
    let mut bench = Bench::new();
    bench.write(Register::InterruptMask, 8);
    bench.write(Register::BothEdges, 8);
    bench.with(5, Pl061::press);
    assert_eq!(bench.last.timer, Some(TimerRequest::Arm(PRESS + 5)));
    assert_eq!(bench.slot.level(), Level::High);
    assert_eq!(bench.read_at(0x3fc), 8);
    bench.write(Register::InterruptClear, 8);
    bench.expire(PRESS);
    assert_eq!(bench.last.timer, Some(TimerRequest::Arm(PRESS + 5)));
    assert_eq!(bench.read_at(0x3fc), 8);
    bench.expire(PRESS + 5);
    assert_eq!(bench.read_at(0x3fc), 0);
    assert_eq!(bench.slot.level(), Level::High);
    bench.write(Register::InterruptClear, 8);
    bench.expire(PRESS + 6);
    assert_eq!(bench.slot.level(), Level::Low);
}

#[test]
fn a_key_that_is_down_survives_a_pause_and_not_a_reset() {
    let mut bench = Bench::new();
    bench.with(0, Pl061::press);
    let mut host = effects(0);
    bench.slot.pause(&mut host).unwrap();
    assert_eq!(host.timer, Some(TimerRequest::Cancel));
    let mut host = effects(7);
    bench.slot.resume(&mut host).unwrap();
    assert_eq!(host.timer, Some(TimerRequest::Arm(PRESS + 7)));
    bench.drive(0, Level::High);
    let mut host = effects(0);
    bench.slot.reset(&mut host);
    assert_eq!(host.timer, Some(TimerRequest::Cancel));
    // The other pin is driven from outside.
    assert_eq!(bench.read_at(0x3fc), 1);
}

#[test]
fn the_key_can_be_described() {
    let key = |number| {
        Config::from_properties(&[Property {
            name: "key",
            value: Value::Number(number),
        }])
        .map_err(|error| error.to_string())
    };
    assert_eq!(key(7), Ok(Config { key: 7 }));
    let message = "property \"key\" is 8, not a number from 0 to 7";
    assert_eq!(key(8), Err(message.to_string()));
}

#[test]
fn b5_wrong_directions_and_unknown_offsets_are_counted() {
    let mut bench = Bench::new();
    for register in [Register::RawInterrupts, Register::MaskedInterrupts] {
        bench.write(register, 0xff);
        assert_eq!(errors(&bench.last), [GuestError::ReadOnly]);
    }
    assert_eq!(bench.read(Register::InterruptClear), 0);
    assert_eq!(errors(&bench.last), [GuestError::WriteOnly]);
    bench.write(Register::HardwareControl, 1);
    assert_eq!(errors(&bench.last), [GuestError::Unimplemented]);
    for offset in (0x424..0xfe0).step_by(4) {
        assert_eq!(bench.read_at(offset), 0);
        assert_eq!(errors(&bench.last), [GuestError::UnknownOffset]);
    }
}

proptest! {
    #[test]
    fn the_line_is_the_masked_interrupts(
        steps in proptest::collection::vec((0..0x424_u64, any::<u8>(), 0..8_u8, any::<bool>()), 1..60),
    ) {
        let mut bench = Bench::new();
        for (offset, value, pin, high) in steps {
            bench.write_at(offset & !3, u64::from(value));
            bench.drive(pin, Level::from(high));
            let masked = bench.read(Register::MaskedInterrupts);
            let raw = bench.read(Register::RawInterrupts);
            prop_assert_eq!(masked, raw & bench.read(Register::InterruptMask));
            prop_assert_eq!(bench.slot.level(), Level::from(masked != 0));
        }
    }
}
