//! Zeroing what nobody owns any more, a piece at a time and outside the lock.

use crate::owner::MemoryOwner;
use crate::state::Edge;
use crate::store::{BLOCK_PAGES, Piece};
use addr::{PAGE_SIZE, PaRange};

/// The most that one [`ZeroJob`] covers, in bytes.
pub const ZERO_STEP: u64 = 64 * 1024;

/// Pages in a step.
const STEP_PAGES: usize = 16;

/// A piece of memory that nobody else touches while it is being zeroed.
///
/// There is one at a time, so that no CPU can still be zeroing a page that another has declared
/// clean. A job that is dropped stays open: no memory becomes clean any more.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "zero the range, then hand the job to MemoryOwner::zeroed"]
pub struct ZeroJob {
    range: PaRange,
}

impl ZeroJob {
    /// Returns the range to write zeros over, in whole pages, at most [`ZERO_STEP`].
    #[must_use]
    pub fn range(&self) -> PaRange {
        self.range
    }
}

/// The state of zeroing.
#[derive(Debug, Default)]
pub(crate) struct Zeroing {
    /// The piece of the open job.
    open: Option<Piece>,
    /// A block all of which is dirty, and how many of its pages have been zeroed: it changes its
    /// state as a whole, so that it needs no detail. Nothing but zeroing leads out of that state.
    block: Option<(usize, usize)>,
}

impl Zeroing {
    /// Tells whether pages of the block are being zeroed, or some have been.
    pub(crate) fn is_in(&self, block: usize) -> bool {
        self.open.is_some_and(|piece| piece.block == block)
            || self.block.is_some_and(|(other, _)| other == block)
    }
}

impl MemoryOwner {
    /// Returns the next piece to zero; `None` if nothing is dirty or another job is open.
    pub fn next_to_zero(&mut self) -> Option<ZeroJob> {
        if self.zeroing.open.is_some() {
            return None;
        }
        let piece = self.next_piece()?;
        let range = self.store.range(piece)?;
        self.zeroing.open = Some(piece);
        Some(ZeroJob { range })
    }

    /// Records that the job's range is zero now, and so visible to every CPU.
    pub fn zeroed(&mut self, job: ZeroJob) {
        let Some(piece) = self.zeroing.open.take() else {
            return;
        };
        debug_assert_eq!(self.store.range(piece), Some(job.range));
        let done = piece.first.saturating_add(piece.count);
        let before = match self.zeroing.block.take() {
            Some((block, zeroed)) if block == piece.block => zeroed,
            Some(_) | None => 0,
        };
        let finished = match self.store.uniform(piece.block) {
            // The job began in the middle of a block whose other pages were released meanwhile, so
            // that all of it is dirty now: what this job has done is not worth remembering.
            Some(_) if piece.first != before => None,
            Some(_) if done < BLOCK_PAGES => {
                self.zeroing.block = Some((piece.block, done));
                None
            }
            Some(_) => Some(Piece {
                first: 0,
                count: BLOCK_PAGES,
                ..piece
            }),
            None => Some(piece),
        };
        if let Some(piece) = finished {
            // Neither a whole block nor one with a detail needs a detail.
            let _ = self.store.set(piece, &mut self.accounts, |state| {
                Edge::Zeroed.apply(state).unwrap_or(state)
            });
        }
    }

    fn next_piece(&self) -> Option<Piece> {
        if let Some((block, first)) = self.zeroing.block {
            // A first job of fewer pages shifts the later ones.
            let count = BLOCK_PAGES.saturating_sub(first).min(STEP_PAGES);
            return Some(Piece {
                block,
                first,
                count,
            });
        }
        let block = self.store.dirty.first_from(0)?;
        match self.store.uniform(block) {
            Some(_) => Some(Piece {
                block,
                first: 0,
                count: STEP_PAGES,
            }),
            None => self.store.dirty_run(block, STEP_PAGES),
        }
    }
}

const _: () = assert!(STEP_PAGES as u64 * PAGE_SIZE == ZERO_STEP);
