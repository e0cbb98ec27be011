//! Completing a load or a store that stage 2 refused, from the syndrome alone.

use crate::esr::Esr;
use crate::exit::{Direction, ExitRegisters};
use crate::fault::access_ipa;
use addr::{Ipa, Width};

/// One load or store of one general-purpose register (ESR_EL2 of a data abort with ISV=1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MmioAccess {
    /// How many bytes (SAS).
    pub width: Width,
    /// How a load fills the register (SSE).
    pub extension: Extension,
    /// The register, 0 to 31; 31 is XZR (SRT).
    pub register: u8,
    /// How much of the register a load writes (SF).
    pub register_width: RegisterWidth,
    /// Load or store (WnR).
    pub direction: Direction,
    /// Whether the access orders others (AR).
    pub ordering: Ordering,
}

/// How a narrow load fills its register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Extension {
    /// With zeros.
    Zero,
    /// With the value's top bit (LDRSB, LDRSH, LDRSW).
    Sign,
}

/// Which part of the register the instruction names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RegisterWidth {
    /// Wn: the top half becomes 0.
    W,
    /// Xn.
    X,
}

/// Whether a load acquires or a store releases (LDAR, STLR).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ordering {
    /// Neither.
    Plain,
    /// One of them. The exit and entry of EL2 order device accesses anyway.
    AcquireRelease,
}

/// A load or a store that reached an address which stage 2 doesn't map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceAccess {
    /// The guest-physical address of the first byte.
    pub ipa: Ipa,
    /// The access.
    pub access: MmioAccess,
}

impl DeviceAccess {
    /// Recognizes the exit that devices live by in a few instructions: a data abort from a lower
    /// level, translation fault, not on a stage 1 walk, no cache maintenance, described completely,
    /// with a valid address. `None` for any other exit, which is then decoded the long way
    /// ([`crate::decode`]); what both say is the same.
    #[inline]
    #[must_use]
    pub const fn recognize(registers: &ExitRegisters) -> Option<Self> {
        const CLASS: u64 = 0x3f << 26;
        const ISV: u64 = 1 << 24;
        const FNV: u64 = 1 << 10;
        const CM: u64 = 1 << 8;
        const S1PTW: u64 = 1 << 7;
        /// The fault status without the level of lookup.
        const KIND: u64 = 0b11_1100;
        const TRANSLATION: u64 = 0b00_0100;
        let esr = registers.esr;
        if esr.get() & (CLASS | ISV | FNV | CM | S1PTW | KIND) != 0x24 << 26 | ISV | TRANSLATION {
            return None;
        }
        let direction = if esr.bit(6) {
            Direction::Write
        } else {
            Direction::Read
        };
        Some(Self {
            ipa: access_ipa(registers),
            access: MmioAccess::decode(esr, direction),
        })
    }
}

impl DeviceAccess {
    /// Recognizes the most usual of the exits that [`DeviceAccess::recognize`] knows: a load of a
    /// 32-bit word that fills its register with zeros. Gives the register (31 is XZR) and the
    /// address.
    #[inline]
    #[must_use]
    pub const fn recognize_word_read(registers: &ExitRegisters) -> Option<(u8, Ipa)> {
        /// Class, ISV, SAS, SSE, FnV, CM, S1PTW, WnR and the fault status without the level.
        const MASK: u64 = 0x3f << 26 | 1 << 24 | 7 << 21 | 1 << 10 | 1 << 8 | 3 << 6 | 0b11_1100;
        /// A data abort from a lower level, described, of a word, by a translation fault.
        const WORD_READ: u64 = 0x24 << 26 | 1 << 24 | 2 << 22 | 0b00_0100;
        let esr = registers.esr;
        if esr.get() & MASK == WORD_READ {
            Some((esr.bits(16, 5), access_ipa(registers)))
        } else {
            None
        }
    }
}

impl MmioAccess {
    /// Decodes bits 23–14 of a data abort's ISS; the caller has checked ISV.
    pub(crate) const fn decode(esr: Esr, direction: Direction) -> Self {
        Self {
            width: Width::from_sas(esr.get() >> 22),
            extension: if esr.bit(21) {
                Extension::Sign
            } else {
                Extension::Zero
            },
            register: esr.bits(16, 5),
            register_width: if esr.bit(15) {
                RegisterWidth::X
            } else {
                RegisterWidth::W
            },
            direction,
            ordering: if esr.bit(14) {
                Ordering::AcquireRelease
            } else {
                Ordering::Plain
            },
        }
    }

    /// Gives the value that a load leaves in its register when the device answered `raw`: cut to
    /// the width, extended, and cut again to Wn. Register 31 swallows it.
    #[inline]
    #[must_use]
    pub const fn loaded_value(&self, raw: u64) -> u64 {
        let unused = u64::BITS.wrapping_sub(self.width.bits());
        let top = raw.wrapping_shl(unused);
        let extended = match self.extension {
            Extension::Zero => top.wrapping_shr(unused),
            // A signed shift to the right copies the top bit.
            Extension::Sign => top.cast_signed().wrapping_shr(unused).cast_unsigned(),
        };
        match self.register_width {
            RegisterWidth::X => extended,
            RegisterWidth::W => extended & 0xffff_ffff,
        }
    }

    /// Gives the value that the device sees of a store whose register holds `register_value` (0 for
    /// register 31): its low [`Width::bits`] bits.
    #[inline]
    #[must_use]
    pub const fn stored_value(&self, register_value: u64) -> u64 {
        register_value & self.width.mask()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(width: Width, extension: Extension, register_width: RegisterWidth) -> MmioAccess {
        MmioAccess {
            width,
            extension,
            register: 3,
            register_width,
            direction: Direction::Read,
            ordering: Ordering::Plain,
        }
    }

    #[test]
    fn b1_loads_keep_only_the_bytes_of_their_width() {
        let raw = 0x8877_6655_4433_2211;
        let expected = [0x11, 0x2211, 0x4433_2211, raw];
        for (width, expected) in Width::ALL.into_iter().zip(expected) {
            let access = load(width, Extension::Zero, RegisterWidth::X);
            assert_eq!(access.loaded_value(raw), expected);
            assert_eq!(access.stored_value(raw), expected);
        }
    }

    #[test]
    fn b4_sign_extends_to_the_register_width() {
        use Extension::Sign;
        use RegisterWidth::{W, X};
        let value =
            |width, register_width, raw| load(width, Sign, register_width).loaded_value(raw);
        assert_eq!(value(Width::Byte, X, 0x80), 0xffff_ffff_ffff_ff80);
        assert_eq!(value(Width::Byte, W, 0x80), 0xffff_ff80);
        assert_eq!(value(Width::Byte, X, 0x17f), 0x7f);
        assert_eq!(value(Width::Half, X, 0x8000), 0xffff_ffff_ffff_8000);
        assert_eq!(value(Width::Half, W, 0x8000), 0xffff_8000);
        assert_eq!(value(Width::Word, X, 0x8000_0000), 0xffff_ffff_8000_0000);
        assert_eq!(value(Width::Word, W, 0x8000_0000), 0x8000_0000);
        assert_eq!(value(Width::Double, X, u64::MAX - 1), u64::MAX - 1);
    }

    #[test]
    fn the_short_way_recognizes_what_the_long_way_describes() {
        use crate::exit::{Exit, decode};
        const WORD: u64 = 0x9380_0000;
        let mut recognized = 0;
        // Every fault status, with each flag of the low half, for described and other accesses.
        let flipped = (16..32).map(|bit| WORD ^ 1 << bit);
        for high in [WORD, 0x93fd_c000].into_iter().chain(flipped) {
            for low in 0..0x800_u64 {
                let registers = ExitRegisters {
                    esr: Esr::new(high | low),
                    far: 0xffff_0000_0000_0abc,
                    hpfar: 0x9_0010,
                };
                let device = DeviceAccess::recognize(&registers);
                let word_read = device.filter(|device| {
                    device.access.width == Width::Word
                        && device.access.direction == Direction::Read
                        && device.access.extension == Extension::Zero
                });
                let expected = word_read.map(|device| (device.access.register, device.ipa));
                assert_eq!(DeviceAccess::recognize_word_read(&registers), expected);
                let Some(device) = device else { continue };
                recognized += 1;
                let Exit::DataAbort(abort) = decode(&registers) else {
                    panic!("{registers}");
                };
                assert_eq!(abort.mmio, Some(device.access));
                assert_eq!(abort.ipa, Some(device.ipa));
            }
        }
        // The two, and those with another register, width, extension or IL; 4 levels; and the bits
        // that don't matter: WnR, EA.
        assert_eq!(recognized, (2 + 5 + 2 + 1 + 1) * 4 * 2 * 2);
    }

    #[test]
    fn a_load_of_w_clears_the_top_half() {
        let access = load(Width::Double, Extension::Zero, RegisterWidth::W);
        assert_eq!(access.loaded_value(u64::MAX), 0xffff_ffff);
    }
}
