//! How many pages each owner has, and how many it may have.

use crate::state::Owner;
use alloc::vec::Vec;

/// One owner's pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// The owner.
    pub owner: Owner,
    /// How many pages it has, those on loan included.
    pub pages: u64,
    /// How many pages it may have.
    pub limit: u64,
}

impl Account {
    /// Makes the account of an owner that may have `limit` pages.
    #[must_use]
    pub const fn new(owner: Owner, limit: u64) -> Self {
        let pages = 0;
        Self {
            owner,
            pages,
            limit,
        }
    }
}

/// The accounts of all owners, sorted.
#[derive(Debug)]
pub(crate) struct Accounts(Vec<Account>);

impl Accounts {
    /// Opens the accounts; the owner that is named twice, if one is.
    pub(crate) fn new(accounts: &[Account]) -> Result<Self, Owner> {
        let mut accounts: Vec<_> = accounts
            .iter()
            .map(|account| Account::new(account.owner, account.limit))
            .collect();
        accounts.sort_unstable_by_key(|account| account.owner);
        let twice = accounts.windows(2).find_map(|pair| match pair {
            [one, other] if one.owner == other.owner => Some(one.owner),
            _ => None,
        });
        match twice {
            Some(owner) => Err(owner),
            None => Ok(Self(accounts)),
        }
    }

    /// Returns the account of `owner`.
    pub(crate) fn get(&self, owner: Owner) -> Option<Account> {
        self.0.get(self.find(owner)?).copied()
    }

    /// Moves `pages` pages from the account of `from` to that of `to`; `None` stands for nobody.
    pub(crate) fn transfer(&mut self, from: Option<Owner>, to: Option<Owner>, pages: u64) {
        if from == to {
            return;
        }
        if let Some(account) = self.get_mut(from) {
            account.pages = account.pages.saturating_sub(pages);
        }
        if let Some(account) = self.get_mut(to) {
            account.pages = account.pages.saturating_add(pages);
        }
    }

    fn get_mut(&mut self, owner: Option<Owner>) -> Option<&mut Account> {
        let index = self.find(owner?)?;
        self.0.get_mut(index)
    }

    fn find(&self, owner: Owner) -> Option<usize> {
        self.0
            .binary_search_by_key(&owner, |account| account.owner)
            .ok()
    }
}
