//! What the PL011 remembers, and what follows from that alone.

use super::registers::{
    CONTROL_RESET, Control, DmaControl, FIFO_LEVELS_RESET, Flags, Interrupts, LineControl, Status,
};
use arrayvec::ArrayVec;
use device_model::Migrate;
use device_model::migrate::Invalid;

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
#[derive(Clone, Debug, PartialEq, Eq, Migrate)]
#[migrate(version = 1, check = Self::check)]
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
    #[migrate(max = 0x3f_u16)]
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
            fifo_level(self.fifo_levels >> 3)
        } else {
            1
        }
    }

    /// Returns how many waiting characters are too few to keep the transmit interrupt away.
    pub(super) fn transmit_level(&self) -> usize {
        if self.fifos_enabled() {
            fifo_level(self.fifo_levels)
        } else {
            0
        }
    }

    pub(super) fn flags(&self) -> Flags {
        let received = self.receive_fifo.len();
        let waiting = self.transmit_fifo.len();
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
    pub(super) fn modem_lines(&self) -> Flags {
        let control = self.control;
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

/// Returns the interrupts of modem inputs that changed.
pub(super) fn modem_interrupts(changed: Flags) -> Interrupts {
    let mut interrupts = Interrupts::empty();
    interrupts.set(Interrupts::CTS, changed.contains(Flags::CTS));
    interrupts.set(Interrupts::DSR, changed.contains(Flags::DSR));
    interrupts.set(Interrupts::DCD, changed.contains(Flags::DCD));
    interrupts.set(Interrupts::RI, changed.contains(Flags::RI));
    interrupts
}
