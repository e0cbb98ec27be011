//! Which device answers at which guest-physical address.

use addr::{Ipa, IpaRange, RangeError, Width};
use alloc::vec::Vec;
use core::fmt;

/// A map from guest-physical addresses to devices. `T` is a handle: a slot's index, or one of the
/// interrupt controller's frames.
///
/// Made once when a VM is made, then only read: lookups need no lock.
#[derive(Clone, Debug)]
pub struct Bus<T> {
    /// In the order of their addresses; no two overlap.
    entries: Vec<Entry<T>>,
    /// Where the first granule lies: that of the first entry.
    base: u64,
    /// How many entries start at or before the first address of each granule. Empty if the entries
    /// lie too far apart.
    granules: Vec<u16>,
}

/// The size of a granule, as a power of 2: 64 KiB, in which there is seldom more than one device.
const GRANULE_SHIFT: u32 = 16;

/// How many granules there are at most: 64 MiB, which holds all that a VM has.
const MAX_GRANULES: u64 = 1024;

#[derive(Clone, Copy, Debug)]
struct Entry<T> {
    start: u64,
    size: u64,
    target: T,
}

/// What a guest's access hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit<T> {
    /// Who answers.
    pub target: T,
    /// Where in the device, in bytes.
    pub offset: u64,
}

/// Why a guest's access hits nothing. The guest takes a synchronous external abort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// Nothing answers at the address.
    Unmapped(Ipa),
    /// The access starts in a device and ends outside.
    CrossesEnd(Ipa),
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unmapped(address) => write!(f, "no device at {address}"),
            Self::CrossesEnd(address) => {
                write!(f, "the access at {address} crosses the end of a device")
            }
        }
    }
}

impl core::error::Error for Miss {}

/// Why a device cannot be attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BusError {
    /// The addresses are not a range.
    Range(RangeError),
    /// Another device is there.
    Overlap {
        /// Where the device was to be.
        new: IpaRange,
        /// Where the first device that is in the way is.
        existing: IpaRange,
    },
}

impl fmt::Display for BusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range(error) => error.fmt(f),
            Self::Overlap { new, existing } => {
                write!(f, "a device at {new} overlaps the one at {existing}")
            }
        }
    }
}

impl core::error::Error for BusError {}

impl From<RangeError> for BusError {
    fn from(error: RangeError) -> Self {
        Self::Range(error)
    }
}

impl<T> Default for Bus<T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            base: 0,
            granules: Vec::new(),
        }
    }
}

impl<T: Copy> Bus<T> {
    /// Attaches `target` at `size` bytes from `start` on.
    ///
    /// # Errors
    /// [`BusError`] if the range is empty, wraps, or overlaps another device.
    pub fn attach(&mut self, start: Ipa, size: u64, target: T) -> Result<(), BusError> {
        let new = IpaRange::new(start, size)?;
        let place = self.entries_up_to(start.get());
        let before = place.checked_sub(1).and_then(|index| self.range(index));
        let after = self.range(place);
        for existing in before.into_iter().chain(after) {
            if existing.overlaps(new) {
                return Err(BusError::Overlap { new, existing });
            }
        }
        self.entries.insert(
            place,
            Entry {
                start: start.get(),
                size,
                target,
            },
        );
        self.index();
        Ok(())
    }

    /// Finds who answers an access of `width` at `address`, in logarithmic time; at once if there is
    /// but one device in its granule.
    ///
    /// # Errors
    /// [`Miss`] if nobody does, or not for the whole width.
    #[inline]
    pub fn lookup(&self, address: Ipa, width: Width) -> Result<Hit<T>, Miss> {
        let entry = self
            .entries_up_to(address.get())
            .checked_sub(1)
            .and_then(|index| self.entries.get(index))
            .ok_or(Miss::Unmapped(address))?;
        let offset = address.get().wrapping_sub(entry.start);
        let room = entry
            .size
            .checked_sub(offset)
            .filter(|room| *room != 0)
            .ok_or(Miss::Unmapped(address))?;
        if width.bytes() > room {
            return Err(Miss::CrossesEnd(address));
        }
        Ok(Hit {
            target: entry.target,
            offset,
        })
    }

    /// Returns the devices in the order of their addresses.
    pub fn iter(&self) -> impl Iterator<Item = (IpaRange, T)> + '_ {
        self.entries.iter().filter_map(|entry| {
            let range = IpaRange::new(Ipa::new(entry.start), entry.size).ok()?;
            Some((range, entry.target))
        })
    }

    /// Counts the entries that start at or before `address`.
    #[inline]
    fn entries_up_to(&self, address: u64) -> usize {
        let granule = address.wrapping_sub(self.base) >> GRANULE_SHIFT;
        let known = usize::try_from(granule)
            .ok()
            .and_then(|granule| self.granules.get(granule));
        match known {
            Some(count) => {
                let count = usize::from(*count);
                match self.entries.get(count) {
                    // Another one starts in the same granule, perhaps before the address.
                    Some(next) if next.start <= address => self.search(address),
                    Some(_) | None => count,
                }
            }
            None => self.search(address),
        }
    }

    #[inline(never)]
    fn search(&self, address: u64) -> usize {
        self.entries.partition_point(|entry| entry.start <= address)
    }

    /// Prepares the short way of `entries_up_to`.
    fn index(&mut self) {
        let (Some(first), Some(last)) = (self.entries.first(), self.entries.last()) else {
            return;
        };
        self.base = (first.start >> GRANULE_SHIFT) << GRANULE_SHIFT;
        let span = last.start.wrapping_sub(self.base) >> GRANULE_SHIFT;
        self.granules = Vec::new();
        if span < MAX_GRANULES {
            self.granules = (0..=span)
                .map_while(|granule| {
                    let start = self.base.wrapping_add(granule << GRANULE_SHIFT);
                    u16::try_from(self.search(start)).ok()
                })
                .collect();
        }
    }

    fn range(&self, index: usize) -> Option<IpaRange> {
        let entry = self.entries.get(index)?;
        IpaRange::new(Ipa::new(entry.start), entry.size).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn bus() -> Bus<u8> {
        let mut bus = Bus::default();
        bus.attach(Ipa::new(0x9000_0000), 0x1000, 1).unwrap();
        bus.attach(Ipa::new(0x0800_0000), 0x1_0000, 2).unwrap();
        bus.attach(Ipa::new(0x9000_1000), 0x2, 3).unwrap();
        bus
    }

    #[test]
    fn an_access_finds_its_device_and_offset() {
        let bus = bus();
        let hit = bus.lookup(Ipa::new(0x9000_0ffc), Width::Word).unwrap();
        assert_eq!((hit.target, hit.offset), (1, 0xffc));
        let hit = bus.lookup(Ipa::new(0x0800_0000), Width::Double).unwrap();
        assert_eq!((hit.target, hit.offset), (2, 0));
        for address in [0, 0x07ff_ffff, 0x0801_0000, 0x9000_1002, u64::MAX] {
            let address = Ipa::new(address);
            assert_eq!(
                bus.lookup(address, Width::Byte),
                Err(Miss::Unmapped(address))
            );
        }
    }

    #[test]
    fn devices_that_share_a_granule_are_told_apart() {
        let mut bus = Bus::default();
        // Attached in an order of its own.
        for slot in [3_u64, 0, 31, 7, 1] {
            let start = Ipa::new(0x0a00_0000 + slot * 0x200);
            bus.attach(start, 0x200, slot).unwrap();
        }
        bus.attach(Ipa::new(0x0900_0000), 0x1000, 99).unwrap();
        for slot in 0..33 {
            let start = 0x0a00_0000 + slot * 0x200;
            let found = [start, start + 0x1fc]
                .map(|address| bus.lookup(Ipa::new(address), Width::Word).ok())
                .map(|hit| hit.map(|hit| (hit.target, hit.offset)));
            let there = [0, 1, 3, 7, 31].contains(&slot);
            let expected = [(slot, 0), (slot, 0x1fc)].map(|hit| there.then_some(hit));
            assert_eq!(found, expected);
        }
        let hit = bus.lookup(Ipa::new(0x0900_0018), Width::Word).unwrap();
        assert_eq!((hit.target, hit.offset), (99, 0x18));
    }

    #[test]
    fn b3_an_access_across_the_end_hits_neither_neighbour() {
        let bus = bus();
        for (address, width) in [
            (0x9000_0ffe, Width::Word),
            (0x9000_0fff, Width::Half),
            (0x9000_1001, Width::Half),
            (0x9000_1000, Width::Double),
        ] {
            let address = Ipa::new(address);
            assert_eq!(bus.lookup(address, width), Err(Miss::CrossesEnd(address)));
        }
    }

    #[test]
    fn overlap_zero_size_and_wrap_are_construction_errors() {
        let mut bus = bus();
        for (start, size) in [
            (0x9000_0fff, 1),
            (0x8fff_ffff, 2),
            (0x9000_0000, 0x1000),
            (0x8000_0000, 0x2000_0000),
            (0x9000_0800, 1),
        ] {
            assert!(matches!(
                bus.attach(Ipa::new(start), size, 9),
                Err(BusError::Overlap { .. })
            ));
        }
        for (start, size) in [(0x1000, 0), (u64::MAX, 1), (u64::MAX - 1, 8)] {
            assert!(matches!(
                bus.attach(Ipa::new(start), size, 9),
                Err(BusError::Range(_))
            ));
        }
        assert_eq!(bus.iter().count(), 3);
    }

    proptest! {
        #[test]
        fn lookup_agrees_with_a_linear_search(
            ranges in proptest::collection::vec((0..200_u64, 1..20_u64), 0..20),
            address in 0..240_u64,
            width in proptest::sample::select(Width::ALL.to_vec()),
            // Within a granule, over several, and too far apart for any.
            (base, scale) in proptest::sample::select(std::vec![
                (0, 1),
                (0x0123_4567, 0x1234),
                (0x0800_0000, 0x1_0000),
                (0x7_0000_0001, 0x0400_0001),
            ]),
        ) {
            let place = |at: u64| base + at * scale;
            let ranges = ranges.into_iter().map(|(s, n)| (place(s), n * scale));
            let address = place(address) + address % scale;
            let mut bus = Bus::default();
            let mut attached: Vec<(u64, u64, usize)> = Vec::new();
            for (index, (start, size)) in ranges.enumerate() {
                let free = attached.iter().all(|(s, n, _)| start + size <= *s || s + n <= start);
                let result = bus.attach(Ipa::new(start), size, index);
                prop_assert_eq!(result.is_ok(), free);
                if free {
                    attached.push((start, size, index));
                }
            }
            let expected = attached
                .iter()
                .find(|(s, n, _)| (*s..s + n).contains(&address))
                .map(|(s, n, index)| (address + width.bytes() <= s + n, *index, address - s));
            match (bus.lookup(Ipa::new(address), width), expected) {
                (Ok(hit), Some((true, index, offset))) => {
                    prop_assert_eq!((hit.target, hit.offset), (index, offset));
                }
                (Err(Miss::CrossesEnd(_)), Some((false, ..))) | (Err(Miss::Unmapped(_)), None) => {}
                (got, want) => prop_assert!(false, "{:?} instead of {:?}", got, want),
            }
        }
    }
}
