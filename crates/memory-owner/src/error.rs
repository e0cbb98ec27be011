//! What can be wrong with a request.

use crate::state::{Owner, State};
use addr::{Pa, PaRange};
use core::fmt;

/// Why the memory of a machine can't be managed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetupError {
    /// There is no whole page of RAM.
    NoRam,
    /// Two banks overlap.
    Overlap {
        /// The bank.
        bank: PaRange,
    },
    /// A bank ends too near to the end of the address space.
    Bank {
        /// The bank.
        bank: PaRange,
    },
    /// An owner has two accounts.
    TwoAccounts {
        /// The owner.
        owner: Owner,
    },
    /// A reserved range can't be recorded.
    Reserved {
        /// The range.
        range: PaRange,
        /// Why not.
        error: ChangeError,
    },
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRam => f.write_str("there is no RAM"),
            Self::Overlap { bank } => write!(f, "the RAM at {bank} overlaps other RAM"),
            Self::Bank { bank } => write!(f, "the RAM at {bank} is at the end of all addresses"),
            Self::TwoAccounts { owner } => write!(f, "{owner} has two accounts"),
            Self::Reserved { range, error } => write!(f, "reserving {range}: {error}"),
        }
    }
}

impl core::error::Error for SetupError {}

/// Why memory doesn't change its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeError {
    /// The range is not in whole pages.
    Unaligned {
        /// The range.
        range: PaRange,
    },
    /// The page is in a state from which the change doesn't start.
    Refused {
        /// The first such page.
        pa: Pa,
        /// Its state; [`State::Absent`] if it isn't RAM.
        state: State,
    },
    /// The receiver has no account.
    UnknownOwner {
        /// The receiver.
        owner: Owner,
    },
    /// The receiver would have more than it may.
    Quota {
        /// The receiver.
        owner: Owner,
        /// How many pages it may have.
        limit: u64,
    },
    /// The pool for blocks with different pages is used up.
    NoDetail {
        /// The block's first address.
        pa: Pa,
    },
    /// A borrower still holds what is to be reclaimed.
    Held {
        /// The borrower.
        borrower: Owner,
    },
    /// The loan is somebody else's.
    NotLender {
        /// Who asked.
        user: Owner,
    },
}

impl fmt::Display for ChangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unaligned { range } => write!(f, "{range} is not in whole pages"),
            Self::Refused { pa, state } => write!(f, "the page at {pa} is {state:?}"),
            Self::UnknownOwner { owner } => write!(f, "{owner} has no account"),
            Self::Quota { owner, limit } => write!(f, "{owner} may have {limit} pages only"),
            Self::NoDetail { pa } => write!(f, "no room for the pages of the block at {pa}"),
            Self::Held { borrower } => write!(f, "{borrower} still holds the memory"),
            Self::NotLender { user } => write!(f, "{user} has not lent this"),
        }
    }
}

impl core::error::Error for ChangeError {}

/// Why no memory is handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllocateError {
    /// The size is not a multiple of 2 MiB, or is 0.
    Size {
        /// The size in bytes.
        bytes: u64,
    },
    /// More than [`crate::MAX_ORDER`].
    Order {
        /// The order.
        order: u32,
    },
    /// Nothing suitable is free; dirty pages may become free when they are zeroed.
    NoMemory {
        /// How many pages are free.
        free: u64,
        /// How many pages wait for zeroing.
        dirty: u64,
    },
    /// The change of state was refused: account, quota or pool.
    Change(ChangeError),
}

impl From<ChangeError> for AllocateError {
    fn from(error: ChangeError) -> Self {
        Self::Change(error)
    }
}

impl fmt::Display for AllocateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size { bytes } => write!(f, "{bytes:#x} bytes are no multiple of 2 MiB"),
            Self::Order { order } => write!(f, "order {order} is too large"),
            Self::NoMemory { free, dirty } => {
                write!(f, "out of memory ({free} pages free, {dirty} dirty)")
            }
            Self::Change(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for AllocateError {}
