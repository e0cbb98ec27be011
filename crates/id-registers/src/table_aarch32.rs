//! The feature table: what AArch64 shows of AArch32 (Arm ARM, D24.2). A guest has AArch32 at EL0 at
//! most; where it has none, these registers read as zero.

use crate::controls::{cptr, mdcr};
use crate::field::Control::{Cptr, Mdcr};
use crate::field::Field;
use crate::field::Guard::{Nothing, TrapWhenHidden};
use crate::field::Policy::{Fixed, Hide, Limit, Show};
use crate::field::Sign::{Signed, Unsigned};
use crate::table::field;
use trap::SysRegId as R;

/// One line for each field.
#[rustfmt::skip]
pub(crate) const FIELDS: &[Field] = &[
    // ID_PFR0_EL1
    field(R::ID_PFR0_EL1, "State0", 0, Unsigned, Show, Nothing),
    field(R::ID_PFR0_EL1, "State1", 4, Unsigned, Show, Nothing),
    field(R::ID_PFR0_EL1, "State2", 8, Unsigned, Show, Nothing),
    field(R::ID_PFR0_EL1, "State3", 12, Unsigned, Show, Nothing),
    field(R::ID_PFR0_EL1, "CSV2", 16, Unsigned, Limit(1), Nothing),
    field(R::ID_PFR0_EL1, "AMU", 20, Unsigned, Hide, TrapWhenHidden(Cptr, cptr::TAM)),
    field(R::ID_PFR0_EL1, "DIT", 24, Unsigned, Show, Nothing),
    field(R::ID_PFR0_EL1, "RAS", 28, Unsigned, Hide, Nothing),
    // ID_PFR1_EL1
    field(R::ID_PFR1_EL1, "ProgMod", 0, Unsigned, Show, Nothing),
    field(R::ID_PFR1_EL1, "Security", 4, Unsigned, Hide, Nothing),
    field(R::ID_PFR1_EL1, "MProgMod", 8, Unsigned, Show, Nothing),
    field(R::ID_PFR1_EL1, "Virtualization", 12, Unsigned, Hide, Nothing),
    field(R::ID_PFR1_EL1, "GenTimer", 16, Unsigned, Show, Nothing),
    field(R::ID_PFR1_EL1, "Sec_frac", 20, Unsigned, Hide, Nothing),
    field(R::ID_PFR1_EL1, "Virt_frac", 24, Unsigned, Hide, Nothing),
    field(R::ID_PFR1_EL1, "GIC", 28, Unsigned, Fixed(1), Nothing),
    // ID_PFR2_EL1
    field(R::ID_PFR2_EL1, "CSV3", 0, Unsigned, Show, Nothing),
    field(R::ID_PFR2_EL1, "SSBS", 4, Unsigned, Show, Nothing),
    field(R::ID_PFR2_EL1, "RAS_frac", 8, Unsigned, Hide, Nothing),
    // ID_DFR0_EL1
    field(R::ID_DFR0_EL1, "CopDbg", 0, Unsigned, Limit(8), Nothing),
    field(R::ID_DFR0_EL1, "CopSDbg", 4, Unsigned, Hide, Nothing),
    field(R::ID_DFR0_EL1, "MMapDbg", 8, Unsigned, Hide, Nothing),
    field(R::ID_DFR0_EL1, "CopTrc", 12, Unsigned, Hide, TrapWhenHidden(Cptr, cptr::TTA)),
    field(R::ID_DFR0_EL1, "MMapTrc", 16, Unsigned, Hide, Nothing),
    field(R::ID_DFR0_EL1, "MProfDbg", 20, Unsigned, Hide, Nothing),
    field(R::ID_DFR0_EL1, "PerfMon", 24, Unsigned, Hide, TrapWhenHidden(Mdcr, mdcr::TPM | mdcr::TPMCR)),
    field(R::ID_DFR0_EL1, "TraceFilt", 28, Unsigned, Hide, TrapWhenHidden(Mdcr, mdcr::TTRF)),
    // ID_DFR1_EL1
    field(R::ID_DFR1_EL1, "MTPMU", 0, Signed, Fixed(0), Nothing),
    field(R::ID_DFR1_EL1, "HPMN0", 4, Unsigned, Hide, Nothing),
    // ID_MMFR0_EL1
    field(R::ID_MMFR0_EL1, "VMSA", 0, Unsigned, Show, Nothing),
    field(R::ID_MMFR0_EL1, "PMSA", 4, Unsigned, Show, Nothing),
    field(R::ID_MMFR0_EL1, "OuterShr", 8, Unsigned, Show, Nothing),
    field(R::ID_MMFR0_EL1, "ShareLvl", 12, Unsigned, Show, Nothing),
    field(R::ID_MMFR0_EL1, "TCM", 16, Unsigned, Show, Nothing),
    field(R::ID_MMFR0_EL1, "AuxReg", 20, Unsigned, Show, Nothing),
    field(R::ID_MMFR0_EL1, "FCSE", 24, Unsigned, Show, Nothing),
    field(R::ID_MMFR0_EL1, "InnerShr", 28, Unsigned, Show, Nothing),
    // ID_MMFR1_EL1
    field(R::ID_MMFR1_EL1, "L1HvdVA", 0, Unsigned, Show, Nothing),
    field(R::ID_MMFR1_EL1, "L1UniVA", 4, Unsigned, Show, Nothing),
    field(R::ID_MMFR1_EL1, "L1HvdSW", 8, Unsigned, Show, Nothing),
    field(R::ID_MMFR1_EL1, "L1UniSW", 12, Unsigned, Show, Nothing),
    field(R::ID_MMFR1_EL1, "L1Hvd", 16, Unsigned, Show, Nothing),
    field(R::ID_MMFR1_EL1, "L1Uni", 20, Unsigned, Show, Nothing),
    field(R::ID_MMFR1_EL1, "L1TstCln", 24, Unsigned, Show, Nothing),
    field(R::ID_MMFR1_EL1, "BPred", 28, Unsigned, Show, Nothing),
    // ID_MMFR2_EL1
    field(R::ID_MMFR2_EL1, "L1HvdFG", 0, Unsigned, Show, Nothing),
    field(R::ID_MMFR2_EL1, "L1HvdBG", 4, Unsigned, Show, Nothing),
    field(R::ID_MMFR2_EL1, "L1HvdRng", 8, Unsigned, Show, Nothing),
    field(R::ID_MMFR2_EL1, "HvdTLB", 12, Unsigned, Show, Nothing),
    field(R::ID_MMFR2_EL1, "UniTLB", 16, Unsigned, Show, Nothing),
    field(R::ID_MMFR2_EL1, "MemBarr", 20, Unsigned, Show, Nothing),
    field(R::ID_MMFR2_EL1, "WFIStall", 24, Unsigned, Show, Nothing),
    field(R::ID_MMFR2_EL1, "HWAccFlg", 28, Unsigned, Show, Nothing),
    // ID_MMFR3_EL1
    field(R::ID_MMFR3_EL1, "CMaintVA", 0, Unsigned, Show, Nothing),
    field(R::ID_MMFR3_EL1, "CMaintSW", 4, Unsigned, Show, Nothing),
    field(R::ID_MMFR3_EL1, "BPMaint", 8, Unsigned, Show, Nothing),
    field(R::ID_MMFR3_EL1, "MaintBcst", 12, Unsigned, Show, Nothing),
    field(R::ID_MMFR3_EL1, "PAN", 16, Unsigned, Show, Nothing),
    field(R::ID_MMFR3_EL1, "CohWalk", 20, Unsigned, Show, Nothing),
    field(R::ID_MMFR3_EL1, "CMemSz", 24, Unsigned, Show, Nothing),
    field(R::ID_MMFR3_EL1, "Supersec", 28, Unsigned, Show, Nothing),
    // ID_MMFR4_EL1
    field(R::ID_MMFR4_EL1, "SpecSEI", 0, Unsigned, Show, Nothing),
    field(R::ID_MMFR4_EL1, "AC2", 4, Unsigned, Show, Nothing),
    field(R::ID_MMFR4_EL1, "XNX", 8, Unsigned, Hide, Nothing),
    field(R::ID_MMFR4_EL1, "CnP", 12, Unsigned, Show, Nothing),
    field(R::ID_MMFR4_EL1, "HPDS", 16, Unsigned, Show, Nothing),
    field(R::ID_MMFR4_EL1, "LSM", 20, Unsigned, Show, Nothing),
    field(R::ID_MMFR4_EL1, "CCIDX", 24, Unsigned, Show, Nothing),
    field(R::ID_MMFR4_EL1, "EVT", 28, Unsigned, Hide, Nothing),
    // ID_MMFR5_EL1
    field(R::ID_MMFR5_EL1, "ETS", 0, Unsigned, Show, Nothing),
    field(R::ID_MMFR5_EL1, "nTLBPA", 4, Unsigned, Show, Nothing),
    // ID_ISAR0_EL1
    field(R::ID_ISAR0_EL1, "Swap", 0, Unsigned, Show, Nothing),
    field(R::ID_ISAR0_EL1, "BitCount", 4, Unsigned, Show, Nothing),
    field(R::ID_ISAR0_EL1, "BitField", 8, Unsigned, Show, Nothing),
    field(R::ID_ISAR0_EL1, "CmpBranch", 12, Unsigned, Show, Nothing),
    field(R::ID_ISAR0_EL1, "Coproc", 16, Unsigned, Show, Nothing),
    field(R::ID_ISAR0_EL1, "Debug", 20, Unsigned, Show, Nothing),
    field(R::ID_ISAR0_EL1, "Divide", 24, Unsigned, Show, Nothing),
    // ID_ISAR1_EL1
    field(R::ID_ISAR1_EL1, "Endian", 0, Unsigned, Show, Nothing),
    field(R::ID_ISAR1_EL1, "Except", 4, Unsigned, Show, Nothing),
    field(R::ID_ISAR1_EL1, "Except_AR", 8, Unsigned, Show, Nothing),
    field(R::ID_ISAR1_EL1, "Extend", 12, Unsigned, Show, Nothing),
    field(R::ID_ISAR1_EL1, "IfThen", 16, Unsigned, Show, Nothing),
    field(R::ID_ISAR1_EL1, "Immediate", 20, Unsigned, Show, Nothing),
    field(R::ID_ISAR1_EL1, "Interwork", 24, Unsigned, Show, Nothing),
    field(R::ID_ISAR1_EL1, "Jazelle", 28, Unsigned, Show, Nothing),
    // ID_ISAR2_EL1
    field(R::ID_ISAR2_EL1, "LoadStore", 0, Unsigned, Show, Nothing),
    field(R::ID_ISAR2_EL1, "MemHint", 4, Unsigned, Show, Nothing),
    field(R::ID_ISAR2_EL1, "MultiAccessInt", 8, Unsigned, Show, Nothing),
    field(R::ID_ISAR2_EL1, "Mult", 12, Unsigned, Show, Nothing),
    field(R::ID_ISAR2_EL1, "MultS", 16, Unsigned, Show, Nothing),
    field(R::ID_ISAR2_EL1, "MultU", 20, Unsigned, Show, Nothing),
    field(R::ID_ISAR2_EL1, "PSR_AR", 24, Unsigned, Show, Nothing),
    field(R::ID_ISAR2_EL1, "Reversal", 28, Unsigned, Show, Nothing),
    // ID_ISAR3_EL1
    field(R::ID_ISAR3_EL1, "Saturate", 0, Unsigned, Show, Nothing),
    field(R::ID_ISAR3_EL1, "SIMD", 4, Unsigned, Show, Nothing),
    field(R::ID_ISAR3_EL1, "SVC", 8, Unsigned, Show, Nothing),
    field(R::ID_ISAR3_EL1, "SynchPrim", 12, Unsigned, Show, Nothing),
    field(R::ID_ISAR3_EL1, "TabBranch", 16, Unsigned, Show, Nothing),
    field(R::ID_ISAR3_EL1, "T32Copy", 20, Unsigned, Show, Nothing),
    field(R::ID_ISAR3_EL1, "TrueNOP", 24, Unsigned, Show, Nothing),
    field(R::ID_ISAR3_EL1, "T32EE", 28, Unsigned, Show, Nothing),
    // ID_ISAR4_EL1
    field(R::ID_ISAR4_EL1, "Unpriv", 0, Unsigned, Show, Nothing),
    field(R::ID_ISAR4_EL1, "WithShifts", 4, Unsigned, Show, Nothing),
    field(R::ID_ISAR4_EL1, "Writeback", 8, Unsigned, Show, Nothing),
    field(R::ID_ISAR4_EL1, "SMC", 12, Unsigned, Show, Nothing),
    field(R::ID_ISAR4_EL1, "Barrier", 16, Unsigned, Show, Nothing),
    field(R::ID_ISAR4_EL1, "SynchPrim_frac", 20, Unsigned, Show, Nothing),
    field(R::ID_ISAR4_EL1, "PSR_M", 24, Unsigned, Show, Nothing),
    field(R::ID_ISAR4_EL1, "SWP_frac", 28, Unsigned, Show, Nothing),
    // ID_ISAR5_EL1
    field(R::ID_ISAR5_EL1, "SEVL", 0, Unsigned, Show, Nothing),
    field(R::ID_ISAR5_EL1, "AES", 4, Unsigned, Show, Nothing),
    field(R::ID_ISAR5_EL1, "SHA1", 8, Unsigned, Show, Nothing),
    field(R::ID_ISAR5_EL1, "SHA2", 12, Unsigned, Show, Nothing),
    field(R::ID_ISAR5_EL1, "CRC32", 16, Unsigned, Show, Nothing),
    field(R::ID_ISAR5_EL1, "RDM", 24, Unsigned, Show, Nothing),
    field(R::ID_ISAR5_EL1, "VCMA", 28, Unsigned, Show, Nothing),
    // ID_ISAR6_EL1
    field(R::ID_ISAR6_EL1, "JSCVT", 0, Unsigned, Show, Nothing),
    field(R::ID_ISAR6_EL1, "DP", 4, Unsigned, Show, Nothing),
    field(R::ID_ISAR6_EL1, "FHM", 8, Unsigned, Show, Nothing),
    field(R::ID_ISAR6_EL1, "SB", 12, Unsigned, Show, Nothing),
    field(R::ID_ISAR6_EL1, "SPECRES", 16, Unsigned, Show, Nothing),
    field(R::ID_ISAR6_EL1, "BF16", 20, Unsigned, Show, Nothing),
    field(R::ID_ISAR6_EL1, "I8MM", 24, Unsigned, Show, Nothing),
    field(R::ID_ISAR6_EL1, "CLRBHB", 28, Unsigned, Show, Nothing),
    // MVFR0_EL1
    field(R::MVFR0_EL1, "SIMDReg", 0, Unsigned, Show, Nothing),
    field(R::MVFR0_EL1, "FPSP", 4, Unsigned, Show, Nothing),
    field(R::MVFR0_EL1, "FPDP", 8, Unsigned, Show, Nothing),
    field(R::MVFR0_EL1, "FPTrap", 12, Unsigned, Show, Nothing),
    field(R::MVFR0_EL1, "FPDivide", 16, Unsigned, Show, Nothing),
    field(R::MVFR0_EL1, "FPSqrt", 20, Unsigned, Show, Nothing),
    field(R::MVFR0_EL1, "FPShVec", 24, Unsigned, Show, Nothing),
    field(R::MVFR0_EL1, "FPRound", 28, Unsigned, Show, Nothing),
    // MVFR1_EL1
    field(R::MVFR1_EL1, "FPFtZ", 0, Unsigned, Show, Nothing),
    field(R::MVFR1_EL1, "FPDNaN", 4, Unsigned, Show, Nothing),
    field(R::MVFR1_EL1, "SIMDLS", 8, Unsigned, Show, Nothing),
    field(R::MVFR1_EL1, "SIMDInt", 12, Unsigned, Show, Nothing),
    field(R::MVFR1_EL1, "SIMDSP", 16, Unsigned, Show, Nothing),
    field(R::MVFR1_EL1, "SIMDHP", 20, Unsigned, Show, Nothing),
    field(R::MVFR1_EL1, "FPHP", 24, Unsigned, Show, Nothing),
    field(R::MVFR1_EL1, "SIMDFMAC", 28, Unsigned, Show, Nothing),
    // MVFR2_EL1
    field(R::MVFR2_EL1, "SIMDMisc", 0, Unsigned, Show, Nothing),
    field(R::MVFR2_EL1, "FPMisc", 4, Unsigned, Show, Nothing),
];
