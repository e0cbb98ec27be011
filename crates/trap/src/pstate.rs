//! PSTATE as SPSR_EL2 holds it (Arm ARM, C5.2.20, SPSR_EL2).

/// A saved process state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[repr(transparent)]
pub struct Pstate(u64);

/// The exception level that an instruction ran at, of those that a guest has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExceptionLevel {
    /// User programs.
    El0,
    /// The guest's kernel.
    El1,
}

/// Where an exception comes from, as the vector table divides it (Arm ARM, D1.3.1.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// EL1 using SP_EL0.
    El1WithSpEl0,
    /// EL1 using SP_EL1.
    El1WithSpEl1,
    /// EL0 in AArch64 state.
    El0Aarch64,
    /// EL0 in AArch32 state.
    El0Aarch32,
}

impl Pstate {
    /// N, Z, C and V.
    pub const NZCV: u64 = 0xf << 28;
    /// Tag check override.
    pub const TCO: u64 = 1 << 25;
    /// Data-independent timing.
    pub const DIT: u64 = 1 << 24;
    /// User access override (AArch64).
    pub const UAO: u64 = 1 << 23;
    /// Privileged access never.
    pub const PAN: u64 = 1 << 22;
    /// Software step.
    pub const SS: u64 = 1 << 21;
    /// Illegal execution state.
    pub const IL: u64 = 1 << 20;
    /// All interrupts masked (FEAT_NMI).
    pub const ALLINT: u64 = 1 << 13;
    /// Speculative store bypass safe (AArch64).
    pub const SSBS: u64 = 1 << 12;
    /// Branch type (AArch64).
    pub const BTYPE: u64 = 3 << 10;
    /// D, A, I and F.
    pub const DAIF: u64 = 0xf << 6;
    /// M\[4:0\] of EL1 using SP_EL1.
    pub const EL1H: u64 = 0b0_0101;
    /// What a vCPU starts with (Arm ARM, AArch64.TakeReset): EL1 using SP_EL1, all masked.
    pub const RESET: Self = Self(Self::DAIF | Self::EL1H);

    /// IT\[1:0\] (AArch32).
    const IT_LOW: u64 = 3 << 25;
    /// IT\[7:2\] (AArch32).
    const IT_HIGH: u64 = 0x3f << 10;
    /// T: T32 instructions (AArch32).
    const T: u64 = 1 << 5;
    /// M\[4\]: AArch32.
    const NRW: u64 = 1 << 4;

    /// Takes a value of SPSR_EL2.
    #[must_use]
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// Returns the value for SPSR_EL2.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Tells whether the state is AArch32.
    #[must_use]
    pub const fn is_aarch32(self) -> bool {
        self.0 & Self::NRW != 0
    }

    /// Tells whether T32 instructions are executed.
    #[must_use]
    pub const fn is_t32(self) -> bool {
        self.is_aarch32() && self.0 & Self::T != 0
    }

    /// Returns the exception level. A guest has AArch32 at EL0 only, and no level above EL1.
    #[must_use]
    pub const fn level(self) -> ExceptionLevel {
        if self.is_aarch32() || self.0 & 0b1100 == 0 {
            ExceptionLevel::El0
        } else {
            ExceptionLevel::El1
        }
    }

    /// Returns the part of the vector table that an exception from this state takes.
    #[must_use]
    pub const fn source(self) -> Source {
        match self.level() {
            ExceptionLevel::El0 if self.is_aarch32() => Source::El0Aarch32,
            ExceptionLevel::El0 => Source::El0Aarch64,
            ExceptionLevel::El1 if self.0 & 1 == 0 => Source::El1WithSpEl0,
            ExceptionLevel::El1 => Source::El1WithSpEl1,
        }
    }

    /// Returns ITSTATE, 0 outside an IT block (AArch32).
    #[must_use]
    pub(crate) const fn it_state(self) -> u64 {
        ((self.0 & Self::IT_HIGH) >> 8) | ((self.0 & Self::IT_LOW) >> 25)
    }

    /// Returns the state with another ITSTATE (AArch32).
    #[must_use]
    pub(crate) const fn with_it_state(self, it: u64) -> Self {
        Self(
            self.0 & !(Self::IT_HIGH | Self::IT_LOW)
                | ((it << 8) & Self::IT_HIGH)
                | ((it << 25) & Self::IT_LOW),
        )
    }

    /// Returns the state without the bits of `mask`.
    #[must_use]
    pub(crate) const fn without(self, mask: u64) -> Self {
        Self(self.0 & !mask)
    }
}

impl Source {
    /// Returns the offset of the synchronous exception's vector from VBAR_EL1.
    #[must_use]
    pub const fn synchronous_vector(self) -> u64 {
        match self {
            Self::El1WithSpEl0 => 0x000,
            Self::El1WithSpEl1 => 0x200,
            Self::El0Aarch64 => 0x400,
            Self::El0Aarch32 => 0x600,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_name_their_source() {
        for (mode, source) in [
            (0b0_0000, Source::El0Aarch64),
            (0b0_0100, Source::El1WithSpEl0),
            (0b0_0101, Source::El1WithSpEl1),
            (0b1_0000, Source::El0Aarch32),
        ] {
            assert_eq!(Pstate::new(Pstate::NZCV | mode).source(), source);
        }
    }

    #[test]
    fn every_bit_is_that_of_spsr_el2() {
        // Arm ARM, SPSR_EL2, exceptions from AArch64.
        assert_eq!(Pstate::NZCV, 0xf000_0000);
        assert_eq!(Pstate::TCO, 0x0200_0000);
        assert_eq!(Pstate::DIT, 0x0100_0000);
        assert_eq!(Pstate::UAO, 0x0080_0000);
        assert_eq!(Pstate::PAN, 0x0040_0000);
        assert_eq!(Pstate::SS, 0x0020_0000);
        assert_eq!(Pstate::IL, 0x0010_0000);
        assert_eq!(Pstate::ALLINT, 0x2000);
        assert_eq!(Pstate::SSBS, 0x1000);
        assert_eq!(Pstate::BTYPE, 0xc00);
        assert_eq!(Pstate::DAIF, 0x3c0);
        assert_eq!(Pstate::RESET.get(), 0x3c5);
    }

    #[test]
    fn t32_instructions_are_those_of_aarch32() {
        for (mode, is_t32) in [(0x30, true), (0x10, false), (0x20, false), (0x00, false)] {
            assert_eq!(Pstate::new(mode).is_t32(), is_t32, "{mode:#x}");
        }
    }

    #[test]
    fn it_state_survives_its_two_halves() {
        for it in 0..256 {
            let state = Pstate::new(0xf000_0030).with_it_state(it);
            assert_eq!(state.it_state(), it);
            assert_eq!(state.with_it_state(0).get(), 0xf000_0030);
        }
    }
}
