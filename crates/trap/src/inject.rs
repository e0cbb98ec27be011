//! Giving a guest an exception: what its registers become, as a pure computation.

use crate::esr::ExceptionClass;
use crate::exit::{Direction, InstructionAbort};
use crate::fault::{CacheMaintenance, DataAbort};
use crate::pstate::{ExceptionLevel, Pstate};

/// A synchronous exception for a guest's EL1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exception {
    /// The instruction is UNDEFINED.
    Undefined,
    /// A load, a store or cache maintenance got no answer: synchronous external abort.
    DataAbort {
        /// The address for FAR_EL1; `None` sets FnV and leaves the register.
        va: Option<u64>,
        /// What WnR says.
        direction: Direction,
        /// What CM says.
        cache_maintenance: CacheMaintenance,
    },
    /// An instruction fetch got no answer: synchronous external abort.
    InstructionAbort {
        /// The address for FAR_EL1; `None` sets FnV and leaves the register.
        va: Option<u64>,
    },
}

/// The guest's registers that decide how it takes an exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestContext {
    /// Where the exception happened (ELR_EL2): the preferred return address.
    pub pc: u64,
    /// The state there (SPSR_EL2).
    pub pstate: Pstate,
    /// SCTLR_EL1.
    pub sctlr_el1: u64,
    /// VBAR_EL1.
    pub vbar_el1: u64,
}

/// What the guest's registers become when it takes an exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the exception happens only when these values reach the registers"]
pub struct ExceptionEntry {
    /// The vector (ELR_EL2).
    pub pc: u64,
    /// The handler's state (SPSR_EL2).
    pub pstate: Pstate,
    /// ELR_EL1.
    pub elr_el1: u64,
    /// SPSR_EL1.
    pub spsr_el1: u64,
    /// ESR_EL1.
    pub esr_el1: u64,
    /// FAR_EL1; `None` leaves it.
    pub far_el1: Option<u64>,
}

impl Exception {
    /// Answers a refused data access with a synchronous external abort.
    #[must_use]
    pub const fn for_data_abort(abort: &DataAbort) -> Self {
        Self::DataAbort {
            va: abort.va,
            direction: abort.direction,
            cache_maintenance: abort.cache_maintenance,
        }
    }

    /// Answers a refused instruction fetch with a synchronous external abort.
    #[must_use]
    pub const fn for_instruction_abort(abort: &InstructionAbort) -> Self {
        Self::InstructionAbort { va: abort.va }
    }

    /// Computes what the guest's registers become, per AArch64.TakeException with target EL1 (Arm
    /// ARM, J1.1.2). The PC must not have been advanced over the instruction.
    pub const fn take(self, guest: &GuestContext) -> ExceptionEntry {
        let vector = guest.pstate.source().synchronous_vector();
        ExceptionEntry {
            // VBAR_EL1 bits 10–0 are RES0.
            pc: (guest.vbar_el1 & !0x7ff).wrapping_add(vector),
            pstate: handler_pstate(guest.pstate, guest.sctlr_el1),
            elr_el1: guest.pc,
            spsr_el1: self.saved_pstate(guest.pstate).get(),
            esr_el1: self.syndrome(guest.pstate.level()),
            far_el1: match self {
                Self::Undefined => None,
                Self::DataAbort { va, .. } | Self::InstructionAbort { va } => va,
            },
        }
    }

    /// Returns the state for SPSR_EL1. SPSR_EL2 and SPSR_EL1 have the same layout, AArch32
    /// included. BTYPE is kept where AArch64.TakeException guarantees it (instruction aborts), and
    /// is 0 otherwise, which ZEROBTYPE allows.
    const fn saved_pstate(self, pstate: Pstate) -> Pstate {
        match self {
            Self::InstructionAbort { .. } => pstate,
            Self::Undefined | Self::DataAbort { .. } if pstate.is_aarch32() => pstate,
            Self::Undefined | Self::DataAbort { .. } => pstate.without(Pstate::BTYPE),
        }
    }

    /// Builds ESR_EL1. IL is 1 for each of these (Arm ARM, ESR_EL1.IL: EC 0, instruction aborts,
    /// data aborts without ISV).
    const fn syndrome(self, from: ExceptionLevel) -> u64 {
        use ExceptionClass as Ec;
        const IL: u64 = 1 << 25;
        const FNV: u64 = 1 << 10;
        const CM: u64 = 1 << 8;
        const WNR: u64 = 1 << 6;
        const EXTERNAL_ABORT: u64 = 0b01_0000;
        let (class, va, detail) = match self {
            Self::Undefined => return IL,
            Self::DataAbort {
                va,
                direction,
                cache_maintenance,
            } => {
                let class = match from {
                    ExceptionLevel::El0 => Ec::DataAbortLower,
                    ExceptionLevel::El1 => Ec::DataAbortSame,
                };
                let write = match direction {
                    Direction::Read => 0,
                    Direction::Write => WNR,
                };
                let maintenance = match cache_maintenance {
                    CacheMaintenance::Yes => CM,
                    CacheMaintenance::No => 0,
                };
                (class, va, write | maintenance)
            }
            Self::InstructionAbort { va } => {
                let class = match from {
                    ExceptionLevel::El0 => Ec::InstructionAbortLower,
                    ExceptionLevel::El1 => Ec::InstructionAbortSame,
                };
                (class, va, 0)
            }
        };
        let fnv = match va {
            Some(_) => 0,
            None => FNV,
        };
        // A refused stage 1 walk is reported as an abort of the access too: the syndrome at EL2
        // holds the level of stage 2, and the level of stage 1 is not known.
        (class.code() as u64) << 26 | IL | fnv | detail | EXTERNAL_ABORT
    }
}

/// Returns the handler's PSTATE, per AArch64.TakeException:
/// EL1h; SS, IL, UAO, BTYPE 0; D, A, I, F 1; PAN set unless SCTLR_EL1.SPAN; SSBS from
/// SCTLR_EL1.DSSBS; NZCV and DIT kept.
///
/// Where a feature is absent the bits that feed it are fixed so that the result is right: SPAN is
/// RES1 without PAN, DSSBS is RES0 without SSBS. TCO is kept: MTE is hidden from every guest. ALLINT
/// matters only under SCTLR_EL1.NMI, and is then NOT SPINTMASK.
const fn handler_pstate(from: Pstate, sctlr_el1: u64) -> Pstate {
    const SPAN: u64 = 1 << 23;
    const DSSBS: u64 = 1 << 44;
    const NMI: u64 = 1 << 61;
    const SPINTMASK: u64 = 1 << 62;
    let kept = if from.is_aarch32() {
        // Bits 27–25 are Q and IT in AArch32, so TCO, which AArch32 doesn't have, is not kept.
        Pstate::NZCV | Pstate::DIT | Pstate::PAN
    } else {
        Pstate::NZCV | Pstate::TCO | Pstate::DIT | Pstate::PAN
    };
    let mut state = from.get() & kept | Pstate::DAIF | Pstate::EL1H;
    if sctlr_el1 & SPAN == 0 {
        state |= Pstate::PAN;
    }
    if sctlr_el1 & DSSBS != 0 {
        state |= Pstate::SSBS;
    }
    if sctlr_el1 & NMI != 0 && sctlr_el1 & SPINTMASK == 0 {
        state |= Pstate::ALLINT;
    }
    Pstate::new(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: u64 = 1 << 23;
    const VBAR: u64 = 0xffff_8000_0801_0800;

    fn guest(pstate: u64, sctlr_el1: u64) -> GuestContext {
        GuestContext {
            pc: 0x4008_1234,
            pstate: Pstate::new(pstate),
            sctlr_el1,
            vbar_el1: VBAR | 0x7ff,
        }
    }

    const WRITE_ABORT: Exception = Exception::DataAbort {
        va: Some(0x900_0018),
        direction: Direction::Write,
        cache_maintenance: CacheMaintenance::No,
    };

    #[test]
    fn the_vector_depends_on_where_the_guest_was() {
        for (mode, offset) in [(0x4, 0), (0x5, 0x200), (0x0, 0x400), (0x10, 0x600)] {
            let entry = Exception::Undefined.take(&guest(mode, SPAN));
            assert_eq!(entry.pc, VBAR + offset);
            assert_eq!(entry.elr_el1, 0x4008_1234);
        }
    }

    #[test]
    fn an_undefined_instruction_has_class_0_and_il() {
        let entry = Exception::Undefined.take(&guest(5, SPAN));
        assert_eq!(entry.esr_el1, 1 << 25);
        assert_eq!(entry.far_el1, None);
    }

    #[test]
    fn a1_external_abort_tells_level_direction_and_address() {
        let entry = WRITE_ABORT.take(&guest(5, SPAN));
        assert_eq!(entry.esr_el1, 0x25 << 26 | 1 << 25 | 1 << 6 | 0x10);
        assert_eq!(entry.far_el1, Some(0x900_0018));
        let entry = WRITE_ABORT.take(&guest(0, SPAN));
        assert_eq!(entry.esr_el1 >> 26, 0x24);
        let fetch = Exception::InstructionAbort {
            va: Some(0xdead_0000),
        };
        assert_eq!(
            fetch.take(&guest(5, SPAN)).esr_el1,
            0x21 << 26 | 1 << 25 | 0x10
        );
        assert_eq!(fetch.take(&guest(0x10, SPAN)).esr_el1 >> 26, 0x20);
    }

    #[test]
    fn an_abort_of_cache_maintenance_says_so() {
        let abort = Exception::DataAbort {
            va: Some(0x900_0018),
            direction: Direction::Write,
            cache_maintenance: CacheMaintenance::Yes,
        };
        let entry = abort.take(&guest(5, SPAN));
        assert_eq!(entry.esr_el1, 0x25 << 26 | 1 << 25 | 1 << 8 | 1 << 6 | 0x10);
    }

    #[test]
    fn an_unknown_address_is_marked() {
        let entry = Exception::InstructionAbort { va: None }.take(&guest(5, SPAN));
        assert_eq!(entry.esr_el1 & 1 << 10, 1 << 10);
        assert_eq!(entry.far_el1, None);
    }

    #[test]
    fn the_handler_runs_masked_at_el1h_with_flags_kept() {
        let from = Pstate::NZCV
            | Pstate::DIT
            | Pstate::TCO
            | Pstate::UAO
            | Pstate::SS
            | Pstate::IL
            | Pstate::SSBS
            | Pstate::BTYPE;
        let entry = Exception::Undefined.take(&guest(from, SPAN));
        let expected = Pstate::NZCV | Pstate::DIT | Pstate::TCO | Pstate::DAIF | Pstate::EL1H;
        assert_eq!(entry.pstate.get(), expected);
        assert_eq!(entry.spsr_el1, from & !Pstate::BTYPE);
        let fetch = Exception::InstructionAbort { va: None }.take(&guest(from, SPAN));
        assert_eq!(fetch.spsr_el1, from);
    }

    #[test]
    fn pan_is_set_unless_span_and_never_cleared() {
        let pan = |pstate, sctlr| {
            let entry = Exception::Undefined.take(&guest(pstate, sctlr));
            entry.pstate.get() & Pstate::PAN != 0
        };
        assert!(pan(5, 0));
        assert!(!pan(5, SPAN));
        assert!(pan(5 | Pstate::PAN, SPAN));
    }

    #[test]
    fn ssbs_and_allint_follow_the_control_register() {
        let entry = Exception::Undefined.take(&guest(5, SPAN | 1 << 44 | 1 << 61));
        assert_ne!(entry.pstate.get() & Pstate::SSBS, 0);
        assert_ne!(entry.pstate.get() & Pstate::ALLINT, 0);
        let entry = Exception::Undefined.take(&guest(5, SPAN | 1 << 61 | 1 << 62));
        assert_eq!(entry.pstate.get() & (Pstate::ALLINT | Pstate::SSBS), 0);
    }

    #[test]
    fn c4_aarch32_state_is_saved_whole_and_not_taken_over() {
        // Q, IT, J, GE, E, A, T and user mode all set.
        let from = 0xff2f_fff0 & !0xf;
        let entry = Exception::Undefined.take(&guest(from, SPAN));
        assert_eq!(entry.spsr_el1, from);
        let expected = Pstate::NZCV | Pstate::DIT | Pstate::DAIF | Pstate::EL1H;
        assert_eq!(entry.pstate.get(), expected);
    }

    #[test]
    fn a_vector_table_at_the_end_of_memory_wraps_quietly() {
        let mut context = guest(0x10, SPAN);
        context.vbar_el1 = u64::MAX;
        assert_eq!(Exception::Undefined.take(&context).pc, !0x7ff + 0x600);
    }
}
