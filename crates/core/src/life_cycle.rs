//! A life cycle: states, the legal edges between them, and the atomic byte that holds where
//! something stands.
//!
//! An illegal change cannot be written down: [`LifeCycle::take`] accepts an edge, not a pair of
//! states. Two CPUs that take edges out of the same state race by compare-and-swap; one loses and
//! learns what it saw.

use crate::sync::{AtomicU8, Ordering};
use core::fmt;
use core::marker::PhantomData;

/// A set of states, each with a byte of its own.
pub trait State: Copy + Eq + fmt::Debug + 'static {
    /// All states, each once.
    const ALL: &'static [Self];

    /// Returns the state's byte.
    fn byte(self) -> u8;

    /// Returns the state of a byte, or `None` for a byte that no state has.
    fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|state| state.byte() == byte)
    }
}

/// A legal change of state.
pub trait Edge: Copy + Eq + fmt::Debug + 'static {
    /// The states that it connects.
    type State: State;

    /// All edges, each once.
    const ALL: &'static [Self];

    /// Returns the state that it leaves.
    fn from(self) -> Self::State;

    /// Returns the state that it enters.
    fn to(self) -> Self::State;
}

/// Why an edge was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTaken<S> {
    /// The life cycle stands in another state than the edge leaves.
    Elsewhere {
        /// The state that was seen.
        seen: S,
    },
    /// The byte is that of no state: the memory is corrupt.
    Corrupt {
        /// The byte that was seen.
        byte: u8,
    },
}

impl<S: State> fmt::Display for NotTaken<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Elsewhere { seen } => write!(f, "the state is {seen:?}"),
            Self::Corrupt { byte } => write!(f, "the state's byte is {byte:#x}, which is corrupt"),
        }
    }
}

impl<S: State> core::error::Error for NotTaken<S> {}

/// Where something stands in its life cycle.
pub struct LifeCycle<E: Edge> {
    byte: AtomicU8,
    edges: PhantomData<fn() -> E>,
}

impl<E: Edge> LifeCycle<E> {
    /// Starts a life cycle in `state`.
    #[must_use]
    pub fn new(state: E::State) -> Self {
        Self {
            byte: AtomicU8::new(state.byte()),
            edges: PhantomData,
        }
    }

    /// Takes `edge`: what happened before on this CPU is visible to whoever sees the new state.
    ///
    /// # Errors
    /// [`NotTaken`] with the state that was seen instead of the one the edge leaves.
    pub fn take(&self, edge: E) -> Result<(), NotTaken<E::State>> {
        self.byte
            .compare_exchange(
                edge.from().byte(),
                edge.to().byte(),
                Ordering::SeqCst,
                Ordering::SeqCst,
            )
            .map(drop)
            .map_err(|byte| match E::State::from_byte(byte) {
                Some(seen) => NotTaken::Elsewhere { seen },
                None => NotTaken::Corrupt { byte },
            })
    }

    /// Returns the state, or `Err` with the byte if it is that of no state.
    ///
    /// # Errors
    /// [`NotTaken::Corrupt`].
    pub fn state(&self) -> Result<E::State, NotTaken<E::State>> {
        let byte = self.byte.load(Ordering::SeqCst);
        E::State::from_byte(byte).ok_or(NotTaken::Corrupt { byte })
    }

    /// Tells whether the life cycle stands in `state` now.
    #[must_use]
    pub fn is(&self, state: E::State) -> bool {
        self.byte.load(Ordering::SeqCst) == state.byte()
    }

    /// Sets a byte that no edge leads to, to see what a corrupt one does.
    #[cfg(test)]
    pub(crate) fn corrupt(&self, byte: u8) {
        self.byte.store(byte, Ordering::SeqCst);
    }
}

impl<E: Edge> fmt::Debug for LifeCycle<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.state() {
            Ok(state) => write!(f, "LifeCycle({state:?})"),
            Err(error) => write!(f, "LifeCycle({error})"),
        }
    }
}

/// Checks all pairs of states of a life cycle against its edges; for the tests of each.
#[cfg(all(test, not(loom)))]
pub(crate) fn check_all_pairs<E: Edge>() {
    for from in E::State::ALL {
        for to in E::State::ALL {
            let edges: alloc::vec::Vec<E> = E::ALL
                .iter()
                .copied()
                .filter(|edge| edge.from() == *from && edge.to() == *to)
                .collect();
            assert!(
                edges.len() <= 1,
                "{from:?} to {to:?} has several edges: {edges:?}"
            );
        }
        for edge in E::ALL {
            let life = LifeCycle::<E>::new(*from);
            let taken = life.take(*edge);
            if edge.from() == *from {
                assert_eq!(taken, Ok(()));
                assert_eq!(life.state(), Ok(edge.to()));
            } else {
                assert_eq!(taken, Err(NotTaken::Elsewhere { seen: *from }));
                assert_eq!(life.state(), Ok(*from));
            }
        }
    }
    let life = LifeCycle::<E>::new(E::State::ALL[0]);
    life.corrupt(0xee);
    assert_eq!(life.state(), Err(NotTaken::Corrupt { byte: 0xee }));
    for edge in E::ALL {
        assert_eq!(life.take(*edge), Err(NotTaken::Corrupt { byte: 0xee }));
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::vcpu_state::{VcpuEdge, VcpuLife, VcpuState};
    use alloc::format;

    #[test]
    fn it_is_in_one_state_and_in_no_other() {
        for state in VcpuState::ALL {
            let life = VcpuLife::new(*state);
            for other in VcpuState::ALL {
                assert_eq!(life.is(*other), state == other, "{state:?}, {other:?}");
            }
        }
    }

    #[test]
    fn refusals_say_what_was_seen() {
        let life = VcpuLife::new(VcpuState::Off);
        let refused = life.take(VcpuEdge::Wake).unwrap_err();
        assert_eq!(format!("{refused}"), "the state is Off");
        assert_eq!(format!("{life:?}"), "LifeCycle(Off)");
        life.corrupt(0xee);
        let refused = life.take(VcpuEdge::Wake).unwrap_err();
        assert!(format!("{refused}").contains("0xee"), "{refused}");
        assert!(format!("{life:?}").contains("0xee"), "{life:?}");
    }
}
