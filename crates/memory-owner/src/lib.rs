//! Who owns, lends and borrows each page of the machine's memory.
//!
//! Every page of RAM is in one [`State`], and an [`Edge`] is the only way to another. From that
//! follow the invariants: a page has at most one owner; only its owner can give, lend or share it;
//! what is lent has no second exclusive user; and a page that anybody has used is handed out again
//! only after it has been zeroed, since allocation starts from [`State::Free`] and only zeroing
//! leads there.
//!
//! Memory is kept in blocks of 2 MiB, each in one state or with 512 states of its own from a pool of
//! fixed size. Sets of blocks (free, partly free, dirty) are trees of bits, so that finding one takes
//! a handful of steps however large the machine is. Everything is allocated by
//! [`MemoryOwner::new`]; afterwards no call allocates, and each is bounded: long ranges return what
//! is left of them.
//!
//! The structure belongs to one lock. Nothing is locked under it, and memory is not zeroed under it:
//! a [`ZeroJob`] stands for a piece that is being zeroed meanwhile.

#![no_std]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod accounts;
mod allocate;
mod block_set;
mod change;
mod error;
mod loan;
mod owner;
mod state;
mod store;
mod zero;

#[cfg(test)]
mod model_tests;

pub use accounts::Account;
pub use error::{AllocateError, ChangeError, SetupError};
pub use loan::{Loan, LoanError, LoanId, LoanKind, MAX_BORROWERS};
pub use owner::{Contents, MemoryOwner, Setup};
pub use state::{Edge, Owner, State};
pub use zero::{ZERO_STEP, ZeroJob};

pub use allocate::{ALLOCATION_STEP, MAX_ORDER};
pub use change::{Sweep, SweepProgress};
