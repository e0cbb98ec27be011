//! The identification registers of the CPU that runs the call, and its source of random numbers.

use crate::cpu::ThisCpu;
use machine::{Random, Randomness};

/// Reads ID register `3, 0, c0, cM, op2`, where `crm` is 1 to 7 and `op2` 0 to 7 (Arm ARM, table
/// D22-1); 0 for any other. All of this space is readable at EL2 on every Armv8 CPU; what is not
/// allocated reads 0.
#[must_use]
pub fn id_register(crm: u8, op2: u8) -> u64 {
    macro_rules! row {
        ($crm:literal) => {
            match op2 {
                0 => crate::sysreg::read!(concat!("S3_0_C0_C", $crm, "_0")),
                1 => crate::sysreg::read!(concat!("S3_0_C0_C", $crm, "_1")),
                2 => crate::sysreg::read!(concat!("S3_0_C0_C", $crm, "_2")),
                3 => crate::sysreg::read!(concat!("S3_0_C0_C", $crm, "_3")),
                4 => crate::sysreg::read!(concat!("S3_0_C0_C", $crm, "_4")),
                5 => crate::sysreg::read!(concat!("S3_0_C0_C", $crm, "_5")),
                6 => crate::sysreg::read!(concat!("S3_0_C0_C", $crm, "_6")),
                7 => crate::sysreg::read!(concat!("S3_0_C0_C", $crm, "_7")),
                _ => 0,
            }
        };
    }
    match crm {
        1 => row!("1"),
        2 => row!("2"),
        3 => row!("3"),
        4 => row!("4"),
        5 => row!("5"),
        6 => row!("6"),
        7 => row!("7"),
        _ => 0,
    }
}

/// Reads MIDR_EL1.
#[must_use]
pub fn main_id() -> u64 {
    crate::sysreg::read!("midr_el1")
}

/// Reads REVIDR_EL1.
#[must_use]
pub fn revision_id() -> u64 {
    crate::sysreg::read!("revidr_el1")
}

/// Reads PMCR_EL0, or 0 on a CPU without PMUv3 (ID_AA64DFR0_EL1.PMUVer is 0 or 15).
#[must_use]
pub fn event_counter_control() -> u64 {
    match crate::sysreg::read!("id_aa64dfr0_el1") >> 8 & 0xf {
        0 | 15 => 0,
        _ => crate::sysreg::read!("pmcr_el0"),
    }
}

impl Randomness for ThisCpu {
    fn random(&mut self) -> Random {
        // ID_AA64ISAR0_EL1.RNDR.
        if crate::sysreg::read!("id_aa64isar0_el1") >> 60 == 0 {
            return Random::Absent;
        }
        let (value, failed): (u64, u64);
        // SAFETY: the CPU has the register; reading it changes the flags alone.
        unsafe {
            core::arch::asm!(
                "mrs {value}, S3_3_C2_C4_0",
                "cset {failed}, eq",
                value = out(reg) value,
                failed = out(reg) failed,
                options(nomem, nostack)
            );
        }
        if failed == 0 {
            Random::Bits(value)
        } else {
            Random::Exhausted
        }
    }
}
