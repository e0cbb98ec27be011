//! Typed register offsets.

/// Makes an enum of register offsets with `TryFrom<u64>` (error: [`crate::NoRegister`]), `offset`
/// and `ALL`.
#[macro_export]
macro_rules! register_offsets {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident {
            $($(#[$variant_meta:meta])* $variant:ident = $offset:literal),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u64)]
        $vis enum $name {
            $($(#[$variant_meta])* $variant = $offset),+
        }

        impl $name {
            /// All registers, in the order of their declaration.
            $vis const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Returns the offset in bytes.
            #[must_use]
            $vis const fn offset(self) -> u64 {
                self as u64
            }
        }

        impl TryFrom<u64> for $name {
            type Error = $crate::NoRegister;

            fn try_from(offset: u64) -> Result<Self, Self::Error> {
                match offset {
                    $($offset => Ok(Self::$variant),)+
                    // Any new register has its own arm: this is for offsets, not for variants.
                    _ => Err($crate::NoRegister { offset }),
                }
            }
        }
    };
}

#[cfg(test)]
mod tests {
    register_offsets! {
        /// Registers of a device that exists only here.
        enum Register {
            Data = 0x00,
            Flags = 0x18,
        }
    }

    #[test]
    fn offsets_and_registers_convert_both_ways() {
        for register in Register::ALL {
            assert_eq!(Register::try_from(register.offset()), Ok(*register));
        }
        assert_eq!(
            Register::try_from(0x4),
            Err(crate::NoRegister { offset: 4 })
        );
    }
}
