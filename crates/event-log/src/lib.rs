//! Fixed-size records of what the hypervisor did.
//!
//! Each CPU writes into its own [`Ring`] without a lock; anybody may read it meanwhile and is told
//! when a record was overwritten under his hands. A record is 32 bytes, so that writing one costs
//! about 20 instructions, and the host decodes a memory dump with [`Record::from_words`].

#![no_std]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::cast_possible_truncation
    )
)]

#[cfg(test)]
extern crate std;

mod kind;
mod record;
mod ring;

pub use kind::{Kind, UnknownKind};
pub use record::{Record, WORDS};
pub use ring::{Entry, ReadError, Reader, Ring};
