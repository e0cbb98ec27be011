//! The register and bits of the panic device.

use bitflags::bitflags;
use device_model::Registers;

/// The registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Registers)]
#[registers(width = 1)]
pub enum Register {
    /// Read: which events the device takes. Write: what has happened.
    Events = 0x0,
}

bitflags! {
    /// What a guest can report.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Events: u8 {
        /// The kernel has panicked and stays so.
        const PANICKED = 1 << 0;
        /// The kernel has panicked and goes on in its crash kernel.
        const CRASH_LOADED = 1 << 1;
    }
}
