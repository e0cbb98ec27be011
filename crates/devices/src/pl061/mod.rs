//! The PrimeCell GPIO, PL061 (DDI0190B): eight pins.
//!
//! Outputs go nowhere; they can be read from [`State`]. One input may be a key ([`Config::key`]):
//! [`Pl061::press`] closes it for 100 ms, which is how a VM is asked to shut down. Hardware control
//! (GPIOAFSEL) is stored, without effect.

mod model;
mod registers;
#[cfg(test)]
mod tests;

pub use model::{Config, PRESS, Pl061, State, StateSnapshot};
pub use registers::{Location, Register};
