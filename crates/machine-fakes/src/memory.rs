//! Tables and guest memory.

use addr::{PAGE_SIZE, Pa, PaRange, Range};
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use machine::GuestMemoryError;

/// Descriptors in a table.
const DESCRIPTORS: usize = 512;

/// The memory that translation tables live in.
#[derive(Clone, Debug)]
pub struct FakeTables {
    /// How many tables may still be allocated.
    pub quota: usize,
    next: u64,
    /// Each allocation by its address.
    allocations: BTreeMap<u64, Vec<u64>>,
}

impl FakeTables {
    /// Makes room for `quota` tables at and above `start`.
    #[must_use]
    pub fn new(start: Pa, quota: usize) -> Self {
        Self {
            quota,
            next: start.get(),
            allocations: BTreeMap::new(),
        }
    }

    /// Counts the tables that are allocated.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.allocations
            .values()
            .map(|table| table.len() / DESCRIPTORS)
            .sum()
    }

    pub(crate) fn read(&self, table: Pa, index: usize) -> u64 {
        let (start, place) = self.locate(table, index);
        self.allocations[&start][place]
    }

    pub(crate) fn write(&mut self, table: Pa, index: usize, descriptor: u64) {
        let (start, place) = self.locate(table, index);
        if let Some(allocation) = self.allocations.get_mut(&start) {
            allocation[place] = descriptor;
        }
    }

    pub(crate) fn allocate(&mut self, order: u32) -> Option<Pa> {
        let count = 1_usize << order;
        if count > self.quota {
            return None;
        }
        self.quota -= count;
        let size = PAGE_SIZE << order;
        let start = self.next.next_multiple_of(size);
        self.next = start + size;
        self.allocations.insert(start, vec![0; count * DESCRIPTORS]);
        Some(Pa::new(start))
    }

    pub(crate) fn free(&mut self, table: Pa, order: u32) {
        let freed = self.allocations.remove(&table.get());
        let count = 1_usize << order;
        assert_eq!(
            freed.map(|table| table.len()),
            Some(count * DESCRIPTORS),
            "{table} of order {order} was not allocated so"
        );
        self.quota += count;
    }

    /// Finds the allocation of a descriptor, and its place in it: a table may be the middle one of
    /// a concatenated root.
    fn locate(&self, table: Pa, index: usize) -> (u64, usize) {
        let found = self.allocations.range(..=table.get()).next_back();
        let place = found.and_then(|(start, descriptors)| {
            let bytes = usize::try_from(table.get() - start).ok()?;
            let place = bytes / 8 + index;
            (place < descriptors.len()).then_some((*start, place))
        });
        assert!(place.is_some(), "{table}[{index}] is no allocated table");
        place.unwrap_or_default()
    }
}

/// The memory of guests. Several pieces of RAM; anything else is not RAM.
#[derive(Clone, Debug, Default)]
pub struct FakeMemory {
    pieces: BTreeMap<u64, Vec<u8>>,
    /// What was made visible to instruction fetches, in order.
    pub published: Vec<PaRange>,
    /// What was zeroed, in order.
    pub zeroed: Vec<PaRange>,
}

impl FakeMemory {
    /// Adds a piece of RAM, filled with zeros.
    pub fn add(&mut self, range: PaRange) {
        let size = usize::try_from(range.size()).unwrap_or(usize::MAX);
        self.pieces.insert(range.start().get(), vec![0; size]);
    }

    /// Returns `size` bytes from `address` on.
    ///
    /// # Errors
    /// [`GuestMemoryError`] if they are not all in one piece of RAM.
    pub fn bytes(&self, address: Pa, size: u64) -> Result<&[u8], GuestMemoryError> {
        let error = GuestMemoryError { address, size };
        let (start, piece) = self
            .pieces
            .range(..=address.get())
            .next_back()
            .ok_or(error)?;
        span(*start, address, size)
            .and_then(|(from, to)| piece.get(from..to))
            .ok_or(error)
    }

    /// Returns `size` bytes from `address` on, to be changed.
    ///
    /// # Errors
    /// [`GuestMemoryError`] if they are not all in one piece of RAM.
    pub fn bytes_mut(&mut self, address: Pa, size: u64) -> Result<&mut [u8], GuestMemoryError> {
        let error = GuestMemoryError { address, size };
        let (start, piece) = self
            .pieces
            .range_mut(..=address.get())
            .next_back()
            .ok_or(error)?;
        span(*start, address, size)
            .and_then(|(from, to)| piece.get_mut(from..to))
            .ok_or(error)
    }

    pub(crate) fn copy(
        &mut self,
        target: Pa,
        source: Pa,
        size: u64,
    ) -> Result<(), GuestMemoryError> {
        if let (Ok(to), Ok(from)) = (Range::new(target, size), Range::new(source, size)) {
            assert!(!to.overlaps(from), "a copy from {from} to {to} overlaps");
        }
        let bytes = self.bytes(source, size)?.to_vec();
        self.bytes_mut(target, size)?.copy_from_slice(&bytes);
        Ok(())
    }
}

fn span(start: u64, address: Pa, size: u64) -> Option<(usize, usize)> {
    let from = usize::try_from(address.get() - start).ok()?;
    let to = from.checked_add(usize::try_from(size).ok()?)?;
    Some((from, to))
}
