//! The exception syndrome register (Arm ARM, D24.2.38, ESR_EL2).

/// A value of ESR_EL2.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(transparent)]
pub struct Esr(u64);

impl Esr {
    /// Recognizes a trapped write to ICC_SGI1R_EL1 (Op0 3, Op1 0, CRn 12, CRm 11, Op2 5): its operand's
    /// register, 0 to 31. `None` for any other exit.
    #[inline(always)]
    #[must_use]
    pub const fn sgi1_register(self) -> Option<u8> {
        const WRITE: u64 = 0x18 << 26 | 1 << 25 | 3 << 20 | 5 << 17 | 12 << 10 | 11 << 1;
        if self.get() & !(0x1f << 5) == WRITE {
            Some(self.bits(5, 5))
        } else {
            None
        }
    }

    /// Takes a value of the register.
    #[must_use]
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// Returns the register's value.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Returns the exception class (EC, bits 31–26).
    #[must_use]
    pub const fn class(self) -> ExceptionClass {
        let [_, _, _, _, top, _, _, _] = self.0.to_be_bytes();
        ExceptionClass::from_code(top >> 2)
    }

    /// Returns the length of the trapped instruction (IL, bit 25).
    #[must_use]
    pub const fn instruction_length(self) -> InstructionLength {
        if self.bit(25) {
            InstructionLength::Four
        } else {
            InstructionLength::Two
        }
    }

    /// Returns the syndrome (ISS, bits 24–0).
    #[must_use]
    pub const fn iss(self) -> u32 {
        let [_, _, _, _, a, b, c, d] = self.0.to_be_bytes();
        u32::from_be_bytes([a & 1, b, c, d])
    }

    /// Returns the second syndrome (ISS2, bits 55–32).
    #[must_use]
    pub const fn iss2(self) -> u32 {
        let [_, a, b, c, _, _, _, _] = self.0.to_be_bytes();
        u32::from_be_bytes([0, a, b, c])
    }

    /// Tells whether bit `index` is set.
    pub(crate) const fn bit(self, index: u32) -> bool {
        self.bits(index, 1) != 0
    }

    /// Returns `width` bits from bit `shift` up; at most 8 bits.
    pub(crate) const fn bits(self, shift: u32, width: u32) -> u8 {
        let [.., low] = self.0.wrapping_shr(shift).to_be_bytes();
        low & u8::MAX.wrapping_shr(8_u32.wrapping_sub(width))
    }

    /// Returns the low 16 bits: the immediate of HVC, SMC and SVC.
    pub(crate) const fn immediate(self) -> u16 {
        let [.., high, low] = self.0.to_be_bytes();
        u16::from_be_bytes([high, low])
    }
}

/// How many bytes the instruction that was trapped has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InstructionLength {
    /// A 16-bit T32 instruction.
    Two,
    /// A64, A32 and 32-bit T32 instructions; also where the length has no meaning.
    Four,
}

impl InstructionLength {
    /// Returns the length in bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        match self {
            Self::Two => 2,
            Self::Four => 4,
        }
    }
}

macro_rules! exception_classes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $words:literal;)*) => {
        /// The exception class (ESR_EL2.EC).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ExceptionClass {
            $(#[doc = $words] $name,)*
            /// A code without a meaning in the edition of the architecture that this was written for.
            Other(u8),
        }

        impl ExceptionClass {
            /// All classes that have a name.
            pub const NAMED: &'static [Self] = &[$(Self::$name),*];

            /// Finds the class of a code; only its low 6 bits count.
            #[must_use]
            pub const fn from_code(code: u8) -> Self {
                match code & 0x3f {
                    $($code => Self::$name,)*
                    other => Self::Other(other),
                }
            }

            /// Returns the 6-bit code.
            #[must_use]
            pub const fn code(self) -> u8 {
                match self {
                    $(Self::$name => $code,)*
                    Self::Other(code) => code & 0x3f,
                }
            }

            /// Says in words what the class means.
            #[must_use]
            pub const fn words(self) -> &'static str {
                match self {
                    $(Self::$name => $words,)*
                    Self::Other(_) => "a class without a name",
                }
            }
        }
    };
}

exception_classes! {
    Unknown = 0x00, "unknown reason";
    WaitFor = 0x01, "WFI, WFE, WFIT or WFET";
    Cp15Single = 0x03, "AArch32 MCR or MRC, coprocessor 15";
    Cp15Double = 0x04, "AArch32 MCRR or MRRC, coprocessor 15";
    Cp14Single = 0x05, "AArch32 MCR or MRC, coprocessor 14";
    Cp14Memory = 0x06, "AArch32 LDC or STC";
    FloatingPoint = 0x07, "FP, SIMD, SVE or SME access";
    Cp10Vmrs = 0x08, "AArch32 VMRS";
    PointerAuth = 0x09, "pointer authentication instruction or key";
    OtherTrapped = 0x0a, "LD64B, ST64B or another trapped instruction";
    Cp14Double = 0x0c, "AArch32 MRRC, coprocessor 14";
    BranchTarget = 0x0d, "branch target";
    IllegalState = 0x0e, "illegal execution state";
    Svc32 = 0x11, "SVC in AArch32";
    Hvc32 = 0x12, "HVC in AArch32";
    Smc32 = 0x13, "SMC in AArch32";
    SystemRegister128 = 0x14, "128-bit system register or instruction";
    Svc64 = 0x15, "SVC";
    Hvc64 = 0x16, "HVC";
    Smc64 = 0x17, "SMC";
    SystemRegister = 0x18, "system register or system instruction";
    Sve = 0x19, "SVE access";
    ExceptionReturn = 0x1a, "ERET";
    TransactionStart = 0x1b, "TSTART";
    PointerAuthFailure = 0x1c, "pointer authentication failure";
    Sme = 0x1d, "SME access";
    GranuleProtection = 0x1e, "granule protection check";
    InstructionAbortLower = 0x20, "instruction abort from a lower level";
    InstructionAbortSame = 0x21, "instruction abort from the same level";
    PcAlignment = 0x22, "PC alignment";
    DataAbortLower = 0x24, "data abort from a lower level";
    DataAbortSame = 0x25, "data abort from the same level";
    SpAlignment = 0x26, "SP alignment";
    MemoryCopy = 0x27, "memory copy or set instruction";
    FloatingPoint32 = 0x28, "AArch32 floating-point exception";
    FloatingPoint64 = 0x2c, "floating-point exception";
    GuardedStack = 0x2d, "guarded control stack";
    SError = 0x2f, "SError";
    BreakpointLower = 0x30, "breakpoint from a lower level";
    BreakpointSame = 0x31, "breakpoint from the same level";
    StepLower = 0x32, "software step from a lower level";
    StepSame = 0x33, "software step from the same level";
    WatchpointLower = 0x34, "watchpoint from a lower level";
    WatchpointSame = 0x35, "watchpoint from the same level";
    Bkpt32 = 0x38, "BKPT in AArch32";
    VectorCatch32 = 0x3a, "vector catch in AArch32";
    Brk64 = 0x3c, "BRK";
    Profiling = 0x3d, "profiling";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_write_of_icc_sgi1r_is_recognized_as_one() {
        // EC 0x18, IL, Op0 3, Op2 5, Op1 0, CRn 12, CRm 11, a write (Arm ARM, ISS of EC 0x18).
        let write = 0x623a_3016;
        for register in 0..32_u8 {
            let esr = write | u64::from(register) << 5;
            assert_eq!(Esr::new(esr).sgi1_register(), Some(register));
            for bit in (0..64).filter(|bit| !(5..10).contains(bit)) {
                assert_eq!(Esr::new(esr ^ 1 << bit).sgi1_register(), None, "{bit}");
            }
        }
    }

    #[test]
    fn every_code_survives_its_class() {
        for code in 0..64 {
            let class = ExceptionClass::from_code(code);
            assert_eq!(class.code(), code);
            let named = ExceptionClass::NAMED.contains(&class);
            assert_eq!(named, !matches!(class, ExceptionClass::Other(_)));
        }
    }

    #[test]
    fn fields_lie_where_the_architecture_says() {
        let esr = Esr::new(0xffab_cdef_9212_3456);
        assert_eq!(esr.class(), ExceptionClass::DataAbortLower);
        assert_eq!(esr.instruction_length(), InstructionLength::Four);
        assert_eq!(esr.iss(), 0x12_3456);
        assert_eq!(esr.iss2(), 0xab_cdef);
        assert_eq!(esr.immediate(), 0x3456);
        let esr = Esr::new(0x01ff_ffff);
        assert_eq!(esr.instruction_length(), InstructionLength::Two);
        assert_eq!(esr.iss(), 0x1ff_ffff);
        assert_eq!(esr.class(), ExceptionClass::Unknown);
    }
}
