//! The registers and timers of the loaded vCPU.

use crate::{Call, FakeMachine};
use machine::{
    El1Registers, ExceptionContext, ExceptionRecord, FpRegisters, PhysicalTimer, TimerHardware,
    TimerRegisters, WaitTrap, World, WorldControl,
};

/// The registers of the loaded vCPU.
#[derive(Clone, Debug, Default)]
pub struct FakeWorld {
    /// The EL1 and EL0 system registers.
    pub el1: El1Registers,
    /// The FP/SIMD registers.
    pub fp: FpRegisters,
    /// What was entered last.
    pub control: Option<WorldControl>,
}

/// The timers of the loaded vCPU.
#[derive(Clone, Copy, Debug)]
pub struct FakeTimers {
    /// How guests reach their physical timer.
    pub physical_timer: PhysicalTimer,
    /// The registers.
    pub registers: TimerRegisters,
}

impl Default for FakeTimers {
    fn default() -> Self {
        Self {
            physical_timer: PhysicalTimer::Trapped,
            registers: TimerRegisters::default(),
        }
    }
}

impl World for FakeMachine {
    fn exception_context(&self) -> ExceptionContext {
        ExceptionContext {
            sctlr_el1: self.world.el1.sctlr_el1,
            vbar_el1: self.world.el1.vbar_el1,
        }
    }

    fn record_exception(&mut self, record: &ExceptionRecord) {
        self.calls.push(Call::RecordException(*record));
        let el1 = &mut self.world.el1;
        el1.elr_el1 = record.elr_el1;
        el1.spsr_el1 = record.spsr_el1;
        el1.esr_el1 = record.esr_el1;
        if let Some(far) = record.far_el1 {
            el1.far_el1 = far;
        }
    }

    fn set_monitor_control(&mut self, value: u64) {
        self.calls.push(Call::SetMonitorControl(value));
        self.world.el1.mdscr_el1 = value;
    }

    fn save_el1(&mut self, registers: &mut El1Registers) {
        self.calls.push(Call::SaveEl1);
        *registers = self.world.el1;
    }

    fn load_el1(&mut self, registers: &El1Registers) {
        self.calls.push(Call::LoadEl1);
        self.world.el1 = *registers;
    }

    fn enter(&mut self, control: &WorldControl) {
        self.calls.push(Call::Enter(*control));
        self.world.control = Some(*control);
    }

    fn set_wait_trap(&mut self, wfi: WaitTrap) {
        self.calls.push(Call::SetWaitTrap(wfi));
        if let Some(control) = &mut self.world.control {
            control.wfi = wfi;
        }
    }

    fn load_fp(&mut self, registers: &FpRegisters) {
        self.calls.push(Call::LoadFp);
        self.world.fp = *registers;
    }

    fn save_fp(&mut self, registers: &mut FpRegisters) {
        self.calls.push(Call::SaveFp);
        *registers = self.world.fp;
    }
}

impl TimerHardware for FakeMachine {
    fn physical_timer(&self) -> PhysicalTimer {
        self.timers.physical_timer
    }

    fn save_timers(&mut self) -> TimerRegisters {
        self.calls.push(Call::SaveTimers);
        let registers = self.timers.registers;
        self.timers.registers.cntv_ctl = 0;
        self.timers.registers.cntp_ctl = 0;
        registers
    }

    fn load_timers(&mut self, registers: &TimerRegisters) {
        self.calls.push(Call::LoadTimers(*registers));
        self.timers.registers = *registers;
    }
}
