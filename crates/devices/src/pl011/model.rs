//! What the PL011 does.

use super::registers::{
    CELL_ID, CONTROL_RESET, Control, DmaControl, FIFO_LEVELS_RESET, Flags, Interrupts, LineControl,
    PERIPHERAL_ID, Register, Status,
};
use addr::Width;
use arrayvec::ArrayVec;
use device_model::{
    AccessPolicy, GuestError, Host, Level, LineEffect, MmioDevice, NoRegister, Received, Refused,
    Widths, Wire, Wires,
};

/// How many characters each FIFO holds.
pub const FIFO_DEPTH: usize = 16;

/// What is fixed when the device is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// What a byte written to a disabled transmitter does.
    pub disabled_transmitter: DisabledTransmitter,
}

/// What a byte written to a disabled transmitter does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DisabledTransmitter {
    /// It is sent all the same, and counted: early consoles rely on a firmware that has enabled
    /// the UART, and a guest has none.
    #[default]
    Sends,
    /// It waits in the FIFO until the transmitter is enabled, as the manual says.
    Holds,
}

/// What the guest sees change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Received characters with their status in bits 11 to 8, oldest first.
    pub receive_fifo: ArrayVec<u16, FIFO_DEPTH>,
    /// Characters that wait for the transmitter, oldest first.
    pub transmit_fifo: ArrayVec<u8, FIFO_DEPTH>,
    /// Whether a character was lost since the last one that was stored.
    pub overrun: bool,
    /// UARTRSR.
    pub status: Status,
    /// UARTILPR.
    pub irda_counter: u16,
    /// UARTIBRD.
    pub integer_baud_rate: u16,
    /// UARTFBRD.
    pub fractional_baud_rate: u16,
    /// UARTLCR_H.
    pub line_control: LineControl,
    /// UARTCR.
    pub control: Control,
    /// UARTIFLS.
    pub fifo_levels: u16,
    /// UARTIMSC.
    pub mask: Interrupts,
    /// UARTRIS.
    pub raw: Interrupts,
    /// UARTDMACR.
    pub dma_control: DmaControl,
}

impl Default for State {
    fn default() -> Self {
        Self {
            receive_fifo: ArrayVec::new(),
            transmit_fifo: ArrayVec::new(),
            overrun: false,
            status: Status::empty(),
            irda_counter: 0,
            integer_baud_rate: 0,
            fractional_baud_rate: 0,
            line_control: LineControl::empty(),
            control: CONTROL_RESET,
            fifo_levels: FIFO_LEVELS_RESET,
            mask: Interrupts::empty(),
            raw: Interrupts::empty(),
            dma_control: DmaControl::empty(),
        }
    }
}

/// A PL011.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pl011 {
    config: Config,
    state: State,
}

static POLICY: AccessPolicy = AccessPolicy {
    size: 0x1000,
    valid: Widths::UP_TO_WORD,
    implemented: Widths::WORD,
    bad_width: Refused::Fault,
    unaligned: Refused::Fault,
    unknown: Refused::Ignored,
    beyond_end: Refused::Fault,
};

impl<H: Host> MmioDevice<H> for Pl011 {
    fn access_policy(&self) -> &'static AccessPolicy {
        &POLICY
    }

    fn wires(&self) -> Wires {
        Wires {
            interrupt: Wire::Present,
            bytes: Wire::Present,
            clock: Wire::Absent,
        }
    }

    fn read(
        &mut self,
        host: &mut H,
        offset: u64,
        _: Width,
    ) -> Result<(u64, LineEffect), NoRegister> {
        let register = Register::try_from(offset)?;
        // The only read that changes anything: it takes a character out.
        let effect = if register == Register::Data {
            LineEffect::MayHaveChanged
        } else {
            LineEffect::Unchanged
        };
        let ready = self.receiver_ready();
        let value = self.read_register(host, register);
        self.ask_for_input(host, ready);
        Ok((u64::from(value), effect))
    }

    fn write(
        &mut self,
        host: &mut H,
        offset: u64,
        _: Width,
        value: u64,
    ) -> Result<LineEffect, NoRegister> {
        let register = Register::try_from(offset)?;
        let ready = self.receiver_ready();
        // No register has more than 16 bits.
        let [low, high, ..] = value.to_le_bytes();
        self.write_register(host, register, u16::from_le_bytes([low, high]));
        self.ask_for_input(host, ready);
        Ok(LineEffect::MayHaveChanged)
    }

    fn level(&self) -> Level {
        Level::from(!self.masked().is_empty())
    }

    fn reset(&mut self, _: &mut H) {
        self.state = State::default();
    }

    fn receive(&mut self, _: &mut H, byte: u8) -> Received {
        if !self.receiver_ready() {
            return Received::Refused;
        }
        self.store(u16::from(byte));
        Received::Accepted
    }
}

impl Pl011 {
    /// Makes a PL011 as it is after reset.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            state: State::default(),
        }
    }

    /// Returns the state, for comparison and inspection.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    fn read_register<H: Host>(&mut self, host: &mut H, register: Register) -> u16 {
        let state = &mut self.state;
        match register {
            Register::Data => self.take(),
            Register::Status => state.status.bits(),
            Register::Flags => self.flags().bits(),
            Register::IrdaCounter => state.irda_counter,
            Register::IntegerBaudRate => state.integer_baud_rate,
            Register::FractionalBaudRate => state.fractional_baud_rate,
            Register::LineControl => state.line_control.bits(),
            Register::Control => state.control.bits(),
            Register::FifoLevels => state.fifo_levels,
            Register::InterruptMask => state.mask.bits(),
            Register::RawInterrupts => state.raw.bits(),
            Register::MaskedInterrupts => self.masked().bits(),
            Register::InterruptClear => {
                host.guest_error(GuestError::WriteOnly, register.offset());
                0
            }
            Register::DmaControl => state.dma_control.bits(),
            Register::PeripheralId0
            | Register::PeripheralId1
            | Register::PeripheralId2
            | Register::PeripheralId3
            | Register::CellId0
            | Register::CellId1
            | Register::CellId2
            | Register::CellId3 => identification(register),
        }
    }

    fn write_register<H: Host>(&mut self, host: &mut H, register: Register, value: u16) {
        let state = &mut self.state;
        match register {
            Register::Data => {
                let [byte, _] = value.to_le_bytes();
                self.write_data(host, byte);
            }
            // UARTECR: any value clears.
            Register::Status => state.status = Status::empty(),
            Register::IrdaCounter => state.irda_counter = value & 0xff,
            Register::IntegerBaudRate => state.integer_baud_rate = value,
            Register::FractionalBaudRate => state.fractional_baud_rate = value & 0x3f,
            Register::LineControl => self.write_line_control(value),
            Register::Control => self.write_control(host, value),
            Register::FifoLevels => state.fifo_levels = value & 0x3f,
            Register::InterruptMask => state.mask = Interrupts::from_bits_truncate(value),
            Register::InterruptClear => {
                state.raw = state.raw.difference(Interrupts::from_bits_truncate(value));
            }
            Register::DmaControl => {
                state.dma_control = DmaControl::from_bits_truncate(value);
                if state
                    .dma_control
                    .intersects(DmaControl::RECEIVE.union(DmaControl::TRANSMIT))
                {
                    host.guest_error(GuestError::Unimplemented, register.offset());
                }
            }
            Register::Flags
            | Register::RawInterrupts
            | Register::MaskedInterrupts
            | Register::PeripheralId0
            | Register::PeripheralId1
            | Register::PeripheralId2
            | Register::PeripheralId3
            | Register::CellId0
            | Register::CellId1
            | Register::CellId2
            | Register::CellId3 => host.guest_error(GuestError::ReadOnly, register.offset()),
        }
    }

    fn write_line_control(&mut self, value: u16) {
        let sent_break = self.loops_break();
        let new = LineControl::from_bits_truncate(value);
        let changed = self.state.line_control.symmetric_difference(new);
        self.state.line_control = new;
        if changed.contains(LineControl::FIFO_ENABLE) {
            // The FIFOs change their depth; what they hold is lost.
            self.state.receive_fifo.clear();
            self.state.transmit_fifo.clear();
            self.state
                .raw
                .remove(Interrupts::RECEIVE.union(Interrupts::RECEIVE_TIMEOUT));
        }
        self.loop_break(sent_break);
    }

    fn write_control<H: Host>(&mut self, host: &mut H, value: u16) {
        let offset = Register::Control.offset();
        let sent_break = self.loops_break();
        let modem = self.modem_lines();
        let new = Control::from_bits_truncate(value);
        if new.bits() != value {
            host.guest_error(GuestError::ReservedBits, offset);
        }
        if new.contains(Control::SIR_ENABLE) {
            host.guest_error(GuestError::Unimplemented, offset);
        }
        self.state.control = new;
        self.state.raw.insert(modem_interrupts(
            modem.symmetric_difference(self.modem_lines()),
        ));
        self.loop_break(sent_break);
        if self.transmitter_enabled() {
            // Bounded by the depth of the FIFO.
            for byte in core::mem::take(&mut self.state.transmit_fifo) {
                self.send(host, byte);
            }
        }
    }

    fn write_data<H: Host>(&mut self, host: &mut H, byte: u8) {
        if self.transmitter_enabled() {
            return self.send(host, byte);
        }
        host.guest_error(GuestError::Disabled, Register::Data.offset());
        match self.config.disabled_transmitter {
            DisabledTransmitter::Sends => self.send(host, byte),
            DisabledTransmitter::Holds => self.hold(host, byte),
        }
    }

    /// Puts a byte on the wire. The FIFO fills and empties in no time, so that it goes down through
    /// any level.
    fn send<H: Host>(&mut self, host: &mut H, byte: u8) {
        if self.state.control.contains(Control::LOOPBACK) {
            if self.receiver_enabled() {
                self.store(u16::from(byte));
            }
        } else {
            host.transmit(byte);
        }
        self.state.raw.insert(Interrupts::TRANSMIT);
    }

    /// Keeps a byte until the transmitter is enabled.
    fn hold<H: Host>(&mut self, host: &mut H, byte: u8) {
        let room = self.state.transmit_fifo.len() < self.depth();
        if !room || self.state.transmit_fifo.try_push(byte).is_err() {
            host.guest_error(GuestError::Overflow, Register::Data.offset());
            return;
        }
        if self.state.transmit_fifo.len() > self.transmit_level() {
            self.state.raw.remove(Interrupts::TRANSMIT);
        }
    }

    /// Puts a character with its status into the receive FIFO, or notes the overrun.
    fn store(&mut self, character: u16) {
        let depth = self.depth();
        let level = self.receive_level();
        let state = &mut self.state;
        // The overrun is told with the first character after the gap (DDI0183G, 3.3.1).
        let mark = if state.overrun {
            Status::OVERRUN.bits() << 8
        } else {
            0
        };
        let room = state.receive_fifo.len() < depth;
        if !room || state.receive_fifo.try_push(character | mark).is_err() {
            state.overrun = true;
            state.status.insert(Status::OVERRUN);
            state.raw.insert(Interrupts::OVERRUN);
            return;
        }
        state.overrun = false;
        let waiting = if state.receive_fifo.len() >= level {
            Interrupts::RECEIVE
        } else {
            // The timeout of 32 bit periods is over at once: nothing else comes in between.
            Interrupts::RECEIVE_TIMEOUT
        };
        state.raw.insert(waiting);
    }

    /// Takes a character with its status out of the receive FIFO; 0 if it is empty.
    fn take(&mut self) -> u16 {
        let level = self.receive_level();
        let state = &mut self.state;
        let Some(character) = state.receive_fifo.pop_at(0) else {
            return 0;
        };
        let overrun = state.status.intersection(Status::OVERRUN);
        state.status = overrun.union(Status::from_bits_truncate(character >> 8));
        let left = state.receive_fifo.len();
        if left < level {
            state.raw.remove(Interrupts::RECEIVE);
            state.raw.set(Interrupts::RECEIVE_TIMEOUT, left != 0);
        }
        character
    }

    /// Receives the break that the guest has begun to send to itself.
    fn loop_break(&mut self, sent_before: bool) {
        if self.loops_break() && !sent_before && self.receiver_enabled() {
            self.state.raw.insert(Interrupts::BREAK);
            self.store(Status::BREAK.bits() << 8);
        }
    }

    fn loops_break(&self) -> bool {
        self.state.line_control.contains(LineControl::BREAK)
            && self.state.control.contains(Control::LOOPBACK)
    }

    fn ask_for_input<H: Host>(&self, host: &mut H, was_ready: bool) {
        if !was_ready && self.receiver_ready() {
            host.input_wanted();
        }
    }

    /// Tells whether a byte from the back end would be accepted.
    fn receiver_ready(&self) -> bool {
        self.receiver_enabled()
            && !self.state.control.contains(Control::LOOPBACK)
            && self.state.receive_fifo.len() < self.depth()
    }

    fn receiver_enabled(&self) -> bool {
        self.state
            .control
            .contains(Control::ENABLE.union(Control::RECEIVE_ENABLE))
    }

    fn transmitter_enabled(&self) -> bool {
        self.state
            .control
            .contains(Control::ENABLE.union(Control::TRANSMIT_ENABLE))
    }

    fn masked(&self) -> Interrupts {
        self.state.raw.intersection(self.state.mask)
    }

    fn depth(&self) -> usize {
        if self.fifos_enabled() { FIFO_DEPTH } else { 1 }
    }

    fn fifos_enabled(&self) -> bool {
        self.state.line_control.contains(LineControl::FIFO_ENABLE)
    }

    /// Returns how many received characters raise the receive interrupt.
    fn receive_level(&self) -> usize {
        if self.fifos_enabled() {
            fifo_level(self.state.fifo_levels >> 3)
        } else {
            1
        }
    }

    /// Returns how many waiting characters are too few to keep the transmit interrupt away.
    fn transmit_level(&self) -> usize {
        if self.fifos_enabled() {
            fifo_level(self.state.fifo_levels)
        } else {
            0
        }
    }

    fn flags(&self) -> Flags {
        let received = self.state.receive_fifo.len();
        let waiting = self.state.transmit_fifo.len();
        let mut flags = self.modem_lines();
        flags.set(Flags::RXFE, received == 0);
        flags.set(Flags::RXFF, received >= self.depth());
        flags.set(Flags::TXFE, waiting == 0);
        flags.set(Flags::TXFF, waiting >= self.depth());
        flags.set(Flags::BUSY, waiting != 0);
        flags
    }

    /// Returns the modem inputs: none is connected, unless the outputs are looped back to them
    /// (DDI0183G, 2.4.6).
    fn modem_lines(&self) -> Flags {
        let control = self.state.control;
        let mut lines = Flags::empty();
        if control.contains(Control::LOOPBACK) {
            lines.set(Flags::CTS, control.contains(Control::RTS));
            lines.set(Flags::DSR, control.contains(Control::DTR));
            lines.set(Flags::DCD, control.contains(Control::OUT1));
            lines.set(Flags::RI, control.contains(Control::OUT2));
        }
        lines
    }
}

/// Returns the interrupts of modem inputs that changed.
fn modem_interrupts(changed: Flags) -> Interrupts {
    let mut interrupts = Interrupts::empty();
    interrupts.set(Interrupts::CTS, changed.contains(Flags::CTS));
    interrupts.set(Interrupts::DSR, changed.contains(Flags::DSR));
    interrupts.set(Interrupts::DCD, changed.contains(Flags::DCD));
    interrupts.set(Interrupts::RI, changed.contains(Flags::RI));
    interrupts
}

/// Returns the number of characters that the low three bits of a UARTIFLS field stand for
/// (DDI0183G, 3.3.9). The reserved encodings act as the highest level.
const fn fifo_level(field: u16) -> usize {
    match field & 7 {
        0 => 2,
        1 => 4,
        2 => 8,
        3 => 12,
        _ => 14,
    }
}

/// Returns the value of an identification register; 0 for any other.
fn identification(register: Register) -> u16 {
    let id = |ids: &[u8; 4], first: Register| {
        let distance = register.offset().checked_sub(first.offset())?;
        ids.iter()
            .zip((0..).step_by(4))
            .find(|(_, place)| *place == distance)
            .map(|(value, _)| u16::from(*value))
    };
    id(&PERIPHERAL_ID, Register::PeripheralId0)
        .or_else(|| id(&CELL_ID, Register::CellId0))
        .unwrap_or(0)
}
