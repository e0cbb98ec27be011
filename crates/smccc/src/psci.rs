//! Power State Coordination Interface, version 1.1 (DEN0022).

use crate::answer::Answer;
use crate::function::{Convention, FunctionId};
use crate::simple;
use addr::{Ipa, Mpidr};
use core::fmt;

/// A PSCI call with its arguments. Addresses, affinities and states are allegations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PsciCall {
    /// PSCI_VERSION.
    Version,
    /// PSCI_FEATURES; answered by [`psci_features`].
    Features(FunctionId),
    /// CPU_ON.
    CpuOn {
        /// Which vCPU; `None` if bits that aren't affinity are set: INVALID_PARAMETERS.
        target: Option<Mpidr>,
        /// Where it starts. Misaligned or outside memory: INVALID_ADDRESS.
        entry: Ipa,
        /// Its x0.
        context: u64,
        /// The convention of the call.
        convention: Convention,
    },
    /// CPU_OFF.
    CpuOff,
    /// CPU_SUSPEND.
    CpuSuspend {
        /// Which state; `None` if reserved bits are set: INVALID_PARAMETERS.
        state: Option<PowerState>,
        /// Where a power-down state resumes.
        entry: Ipa,
        /// x0 after a power-down state.
        context: u64,
    },
    /// AFFINITY_INFO.
    AffinityInfo {
        /// Which vCPU; `None` if bits that aren't affinity are set: INVALID_PARAMETERS.
        target: Option<Mpidr>,
        /// The lowest affinity level; above 0 a 1.x implementation may say INVALID_PARAMETERS.
        level: u32,
    },
    /// MIGRATE_INFO_TYPE.
    MigrateInfoType,
    /// SYSTEM_OFF.
    SystemOff,
    /// SYSTEM_RESET.
    SystemReset,
    /// SYSTEM_RESET2.
    SystemReset2 {
        /// 0 is a warm reset; bit 31 marks the vendor's own.
        reset_type: u32,
        /// What the reset type makes of it.
        cookie: u64,
    },
    /// SYSTEM_SUSPEND.
    SystemSuspend {
        /// Where the vCPU resumes.
        entry: Ipa,
        /// Its x0.
        context: u64,
    },
    /// A function that PSCI defines and this crate doesn't decode: NOT_SUPPORTED.
    Unimplemented(FunctionId),
}

/// A PSCI function that can be offered, without arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each variant is the function of that name")]
pub enum PsciFunction {
    Version,
    CpuSuspend,
    CpuOff,
    CpuOn,
    AffinityInfo,
    MigrateInfoType,
    SystemOff,
    SystemReset,
    Features,
    SystemSuspend,
    SystemReset2,
}

impl PsciFunction {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Version,
        Self::CpuSuspend,
        Self::CpuOff,
        Self::CpuOn,
        Self::AffinityInfo,
        Self::MigrateInfoType,
        Self::SystemOff,
        Self::SystemReset,
        Self::Features,
        Self::SystemSuspend,
        Self::SystemReset2,
    ];

    /// Finds the function of an identifier. Those without addresses exist in the 32-bit convention
    /// only (DEN0022, table 6).
    #[must_use]
    pub const fn from_id(function: FunctionId) -> Option<Self> {
        match function.get() {
            simple::PSCI_VERSION => Some(Self::Version),
            0x8400_0001 | 0xc400_0001 => Some(Self::CpuSuspend),
            0x8400_0002 => Some(Self::CpuOff),
            0x8400_0003 | 0xc400_0003 => Some(Self::CpuOn),
            0x8400_0004 | 0xc400_0004 => Some(Self::AffinityInfo),
            simple::MIGRATE_INFO_TYPE => Some(Self::MigrateInfoType),
            0x8400_0008 => Some(Self::SystemOff),
            0x8400_0009 => Some(Self::SystemReset),
            0x8400_000a => Some(Self::Features),
            0x8400_000e | 0xc400_000e => Some(Self::SystemSuspend),
            0x8400_0012 | 0xc400_0012 => Some(Self::SystemReset2),
            _ => None,
        }
    }
}

/// The power_state argument of CPU_SUSPEND, in the original format (DEN0022, 5.4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowerState {
    /// How deep.
    pub level: PowerLevel,
    /// Which affinity level the state is for: bits 25–24.
    pub affinity_level: u8,
    /// The platform's number of the state: bits 15–0.
    pub id: u16,
}

/// Whether registers survive a suspension: bit 16 of power_state (StateType).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PowerLevel {
    /// They do, and the call returns.
    Standby,
    /// They don't; the vCPU goes on at the entry point.
    PowerDown,
}

impl PowerState {
    /// Decodes the argument; `None` if a reserved bit is set.
    #[must_use]
    pub const fn from_argument(value: u32) -> Option<Self> {
        const RESERVED: u32 = 0x3f << 26 | 0x7f << 17;
        if value & RESERVED != 0 {
            return None;
        }
        let [top, _, high, low] = value.to_be_bytes();
        Some(Self {
            level: if value & 1 << 16 == 0 {
                PowerLevel::Standby
            } else {
                PowerLevel::PowerDown
            },
            affinity_level: top & 3,
            id: u16::from_be_bytes([high, low]),
        })
    }
}

/// What AFFINITY_INFO answers (DEN0022, 5.1.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AffinityState {
    /// Running or suspended.
    On,
    /// Off.
    Off,
    /// CPU_ON was accepted and isn't done yet.
    OnPending,
}

impl From<AffinityState> for Answer {
    fn from(state: AffinityState) -> Self {
        Self::One(match state {
            AffinityState::On => 0,
            AffinityState::Off => 1,
            AffinityState::OnPending => 2,
        })
    }
}

/// Why a PSCI call failed (DEN0022, 5.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PsciError {
    /// The function or what it was asked for isn't implemented.
    NotSupported,
    /// An argument isn't valid.
    InvalidParameters,
    /// The caller may not do that now.
    Denied,
    /// The vCPU is on.
    AlreadyOn,
    /// The vCPU is being turned on.
    OnPending,
    /// The implementation failed.
    InternalFailure,
    /// There is no such Trusted OS or state.
    NotPresent,
    /// The vCPU is disabled.
    Disabled,
    /// The entry point isn't one.
    InvalidAddress,
}

impl PsciError {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::NotSupported,
        Self::InvalidParameters,
        Self::Denied,
        Self::AlreadyOn,
        Self::OnPending,
        Self::InternalFailure,
        Self::NotPresent,
        Self::Disabled,
        Self::InvalidAddress,
    ];

    /// Returns the error's code, extended to 64 bits, as callers compare either width.
    #[must_use]
    pub const fn code(self) -> i64 {
        match self {
            Self::NotSupported => -1,
            Self::InvalidParameters => -2,
            Self::Denied => -3,
            Self::AlreadyOn => -4,
            Self::OnPending => -5,
            Self::InternalFailure => -6,
            Self::NotPresent => -7,
            Self::Disabled => -8,
            Self::InvalidAddress => -9,
        }
    }
}

impl fmt::Display for PsciError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotSupported => "not supported",
            Self::InvalidParameters => "invalid parameters",
            Self::Denied => "denied",
            Self::AlreadyOn => "already on",
            Self::OnPending => "being turned on",
            Self::InternalFailure => "internal failure",
            Self::NotPresent => "not present",
            Self::Disabled => "disabled",
            Self::InvalidAddress => "invalid address",
        })
    }
}

impl core::error::Error for PsciError {}

impl From<PsciError> for Answer {
    fn from(error: PsciError) -> Self {
        Self::One(error.code().cast_unsigned())
    }
}

/// Decodes a PSCI call: functions 0 to 0x1f of the standard range. `arguments` are x1 to x3.
pub(crate) fn decode(function: FunctionId, arguments: [u64; 3]) -> PsciCall {
    let convention = function.convention();
    let [first, second, third] = arguments.map(|argument| convention.argument(argument));
    let Some(known) = PsciFunction::from_id(function) else {
        return PsciCall::Unimplemented(function);
    };
    match known {
        PsciFunction::Version => PsciCall::Version,
        PsciFunction::Features => PsciCall::Features(FunctionId::from_register(first)),
        PsciFunction::CpuOn => PsciCall::CpuOn {
            target: Mpidr::from_argument(first),
            entry: Ipa::new(second),
            context: third,
            convention,
        },
        PsciFunction::CpuOff => PsciCall::CpuOff,
        PsciFunction::CpuSuspend => PsciCall::CpuSuspend {
            state: PowerState::from_argument(low_half(first)),
            entry: Ipa::new(second),
            context: third,
        },
        PsciFunction::AffinityInfo => PsciCall::AffinityInfo {
            target: Mpidr::from_argument(first),
            level: low_half(second),
        },
        PsciFunction::MigrateInfoType => PsciCall::MigrateInfoType,
        PsciFunction::SystemOff => PsciCall::SystemOff,
        PsciFunction::SystemReset => PsciCall::SystemReset,
        PsciFunction::SystemReset2 => PsciCall::SystemReset2 {
            reset_type: low_half(first),
            cookie: second,
        },
        PsciFunction::SystemSuspend => PsciCall::SystemSuspend {
            entry: Ipa::new(first),
            context: second,
        },
    }
}

/// Answers PSCI_FEATURES: 0 for what is offered and for SMCCC_VERSION, NOT_SUPPORTED otherwise
/// (DEN0022, 5.1.14). For CPU_SUSPEND 0 means: original state format, no OS-initiated mode.
pub fn psci_features(queried: FunctionId, is_offered: impl FnOnce(PsciFunction) -> bool) -> Answer {
    if queried.get() == simple::SMCCC_VERSION {
        return Answer::SUCCESS;
    }
    match PsciFunction::from_id(queried) {
        Some(function) if is_offered(function) => Answer::SUCCESS,
        Some(_) | None => Answer::NOT_SUPPORTED,
    }
}

/// Returns the low half of an argument that the specification calls 32 bits wide.
fn low_half(argument: u64) -> u32 {
    FunctionId::from_register(argument).get()
}
