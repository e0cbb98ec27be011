//! The PrimeCell UART, PL011 (DDI0183G).
//!
//! The wire is infinitely fast: a byte leaves as soon as it is written, so the transmit FIFO holds
//! bytes only if [`Config::disabled_transmitter`] says that they wait. Baud rate and character
//! format are stored and have no effect. Not modelled: DMA, IrDA, hardware flow control.

mod model;
mod registers;
mod state;
#[cfg(test)]
mod tests;

pub use model::Pl011;
pub use registers::{Control, DmaControl, Flags, Interrupts, LineControl, Register, Status};
pub use state::{Config, DisabledTransmitter, FIFO_DEPTH, State};
