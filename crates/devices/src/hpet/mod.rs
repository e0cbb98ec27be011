//! The high precision event timers (IA-PC HPET 1.0a).
//!
//! A PC's device: it proves that the framework carries one with many registers, lines and timers,
//! and runs on the host only. Line n of the device is input n of the I/O APIC. Interrupts by edge
//! are pulses, those by the front side bus are messages.

mod clock;
mod model;
mod registers;
#[cfg(test)]
mod tests;
mod timer;

pub use model::{Config, Hpet, LEGACY_LINES, MIN_INTERVAL, State, StateSnapshot};
pub use registers::{Capabilities, GeneralConfig, Location, TimerConfig, TimerRegister};
pub use timer::{MAX_TIMERS, Timer, TimerSnapshot};
