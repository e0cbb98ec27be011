//! Identities of system registers and system instructions.

use core::fmt;

/// A system register or system instruction: op0, op1, CRn, CRm and op2, packed as they stand in
/// bits 20–5 of MRS and MSR (Arm ARM, C5.1.2), so that every 16-bit value is an identity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct SysRegId(u16);

impl SysRegId {
    /// Makes an identity from its five fields; bits beyond a field's width are ignored.
    #[must_use]
    pub const fn new(op0: u8, op1: u8, crn: u8, crm: u8, op2: u8) -> Self {
        Self(
            (op0 as u16 & 3) << 14
                | (op1 as u16 & 7) << 11
                | (crn as u16 & 15) << 7
                | (crm as u16 & 15) << 3
                | (op2 as u16 & 7),
        )
    }

    /// Takes the packed fields.
    #[must_use]
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// Returns the packed fields.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Takes the identity out of the syndrome of exception class 0x18: Op0 in bits 21–20, Op2 19–17,
    /// Op1 16–14, CRn 13–10, CRm 4–1.
    #[must_use]
    pub const fn from_iss(iss: u32) -> Self {
        let [_, a, b, c] = iss.to_be_bytes();
        Self::new(a >> 4, (a << 2) | (b >> 6), b >> 2, c >> 1, a >> 1)
    }

    /// Returns op0, 0 to 3: 3 and 2 are registers, 1 system instructions.
    #[must_use]
    pub const fn op0(self) -> u8 {
        self.field(14, 3)
    }

    /// Returns op1, 0 to 7: 3 is for EL0, 4 for EL2, 6 for EL3.
    #[must_use]
    pub const fn op1(self) -> u8 {
        self.field(11, 7)
    }

    /// Returns CRn, 0 to 15.
    #[must_use]
    pub const fn crn(self) -> u8 {
        self.field(7, 15)
    }

    /// Returns CRm, 0 to 15.
    #[must_use]
    pub const fn crm(self) -> u8 {
        self.field(3, 15)
    }

    /// Returns op2, 0 to 7.
    #[must_use]
    pub const fn op2(self) -> u8 {
        self.field(0, 7)
    }

    /// Returns the bits of `mask` after a shift to the right.
    const fn field(self, shift: u32, mask: u8) -> u8 {
        let [_, low] = self.0.wrapping_shr(shift).to_be_bytes();
        low & mask
    }
}

impl fmt::Debug for SysRegId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for SysRegId {
    /// Writes the name if there is one here, else the assembler's generic name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((_, name)) = Self::NAMES.iter().find(|(id, _)| id == self) {
            return f.write_str(name);
        }
        let (op0, op1, crn, crm, op2) =
            (self.op0(), self.op1(), self.crn(), self.crm(), self.op2());
        write!(f, "S{op0}_{op1}_C{crn}_C{crm}_{op2}")
    }
}

macro_rules! registers {
    ($($name:ident = ($op0:literal, $op1:literal, $crn:literal, $crm:literal, $op2:literal);)*) => {
        impl SysRegId {
            $(
                #[doc = concat!(stringify!($name), ".")]
                pub const $name: Self = Self::new($op0, $op1, $crn, $crm, $op2);
            )*

            /// The registers that have a name here.
            const NAMES: &'static [(Self, &'static str)] = &[
                $((Self::$name, stringify!($name)),)*
            ];
        }
    };
}

registers! {
    // Debug and trace (op0 = 2)
    OSDTRRX_EL1 = (2, 0, 0, 0, 2);
    DBGBVR0_EL1 = (2, 0, 0, 0, 4);
    DBGBCR0_EL1 = (2, 0, 0, 0, 5);
    DBGWVR0_EL1 = (2, 0, 0, 0, 6);
    DBGWCR0_EL1 = (2, 0, 0, 0, 7);
    MDCCINT_EL1 = (2, 0, 0, 2, 0);
    MDSCR_EL1 = (2, 0, 0, 2, 2);
    OSDTRTX_EL1 = (2, 0, 0, 3, 2);
    OSECCR_EL1 = (2, 0, 0, 6, 2);
    MDRAR_EL1 = (2, 0, 1, 0, 0);
    OSLAR_EL1 = (2, 0, 1, 0, 4);
    OSLSR_EL1 = (2, 0, 1, 1, 4);
    OSDLR_EL1 = (2, 0, 1, 3, 4);
    DBGPRCR_EL1 = (2, 0, 1, 4, 4);
    DBGCLAIMSET_EL1 = (2, 0, 7, 8, 6);
    DBGCLAIMCLR_EL1 = (2, 0, 7, 9, 6);
    DBGAUTHSTATUS_EL1 = (2, 0, 7, 14, 6);
    MDCCSR_EL0 = (2, 3, 0, 1, 0);
    DBGDTR_EL0 = (2, 3, 0, 4, 0);
    DBGDTRRX_EL0 = (2, 3, 0, 5, 0);
    // Cache maintenance by set and way (op0 = 1)
    DC_ISW = (1, 0, 7, 6, 2);
    DC_CSW = (1, 0, 7, 10, 2);
    DC_CISW = (1, 0, 7, 14, 2);
    // Identification
    MIDR_EL1 = (3, 0, 0, 0, 0);
    MPIDR_EL1 = (3, 0, 0, 0, 5);
    REVIDR_EL1 = (3, 0, 0, 0, 6);
    ID_PFR0_EL1 = (3, 0, 0, 1, 0);
    ID_PFR1_EL1 = (3, 0, 0, 1, 1);
    ID_DFR0_EL1 = (3, 0, 0, 1, 2);
    ID_AFR0_EL1 = (3, 0, 0, 1, 3);
    ID_MMFR0_EL1 = (3, 0, 0, 1, 4);
    ID_MMFR1_EL1 = (3, 0, 0, 1, 5);
    ID_MMFR2_EL1 = (3, 0, 0, 1, 6);
    ID_MMFR3_EL1 = (3, 0, 0, 1, 7);
    ID_ISAR0_EL1 = (3, 0, 0, 2, 0);
    ID_ISAR1_EL1 = (3, 0, 0, 2, 1);
    ID_ISAR2_EL1 = (3, 0, 0, 2, 2);
    ID_ISAR3_EL1 = (3, 0, 0, 2, 3);
    ID_ISAR4_EL1 = (3, 0, 0, 2, 4);
    ID_ISAR5_EL1 = (3, 0, 0, 2, 5);
    ID_MMFR4_EL1 = (3, 0, 0, 2, 6);
    ID_ISAR6_EL1 = (3, 0, 0, 2, 7);
    MVFR0_EL1 = (3, 0, 0, 3, 0);
    MVFR1_EL1 = (3, 0, 0, 3, 1);
    MVFR2_EL1 = (3, 0, 0, 3, 2);
    ID_PFR2_EL1 = (3, 0, 0, 3, 4);
    ID_DFR1_EL1 = (3, 0, 0, 3, 5);
    ID_MMFR5_EL1 = (3, 0, 0, 3, 6);
    ID_AA64PFR0_EL1 = (3, 0, 0, 4, 0);
    ID_AA64PFR1_EL1 = (3, 0, 0, 4, 1);
    ID_AA64PFR2_EL1 = (3, 0, 0, 4, 2);
    ID_AA64ZFR0_EL1 = (3, 0, 0, 4, 4);
    ID_AA64SMFR0_EL1 = (3, 0, 0, 4, 5);
    ID_AA64FPFR0_EL1 = (3, 0, 0, 4, 7);
    ID_AA64DFR0_EL1 = (3, 0, 0, 5, 0);
    ID_AA64DFR1_EL1 = (3, 0, 0, 5, 1);
    ID_AA64DFR2_EL1 = (3, 0, 0, 5, 2);
    ID_AA64AFR0_EL1 = (3, 0, 0, 5, 4);
    ID_AA64AFR1_EL1 = (3, 0, 0, 5, 5);
    ID_AA64ISAR0_EL1 = (3, 0, 0, 6, 0);
    ID_AA64ISAR1_EL1 = (3, 0, 0, 6, 1);
    ID_AA64ISAR2_EL1 = (3, 0, 0, 6, 2);
    ID_AA64ISAR3_EL1 = (3, 0, 0, 6, 3);
    ID_AA64MMFR0_EL1 = (3, 0, 0, 7, 0);
    ID_AA64MMFR1_EL1 = (3, 0, 0, 7, 1);
    ID_AA64MMFR2_EL1 = (3, 0, 0, 7, 2);
    ID_AA64MMFR3_EL1 = (3, 0, 0, 7, 3);
    ID_AA64MMFR4_EL1 = (3, 0, 0, 7, 4);
    CCSIDR_EL1 = (3, 1, 0, 0, 0);
    CLIDR_EL1 = (3, 1, 0, 0, 1);
    GMID_EL1 = (3, 1, 0, 0, 4);
    SMIDR_EL1 = (3, 1, 0, 0, 6);
    AIDR_EL1 = (3, 1, 0, 0, 7);
    CSSELR_EL1 = (3, 2, 0, 0, 0);
    CTR_EL0 = (3, 3, 0, 0, 1);
    // Control, faults and memory
    SCTLR_EL1 = (3, 0, 1, 0, 0);
    ACTLR_EL1 = (3, 0, 1, 0, 1);
    ZCR_EL1 = (3, 0, 1, 2, 0);
    SCTLR2_EL1 = (3, 0, 1, 0, 3);
    TCR2_EL1 = (3, 0, 2, 0, 3);
    ERRIDR_EL1 = (3, 0, 5, 3, 0);
    ERRSELR_EL1 = (3, 0, 5, 3, 1);
    LORSA_EL1 = (3, 0, 10, 4, 0);
    LOREA_EL1 = (3, 0, 10, 4, 1);
    LORN_EL1 = (3, 0, 10, 4, 2);
    LORC_EL1 = (3, 0, 10, 4, 3);
    LORID_EL1 = (3, 0, 10, 4, 7);
    SCXTNUM_EL1 = (3, 0, 13, 0, 7);
    SCXTNUM_EL0 = (3, 3, 13, 0, 7);
    // Performance monitors
    PMINTENSET_EL1 = (3, 0, 9, 14, 1);
    PMCR_EL0 = (3, 3, 9, 12, 0);
    PMCCNTR_EL0 = (3, 3, 9, 13, 0);
    PMUSERENR_EL0 = (3, 3, 9, 14, 0);
    // Interrupt controller (IHI0069, 12.2)
    ICC_SGI1R_EL1 = (3, 0, 12, 11, 5);
    ICC_ASGI1R_EL1 = (3, 0, 12, 11, 6);
    ICC_SGI0R_EL1 = (3, 0, 12, 11, 7);
    ICC_SRE_EL1 = (3, 0, 12, 12, 5);
    // Generic timer
    CNTPCT_EL0 = (3, 3, 14, 0, 1);
    CNTPCTSS_EL0 = (3, 3, 14, 0, 5);
    CNTP_TVAL_EL0 = (3, 3, 14, 2, 0);
    CNTP_CTL_EL0 = (3, 3, 14, 2, 1);
    CNTP_CVAL_EL0 = (3, 3, 14, 2, 2);
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::collections::HashSet;
    use std::string::ToString;

    #[test]
    fn c1_every_identity_survives_its_fields_and_its_syndrome() {
        for bits in 0..=u16::MAX {
            let id = SysRegId::from_bits(bits);
            let again = SysRegId::new(id.op0(), id.op1(), id.crn(), id.crm(), id.op2());
            assert_eq!(again.bits(), bits);
            let iss = u32::from(id.op0()) << 20
                | u32::from(id.op2()) << 17
                | u32::from(id.op1()) << 14
                | u32::from(id.crn()) << 10
                | 0b11111 << 5
                | u32::from(id.crm()) << 1
                | 1;
            assert_eq!(SysRegId::from_iss(iss), id);
        }
    }

    #[test]
    fn names_are_unique_and_printed() {
        let ids: HashSet<_> = SysRegId::NAMES.iter().map(|(id, _)| *id).collect();
        assert_eq!(ids.len(), SysRegId::NAMES.len());
        assert_eq!(SysRegId::OSLAR_EL1.to_string(), "OSLAR_EL1");
        assert_eq!(std::format!("{:?}", SysRegId::OSLAR_EL1), "OSLAR_EL1");
        assert_eq!(SysRegId::new(3, 7, 15, 2, 1).to_string(), "S3_7_C15_C2_1");
    }
}
