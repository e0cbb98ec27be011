//! Hypercalls.

use crate::cpu::Cpu;
use machine::{Conduit, Frame, Hardware, Random};
use smccc_dispatch::{
    Answer, ArchTruth, Call, Entropy, Mitigation, SmcccError, TrngCall, dispatch, simple_answer,
    trng_answer, vendor_answer,
};

/// What is true of the machine's CPUs, for SMCCC_ARCH_FEATURES. EL2 does nothing for a guest's
/// mitigations, so none is offered: a guest then relies on its own, and on the ID registers.
const TRUTH: ArchTruth = ArchTruth {
    workaround_1: Mitigation::Unknown,
    workaround_2: Mitigation::Unknown,
    workaround_3: Mitigation::Unknown,
    workaround_4: Mitigation::Unknown,
};

impl Cpu {
    /// Answers a hypercall. HVC and SMC are the same to a guest; nothing reaches the firmware.
    #[inline]
    pub(crate) fn hypercall<H: Hardware>(
        &mut self,
        hw: &mut H,
        frame: &mut Frame,
        conduit: Conduit,
    ) {
        let immediate = match conduit {
            Conduit::Hvc { immediate } | Conduit::Smc { immediate } => immediate,
        };
        let mut arguments = [0; 8];
        for (argument, register) in arguments.iter_mut().zip(&frame.x) {
            *argument = *register;
        }
        let answer = match dispatch(immediate, &arguments) {
            // With a non-zero immediate no call is a version query, so this one has immediate 0.
            Call::Version => Answer::One(simple_answer(frame.operand(0)).unwrap_or(u64::MAX)),
            Call::ArchFeatures(function) => TRUTH.features(function),
            Call::Workaround(workaround) => match TRUTH.call(workaround) {
                Ok(_) => Answer::SUCCESS,
                Err(error) => Answer::One(error.code().cast_unsigned()),
            },
            Call::Psci(call) => match self.power(hw, call) {
                Some(answer) => answer,
                // The call does not return, or returns when all registers are saved.
                None => return,
            },
            Call::Trng(call) => self.random_numbers(hw, call),
            Call::Vendor(call) => vendor_answer(call),
            Call::ArchSocId | Call::FirmwareFramework(_) | Call::Unknown(_) => {
                Answer::One(SmcccError::NotSupported.code().cast_unsigned())
            }
        };
        answer.write_to(&mut frame.x);
    }

    /// Answers a call for random numbers: from the CPU's own source, else from the generator that the
    /// firmware's seed started, else not at all.
    fn random_numbers<H: Hardware>(&mut self, hw: &mut H, call: TrngCall) -> Answer {
        if hw.random() == Random::Absent {
            return trng_answer(call, self.hypervisor.random.lock().as_mut());
        }
        trng_answer(call, Some(&mut FromCpu(hw)))
    }
}

/// The CPU's source, as the calls' answers take it.
struct FromCpu<'a, H>(&'a mut H);

impl<H: Hardware> Entropy for FromCpu<'_, H> {
    fn random(&mut self) -> Option<u64> {
        // The source may be busy for a moment; more tries than this are the guest's business.
        (0..4).find_map(|_| match self.0.random() {
            Random::Bits(bits) => Some(bits),
            Random::Exhausted | Random::Absent => None,
        })
    }
}
