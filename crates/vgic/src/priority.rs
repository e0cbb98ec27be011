//! Priorities, and choosing the interrupts of highest priority for a handful of list registers.
//!
//! There are 32 priorities (IHI0069, 4.8). Those of 32 interrupts are kept as five words, one for each
//! bit of a priority: the highest priority among any of the 32 is found in five steps, without a look
//! at a single interrupt. To choose from all banks, each is filed under its best priority, and filed
//! anew when its interrupts of that priority were taken: the work grows with the number of list
//! registers and of banks, never with the number of interrupts.

use crate::bits::{Bits, bit, step, when};
use crate::list_registers::MAX_LIST_REGISTERS;

/// The number of bits of a priority that are implemented.
const PRIORITY_BITS: usize = 5;
/// How far left in its byte the lowest of them stands.
const LOWEST_BIT: u32 = 3;
/// The number of priorities.
const LEVELS: u32 = 1 << PRIORITY_BITS;
/// The words of a bit register, one a bank.
const BANKS: usize = 32;

/// The priorities of 32 interrupts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ranks {
    /// A word for each bit of a priority, the highest bit first; in it a bit for each interrupt.
    planes: [u32; PRIORITY_BITS],
}

impl Ranks {
    /// All of priority 0, the highest.
    pub(crate) const HIGHEST: Self = Self {
        planes: [0; PRIORITY_BITS],
    };

    /// Returns the priority of interrupt `number`.
    #[inline]
    pub(crate) fn get(&self, number: u32) -> u8 {
        let mut level = 0_u32;
        for plane in self.planes {
            level = level << 1 | (plane.wrapping_shr(number) & 1);
        }
        priority_of(level)
    }

    /// Sets the priority of interrupt `number`; the bits that are not implemented are dropped.
    #[inline]
    pub(crate) fn set(&mut self, number: u32, priority: u8) {
        let interrupt = bit(number);
        let mut bits = priority;
        for plane in &mut self.planes {
            *plane = (*plane & !interrupt) | when(bits & 0x80 != 0, interrupt);
            bits <<= 1;
        }
    }

    /// Takes over the priorities of `interrupts` from `other`.
    #[inline]
    pub(crate) fn copy(&mut self, other: &Self, interrupts: u32) {
        for (plane, from) in self.planes.iter_mut().zip(other.planes) {
            *plane = (*plane & !interrupts) | (from & interrupts);
        }
    }

    /// Returns the highest priority of `among`, which are not none, and those that have it.
    #[inline]
    fn best(&self, among: u32) -> (u32, u32) {
        let mut level = 0_u32;
        let mut best = among;
        for plane in self.planes {
            let higher = best & !plane;
            level <<= 1;
            if higher == 0 {
                level |= 1;
            } else {
                best = higher;
            }
        }
        (level, best)
    }

    /// Returns the highest priority of `among`; `None` if they are none.
    #[inline]
    pub(crate) fn highest(&self, among: u32) -> Option<u8> {
        (among != 0).then(|| priority_of(self.best(among).0))
    }
}

/// Returns the priority that is the `level`th, from 0.
#[inline]
fn priority_of(level: u32) -> u8 {
    let [priority, ..] = (level << LOWEST_BIT).to_le_bytes();
    priority
}

/// Those of a bank that take part in a choice.
pub(crate) struct Candidates<'a> {
    /// All of them.
    pub(crate) interrupts: u32,
    /// The part of them that comes first: whose group the guest has enabled at its CPU interface. The
    /// others must not keep them out of the list registers.
    pub(crate) first: u32,
    pub(crate) ranks: &'a Ranks,
}

impl Candidates<'_> {
    /// Returns the best place in the order of delivery, and the interrupts that have it.
    fn best(&self) -> Option<(u32, u32)> {
        let first = self.interrupts & self.first;
        if first != 0 {
            return Some(self.ranks.best(first));
        }
        (self.interrupts != 0).then(|| {
            let (level, best) = self.ranks.best(self.interrupts);
            (level | LEVELS, best)
        })
    }
}

/// The best interrupts, at most as many as there are list registers, in the order of delivery: by
/// priority, those of equal priority by INTID.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Selection {
    ids: [u16; MAX_LIST_REGISTERS],
    length: usize,
    overflowed: bool,
}

impl Selection {
    /// Chooses at most `capacity` of the interrupts that `find` has in the banks `words`.
    pub(crate) fn choose<'a>(
        words: u32,
        capacity: usize,
        find: impl Fn(u32) -> Candidates<'a>,
    ) -> Self {
        let mut selection = Self {
            ids: [0; MAX_LIST_REGISTERS],
            length: 0,
            overflowed: false,
        };
        let mut files = Files::new();
        for word in Bits(words) {
            let candidates = find(word);
            if let Some((level, _)) = candidates.best() {
                files.file(level, word, candidates.interrupts);
            }
        }
        while let Some((level, word)) = files.first() {
            step();
            let candidates = Candidates {
                interrupts: files.left(word),
                ..find(word)
            };
            let Some((_, best)) = candidates.best() else {
                return selection;
            };
            for number in Bits(best) {
                if selection.length >= capacity.min(MAX_LIST_REGISTERS) {
                    selection.overflowed = true;
                    return selection;
                }
                selection.push(word << 5 | number);
            }
            let interrupts = candidates.interrupts & !best;
            let next = Candidates {
                interrupts,
                ..candidates
            }
            .best()
            .map(|(level, _)| level);
            files.refile(level, next, word, interrupts);
        }
        selection
    }

    fn push(&mut self, id: u32) {
        if let (Some(place), Ok(id)) = (self.ids.get_mut(self.length), u16::try_from(id)) {
            *place = id;
            self.length = self.length.saturating_add(1);
        }
    }

    /// Returns how many interrupts were chosen.
    pub(crate) const fn len(&self) -> usize {
        self.length
    }

    /// Tells whether an interrupt was left out for want of room.
    pub(crate) const fn overflowed(&self) -> bool {
        self.overflowed
    }

    /// Iterates over the INTIDs, best first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + use<> {
        self.ids.into_iter().take(self.length).map(u32::from)
    }
}

/// Banks by their best place in the order of delivery.
struct Files {
    /// A bit for each place that a bank has.
    levels: u64,
    /// The banks that have each place.
    words: [u32; 2 * LEVELS as usize],
    /// What was not yet chosen of each bank.
    left: [u32; BANKS],
}

impl Files {
    const fn new() -> Self {
        Self {
            levels: 0,
            words: [0; 2 * LEVELS as usize],
            left: [0; BANKS],
        }
    }

    fn file(&mut self, level: u32, word: u32, interrupts: u32) {
        self.levels |= 1_u64.wrapping_shl(level);
        if let Some(words) = self.words.get_mut(level as usize) {
            *words |= bit(word);
        }
        if let Some(left) = self.left.get_mut(word as usize) {
            *left = interrupts;
        }
    }

    fn refile(&mut self, level: u32, next: Option<u32>, word: u32, interrupts: u32) {
        if let Some(words) = self.words.get_mut(level as usize) {
            *words &= !bit(word);
            if *words == 0 {
                self.levels &= !1_u64.wrapping_shl(level);
            }
        }
        if let Some(next) = next {
            self.file(next, word, interrupts);
        }
    }

    /// Returns the best place and the first bank that has it.
    fn first(&self) -> Option<(u32, u32)> {
        if self.levels == 0 {
            return None;
        }
        let level = self.levels.trailing_zeros();
        let words = self.words.get(level as usize).copied().unwrap_or(0);
        Some((level, words.trailing_zeros()))
    }

    fn left(&self, word: u32) -> u32 {
        self.left.get(word as usize).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn ranks(priorities: &[u8; 32]) -> Ranks {
        let mut ranks = Ranks::HIGHEST;
        for (number, priority) in (0..).zip(priorities) {
            ranks.set(number, *priority);
        }
        ranks
    }

    #[test]
    fn a_priority_is_kept_without_the_bits_that_are_not_implemented() {
        let mut ranks = Ranks::HIGHEST;
        for (number, priority) in [(0, 0xff), (31, 0xa8), (7, 0x07), (0, 0x50)] {
            ranks.set(number, priority);
            assert_eq!(ranks.get(number), priority & 0xf8);
        }
        assert_eq!(ranks.get(31), 0xa8);
        let mut other = Ranks::HIGHEST;
        other.copy(&ranks, 1);
        assert_eq!((other.get(0), other.get(31)), (0x50, 0));
    }

    #[test]
    fn the_best_survive_in_order() {
        let mut priorities = [0xf8; 32];
        priorities[7] = 0x80;
        priorities[8] = 0x08;
        priorities[30] = 0x80;
        let ranks = ranks(&priorities);
        let find = |_| Candidates {
            interrupts: 1 << 5 | 1 << 7 | 1 << 8 | 1 << 30,
            first: u32::MAX,
            ranks: &ranks,
        };
        let selection = Selection::choose(1 << 2, 3, find);
        assert!(selection.iter().eq([64 + 8, 64 + 7, 64 + 30]));
        assert!(selection.overflowed());
        assert!(!Selection::choose(1 << 2, 4, find).overflowed());
        assert_eq!(Selection::choose(0, 4, find).len(), 0);
    }

    #[test]
    fn a_disabled_group_comes_last() {
        let mut priorities = [0; 32];
        priorities[2] = 0xf8;
        let ranks = ranks(&priorities);
        let find = |_| Candidates {
            interrupts: 0b110,
            first: 0b100,
            ranks: &ranks,
        };
        let selection = Selection::choose(1, 2, find);
        assert!(selection.iter().eq([2, 1]));
        assert!(!selection.overflowed());
    }

    proptest! {
        #[test]
        fn a_choice_is_the_start_of_the_sorted_list(
            banks in prop::collection::vec((any::<u32>(), any::<u32>(), any::<[u8; 32]>()), 1..32),
            sparse in any::<bool>(),
            words in any::<u32>(),
            capacity in 0..20_usize,
        ) {
            let banks: Vec<(u32, u32, Ranks, [u8; 32])> = banks
                .into_iter()
                .map(|(interrupts, first, priorities)| {
                    // Few interrupts, so that the end of a bank and of the list is reached too.
                    let interrupts = if sparse { interrupts & first & 0x1111 } else { interrupts };
                    (interrupts, first, ranks(&priorities), priorities)
                })
                .collect();
            let words = words & crate::bits::low_bits(banks.len() as u32);
            let mut expected: Vec<(bool, u8, u32)> = Bits(words)
                .flat_map(|word| {
                    let (interrupts, first, _, priorities) = &banks[word as usize];
                    Bits(*interrupts).map(move |number| {
                        let late = first & bit(number) == 0;
                        (late, priorities[number as usize] & 0xf8, word * 32 + number)
                    })
                })
                .collect();
            expected.sort_unstable();
            let selection = Selection::choose(words, capacity, |word| {
                let (interrupts, first, ranks, _) = &banks[word as usize];
                Candidates { interrupts: *interrupts, first: *first, ranks }
            });
            let room = capacity.min(MAX_LIST_REGISTERS);
            prop_assert_eq!(selection.overflowed(), expected.len() > room);
            expected.truncate(room);
            prop_assert_eq!(selection.len(), expected.len());
            prop_assert!(selection.iter().eq(expected.iter().map(|key| key.2)));
        }
    }
}
