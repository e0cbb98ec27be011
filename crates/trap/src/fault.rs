//! Aborts: the fault status code and the syndrome of a data abort (Arm ARM, ESR_EL2, "ISS encoding
//! for an exception from a Data Abort").

use crate::esr::Esr;
use crate::exit::{Direction, ExitRegisters};
use crate::mmio::MmioAccess;
use addr::{Address, Ipa};

/// The level of a translation table lookup, −2 to 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Level(pub i8);

impl Level {
    /// Takes the level from the low two bits of a fault status code.
    const fn from_low_bits(code: u8) -> Self {
        match code & 3 {
            0 => Self(0),
            1 => Self(1),
            2 => Self(2),
            _ => Self(3),
        }
    }
}

/// Why a memory access failed (DFSC and IFSC).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultStatus {
    /// The address has more bits than the translation takes or gives.
    AddressSize(Level),
    /// No descriptor maps the address.
    Translation(Level),
    /// The descriptor's access flag is clear.
    AccessFlag(Level),
    /// The descriptor does not allow the access.
    Permission(Level),
    /// The memory system answered with an error.
    External,
    /// The memory system answered a table walk with an error.
    ExternalOnWalk(Level),
    /// The memory's tag differs from the pointer's.
    TagCheck,
    /// A parity or ECC error.
    Parity,
    /// A parity or ECC error on a table walk.
    ParityOnWalk(Level),
    /// The address is not aligned.
    Alignment,
    /// The physical address belongs to another physical address space.
    GranuleProtection,
    /// A table walk went to another physical address space.
    GranuleProtectionOnWalk(Level),
    /// The TLB holds two entries for the address.
    TlbConflict,
    /// The hardware can't update the descriptor atomically.
    UnsupportedUpdate,
    /// IMPLEMENTATION DEFINED: lockdown.
    Lockdown,
    /// The memory doesn't support an exclusive or atomic access.
    UnsupportedAtomic,
    /// A reserved code.
    Other(u8),
}

impl FaultStatus {
    /// Decodes a fault status code; only its low 6 bits count.
    #[must_use]
    pub const fn from_code(code: u8) -> Self {
        let level = Level::from_low_bits(code);
        match code & 0x3f {
            0x00..=0x03 => Self::AddressSize(level),
            0x29 => Self::AddressSize(Level(-1)),
            0x2c => Self::AddressSize(Level(-2)),
            0x04..=0x07 => Self::Translation(level),
            0x2a => Self::Translation(Level(-2)),
            0x2b => Self::Translation(Level(-1)),
            0x08..=0x0b => Self::AccessFlag(level),
            0x0c..=0x0f => Self::Permission(level),
            0x10 => Self::External,
            0x11 => Self::TagCheck,
            0x12 => Self::ExternalOnWalk(Level(-2)),
            0x13 => Self::ExternalOnWalk(Level(-1)),
            0x14..=0x17 => Self::ExternalOnWalk(level),
            0x18 => Self::Parity,
            0x1a => Self::ParityOnWalk(Level(-2)),
            0x1b => Self::ParityOnWalk(Level(-1)),
            0x1c..=0x1f => Self::ParityOnWalk(level),
            0x21 => Self::Alignment,
            0x22 => Self::GranuleProtectionOnWalk(Level(-2)),
            0x23 => Self::GranuleProtectionOnWalk(Level(-1)),
            0x24..=0x27 => Self::GranuleProtectionOnWalk(level),
            0x28 => Self::GranuleProtection,
            0x30 => Self::TlbConflict,
            0x31 => Self::UnsupportedUpdate,
            0x34 => Self::Lockdown,
            0x35 => Self::UnsupportedAtomic,
            other => Self::Other(other),
        }
    }

    /// Tells whether stage 2 refused the access: the faults that an emulated device or a missing
    /// page can cause. On these alone the access syndrome (ISV) is believed.
    #[must_use]
    pub const fn is_stage2_refusal(self) -> bool {
        match self {
            Self::AddressSize(_)
            | Self::Translation(_)
            | Self::AccessFlag(_)
            | Self::Permission(_) => true,
            Self::External
            | Self::ExternalOnWalk(_)
            | Self::TagCheck
            | Self::Parity
            | Self::ParityOnWalk(_)
            | Self::Alignment
            | Self::GranuleProtection
            | Self::GranuleProtectionOnWalk(_)
            | Self::TlbConflict
            | Self::UnsupportedUpdate
            | Self::Lockdown
            | Self::UnsupportedAtomic
            | Self::Other(_) => false,
        }
    }
}

/// Whether the fault was met on the walk of the guest's own tables (S1PTW).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage1Walk {
    /// Stage 2 refused the address of a stage 1 descriptor.
    Yes,
    /// The access itself was refused.
    No,
}

/// Whether a cache maintenance or address translation instruction caused a data abort (CM).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CacheMaintenance {
    /// It did; there is nothing to emulate.
    Yes,
    /// A load or a store did.
    No,
}

/// A data abort that a guest caused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataAbort {
    /// Why.
    pub fault: FaultStatus,
    /// The guest-physical address, if HPFAR_EL2 holds it: to the byte for an access, to the page
    /// (offset 0) for a stage 1 walk. A permission fault of an access itself has none.
    pub ipa: Option<Ipa>,
    /// The guest-virtual address (FAR_EL2), unless the syndrome says that it isn't valid.
    pub va: Option<u64>,
    /// Whether a stage 1 walk was refused.
    pub stage1_walk: Stage1Walk,
    /// Whether the guest read or wrote (WnR). Cache maintenance counts as a write.
    pub direction: Direction,
    /// Whether cache maintenance or address translation was refused.
    pub cache_maintenance: CacheMaintenance,
    /// The access, if the syndrome describes it completely. Without it (pairs, exclusives, atomics,
    /// DC ZVA, writeback, vectors) the guest gets an abort: its code is never fetched.
    pub mmio: Option<MmioAccess>,
}

impl DataAbort {
    /// Decodes the registers of a data abort from a lower level.
    pub(crate) const fn decode(registers: &ExitRegisters) -> Self {
        let esr = registers.esr;
        let fault = FaultStatus::from_code(esr.bits(0, 6));
        let stage1_walk = stage1_walk(esr);
        let cache_maintenance = if esr.bit(8) {
            CacheMaintenance::Yes
        } else {
            CacheMaintenance::No
        };
        let direction = if esr.bit(6) {
            Direction::Write
        } else {
            Direction::Read
        };
        let described = esr.bit(24)
            && fault.is_stage2_refusal()
            && matches!(stage1_walk, Stage1Walk::No)
            && matches!(cache_maintenance, CacheMaintenance::No);
        Self {
            fault,
            ipa: fault_ipa(registers, fault, stage1_walk),
            va: fault_va(registers),
            stage1_walk,
            direction,
            cache_maintenance,
            mmio: if described {
                Some(MmioAccess::decode(esr, direction))
            } else {
                None
            },
        }
    }
}

/// Returns the IPA of a stage 2 fault if HPFAR_EL2 is valid (Arm ARM, HPFAR_EL2): translation,
/// access flag and address size faults always, permission faults only on a stage 1 walk.
pub(crate) const fn fault_ipa(
    registers: &ExitRegisters,
    fault: FaultStatus,
    walk: Stage1Walk,
) -> Option<Ipa> {
    let valid = match fault {
        FaultStatus::AddressSize(_) | FaultStatus::Translation(_) | FaultStatus::AccessFlag(_) => {
            true
        }
        FaultStatus::Permission(_) => matches!(walk, Stage1Walk::Yes),
        FaultStatus::External
        | FaultStatus::ExternalOnWalk(_)
        | FaultStatus::TagCheck
        | FaultStatus::Parity
        | FaultStatus::ParityOnWalk(_)
        | FaultStatus::Alignment
        | FaultStatus::GranuleProtection
        | FaultStatus::GranuleProtectionOnWalk(_)
        | FaultStatus::TlbConflict
        | FaultStatus::UnsupportedUpdate
        | FaultStatus::Lockdown
        | FaultStatus::UnsupportedAtomic
        | FaultStatus::Other(_) => false,
    };
    if !valid {
        return None;
    }
    let ipa = access_ipa(registers);
    // On a walk FAR_EL2 holds the address whose translation was wanted, not the descriptor's.
    Some(match walk {
        Stage1Walk::Yes => Ipa::new(addr::align_down(ipa.get(), addr::PAGE_SIZE)),
        Stage1Walk::No => ipa,
    })
}

/// Joins the page that HPFAR_EL2 holds with the offset that FAR_EL2 holds.
#[inline]
pub(crate) const fn access_ipa(registers: &ExitRegisters) -> Ipa {
    /// FIPA, bits 47–4, is IPA bits 55–12.
    const FIPA: u64 = 0xffff_ffff_fff0;
    Ipa::new((registers.hpfar & FIPA) << 8 | registers.far & 0xfff)
}

/// Returns FAR_EL2 unless FnV (bit 10) says that it isn't valid.
pub(crate) const fn fault_va(registers: &ExitRegisters) -> Option<u64> {
    if registers.esr.bit(10) {
        None
    } else {
        Some(registers.far)
    }
}

/// Reads S1PTW (bit 7).
pub(crate) const fn stage1_walk(esr: Esr) -> Stage1Walk {
    if esr.bit(7) {
        Stage1Walk::Yes
    } else {
        Stage1Walk::No
    }
}

impl DataAbort {
    /// Tells whether the access stays within one page and is naturally aligned: what a device
    /// model may be shown. `false` without a described access or an address.
    #[must_use]
    pub fn is_naturally_aligned(&self) -> bool {
        match (self.mmio, self.ipa) {
            (Some(access), Some(ipa)) => access.width.is_aligned(ipa.get()),
            (Some(_) | None, Some(_) | None) => false,
        }
    }

    /// Returns the last byte of the access; `None` without a described access or an address, or if
    /// that wraps.
    #[must_use]
    pub fn last_byte(&self) -> Option<Ipa> {
        let access = self.mmio?;
        self.ipa?.checked_add(access.width.bytes().wrapping_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_that_of_the_table() {
        use FaultStatus as F;
        let at = |kind: fn(Level) -> F, first: u8| {
            (first..).zip([0, 1, 2, 3].map(|level| kind(Level(level))))
        };
        let levels = [
            (F::AddressSize as fn(Level) -> F, 0x00),
            (F::Translation, 0x04),
            (F::AccessFlag, 0x08),
            (F::Permission, 0x0c),
            (F::ExternalOnWalk, 0x14),
            (F::ParityOnWalk, 0x1c),
            (F::GranuleProtectionOnWalk, 0x24),
        ];
        let single = [
            (0x10, F::External),
            (0x11, F::TagCheck),
            (0x12, F::ExternalOnWalk(Level(-2))),
            (0x13, F::ExternalOnWalk(Level(-1))),
            (0x18, F::Parity),
            (0x1a, F::ParityOnWalk(Level(-2))),
            (0x1b, F::ParityOnWalk(Level(-1))),
            (0x21, F::Alignment),
            (0x22, F::GranuleProtectionOnWalk(Level(-2))),
            (0x23, F::GranuleProtectionOnWalk(Level(-1))),
            (0x28, F::GranuleProtection),
            (0x29, F::AddressSize(Level(-1))),
            (0x2a, F::Translation(Level(-2))),
            (0x2b, F::Translation(Level(-1))),
            (0x2c, F::AddressSize(Level(-2))),
            (0x30, F::TlbConflict),
            (0x31, F::UnsupportedUpdate),
            (0x34, F::Lockdown),
            (0x35, F::UnsupportedAtomic),
        ];
        let mut expected: [Option<F>; 64] = [None; 64];
        let leveled = levels.into_iter().flat_map(|(kind, first)| at(kind, first));
        for (code, status) in leveled.chain(single) {
            expected[usize::from(code)] = Some(status);
        }
        for code in 0..=u8::MAX {
            let low = code & 0x3f;
            let status = expected[usize::from(low)].unwrap_or(F::Other(low));
            assert_eq!(F::from_code(code), status, "{code:#x}");
        }
    }

    #[test]
    fn stage_2_refuses_by_four_kinds_of_fault() {
        let refusals = (0..64).filter(|code| FaultStatus::from_code(*code).is_stage2_refusal());
        let other_levels = [0x29, 0x2a, 0x2b, 0x2c];
        assert!(refusals.eq((0x00..0x10).chain(other_levels)));
    }
}
