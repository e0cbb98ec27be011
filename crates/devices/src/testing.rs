//! What the tests of all devices need.

pub(crate) mod virtio;

use crate::Device;
use addr::Width;
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

/// Checks the identification registers of a PrimeCell.
pub(crate) fn check_identification(slot: &mut Slot<Device>, expected: [u64; 8]) {
    for (offset, expected) in (0xfe0..0x1000).step_by(4).zip(expected) {
        let mut host = effects(0);
        assert_eq!(slot.write(&mut host, offset, Width::Word, 0xffff), Ok(()));
        assert_eq!(errors(&host), [GuestError::ReadOnly]);
        assert_eq!(slot.read(&mut host, offset, Width::Word), Ok(expected));
        // Between the registers there is nothing to be aligned to.
        assert!(slot.read(&mut host, offset + 1, Width::Half).is_err());
    }
}
