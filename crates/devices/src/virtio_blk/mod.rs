//! The block device (virtio 1.3, 5.2).
//!
//! The data stands in a [`device_model::Disk`]; [`image`] and [`window`] are what such a disk is
//! made of: an image whose changes are kept beside it, and a part of a larger disk.
//!
//! A request is carried out in pieces, as much as a turn allows, and continues in the next turn
//! where it left off. Each queue has at most one request in work, so requests of a queue complete
//! in the order in which they were made available, and a write that was completed is seen by every
//! request that comes later.

pub mod image;
mod model;
mod request;
mod state;
#[cfg(test)]
mod tests;
pub mod window;

pub use model::VirtioBlk;
pub use request::{Header, ID_BYTES, Outcome, RequestKind, SECTOR};
pub use state::{Access, Cache, Config, State};
