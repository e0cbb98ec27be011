//! From the syndrome registers to a typed reason.

use crate::esr::{Esr, ExceptionClass};
use crate::fault::{DataAbort, FaultStatus, Stage1Walk, fault_ipa, fault_va, stage1_walk};
use crate::sysreg::SysRegId;
use addr::Ipa;

/// The registers that describe an exception from a lower level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExitRegisters {
    /// ESR_EL2.
    pub esr: Esr,
    /// FAR_EL2; read for aborts only.
    pub far: u64,
    /// HPFAR_EL2; read for aborts only.
    pub hpfar: u64,
}

/// Which way a register access or a memory access moves data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// Into the guest's register: MRS, a load.
    Read,
    /// Out of the guest's register: MSR, a store.
    Write,
}

/// Why a vCPU left its guest, for a synchronous exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The guest has nothing to do. Step over it.
    Wait(Wait),
    /// HVC; the return address is already the next instruction.
    Hvc {
        /// The instruction's immediate.
        immediate: u16,
    },
    /// SMC, trapped by HCR_EL2.TSC; the return address is the SMC itself.
    Smc {
        /// The instruction's immediate.
        immediate: u16,
    },
    /// MRS, MSR or a system instruction.
    SystemRegister(SysRegAccess),
    /// An AArch32 coprocessor access from EL0. No guest has AArch32 at EL1, so nothing is emulated:
    /// UNDEFINED (XSA-102 was the assumption that such a trap comes from EL1).
    Aarch32Coprocessor(ExceptionClass),
    /// FP or SIMD, trapped by CPTR_EL2.TFP: load the registers and let the guest try again.
    FloatingPoint,
    /// A load, a store or cache maintenance.
    DataAbort(DataAbort),
    /// An instruction fetch.
    InstructionAbort(InstructionAbort),
    /// The guest returned to an illegal state; architecturally its own exception, taken to EL1.
    IllegalState,
    /// A feature that this hypervisor hides: UNDEFINED for the guest.
    UndefinedFeature(ExceptionClass),
    /// A system error.
    SError,
    /// A debug exception; none is routed to EL2, so it is an error of ours.
    Debug(ExceptionClass),
    /// A class that EL2 doesn't ask for.
    Unknown {
        /// The class.
        class: ExceptionClass,
    },
}

/// WFI and its relatives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Which instruction.
    pub kind: WaitKind,
    /// The register that holds the time-out of WFIT and WFET, a value of CNTVCT_EL0; `None` for the
    /// others and where the syndrome doesn't say.
    pub timeout_register: Option<u8>,
}

/// Which of the waiting instructions (TI of the syndrome).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WaitKind {
    /// Wait for interrupt.
    Wfi,
    /// Wait for event.
    Wfe,
    /// Wait for interrupt, with a time-out.
    Wfit,
    /// Wait for event, with a time-out.
    Wfet,
}

/// A trapped MRS, MSR or system instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SysRegAccess {
    /// Which register.
    pub id: SysRegId,
    /// The general-purpose register, 0 to 31; 31 is XZR (Rt).
    pub register: u8,
    /// MRS or MSR. System instructions without a result are writes.
    pub direction: Direction,
}

impl SysRegAccess {
    /// Recognizes a trapped register access in a few instructions; `None` for any other exit, which
    /// is then decoded the long way ([`decode`]).
    #[inline]
    #[must_use]
    pub const fn recognize(esr: Esr) -> Option<Self> {
        match esr.class() {
            ExceptionClass::SystemRegister => Some(Self::decode(esr)),
            // Every other class is another exit, whatever classes there are.
            _ => None,
        }
    }

    /// Decodes "ISS encoding for an exception from MSR, MRS, or System instruction execution".
    #[inline]
    const fn decode(esr: Esr) -> Self {
        Self {
            id: SysRegId::from_iss(esr.iss()),
            register: esr.bits(5, 5),
            direction: if esr.bit(0) {
                Direction::Read
            } else {
                Direction::Write
            },
        }
    }
}

/// An instruction abort that a guest caused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstructionAbort {
    /// Why.
    pub fault: FaultStatus,
    /// The guest-physical address, under the rules of [`DataAbort::ipa`].
    pub ipa: Option<Ipa>,
    /// The guest-virtual address (FAR_EL2), unless the syndrome says that it isn't valid.
    pub va: Option<u64>,
    /// Whether a stage 1 walk was refused.
    pub stage1_walk: Stage1Walk,
}

/// Decodes the syndrome of a synchronous exception from a lower level. Total: any value of the
/// registers gives an exit.
#[must_use]
pub const fn decode(registers: &ExitRegisters) -> Exit {
    use ExceptionClass as Ec;
    let esr = registers.esr;
    match esr.class() {
        Ec::WaitFor => Exit::Wait(wait(esr)),
        Ec::Hvc64 => Exit::Hvc {
            immediate: esr.immediate(),
        },
        Ec::Smc64 => Exit::Smc {
            immediate: esr.immediate(),
        },
        Ec::SystemRegister => Exit::SystemRegister(SysRegAccess::decode(esr)),
        class @ (Ec::Cp15Single
        | Ec::Cp15Double
        | Ec::Cp14Single
        | Ec::Cp14Memory
        | Ec::Cp10Vmrs
        | Ec::Cp14Double) => Exit::Aarch32Coprocessor(class),
        Ec::FloatingPoint => Exit::FloatingPoint,
        Ec::DataAbortLower => Exit::DataAbort(DataAbort::decode(registers)),
        Ec::InstructionAbortLower => Exit::InstructionAbort(instruction_abort(registers)),
        Ec::IllegalState => Exit::IllegalState,
        class @ (Ec::PointerAuth
        | Ec::OtherTrapped
        | Ec::BranchTarget
        | Ec::Hvc32
        | Ec::Smc32
        | Ec::SystemRegister128
        | Ec::Sve
        | Ec::ExceptionReturn
        | Ec::TransactionStart
        | Ec::PointerAuthFailure
        | Ec::Sme
        | Ec::MemoryCopy
        | Ec::GuardedStack) => Exit::UndefinedFeature(class),
        Ec::SError => Exit::SError,
        class @ (Ec::BreakpointLower
        | Ec::BreakpointSame
        | Ec::StepLower
        | Ec::StepSame
        | Ec::WatchpointLower
        | Ec::WatchpointSame
        | Ec::Bkpt32
        | Ec::VectorCatch32
        | Ec::Brk64) => Exit::Debug(class),
        class @ (Ec::Unknown
        | Ec::Svc32
        | Ec::Svc64
        | Ec::GranuleProtection
        | Ec::InstructionAbortSame
        | Ec::PcAlignment
        | Ec::DataAbortSame
        | Ec::SpAlignment
        | Ec::FloatingPoint32
        | Ec::FloatingPoint64
        | Ec::Profiling
        | Ec::Other(_)) => Exit::Unknown { class },
    }
}

/// Decodes "ISS encoding for an exception from a WF* instruction": TI in bits 1–0, RV in bit 2, RN
/// in bits 9–5.
const fn wait(esr: Esr) -> Wait {
    let kind = match esr.bits(0, 2) {
        0 => WaitKind::Wfi,
        1 => WaitKind::Wfe,
        2 => WaitKind::Wfit,
        _ => WaitKind::Wfet,
    };
    let timed = matches!(kind, WaitKind::Wfit | WaitKind::Wfet);
    Wait {
        kind,
        timeout_register: if timed && esr.bit(2) {
            Some(esr.bits(5, 5))
        } else {
            None
        },
    }
}

impl Wait {
    /// Recognizes the most usual wait in two instructions: WFI, without a time-out, of an instruction
    /// of 4 bytes. For any other exit [`decode`] says what it is.
    #[inline]
    #[must_use]
    pub const fn is_wfi(esr: Esr) -> bool {
        /// Class, IL, and the kind of wait.
        const MASK: u64 = 0x3f << 26 | 1 << 25 | 3;
        esr.get() & MASK == 1 << 26 | 1 << 25
    }
}

/// Decodes "ISS encoding for an exception from an Instruction Abort".
const fn instruction_abort(registers: &ExitRegisters) -> InstructionAbort {
    let fault = FaultStatus::from_code(registers.esr.bits(0, 6));
    let stage1_walk = stage1_walk(registers.esr);
    InstructionAbort {
        fault,
        ipa: fault_ipa(registers, fault, stage1_walk),
        va: fault_va(registers),
        stage1_walk,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{CacheMaintenance, Level};
    use crate::mmio::{Extension, RegisterWidth};
    use addr::Width;

    const ISV: u64 = 1 << 24;
    const S1PTW: u64 = 1 << 7;
    const CM: u64 = 1 << 8;
    const FNV: u64 = 1 << 10;
    const WNR: u64 = 1 << 6;
    const TRANSLATION_3: u64 = 7;
    const PERMISSION_3: u64 = 0xf;

    fn exit(class: u64, iss: u64) -> Exit {
        decode(&ExitRegisters {
            esr: Esr::new(class << 26 | 1 << 25 | iss),
            far: 0xffff_8000_1234_5abc,
            hpfar: 0x8000_0000_0009_0010,
        })
    }

    fn data_abort(iss: u64) -> DataAbort {
        match exit(0x24, iss) {
            Exit::DataAbort(abort) => abort,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_syndrome_decodes_to_something() {
        for class in 0..64 {
            for iss in [0, 0x155_5555, 0x0aa_aaaa, 0x1ff_ffff] {
                let _ = exit(class, iss);
            }
        }
    }

    #[test]
    fn calls_carry_their_immediate() {
        assert_eq!(exit(0x16, 0xabcd), Exit::Hvc { immediate: 0xabcd });
        assert_eq!(exit(0x17, 1), Exit::Smc { immediate: 1 });
    }

    #[test]
    fn waits_are_told_apart() {
        let kind = |iss| match exit(0x01, iss) {
            Exit::Wait(wait) => (wait.kind, wait.timeout_register),
            other => panic!("{other:?}"),
        };
        assert_eq!(kind(0x1e0_0000 | 1 << 2), (WaitKind::Wfi, None));
        assert_eq!(kind(1), (WaitKind::Wfe, None));
        assert_eq!(kind(2 | 1 << 2 | 9 << 5), (WaitKind::Wfit, Some(9)));
        assert_eq!(kind(3), (WaitKind::Wfet, None));
    }

    #[test]
    fn the_usual_wait_is_recognized_and_nothing_else() {
        for class in 0..64 {
            for iss in 0..8 {
                for length in [0, 1 << 25] {
                    let esr = Esr::new(class << 26 | length | iss);
                    let registers = ExitRegisters {
                        esr,
                        far: 0,
                        hpfar: 0,
                    };
                    let wfi = matches!(decode(&registers), Exit::Wait(wait) if wait.kind == WaitKind::Wfi);
                    let long = esr.instruction_length() == crate::InstructionLength::Four;
                    assert_eq!(Wait::is_wfi(esr), wfi && long, "{esr}");
                }
            }
        }
    }

    #[test]
    fn system_register_syndrome_gives_register_and_direction() {
        // MRS x5, ID_AA64PFR0_EL1.
        let iss = 3 << 20 | 5 << 5 | 4 << 1 | 1;
        let expected = SysRegAccess {
            id: SysRegId::ID_AA64PFR0_EL1,
            register: 5,
            direction: Direction::Read,
        };
        assert_eq!(exit(0x18, iss), Exit::SystemRegister(expected));
        let recognize = |class: u64| SysRegAccess::recognize(Esr::new(class << 26 | iss));
        assert_eq!(recognize(0x18), Some(expected));
        assert_eq!(recognize(0x19), None);
    }

    #[test]
    fn a_described_access_gives_width_register_and_address() {
        let iss = ISV | 1 << 22 | 1 << 21 | 17 << 16 | 1 << 15 | TRANSLATION_3;
        let abort = data_abort(iss);
        assert_eq!(abort.fault, FaultStatus::Translation(Level(3)));
        assert_eq!(abort.ipa, Some(Ipa::new(0x900_1abc)));
        assert_eq!(abort.va, Some(0xffff_8000_1234_5abc));
        let access = abort.mmio.expect("a described access");
        assert_eq!(access.width, Width::Half);
        assert_eq!(access.extension, Extension::Sign);
        assert_eq!(access.register, 17);
        assert_eq!(access.register_width, RegisterWidth::X);
        assert_eq!(access.direction, Direction::Read);
        assert_eq!(data_abort(iss | WNR).direction, Direction::Write);
    }

    #[test]
    fn a8_access_without_syndrome_is_never_described() {
        let full = 3 << 22 | 0x1f << 16 | 1 << 15 | WNR | TRANSLATION_3;
        assert_eq!(data_abort(full).mmio, None);
        // Believing a syndrome that the architecture calls invalid would be a guess as well.
        assert_eq!(data_abort(full | ISV | CM).mmio, None);
        assert_eq!(data_abort(full | ISV | S1PTW).mmio, None);
        for status in 0x10..0x40 {
            let fault = FaultStatus::from_code(u8::try_from(status).expect("small"));
            if !fault.is_stage2_refusal() {
                assert_eq!(data_abort(ISV | status).mmio, None, "{fault}");
            }
        }
    }

    #[test]
    fn a3_stage_1_walk_gives_the_table_page_without_the_access_offset() {
        let abort = data_abort(S1PTW | TRANSLATION_3);
        assert_eq!(abort.stage1_walk, Stage1Walk::Yes);
        assert_eq!(abort.ipa, Some(Ipa::new(0x900_1000)));
        let abort = data_abort(S1PTW | PERMISSION_3);
        assert_eq!(abort.ipa, Some(Ipa::new(0x900_1000)));
    }

    #[test]
    fn a7_permission_fault_has_no_ipa() {
        let abort = data_abort(ISV | WNR | PERMISSION_3);
        assert_eq!(abort.fault, FaultStatus::Permission(Level(3)));
        assert_eq!(abort.ipa, None);
        assert!(abort.mmio.is_some());
        assert!(matches!(
            exit(0x20, PERMISSION_3),
            Exit::InstructionAbort(InstructionAbort { ipa: None, .. })
        ));
    }

    #[test]
    fn a2_address_size_faults_are_aborts_like_others() {
        let abort = data_abort(ISV);
        assert_eq!(abort.fault, FaultStatus::AddressSize(Level(0)));
        assert_eq!(abort.ipa, Some(Ipa::new(0x900_1abc)));
    }

    #[test]
    fn far_is_not_believed_when_the_syndrome_says_so() {
        let abort = data_abort(FNV | 0x10);
        assert_eq!(abort.va, None);
        assert_eq!(abort.ipa, None);
    }

    #[test]
    fn a10_cache_maintenance_is_marked() {
        let abort = data_abort(CM | WNR | TRANSLATION_3);
        assert_eq!(abort.cache_maintenance, CacheMaintenance::Yes);
        assert_eq!(abort.direction, Direction::Write);
    }

    #[test]
    fn b2_b3_alignment_and_last_byte_of_an_access() {
        let word_at_abc = data_abort(ISV | 2 << 22 | TRANSLATION_3);
        assert!(word_at_abc.is_naturally_aligned());
        assert_eq!(word_at_abc.last_byte(), Some(Ipa::new(0x900_1abf)));
        let double_at_abc = data_abort(ISV | 3 << 22 | TRANSLATION_3);
        assert!(!double_at_abc.is_naturally_aligned());
        assert_eq!(data_abort(TRANSLATION_3).last_byte(), None);
    }

    #[test]
    fn b4_the_zero_register_is_31() {
        let access = data_abort(ISV | 31 << 16 | WNR | TRANSLATION_3).mmio;
        assert_eq!(access.expect("described").register, 31);
    }

    #[test]
    fn c4_coprocessor_accesses_are_not_system_register_accesses() {
        for class in [0x03, 0x04, 0x05, 0x06, 0x08, 0x0c] {
            assert!(matches!(exit(class, 0), Exit::Aarch32Coprocessor(_)));
        }
    }

    #[test]
    fn c2_hidden_features_are_told_apart_from_floating_point() {
        for class in [0x09, 0x0a, 0x14, 0x19, 0x1a, 0x1b, 0x1d, 0x2d] {
            assert!(matches!(exit(class, 0), Exit::UndefinedFeature(_)));
        }
        assert_eq!(exit(0x07, 0), Exit::FloatingPoint);
    }

    #[test]
    fn fault_status_codes_cover_all_levels() {
        use FaultStatus as S;
        let cases = [
            (0x00, S::AddressSize(Level(0))),
            (0x29, S::AddressSize(Level(-1))),
            (0x04, S::Translation(Level(0))),
            (0x2b, S::Translation(Level(-1))),
            (0x0b, S::AccessFlag(Level(3))),
            (0x0d, S::Permission(Level(1))),
            (0x10, S::External),
            (0x13, S::ExternalOnWalk(Level(-1))),
            (0x16, S::ExternalOnWalk(Level(2))),
            (0x21, S::Alignment),
            (0x28, S::GranuleProtection),
            (0x30, S::TlbConflict),
            (0x35, S::UnsupportedAtomic),
            (0x3f, S::Other(0x3f)),
        ];
        for (code, status) in cases {
            assert_eq!(S::from_code(code), status);
            assert_eq!(S::from_code(code | 0xc0), status);
        }
    }
}
