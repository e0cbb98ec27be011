//! The PrimeCell real-time clock, PL031 (DDI0224C).
//!
//! The clock runs from the start and shows the time of day, as a firmware would have set it.

mod model;
mod registers;
#[cfg(test)]
mod tests;

pub use model::{Config, Pl031, State};
pub use registers::Register;
