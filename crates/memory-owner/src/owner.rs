//! The memory of one machine.

use crate::accounts::{Account, Accounts};
use crate::error::{ChangeError, SetupError};
use crate::state::{Edge, Owner, State};
use crate::store::Store;
use crate::zero::Zeroing;
use addr::{BLOCK_2M, PAGE_SIZE, Pa, PaRange};
use alloc::vec::Vec;
use core::fmt;

/// What is known about RAM at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    /// Nothing: every page is zeroed before it is handed out.
    Unknown,
    /// It is zero, except for what is reserved.
    Zero,
}

/// What a [`MemoryOwner`] is made from.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// The banks of RAM, in any order; a page that is not whole is left out.
    pub ram: &'a [PaRange],
    /// What is in use already: images, the archive, firmware. Ranges are grown to whole pages;
    /// they may overlap if their owner is the same, and parts outside RAM are ignored. An owner
    /// with no account is accepted for [`Owner::Firmware`] only.
    pub reserved: &'a [(PaRange, Owner)],
    /// Everybody who will own memory, and how many pages each may have.
    pub accounts: &'a [Account],
    /// How many blocks of 2 MiB may have pages in different states at the same time; each costs
    /// about 4 KiB of the hypervisor's memory.
    pub details: usize,
    /// What is known about the RAM that isn't reserved.
    pub contents: Contents,
}

/// Who owns each page of the machine's memory.
pub struct MemoryOwner {
    pub(crate) store: Store,
    pub(crate) accounts: Accounts,
    pub(crate) zeroing: Zeroing,
}

impl MemoryOwner {
    /// Takes stock of the machine's memory: 8 to 16 bytes are allocated for each 2 MiB of RAM, and
    /// the pool of details.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new(setup: Setup<'_>) -> Result<Self, SetupError> {
        let ram = whole_pages(setup.ram)?;
        let blocks = whole_blocks(&ram)?;
        let accounts = with_firmware(setup.accounts);
        let mut owner = Self {
            store: Store::new(&blocks, setup.details).ok_or(SetupError::NoRam)?,
            accounts: Accounts::new(&accounts)
                .map_err(|owner| SetupError::TwoAccounts { owner })?,
            zeroing: Zeroing::default(),
        };
        let state = match setup.contents {
            Contents::Unknown => State::Dirty,
            Contents::Zero => State::Free,
        };
        for &bank in &ram {
            owner.add_ram(bank, state)?;
        }
        for &(range, user) in setup.reserved {
            for &bank in &ram {
                owner.reserve(range, user, bank)?;
            }
        }
        Ok(owner)
    }

    /// Returns the state of the page that holds `pa`.
    #[must_use]
    pub fn state(&self, pa: Pa) -> State {
        match self.store.locate(pa) {
            Some((block, page)) => self.store.page(block, page),
            None => State::Absent,
        }
    }

    /// Returns how many pages are free and zero.
    #[must_use]
    pub fn free_pages(&self) -> u64 {
        self.store.free_pages
    }

    /// Returns how many pages wait for zeroing.
    #[must_use]
    pub fn dirty_pages(&self) -> u64 {
        self.store.dirty_pages
    }

    /// Returns how many more blocks can have pages in different states.
    #[must_use]
    pub fn unused_details(&self) -> usize {
        self.store.unused_details()
    }

    /// Returns the account of `owner`; `None` if it has none.
    #[must_use]
    pub fn account(&self, owner: Owner) -> Option<Account> {
        self.accounts.get(owner)
    }

    /// Puts a bank into its first state, its whole blocks at once.
    fn add_ram(&mut self, bank: PaRange, state: State) -> Result<(), SetupError> {
        let inner = bank.shrink_to(BLOCK_2M);
        if let Some(inner) = inner {
            self.store.fill(inner, state);
        }
        let edges = inner.map_or([Some(bank), None], |inner| bank.without(inner));
        for edge in edges.into_iter().flatten() {
            self.for_each_piece(edge, |store, accounts, piece| {
                store.set(piece, accounts, |_| state)
            })
            .map_err(|error| SetupError::Reserved { range: edge, error })?;
        }
        Ok(())
    }

    /// Records what lies in `bank` of a range that is in use.
    fn reserve(&mut self, range: PaRange, user: Owner, bank: PaRange) -> Result<(), SetupError> {
        // The bank is in whole pages, so that what grows stays in it.
        let part = range.intersection(bank);
        let Some(part) = part.and_then(|part| part.grow_to(PAGE_SIZE)) else {
            return Ok(());
        };
        let edge = Edge::Claim { to: user };
        let mut refused = None;
        self.for_each_piece(part, |store, accounts, piece| {
            // Ranges of one owner may overlap.
            let claimed = |state| match edge.apply(state) {
                None if state == State::Owned(user) => Some(state),
                other => other,
            };
            if refused.is_none() {
                refused = store.find(piece, |state| claimed(state).is_none());
            }
            refused.is_some() || store.set(piece, accounts, |state| claimed(state).unwrap_or(state))
        })
        .and_then(|()| match refused {
            Some((pa, state)) => Err(ChangeError::Refused { pa, state }),
            None => self.check_account(user),
        })
        .map_err(|error| SetupError::Reserved { range, error })
    }

    /// Checks that `owner` is known and has no more than it may.
    fn check_account(&self, owner: Owner) -> Result<(), ChangeError> {
        let account = self.accounts.get(owner);
        let account = account.ok_or(ChangeError::UnknownOwner { owner })?;
        if account.pages > account.limit {
            let limit = account.limit;
            return Err(ChangeError::Quota { owner, limit });
        }
        Ok(())
    }
}

impl fmt::Debug for MemoryOwner {
    /// Writes the counters; the pages would fill the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryOwner")
            .field("free_pages", &self.free_pages())
            .field("dirty_pages", &self.dirty_pages())
            .field("unused_details", &self.unused_details())
            .field("accounts", &self.accounts)
            .finish_non_exhaustive()
    }
}

/// Returns the banks in whole pages, sorted.
fn whole_pages(ram: &[PaRange]) -> Result<Vec<PaRange>, SetupError> {
    let mut banks: Vec<_> = ram
        .iter()
        .filter_map(|bank| bank.shrink_to(PAGE_SIZE))
        .collect();
    banks.sort_unstable();
    for pair in banks.windows(2) {
        if let &[one, other] = pair
            && one.overlaps(other)
        {
            return Err(SetupError::Overlap { bank: other });
        }
    }
    if banks.is_empty() {
        return Err(SetupError::NoRam);
    }
    Ok(banks)
}

/// Returns the runs of blocks that hold the banks; a block that holds the end of one and the start
/// of the next is in one run.
fn whole_blocks(ram: &[PaRange]) -> Result<Vec<PaRange>, SetupError> {
    let mut runs: Vec<PaRange> = Vec::new();
    for &bank in ram {
        let run = bank.grow_to(BLOCK_2M).ok_or(SetupError::Bank { bank })?;
        match runs.last_mut() {
            Some(last) if run.start() <= last.end() => {
                let end = last.end().max(run.end());
                *last = PaRange::between(last.start(), end).ok_or(SetupError::Bank { bank })?;
            }
            Some(_) | None => runs.push(run),
        }
    }
    Ok(runs)
}

/// Adds the account of the firmware, which nobody has to know.
fn with_firmware(accounts: &[Account]) -> Vec<Account> {
    let mut accounts = accounts.to_vec();
    if !accounts
        .iter()
        .any(|account| account.owner == Owner::Firmware)
    {
        accounts.push(Account::new(Owner::Firmware, u64::MAX));
    }
    accounts
}
