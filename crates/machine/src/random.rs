//! The CPU's source of random numbers.

/// What a CPU's source of random numbers can give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Random {
    /// 64 conditioned bits.
    Bits(u64),
    /// Nothing now; it may have some later.
    Exhausted,
    /// The CPU has no such source (FEAT_RNG).
    Absent,
}

/// The CPU's source of random numbers.
pub trait Randomness {
    /// Reads 64 bits (RNDR).
    fn random(&mut self) -> Random;
}
