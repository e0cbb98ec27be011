//! The device's side of virtio 1.3: split and packed rings, and the memory-mapped transport, in its
//! version 2 and in the legacy version 1.
//!
//! | file | section of the specification |
//! |---|---|
//! | `feature` | 2.2, 6: feature bits that belong to no device |
//! | `status` | 2.1: the device status |
//! | `queue` | 2.6: what all queues have, and what is checked when one is started |
//! | `queue/split` | 2.7: split rings |
//! | `queue/packed` | 2.8: packed rings |
//! | `queue/descriptor` | 2.7.5, 2.8.5: a descriptor's fields |
//! | `queue/chain` | a chain of descriptors, in private memory |
//! | `turn` | one bounded piece of a device's work |
//! | `device` | what a kind of device adds: features, configuration, what it does with chains |
//! | `mmio` | 4.2: the transport |
//!
//! # How a ring is read
//! Everything in guest memory is an allegation, and changes while it is looked at. So:
//! 1. **Read once, into private memory.** A descriptor is copied as 16 bytes, the copy is checked,
//!    and a [`queue::Chain`] of plain segments is made of it. Nothing is read again: what a driver
//!    changes afterwards has no effect on the chain. Only when the chain is complete does the
//!    device see it.
//! 2. **Every number is checked when it is copied**: the distance of the available index (at most
//!    the queue's size), indexes of descriptors (below the table's length), the length of an
//!    indirect table (a multiple of 16, not 0, at most the queue's size in descriptors), the chain's
//!    length (at most the queue's size, which also ends loops), the order of readable before
//!    writable, the end of each segment, the sum of all. What is wrong is a [`queue::QueueError`]
//!    that carries the value; the device then sets DEVICE_NEEDS_RESET (2.1.2) and does nothing more
//!    until it is reset.
//! 3. **Addresses are not checked here.** Each copy is; an address outside the guest's RAM is a
//!    [`device_model::MemoryFault`] at the moment of the copy.
//! 4. **State is not trusted either.** Positions in a ring are masked or compared each time that
//!    they are used, so that a queue that was restored from a file can do no more than a driver.
//! 5. **Bounded.** Whatever touches guest memory is paid for out of a [`Turn`]'s budget. Reading a
//!    chain stops when it is used up and continues in the next turn, where it left off; so does a
//!    device in the middle of a request. The rest of the work is asked for by
//!    [`device_model::Host::request_work`].
//!
//! The used index of a split ring is written once a turn, and one decision about the notification
//! is made once a turn, after a full fence (2.7.10, 2.8.21).

#![no_std]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        clippy::unwrap_used
    )
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod bytes;
mod device;
mod feature;
pub mod mmio;
pub mod queue;
mod status;
mod turn;

pub use device::{ConfigEffect, ConfigSpace, ConfigWrite, DeviceId, VirtioDevice};
pub use feature::Features;
pub use mmio::{Version, VirtioMmio};
pub use status::Status;
pub use turn::{Turn, Work};
