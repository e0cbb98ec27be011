//! What the PL011 remembers, and what follows from that alone.

use super::registers::{
    CONTROL_RESET, Control, FifoLevels, Flags, Interrupts, LineControl, MODEM_INPUTS, Status,
};
use arrayvec::ArrayVec;
use device_model::migrate::Invalid;
use device_model::{Migrate, NANOSECONDS_PER_SECOND, Properties, PropertyValue};

/// How many characters each FIFO holds.
pub const FIFO_DEPTH: usize = 16;

/// What is fixed when the device is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Properties)]
pub struct Config {
    /// What a byte written to a disabled transmitter does.
    pub disabled_transmitter: DisabledTransmitter,
    /// UARTCLK in Hz; then received characters that are too few for the receive interrupt wait for
    /// 32 bit periods until they time out. 0: they time out at once.
    pub clock: u32,
}

/// What a byte written to a disabled transmitter does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PropertyValue)]
pub enum DisabledTransmitter {
    /// It is sent all the same, and counted: early consoles rely on a firmware that has enabled
    /// the UART, and a guest has none.
    #[default]
    Sends,
    /// It waits in the FIFO until the transmitter is enabled, as the manual says.
    Holds,
}

/// What the guest sees change.
#[derive(Clone, Debug, PartialEq, Eq, Migrate)]
#[migrate(version = 2, check = Self::check)]
pub struct State {
    /// Received characters with their status in bits 11 to 8, oldest first.
    #[migrate(check = |fifo: &ArrayVec<u16, FIFO_DEPTH>| fifo.iter().all(|c| *c <= 0xfff))]
    pub receive_fifo: ArrayVec<u16, FIFO_DEPTH>,
    /// Characters that wait for the transmitter, oldest first.
    pub transmit_fifo: ArrayVec<u8, FIFO_DEPTH>,
    /// Whether a character was lost since the last one that was stored.
    pub overrun: bool,
    /// UARTRSR.
    pub status: Status,
    /// UARTILPR.
    #[migrate(max = 0xff_u16)]
    pub irda_counter: u16,
    /// UARTIBRD.
    pub integer_baud_rate: u16,
    /// UARTFBRD.
    #[migrate(max = 0x3f_u16)]
    pub fractional_baud_rate: u16,
    /// UARTLCR_H.
    pub line_control: LineControl,
    /// UARTCR.
    pub control: Control,
    /// UARTIFLS.
    pub fifo_levels: FifoLevels,
    /// UARTIMSC.
    pub mask: Interrupts,
    /// UARTRIS.
    pub raw: Interrupts,
    /// The modem inputs, as they stand in UARTFR: set is asserted.
    #[migrate(since = 2, check = |lines: &Flags| MODEM_INPUTS.contains(*lines))]
    pub modem_inputs: Flags,
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
            fifo_levels: FifoLevels::RESET,
            mask: Interrupts::empty(),
            raw: Interrupts::empty(),
            modem_inputs: Flags::empty(),
        }
    }
}

impl State {
    /// Checks what must hold between fields.
    fn check(&self) -> Result<(), Invalid> {
        for (field, length) in [
            ("receive_fifo", self.receive_fifo.len()),
            ("transmit_fifo", self.transmit_fifo.len()),
        ] {
            if length > self.depth() {
                return Err(Invalid::new(field, u64::try_from(length).unwrap_or(0)));
            }
        }
        Ok(())
    }

    pub(super) fn receiver_enabled(&self) -> bool {
        self.control
            .contains(Control::ENABLE.union(Control::RECEIVE_ENABLE))
    }

    pub(super) fn transmitter_enabled(&self) -> bool {
        self.control
            .contains(Control::ENABLE.union(Control::TRANSMIT_ENABLE))
    }

    pub(super) fn masked(&self) -> Interrupts {
        self.raw.intersection(self.mask)
    }

    pub(super) fn depth(&self) -> usize {
        if self.fifos_enabled() { FIFO_DEPTH } else { 1 }
    }

    fn fifos_enabled(&self) -> bool {
        self.line_control.contains(LineControl::FIFO_ENABLE)
    }

    /// Returns how many received characters raise the receive interrupt.
    pub(super) fn receive_level(&self) -> usize {
        if self.fifos_enabled() {
            fifo_level(self.fifo_levels.receive())
        } else {
            1
        }
    }

    /// Returns how many waiting characters are too few to keep the transmit interrupt away.
    pub(super) fn transmit_level(&self) -> usize {
        if self.fifos_enabled() {
            fifo_level(self.fifo_levels.transmit())
        } else {
            0
        }
    }

    pub(super) fn flags(&self) -> Flags {
        let received = self.receive_fifo.len();
        let waiting = self.transmit_fifo.len();
        let depth = self.depth();
        // Without branches: polling for this register is what guests do most.
        let fifos = flag(received == 0, Flags::RXFE)
            | flag(received >= depth, Flags::RXFF)
            | flag(waiting == 0, Flags::TXFE)
            | flag(waiting >= depth, Flags::TXFF)
            | flag(waiting != 0, Flags::BUSY);
        self.modem_lines().union(Flags::from_bits_truncate(fifos))
    }

    /// Returns how long 32 bit periods are at this rate of UARTCLK in Hz, in nanoseconds; 0 if
    /// either rate is 0.
    pub(super) fn receive_timeout(&self, clock: u32) -> u64 {
        // A bit takes 16 divisors, in 64ths: 32 * 16 / 64 (DDI0183G, 2.4.3).
        let divisor = u64::from(self.integer_baud_rate)
            .saturating_mul(64)
            .saturating_add(u64::from(self.fractional_baud_rate));
        divisor
            .saturating_mul(8)
            .saturating_mul(NANOSECONDS_PER_SECOND)
            .checked_div(u64::from(clock))
            .unwrap_or(0)
    }

    /// Returns the modem inputs as the guest sees them: its outputs, if they are looped back
    /// (DDI0183G, 2.4.6).
    pub(super) fn modem_lines(&self) -> Flags {
        if self.control.contains(Control::LOOPBACK) {
            self.looped_modem_lines()
        } else {
            self.modem_inputs
        }
    }

    /// Apart, so that it is not computed on each poll for the flags.
    #[cold]
    #[inline(never)]
    fn looped_modem_lines(&self) -> Flags {
        let control = self.control;
        let mut lines = Flags::empty();
        lines.set(Flags::CTS, control.contains(Control::RTS));
        lines.set(Flags::DSR, control.contains(Control::DTR));
        lines.set(Flags::DCD, control.contains(Control::OUT1));
        lines.set(Flags::RI, control.contains(Control::OUT2));
        lines
    }
}

/// Returns the flag's bit if `is_set`.
const fn flag(is_set: bool, flag: Flags) -> u16 {
    if is_set { flag.bits() } else { 0 }
}

/// Returns the number of characters that a field of UARTIFLS stands for (DDI0183G, 3.3.9). The
/// reserved encodings act as the highest level.
const fn fifo_level(field: u8) -> usize {
    match field {
        0 => 2,
        1 => 4,
        2 => 8,
        3 => 12,
        _ => 14,
    }
}

/// Returns the interrupts of a character with errors (DDI0183G, 2.8).
pub(super) fn error_interrupts(errors: Status) -> Interrupts {
    let mut interrupts = Interrupts::empty();
    interrupts.set(Interrupts::FRAMING, errors.contains(Status::FRAMING));
    interrupts.set(Interrupts::PARITY, errors.contains(Status::PARITY));
    interrupts.set(Interrupts::BREAK, errors.contains(Status::BREAK));
    interrupts
}

/// Returns the interrupts of modem inputs that changed.
pub(super) fn modem_interrupts(changed: Flags) -> Interrupts {
    let mut interrupts = Interrupts::empty();
    interrupts.set(Interrupts::CTS, changed.contains(Flags::CTS));
    interrupts.set(Interrupts::DSR, changed.contains(Flags::DSR));
    interrupts.set(Interrupts::DCD, changed.contains(Flags::DCD));
    interrupts.set(Interrupts::RI, changed.contains(Flags::RI));
    interrupts
}
