//! The PrimeCell UART, PL011 (DDI0183G).
//!
//! The wire is infinitely fast: a byte leaves as soon as it is written, so the transmit FIFO holds
//! bytes only if [`Config::disabled_transmitter`] says that they wait. Baud rate and character
//! format are stored and have no effect. Not modelled: DMA, IrDA, hardware flow control.

mod model;
mod registers;
#[cfg(test)]
mod tests;

pub use model::{Config, DisabledTransmitter, FIFO_DEPTH, Pl011, State};
pub use registers::{Control, Flags, Interrupts, LineControl, Register, Status};
