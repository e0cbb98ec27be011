//! From the registers of HVC or SMC to a typed call.

use crate::arch::{self, Workaround};
use crate::function::{FunctionId, Owner};
use crate::psci::{self, PsciCall};
use crate::simple;
use crate::trng::TrngCall;
use crate::vendor::VendorCall;

/// A guest's call, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// SMCCC_VERSION; [`crate::simple_answer`] has the answer.
    Version,
    /// SMCCC_ARCH_FEATURES; [`crate::ArchTruth::features`] has the answer.
    ArchFeatures(FunctionId),
    /// SMCCC_ARCH_SOC_ID. Not offered: NOT_SUPPORTED.
    ArchSocId,
    /// A mitigation; [`crate::ArchTruth::call`] says what to do.
    Workaround(Workaround),
    /// Power control.
    Psci(PsciCall),
    /// Random numbers; [`crate::trng_answer`] has the answer.
    Trng(TrngCall),
    /// The Firmware Framework (DEN0077): functions 0x60 to 0xff of the standard range.
    FirmwareFramework(FunctionId),
    /// This hypervisor's own; [`crate::vendor_answer`] has the answer.
    Vendor(VendorCall),
    /// Anything else: NOT_SUPPORTED.
    Unknown(FunctionId),
}

/// Decodes a call with `immediate` in its instruction and x0 to x7 in `registers`. Total: what isn't
/// known, yielding calls, non-zero immediates and identifiers with reserved bits are
/// [`Call::Unknown`].
#[must_use]
pub fn dispatch(immediate: u16, registers: &[u64; 8]) -> Call {
    let [x0, x1, x2, x3, ..] = *registers;
    let function = FunctionId::from_register(x0);
    // Bits 23–16 of a fast call are reserved (DEN0028, 2.5).
    let reserved = function.get() & 0x00ff_0000 != 0;
    if immediate != 0 || !function.is_fast() || reserved {
        return Call::Unknown(function);
    }
    match function.owner() {
        Owner::Arch => arch_call(function, x1),
        Owner::Standard => standard_call(function, [x1, x2, x3]),
        Owner::VendorHypervisor => vendor_call(function),
        Owner::Cpu
        | Owner::Sip
        | Owner::Oem
        | Owner::StandardHypervisor
        | Owner::TrustedApplication
        | Owner::TrustedOs
        | Owner::Reserved(_) => Call::Unknown(function),
    }
}

/// Decodes an Arm architecture call.
fn arch_call(function: FunctionId, x1: u64) -> Call {
    if let Some(workaround) = Workaround::from_function(function) {
        return Call::Workaround(workaround);
    }
    match function.get() {
        simple::SMCCC_VERSION => Call::Version,
        arch::ARCH_FEATURES => Call::ArchFeatures(FunctionId::from_register(x1)),
        arch::ARCH_SOC_ID => Call::ArchSocId,
        _ => Call::Unknown(function),
    }
}

/// Decodes a standard secure service call.
fn standard_call(function: FunctionId, arguments: [u64; 3]) -> Call {
    let [x1, ..] = arguments;
    match function.number() {
        0x00..=0x1f => Call::Psci(psci::decode(function, arguments)),
        0x50..=0x5f => match TrngCall::decode(function, x1) {
            Some(call) => Call::Trng(call),
            None => Call::Unknown(function),
        },
        0x60..=0xff => Call::FirmwareFramework(function),
        _ => Call::Unknown(function),
    }
}

/// Decodes a vendor hypervisor call.
fn vendor_call(function: FunctionId) -> Call {
    match function.get() {
        0x8600_ff01 => Call::Vendor(VendorCall::Uid),
        0x8600_ff03 => Call::Vendor(VendorCall::Revision),
        _ => Call::Unknown(function),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::function::Convention;
    use crate::psci::{PowerLevel, PowerState, PsciFunction, psci_features};
    use crate::{Answer, PsciError};
    use addr::{Ipa, Mpidr};

    fn call(x0: u64, x1: u64, x2: u64, x3: u64) -> Call {
        dispatch(0, &[x0, x1, x2, x3, 4, 5, 6, 7])
    }

    #[test]
    fn every_function_of_every_range_decodes() {
        for top in 0..=0xff_u64 {
            for number in (0..0x200).chain(0xff00..0x1_0010) {
                let id = top << 24 | number;
                let decoded = call(id, u64::MAX, u64::MAX, u64::MAX);
                let known_owner = matches!(top, 0x80 | 0xc0 | 0x84 | 0xc4 | 0x86);
                if !known_owner || number > 0xffff {
                    assert!(matches!(decoded, Call::Unknown(_)), "{id:#x}");
                }
            }
        }
    }

    #[test]
    fn c6_an_immediate_makes_any_call_unknown() {
        for immediate in [1, 0x8000, u16::MAX] {
            let decoded = dispatch(immediate, &[0x8400_0000, 0, 0, 0, 0, 0, 0, 0]);
            assert_eq!(decoded, Call::Unknown(FunctionId::new(0x8400_0000)));
        }
    }

    #[test]
    fn c6_yielding_calls_and_reserved_bits_are_unknown() {
        for id in [0x0400_0000, 0x8401_0000, 0x8480_0000, 0x0000_0000] {
            assert!(matches!(call(id, 0, 0, 0), Call::Unknown(_)), "{id:#x}");
        }
    }

    #[test]
    fn c6_top_halves_of_32_bit_calls_are_ignored() {
        let dirty = 0xdead_beef_0000_0000;
        let on = call(
            0x8400_0003 | dirty,
            1 | dirty,
            0x4000_0000 | dirty,
            9 | dirty,
        );
        assert_eq!(
            on,
            Call::Psci(PsciCall::CpuOn {
                target: Mpidr::from_argument(1),
                entry: Ipa::new(0x4000_0000),
                context: 9,
                convention: Convention::Smc32,
            })
        );
        assert_eq!(call(0x8000_0000 | dirty, 0, 0, 0), Call::Version);
    }

    #[test]
    fn architecture_calls_are_told_apart() {
        assert_eq!(
            call(0x8000_0001, 0x8000_8000, 0, 0),
            Call::ArchFeatures(FunctionId::new(0x8000_8000))
        );
        assert_eq!(call(0x8000_0002, 0, 0, 0), Call::ArchSocId);
        assert_eq!(
            call(0x8000_3fff, 0, 0, 0),
            Call::Workaround(Workaround::Three)
        );
        assert!(matches!(call(0xc000_8000, 0, 0, 0), Call::Unknown(_)));
    }

    #[test]
    fn d1_cpu_on_hands_on_what_was_alleged() {
        let target_of = |x1| match call(0xc400_0003, x1, u64::MAX, u64::MAX) {
            Call::Psci(PsciCall::CpuOn { target, entry, .. }) => {
                assert_eq!(entry, Ipa::new(u64::MAX));
                target
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(target_of(0x101), Some(Mpidr::from_fields(0, 0, 1, 1)));
        assert_eq!(target_of(u64::MAX), None);
        assert_eq!(target_of(1 << 31), None);
        assert_eq!(target_of(1 << 24), None);
    }

    #[test]
    fn d5_suspend_with_reserved_bits_has_no_state() {
        let state_of = |x1| match call(0xc400_0001, x1, 0, 0) {
            Call::Psci(PsciCall::CpuSuspend { state, .. }) => state,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            state_of(0x0101_1234),
            Some(PowerState {
                level: PowerLevel::PowerDown,
                affinity_level: 1,
                id: 0x1234,
            })
        );
        assert_eq!(
            state_of(0).map(|state| state.level),
            Some(PowerLevel::Standby)
        );
        for bit in (17..24).chain(26..32) {
            assert_eq!(state_of(1 << bit), None, "{bit}");
        }
    }

    #[test]
    fn d6_affinity_info_keeps_a_level_beyond_the_last() {
        assert_eq!(
            call(0xc400_0004, 2, 0xffff_ffff_ffff_ffff, 0),
            Call::Psci(PsciCall::AffinityInfo {
                target: Mpidr::from_argument(2),
                level: u32::MAX,
            })
        );
    }

    #[test]
    fn system_calls_carry_their_arguments() {
        assert_eq!(call(0x8400_0008, 0, 0, 0), Call::Psci(PsciCall::SystemOff));
        assert_eq!(
            call(0x8400_0009, 0, 0, 0),
            Call::Psci(PsciCall::SystemReset)
        );
        assert_eq!(
            call(0xc400_0012, 0x8000_0001, 1 << 40, 0),
            Call::Psci(PsciCall::SystemReset2 {
                reset_type: 0x8000_0001,
                cookie: 1 << 40,
            })
        );
        assert_eq!(
            call(0xc400_000e, 0x4008_0000, 7, 0),
            Call::Psci(PsciCall::SystemSuspend {
                entry: Ipa::new(0x4008_0000),
                context: 7,
            })
        );
    }

    #[test]
    fn psci_functions_exist_only_in_the_forms_that_the_specification_has() {
        for id in [
            0xc400_0000,
            0xc400_0002,
            0xc400_0008,
            0x8400_0005,
            0x8400_0013,
        ] {
            let expected = PsciCall::Unimplemented(FunctionId::from_register(id));
            assert_eq!(call(id, 0, 0, 0), Call::Psci(expected));
        }
    }

    #[test]
    fn psci_features_offer_what_the_role_offers() {
        let ask = |id, offered: &[PsciFunction]| {
            psci_features(FunctionId::new(id), |function| offered.contains(&function))
        };
        let all = &PsciFunction::ALL;
        assert_eq!(ask(0xc400_0003, all), Answer::SUCCESS);
        assert_eq!(ask(0xc400_000e, &[]), Answer::NOT_SUPPORTED);
        assert_eq!(ask(0x8000_0000, &[]), Answer::SUCCESS);
        assert_eq!(ask(0x8400_0005, all), Answer::NOT_SUPPORTED);
    }

    #[test]
    fn psci_errors_have_the_codes_of_the_specification() {
        for (error, code) in PsciError::ALL.into_iter().zip(1..) {
            assert_eq!(error.code(), -code);
            assert_eq!(Answer::from(error).x0(), (-code).cast_unsigned());
        }
    }

    #[test]
    fn trng_framework_and_vendor_calls_are_told_apart() {
        assert_eq!(
            call(0x8400_0053, 0xffff_ffff_0000_0060, 0, 0),
            Call::Trng(TrngCall::Random {
                bits: 0x60,
                convention: Convention::Smc32,
            })
        );
        assert!(matches!(call(0x8400_0055, 0, 0, 0), Call::Unknown(_)));
        assert!(matches!(
            call(0x8400_0063, 0, 0, 0),
            Call::FirmwareFramework(_)
        ));
        assert_eq!(call(0x8600_ff01, 0, 0, 0), Call::Vendor(VendorCall::Uid));
        assert!(matches!(call(0x8600_ff00, 0, 0, 0), Call::Unknown(_)));
        assert!(matches!(call(0xc600_ff01, 0, 0, 0), Call::Unknown(_)));
    }
}
