//! Registers and bits of the PL011 (DDI0183G, chapter 3).

use bitflags::bitflags;
use device_model::{Registers, bit_fields, plain_bits};

/// The registers (DDI0183G, 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Registers)]
pub enum Register {
    /// UARTDR, data.
    Data = 0x000,
    /// UARTRSR, receive status; a write is UARTECR, error clear.
    Status = 0x004,
    /// UARTFR, flags.
    Flags = 0x018,
    /// UARTILPR, IrDA low-power counter.
    IrdaCounter = 0x020,
    /// UARTIBRD, integer part of the baud rate divisor.
    IntegerBaudRate = 0x024,
    /// UARTFBRD, fractional part of the baud rate divisor.
    FractionalBaudRate = 0x028,
    /// UARTLCR_H, line control.
    LineControl = 0x02c,
    /// UARTCR, control.
    Control = 0x030,
    /// UARTIFLS, FIFO levels that interrupt.
    FifoLevels = 0x034,
    /// UARTIMSC, interrupt mask.
    InterruptMask = 0x038,
    /// UARTRIS, interrupts before the mask.
    RawInterrupts = 0x03c,
    /// UARTMIS, interrupts after the mask.
    MaskedInterrupts = 0x040,
    /// UARTICR, interrupt clear.
    InterruptClear = 0x044,
    /// UARTDMACR, DMA control.
    DmaControl = 0x048,
}

bitflags! {
    /// UARTRSR, and bits 11 to 8 of UARTDR shifted right by 8 (DDI0183G, 3.3.1 and 3.3.2).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Status: u16 {
        /// Framing error.
        const FRAMING = 1 << 0;
        /// Parity error.
        const PARITY = 1 << 1;
        /// Break.
        const BREAK = 1 << 2;
        /// Overrun: data came while the FIFO was full.
        const OVERRUN = 1 << 3;
    }

    /// UARTFR (DDI0183G, 3.3.3).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Flags: u16 {
        /// Clear to send.
        const CTS = 1 << 0;
        /// Data set ready.
        const DSR = 1 << 1;
        /// Data carrier detect.
        const DCD = 1 << 2;
        /// The UART is transmitting or has something to transmit.
        const BUSY = 1 << 3;
        /// The receive FIFO is empty.
        const RXFE = 1 << 4;
        /// The transmit FIFO is full.
        const TXFF = 1 << 5;
        /// The receive FIFO is full.
        const RXFF = 1 << 6;
        /// The transmit FIFO is empty.
        const TXFE = 1 << 7;
        /// Ring indicator.
        const RI = 1 << 8;
    }

    /// UARTLCR_H (DDI0183G, 3.3.7).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct LineControl: u16 {
        /// Send a break.
        const BREAK = 1 << 0;
        /// The FIFOs are used; otherwise each holds one character.
        const FIFO_ENABLE = 1 << 4;
        /// Parity, stop bits and word length, which have no effect here.
        const FORMAT = 0b1110_1110;
    }

    /// UARTCR (DDI0183G, 3.3.8).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Control: u16 {
        /// The UART is enabled.
        const ENABLE = 1 << 0;
        /// IrDA.
        const SIR_ENABLE = 1 << 1;
        /// IrDA low power.
        const SIR_LOW_POWER = 1 << 2;
        /// What is transmitted is received.
        const LOOPBACK = 1 << 7;
        /// The transmitter is enabled.
        const TRANSMIT_ENABLE = 1 << 8;
        /// The receiver is enabled.
        const RECEIVE_ENABLE = 1 << 9;
        /// Data transmit ready.
        const DTR = 1 << 10;
        /// Request to send.
        const RTS = 1 << 11;
        /// Modem output 1.
        const OUT1 = 1 << 12;
        /// Modem output 2.
        const OUT2 = 1 << 13;
        /// Hardware flow control of the receiver.
        const RTS_ENABLE = 1 << 14;
        /// Hardware flow control of the transmitter.
        const CTS_ENABLE = 1 << 15;
    }

    /// UARTIMSC, UARTRIS, UARTMIS and UARTICR (DDI0183G, 3.3.10 to 3.3.13).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Interrupts: u16 {
        /// The ring indicator changed.
        const RI = 1 << 0;
        /// Clear to send changed.
        const CTS = 1 << 1;
        /// Data carrier detect changed.
        const DCD = 1 << 2;
        /// Data set ready changed.
        const DSR = 1 << 3;
        /// The receive FIFO reached its level.
        const RECEIVE = 1 << 4;
        /// The transmit FIFO went down through its level.
        const TRANSMIT = 1 << 5;
        /// Data below the level waits in the receive FIFO.
        const RECEIVE_TIMEOUT = 1 << 6;
        /// Framing error.
        const FRAMING = 1 << 7;
        /// Parity error.
        const PARITY = 1 << 8;
        /// Break.
        const BREAK = 1 << 9;
        /// Overrun.
        const OVERRUN = 1 << 10;
    }
}

/// UARTIFLS (DDI0183G, 3.3.9).
#[bit_fields(u16)]
pub struct FifoLevels {
    /// TXIFLSEL, the level of the transmit FIFO, in the encoding of the manual.
    #[bits(0..=2)]
    pub transmit: u8,
    /// RXIFLSEL, the level of the receive FIFO.
    #[bits(3..=5)]
    pub receive: u8,
}

impl FifoLevels {
    /// After reset: both FIFOs at one half.
    pub(crate) const RESET: Self = Self::from_bits_truncate(0).with_transmit(2).with_receive(2);
}

/// The bits of UARTDMACR that ask for transfers (DDI0183G, 3.3.14).
pub(crate) const DMA_ENABLE: u16 = 0b11;

/// The modem inputs among the flags.
pub(crate) const MODEM_INPUTS: Flags = Flags::CTS
    .union(Flags::DSR)
    .union(Flags::DCD)
    .union(Flags::RI);

/// UARTCR after reset: transmitter and receiver enabled, the UART itself not.
pub(crate) const CONTROL_RESET: Control = Control::TRANSMIT_ENABLE.union(Control::RECEIVE_ENABLE);

plain_bits!(
    Status: u16,
    LineControl: u16,
    Control: u16,
    Interrupts: u16,
    Flags: u16,
);
