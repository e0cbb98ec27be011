//! Power control: PSCI (DEN0022) for a VM's vCPUs.

use crate::cpu::{Cpu, Intent};
use crate::stop::{Cause, PanicSign};
use addr::{Address, Ipa, Mpidr};
use bulkhead_core::vcpu_state::{VcpuEdge, VcpuState};
use bulkhead_core::vm_state::{VmEdge, VmState};
use core::sync::atomic::Ordering;
use machine::Hardware;
use manifest::WarmReset;
use smccc_dispatch::{
    AffinityState, Answer, Convention, PowerLevel, PsciCall, PsciError, PsciFunction,
    psci_features, simple_answer,
};

impl Cpu {
    /// Answers a call; `None` if it returns later or never.
    pub(crate) fn power<H: Hardware>(&mut self, hw: &mut H, call: PsciCall) -> Option<Answer> {
        match call {
            PsciCall::Version => Some(Answer::One(simple_answer(0x8400_0000).unwrap_or(0))),
            PsciCall::MigrateInfoType => Some(Answer::One(simple_answer(0x8400_0006).unwrap_or(0))),
            PsciCall::Features(function) => Some(psci_features(function, is_offered)),
            PsciCall::CpuOn {
                target,
                entry,
                context,
                convention,
            } => Some(match self.cpu_on(hw, target, entry, context, convention) {
                Ok(()) => Answer::SUCCESS,
                Err(error) => error.into(),
            }),
            PsciCall::AffinityInfo { target, level } => {
                Some(match self.affinity_info(target, level) {
                    Ok(state) => state.into(),
                    Err(error) => error.into(),
                })
            }
            PsciCall::CpuOff => self.later(Intent::SwitchOff),
            PsciCall::CpuSuspend {
                state,
                entry,
                context,
            } => match state.map(|s| s.level) {
                None => Some(PsciError::InvalidParameters.into()),
                Some(PowerLevel::Standby) => {
                    // The call returns with success once the vCPU wakes.
                    self.intent = Intent::Sleep;
                    Some(Answer::SUCCESS)
                }
                Some(PowerLevel::PowerDown) => self.suspend_to(entry, context),
            },
            PsciCall::SystemSuspend { entry, context } => {
                if self.others_are_on() {
                    return Some(PsciError::Denied.into());
                }
                self.suspend_to(entry, context)
            }
            PsciCall::SystemOff => self.later(Intent::EndVm(VmEdge::PowerOff)),
            PsciCall::SystemReset => self.later(Intent::EndVm(VmEdge::Reset)),
            PsciCall::SystemReset2 { reset_type, .. } => {
                // 0 is SYSTEM_WARM_RESET; the vendor's own start at bit 31, and there are none.
                if reset_type == 0 {
                    self.warm_reset()
                } else if reset_type >> 31 == 0 {
                    Some(PsciError::InvalidParameters.into())
                } else {
                    Some(PsciError::NotSupported.into())
                }
            }
            PsciCall::Unimplemented(_) => Some(PsciError::NotSupported.into()),
        }
    }

    fn later<T>(&mut self, intent: Intent) -> Option<T> {
        self.intent = intent;
        None
    }

    /// Resets the VM, or stops it if its description says that only a panic ends so.
    fn warm_reset(&mut self) -> Option<Answer> {
        let meaning = self.current.as_ref().map(|vcpu| vcpu.vm.warm_reset);
        self.later(match meaning {
            Some(WarmReset::Crash) => Intent::Crash(Cause::Panic {
                sign: PanicSign::WarmReset,
            }),
            Some(WarmReset::Reset) | None => Intent::EndVm(VmEdge::Reset),
        })
    }

    fn suspend_to(&mut self, entry: Ipa, context: u64) -> Option<Answer> {
        match self.check_entry(entry, Convention::Smc64) {
            Ok(()) => self.later(Intent::Suspend {
                entry: entry.get(),
                context,
            }),
            Err(error) => Some(error.into()),
        }
    }

    fn others_are_on(&self) -> bool {
        self.current
            .as_ref()
            .is_some_and(|vcpu| vcpu.vm.alive.load(Ordering::SeqCst) > 1)
    }

    /// Checks that an entry point is an instruction's address in the VM's memory.
    fn check_entry(&self, entry: Ipa, convention: Convention) -> Result<(), PsciError> {
        // A 32-bit caller could ask for T32 with bit 0; guests start in AArch64 state only.
        let _ = convention;
        let vcpu = self.current.as_ref().ok_or(PsciError::InternalFailure)?;
        if !entry.is_aligned(4) || vcpu.vm.translate(entry).is_none() {
            return Err(PsciError::InvalidAddress);
        }
        Ok(())
    }

    fn cpu_on<H: Hardware>(
        &mut self,
        hw: &mut H,
        target: Option<Mpidr>,
        entry: Ipa,
        context: u64,
        convention: Convention,
    ) -> Result<(), PsciError> {
        let index = target
            .and_then(Mpidr::vcpu)
            .ok_or(PsciError::InvalidParameters)?;
        let vcpu = self.current.as_ref().ok_or(PsciError::InternalFailure)?;
        let vm = vcpu.vm.clone();
        let place = vm.place(index).ok_or(PsciError::InvalidParameters)?;
        self.check_entry(entry, convention)?;
        if let Err(error) = place.life.take(VcpuEdge::PowerOn) {
            return Err(match error {
                bulkhead_core::life_cycle::NotTaken::Elsewhere {
                    seen: VcpuState::Starting,
                } => PsciError::OnPending,
                bulkhead_core::life_cycle::NotTaken::Elsewhere { .. } => PsciError::AlreadyOn,
                bulkhead_core::life_cycle::NotTaken::Corrupt { .. } => PsciError::InternalFailure,
            });
        }
        vm.alive.fetch_add(1, Ordering::SeqCst);
        if let Some(started) = place.vcpu.lock().as_mut() {
            started.start_at(entry.get(), context);
        }
        let effects = vm
            .gic
            .lock()
            .distributor
            .set_participation(index, vgic::Participation::Yes);
        if place.life.take(VcpuEdge::Prepared).is_err() {
            return Err(PsciError::InternalFailure);
        }
        self.hypervisor.enqueue(hw, &vm, index);
        self.hypervisor.apply(hw, &vm, &effects);
        if !vm.life.is(VmState::Running) {
            // The VM began to end meanwhile: the new vCPU must end too.
            self.hypervisor
                .reach(hw, &vm, index, bulkhead_core::Post::Stop);
        }
        Ok(())
    }

    fn affinity_info(&self, target: Option<Mpidr>, level: u32) -> Result<AffinityState, PsciError> {
        if level != 0 {
            return Err(PsciError::InvalidParameters);
        }
        let index = target
            .and_then(Mpidr::vcpu)
            .ok_or(PsciError::InvalidParameters)?;
        let vcpu = self.current.as_ref().ok_or(PsciError::InternalFailure)?;
        let place = vcpu.vm.place(index).ok_or(PsciError::InvalidParameters)?;
        match place.life.state() {
            Ok(VcpuState::Off) => Ok(AffinityState::Off),
            Ok(VcpuState::Starting) => Ok(AffinityState::OnPending),
            Ok(VcpuState::Ready | VcpuState::Running | VcpuState::Waiting) => Ok(AffinityState::On),
            Err(_) => Err(PsciError::InternalFailure),
        }
    }
}

/// Tells which functions exist, for PSCI_FEATURES.
fn is_offered(function: PsciFunction) -> bool {
    match function {
        PsciFunction::Version
        | PsciFunction::CpuSuspend
        | PsciFunction::CpuOff
        | PsciFunction::CpuOn
        | PsciFunction::AffinityInfo
        | PsciFunction::MigrateInfoType
        | PsciFunction::SystemOff
        | PsciFunction::SystemReset
        | PsciFunction::Features
        | PsciFunction::SystemSuspend
        | PsciFunction::SystemReset2 => true,
    }
}
