//! Intermediate physical and physical addresses.

use crate::PAGE_SIZE;
use core::fmt;

/// What [`Ipa`] and [`Pa`] have in common, for code that is generic over the address space.
pub trait Address: Copy + Ord + fmt::Debug + fmt::LowerHex {
    /// Makes an address from its raw value.
    fn new(value: u64) -> Self;

    /// Returns the raw value.
    fn get(self) -> u64;

    /// Returns the address `bytes` further on, or `None` if that wraps.
    fn checked_add(self, bytes: u64) -> Option<Self> {
        self.get().checked_add(bytes).map(Self::new)
    }

    /// Returns the address `bytes` before, or `None` if that wraps.
    fn checked_sub(self, bytes: u64) -> Option<Self> {
        self.get().checked_sub(bytes).map(Self::new)
    }

    /// Returns the distance in bytes from `earlier` to `self`, or `None` if `earlier` is later.
    fn offset_from(self, earlier: Self) -> Option<u64> {
        self.get().checked_sub(earlier.get())
    }

    /// Tells whether the address is a multiple of `alignment`, a power of two in bytes.
    fn is_aligned(self, alignment: u64) -> bool {
        alignment.is_power_of_two() && align_down(self.get(), alignment) == self.get()
    }

    /// Returns the start of the page that holds the address.
    #[must_use]
    fn page(self) -> Self {
        Self::new(align_down(self.get(), PAGE_SIZE))
    }

    /// Returns the offset of the address in its page, in bytes.
    fn page_offset(self) -> u64 {
        self.get() & PAGE_SIZE.wrapping_sub(1)
    }
}

/// Rounds `value` down to a multiple of `alignment`, a power of two.
#[must_use]
pub const fn align_down(value: u64, alignment: u64) -> u64 {
    value & !alignment.wrapping_sub(1)
}

/// Rounds `value` up to a multiple of `alignment`, a power of two; `None` if that wraps.
#[must_use]
pub const fn align_up(value: u64, alignment: u64) -> Option<u64> {
    match value.checked_add(alignment.wrapping_sub(1)) {
        Some(sum) => Some(align_down(sum, alignment)),
        None => None,
    }
}

macro_rules! address {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(transparent)]
        pub struct $name(u64);

        impl $name {
            /// Makes an address from its raw value.
            #[must_use]
            pub const fn new(value: u64) -> Self {
                Self(value)
            }

            /// Returns the raw value.
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }
        }

        impl Address for $name {
            fn new(value: u64) -> Self {
                Self(value)
            }

            fn get(self) -> u64 {
                self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:#x})"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }

        impl fmt::LowerHex for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::LowerHex::fmt(&self.0, f)
            }
        }
    };
}

address! {
    /// An intermediate physical address: what a guest takes for physical.
    Ipa
}
address! {
    /// A physical address of the machine.
    Pa
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alignment_rounds_both_ways() {
        assert_eq!(align_down(0x1fff, PAGE_SIZE), 0x1000);
        assert_eq!(align_up(0x1001, PAGE_SIZE), Some(0x2000));
        assert_eq!(align_up(0x1000, PAGE_SIZE), Some(0x1000));
        assert_eq!(align_up(u64::MAX, PAGE_SIZE), None);
    }

    #[test]
    fn arithmetic_never_wraps() {
        assert_eq!(Ipa::new(u64::MAX).checked_add(1), None);
        assert_eq!(Ipa::new(0).checked_sub(1), None);
        assert_eq!(Pa::new(5).offset_from(Pa::new(6)), None);
        assert_eq!(Pa::new(6).offset_from(Pa::new(5)), Some(1));
    }

    #[test]
    fn page_and_offset_recombine() {
        let address = Pa::new(0x4567_89ab);
        assert_eq!(address.page(), Pa::new(0x4567_8000));
        assert_eq!(address.page_offset(), 0x9ab);
        assert!(!address.is_aligned(2));
        assert!(address.page().is_aligned(PAGE_SIZE));
        assert!(!address.is_aligned(3));
    }
}
