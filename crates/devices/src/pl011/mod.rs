//! The PrimeCell UART, PL011 (DDI0183G).
//!
//! The wire is infinitely fast: a byte leaves as soon as it is written, so the transmit FIFO holds
//! bytes only if [`Config::disabled_transmitter`] says that they wait. Baud rate and character
//! format are stored; the rate matters only for the receive timeout, and only if
//! [`Config::clock`] says how fast the UART is clocked. DMA is absent: UARTDMACR reads as zero and
//! ignores writes. Not modelled: IrDA, hardware flow control (stored, without effect).

mod model;
mod registers;
mod state;
#[cfg(test)]
mod tests;

pub use model::Pl011;
pub use registers::{Control, FifoLevels, Flags, Interrupts, LineControl, Register, Status};
pub use state::{Config, DisabledTransmitter, FIFO_DEPTH, State, StateSnapshot};
