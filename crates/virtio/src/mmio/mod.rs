//! The memory-mapped transport (virtio 1.3, 4.2), in its version 2 and in the legacy version 1.

mod legacy;
mod model;
mod registers;
mod setup;
mod snapshot;
mod state;
#[cfg(test)]
mod tests;

pub use model::{Config, VirtioMmio};
pub use registers::{CONFIGURATION, FRAME, Register};
pub use state::{Interrupts, State};

/// Which interface the driver finds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// Version 1: the legacy interface (4.2.4), for drivers older than virtio 1.0.
    Legacy,
    /// Version 2.
    #[default]
    Modern,
}

/// The vendor that the driver reads: "BKHD".
pub const VENDOR: u32 = u32::from_le_bytes(*b"BKHD");
