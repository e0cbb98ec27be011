//! Typed addresses, address ranges and identifiers.
//!
//! A guest-physical address ([`Ipa`]) and a machine-physical address ([`Pa`]) are different types:
//! only a stage 2 translation turns the first into the second. All arithmetic is checked; an
//! operation that could wrap returns an [`Option`].
//!
//! A [`Range`] that came from a guest, a partition or a file is an *allegation*: it does not wrap
//! and is not empty, and nothing more. Only its memory's owner can say that it may be used.

#![no_std]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

mod address;
mod id;
mod range;
mod width;

pub use address::{Address, Ipa, Pa, align_down, align_up};
pub use id::{CpuId, IntId, Mpidr, PartitionId, VcpuId, VcpuIndex, VmId};
pub use range::{IpaRange, PaRange, Range, RangeError};
pub use width::Width;

/// Size of a page in bytes: the 4 KiB translation granule, the only one used.
pub const PAGE_SIZE: u64 = 4096;

/// Size in bytes of the block that one level 2 descriptor maps (4 KiB granule).
pub const BLOCK_2M: u64 = 2 * 1024 * 1024;

/// Size in bytes of the block that one level 1 descriptor maps (4 KiB granule).
pub const BLOCK_1G: u64 = 1024 * 1024 * 1024;
