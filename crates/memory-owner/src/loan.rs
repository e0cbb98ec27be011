//! Loans: what binds the pages that an owner shares or lends to those who may use them.

use crate::state::Owner;
use arrayvec::ArrayVec;
use core::fmt;

/// How many borrowers one loan can have.
pub const MAX_BORROWERS: usize = 8;

/// A loan's place in its keeper's table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LoanId(u16);

impl LoanId {
    /// Makes an identifier from its raw value.
    #[must_use]
    pub const fn new(value: u16) -> Self {
        Self(value)
    }

    /// Returns the raw value.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// Whether the owner keeps access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoanKind {
    /// Owner and borrowers have access.
    Share,
    /// Only the borrowers have access.
    Lend,
}

/// Why a loan can't be made or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoanError {
    /// Nobody to lend to.
    NoBorrower,
    /// More than [`MAX_BORROWERS`].
    TooManyBorrowers {
        /// How many were named.
        borrowers: usize,
    },
    /// The same borrower twice.
    Duplicate {
        /// The borrower.
        borrower: Owner,
    },
    /// The owner can't borrow from itself.
    OwnBorrower {
        /// The owner.
        owner: Owner,
    },
    /// The loan names no such borrower.
    NotBorrower {
        /// Who asked.
        user: Owner,
    },
    /// The borrower has the memory already.
    AlreadyHeld {
        /// The borrower.
        borrower: Owner,
    },
    /// The borrower doesn't have the memory.
    NotHeld {
        /// The borrower.
        borrower: Owner,
    },
}

impl fmt::Display for LoanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NoBorrower => f.write_str("a loan needs a borrower"),
            Self::TooManyBorrowers { borrowers } => {
                write!(
                    f,
                    "{borrowers} borrowers, at most {MAX_BORROWERS} are possible"
                )
            }
            Self::Duplicate { borrower } => write!(f, "{borrower} is named twice"),
            Self::OwnBorrower { owner } => write!(f, "{owner} can't borrow from itself"),
            Self::NotBorrower { user } => write!(f, "{user} is no borrower"),
            Self::AlreadyHeld { borrower } => write!(f, "{borrower} holds the loan already"),
            Self::NotHeld { borrower } => write!(f, "{borrower} doesn't hold the loan"),
        }
    }
}

impl core::error::Error for LoanError {}

/// Whether a borrower uses the loan at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holding {
    Offered,
    Held,
}

/// One loan: an owner, its borrowers, and which of them hold the memory.
///
/// The pages name the loan by its identifier; while any of them does, the identifier must not be
/// used for another loan.
#[derive(Clone, Debug)]
pub struct Loan {
    id: LoanId,
    owner: Owner,
    kind: LoanKind,
    borrowers: ArrayVec<(Owner, Holding), MAX_BORROWERS>,
}

impl Loan {
    /// Makes a loan that is offered to `borrowers`; none holds it yet.
    ///
    /// # Errors
    /// [`LoanError`] if there is no borrower, too many, one twice, or the owner itself.
    pub fn new(
        id: LoanId,
        owner: Owner,
        kind: LoanKind,
        borrowers: &[Owner],
    ) -> Result<Self, LoanError> {
        if borrowers.is_empty() {
            return Err(LoanError::NoBorrower);
        }
        let mut loan = Self {
            id,
            owner,
            kind,
            borrowers: ArrayVec::new(),
        };
        for &borrower in borrowers {
            if borrower == owner {
                return Err(LoanError::OwnBorrower { owner });
            }
            if loan.borrowers.iter().any(|(other, _)| *other == borrower) {
                return Err(LoanError::Duplicate { borrower });
            }
            let borrowers = borrowers.len();
            loan.borrowers
                .try_push((borrower, Holding::Offered))
                .map_err(|_| LoanError::TooManyBorrowers { borrowers })?;
        }
        Ok(loan)
    }

    /// Returns the identifier that the pages carry.
    #[must_use]
    pub const fn id(&self) -> LoanId {
        self.id
    }

    /// Returns the owner of the pages.
    #[must_use]
    pub const fn owner(&self) -> Owner {
        self.owner
    }

    /// Returns whether the owner keeps access.
    #[must_use]
    pub const fn kind(&self) -> LoanKind {
        self.kind
    }

    /// Records that `borrower` begins to use the memory.
    ///
    /// # Errors
    /// [`LoanError::NotBorrower`] or [`LoanError::AlreadyHeld`].
    pub fn take(&mut self, borrower: Owner) -> Result<(), LoanError> {
        let holding = self.holding(borrower)?;
        match holding {
            Holding::Offered => *holding = Holding::Held,
            Holding::Held => return Err(LoanError::AlreadyHeld { borrower }),
        }
        Ok(())
    }

    /// Records that `borrower` no longer uses the memory: it, or whoever clears up after it, has
    /// removed its translations. It may take the loan again until the owner reclaims.
    ///
    /// # Errors
    /// [`LoanError::NotBorrower`] or [`LoanError::NotHeld`].
    pub fn give_back(&mut self, borrower: Owner) -> Result<(), LoanError> {
        let holding = self.holding(borrower)?;
        match holding {
            Holding::Held => *holding = Holding::Offered,
            Holding::Offered => return Err(LoanError::NotHeld { borrower }),
        }
        Ok(())
    }

    /// Tells whether `user` holds the memory as a borrower.
    #[must_use]
    pub fn is_held_by(&self, user: Owner) -> bool {
        self.borrowers.contains(&(user, Holding::Held))
    }

    /// Returns a borrower that still holds the memory, so that the owner can't reclaim it.
    #[must_use]
    pub fn holder(&self) -> Option<Owner> {
        self.borrowers
            .iter()
            .find(|(_, holding)| *holding == Holding::Held)
            .map(|(borrower, _)| *borrower)
    }

    fn holding(&mut self, user: Owner) -> Result<&mut Holding, LoanError> {
        self.borrowers
            .iter_mut()
            .find(|(borrower, _)| *borrower == user)
            .map(|(_, holding)| holding)
            .ok_or(LoanError::NotBorrower { user })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use addr::VmId;

    const A: Owner = Owner::Vm(VmId::new(1));
    const B: Owner = Owner::Vm(VmId::new(2));
    const C: Owner = Owner::Vm(VmId::new(3));

    fn loan(borrowers: &[Owner]) -> Result<Loan, LoanError> {
        Loan::new(LoanId::new(7), A, LoanKind::Lend, borrowers)
    }

    #[test]
    fn wrong_parties_are_refused() {
        assert_eq!(loan(&[]).unwrap_err(), LoanError::NoBorrower);
        assert_eq!(
            loan(&[B, B]).unwrap_err(),
            LoanError::Duplicate { borrower: B }
        );
        assert_eq!(
            loan(&[B, A]).unwrap_err(),
            LoanError::OwnBorrower { owner: A }
        );
        let many: std::vec::Vec<_> = (10..19).map(|id| Owner::Vm(VmId::new(id))).collect();
        assert_eq!(
            loan(&many).unwrap_err(),
            LoanError::TooManyBorrowers { borrowers: 9 }
        );
        assert!(loan(&many[..8]).is_ok());
    }

    #[test]
    fn a_loan_is_taken_and_given_back_in_turn() {
        let mut loan = loan(&[B, C]).unwrap();
        assert_eq!(loan.give_back(B), Err(LoanError::NotHeld { borrower: B }));
        assert_eq!(loan.take(A), Err(LoanError::NotBorrower { user: A }));
        loan.take(B).unwrap();
        assert_eq!(loan.take(B), Err(LoanError::AlreadyHeld { borrower: B }));
        loan.take(C).unwrap();
        loan.give_back(B).unwrap();
        assert_eq!(loan.holder(), Some(C));
        assert!(loan.is_held_by(C) && !loan.is_held_by(B));
        loan.give_back(C).unwrap();
        assert_eq!(loan.holder(), None);
        loan.take(B).unwrap();
    }
}
