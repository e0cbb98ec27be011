//! A vCPU: what is moved to the CPU that runs it.

use crate::vm::Vm;
use addr::{Mpidr, VcpuId};
use alloc::boxed::Box;
use alloc::sync::Arc;
use bulkhead_core::reset;
use id_registers::DebugState;
use machine::{Frame, VcpuRegisters};
use vgic::{Level, VcpuInterrupts};
use vtimer::{TimerKind, Timers};

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
#[repr(C)]
pub(crate) struct Vcpu {
    /// What a switch moves comes first, where its offsets fit instructions that move two.
    pub(crate) registers: VcpuRegisters,
    /// The registers that every exit saves. While the vCPU is on a CPU, they are in the CPU's frame,
    /// and this one is of no meaning.
    pub(crate) frame: Box<Frame>,
    pub(crate) id: VcpuId,
    pub(crate) vm: Arc<Vm>,
    pub(crate) interrupts: VcpuInterrupts,
    pub(crate) timers: Timers,
    pub(crate) debug: DebugState,
    pub(crate) fp: Fp,
}

impl Vcpu {
    /// Makes a vCPU that is off.
    pub(crate) fn new(id: VcpuId, vm: Arc<Vm>) -> Self {
        Self {
            registers: VcpuRegisters::default(),
            frame: Box::default(),
            id,
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

    /// Brings the line of the emulated physical timer up to date; `now` is the physical counter.
    pub(crate) fn update_physical_timer(&mut self, now: u64) {
        let level = if self.timers.is_asserted(TimerKind::Physical, now) {
            Level::High
        } else {
            Level::Low
        };
        self.interrupts
            .set_ppi_line(guest_dtb::PHYSICAL_TIMER, level);
    }

    /// Puts the registers into the state in which PSCI promises a core to its entry point
    /// (DEN0022, 6.4.3), with `context` in x0.
    pub(crate) fn start_at(&mut self, entry: u64, context: u64) {
        self.registers = VcpuRegisters::default();
        *self.frame = Frame::default();
        self.frame.pc = entry;
        self.frame.pstate = reset::PSTATE;
        if let Some(x0) = self.frame.x.first_mut() {
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
