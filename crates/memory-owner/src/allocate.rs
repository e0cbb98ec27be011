//! Handing out memory: clean, or to those who may see what is in it.

use crate::error::AllocateError;
use crate::owner::MemoryOwner;
use crate::state::{Edge, Owner, State};
use crate::store::Piece;
use addr::{Address, BLOCK_2M, PAGE_SIZE, Pa, PaRange};

/// The most that one call of [`MemoryOwner::allocate_blocks`] hands out, in bytes.
pub const ALLOCATION_STEP: u64 = 64 * BLOCK_2M;

/// The largest order of [`MemoryOwner::allocate_pages`]: 64 pages.
pub const MAX_ORDER: u32 = 6;

/// How many blocks with some free pages are searched before a whole one is broken up.
const SEARCHED_BLOCKS: usize = 32;

impl MemoryOwner {
    /// Hands out the lowest contiguous run of clean blocks of 2 MiB, at most `bytes` and at most
    /// [`ALLOCATION_STEP`]: call it again for the rest of what is needed. The search takes a few
    /// steps whatever the size of the machine.
    ///
    /// # Errors
    /// [`AllocateError`]; nothing is handed out then by this call. What earlier calls have handed
    /// out is given back with [`MemoryOwner::release`] or [`MemoryOwner::release_all`].
    pub fn allocate_blocks(&mut self, owner: Owner, bytes: u64) -> Result<PaRange, AllocateError> {
        if bytes == 0 || !bytes.is_multiple_of(BLOCK_2M) {
            return Err(AllocateError::Size { bytes });
        }
        let first = self.store.free.first_from(0);
        let start = first.and_then(|block| self.store.address(block));
        let (Some(first), Some(start)) = (first, start) else {
            return Err(self.no_memory());
        };
        let most = bytes.min(ALLOCATION_STEP) / BLOCK_2M;
        let run = self.run(first, start, most, |owner, block| {
            owner.store.free.contains(block)
        });
        let range = PaRange::new(start, run.saturating_mul(BLOCK_2M));
        let range = range.map_err(|_| self.no_memory())?;
        self.take(range, Edge::Allocate { to: owner })
    }

    /// Hands out the lowest contiguous run of unused blocks of 2 MiB, whatever is in them, as
    /// [`MemoryOwner::allocate_blocks`] does clean ones. The owner is one that may see their
    /// contents; it zeroes them before it gives them to a guest.
    ///
    /// # Errors
    /// [`AllocateError`]; nothing is handed out then.
    pub fn claim_blocks(&mut self, owner: Owner, bytes: u64) -> Result<PaRange, AllocateError> {
        if bytes == 0 || !bytes.is_multiple_of(BLOCK_2M) {
            return Err(AllocateError::Size { bytes });
        }
        let first = self.first_unused();
        let start = first.and_then(|block| self.store.address(block));
        let (Some(first), Some(start)) = (first, start) else {
            return Err(self.no_memory());
        };
        let most = bytes.min(ALLOCATION_STEP) / BLOCK_2M;
        let run = self.run(first, start, most, |owner, block| owner.is_unused(block));
        let range = PaRange::new(start, run.saturating_mul(BLOCK_2M));
        let range = range.map_err(|_| self.no_memory())?;
        self.take(range, Edge::Claim { to: owner })
    }

    /// Finds the lowest block that is unused as a whole. Those that are dirty in part are passed
    /// over; there are at most as many as there are details.
    fn first_unused(&self) -> Option<usize> {
        let free = self.store.free.first_from(0);
        let mut next = 0;
        while let Some(block) = self.store.dirty.first_from(next) {
            if free.is_some_and(|free| free < block) {
                break;
            }
            if self.is_unused(block) {
                return Some(block);
            }
            next = block.saturating_add(1);
        }
        free
    }

    /// Tells whether a block is nobody's as a whole, and nobody is zeroing it.
    fn is_unused(&self, block: usize) -> bool {
        match self.store.uniform(block) {
            Some(State::Free) => true,
            Some(State::Dirty) => !self.zeroing.is_in(block),
            Some(State::Absent | State::Owned(_) | State::Shared { .. } | State::Lent { .. })
            | None => false,
        }
    }

    /// Counts the blocks from `first` on, which lies at `start`, that follow each other and are
    /// wanted: at least that one, and at most `most`.
    fn run(
        &self,
        first: usize,
        start: Pa,
        most: u64,
        is_wanted: impl Fn(&Self, usize) -> bool,
    ) -> u64 {
        let mut run = 1_u64;
        for block in (first..self.store.blocks()).skip(1) {
            let next = start.checked_add(run.saturating_mul(BLOCK_2M));
            // The next block may be the first of another bank.
            let adjacent = next.is_some() && self.store.address(block) == next;
            if run >= most || !adjacent || !is_wanted(self, block) {
                break;
            }
            run = run.saturating_add(1);
        }
        run
    }

    /// Hands out `1 << order` consecutive clean pages, aligned to their total size: what a
    /// translation table, a concatenated root or a queue needs. At most 32 blocks that are in use
    /// in part are searched, then a whole block is broken up.
    ///
    /// # Errors
    /// [`AllocateError`].
    pub fn allocate_pages(&mut self, owner: Owner, order: u32) -> Result<PaRange, AllocateError> {
        if order > MAX_ORDER {
            return Err(AllocateError::Order { order });
        }
        let count = 1_usize.wrapping_shl(order);
        let piece = self
            .find_pages(order, count)
            .ok_or_else(|| self.no_memory())?;
        let range = self.store.range(piece).ok_or_else(|| self.no_memory())?;
        self.take(range, Edge::Allocate { to: owner })
    }

    fn find_pages(&self, order: u32, count: usize) -> Option<Piece> {
        let mut next = 0;
        for _ in 0..SEARCHED_BLOCKS {
            let Some(block) = self.store.partial.first_from(next) else {
                break;
            };
            if let Some(first) = self.store.free_run(block, order) {
                return Some(Piece {
                    block,
                    first,
                    count,
                });
            }
            next = block.checked_add(1)?;
        }
        let block = self.store.free.first_from(0)?;
        Some(Piece {
            block,
            first: 0,
            count,
        })
    }

    /// Takes unused pages, all in one step.
    fn take(&mut self, range: PaRange, edge: Edge) -> Result<PaRange, AllocateError> {
        debug_assert!(range.is_aligned(PAGE_SIZE));
        match self.change(range, edge)? {
            None => Ok(range),
            // A step takes more blocks than are handed out at once; were it not so, the rest would
            // simply stay as it is.
            Some(rest) => {
                PaRange::between(range.start(), rest.start()).ok_or_else(|| self.no_memory())
            }
        }
    }

    fn no_memory(&self) -> AllocateError {
        AllocateError::NoMemory {
            free: self.free_pages(),
            dirty: self.dirty_pages(),
        }
    }
}
