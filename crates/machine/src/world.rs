//! The switch from one vCPU's registers to another's.

use crate::{El1Registers, FpRegisters};
use addr::{Mpidr, Pa};

/// What EL2's control registers say while a vCPU runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorldControl {
    /// The root of the VM's stage 2 tables, first of a concatenated root.
    pub stage2_root: Pa,
    /// The VMID for VTTBR_EL2.
    pub vmid: u16,
    /// VTCR_EL2.
    pub vtcr: u64,
    /// The vCPU's affinity, for VMPIDR_EL2.
    pub affinity: Mpidr,
    /// What the guest's virtual counter lags behind the physical one, in ticks (CNTVOFF_EL2).
    pub counter_offset: u64,
    /// Whether WFI comes back to the hypervisor.
    pub wfi: WaitTrap,
    /// Whether another vCPU of the same VM has used this CPU since this one did: then this CPU's
    /// TLB entries of the VM are dropped, as each vCPU has its own set in the guest's eyes.
    pub tlb: LocalTlb,
}

/// What WFI does in a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitTrap {
    /// The vCPU is alone on its CPU: WFI sleeps in the guest.
    Native,
    /// WFI exits, so that another vCPU can run.
    Trapped,
}

/// What happens to this CPU's TLB entries of the VM that is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalTlb {
    /// They are this vCPU's own.
    Keep,
    /// They are another vCPU's.
    Drop,
}

/// What decides how the loaded vCPU takes an exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExceptionContext {
    /// SCTLR_EL1.
    pub sctlr_el1: u64,
    /// VBAR_EL1.
    pub vbar_el1: u64,
}

/// What the loaded vCPU finds in its exception registers after it has taken an exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExceptionRecord {
    /// ELR_EL1.
    pub elr_el1: u64,
    /// SPSR_EL1.
    pub spsr_el1: u64,
    /// ESR_EL1.
    pub esr_el1: u64,
    /// FAR_EL1; `None` leaves it.
    pub far_el1: Option<u64>,
}

/// The registers of the vCPU that is loaded on the CPU that runs the call.
pub trait World {
    /// Reads what decides how the vCPU takes an exception.
    fn exception_context(&self) -> ExceptionContext;

    /// Writes what the vCPU finds after an exception; the caller changes PC and PSTATE.
    fn record_exception(&mut self, record: &ExceptionRecord);

    /// Writes MDSCR_EL1.
    fn set_monitor_control(&mut self, value: u64);

    /// Saves the EL1 and EL0 system registers.
    fn save_el1(&mut self, registers: &mut El1Registers);

    /// Loads the EL1 and EL0 system registers.
    fn load_el1(&mut self, registers: &El1Registers);

    /// Sets EL2's control registers for a vCPU, with FP/SIMD trapped.
    fn enter(&mut self, control: &WorldControl);

    /// Changes whether WFI of the loaded vCPU exits.
    fn set_wait_trap(&mut self, wfi: WaitTrap);

    /// Lets the loaded vCPU use FP/SIMD and puts its values into the registers.
    fn load_fp(&mut self, registers: &FpRegisters);

    /// Saves FP/SIMD and traps it again.
    fn save_fp(&mut self, registers: &mut FpRegisters);
}
