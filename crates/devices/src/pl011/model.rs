//! What the PL011 does.

use super::registers::{
    Control, DMA_ENABLE, FifoLevels, Flags, Interrupts, LineControl, MODEM_INPUTS, Register, Status,
};
use super::state::{Config, DisabledTransmitter, State, error_interrupts, modem_interrupts};
use device_model::{
    AccessPolicy, Device, GuestError, Host, Identification, Level, LineEffect, Received,
    RegisterDevice, Wire, Wires, primecell,
};

/// A PL011.
#[derive(Clone, Debug, Default, PartialEq, Eq, Device)]
#[device(kind = "pl011")]
pub struct Pl011 {
    config: Config,
    state: State,
    /// When the characters in the receive FIFO time out, in nanoseconds of [`Host::now`]. Begins
    /// anew after a pause.
    timeout: Option<u64>,
}

impl RegisterDevice for Pl011 {
    type Register = Register;
    const POLICY: &'static AccessPolicy = &AccessPolicy::WORD_REGISTERS;
    const WIRES: Wires = Wires {
        interrupt: Wire::Present,
        bytes: Wire::Present,
        clock: Wire::Present,
    };
    /// Revision 1, whose FIFOs hold 16.
    const IDENTIFICATION: Option<&'static Identification> = Some(&primecell(0x11, 1, 0));

    fn read_register<H: Host>(&mut self, host: &mut H, register: Register) -> (u32, LineEffect) {
        if register != Register::Data {
            return (u32::from(self.value(host, register)), LineEffect::Unchanged);
        }
        // The only read that changes anything.
        (self.read_data(host), LineEffect::MayHaveChanged)
    }

    fn write_register<H: Host>(
        &mut self,
        host: &mut H,
        register: Register,
        value: u32,
    ) -> LineEffect {
        let ready = self.receiver_ready();
        // No register has more than 16 bits.
        let [low, high, ..] = value.to_le_bytes();
        self.set(host, register, u16::from_le_bytes([low, high]));
        self.ask_for_input(host, ready);
        LineEffect::MayHaveChanged
    }

    fn level(&self) -> Level {
        Level::from(!self.state.masked().is_empty())
    }

    fn reset<H: Host>(&mut self, host: &mut H) {
        // The other end of the modem's lines is not reset.
        let modem_inputs = self.state.modem_inputs;
        self.state = State {
            modem_inputs,
            ..State::default()
        };
        self.stop_timeout(host);
    }

    fn pause<H: Host>(&mut self, host: &mut H) {
        self.stop_timeout(host);
    }

    fn resume<H: Host>(&mut self, host: &mut H) {
        self.start_timeout(host);
        if self.receiver_ready() {
            host.input_wanted();
        }
    }

    fn receive<H: Host>(&mut self, host: &mut H, byte: u8) -> Received {
        self.receive_with_errors(host, byte, Status::empty())
    }

    fn timer_expired<H: Host>(&mut self, host: &mut H) {
        let Some(deadline) = self.timeout else {
            return;
        };
        if host.now() < deadline {
            host.arm_timer(deadline);
            return;
        }
        self.timeout = None;
        if !self.state.receive_fifo.is_empty() {
            self.state.raw.insert(Interrupts::RECEIVE_TIMEOUT);
        }
    }
}

impl Pl011 {
    /// Takes a character from the back end with the errors of its transmission: framing, parity,
    /// break. An overrun is this end's own.
    pub fn receive_with_errors<H: Host>(
        &mut self,
        host: &mut H,
        byte: u8,
        errors: Status,
    ) -> Received {
        if !self.receiver_ready() {
            return Received::Refused;
        }
        let errors = errors.difference(Status::OVERRUN);
        self.state.raw.insert(error_interrupts(errors));
        self.store(host, u16::from(byte) | (errors.bits() << 8));
        Received::Accepted
    }

    /// Sets the modem inputs, as they stand in UARTFR: set is asserted. Other flags are ignored.
    pub fn set_modem_inputs(&mut self, lines: Flags) {
        let before = self.state.modem_lines();
        self.state.modem_inputs = lines.intersection(MODEM_INPUTS);
        self.note_modem_change(before);
    }

    fn note_modem_change(&mut self, before: Flags) {
        let changed = before.symmetric_difference(self.state.modem_lines());
        self.state.raw.insert(modem_interrupts(changed));
    }

    /// Takes a character out. Apart, so that reading the flags needs no registers for it.
    #[inline(never)]
    fn read_data<H: Host>(&mut self, host: &mut H) -> u32 {
        let ready = self.receiver_ready();
        let value = self.take(host);
        self.ask_for_input(host, ready);
        u32::from(value)
    }

    /// Reads a register whose reading changes nothing; UARTDR is none.
    fn value<H: Host>(&self, host: &mut H, register: Register) -> u16 {
        let state = &self.state;
        match register {
            Register::Data => 0,
            Register::Status => state.status.bits(),
            Register::Flags => self.state.flags().bits(),
            Register::IrdaCounter => state.irda_counter,
            Register::IntegerBaudRate => state.integer_baud_rate,
            Register::FractionalBaudRate => state.fractional_baud_rate,
            Register::LineControl => state.line_control.bits(),
            Register::Control => state.control.bits(),
            Register::FifoLevels => state.fifo_levels.bits(),
            Register::InterruptMask => state.mask.bits(),
            Register::RawInterrupts => state.raw.bits(),
            Register::MaskedInterrupts => self.state.masked().bits(),
            Register::InterruptClear => {
                host.guest_error(GuestError::WriteOnly, register.offset());
                0
            }
            Register::DmaControl => 0,
        }
    }

    fn set<H: Host>(&mut self, host: &mut H, register: Register, value: u16) {
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
            Register::LineControl => self.write_line_control(host, value),
            Register::Control => self.write_control(host, value),
            Register::FifoLevels => state.fifo_levels = FifoLevels::from_bits_truncate(value),
            Register::InterruptMask => state.mask = Interrupts::from_bits_truncate(value),
            Register::InterruptClear => {
                state.raw = state.raw.difference(Interrupts::from_bits_truncate(value));
            }
            Register::DmaControl => {
                if value & DMA_ENABLE != 0 {
                    host.guest_error(GuestError::Unimplemented, register.offset());
                }
            }
            Register::Flags | Register::RawInterrupts | Register::MaskedInterrupts => {
                host.guest_error(GuestError::ReadOnly, register.offset());
            }
        }
    }

    fn write_line_control<H: Host>(&mut self, host: &mut H, value: u16) {
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
            self.stop_timeout(host);
        }
        self.loop_break(host, sent_break);
    }

    fn write_control<H: Host>(&mut self, host: &mut H, value: u16) {
        let offset = Register::Control.offset();
        let sent_break = self.loops_break();
        let modem = self.state.modem_lines();
        let new = Control::from_bits_truncate(value);
        if new.bits() != value {
            host.guest_error(GuestError::ReservedBits, offset);
        }
        if new.contains(Control::SIR_ENABLE) {
            host.guest_error(GuestError::Unimplemented, offset);
        }
        self.state.control = new;
        self.note_modem_change(modem);
        self.loop_break(host, sent_break);
        if self.state.transmitter_enabled() {
            // Bounded by the depth of the FIFO.
            for byte in core::mem::take(&mut self.state.transmit_fifo) {
                self.send(host, byte);
            }
        }
    }

    fn write_data<H: Host>(&mut self, host: &mut H, byte: u8) {
        if self.state.transmitter_enabled() {
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
            if self.state.receiver_enabled() {
                self.store(host, u16::from(byte));
            }
        } else {
            host.transmit(byte);
        }
        self.state.raw.insert(Interrupts::TRANSMIT);
    }

    /// Keeps a byte until the transmitter is enabled.
    fn hold<H: Host>(&mut self, host: &mut H, byte: u8) {
        let room = self.state.transmit_fifo.len() < self.state.depth();
        if !room || self.state.transmit_fifo.try_push(byte).is_err() {
            host.guest_error(GuestError::Overflow, Register::Data.offset());
            return;
        }
        if self.state.transmit_fifo.len() > self.state.transmit_level() {
            self.state.raw.remove(Interrupts::TRANSMIT);
        }
    }

    /// Puts a character with its status into the receive FIFO, or notes the overrun.
    fn store<H: Host>(&mut self, host: &mut H, character: u16) {
        let depth = self.state.depth();
        let level = self.state.receive_level();
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
        if state.receive_fifo.len() >= level {
            state.raw.insert(Interrupts::RECEIVE);
        }
        self.start_timeout(host);
    }

    /// Lets the characters that are too few for the receive interrupt time out.
    fn start_timeout<H: Host>(&mut self, host: &mut H) {
        let level = self.state.receive_level();
        let received = self.state.receive_fifo.len();
        if received == 0 || received >= level {
            self.stop_timeout(host);
            return;
        }
        match self.state.receive_timeout(self.config.clock) {
            0 => self.state.raw.insert(Interrupts::RECEIVE_TIMEOUT),
            wait => {
                let deadline = host.now().saturating_add(wait);
                self.timeout = Some(deadline);
                host.arm_timer(deadline);
            }
        }
    }

    fn stop_timeout<H: Host>(&mut self, host: &mut H) {
        if self.timeout.take().is_some() {
            host.cancel_timer();
        }
    }

    /// Takes a character with its status out of the receive FIFO; 0 if it is empty.
    fn take<H: Host>(&mut self, host: &mut H) -> u16 {
        let level = self.state.receive_level();
        let state = &mut self.state;
        let Some(character) = state.receive_fifo.pop_at(0) else {
            return 0;
        };
        let overrun = state.status.intersection(Status::OVERRUN);
        state.status = overrun.union(Status::from_bits_truncate(character >> 8));
        let left = state.receive_fifo.len();
        if left < level {
            state.raw.remove(Interrupts::RECEIVE);
        }
        if left == 0 {
            state.raw.remove(Interrupts::RECEIVE_TIMEOUT);
        }
        self.start_timeout(host);
        character
    }

    /// Receives the break that the guest has begun to send to itself.
    fn loop_break<H: Host>(&mut self, host: &mut H, sent_before: bool) {
        if self.loops_break() && !sent_before && self.state.receiver_enabled() {
            self.state.raw.insert(Interrupts::BREAK);
            self.store(host, Status::BREAK.bits() << 8);
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
        self.state.receiver_enabled()
            && !self.state.control.contains(Control::LOOPBACK)
            && self.state.receive_fifo.len() < self.state.depth()
    }
}
