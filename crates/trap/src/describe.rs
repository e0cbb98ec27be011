//! Exits in words, for post-mortem records.

use crate::esr::Esr;
use crate::exit::{
    Direction, Exit, ExitRegisters, InstructionAbort, SysRegAccess, WaitKind, decode,
};
use crate::fault::{CacheMaintenance, DataAbort, FaultStatus, Stage1Walk};
use crate::mmio::{Extension, MmioAccess, RegisterWidth};
use core::fmt;

impl fmt::Debug for Esr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Esr({:#x}: {})", self.get(), self.class().words())
    }
}

impl fmt::Display for Esr {
    /// Writes the value, the class and the code of the class.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let class = self.class();
        write!(
            f,
            "ESR {:#010x}: {} (EC {:#04x}, ISS {:#x})",
            self.get(),
            class.words(),
            class.code(),
            self.iss()
        )
    }
}

impl fmt::Display for ExitRegisters {
    /// Writes what the registers mean, then their values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exit = decode(self);
        write!(
            f,
            "{exit} [{}, FAR {:#x}, HPFAR {:#x}]",
            self.esr, self.far, self.hpfar
        )
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wait(wait) => f.write_str(match wait.kind {
                WaitKind::Wfi => "WFI",
                WaitKind::Wfe => "WFE",
                WaitKind::Wfit => "WFIT",
                WaitKind::Wfet => "WFET",
            }),
            Self::Hvc { immediate } => write!(f, "HVC #{immediate:#x}"),
            Self::Smc { immediate } => write!(f, "SMC #{immediate:#x}"),
            Self::SystemRegister(access) => access.fmt(f),
            Self::Aarch32Coprocessor(class)
            | Self::UndefinedFeature(class)
            | Self::Debug(class)
            | Self::Unknown { class } => f.write_str(class.words()),
            Self::FloatingPoint => f.write_str("FP or SIMD access"),
            Self::DataAbort(abort) => abort.fmt(f),
            Self::InstructionAbort(abort) => abort.fmt(f),
            Self::IllegalState => f.write_str("illegal execution state"),
            Self::SError => f.write_str("SError"),
        }
    }
}

impl fmt::Display for SysRegAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (verb, preposition) = match self.direction {
            Direction::Read => ("read", "into"),
            Direction::Write => ("write", "from"),
        };
        write!(f, "{verb} of {} {preposition} ", self.id)?;
        register(f, self.register, RegisterWidth::X)
    }
}

impl fmt::Display for DataAbort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.mmio, self.cache_maintenance) {
            (Some(access), _) => access.fmt(f)?,
            (None, CacheMaintenance::Yes) => f.write_str("cache maintenance")?,
            (None, CacheMaintenance::No) => f.write_str(match self.direction {
                Direction::Read => "load that the syndrome doesn't describe",
                Direction::Write => "store that the syndrome doesn't describe",
            })?,
        }
        place(f, self.ipa.map(addr::Ipa::get), self.va)?;
        cause(f, self.fault, self.stage1_walk)
    }
}

impl fmt::Display for InstructionAbort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("instruction fetch")?;
        place(f, self.ipa.map(addr::Ipa::get), self.va)?;
        cause(f, self.fault, self.stage1_walk)
    }
}

impl fmt::Display for MmioAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.width.bits();
        match (self.direction, self.extension) {
            (Direction::Write, _) => write!(f, "{bits}-bit store of ")?,
            (Direction::Read, Extension::Zero) => write!(f, "{bits}-bit load into ")?,
            (Direction::Read, Extension::Sign) => write!(f, "signed {bits}-bit load into ")?,
        }
        register(f, self.register, self.register_width)
    }
}

impl fmt::Display for FaultStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::AddressSize(level) => write!(f, "address size fault, level {}", level.0),
            Self::Translation(level) => write!(f, "translation fault, level {}", level.0),
            Self::AccessFlag(level) => write!(f, "access flag fault, level {}", level.0),
            Self::Permission(level) => write!(f, "permission fault, level {}", level.0),
            Self::External => f.write_str("external abort"),
            Self::ExternalOnWalk(level) => {
                write!(f, "external abort on a table walk, level {}", level.0)
            }
            Self::TagCheck => f.write_str("tag check fault"),
            Self::Parity => f.write_str("parity or ECC error"),
            Self::ParityOnWalk(level) => {
                write!(f, "parity or ECC error on a table walk, level {}", level.0)
            }
            Self::Alignment => f.write_str("alignment fault"),
            Self::GranuleProtection => f.write_str("granule protection fault"),
            Self::GranuleProtectionOnWalk(level) => {
                write!(
                    f,
                    "granule protection fault on a table walk, level {}",
                    level.0
                )
            }
            Self::TlbConflict => f.write_str("TLB conflict"),
            Self::UnsupportedUpdate => f.write_str("unsupported atomic hardware update"),
            Self::Lockdown => f.write_str("lockdown fault"),
            Self::UnsupportedAtomic => f.write_str("unsupported exclusive or atomic access"),
            Self::Other(code) => write!(f, "reserved fault status {code:#04x}"),
        }
    }
}

/// Writes the addresses that are known.
fn place(f: &mut fmt::Formatter<'_>, ipa: Option<u64>, va: Option<u64>) -> fmt::Result {
    if let Some(ipa) = ipa {
        write!(f, " at IPA {ipa:#x}")?;
    }
    if let Some(va) = va {
        write!(f, " at VA {va:#x}")?;
    }
    Ok(())
}

/// Writes the fault and whether a walk met it.
fn cause(f: &mut fmt::Formatter<'_>, fault: FaultStatus, walk: Stage1Walk) -> fmt::Result {
    write!(f, ": {fault}")?;
    match walk {
        Stage1Walk::Yes => f.write_str(", on a stage 1 walk"),
        Stage1Walk::No => Ok(()),
    }
}

/// Writes a general-purpose register's name.
fn register(f: &mut fmt::Formatter<'_>, index: u8, width: RegisterWidth) -> fmt::Result {
    let letter = match width {
        RegisterWidth::W => 'w',
        RegisterWidth::X => 'x',
    };
    if index == 31 {
        write!(f, "{letter}zr")
    } else {
        write!(f, "{letter}{index}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::string::ToString;

    #[test]
    fn a_data_abort_reads_like_a_sentence() {
        let registers = ExitRegisters {
            // EC 0x24, ISV, SAS word, SRT 3, WnR, translation fault level 1.
            esr: Esr::new(0x24 << 26 | 1 << 25 | 1 << 24 | 2 << 22 | 3 << 16 | 1 << 6 | 5),
            far: 0xffff_0000_0900_0018,
            hpfar: 0x9000,
        };
        let text = registers.to_string();
        assert!(
            text.starts_with("32-bit store of w3 at IPA 0x900018 at VA 0xffff000009000018: translation fault, level 1 ["),
            "{text}"
        );
        assert!(text.contains("EC 0x24"), "{text}");
    }

    #[test]
    fn a_syndrome_shows_its_value_to_programmers() {
        let text = std::format!("{:?}", Esr::new(0x5a00_0007));
        assert!(text.contains("0x5a000007"), "{text}");
    }

    #[test]
    fn an_instruction_abort_reads_like_a_sentence() {
        let registers = ExitRegisters {
            // EC 0x20, permission fault level 3.
            esr: Esr::new(0x20 << 26 | 1 << 25 | 0xf),
            far: 0x1000,
            hpfar: 0,
        };
        let text = registers.to_string();
        assert!(text.starts_with("instruction fetch"), "{text}");
        assert!(
            text.contains("VA 0x1000: permission fault, level 3 ["),
            "{text}"
        );
    }

    #[test]
    fn a_register_trap_names_the_register() {
        let registers = ExitRegisters {
            esr: Esr::new(0x18 << 26 | 1 << 25 | 2 << 20 | 4 << 17 | 1 << 10 | 31 << 5),
            far: 0,
            hpfar: 0,
        };
        assert!(
            registers
                .to_string()
                .starts_with("write of OSLAR_EL1 from xzr [")
        );
    }

    #[test]
    fn every_class_can_be_described() {
        for code in 0..64_u64 {
            for iss in [0, 0x1ff_ffff] {
                let registers = ExitRegisters {
                    esr: Esr::new(code << 26 | iss),
                    far: u64::MAX,
                    hpfar: u64::MAX,
                };
                assert!(!registers.to_string().is_empty());
            }
        }
    }
}
