//! The boot archive: one file, in the cpio "newc" format, that holds the manifest, the kernels and
//! the initial file systems of all VMs.
//!
//! [`Archive`] reads one that anybody may have written: it checks every header once, allocates
//! nothing and never panics. [`Writer`] makes archives on the host, both the boot archive, whose
//! large files begin on block boundaries, and initial file systems for Linux guests.
//!
//! The format is the one that Linux documents in
//! `Documentation/driver-api/early-userspace/buffer-format.rst`: for each entry a header of ASCII
//! hexadecimal fields, the name, and the data, each padded to 4 bytes.

#![no_std]
#![cfg_attr(
    test,
    allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)
)]

extern crate alloc;

mod format;
mod read;
mod write;

pub use format::{EntryKind, MAX_ENTRIES, MAX_NAME, PADDING_NAME};
pub use read::{Archive, ArchiveError, Entries, Entry};
pub use write::{DeviceNumber, WriteError, Writer};

#[cfg(test)]
mod tests;
