use super::*;
use crate::Device;
use crate::testing::{check_identification, effects, errors, slot};
use addr::Width;
use device_model::property::{Properties, Property, Value};
use device_model::{Effects, GuestError, InputRoom, Level, Received, Slot, TimerRequest};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::string::ToString;
use std::vec::Vec;

/// A UART with a guest that uses whole registers.
struct Bench {
    slot: Slot<Device>,
    last: Effects,
}

impl Bench {
    fn new() -> Self {
        Self::with(Config::default())
    }

    fn with(config: Config) -> Self {
        Self {
            slot: slot(Pl011::new(config)),
            last: effects(0),
        }
    }

    /// Enables the UART with its FIFOs and all interrupts.
    fn enabled() -> Self {
        let mut bench = Self::new();
        bench.write(Register::LineControl, 0x70);
        bench.write(Register::Control, 0x301);
        bench.write(Register::InterruptMask, 0x7ff);
        bench
    }

    fn read(&mut self, register: Register) -> u64 {
        self.last = effects(0);
        self.slot
            .read(&mut self.last, register.offset(), Width::Word)
            .unwrap()
    }

    fn write(&mut self, register: Register, value: u64) {
        self.last = effects(0);
        self.slot
            .write(&mut self.last, register.offset(), Width::Word, value)
            .unwrap();
    }

    fn receive(&mut self, bytes: &[u8]) -> usize {
        self.last = effects(0);
        self.slot.receive(&mut self.last, bytes)
    }

    fn receive_error(&mut self, byte: u8, errors: Status) {
        self.last = effects(0);
        let received = self.slot.poke(&mut self.last, |device, host| match device {
            Device::Pl011(uart) => uart.receive_with_errors(host, byte, errors),
            _ => Received::Refused,
        });
        assert_eq!(received, Received::Accepted);
    }

    fn modem(&mut self, lines: Flags) {
        self.last = effects(0);
        self.slot.poke(&mut self.last, |device, _| match device {
            Device::Pl011(uart) => uart.set_modem_inputs(lines),
            _ => panic!("no UART"),
        });
    }

    fn expire(&mut self, now: u64) {
        self.last = effects(now);
        self.slot.timer_expired(&mut self.last);
    }

    fn raw(&mut self) -> Interrupts {
        Interrupts::from_bits_retain(self.read(Register::RawInterrupts) as u16)
    }

    fn flags(&mut self) -> Flags {
        Flags::from_bits_retain(self.read(Register::Flags) as u16)
    }
}

#[test]
fn reset_values_are_the_manuals() {
    let mut bench = Bench::enabled();
    let mut host = effects(0);
    bench.receive(b"x");
    bench.slot.reset(&mut host);
    for register in Register::ALL {
        let expected = match register {
            Register::Flags => 0x90,
            Register::Control => 0x300,
            Register::FifoLevels => 0x12,
            Register::Data
            | Register::Status
            | Register::IrdaCounter
            | Register::IntegerBaudRate
            | Register::FractionalBaudRate
            | Register::LineControl
            | Register::InterruptMask
            | Register::RawInterrupts
            | Register::MaskedInterrupts
            | Register::InterruptClear
            | Register::DmaControl => 0,
        };
        assert_eq!(bench.read(*register), expected, "{register:?}");
    }
    assert_eq!(bench.slot.level(), Level::Low);
}

#[test]
fn identification_is_the_manuals_and_cannot_be_written() {
    let ids = [0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1];
    check_identification(&mut slot(Pl011::default()), ids);
}

#[test]
fn plain_registers_keep_the_bits_that_they_have() {
    let mut bench = Bench::new();
    for (register, bits) in [
        (Register::IrdaCounter, 0xff),
        (Register::IntegerBaudRate, 0xffff),
        (Register::FractionalBaudRate, 0x3f),
        (Register::LineControl, 0xff),
        (Register::Control, 0xff87),
        (Register::FifoLevels, 0x3f),
        (Register::InterruptMask, 0x7ff),
        (Register::DmaControl, 0),
    ] {
        bench.write(register, 0xffff_ffff);
        assert_eq!(bench.read(register), bits, "{register:?}");
        bench.write(register, 0);
        assert_eq!(bench.read(register), 0, "{register:?}");
    }
}

#[test]
fn read_only_and_write_only_registers_count_the_wrong_direction() {
    let mut bench = Bench::new();
    for register in [
        Register::Flags,
        Register::RawInterrupts,
        Register::MaskedInterrupts,
    ] {
        let before = bench.read(register);
        bench.write(register, 0xffff);
        assert_eq!(errors(&bench.last), [GuestError::ReadOnly]);
        assert_eq!(bench.read(register), before);
    }
    assert_eq!(bench.read(Register::InterruptClear), 0);
    assert_eq!(errors(&bench.last), [GuestError::WriteOnly]);
}

#[test]
fn a_byte_is_sent_at_once_and_raises_the_transmit_interrupt() {
    let mut bench = Bench::enabled();
    assert!(!bench.raw().contains(Interrupts::TRANSMIT));
    bench.write(Register::Data, 0x1_41);
    assert_eq!(bench.last.transmitted[..], [0x41]);
    assert_eq!(bench.slot.level(), Level::High);
    assert_eq!(bench.flags(), Flags::TXFE | Flags::RXFE);
    bench.write(Register::InterruptClear, 0x20);
    assert_eq!(bench.slot.level(), Level::Low);
    assert!(!bench.raw().contains(Interrupts::TRANSMIT));
}

#[test]
fn an_early_console_prints_without_enabling_the_uart() {
    let mut bench = Bench::new();
    bench.write(Register::Data, u64::from(b'e'));
    assert_eq!(bench.last.transmitted[..], *b"e");
    assert_eq!(errors(&bench.last), [GuestError::Disabled]);
}

#[test]
fn a_disabled_transmitter_can_hold_its_bytes() {
    let mut bench = Bench::with(Config {
        disabled_transmitter: DisabledTransmitter::Holds,
        ..Config::default()
    });
    bench.write(Register::Data, 1);
    assert!(bench.last.transmitted.is_empty());
    assert_eq!(bench.flags(), Flags::TXFF | Flags::BUSY | Flags::RXFE);
    bench.write(Register::Data, 2);
    assert_eq!(
        errors(&bench.last),
        [GuestError::Disabled, GuestError::Overflow]
    );
    // Enabling the FIFOs empties them.
    bench.write(Register::LineControl, 0x10);
    for byte in 0..16 {
        bench.write(Register::Data, byte);
        assert_eq!(bench.flags().contains(Flags::TXFF), byte == 15);
    }
    bench.write(Register::Control, 0x301);
    assert_eq!(bench.last.transmitted[..], (0..16).collect::<Vec<u8>>());
    assert_eq!(bench.last.lost, 0);
    assert!(bench.raw().contains(Interrupts::TRANSMIT));
    // With more than the level waiting, the interrupt goes away.
    bench.write(Register::Control, 0x300);
    for byte in 1..=9 {
        bench.write(Register::Data, byte);
        assert_eq!(bench.raw().contains(Interrupts::TRANSMIT), byte <= 8);
    }
}

#[test]
fn the_receive_interrupt_follows_every_level() {
    for (field, level) in [(0, 2), (1, 4), (2, 8), (3, 12), (4, 14), (5, 14), (7, 14)] {
        let mut bench = Bench::enabled();
        bench.write(Register::FifoLevels, field << 3);
        for count in 1..=16 {
            assert_eq!(bench.receive(&[count]), 1);
            assert!(bench.raw().contains(Interrupts::RECEIVE_TIMEOUT));
            assert_eq!(bench.raw().contains(Interrupts::RECEIVE), count >= level);
        }
        for left in (0..16).rev() {
            assert_eq!(bench.read(Register::Data), 16 - u64::from(left));
            assert_eq!(bench.raw().contains(Interrupts::RECEIVE), left >= level);
            assert_eq!(bench.raw().contains(Interrupts::RECEIVE_TIMEOUT), left != 0);
        }
        assert_eq!(bench.slot.level(), Level::Low);
    }
}

#[test]
fn without_fifos_one_character_is_held_and_interrupts() {
    let mut bench = Bench::enabled();
    bench.write(Register::LineControl, 0x60);
    assert_eq!(bench.receive(b"ab"), 1);
    assert_eq!(bench.raw(), Interrupts::RECEIVE);
    assert!(bench.flags().contains(Flags::RXFF));
    assert_eq!(bench.read(Register::Data), u64::from(b'a'));
    assert_eq!(bench.last.input, InputRoom::Wanted);
    assert!(bench.raw().is_empty());
}

#[test]
fn input_is_refused_and_wanted_again_as_room_comes_and_goes() {
    let mut bench = Bench::new();
    assert_eq!(bench.receive(b"a"), 0);
    bench.write(Register::Control, 0x301);
    assert_eq!(bench.last.input, InputRoom::Wanted);
    bench.write(Register::LineControl, 0x10);
    assert_eq!(bench.receive(&[7; 20]), 16);
    assert!(!bench.raw().contains(Interrupts::OVERRUN));
    bench.read(Register::Data);
    assert_eq!(bench.last.input, InputRoom::Wanted);
    bench.read(Register::Data);
    assert_eq!(bench.last.input, InputRoom::Unchanged);
    // Disabled or looped back, it takes no input.
    bench.write(Register::Control, 0x101);
    assert_eq!(bench.receive(b"a"), 0);
    bench.write(Register::Control, 0x381);
    assert_eq!(bench.receive(b"a"), 0);
    bench.write(Register::Control, 0x301);
    assert_eq!(bench.last.input, InputRoom::Wanted);
}

#[test]
fn changing_the_fifo_mode_drops_what_was_received() {
    let mut bench = Bench::enabled();
    bench.receive(&[1; 16]);
    assert_eq!(bench.slot.level(), Level::High);
    bench.write(Register::LineControl, 0x60);
    assert!(bench.flags().contains(Flags::RXFE));
    assert_eq!(bench.slot.level(), Level::Low);
    bench.receive(b"x");
    // Other bits of the register leave it alone.
    bench.write(Register::LineControl, 0x20);
    assert_eq!(bench.read(Register::Data), u64::from(b'x'));
}

#[test]
fn an_overrun_is_told_at_once_and_with_the_next_character() {
    let mut bench = Bench::enabled();
    bench.write(Register::Control, 0x381);
    for byte in 0..17 {
        bench.write(Register::Data, byte);
        assert!(bench.last.transmitted.is_empty());
    }
    assert!(bench.raw().contains(Interrupts::OVERRUN));
    assert_eq!(bench.read(Register::Status), 0x8);
    assert_eq!(bench.read(Register::Data), 0);
    bench.write(Register::Data, 0x55);
    for byte in 1..16 {
        assert_eq!(bench.read(Register::Data), byte);
    }
    assert_eq!(bench.read(Register::Data), 0x855);
    bench.write(Register::Status, 0);
    assert_eq!(bench.read(Register::Status), 0);
    bench.write(Register::Data, 0x66);
    assert_eq!(bench.read(Register::Data), 0x66);
}

#[test]
fn loopback_feeds_a_break_once() {
    let mut bench = Bench::enabled();
    bench.write(Register::Control, 0x381);
    bench.write(Register::LineControl, 0x71);
    bench.write(Register::LineControl, 0x71);
    assert!(bench.raw().contains(Interrupts::BREAK));
    assert_eq!(bench.read(Register::Data), 0x400);
    assert_eq!(bench.read(Register::Status), 0x4);
    assert!(bench.flags().contains(Flags::RXFE));
    // Looping back a break that is being sent already starts one too.
    bench.write(Register::Control, 0x301);
    bench.write(Register::Control, 0x381);
    assert_eq!(bench.read(Register::Data), 0x400);
}

#[test]
fn loopback_connects_the_modem_lines() {
    for (output, input, interrupt) in [
        (Control::RTS, Flags::CTS, Interrupts::CTS),
        (Control::DTR, Flags::DSR, Interrupts::DSR),
        (Control::OUT1, Flags::DCD, Interrupts::DCD),
        (Control::OUT2, Flags::RI, Interrupts::RI),
    ] {
        let mut bench = Bench::enabled();
        let looped = Control::from_bits_retain(0x381) | output;
        bench.write(Register::Control, u64::from(looped.bits()));
        assert_eq!(bench.flags(), Flags::TXFE | Flags::RXFE | input);
        assert_eq!(bench.raw(), interrupt);
        bench.write(Register::InterruptClear, 0xffff);
        bench.write(Register::Control, u64::from(looped.bits()));
        assert!(bench.raw().is_empty());
        bench.write(Register::Control, 0x301);
        assert_eq!(bench.raw(), interrupt);
        assert_eq!(bench.flags(), Flags::TXFE | Flags::RXFE);
    }
}

#[test]
fn modem_lines_interrupt_on_each_change_and_survive_a_reset() {
    for (input, interrupt) in [
        (Flags::CTS, Interrupts::CTS),
        (Flags::DSR, Interrupts::DSR),
        (Flags::DCD, Interrupts::DCD),
        (Flags::RI, Interrupts::RI),
    ] {
        let mut bench = Bench::enabled();
        bench.modem(input | Flags::BUSY);
        assert_eq!(bench.flags(), Flags::TXFE | Flags::RXFE | input);
        assert_eq!(bench.raw(), interrupt);
        assert_eq!(bench.slot.level(), Level::High);
        bench.write(Register::InterruptClear, 0xffff);
        bench.modem(input);
        assert!(bench.raw().is_empty());
        let mut host = effects(0);
        bench.slot.reset(&mut host);
        assert_eq!(bench.flags(), Flags::TXFE | Flags::RXFE | input);
        // Looped back, the line is not seen.
        bench.write(Register::Control, 0x381);
        assert_eq!(bench.raw(), interrupt);
        bench.write(Register::InterruptClear, 0xffff);
        bench.modem(Flags::empty());
        assert!(bench.raw().is_empty());
    }
}

#[test]
fn errors_come_with_their_character_and_interrupt() {
    for (error, interrupt) in [
        (Status::FRAMING, Interrupts::FRAMING),
        (Status::PARITY, Interrupts::PARITY),
        (Status::BREAK, Interrupts::BREAK),
    ] {
        let mut bench = Bench::enabled();
        bench.receive(b"a");
        bench.receive_error(b'b', error | Status::OVERRUN);
        assert_eq!(bench.raw(), Interrupts::RECEIVE_TIMEOUT | interrupt);
        assert_eq!(bench.read(Register::Data), u64::from(b'a'));
        assert_eq!(bench.read(Register::Status), 0);
        let marked = u64::from(error.bits()) << 8 | u64::from(b'b');
        assert_eq!(bench.read(Register::Data), marked);
        assert_eq!(bench.read(Register::Status), u64::from(error.bits()));
        // The status goes when it is cleared, the interrupt when that is.
        bench.write(Register::Status, 0);
        assert_eq!(bench.read(Register::Status), 0);
        assert_eq!(bench.raw(), interrupt);
        bench.write(Register::InterruptClear, u64::from(interrupt.bits()));
        assert_eq!(bench.slot.level(), Level::Low);
    }
}

#[test]
fn a_clocked_uart_waits_for_32_bit_periods_before_characters_time_out() {
    let mut bench = Bench::with(Config {
        clock: 24_000_000,
        ..Config::default()
    });
    // 115,200 baud: 24 MHz / (16 * 13.02), so that 32 bits take 277.7 microseconds.
    bench.write(Register::IntegerBaudRate, 13);
    bench.write(Register::FractionalBaudRate, 1);
    bench.write(Register::LineControl, 0x70);
    bench.write(Register::Control, 0x301);
    let wait = 277_666;
    assert_eq!(bench.receive(b"ab"), 2);
    assert!(bench.raw().is_empty());
    bench.expire(wait - 1);
    assert_eq!(bench.last.timer, Some(TimerRequest::Arm(wait)));
    assert!(bench.raw().is_empty());
    bench.expire(wait);
    assert_eq!(bench.last.timer, None);
    assert_eq!(bench.raw(), Interrupts::RECEIVE_TIMEOUT);
    bench.write(Register::InterruptClear, 0x40);
    // A read begins the wait anew, the last one ends it.
    bench.read(Register::Data);
    assert_eq!(bench.last.timer, Some(TimerRequest::Arm(wait)));
    bench.read(Register::Data);
    assert_eq!(bench.last.timer, Some(TimerRequest::Cancel));
    bench.expire(2 * wait);
    assert!(bench.raw().is_empty());
    // At the level there is nothing to wait for.
    assert_eq!(bench.receive(&[0; 8]), 8);
    assert_eq!(bench.last.timer, Some(TimerRequest::Cancel));
    assert_eq!(bench.raw(), Interrupts::RECEIVE);
    // A pause takes the timer back; it is asked for anew.
    bench.read(Register::Data);
    let mut host = effects(0);
    bench.slot.pause(&mut host).unwrap();
    assert_eq!(host.timer, Some(TimerRequest::Cancel));
    bench.slot.resume(&mut host).unwrap();
    assert_eq!(host.timer, Some(TimerRequest::Arm(wait)));
}

#[test]
fn dma_is_absent() {
    let mut bench = Bench::enabled();
    for enable in [1, 2, 7] {
        bench.write(Register::DmaControl, enable);
        assert_eq!(errors(&bench.last), [GuestError::Unimplemented]);
        assert_eq!(bench.read(Register::DmaControl), 0);
    }
    bench.write(Register::DmaControl, 4);
    assert!(bench.last.errors.is_empty());
}

#[test]
fn the_configuration_can_be_described() {
    let property = |name, value| Property { name, value };
    let config = Config::from_properties(&[
        property("disabled-transmitter", Value::Text("holds")),
        property("clock", Value::Number(24_000_000)),
    ]);
    assert_eq!(
        config,
        Ok(Config {
            disabled_transmitter: DisabledTransmitter::Holds,
            clock: 24_000_000,
        })
    );
    assert_eq!(Config::from_properties(&[]), Ok(Config::default()));
    for (properties, message) in [
        (
            &[property("clok", Value::Number(1))][..],
            "unknown property \"clok\": there are disabled-transmitter clock",
        ),
        (
            &[property("clock", Value::Number(1 << 32))],
            "property \"clock\" is 4294967296, not a number from 0 to 4294967295",
        ),
        (
            &[property("disabled-transmitter", Value::Flag(true))],
            "property \"disabled-transmitter\" is true, not one of sends holds",
        ),
        (
            &[
                property("clock", Value::Number(1)),
                property("clock", Value::Number(1)),
            ],
            "property \"clock\" is named twice",
        ),
    ] {
        let error = Config::from_properties(properties).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn the_mask_gates_the_line_and_not_the_raw_state() {
    let mut bench = Bench::enabled();
    bench.receive(b"x");
    let update = bench.last.line.unwrap();
    assert_eq!(update.level, Level::High);
    bench.write(Register::InterruptMask, 0);
    assert_eq!(bench.last.line.unwrap().level, Level::Low);
    assert_eq!(bench.read(Register::MaskedInterrupts), 0);
    assert_eq!(bench.raw(), Interrupts::RECEIVE_TIMEOUT);
    bench.write(Register::InterruptMask, 0x40);
    assert_eq!(bench.last.line.unwrap().sequence, update.sequence + 2);
    bench.write(Register::InterruptClear, 0x40);
    assert_eq!(bench.slot.level(), Level::Low);
}

#[test]
fn b1_narrow_accesses_work_and_double_words_fault() {
    let mut bench = Bench::enabled();
    let mut host = effects(0);
    for width in [Width::Byte, Width::Half] {
        assert_eq!(bench.slot.write(&mut host, 0, width, 0x41), Ok(()));
    }
    assert_eq!(host.transmitted[..], *b"AA");
    assert_eq!(bench.slot.read(&mut host, 0x31, Width::Byte), Ok(0x3));
    assert_eq!(bench.slot.read(&mut host, 0x30, Width::Half), Ok(0x301));
    let fault = bench.slot.read(&mut host, 0, Width::Double).unwrap_err();
    assert_eq!(fault.error, GuestError::BadWidth);
}

#[test]
fn b2_b3_unaligned_and_crossing_accesses_fault_without_effect() {
    let mut bench = Bench::enabled();
    let mut host = effects(0);
    for (offset, width) in [(1, Width::Word), (1, Width::Half), (2, Width::Word)] {
        let fault = bench
            .slot
            .write(&mut host, offset, width, 0xffff_ffff)
            .unwrap_err();
        assert_eq!(fault.error, GuestError::Unaligned);
    }
    assert!(host.transmitted.is_empty());
    // A byte in the middle of the data register sends nothing.
    assert_eq!(bench.slot.write(&mut host, 1, Width::Byte, 0x41), Ok(()));
    assert!(host.transmitted.is_empty());
}

#[test]
fn b5_offsets_without_a_register_read_zero_and_ignore_writes() {
    let mut bench = Bench::enabled();
    for offset in (0..0x1000).step_by(4) {
        if offset >= 0xfe0 || Register::try_from(offset).is_ok() {
            continue;
        }
        let mut host = effects(0);
        let before = bench.slot.device().clone();
        assert_eq!(bench.slot.read(&mut host, offset, Width::Word), Ok(0));
        assert_eq!(bench.slot.write(&mut host, offset, Width::Word, !0), Ok(()));
        assert_eq!(errors(&host), [GuestError::UnknownOffset; 2]);
        assert_eq!(*bench.slot.device(), before);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Read(u64, Width),
    Write(u64, Width, u64),
    Receive(Vec<u8>),
    Reset,
}

fn offsets() -> impl Strategy<Value = u64> {
    let registers = proptest::sample::select(Register::ALL.to_vec());
    prop_oneof![
        20 => registers.prop_map(Register::offset),
        10 => Just(Register::Data.offset()),
        2 => 0..0x1010_u64,
        1 => any::<u64>(),
    ]
}

fn values() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0..0x1000_u64,
        2 => Just(0x381),
        2 => Just(0x301),
        2 => Just(0x10),
        1 => any::<u64>(),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    let width = || {
        prop_oneof![
            8 => Just(Width::Word),
            1 => proptest::sample::select(Width::ALL.to_vec()),
        ]
    };
    prop_oneof![
        40 => (offsets(), width()).prop_map(|(offset, width)| Step::Read(offset, width)),
        60 => (offsets(), width(), values())
            .prop_map(|(offset, width, value)| Step::Write(offset, width, value)),
        20 => proptest::collection::vec(any::<u8>(), 0..20).prop_map(Step::Receive),
        1 => Just(Step::Reset),
    ]
}

/// The receive path alone, kept in another way: what is enabled is read from the device.
#[derive(Default)]
struct Reference {
    queue: VecDeque<u16>,
    lost: bool,
}

impl Reference {
    fn put(&mut self, depth: usize, character: u16) {
        if self.queue.len() == depth {
            self.lost = true;
        } else {
            let mark = if self.lost { 0x800 } else { 0 };
            self.queue.push_back(character | mark);
            self.lost = false;
        }
    }

    fn before_write(&mut self, state: &State, offset: u64, value: u64) {
        let control = state.control.bits();
        let line = state.line_control.bits();
        let depth = if line & 0x10 == 0 { 1 } else { 16 };
        let enabled = |control: u16| control & 0x201 == 0x201;
        match Register::try_from(offset) {
            Ok(Register::Data) if enabled(control) && control & 0x80 != 0 => {
                self.put(depth, value as u16 & 0xff);
            }
            Ok(Register::LineControl) => {
                let value = value as u16;
                if (value ^ line) & 0x10 != 0 {
                    self.queue.clear();
                }
                if value & !line & 1 != 0 && control & 0x80 != 0 && enabled(control) {
                    let depth = if value & 0x10 == 0 { 1 } else { 16 };
                    self.put(depth, 0x400);
                }
            }
            Ok(Register::Control) => {
                let value = value as u16;
                if line & 1 != 0 && value & !control & 0x80 != 0 && enabled(value) {
                    self.put(depth, 0x400);
                }
            }
            _ => {}
        }
    }
}

fn state(slot: &Slot<Device>) -> State {
    match slot.device() {
        Device::Pl011(uart) => uart.state().clone(),
        other => panic!("{other:?} is no UART"),
    }
}

proptest! {
    #[test]
    fn any_stream_keeps_line_fifo_and_flags_in_step(
        steps in proptest::collection::vec(steps(), 1..300),
    ) {
        let mut bench = Bench::new();
        let mut reference = Reference::default();
        for step in steps {
            let before = state(&bench.slot);
            let mut host = effects(0);
            match step {
                Step::Read(offset, width) => {
                    let read = bench.slot.read(&mut host, offset, width);
                    if offset & !3 == 0 && read.is_ok() {
                        let expected = reference.queue.pop_front().unwrap_or(0);
                        let shift = 8 * (offset & 3);
                        prop_assert_eq!(
                            read.unwrap(),
                            (u64::from(expected) >> shift) & width.mask()
                        );
                    }
                }
                Step::Write(offset, width, value) => {
                    if bench.slot.write(&mut host, offset, width, value).is_ok() && offset & 3 == 0 {
                        reference.before_write(&before, offset, value & width.mask());
                    }
                }
                Step::Receive(bytes) => {
                    let taken = bench.slot.receive(&mut host, &bytes);
                    let depth = if before.line_control.bits() & 0x10 == 0 { 1 } else { 16 };
                    let room = depth - reference.queue.len();
                    let open = before.control.bits() & 0x281 == 0x201;
                    prop_assert_eq!(taken, if open { room.min(bytes.len()) } else { 0 });
                    for byte in &bytes[..taken] {
                        reference.put(depth, u16::from(*byte));
                    }
                }
                Step::Reset => {
                    bench.slot.reset(&mut host);
                    reference = Reference::default();
                }
            }
            prop_assert_eq!(host.lost, 0);
            let after = state(&bench.slot);
            let queue: Vec<u16> = reference.queue.iter().copied().collect();
            prop_assert_eq!(&after.receive_fifo[..], &queue[..]);
            let masked = bench.read(Register::MaskedInterrupts);
            let raw = bench.read(Register::RawInterrupts);
            let mask = bench.read(Register::InterruptMask);
            prop_assert_eq!(masked, raw & mask);
            prop_assert_eq!(bench.slot.level(), Level::from(masked != 0));
            let flags = bench.flags();
            let depth = if after.line_control.bits() & 0x10 == 0 { 1 } else { 16 };
            prop_assert_eq!(flags.contains(Flags::RXFE), queue.is_empty());
            prop_assert_eq!(flags.contains(Flags::RXFF), queue.len() == depth);
            prop_assert!(flags.contains(Flags::TXFE));
        }
    }
}
