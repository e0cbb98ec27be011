//! Ranges of addresses that can neither wrap nor be empty.

use crate::{Address, Ipa, PAGE_SIZE, Pa, align_down, align_up};
use core::fmt;

/// A range of guest-physical addresses.
pub type IpaRange = Range<Ipa>;

/// A range of physical addresses.
pub type PaRange = Range<Pa>;

/// A range of addresses `start..=last`: never empty, never wrapping.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Range<A> {
    start: A,
    size: u64,
}

/// Why a start and a size are not a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeError {
    /// The size is 0 bytes.
    Empty {
        /// The start that was given.
        start: u64,
    },
    /// The end lies beyond the last 64-bit address.
    Wraps {
        /// The start that was given.
        start: u64,
        /// The size that was given, in bytes.
        size: u64,
    },
}

impl fmt::Display for RangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Empty { start } => write!(f, "the range at {start:#x} has size 0"),
            Self::Wraps { start, size } => {
                write!(
                    f,
                    "the range at {start:#x} of size {size:#x} goes beyond 64 bits"
                )
            }
        }
    }
}

impl core::error::Error for RangeError {}

impl<A: Address> Range<A> {
    /// Makes a range from its first address and its size in bytes.
    ///
    /// # Errors
    /// [`RangeError`] if the size is 0 or the end does not fit in 64 bits. A range may not reach
    /// the very last byte of the address space, so that [`Range::end`] is always an address.
    pub fn new(start: A, size: u64) -> Result<Self, RangeError> {
        if size == 0 {
            return Err(RangeError::Empty { start: start.get() });
        }
        match start.checked_add(size) {
            Some(_) => Ok(Self { start, size }),
            None => Err(RangeError::Wraps {
                start: start.get(),
                size,
            }),
        }
    }

    /// Makes a range from its first address and the first address after it; `None` if empty.
    #[must_use]
    pub fn between(start: A, end: A) -> Option<Self> {
        let size = end.offset_from(start)?;
        Self::new(start, size).ok()
    }

    /// Returns the first address.
    #[must_use]
    pub fn start(self) -> A {
        self.start
    }

    /// Returns the first address after the range.
    #[must_use]
    pub fn end(self) -> A {
        // `new` has checked that this does not wrap.
        A::new(self.start.get().wrapping_add(self.size))
    }

    /// Returns the size in bytes, never 0.
    #[must_use]
    pub fn size(self) -> u64 {
        self.size
    }

    /// Tells whether `address` lies in the range.
    #[must_use]
    pub fn contains(self, address: A) -> bool {
        address
            .offset_from(self.start)
            .is_some_and(|offset| offset < self.size)
    }

    /// Tells whether all of `other` lies in the range.
    #[must_use]
    pub fn contains_range(self, other: Self) -> bool {
        self.start <= other.start && other.end() <= self.end()
    }

    /// Tells whether any address lies in both ranges.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.start < other.end() && other.start < self.end()
    }

    /// Returns the part that lies in both ranges, if any.
    #[must_use]
    pub fn intersection(self, other: Self) -> Option<Self> {
        Self::between(self.start.max(other.start), self.end().min(other.end()))
    }

    /// Returns what is left of the range before and after `hole`.
    #[must_use]
    pub fn without(self, hole: Self) -> [Option<Self>; 2] {
        if !self.overlaps(hole) {
            return [Some(self), None];
        }
        [
            Self::between(self.start, hole.start),
            Self::between(hole.end(), self.end()),
        ]
    }

    /// Returns the offset of `address` from the start, or `None` if it lies outside.
    #[must_use]
    pub fn offset_of(self, address: A) -> Option<u64> {
        address
            .offset_from(self.start)
            .filter(|offset| *offset < self.size)
    }

    /// Tells whether start and end are multiples of `alignment`, a power of two in bytes.
    #[must_use]
    pub fn is_aligned(self, alignment: u64) -> bool {
        self.start.is_aligned(alignment) && self.end().is_aligned(alignment)
    }

    /// Returns the largest aligned range inside this one; `None` if there is none.
    #[must_use]
    pub fn shrink_to(self, alignment: u64) -> Option<Self> {
        let start = align_up(self.start.get(), alignment)?;
        let end = align_down(self.end().get(), alignment);
        Self::between(A::new(start), A::new(end))
    }

    /// Returns the smallest aligned range that holds this one; `None` if it would wrap.
    #[must_use]
    pub fn grow_to(self, alignment: u64) -> Option<Self> {
        let start = align_down(self.start.get(), alignment);
        let end = align_up(self.end().get(), alignment)?;
        Self::between(A::new(start), A::new(end))
    }

    /// Returns the number of pages that the range touches.
    #[must_use]
    pub fn pages(self) -> u64 {
        self.grow_to(PAGE_SIZE)
            .map_or(0, |range| range.size / PAGE_SIZE)
    }
}

impl<A: Address> fmt::Debug for Range<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{:#x}, {:#x})", self.start, self.end())
    }
}

impl<A: Address> fmt::Display for Range<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u64, size: u64) -> PaRange {
        Range::new(Pa::new(start), size).unwrap()
    }

    #[test]
    fn empty_and_wrapping_ranges_are_refused() {
        assert_eq!(
            PaRange::new(Pa::new(7), 0),
            Err(RangeError::Empty { start: 7 })
        );
        let start = u64::MAX - 1;
        assert_eq!(
            PaRange::new(Pa::new(start), 3),
            Err(RangeError::Wraps { start, size: 3 })
        );
        assert!(PaRange::between(Pa::new(2), Pa::new(1)).is_none());
    }

    #[test]
    fn edges_count_as_the_interval_says() {
        let a = range(0x1000, 0x1000);
        assert!(a.contains(Pa::new(0x1000)));
        assert!(a.contains(Pa::new(0x1fff)));
        assert!(!a.contains(Pa::new(0x2000)));
        assert!(!a.overlaps(range(0x2000, 1)));
        assert!(a.overlaps(range(0x1fff, 1)));
        assert!(a.contains_range(a));
        assert_eq!(a.offset_of(Pa::new(0x1ff0)), Some(0xff0));
        assert_eq!(a.offset_of(Pa::new(0x2000)), None);
    }

    #[test]
    fn a_hole_leaves_both_sides() {
        let [before, after] = range(0, 0x4000).without(range(0x1000, 0x1000));
        assert_eq!(before, Some(range(0, 0x1000)));
        assert_eq!(after, Some(range(0x2000, 0x2000)));
        assert_eq!(range(0, 0x1000).without(range(0, 0x2000)), [None, None]);
        assert_eq!(range(0, 1).without(range(5, 1)), [Some(range(0, 1)), None]);
    }

    #[test]
    fn alignment_shrinks_and_grows() {
        let a = range(0x1234, 0x3000);
        assert_eq!(a.shrink_to(PAGE_SIZE), Some(range(0x2000, 0x2000)));
        assert_eq!(a.grow_to(PAGE_SIZE), Some(range(0x1000, 0x4000)));
        assert_eq!(a.pages(), 4);
        assert_eq!(range(1, 2).shrink_to(PAGE_SIZE), None);
    }
}
