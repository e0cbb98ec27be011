//! What the tests of all devices need.

use crate::Device;
use device_model::{Effects, GuestError, Moment, NANOSECONDS_PER_SECOND, Slot, TimeBase};
use std::vec::Vec;

/// Seconds since 1970 when the tests' counter is 0.
pub(crate) const EPOCH: u64 = 1_700_000_000;

/// Makes an empty record at `now` nanoseconds.
pub(crate) fn effects(now: u64) -> Effects {
    Effects::new(Moment {
        ticks: now,
        base: TimeBase {
            frequency: NANOSECONDS_PER_SECOND,
            epoch: EPOCH * NANOSECONDS_PER_SECOND,
        },
    })
}

pub(crate) fn slot(device: impl Into<Device>) -> Slot<Device> {
    Slot::new(device.into())
}

pub(crate) fn errors(effects: &Effects) -> Vec<GuestError> {
    effects.errors.iter().map(|record| record.error).collect()
}
