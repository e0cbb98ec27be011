//! The registers of a vCPU as plain data: what a reset sets, a switch moves, a post-mortem prints
//! and a snapshot saves.

/// The general-purpose part that every exit saves at once.
///
/// The exit path saves x0–x18, x29 and x30 here; x19–x28 hold the guest's values only after a full
/// save (a data abort, a register trap, or a switch of vCPUs).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(16))]
pub struct Frame {
    /// x0 to x30.
    pub x: [u64; 31],
    /// Where the guest goes on (ELR_EL2).
    pub pc: u64,
    /// The guest's PSTATE (SPSR_EL2).
    pub pstate: u64,
    /// Fills the frame to a multiple of 16 bytes; always 0.
    pub reserved: u64,
}

impl Frame {
    /// Reads register `index` as an instruction's operand: 31 is XZR and reads 0.
    #[inline]
    #[must_use]
    pub fn operand(&self, index: u8) -> u64 {
        self.x.get(usize::from(index)).copied().unwrap_or(0)
    }

    /// Writes register `index` as an instruction's operand: 31 is XZR and is ignored.
    #[inline]
    pub fn set_operand(&mut self, index: u8, value: u64) {
        if let Some(register) = self.x.get_mut(usize::from(index)) {
            *register = value;
        }
    }
}

/// The EL1 and EL0 system registers that belong to a vCPU and move at a switch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(16))]
#[expect(
    missing_docs,
    reason = "each field is the register of that name, *_EL1 or *_EL0"
)]
pub struct El1Registers {
    pub sp_el0: u64,
    pub sp_el1: u64,
    pub elr_el1: u64,
    pub spsr_el1: u64,
    pub sctlr_el1: u64,
    pub cpacr_el1: u64,
    pub ttbr0_el1: u64,
    pub ttbr1_el1: u64,
    pub tcr_el1: u64,
    pub esr_el1: u64,
    pub far_el1: u64,
    pub afsr0_el1: u64,
    pub afsr1_el1: u64,
    pub mair_el1: u64,
    pub amair_el1: u64,
    pub vbar_el1: u64,
    pub contextidr_el1: u64,
    pub tpidr_el0: u64,
    pub tpidrro_el0: u64,
    pub tpidr_el1: u64,
    pub par_el1: u64,
    pub csselr_el1: u64,
    pub cntkctl_el1: u64,
    pub mdscr_el1: u64,
    /// The ten halves of the pointer authentication keys: IA, IB, DA, DB, GA, each low then high.
    pub pac_keys: [u64; 10],
}

/// The FP/SIMD registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(16))]
pub struct FpRegisters {
    /// q0 to q31.
    pub q: [u128; 32],
    /// FPCR.
    pub fpcr: u64,
    /// FPSR.
    pub fpsr: u64,
}

/// The registers of a vCPU that only a switch moves; its [`Frame`] stands beside them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(16))]
pub struct VcpuRegisters {
    /// System registers.
    pub el1: El1Registers,
    /// FP/SIMD registers.
    pub fp: FpRegisters,
}
