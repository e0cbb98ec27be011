//! Synchronous exits other than calls.

use crate::cpu::{Cpu, Intent};
use addr::Ipa;
use machine::{ExceptionRecord, Frame, Hardware, Syndrome};
use stage2::Access;
use trap::{
    DataAbort, Direction, Esr, Exception, Exit, ExitRegisters, FaultStatus, GuestContext,
    InstructionAbort, InstructionLength, Pstate, Stage1Walk, WaitKind, advance, decode,
};

/// Whether an exit could be answered as the architecture says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// It was.
    Done,
    /// The guest takes an exception for it, but its handler is no memory: it would take the same one
    /// for ever.
    Impossible {
        /// The handler's address.
        vector: u64,
    },
}

/// What stage 2 refused.
struct Refusal {
    ipa: Option<Ipa>,
    stage1_walk: Stage1Walk,
    fault: FaultStatus,
}

impl Cpu {
    /// Handles an exit.
    pub(crate) fn exception<H: Hardware>(
        &mut self,
        hw: &mut H,
        frame: &mut Frame,
        syndrome: &Syndrome,
    ) -> Delivery {
        let esr = Esr::new(syndrome.esr);
        let registers = ExitRegisters {
            esr,
            far: syndrome.far,
            hpfar: syndrome.hpfar,
        };
        match decode(&registers) {
            Exit::DataAbort(abort) => self.data_abort(hw, frame, &abort, esr.instruction_length()),
            Exit::SystemRegister(access) => {
                self.system_register(hw, frame, access);
                Delivery::Done
            }
            Exit::FloatingPoint => {
                self.load_fp(hw);
                Delivery::Done
            }
            Exit::Wait(wait) => {
                step_over(frame, esr.instruction_length());
                self.wait(wait.kind);
                Delivery::Done
            }
            Exit::InstructionAbort(abort) => self.instruction_abort(hw, frame, &abort),
            // The vectors take these apart before.
            Exit::Hvc { .. } | Exit::Smc { .. } => Delivery::Done,
            Exit::SError => {
                self.intent = Intent::Crash(crate::stop::Cause::SystemError {
                    syndrome: syndrome.esr,
                });
                Delivery::Done
            }
            // None of these is asked for but to hide a feature: the guest finds it UNDEFINED.
            Exit::Aarch32Coprocessor(_)
            | Exit::IllegalState
            | Exit::UndefinedFeature(_)
            | Exit::Debug(_)
            | Exit::Unknown { .. } => {
                inject(hw, frame, Exception::Undefined);
                Delivery::Done
            }
        }
    }

    fn wait(&mut self, kind: WaitKind) {
        // With a time-out the guest looks at its clock when it goes on, so coming back early is
        // within the architecture.
        self.intent = match kind {
            WaitKind::Wfi => Intent::Sleep,
            WaitKind::Wfe | WaitKind::Wfit | WaitKind::Wfet => Intent::Yield,
        };
    }

    fn data_abort<H: Hardware>(
        &mut self,
        hw: &mut H,
        frame: &mut Frame,
        abort: &DataAbort,
        length: InstructionLength,
    ) -> Delivery {
        if let (Some(access), Some(ipa)) = (abort.mmio, abort.ipa)
            && let Some(outcome) = self.device_access(hw, frame, ipa, access)
        {
            if outcome == crate::mmio::Outcome::Complete {
                step_over(frame, length);
            }
            return Delivery::Done;
        }
        let refusal = Refusal {
            ipa: abort.ipa,
            stage1_walk: abort.stage1_walk,
            fault: abort.fault,
        };
        let access = match abort.direction {
            Direction::Read => Access::Read,
            Direction::Write => Access::Write,
        };
        if self.is_mapped_by_now(hw, &refusal, access) {
            return Delivery::Done;
        }
        inject(hw, frame, Exception::for_data_abort(abort));
        Delivery::Done
    }

    /// Tells whether stage 2 permits the access that it has just refused: while a block is split its
    /// whole range is absent for a moment, and the guest then tries again.
    fn is_mapped_by_now<H: Hardware>(&self, hw: &H, refusal: &Refusal, access: Access) -> bool {
        let (Some(vcpu), Some(ipa), Stage1Walk::No, true) = (
            &self.current,
            refusal.ipa,
            refusal.stage1_walk,
            refusal.fault.is_stage2_refusal(),
        ) else {
            return false;
        };
        let tree = vcpu.vm.stage2.lock();
        tree.translate(hw, ipa)
            .is_some_and(|translation| translation.permits(access))
    }

    fn instruction_abort<H: Hardware>(
        &mut self,
        hw: &mut H,
        frame: &mut Frame,
        abort: &InstructionAbort,
    ) -> Delivery {
        let refusal = Refusal {
            ipa: abort.ipa,
            stage1_walk: abort.stage1_walk,
            fault: abort.fault,
        };
        if self.is_mapped_by_now(hw, &refusal, Access::Execute) {
            return Delivery::Done;
        }
        let exception = Exception::for_instruction_abort(abort);
        let entry = exception.take(&context(hw, frame));
        if frame.pc == entry.pc {
            // The fetch that failed was the handler's own first instruction.
            return Delivery::Impossible { vector: entry.pc };
        }
        inject(hw, frame, exception);
        Delivery::Done
    }
}

fn context<H: Hardware>(hw: &H, frame: &Frame) -> GuestContext {
    let registers = hw.exception_context();
    GuestContext {
        pc: frame.pc,
        pstate: Pstate::new(frame.pstate),
        sctlr_el1: registers.sctlr_el1,
        vbar_el1: registers.vbar_el1,
    }
}

/// Gives the loaded vCPU an exception.
pub(crate) fn inject<H: Hardware>(hw: &mut H, frame: &mut Frame, exception: Exception) {
    let entry = exception.take(&context(hw, frame));
    hw.record_exception(&ExceptionRecord {
        elr_el1: entry.elr_el1,
        spsr_el1: entry.spsr_el1,
        esr_el1: entry.esr_el1,
        far_el1: entry.far_el1,
    });
    frame.pc = entry.pc;
    frame.pstate = entry.pstate.get();
}

/// Moves the guest behind the instruction that was emulated.
pub(crate) fn step_over(frame: &mut Frame, length: InstructionLength) {
    let advanced = advance(frame.pc, Pstate::new(frame.pstate), length);
    frame.pc = advanced.pc;
    frame.pstate = advanced.pstate.get();
}
