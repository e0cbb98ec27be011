//! The states of a page and the edges between them.

use crate::loan::LoanId;
use addr::{PartitionId, VmId};
use core::fmt;

/// Whose a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// The hypervisor itself: its image, its stacks, its own tables.
    Hypervisor,
    /// Firmware or a device outside our rule; never given to anybody.
    Firmware,
    /// The boot archive: kernels and configurations, until they have been copied.
    Archive,
    /// A VM.
    Vm(VmId),
    /// The hypervisor on behalf of a VM: its translation tables and queues. The VM's quota limits
    /// it, and the VM can't touch it.
    VmOverhead(VmId),
    /// A partition.
    Partition(PartitionId),
    /// The hypervisor on behalf of a partition.
    PartitionOverhead(PartitionId),
}

impl Owner {
    /// Tells whether the owner may hold pages that have not been zeroed: it is no guest.
    #[must_use]
    pub const fn is_trusted(self) -> bool {
        match self {
            Self::Hypervisor | Self::Firmware | Self::Archive => true,
            // The overhead is given out zeroed, since a table with stray bits would translate.
            Self::Vm(_) | Self::VmOverhead(_) | Self::Partition(_) | Self::PartitionOverhead(_) => {
                false
            }
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hypervisor => f.write_str("hypervisor"),
            Self::Firmware => f.write_str("firmware"),
            Self::Archive => f.write_str("archive"),
            Self::Vm(vm) => write!(f, "vm{vm}"),
            Self::VmOverhead(vm) => write!(f, "vm{vm} overhead"),
            Self::Partition(id) => write!(f, "partition {id:#x}", id = id.get()),
            Self::PartitionOverhead(id) => write!(f, "partition {id:#x} overhead", id = id.get()),
        }
    }
}

/// What a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Not RAM.
    Absent,
    /// Nobody's, and zero.
    Free,
    /// Nobody's any more, with contents that nobody may see.
    Dirty,
    /// Its owner's alone.
    Owned(Owner),
    /// Its owner's, and the borrowers' of the loan too.
    Shared {
        /// The owner, who keeps access.
        owner: Owner,
        /// The loan, which knows the borrowers.
        loan: LoanId,
    },
    /// The borrowers' of the loan; its owner has no access until it reclaims the page.
    Lent {
        /// The owner, who has lost access.
        owner: Owner,
        /// The loan, which knows the borrowers.
        loan: LoanId,
    },
}

impl State {
    /// Returns the owner; `None` if the page is nobody's.
    #[must_use]
    pub const fn owner(self) -> Option<Owner> {
        match self {
            Self::Absent | Self::Free | Self::Dirty => None,
            Self::Owned(owner) | Self::Shared { owner, .. } | Self::Lent { owner, .. } => {
                Some(owner)
            }
        }
    }

    /// Returns the loan that the page is part of.
    #[must_use]
    pub const fn loan(self) -> Option<LoanId> {
        match self {
            Self::Absent | Self::Free | Self::Dirty | Self::Owned(_) => None,
            Self::Shared { loan, .. } | Self::Lent { loan, .. } => Some(loan),
        }
    }

    /// Tells whether `user`, as the page's owner, has access to it. Borrowers ask their loan.
    #[must_use]
    pub fn is_accessible_to_owner(self, user: Owner) -> bool {
        match self {
            Self::Absent | Self::Free | Self::Dirty | Self::Lent { .. } => false,
            Self::Owned(owner) | Self::Shared { owner, .. } => owner == user,
        }
    }
}

/// A state in one word: states of many pages are compared and stored often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PackedState(u64);

impl PackedState {
    // Bits 7 to 0 are the kind of state, 15 to 8 that of the owner, 31 to 16 the owner's number and
    // 47 to 32 the loan.
    const OWNED: u64 = 3;
    const SHARED: u64 = 4;
    const LENT: u64 = 5;

    /// Packs a state.
    pub(crate) fn new(state: State) -> Self {
        Self(match state {
            State::Absent => 0,
            State::Free => 1,
            State::Dirty => 2,
            State::Owned(owner) => Self::OWNED | pack(owner),
            State::Shared { owner, loan } => {
                Self::SHARED | pack(owner) | u64::from(loan.get()) << 32
            }
            State::Lent { owner, loan } => Self::LENT | pack(owner) | u64::from(loan.get()) << 32,
        })
    }

    /// Returns the state.
    pub(crate) fn state(self) -> State {
        let number = |place: u32| {
            let bits = self.0.wrapping_shr(place) & 0xffff;
            u16::try_from(bits).unwrap_or(0)
        };
        let owner = match self.0 >> 8 & 0xff {
            0 => Owner::Hypervisor,
            1 => Owner::Firmware,
            2 => Owner::Archive,
            3 => Owner::Vm(VmId::new(number(16))),
            4 => Owner::VmOverhead(VmId::new(number(16))),
            5 => Owner::Partition(PartitionId::new(number(16))),
            _ => Owner::PartitionOverhead(PartitionId::new(number(16))),
        };
        let loan = LoanId::new(number(32));
        match self.0 & 0xff {
            0 => State::Absent,
            1 => State::Free,
            2 => State::Dirty,
            Self::OWNED => State::Owned(owner),
            Self::SHARED => State::Shared { owner, loan },
            _ => State::Lent { owner, loan },
        }
    }
}

fn pack(owner: Owner) -> u64 {
    let (kind, number) = match owner {
        Owner::Hypervisor => (0, 0),
        Owner::Firmware => (1, 0),
        Owner::Archive => (2, 0),
        Owner::Vm(vm) => (3, vm.get()),
        Owner::VmOverhead(vm) => (4, vm.get()),
        Owner::Partition(id) => (5, id.get()),
        Owner::PartitionOverhead(id) => (6, id.get()),
    };
    kind << 8 | u64::from(number) << 16
}

/// A change of a page's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// A clean page is handed out.
    Allocate {
        /// The new owner.
        to: Owner,
    },
    /// At boot, memory that is in use already is recorded, clean or not.
    Claim {
        /// The user, which is no guest.
        to: Owner,
    },
    /// The owner, or whoever clears up after it, gives the page back.
    Release {
        /// The owner.
        by: Owner,
    },
    /// The page has been zeroed.
    Zeroed,
    /// The owner makes a present of the page and its contents.
    Give {
        /// The owner.
        by: Owner,
        /// The new owner.
        to: Owner,
    },
    /// The owner lets others use the page beside it.
    Share {
        /// The owner.
        by: Owner,
        /// The loan.
        loan: LoanId,
    },
    /// The owner lets others use the page instead of it.
    Lend {
        /// The owner.
        by: Owner,
        /// The loan.
        loan: LoanId,
    },
    /// The owner ends a loan that nobody uses any more.
    Reclaim {
        /// The owner.
        by: Owner,
        /// The loan.
        loan: LoanId,
    },
}

impl Edge {
    /// Returns the state that the edge leads to; `None` if it doesn't start at `from`.
    #[must_use]
    pub fn apply(self, from: State) -> Option<State> {
        match self {
            Self::Allocate { to } => (from == State::Free).then_some(State::Owned(to)),
            Self::Claim { to } => {
                let unused = from == State::Free || from == State::Dirty;
                (unused && to.is_trusted()).then_some(State::Owned(to))
            }
            Self::Release { by } => (from == State::Owned(by)).then_some(State::Dirty),
            Self::Zeroed => (from == State::Dirty).then_some(State::Free),
            Self::Give { by, to } => {
                (from == State::Owned(by) && by != to).then_some(State::Owned(to))
            }
            Self::Share { by, loan } => {
                (from == State::Owned(by)).then_some(State::Shared { owner: by, loan })
            }
            Self::Lend { by, loan } => {
                (from == State::Owned(by)).then_some(State::Lent { owner: by, loan })
            }
            Self::Reclaim { by, loan } => {
                let on_loan = from == State::Shared { owner: by, loan }
                    || from == State::Lent { owner: by, loan };
                on_loan.then_some(State::Owned(by))
            }
        }
    }

    /// Returns who gets pages by the edge that had none of them before.
    pub(crate) const fn receiver(self) -> Option<Owner> {
        match self {
            Self::Allocate { to } | Self::Claim { to } | Self::Give { to, .. } => Some(to),
            Self::Release { .. }
            | Self::Zeroed
            | Self::Share { .. }
            | Self::Lend { .. }
            | Self::Reclaim { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const A: Owner = Owner::Vm(VmId::new(1));
    const B: Owner = Owner::Partition(PartitionId::new(0x8001));
    const ONE: LoanId = LoanId::new(1);
    const TWO: LoanId = LoanId::new(2);

    fn states() -> Vec<State> {
        let mut states = std::vec![State::Absent, State::Free, State::Dirty];
        for owner in [A, B, Owner::Hypervisor] {
            states.push(State::Owned(owner));
            for loan in [ONE, TWO] {
                states.push(State::Shared { owner, loan });
                states.push(State::Lent { owner, loan });
            }
        }
        states
    }

    #[test]
    fn each_state_survives_being_packed() {
        let mut owners = std::vec![Owner::Hypervisor, Owner::Firmware, Owner::Archive];
        for number in [0, 1, 0x7fff, 0xffff] {
            owners.push(Owner::Vm(VmId::new(number)));
            owners.push(Owner::VmOverhead(VmId::new(number)));
            owners.push(Owner::Partition(PartitionId::new(number)));
            owners.push(Owner::PartitionOverhead(PartitionId::new(number)));
        }
        let mut states = std::vec![State::Absent, State::Free, State::Dirty];
        for owner in owners {
            states.push(State::Owned(owner));
            for loan in [0, 1, 0xffff].map(LoanId::new) {
                states.push(State::Shared { owner, loan });
                states.push(State::Lent { owner, loan });
            }
        }
        for (place, state) in states.iter().enumerate() {
            let packed = PackedState::new(*state);
            assert_eq!(packed.state(), *state);
            let same = states
                .iter()
                .position(|other| PackedState::new(*other) == packed);
            assert_eq!(same, Some(place), "no two states are packed alike");
        }
    }

    /// The whole table, written a second time: every edge and the states that it connects.
    #[test]
    fn all_pairs_of_states_and_edges() {
        let table: &[(Edge, &[(State, State)])] = &[
            (Edge::Allocate { to: A }, &[(State::Free, State::Owned(A))]),
            (Edge::Claim { to: A }, &[]),
            (
                Edge::Claim {
                    to: Owner::Hypervisor,
                },
                &[
                    (State::Free, State::Owned(Owner::Hypervisor)),
                    (State::Dirty, State::Owned(Owner::Hypervisor)),
                ],
            ),
            (Edge::Release { by: A }, &[(State::Owned(A), State::Dirty)]),
            (Edge::Zeroed, &[(State::Dirty, State::Free)]),
            (
                Edge::Give { by: A, to: B },
                &[(State::Owned(A), State::Owned(B))],
            ),
            (Edge::Give { by: A, to: A }, &[]),
            (
                Edge::Share { by: A, loan: ONE },
                &[(
                    State::Owned(A),
                    State::Shared {
                        owner: A,
                        loan: ONE,
                    },
                )],
            ),
            (
                Edge::Lend { by: A, loan: ONE },
                &[(
                    State::Owned(A),
                    State::Lent {
                        owner: A,
                        loan: ONE,
                    },
                )],
            ),
            (
                Edge::Reclaim { by: A, loan: ONE },
                &[
                    (
                        State::Shared {
                            owner: A,
                            loan: ONE,
                        },
                        State::Owned(A),
                    ),
                    (
                        State::Lent {
                            owner: A,
                            loan: ONE,
                        },
                        State::Owned(A),
                    ),
                ],
            ),
        ];
        for (edge, pairs) in table {
            for from in states() {
                let want = pairs.iter().find(|pair| pair.0 == from).map(|pair| pair.1);
                assert_eq!(edge.apply(from), want, "{edge:?} from {from:?}");
            }
        }
    }

    #[test]
    fn a6_only_zeroing_makes_a_page_free() {
        for from in states() {
            for edge in [
                Edge::Allocate { to: A },
                Edge::Claim { to: Owner::Archive },
                Edge::Release { by: A },
                Edge::Give { by: A, to: B },
                Edge::Share { by: A, loan: ONE },
                Edge::Lend { by: A, loan: ONE },
                Edge::Reclaim { by: A, loan: ONE },
            ] {
                assert_ne!(edge.apply(from), Some(State::Free));
            }
        }
    }

    #[test]
    fn states_are_small() {
        assert!(size_of::<State>() <= 8);
    }
}
