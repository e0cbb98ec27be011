//! A vCPU: what is moved to the CPU that runs it.

use crate::vm::Vm;
use addr::{Mpidr, VcpuId};
use alloc::sync::Arc;
use bulkhead_core::reset;
use id_registers::DebugState;
use machine::VcpuRegisters;
use vgic::VcpuInterrupts;
use vtimer::Timers;

/// Whether the FP/SIMD registers of the CPU hold the vCPU's values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fp {
    /// They are in memory; the first use is trapped.
    #[default]
    Saved,
    /// They are in the CPU.
    Loaded,
}

/// A vCPU.
pub(crate) struct Vcpu {
    pub(crate) id: VcpuId,
    pub(crate) vm: Arc<Vm>,
    pub(crate) registers: VcpuRegisters,
    pub(crate) interrupts: VcpuInterrupts,
    pub(crate) timers: Timers,
    pub(crate) debug: DebugState,
    pub(crate) fp: Fp,
}

impl Vcpu {
    /// Makes a vCPU that is off.
    pub(crate) fn new(id: VcpuId, vm: Arc<Vm>) -> Self {
        Self {
            id,
            registers: VcpuRegisters::default(),
            interrupts: VcpuInterrupts::new(id.index),
            timers: Timers::new(vm.counter_offset(), vm.counter_offset()),
            debug: DebugState::RESET,
            fp: Fp::Saved,
            vm,
        }
    }

    /// Returns the vCPU's affinity.
    pub(crate) fn affinity(&self) -> Mpidr {
        Mpidr::of_vcpu(self.id.index)
    }

    /// Puts the registers into the state in which PSCI promises a core to its entry point
    /// (DEN0022, 6.4.3), with `context` in x0.
    pub(crate) fn start_at(&mut self, entry: u64, context: u64) {
        self.registers = VcpuRegisters::default();
        self.registers.frame.pc = entry;
        self.registers.frame.pstate = reset::PSTATE;
        if let Some(x0) = self.registers.frame.x.first_mut() {
            *x0 = context;
        }
        self.registers.el1.sctlr_el1 = reset::SCTLR_EL1;
        self.debug = DebugState::RESET;
        // The offset is the VM's: all its vCPUs see one counter.
        self.timers = Timers::new(self.vm.counter_offset(), self.vm.counter_offset());
        self.interrupts.reset_interface();
        self.fp = Fp::Saved;
    }
}
