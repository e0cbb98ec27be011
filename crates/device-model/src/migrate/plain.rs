//! What a device holds, as plain numbers, and back with every number checked.

use super::Wire;
use alloc::vec::Vec;
use arrayvec::ArrayVec;
use core::fmt;

/// A value that is saved as plain numbers. Made by [`macro@crate::Migrate`] for structs and enums,
/// by [`macro@crate::bit_fields`] and [`crate::plain_bits!`] for typed bits.
pub trait Plain: Sized {
    /// What is saved.
    type Wire: Wire;

    /// Converts into plain numbers.
    fn to_wire(&self) -> Self::Wire;

    /// Checks what was read, which may be anything.
    ///
    /// # Errors
    /// [`Invalid`] if no device ever has this value.
    fn from_wire(wire: Self::Wire) -> Result<Self, Invalid>;
}

/// A value that a device can never have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Which field of the state; empty if it is no field.
    pub field: &'static str,
    /// What it would be; 0 if it is no number.
    pub value: u64,
}

impl Invalid {
    /// Makes the error of a field.
    #[must_use]
    pub const fn new(field: &'static str, value: u64) -> Self {
        Self { field, value }
    }

    /// Returns the same error with the name of the field, if it has none yet.
    #[must_use]
    pub const fn in_field(self, field: &'static str) -> Self {
        if self.field.is_empty() {
            Self { field, ..self }
        } else {
            self
        }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} can't be {:#x}", self.field, self.value)
    }
}

impl core::error::Error for Invalid {}

macro_rules! numbers {
    ($($number:ty),*) => {
        $(
            impl Plain for $number {
                type Wire = Self;

                fn to_wire(&self) -> Self {
                    *self
                }

                fn from_wire(wire: Self) -> Result<Self, Invalid> {
                    Ok(wire)
                }
            }
        )*
    };
}

numbers!(u8, u16, u32, u64);

impl Plain for bool {
    type Wire = u8;

    fn to_wire(&self) -> u8 {
        u8::from(*self)
    }

    fn from_wire(wire: u8) -> Result<Self, Invalid> {
        match wire {
            0 => Ok(false),
            1 => Ok(true),
            value => Err(Invalid::new("", u64::from(value))),
        }
    }
}

impl<T: Plain> Plain for Option<T> {
    type Wire = Option<T::Wire>;

    fn to_wire(&self) -> Self::Wire {
        self.as_ref().map(T::to_wire)
    }

    fn from_wire(wire: Self::Wire) -> Result<Self, Invalid> {
        wire.map(T::from_wire).transpose()
    }
}

impl<T: Plain, const N: usize> Plain for [T; N] {
    type Wire = [T::Wire; N];

    fn to_wire(&self) -> Self::Wire {
        self.each_ref().map(T::to_wire)
    }

    fn from_wire(wire: Self::Wire) -> Result<Self, Invalid> {
        let elements: ArrayVec<T, N> = wire
            .into_iter()
            .map(T::from_wire)
            .collect::<Result<_, _>>()?;
        // As many as there were.
        elements.into_inner().map_err(|_| Invalid::new("", 0))
    }
}

impl<T: Plain, const N: usize> Plain for ArrayVec<T, N> {
    type Wire = ArrayVec<T::Wire, N>;

    fn to_wire(&self) -> Self::Wire {
        self.iter().map(T::to_wire).collect()
    }

    fn from_wire(wire: Self::Wire) -> Result<Self, Invalid> {
        wire.into_iter().map(T::from_wire).collect()
    }
}

impl<T: Plain> Plain for Vec<T> {
    type Wire = Vec<T::Wire>;

    fn to_wire(&self) -> Self::Wire {
        self.iter().map(T::to_wire).collect()
    }

    fn from_wire(wire: Self::Wire) -> Result<Self, Invalid> {
        wire.into_iter().map(T::from_wire).collect()
    }
}

/// Lets types of the `bitflags` crate be saved; a bit without a name is refused.
#[macro_export]
macro_rules! plain_bits {
    ($($flags:ty: $number:ty),+ $(,)?) => {
        $(
            impl $crate::migrate::Plain for $flags {
                type Wire = $number;

                fn to_wire(&self) -> $number {
                    self.bits()
                }

                fn from_wire(wire: $number) -> Result<Self, $crate::migrate::Invalid> {
                    Self::from_bits(wire)
                        .ok_or($crate::migrate::Invalid::new("", u64::from(wire)))
                }
            }
        )+
    };
}
