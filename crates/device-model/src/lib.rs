//! The device framework: devices, bus, registers, effects.
//!
//! Every device has the same four parts:
//! - **Config**: what is fixed when it is made;
//! - **State**: what the guest sees change, as plain data that can be compared and saved;
//! - **Registers**: typed offsets ([`macro@Registers`]) and typed bits;
//! - **Wires**: interrupt line, clock and back end, all behind [`Host`]; [`Wires`] says which of
//!   them a device has.
//!
//! An access goes from the [`Bus`], which finds the slot, to [`Slot::read`] or [`Slot::write`]
//! under the device's lock. What the access causes is recorded in [`Effects`] and applied by the
//! embedder after the lock is released; nothing re-enters the device.
//!
//! What takes longer than an access, or needs guest memory, is *work*: an access only asks for it
//! ([`Host::request_work`]); the embedder then calls [`Slot::work`] with a [`Backend`], and again
//! later for as long as the device asks. Each call is bounded.
//!
//! [`access`] is the one place that knows about widths, alignment and the end of the registers, and
//! the one place that drives the interrupt line.

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

extern crate self as device_model;

pub mod access;
mod backend;
mod bus;
mod device;
mod effects;
mod host;
mod line;
pub mod migrate;
mod policy;
pub mod property;
mod registers;
mod slot;
mod time;

pub use access::AccessFault;
pub use backend::{
    Backend, BackendChange, Disk, DiskError, Entropy, GuestMemory, MemoryFault, SpareMemory,
};
pub use bus::{Bus, BusError, Hit, Miss};
pub use device::{LineEffect, MmioDevice, Model, NoRegister, Received, Wire, Wires};
pub use device_model_derive::{Device, Migrate, Properties, PropertyValue, Registers, bit_fields};
pub use effects::{Counters, Effects, ErrorRecord, InputRoom, TimerRequest, WorkRequest};
pub use host::{GuestError, GuestEvent, Host, Signal};
pub use line::{Level, Levels, LineGate, LineState, LineUpdate};
pub use migrate::Migrate;
pub use policy::{AccessPolicy, Endian, Refused, Widths};
pub use registers::{Identification, RegisterDevice, Registers, primecell};
pub use slot::{Activity, ResetPhase, Slot, WrongActivity};
pub use time::{Moment, NANOSECONDS_PER_SECOND, TimeBase};
