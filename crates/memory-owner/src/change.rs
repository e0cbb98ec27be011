//! Changes of ranges: checked as a whole, then carried out, a bounded piece at a time.

use crate::accounts::Accounts;
use crate::error::ChangeError;
use crate::loan::{Loan, LoanKind};
use crate::owner::MemoryOwner;
use crate::state::{Edge, Owner, State};
use crate::store::{BLOCK_PAGES, Piece, Store};
use addr::{PAGE_SIZE, PaRange};

/// What a step may cost, in pages looked at; a block in one state counts as [`BLOCK_COST`].
///
/// A page costs some 20 instructions to check and to set, a block some 80: with the comparison of
/// one block's pages at the end, less than 18,000 instructions.
const STEP_PAGES: usize = BLOCK_PAGES;

/// What a block in one state costs.
const BLOCK_COST: usize = 4;

impl MemoryOwner {
    /// Gives back pages of `by`: they are zeroed before anybody gets them. Returns what is left of
    /// the range after a bounded step, which has happened as a whole.
    ///
    /// The caller has removed every translation of the pages, from the TLBs too.
    ///
    /// # Errors
    /// [`ChangeError`]; nothing of the step has happened then.
    pub fn release(&mut self, by: Owner, range: PaRange) -> Result<Option<PaRange>, ChangeError> {
        self.change(range, Edge::Release { by })
    }

    /// Makes pages of `by`, with what is in them, pages of `to`, as [`MemoryOwner::release`].
    ///
    /// # Errors
    /// [`ChangeError`]; nothing of the step has happened then.
    pub fn give(
        &mut self,
        by: Owner,
        to: Owner,
        range: PaRange,
    ) -> Result<Option<PaRange>, ChangeError> {
        self.change(range, Edge::Give { by, to })
    }

    /// Shares or lends pages of `by`, the loan's owner, as [`MemoryOwner::release`].
    ///
    /// # Errors
    /// [`ChangeError`]; nothing of the step has happened then.
    pub fn lend(
        &mut self,
        by: Owner,
        loan: &Loan,
        range: PaRange,
    ) -> Result<Option<PaRange>, ChangeError> {
        if by != loan.owner() {
            return Err(ChangeError::NotLender { user: by });
        }
        let edge = match loan.kind() {
            LoanKind::Share => Edge::Share {
                by,
                loan: loan.id(),
            },
            LoanKind::Lend => Edge::Lend {
                by,
                loan: loan.id(),
            },
        };
        self.change(range, edge)
    }

    /// Ends the loan of pages that no borrower holds any more, as [`MemoryOwner::release`].
    ///
    /// # Errors
    /// [`ChangeError`], [`ChangeError::Held`] while a borrower holds the loan.
    pub fn reclaim(
        &mut self,
        by: Owner,
        loan: &Loan,
        range: PaRange,
    ) -> Result<Option<PaRange>, ChangeError> {
        if by != loan.owner() {
            return Err(ChangeError::NotLender { user: by });
        }
        if let Some(borrower) = loan.holder() {
            return Err(ChangeError::Held { borrower });
        }
        let loan = loan.id();
        self.change(range, Edge::Reclaim { by, loan })
    }

    /// Gives back everything that `by` owns and that is not on loan, a bounded piece at a time:
    /// start with a new [`Sweep`] and repeat while there is [`SweepProgress::More`].
    ///
    /// # Errors
    /// [`ChangeError::NoDetail`], which can't happen unless the pool of details is too small.
    pub fn release_all(
        &mut self,
        by: Owner,
        sweep: &mut Sweep,
    ) -> Result<SweepProgress, ChangeError> {
        let mut cost: usize = 0;
        let edge = Edge::Release { by };
        let held = |accounts: &Accounts| accounts.get(by).map_or(0, |account| account.pages);
        while sweep.next < self.store.blocks() && held(&self.accounts) > 0 {
            let uniform = self.store.uniform(sweep.next);
            cost = cost.saturating_add(match uniform {
                Some(_) => BLOCK_COST,
                None => BLOCK_PAGES,
            });
            if cost > STEP_PAGES {
                return Ok(SweepProgress::More);
            }
            if uniform.is_none() || uniform.and_then(|state| edge.apply(state)).is_some() {
                let piece = Piece {
                    block: sweep.next,
                    first: 0,
                    count: BLOCK_PAGES,
                };
                self.set(piece, |state| edge.apply(state).unwrap_or(state))?;
            }
            sweep.next = sweep.next.saturating_add(1);
        }
        Ok(SweepProgress::Done {
            on_loan: held(&self.accounts),
        })
    }

    /// Carries out one step of a change: checks as much of the range as a step may cost, then
    /// changes it. Returns what is left.
    pub(crate) fn change(
        &mut self,
        range: PaRange,
        edge: Edge,
    ) -> Result<Option<PaRange>, ChangeError> {
        if !range.is_aligned(PAGE_SIZE) {
            return Err(ChangeError::Unaligned { range });
        }
        let step = self.check(range, edge)?;
        self.check_room(step, edge)?;
        self.for_each_piece(step, |store, accounts, piece| {
            store.set(piece, accounts, |state| edge.apply(state).unwrap_or(state))
        })?;
        Ok(PaRange::between(step.end(), range.end()))
    }

    /// Calls `act` for each block's part of the range; its answer is whether there was a detail.
    pub(crate) fn for_each_piece(
        &mut self,
        range: PaRange,
        mut act: impl FnMut(&mut Store, &mut Accounts, Piece) -> bool,
    ) -> Result<(), ChangeError> {
        let mut rest = Some(range);
        while let Some(range) = rest {
            let pa = range.start();
            let piece = self.piece(range)?;
            if !act(&mut self.store, &mut self.accounts, piece) {
                return Err(ChangeError::NoDetail { pa });
            }
            rest = self.after(range, piece);
        }
        Ok(())
    }

    /// Checks the pages from the start of the range on, and returns as much of it as one step may
    /// change, a block's part at least.
    fn check(&self, range: PaRange, edge: Edge) -> Result<PaRange, ChangeError> {
        let mut rest = Some(range);
        let mut cost: usize = 0;
        while let Some(part) = rest {
            let piece = self.piece(part)?;
            let uniform = self.store.uniform(piece.block);
            cost = cost.saturating_add(match uniform {
                Some(_) if piece.is_whole() => BLOCK_COST,
                Some(_) | None => BLOCK_PAGES,
            });
            if cost > STEP_PAGES
                && let Some(step) = PaRange::between(range.start(), part.start())
            {
                return Ok(step);
            }
            let refused = self.store.find(piece, |state| edge.apply(state).is_none());
            if let Some((pa, state)) = refused {
                return Err(ChangeError::Refused { pa, state });
            }
            rest = self.after(part, piece);
        }
        Ok(range)
    }

    /// Checks that the receiver may have so many pages, and that there are details enough.
    fn check_room(&self, step: PaRange, edge: Edge) -> Result<(), ChangeError> {
        if let Some(owner) = edge.receiver() {
            let account = self
                .accounts
                .get(owner)
                .ok_or(ChangeError::UnknownOwner { owner })?;
            let pages = account.pages.saturating_add(step.size() / PAGE_SIZE);
            if pages > account.limit {
                let limit = account.limit;
                return Err(ChangeError::Quota { owner, limit });
            }
        }
        // Only the first block can be covered in part without being the last: a step ends before
        // the second one that costs as much as a detail.
        let piece = self.piece(step)?;
        let needs = !piece.is_whole() && self.store.uniform(piece.block).is_some();
        if needs && self.store.unused_details() == 0 {
            return Err(ChangeError::NoDetail { pa: step.start() });
        }
        Ok(())
    }

    fn set(&mut self, piece: Piece, to: impl Fn(State) -> State) -> Result<(), ChangeError> {
        if self.store.set(piece, &mut self.accounts, to) {
            return Ok(());
        }
        let pa = self.store.address(piece.block).unwrap_or_default();
        Err(ChangeError::NoDetail { pa })
    }

    fn piece(&self, range: PaRange) -> Result<Piece, ChangeError> {
        self.store.first_piece(range).ok_or(ChangeError::Refused {
            pa: range.start(),
            state: State::Absent,
        })
    }

    fn after(&self, range: PaRange, piece: Piece) -> Option<PaRange> {
        PaRange::between(self.store.range(piece)?.end(), range.end())
    }
}

/// How far [`MemoryOwner::release_all`] has come.
#[derive(Debug, Default)]
pub struct Sweep {
    next: usize,
}

/// Whether [`MemoryOwner::release_all`] has to be called again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "memory stays with its owner until the sweep is done"]
pub enum SweepProgress {
    /// There may be more.
    More,
    /// All that could be released is.
    Done {
        /// How many pages the owner still has, on loan to others: 0 unless loans are open.
        on_loan: u64,
    },
}
