//! EL2's control registers while a guest runs, HCR_EL2.E2H being 0.

use crate::field::{Control, Guard, fields};
use crate::guest::GuestFeatures;
use crate::host::HostIdRegisters;
use trap::SysRegId;

/// Defines a register's bits as constants.
macro_rules! bits {
    ($(#[$doc:meta])* $module:ident { $($(#[$bit:meta])* $name:ident = $value:expr;)* }) => {
        $(#[$doc])*
        pub mod $module {
            $($(#[$bit])* pub const $name: u64 = $value;)*
        }
    };
}

bits! {
    /// HCR_EL2 (Arm ARM, D24.2.48).
    hcr {
        /// Stage 2 translation.
        VM = 1 << 0;
        /// Invalidation by set and way cleans too.
        SWIO = 1 << 1;
        /// A stage 1 walk into stage 2 Device memory is a permission fault.
        PTW = 1 << 2;
        /// Physical FIQs come to EL2, virtual ones are on.
        FMO = 1 << 3;
        /// Physical IRQs come to EL2, virtual ones are on.
        IMO = 1 << 4;
        /// Physical SErrors come to EL2, virtual ones are on.
        AMO = 1 << 5;
        /// A virtual FIQ is pending.
        VF = 1 << 6;
        /// A virtual IRQ is pending.
        VI = 1 << 7;
        /// A virtual SError is pending.
        VSE = 1 << 8;
        /// TLB and instruction cache maintenance is broadcast.
        FB = 1 << 9;
        /// Barriers reach the inner shareable domain at least.
        BSU_INNER = 1 << 10;
        /// WFI traps; decided for each vCPU.
        TWI = 1 << 13;
        /// WFE traps; decided for each vCPU.
        TWE = 1 << 14;
        /// REVIDR_EL1, AIDR_EL1 and SMIDR_EL1 trap.
        TID1 = 1 << 16;
        /// Cache identification traps.
        TID2 = 1 << 17;
        /// ID registers trap.
        TID3 = 1 << 18;
        /// SMC traps.
        TSC = 1 << 19;
        /// IMPLEMENTATION DEFINED registers trap.
        TIDCP = 1 << 20;
        /// ACTLR_EL1 traps.
        TACR = 1 << 21;
        /// Cache maintenance by set and way traps.
        TSW = 1 << 22;
        /// TLB maintenance traps.
        TTLB = 1 << 25;
        /// Writes of the memory control registers trap.
        TVM = 1 << 26;
        /// Exceptions of EL0 come to EL2.
        TGE = 1 << 27;
        /// DC ZVA traps.
        TDZ = 1 << 28;
        /// EL1 is AArch64.
        RW = 1 << 31;
        /// EL2 is a host's level.
        E2H = 1 << 34;
        /// LORegion registers trap.
        TLOR = 1 << 35;
        /// Error record registers trap.
        TERR = 1 << 36;
        /// Transactional memory works.
        TME = 1 << 39;
        /// Pointer authentication keys don't trap.
        APK = 1 << 40;
        /// Pointer authentication instructions don't trap.
        API = 1 << 41;
        /// Stage 2 forces write-back; belongs to the format of the stage 2 tables.
        FWB = 1 << 46;
        /// SCXTNUM_EL1 and SCXTNUM_EL0 don't trap.
        EN_SCXT = 1 << 53;
        /// Allocation tags are accessible.
        ATA = 1 << 56;
        /// GMID_EL1 traps.
        TID5 = 1 << 58;
    }
}

bits! {
    /// HCRX_EL2 (Arm ARM, D24.2.49).
    hcrx {
        /// ST64BV0 doesn't trap.
        EN_AS0 = 1 << 0;
        /// LD64B and ST64B don't trap.
        EN_ALS = 1 << 1;
        /// ST64BV doesn't trap.
        EN_ASR = 1 << 2;
        /// Writes of ALLINT trap.
        TALLINT = 1 << 6;
        /// Memory copy and set instructions work.
        MSC_EN = 1 << 11;
        /// TCR2_EL1 doesn't trap.
        TCR2_EN = 1 << 14;
        /// SCTLR2_EL1 doesn't trap.
        SCTLR2_EN = 1 << 15;
        /// 128-bit registers don't trap.
        D128_EN = 1 << 17;
        /// SCTLR2_EL1's synchronous error control has an effect.
        EN_SNERR = 1 << 18;
        /// SCTLR2_EL1's data error control has an effect.
        EN_SDERR = 1 << 20;
        /// Guarded control stacks work.
        GCS_EN = 1 << 22;
        /// FPMR doesn't trap.
        EN_FPM = 1 << 23;
        /// PACM works.
        PACM_EN = 1 << 24;
    }
}

bits! {
    /// MDCR_EL2 (Arm ARM, D24.3.19).
    mdcr {
        /// How many event counters EL1 may use.
        HPMN = 0x1f;
        /// PMCR_EL0 traps.
        TPMCR = 1 << 5;
        /// PMU registers trap.
        TPM = 1 << 6;
        /// Debug exceptions come to EL2.
        TDE = 1 << 8;
        /// Debug registers trap.
        TDA = 1 << 9;
        /// OS lock and power-down registers trap.
        TDOSA = 1 << 10;
        /// Debug ROM address registers trap.
        TDRA = 1 << 11;
        /// Profiling registers trap.
        TPMS = 1 << 14;
        /// System PMU registers don't trap.
        EN_SPM = 1 << 15;
        /// Trace filter registers trap.
        TTRF = 1 << 19;
        /// Trace buffer registers don't trap.
        E2TB = 3 << 24;
        /// PMU exceptions are on.
        PMEE = 3 << 40;
    }
}

bits! {
    /// CPTR_EL2 with HCR_EL2.E2H 0 (Arm ARM, D24.2.34).
    cptr {
        /// The bits that are 1 whatever the CPU has.
        RES1 = 0x22ff;
        /// SVE traps; RES1 without SVE.
        TZ = 1 << 8;
        /// FP and SIMD trap; changes as a vCPU comes to own the registers.
        TFP = 1 << 10;
        /// SME traps; RES1 without SME.
        TSM = 1 << 12;
        /// Trace registers trap.
        TTA = 1 << 20;
        /// Activity monitors trap.
        TAM = 1 << 30;
    }
}

bits! {
    /// CNTHCTL_EL2 with HCR_EL2.E2H 0 (Arm ARM, D24.11.2).
    cnthctl {
        /// The physical counter doesn't trap.
        EL1PCTEN = 1 << 0;
        /// The physical timer doesn't trap.
        EL1PCEN = 1 << 1;
        /// CNTPOFF_EL2 is subtracted from the physical counter (FEAT_ECV).
        ECV = 1 << 12;
    }
}

bits! {
    /// MPAM2_EL2 (Arm ARM, D24.9.7).
    mpam2 {
        /// MPAM registers trap at EL1 and EL0.
        TRAP_EL1_EL0 = 3 << 48;
    }
}

bits! {
    /// HFGRTR_EL2: bits that trap while they are 0 (Arm ARM, D24.2.57).
    hfgrtr {
        /// RCWMASK_EL1.
        N_RCWMASK = 1 << 56;
        /// PIRE0_EL1 and PIR_EL1.
        N_PIR = 3 << 57;
        /// POR_EL0 and POR_EL1.
        N_POR = 3 << 59;
        /// S2POR_EL1.
        N_S2POR = 1 << 61;
        /// MAIR2_EL1 and AMAIR2_EL1.
        N_MAIR2 = 3 << 62;
    }
}

bits! {
    /// HDFGRTR_EL2: bits that trap while they are 0 (Arm ARM, D24.2.51).
    hdfgrtr {
        /// Branch record registers.
        N_BRB = 7 << 59;
    }
}

/// What EL2's control registers hold on one CPU while a guest runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrapControls {
    /// HCR_EL2, without what changes from vCPU to vCPU (TWI, TWE) and what the stage 2 tables
    /// decide (FWB).
    pub hcr_el2: u64,
    /// HCRX_EL2; `None` if the CPU doesn't have it.
    pub hcrx_el2: Option<u64>,
    /// MDCR_EL2.
    pub mdcr_el2: u64,
    /// CPTR_EL2, with FP and SIMD not trapped.
    pub cptr_el2: u64,
    /// HSTR_EL2.
    pub hstr_el2: u64,
    /// CNTHCTL_EL2.
    pub cnthctl_el2: u64,
    /// Whether the CPU has pointer authentication keys, which move with a vCPU (FEAT_PAuth).
    pub pointer_authentication: bool,
    /// Whether the CPU has VDISR_EL2, in which one guest could leave something for the next
    /// (FEAT_RAS).
    pub deferred_errors: bool,
    /// MPAM2_EL2; `None` if the CPU doesn't have it.
    pub mpam2_el2: Option<u64>,
    /// The fine-grained traps; `None` if the CPU doesn't have them (FEAT_FGT).
    pub fine_grained: Option<FineGrainedTraps>,
    /// One value for HFGRTR2_EL2, HFGWTR2_EL2, HFGITR2_EL2, HDFGRTR2_EL2 and HDFGWTR2_EL2; `None`
    /// if the CPU doesn't have them (FEAT_FGT2).
    pub fine_grained_2: Option<u64>,
}

/// The fine-grained trap registers. Bits that trap while they are 0 guard what is hidden.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FineGrainedTraps {
    /// HFGRTR_EL2.
    pub hfgrtr_el2: u64,
    /// HFGWTR_EL2.
    pub hfgwtr_el2: u64,
    /// HFGITR_EL2.
    pub hfgitr_el2: u64,
    /// HDFGRTR_EL2.
    pub hdfgrtr_el2: u64,
    /// HDFGWTR_EL2.
    pub hdfgwtr_el2: u64,
    /// HAFGRTR_EL2; written only where the CPU has activity monitors as well.
    pub hafgrtr_el2: u64,
}

/// HCR_EL2 for every guest. PTW: a guest whose tables lie in a device gets an abort, the device
/// isn't read. The rest is explained at the bits.
const HCR_BASE: u64 = hcr::VM
    | hcr::SWIO
    | hcr::PTW
    | hcr::FMO
    | hcr::IMO
    | hcr::AMO
    | hcr::FB
    | hcr::BSU_INNER
    | hcr::TID1
    | hcr::TID3
    | hcr::TSC
    | hcr::TIDCP
    | hcr::TACR
    | hcr::TSW
    | hcr::RW;

/// The bits of each control register that the guards ask for.
struct Wanted([u64; Control::COUNT]);

impl TrapControls {
    /// Computes the control registers of `cpu` for a guest that sees `guest`.
    pub(crate) fn new(guest: &GuestFeatures, cpu: &HostIdRegisters) -> Self {
        let wanted = Wanted::new(guest, cpu);
        let has = |register, shift| cpu.field(register, shift) != 0;
        let fine_grained = cpu.field(SysRegId::ID_AA64MMFR0_EL1, 56);
        let mpam = has(SysRegId::ID_AA64PFR0_EL1, 40) || has(SysRegId::ID_AA64PFR1_EL1, 16);
        Self {
            hcr_el2: HCR_BASE | wanted.bits(Control::Hcr),
            hcrx_el2: has(SysRegId::ID_AA64MMFR1_EL1, 40).then(|| wanted.bits(Control::Hcrx)),
            mdcr_el2: mdcr::TDA
                | mdcr::TDOSA
                | mdcr::TDRA
                | wanted.bits(Control::Mdcr)
                | u64::from(cpu.event_counters()),
            // The traps of SVE and SME are RES1 on CPUs without them.
            cptr_el2: cptr::RES1 | cptr::TZ | cptr::TSM | wanted.bits(Control::Cptr),
            hstr_el2: 0,
            // A guest's time is its virtual counter's. Where the physical one can be given the same
            // offset (ID_AA64MMFR0_EL1.ECV = 2), the guest has both, and both timers; else they trap.
            cnthctl_el2: if cpu.field(SysRegId::ID_AA64MMFR0_EL1, 60) >= 2 {
                cnthctl::EL1PCTEN | cnthctl::EL1PCEN | cnthctl::ECV
            } else {
                0
            },
            // APA, API, APA3.
            pointer_authentication: has(SysRegId::ID_AA64ISAR1_EL1, 4)
                || has(SysRegId::ID_AA64ISAR1_EL1, 8)
                || has(SysRegId::ID_AA64ISAR2_EL1, 12),
            deferred_errors: has(SysRegId::ID_AA64PFR0_EL1, 28),
            mpam2_el2: mpam.then(|| wanted.bits(Control::Mpam2)),
            fine_grained: (fine_grained != 0).then(|| FineGrainedTraps {
                hfgrtr_el2: wanted.bits(Control::Hfgrtr),
                hfgwtr_el2: wanted.bits(Control::Hfgrtr),
                hfgitr_el2: wanted.bits(Control::Hfgitr),
                hdfgrtr_el2: wanted.bits(Control::Hdfgrtr),
                hdfgwtr_el2: wanted.bits(Control::Hdfgrtr),
                hafgrtr_el2: 0,
            }),
            fine_grained_2: (fine_grained >= 2).then(|| wanted.bits(Control::FineGrained2)),
        }
    }

    /// Returns a control register's value; `None` if the CPU doesn't have the register.
    #[must_use]
    pub fn get(&self, control: Control) -> Option<u64> {
        let fine = |value: fn(&FineGrainedTraps) -> u64| self.fine_grained.as_ref().map(value);
        match control {
            Control::Hcr => Some(self.hcr_el2),
            Control::Hcrx => self.hcrx_el2,
            Control::Mdcr => Some(self.mdcr_el2),
            Control::Cptr => Some(self.cptr_el2),
            Control::Mpam2 => self.mpam2_el2,
            Control::Hfgrtr => fine(|traps| traps.hfgrtr_el2 | traps.hfgwtr_el2),
            Control::Hfgitr => fine(|traps| traps.hfgitr_el2),
            Control::Hdfgrtr => fine(|traps| traps.hdfgrtr_el2 | traps.hdfgwtr_el2),
            Control::FineGrained2 => self.fine_grained_2,
        }
    }
}

impl Wanted {
    /// Goes through the table once: this runs while a CPU starts, before its first guest.
    fn new(guest: &GuestFeatures, cpu: &HostIdRegisters) -> Self {
        let mut wanted = Self([0; Control::COUNT]);
        for field in fields() {
            let shown = field.get(guest.register(field.register));
            match field.guard {
                Guard::TrapWhenHidden(control, bits) | Guard::TrapExcept(control, bits, _) => {
                    if cpu.field(field.register, field.shift) != shown {
                        wanted.set(control, bits);
                    }
                }
                Guard::EnableWhenShown(control, bits) => {
                    if shown != field.nothing() {
                        wanted.set(control, bits);
                    }
                }
                Guard::Nothing | Guard::LeaveClear(..) | Guard::Untrappable(_) => {}
            }
        }
        wanted
    }

    /// Sets bits of one control register.
    fn set(&mut self, control: Control, bits: u64) {
        if let Some(register) = self.0.get_mut(control.index()) {
            *register |= bits;
        }
    }

    /// Returns the bits of one control register.
    fn bits(&self, control: Control) -> u64 {
        self.0.get(control.index()).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::{Field, Policy};
    extern crate std;
    use std::collections::BTreeSet;

    /// A CPU that has everything.
    fn everything() -> HostIdRegisters {
        HostIdRegisters::from_fn(|_| 0x7777_7777_7777_7777)
    }

    /// A CPU that has nothing: the signed fields say so with 0xf.
    fn nothing() -> HostIdRegisters {
        HostIdRegisters::from_fn(|id| {
            fields()
                .filter(|field| field.register == id)
                .fold(0, |value, field| value | field.put(field.nothing()))
        })
    }

    fn is_hidden(field: &Field, guest: &GuestFeatures, cpu: &HostIdRegisters) -> bool {
        field.get(guest.register(field.register)) != cpu.field(field.register, field.shift)
    }

    #[test]
    fn c2_what_is_hidden_traps_and_what_is_shown_works() {
        let weak = nothing();
        let cpu = everything();
        // Also where another CPU of the machine has nothing, so that the guest is shown nothing.
        for host in [cpu, cpu.merge(&weak)] {
            let guest = GuestFeatures::new(&host, 48);
            let controls = guest.trap_controls(&cpu);
            for field in fields() {
                let name = field.name;
                let get = |control| controls.get(control).expect("the CPU has it");
                let shown = field.get(guest.register(field.register));
                match field.guard {
                    Guard::TrapWhenHidden(control, bits) | Guard::TrapExcept(control, bits, _) => {
                        if is_hidden(field, &guest, &cpu) {
                            assert_eq!(get(control) & bits, bits, "{name}");
                        }
                    }
                    Guard::LeaveClear(control, bits) => {
                        assert_eq!(get(control) & bits, 0, "{name}");
                    }
                    Guard::EnableWhenShown(control, bits) => {
                        let expected = if shown == 0 { 0 } else { bits };
                        assert_eq!(get(control) & bits, expected, "{name}");
                    }
                    Guard::Nothing | Guard::Untrappable(_) => {}
                }
            }
        }
    }

    #[test]
    fn c2_every_field_that_is_hidden_without_a_guard_was_considered() {
        // EL2's and EL3's own features, limits of others' fields, and descriptions of registers
        // that another field's guard traps. A new name here needs a reason of this kind.
        let considered: BTreeSet<_> = [
            "EL1",
            "EL2",
            "EL3",
            "SEL2",
            "RME",
            "RNDR_trap",
            "MTE_frac",
            "MTEX",
            "DF2",
            "MTEPERM",
            "MTESTOREONLY",
            "MTEFAR",
            "UINJ",
            "DebugVer",
            "DoubleLock",
            "ExtTrcBuff",
            "HPMN0",
            "ABLE",
            "DPFZS",
            "TLBIW",
            "SNSMem",
            "FGT",
            "ECV",
            "VMIDBits",
            "VH",
            "XNX",
            "TWED",
            "HCX",
            "IDS",
            "NV",
            "FWB",
            "EVT",
            "S2PIE",
            "MEC",
            "D128_2",
            "ANERR",
            "ADERR",
            "EIESB",
            "HACDBS",
            "FGWTE3",
            "NV_frac",
            "E3DSE",
            "CSV2",
            "RAS",
            "Security",
            "Virtualization",
            "Sec_frac",
            "Virt_frac",
            "RAS_frac",
            "CopDbg",
            "CopSDbg",
            "MMapDbg",
            "MMapTrc",
            "MProfDbg",
        ]
        .into_iter()
        .collect();
        let found: BTreeSet<_> = fields()
            .filter(|field| matches!(field.policy, Policy::Hide | Policy::Limit(_)))
            .filter(|field| matches!(field.guard, Guard::Nothing))
            .map(|field| field.name)
            .collect();
        let unexpected: std::vec::Vec<_> = found.difference(&considered).collect();
        assert!(unexpected.is_empty(), "{unexpected:?}");
    }

    #[test]
    fn c2_each_feature_of_the_case_has_its_trap() {
        let guest = GuestFeatures::new(&everything(), 48);
        let controls = guest.trap_controls(&everything());
        assert_eq!(controls.cptr_el2 & (cptr::TZ | cptr::TSM | cptr::TAM), {
            cptr::TZ | cptr::TSM | cptr::TAM
        });
        let debug = mdcr::TPM | mdcr::TPMCR | mdcr::TPMS | mdcr::TTRF | mdcr::TDA;
        assert_eq!(controls.mdcr_el2 & debug, debug);
        let traps = hcr::TERR | hcr::TLOR | hcr::TID5 | hcr::TID3;
        assert_eq!(controls.hcr_el2 & traps, traps);
        assert_eq!(controls.hcr_el2 & (hcr::ATA | hcr::EN_SCXT | hcr::TME), 0);
        assert_eq!(controls.hcr_el2 & hcr::API, hcr::API);
        assert_eq!(controls.hcrx_el2, Some(hcrx::TALLINT | hcrx::MSC_EN));
        assert_eq!(controls.fine_grained, Some(FineGrainedTraps::default()));
        assert_eq!(controls.fine_grained_2, Some(0));
    }

    #[test]
    fn an_old_cpu_has_no_extended_controls() {
        let guest = GuestFeatures::new(&nothing(), 40);
        let controls = guest.trap_controls(&nothing());
        assert_eq!(controls.hcrx_el2, None);
        assert_eq!(controls.fine_grained, None);
        assert_eq!(controls.fine_grained_2, None);
        assert_eq!(controls.mpam2_el2, None);
        assert_eq!(controls.hcr_el2, HCR_BASE);
        assert_eq!(controls.hcr_el2, 0x807d_063f);
        assert_eq!(controls.cptr_el2, 0x33ff);
        assert_eq!(controls.mdcr_el2, 0xe00);
        assert_eq!(controls.cnthctl_el2, 0);
        assert!(!controls.pointer_authentication && !controls.deferred_errors);
    }

    #[test]
    fn the_physical_timer_is_native_only_with_an_offset() {
        for (ecv, expected) in [(0, 0), (1, 0), (2, 0x1003)] {
            let cpu = HostIdRegisters::from_fn(|id| match id {
                SysRegId::ID_AA64MMFR0_EL1 => ecv << 60,
                _ => 0,
            });
            let controls = GuestFeatures::new(&cpu, 40).trap_controls(&cpu);
            assert_eq!(controls.cnthctl_el2, expected);
        }
    }

    #[test]
    fn keys_and_deferred_errors_are_told_by_their_fields() {
        for (register, shift) in [
            (SysRegId::ID_AA64ISAR1_EL1, 4),
            (SysRegId::ID_AA64ISAR1_EL1, 8),
            (SysRegId::ID_AA64ISAR2_EL1, 12),
            (SysRegId::ID_AA64PFR0_EL1, 28),
        ] {
            let cpu = HostIdRegisters::from_fn(|id| u64::from(id == register) << shift);
            let controls = GuestFeatures::new(&cpu, 40).trap_controls(&cpu);
            let ras = register == SysRegId::ID_AA64PFR0_EL1;
            assert_eq!(controls.deferred_errors, ras);
            assert_eq!(controls.pointer_authentication, !ras);
        }
    }

    #[test]
    fn el1_may_use_as_many_event_counters_as_there_are() {
        // HPMN above PMCR_EL0.N is CONSTRAINED UNPREDICTABLE, and so is 0 without FEAT_HPMN0.
        let cpu = HostIdRegisters::from_fn(|id| match id {
            SysRegId::ID_AA64DFR0_EL1 => 0x106,
            SysRegId::PMCR_EL0 => 6 << 11,
            _ => 0,
        });
        let controls = GuestFeatures::new(&cpu, 40).trap_controls(&cpu);
        assert_eq!(controls.mdcr_el2 & mdcr::HPMN, 6);
    }

    #[test]
    fn fields_of_a_register_do_not_overlap() {
        for field in fields() {
            let same = fields().filter(|other| {
                other.register == field.register && other.shift.abs_diff(field.shift) < 4
            });
            assert_eq!(same.count(), 1, "{}", field.name);
        }
    }
}
