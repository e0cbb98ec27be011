//! The device tree that a guest is given.
//!
//! [`build`] describes a VM in the shape that QEMU's `virt` machine has, so that any guest for that
//! machine finds its way. The addresses are the caller's: this crate knows the bindings, not the
//! map.
//!
//! ```
//! use addr::{IntId, Ipa, IpaRange};
//! use guest_dtb::{DeviceKind, GuestDevice, GuestMachine, Seeds};
//!
//! let range = |start, size| IpaRange::new(Ipa::new(start), size).unwrap();
//! let tree = guest_dtb::build(&GuestMachine {
//!     vcpus: 2,
//!     memory: &[range(0x4000_0000, 0x1000_0000)],
//!     distributor: range(0x0800_0000, 0x1_0000),
//!     redistributors: range(0x080a_0000, 0x4_0000),
//!     devices: &[GuestDevice {
//!         kind: DeviceKind::Pl011,
//!         range: range(0x0900_0000, 0x1000),
//!         interrupt: IntId::spi(1),
//!     }],
//!     bootargs: "console=ttyAMA0",
//!     initrd: None,
//! })?;
//! let mut blob = tree.bytes().to_vec();
//! // Each start of the guest has seeds of its own.
//! for patch in tree.patches(Some(&Seeds { random: [7; 32], kaslr: [9; 8] })) {
//!     blob[patch.offset..][..patch.bytes.len()].copy_from_slice(patch.bytes);
//! }
//! # Ok::<(), guest_dtb::GuestDtbError>(())
//! ```

#![no_std]
#![cfg_attr(
    test,
    allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)
)]

extern crate alloc;

mod check;
mod devices;
mod nodes;
mod seeds;

#[cfg(test)]
mod tests;

pub use check::GuestDtbError;
pub use seeds::{GuestTree, Patch, Seeds};

use addr::{IntId, IpaRange};

/// The longest command line in bytes: what arm64 Linux takes (COMMAND_LINE_SIZE less its NUL).
pub const MAX_BOOTARGS: usize = 2047;

/// A VM as its guest shall see it.
#[derive(Clone, Copy, Debug)]
pub struct GuestMachine<'a> {
    /// Number of vCPUs; their affinities are those of [`addr::Mpidr::of_vcpu`].
    pub vcpus: u16,
    /// The banks of memory.
    pub memory: &'a [IpaRange],
    /// The distributor's registers.
    pub distributor: IpaRange,
    /// The redistributors, 128 KiB a vCPU.
    pub redistributors: IpaRange,
    /// The devices, in the order in which the guest shall find them. The first PL011 becomes the
    /// console.
    pub devices: &'a [GuestDevice],
    /// The kernel's command line; left out if empty.
    pub bootargs: &'a str,
    /// Where the initial RAM disk lies.
    pub initrd: Option<IpaRange>,
}

/// A device of a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestDevice {
    /// What it is.
    pub kind: DeviceKind,
    /// Where its registers lie.
    pub range: IpaRange,
    /// Its interrupt, an SPI; `None` for a device that has none.
    pub interrupt: Option<IntId>,
}

/// The INTID of a guest's virtual timer, whatever the machine's own is: PPI 11.
pub const VIRTUAL_TIMER: IntId = IntId::new(27);

/// The INTID of a guest's physical timer, whatever the machine's own is: PPI 14.
pub const PHYSICAL_TIMER: IntId = IntId::new(30);

/// What a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// A serial port (DDI0183).
    Pl011,
    /// A real-time clock (DDI0224).
    Pl031,
    /// A GPIO controller (DDI0190) with the power key on line 3.
    Pl061,
    /// Panic notification, without an interrupt.
    Pvpanic,
    /// A virtio device on the memory-mapped transport (virtio 1.3, 4.2).
    VirtioMmio,
}

/// Builds the flattened device tree of a VM (Devicetree Specification 0.4, chapter 5), in one pass.
///
/// # Errors
/// [`GuestDtbError`] if the description contradicts itself: ranges that overlap, interrupts that
/// are missing, shared or not SPIs, too small a redistributor range, a command line that no guest
/// could read.
pub fn build(machine: &GuestMachine<'_>) -> Result<GuestTree, GuestDtbError> {
    check::check(machine)?;
    Ok(nodes::tree(machine))
}
