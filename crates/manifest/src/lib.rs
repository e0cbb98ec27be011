//! The machine description: which virtual machines there are, and what each of them is given.
//!
//! A user writes it as TOML; the host tool turns it into a [`Description`], checks it with
//! [`validate`], and packs it as a device tree ([`to_dtb`]) with the VMs' files into one archive.
//! At boot [`open`] and the same [`validate`] read and check everything again: the archive may
//! have been made by anybody. [`boot_files`] then says which bytes of it go where in a VM's memory.
//!
//! # The device tree
//! ```text
//! / {
//!     compatible = "bulkhead,manifest-v1";
//!     vms {
//!         vm@0 {                              // the unit address is the place in the list
//!             name = "linux";
//!             vcpus = <4>;
//!             memory = /bits/ 64 <0x20000000>;
//!             cmdline = "console=ttyAMA0";
//!             pinning = <0 1 2 3>;            // absent: vCPUs float
//!             spis = <64>;
//!             warm-reset = "crash";           // or "reset"; absent: "reset"
//!             initrd = "initrd-0";            // absent: none
//!             kernel {
//!                 file = "kernel-0";
//!                 format = "image";           // or "flat", or "raw" with:
//!                 // load-address, entry, memory-size: 64 bits each
//!             };
//!             devices {
//!                 pl011 { };
//!                 virtio-blk@0 {              // disks are counted
//!                     image = "disk-0";
//!                     read-only;              // absent: it can be written
//!                 };
//!             };
//!         };
//!     };
//! };
//! ```
//! Anything else in it is an error.

#![no_std]
#![cfg_attr(
    test,
    allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)
)]

extern crate alloc;

mod boot;
mod description;
mod error;
mod key;
pub mod limits;
mod read;
mod validate;
mod write;

pub use boot::{BootFiles, boot_files, disk_memory, open};
pub use description::{
    Description, Device, DeviceName, Disk, DiskAccess, Kernel, KernelFormat, Pinning,
    VmDescription, WarmReset, default_devices, may_add,
};
pub use error::{ManifestError, Place, Problem};
pub use key::Key;
pub use read::from_dtb;
pub use validate::{Machine, validate};
pub use write::to_dtb;

/// Name of the manifest's entry in the archive.
pub const FILE_NAME: &str = "manifest.dtb";

/// The `compatible` of the manifest's root node; a later version of the schema has another one.
pub const COMPATIBLE: &str = "bulkhead,manifest-v1";

#[cfg(test)]
mod tests;
