//! Guest kernel formats, the guest's memory map, and where a guest's boot files go in its memory.
//!
//! [`recognise`] tells by content what a kernel file is, [`parse_image`] reads the header of an
//! arm64 Linux `Image`, [`layout`] places kernel, initial file system and device tree so that
//! nothing overlaps, and [`map`] says where the guest finds its devices. All of them read what
//! anybody may have written: they allocate nothing and never panic.

#![no_std]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

#[cfg(test)]
extern crate alloc;

mod header;
mod kind;
mod layout;
pub mod map;

pub use header::{GranuleSize, ImageError, ImageHeader, Placement, parse_image};
pub use kind::{KernelKind, recognise};
pub use layout::{KernelPlacement, Layout, LayoutError, LayoutRequest, MAX_DTB_BYTES, layout};
