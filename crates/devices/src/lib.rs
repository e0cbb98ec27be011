//! The device models.
//!
//! One folder a device: `registers` (typed offsets and bits), `model` (configuration, state and
//! behaviour), `tests`. The back end is whatever implements [`device_model::Host`].

#![no_std]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::cast_possible_truncation
    )
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod device;
pub mod hpet;
pub mod pl011;
pub mod pl031;
pub mod pl061;
pub mod pvpanic;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod virtio_balloon;
pub mod virtio_blk;
pub mod virtio_console;
pub mod virtio_rng;

pub use device::{Device, PowerKey};
pub use hpet::Hpet;
pub use pl011::Pl011;
pub use pl031::Pl031;
pub use pl061::Pl061;
pub use pvpanic::Pvpanic;
pub use virtio_balloon::VirtioBalloon;
pub use virtio_blk::VirtioBlk;
pub use virtio_console::VirtioConsole;
pub use virtio_rng::VirtioRng;
