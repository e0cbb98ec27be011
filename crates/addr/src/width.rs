//! The width of an access to a device register.

/// How many bytes a load or a store touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Width {
    /// 8 bits.
    Byte,
    /// 16 bits.
    Half,
    /// 32 bits.
    Word,
    /// 64 bits.
    Double,
}

impl Width {
    /// All widths, narrowest first.
    pub const ALL: [Self; 4] = [Self::Byte, Self::Half, Self::Word, Self::Double];

    /// Returns the width of an access of `bytes` bytes; `None` if that is not 1, 2, 4 or 8.
    #[must_use]
    pub const fn from_bytes(bytes: u64) -> Option<Self> {
        match bytes {
            1 => Some(Self::Byte),
            2 => Some(Self::Half),
            4 => Some(Self::Word),
            8 => Some(Self::Double),
            _ => None,
        }
    }

    /// Returns the width whose syndrome field SAS (Arm ARM, ESR_EL2, ISS for a data abort) is the
    /// low two bits of `sas`.
    #[must_use]
    pub const fn from_sas(sas: u64) -> Self {
        match sas & 3 {
            0 => Self::Byte,
            1 => Self::Half,
            2 => Self::Word,
            _ => Self::Double,
        }
    }

    /// Returns the number of bytes: 1, 2, 4 or 8.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        match self {
            Self::Byte => 1,
            Self::Half => 2,
            Self::Word => 4,
            Self::Double => 8,
        }
    }

    /// Returns the number of bits: 8, 16, 32 or 64.
    #[must_use]
    pub const fn bits(self) -> u32 {
        match self {
            Self::Byte => 8,
            Self::Half => 16,
            Self::Word => 32,
            Self::Double => 64,
        }
    }

    /// Returns a value with the low [`Width::bits`] bits set.
    #[must_use]
    pub const fn mask(self) -> u64 {
        match self {
            Self::Byte => 0xff,
            Self::Half => 0xffff,
            Self::Word => 0xffff_ffff,
            Self::Double => u64::MAX,
        }
    }

    /// Tells whether `address` is naturally aligned for this width.
    #[must_use]
    pub const fn is_aligned(self, address: u64) -> bool {
        address & self.bytes().wrapping_sub(1) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_bits_and_mask_agree() {
        for (sas, width) in (0..).zip(Width::ALL) {
            assert_eq!(Width::from_sas(sas), width);
            assert_eq!(Width::from_bytes(width.bytes()), Some(width));
            assert_eq!(u64::from(width.bits()), width.bytes() * 8);
            assert_eq!(width.mask().count_ones(), width.bits());
        }
        assert_eq!(Width::from_bytes(3), None);
        assert!(Width::Word.is_aligned(0x1004));
        assert!(!Width::Word.is_aligned(0x1002));
    }
}
