//! A set of small numbers in which the next member is found in a few steps: a tree of bits.

use alloc::vec;
use alloc::vec::Vec;

/// A set of numbers below a size that is fixed at construction. Bit `n` of level `l + 1` says that
/// word `n` of level `l` isn't 0; the last level is one word.
#[derive(Debug)]
pub(crate) struct BlockSet {
    levels: Vec<Vec<u64>>,
}

impl BlockSet {
    /// Makes an empty set of numbers below `size`.
    pub(crate) fn new(size: usize) -> Self {
        let mut levels = Vec::new();
        let mut bits = size.max(1);
        loop {
            bits = bits.div_ceil(64);
            levels.push(vec![0; bits]);
            if bits == 1 {
                return Self { levels };
            }
        }
    }

    /// Puts `number` in or takes it out.
    pub(crate) fn set(&mut self, number: usize, member: bool) {
        let mut number = number;
        let mut member = member;
        for level in &mut self.levels {
            let Some(word) = level.get_mut(number / 64) else {
                return;
            };
            let bit = 1_u64.wrapping_shl(low_bits(number));
            *word = if member { *word | bit } else { *word & !bit };
            member = *word != 0;
            number /= 64;
        }
    }

    /// Puts all numbers from `start` up to `end` in.
    pub(crate) fn insert_range(&mut self, start: usize, end: usize) {
        let (mut start, mut end) = (start, end);
        for level in &mut self.levels {
            if start >= end {
                return;
            }
            let words = start / 64..end.div_ceil(64);
            let (first, last) = (words.start, words.end.saturating_sub(1));
            for index in words.clone() {
                let mut bits = u64::MAX;
                if index == first {
                    bits &= u64::MAX.wrapping_shl(low_bits(start));
                }
                if index == last && !end.is_multiple_of(64) {
                    bits &= !u64::MAX.wrapping_shl(low_bits(end));
                }
                if let Some(word) = level.get_mut(index) {
                    *word |= bits;
                }
            }
            (start, end) = (words.start, words.end);
        }
    }

    /// Tells whether `number` is in the set.
    pub(crate) fn contains(&self, number: usize) -> bool {
        self.word(0, number / 64).wrapping_shr(low_bits(number)) & 1 != 0
    }

    /// Returns the smallest member that is `start` or larger.
    pub(crate) fn first_from(&self, start: usize) -> Option<usize> {
        let mut index = start;
        for level in 0..self.levels.len() {
            let word = index / 64;
            let later = self.word(level, word) & u64::MAX.wrapping_shl(low_bits(index));
            if later != 0 {
                return self.first_below(level, word, later);
            }
            index = word.checked_add(1)?;
        }
        None
    }

    /// Descends from the first bit of `bits`, which stand in word `word` of level `level`.
    fn first_below(&self, level: usize, word: usize, bits: u64) -> Option<usize> {
        let mut number = child(word, bits)?;
        for level in (0..level).rev() {
            number = child(number, self.word(level, number))?;
        }
        Some(number)
    }

    fn word(&self, level: usize, index: usize) -> u64 {
        self.levels
            .get(level)
            .and_then(|words| words.get(index))
            .copied()
            .unwrap_or(0)
    }
}

/// Returns the number that the lowest set bit of word `word` stands for.
fn child(word: usize, bits: u64) -> Option<usize> {
    let bit = usize::try_from(bits.trailing_zeros()).ok()?;
    word.checked_mul(64)?.checked_add(bit)
}

/// Returns the place of `number` in its word, 0 to 63.
fn low_bits(number: usize) -> u32 {
    u32::try_from(number & 63).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_range_is_the_same_as_its_numbers() {
        for (start, end) in [
            (0, 0),
            (0, 1),
            (3, 64),
            (63, 65),
            (64, 128),
            (5, 4097),
            (0, 9000),
        ] {
            let mut one = BlockSet::new(9000);
            let mut other = BlockSet::new(9000);
            one.insert_range(start, end);
            (start..end).for_each(|number| other.set(number, true));
            assert_eq!(one.levels, other.levels);
        }
    }

    proptest! {
        #[test]
        fn it_behaves_like_a_set(
            size in 1_usize..300_000,
            ops in proptest::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 1..60),
        ) {
            let mut set = BlockSet::new(size);
            let mut model = BTreeSet::new();
            for (at, member) in ops {
                let number = at.index(size);
                set.set(number, member);
                if member { model.insert(number); } else { model.remove(&number); }
                for probe in [0, number, number + 1, number / 2, size - 1, size] {
                    prop_assert_eq!(set.contains(probe), model.contains(&probe));
                    prop_assert_eq!(
                        set.first_from(probe),
                        model.range(probe..).next().copied()
                    );
                }
            }
        }
    }
}
