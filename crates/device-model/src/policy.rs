//! Which accesses a device takes, as data.

use addr::Width;

/// A set of access widths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Widths(u8);

impl Widths {
    /// 8 bits.
    pub const BYTE: Self = Self::only(Width::Byte);
    /// 32 bits.
    pub const WORD: Self = Self::only(Width::Word);
    /// 8, 16 and 32 bits.
    pub const UP_TO_WORD: Self = Self::BYTE.with(Width::Half).with(Width::Word);
    /// 8, 16, 32 and 64 bits.
    pub const ANY: Self = Self::UP_TO_WORD.with(Width::Double);

    /// Makes the set of one width.
    #[must_use]
    pub const fn only(width: Width) -> Self {
        Self(1 << width as u8)
    }

    /// Returns the set with `width` added.
    #[must_use]
    pub const fn with(self, width: Width) -> Self {
        Self(self.0 | Self::only(width).0)
    }

    /// Tells whether `width` is in the set.
    #[must_use]
    pub const fn contains(self, width: Width) -> bool {
        self.0 & Self::only(width).0 != 0
    }

    /// Returns the narrowest width of the set that is wider than `width`.
    #[must_use]
    pub fn wider_than(self, width: Width) -> Option<Width> {
        Width::ALL
            .into_iter()
            .find(|candidate| *candidate > width && self.contains(*candidate))
    }

    /// Returns the widest width of the set that is narrower than `width`.
    #[must_use]
    pub fn narrower_than(self, width: Width) -> Option<Width> {
        Width::ALL
            .into_iter()
            .rev()
            .find(|candidate| *candidate < width && self.contains(*candidate))
    }
}

/// What happens to an access that a device does not take. It is counted either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Reads return zero, writes are ignored.
    Ignored,
    /// The access faults: the guest takes a synchronous external abort.
    Fault,
}

/// In which order the bytes of a register lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Endian {
    /// Lowest byte at the lowest offset.
    #[default]
    Little,
    /// Highest byte at the lowest offset.
    Big,
}

/// Which accesses a device takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessPolicy {
    /// How many bytes of registers the device has, counted from offset 0.
    pub size: u64,
    /// The widths that a guest may use.
    pub valid: Widths,
    /// The widths that the device's `read` and `write` take; others are adapted to them.
    pub implemented: Widths,
    /// The order of a register's bytes. `read` and `write` deal with values, never with it.
    pub endian: Endian,
    /// What a width outside `valid` gives.
    pub bad_width: Refused,
    /// What an offset that is no multiple of the width gives.
    pub unaligned: Refused,
    /// What an offset without a register gives.
    pub unknown: Refused,
    /// What an access that crosses `size` gives.
    pub beyond_end: Refused,
}

impl AccessPolicy {
    /// 4 KiB of 32-bit registers, as of Arm's PrimeCells: narrower accesses are adapted, reserved
    /// offsets read as zero and ignore writes, everything else faults.
    pub const WORD_REGISTERS: Self = Self {
        size: 0x1000,
        valid: Widths::UP_TO_WORD,
        implemented: Widths::WORD,
        endian: Endian::Little,
        bad_width: Refused::Fault,
        unaligned: Refused::Fault,
        unknown: Refused::Ignored,
        beyond_end: Refused::Fault,
    };

    /// Tells whether an access reaches the device as it is.
    #[inline]
    pub(crate) fn takes_as_it_is(&self, offset: u64, width: Width) -> bool {
        self.valid.contains(width)
            && self.implemented.contains(width)
            && width.is_aligned(offset)
            && self
                .size
                .checked_sub(width.bytes())
                .is_some_and(|last| offset <= last)
    }

    /// Puts the bytes of a register of `width` in the order of a little-endian guest, or back.
    #[inline]
    pub(crate) fn in_order(&self, value: u64, width: Width) -> u64 {
        match self.endian {
            Endian::Little => value,
            Endian::Big => value.swap_bytes() >> (64_u32.wrapping_sub(width.bits()) & 63),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_know_their_neighbours() {
        assert!(Widths::UP_TO_WORD.contains(Width::Half));
        assert!(!Widths::UP_TO_WORD.contains(Width::Double));
        assert_eq!(Widths::WORD.wider_than(Width::Byte), Some(Width::Word));
        assert_eq!(Widths::WORD.wider_than(Width::Word), None);
        assert_eq!(
            Widths::UP_TO_WORD.narrower_than(Width::Double),
            Some(Width::Word)
        );
        assert_eq!(Widths::WORD.narrower_than(Width::Half), None);
        for width in Width::ALL {
            assert!(Widths::ANY.contains(width));
        }
    }
}
