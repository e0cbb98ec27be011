//! The device framework: devices, bus, registers, effects.
//!
//! Every device has the same four parts:
//! - **Config**: what is fixed when it is made;
//! - **State**: what the guest sees change, as plain data that can be compared and saved;
//! - **Registers**: typed offsets ([`register_offsets!`]) and typed bits;
//! - **Wires**: interrupt line, clock and back end, all behind [`Host`]; [`Wires`] says which of
//!   them a device has.
//!
//! An access goes from the [`Bus`], which finds the slot, to [`Slot::read`] or [`Slot::write`]
//! under the device's lock. What the access causes is recorded in [`Effects`] and applied by the
//! embedder after the lock is released; nothing re-enters the device.
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

pub mod access;
mod bus;
mod device;
mod effects;
mod host;
mod line;
mod policy;
mod register;
mod slot;
mod time;

pub use access::AccessFault;
pub use bus::{Bus, BusError, Hit, Miss};
pub use device::{LineEffect, MmioDevice, Model, NoRegister, Received, Wire, Wires};
pub use effects::{Counters, Effects, ErrorRecord, InputRoom, TimerRequest};
pub use host::{GuestError, GuestEvent, Host};
pub use line::{Level, LineGate, LineState, LineUpdate};
pub use policy::{AccessPolicy, Refused, Widths};
pub use slot::Slot;
pub use time::{Moment, NANOSECONDS_PER_SECOND, TimeBase};
