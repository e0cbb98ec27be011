//! The block device (virtio 1.3, 5.2).
//!
//! The data stands in a [`device_model::Disk`].
//!
//! A request is carried out in pieces, as much as a turn allows, and continues in the next turn
//! where it left off. Each queue has at most one request in work, so requests of a queue complete
//! in the order in which they were made available, and a write that was completed is seen by every
//! request that comes later.

mod model;
mod request;
#[cfg(test)]
mod tests;

pub use model::{Access, Cache, Config, State, VirtioBlk};
pub use request::{Header, ID_BYTES, Outcome, RequestKind, SECTOR};
