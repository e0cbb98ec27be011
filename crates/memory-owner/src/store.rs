//! The states of all pages, in two levels, and the sets of blocks that follow from them.

use crate::accounts::Accounts;
use crate::block_set::BlockSet;
use crate::state::{PackedState, State};
use addr::{Address, BLOCK_2M, PAGE_SIZE, Pa, PaRange};
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

/// Pages in a block.
pub(crate) const BLOCK_PAGES: usize = 512;

/// One bit a page of a block.
const PAGE_WORDS: usize = BLOCK_PAGES / 64;

/// Part of one block: pages `first` up to `first + count`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    pub(crate) block: usize,
    pub(crate) first: usize,
    pub(crate) count: usize,
}

impl Piece {
    /// Tells whether this is the whole block.
    pub(crate) fn is_whole(self) -> bool {
        self.count == BLOCK_PAGES
    }
}

/// A bank of RAM, in whole blocks: those at its ends may be absent in part.
#[derive(Clone, Copy, Debug)]
struct Bank {
    range: PaRange,
    /// The number of its first block.
    first: usize,
}

/// The pages of a block, in one state or in many.
#[derive(Clone, Copy, Debug)]
enum Block {
    Uniform(State),
    /// An index into the pool.
    Detailed(usize),
}

/// What is known of the pages of one block beside their states: which are free, and which dirty.
#[derive(Clone, Copy, Debug)]
struct Detail {
    free: [u64; PAGE_WORDS],
    dirty: [u64; PAGE_WORDS],
}

/// The states of all pages.
#[derive(Debug)]
pub(crate) struct Store {
    banks: Vec<Bank>,
    blocks: Vec<Block>,
    /// The pool.
    details: Vec<Detail>,
    /// The states of the pages of each detail, one detail after the other. Allocated at once, and
    /// filled as far as the pool has been used: filling all of it at boot would cost time.
    pages: Vec<PackedState>,
    /// Which of the pool are unused.
    unused: Vec<usize>,
    /// Blocks that are free as a whole.
    pub(crate) free: BlockSet,
    /// Blocks with free pages among others.
    pub(crate) partial: BlockSet,
    /// Blocks with dirty pages.
    pub(crate) dirty: BlockSet,
    pub(crate) free_pages: u64,
    pub(crate) dirty_pages: u64,
}

impl Store {
    /// Makes the store of banks that are sorted, in whole blocks and don't touch; all pages are
    /// absent. `None` if there are more blocks than can be counted.
    pub(crate) fn new(banks: &[PaRange], details: usize) -> Option<Self> {
        let mut first: usize = 0;
        let mut list = Vec::new();
        for &range in banks {
            list.push(Bank { range, first });
            let count = usize::try_from(range.size() / BLOCK_2M).ok()?;
            first = first.checked_add(count)?;
        }
        Some(Self {
            banks: list,
            blocks: vec![Block::Uniform(State::Absent); first],
            details: vec![Detail::EMPTY; details],
            pages: Vec::with_capacity(details.checked_mul(BLOCK_PAGES)?),
            unused: (0..details).rev().collect(),
            free: BlockSet::new(first),
            partial: BlockSet::new(first),
            dirty: BlockSet::new(first),
            free_pages: 0,
            dirty_pages: 0,
        })
    }

    /// Returns the number of blocks.
    pub(crate) fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// Returns how many more blocks can have pages in different states.
    pub(crate) fn unused_details(&self) -> usize {
        self.unused.len()
    }

    /// Finds the block and the page of an address; `None` outside all banks.
    pub(crate) fn locate(&self, pa: Pa) -> Option<(usize, usize)> {
        let bank = self.banks.iter().find(|bank| bank.range.contains(pa))?;
        let offset = bank.range.offset_of(pa)?;
        let block = usize::try_from(offset / BLOCK_2M).ok()?;
        let page = usize::try_from(offset % BLOCK_2M / PAGE_SIZE).ok()?;
        Some((bank.first.checked_add(block)?, page))
    }

    /// Returns the first address of a block.
    pub(crate) fn address(&self, block: usize) -> Option<Pa> {
        let bank = self.banks.iter().rev().find(|bank| bank.first <= block)?;
        let offset = u64::try_from(block.checked_sub(bank.first)?).ok()?;
        bank.range
            .start()
            .checked_add(offset.checked_mul(BLOCK_2M)?)
    }

    /// Returns the range of a piece.
    pub(crate) fn range(&self, piece: Piece) -> Option<PaRange> {
        let page = |number| u64::try_from(number).ok()?.checked_mul(PAGE_SIZE);
        let start = self.address(piece.block)?.checked_add(page(piece.first)?)?;
        PaRange::new(start, page(piece.count)?).ok()
    }

    /// Returns the part of the block at the start of `range` that lies in it.
    pub(crate) fn first_piece(&self, range: PaRange) -> Option<Piece> {
        let (block, first) = self.locate(range.start())?;
        let pages = usize::try_from(range.size() / PAGE_SIZE).unwrap_or(usize::MAX);
        let count = BLOCK_PAGES.saturating_sub(first).min(pages);
        Some(Piece {
            block,
            first,
            count,
        })
    }

    /// Returns the state of a block all of whose pages are in the same.
    pub(crate) fn uniform(&self, block: usize) -> Option<State> {
        match self.blocks.get(block) {
            Some(Block::Uniform(state)) => Some(*state),
            Some(Block::Detailed(_)) | None => None,
        }
    }

    /// Returns the state of a page.
    pub(crate) fn page(&self, block: usize, page: usize) -> State {
        match self.blocks.get(block) {
            Some(Block::Uniform(state)) => *state,
            Some(Block::Detailed(_)) => self
                .pages(block)
                .and_then(|pages| pages.get(page))
                .map_or(State::Absent, |page| page.state()),
            None => State::Absent,
        }
    }

    /// Returns the first page of a piece whose state `is_sought`, and that state.
    pub(crate) fn find(
        &self,
        piece: Piece,
        is_sought: impl Fn(State) -> bool,
    ) -> Option<(Pa, State)> {
        let first = match self.uniform(piece.block) {
            // All pages of a uniform block are like the first.
            Some(state) => is_sought(state).then_some(piece.first),
            None => {
                let pages = self.pages(piece.block)?;
                let mut first = piece.first;
                // Neighbors mostly are alike: ask for each run rather than for each page.
                let mut runs = pages
                    .get(first..first.saturating_add(piece.count))?
                    .chunk_by(|one, next| one == next);
                loop {
                    let run = runs.next()?;
                    if run.first().is_some_and(|page| is_sought(page.state())) {
                        break Some(first);
                    }
                    first = first.saturating_add(run.len());
                }
            }
        }?;
        let found = Piece {
            first,
            count: 1,
            ..piece
        };
        let state = self.page(piece.block, first);
        Some((self.range(found)?.start(), state))
    }

    /// Puts whole blocks, which are absent, into their first state.
    pub(crate) fn fill(&mut self, range: PaRange, state: State) {
        let count = usize::try_from(range.size() / BLOCK_2M).unwrap_or(0);
        let Some((first, _)) = self.locate(range.start()) else {
            return;
        };
        let end = first.saturating_add(count);
        if let Some(blocks) = self.blocks.get_mut(first..end) {
            blocks.fill(Block::Uniform(state));
        }
        let pages = range.size() / PAGE_SIZE;
        match state {
            State::Free => {
                self.free.insert_range(first, end);
                self.free_pages = self.free_pages.saturating_add(pages);
            }
            State::Dirty => {
                self.dirty.insert_range(first, end);
                self.dirty_pages = self.dirty_pages.saturating_add(pages);
            }
            // Nobody owns memory from the start.
            State::Absent | State::Owned(_) | State::Shared { .. } | State::Lent { .. } => {}
        }
    }

    /// Finds `1 << order` free pages, aligned to their number, in a block with free pages among
    /// others. The order is at most 6.
    pub(crate) fn free_run(&self, block: usize, order: u32) -> Option<usize> {
        let detail = self.detail(block)?;
        detail
            .free
            .iter()
            .zip(0_usize..)
            .find_map(|(&word, index)| {
                let bit = usize::try_from(aligned_run(word, order)?).ok()?;
                index.checked_mul(64)?.checked_add(bit)
            })
    }

    /// Finds the first run of dirty pages in a block with pages in different states, at most `most`
    /// pages long.
    pub(crate) fn dirty_run(&self, block: usize, most: usize) -> Option<Piece> {
        let dirty = PackedState::new(State::Dirty);
        let pages = self.pages(block)?;
        let first = pages.iter().position(|page| *page == dirty)?;
        let count = pages
            .iter()
            .skip(first)
            .take(most)
            .take_while(|page| **page == dirty)
            .count();
        Some(Piece {
            block,
            first,
            count,
        })
    }

    /// Puts pages into another state. `false` if the block would need a detail and there is none;
    /// nothing has changed then.
    pub(crate) fn set(
        &mut self,
        piece: Piece,
        accounts: &mut Accounts,
        to: impl Fn(State) -> State,
    ) -> bool {
        match self.blocks.get(piece.block).copied() {
            Some(Block::Uniform(from)) if piece.is_whole() || to(from) == from => {
                let to = to(from);
                self.count(from, to, BLOCK_PAGES, accounts);
                self.replace(piece.block, Block::Uniform(to));
            }
            Some(Block::Uniform(from)) => {
                let Some(index) = self.take_detail(from) else {
                    return false;
                };
                self.replace(piece.block, Block::Detailed(index));
                self.set_pages(index, piece, accounts, to);
                self.refresh(piece.block);
            }
            Some(Block::Detailed(index)) => {
                self.set_pages(index, piece, accounts, to);
                self.collapse(piece.block, index);
                self.refresh(piece.block);
            }
            None => return false,
        }
        true
    }

    /// Takes a detail from the pool, all of its pages in `state`.
    fn take_detail(&mut self, state: State) -> Option<usize> {
        let index = self.unused.pop()?;
        let all = |member: bool| [if member { u64::MAX } else { 0 }; PAGE_WORDS];
        *self.details.get_mut(index)? = Detail {
            free: all(state == State::Free),
            dirty: all(state == State::Dirty),
        };
        let packed = PackedState::new(state);
        let places = places(index);
        // Details are first used in their order, and there is room for all.
        if self.pages.len() < places.end {
            self.pages.resize(places.end, packed);
        }
        self.pages.get_mut(places)?.fill(packed);
        Some(index)
    }

    fn set_pages(
        &mut self,
        index: usize,
        piece: Piece,
        accounts: &mut Accounts,
        to: impl Fn(State) -> State,
    ) {
        let end = piece.first.saturating_add(piece.count);
        let mut first = piece.first;
        // Neighbors mostly change alike: change runs rather than pages.
        while first < end {
            let rest = self.pages.get_mut(places(index));
            let Some(rest) = rest.and_then(|pages| pages.get_mut(first..end)) else {
                return;
            };
            let Some(run) = rest.chunk_by_mut(|one, next| one == next).next() else {
                return;
            };
            let Some(from) = run.first().map(|page| page.state()) else {
                return;
            };
            let new = to(from);
            let count = run.len();
            run.fill(PackedState::new(new));
            if let Some(detail) = self.details.get_mut(index) {
                set_bits(&mut detail.free, first, count, new == State::Free);
                set_bits(&mut detail.dirty, first, count, new == State::Dirty);
            }
            self.count(from, new, count, accounts);
            first = first.saturating_add(count);
        }
    }

    /// Makes a block whose pages have come to be in one state uniform again.
    fn collapse(&mut self, block: usize, index: usize) {
        let Some(pages) = self.pages.get(places(index)) else {
            return;
        };
        let Some(&first) = pages.first() else {
            return;
        };
        if pages.iter().all(|page| *page == first) {
            self.replace(block, Block::Uniform(first.state()));
            // The list has had room for all from the start.
            self.unused.push(index);
        }
    }

    fn replace(&mut self, block: usize, new: Block) {
        if let Some(old) = self.blocks.get_mut(block) {
            *old = new;
        }
        self.refresh(block);
    }

    /// Brings the sets up to date with the block.
    fn refresh(&mut self, block: usize) {
        let (free, partial, dirty) = match self.blocks.get(block) {
            Some(Block::Uniform(state)) => (*state == State::Free, false, *state == State::Dirty),
            Some(Block::Detailed(_)) => {
                let any = |words: &[u64; PAGE_WORDS]| words.iter().any(|word| *word != 0);
                let detail = self.detail(block);
                let partial = detail.is_some_and(|detail| any(&detail.free));
                let dirty = detail.is_some_and(|detail| any(&detail.dirty));
                (false, partial, dirty)
            }
            None => return,
        };
        self.free.set(block, free);
        self.partial.set(block, partial);
        self.dirty.set(block, dirty);
    }

    /// Returns the states of the pages of a block that has a detail.
    fn pages(&self, block: usize) -> Option<&[PackedState]> {
        match self.blocks.get(block)? {
            Block::Uniform(_) => None,
            Block::Detailed(index) => self.pages.get(places(*index)),
        }
    }

    fn detail(&self, block: usize) -> Option<&Detail> {
        match self.blocks.get(block)? {
            Block::Uniform(_) => None,
            Block::Detailed(index) => self.details.get(*index),
        }
    }

    fn count(&mut self, from: State, to: State, pages: usize, accounts: &mut Accounts) {
        let pages = u64::try_from(pages).unwrap_or(0);
        accounts.transfer(from.owner(), to.owner(), pages);
        for (state, sum) in [
            (State::Free, &mut self.free_pages),
            (State::Dirty, &mut self.dirty_pages),
        ] {
            if from == state {
                *sum = sum.saturating_sub(pages);
            }
            if to == state {
                *sum = sum.saturating_add(pages);
            }
        }
    }
}

impl Detail {
    const EMPTY: Self = Self {
        free: [0; PAGE_WORDS],
        dirty: [0; PAGE_WORDS],
    };
}

/// Returns where the states of a detail's pages lie.
fn places(index: usize) -> Range<usize> {
    let start = index.saturating_mul(BLOCK_PAGES);
    start..start.saturating_add(BLOCK_PAGES)
}

/// Sets or clears the bits of `count` pages from `first` on.
fn set_bits(words: &mut [u64; PAGE_WORDS], first: usize, count: usize, member: bool) {
    let end = first.saturating_add(count);
    for (word, start) in words.iter_mut().zip((0_usize..).step_by(64)) {
        // The pages of this word, counted from its first.
        let from = first.saturating_sub(start).min(64);
        let to = end.saturating_sub(start).min(64);
        let bits = low_bits(to) & !low_bits(from);
        *word = if member { *word | bits } else { *word & !bits };
    }
}

/// Returns a word whose lowest `count` bits are set, of at most 64.
fn low_bits(count: usize) -> u64 {
    let count = u32::try_from(count).unwrap_or(64);
    u64::MAX.checked_shl(count).map_or(u64::MAX, |bits| !bits)
}

/// Finds the lowest run of `1 << order` set bits that is aligned to its length.
fn aligned_run(word: u64, order: u32) -> Option<u32> {
    // Bit n of `runs` says that bits n up to n + length are set.
    let mut runs = word;
    let mut length = 1;
    while length < 1_u32.wrapping_shl(order) {
        runs &= runs.wrapping_shr(length);
        length = length.wrapping_mul(2);
    }
    let aligned = match order {
        0 => u64::MAX,
        1 => 0x5555_5555_5555_5555,
        2 => 0x1111_1111_1111_1111,
        3 => 0x0101_0101_0101_0101,
        4 => 0x0001_0001_0001_0001,
        5 => 0x0000_0001_0000_0001,
        6 => 1,
        _ => 0,
    };
    let found = runs & aligned;
    (found != 0).then(|| found.trailing_zeros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_bits_are_set_and_cleared_across_words() {
        for (first, count) in [
            (0, 1),
            (0, 64),
            (63, 2),
            (5, 200),
            (64, 64),
            (0, 512),
            (511, 1),
        ] {
            for member in [false, true] {
                let mut words = [if member { 0 } else { u64::MAX }; PAGE_WORDS];
                set_bits(&mut words, first, count, member);
                for page in 0..BLOCK_PAGES {
                    let bit = words[page / 64] >> (page % 64) & 1 == 1;
                    let is_in = (first..first + count).contains(&page);
                    assert_eq!(bit, is_in == member, "page {page} of {first}, {count}");
                }
            }
        }
    }

    #[test]
    fn aligned_runs_are_found_at_every_order() {
        assert_eq!(aligned_run(0, 0), None);
        assert_eq!(aligned_run(0b1000, 0), Some(3));
        assert_eq!(aligned_run(0b0110, 1), None);
        assert_eq!(aligned_run(0b1100, 1), Some(2));
        assert_eq!(aligned_run(0xffff << 16 | 0x7fff, 4), Some(16));
        assert_eq!(aligned_run(u64::MAX, 6), Some(0));
        assert_eq!(aligned_run(u64::MAX >> 1, 6), None);
        assert_eq!(aligned_run(u64::MAX >> 1, 5), Some(0));
        assert_eq!(aligned_run(u64::MAX, 7), None);
    }
}
