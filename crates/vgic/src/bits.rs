//! Small helpers on 32-bit words, one bit to an interrupt.

/// Iterates over the numbers of the bits that are set, lowest first.
#[derive(Clone, Copy)]
pub(crate) struct Bits(pub(crate) u32);

impl Iterator for Bits {
    type Item = u32;

    #[inline]
    fn next(&mut self) -> Option<u32> {
        if self.0 == 0 {
            return None;
        }
        step();
        let number = self.0.trailing_zeros();
        self.0 &= self.0.wrapping_sub(1);
        Some(number)
    }
}

/// Is called once for every round of a loop. Tests count the calls: they bound the work that one call
/// of the model does.
#[inline(always)]
pub(crate) fn step() {
    #[cfg(test)]
    crate::work::count();
}

/// Returns a word with bit `number` (taken modulo 32) set.
#[inline]
pub(crate) const fn bit(number: u32) -> u32 {
    1u32.wrapping_shl(number)
}

/// Returns a word with the low `count` bits set; all of them from 32 on.
#[inline]
pub(crate) const fn low_bits(count: u32) -> u32 {
    if count >= 32 {
        u32::MAX
    } else {
        bit(count).wrapping_sub(1)
    }
}

/// Returns `bits` if `condition` holds, else 0.
#[inline]
pub(crate) const fn when(condition: bool, bits: u32) -> u32 {
    if condition { bits } else { 0 }
}

/// Moves bit n of the low half-word to bit 2n+1: from one bit to an interrupt to GICD_ICFGR's two.
#[inline]
pub(crate) const fn spread(half: u32) -> u32 {
    let mut word = half & 0xffff;
    word = (word | (word << 8)) & 0x00ff_00ff;
    word = (word | (word << 4)) & 0x0f0f_0f0f;
    word = (word | (word << 2)) & 0x3333_3333;
    word = (word | (word << 1)) & 0x5555_5555;
    word << 1
}

/// Undoes [`spread`]: moves bit 2n+1 to bit n; the even bits are dropped.
#[inline]
pub(crate) const fn gather(word: u32) -> u32 {
    let mut half = (word >> 1) & 0x5555_5555;
    half = (half | (half >> 1)) & 0x3333_3333;
    half = (half | (half >> 2)) & 0x0f0f_0f0f;
    half = (half | (half >> 4)) & 0x00ff_00ff;
    (half | (half >> 8)) & 0xffff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_and_gather_are_inverse() {
        for half in 0..=0xffff {
            let word = spread(half);
            assert_eq!(word & 0x5555_5555, 0);
            assert_eq!(gather(word), half);
            assert_eq!(gather(word | 0x5555_5555), half);
        }
        assert_eq!(spread(1 << 3), 1 << 7);
    }

    #[test]
    fn bits_come_lowest_first() {
        assert!(Bits(0x8000_0011).eq([0, 4, 31]));
        assert_eq!(low_bits(32), u32::MAX);
        assert_eq!(low_bits(5), 0x1f);
        assert_eq!(low_bits(0), 0);
    }
}
