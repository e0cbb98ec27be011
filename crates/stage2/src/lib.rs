//! Stage 2 translation tables: descriptors, walks, edits and the invalidations they owe.
//!
//! One [`Stage2`] is one VM's (or partition's) second translation stage: VMSAv8-64, 4 KiB granule,
//! output addresses of up to 48 bits (Arm ARM DDI 0487, chapter D8). Everything is decided here;
//! memory and TLBs are reached through [`machine::TableMemory`] and [`machine::Tlb`].
//!
//! # Locking
//! A tree belongs to one lock, its VM's. An edit that takes translations away, and the
//! [`PendingInvalidation`] that it returns, happen under one acquisition: between the two the tables
//! and the TLBs disagree, and a split block is absent altogether. A stage 2 fault that another CPU
//! takes meanwhile is therefore decided under the same lock, with [`Stage2::walk`]: a walk that
//! finds the access permitted means that the fault was transient, and the guest tries again.
//! Copying code translates and copies under that lock too, or the page may leave in between.
//!
//! # Bounded work
//! No call visits more than [`STEP_DESCRIPTORS`] descriptors and a small constant beside it; what
//! is left of the request is part of the answer, and the caller goes on in a later exit.

#![no_std]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_possible_wrap,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod descriptor;
mod edit;
mod geometry;
mod pending;
mod split;
mod table;
mod teardown;
mod vmid;
mod walk;

#[cfg(test)]
mod fakes;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod vmid_tests;

pub use descriptor::{
    AttributeFormat, Attributes, Descriptor, Entry, Leaf, Level, MemoryKind, Permissions, Software,
};
pub use edit::{EditError, Mapping, STEP_DESCRIPTORS};
pub use geometry::{Geometry, GeometryError};
pub use pending::PendingInvalidation;
pub use table::Stage2;
pub use teardown::{Teardown, TeardownProgress};
pub use vmid::{VmidAllocator, VmidError, VmidSlot, VmidTable, VmidWidth};
pub use walk::{Access, Translation, WalkError};
