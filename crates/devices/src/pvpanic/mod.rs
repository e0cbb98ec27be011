//! The panic device `qemu,pvpanic-mmio`: one register, in which a guest's kernel says that it has
//! panicked.

mod model;
mod registers;
#[cfg(test)]
mod tests;

pub use model::{Config, Pvpanic, State};
pub use registers::{Events, Register};
