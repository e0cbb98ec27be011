//! The life cycle of a VM.

use crate::life_cycle::{Edge, LifeCycle, State};

/// Where a VM stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum VmState {
    /// Nothing of it runs and nothing is in its memory.
    Off = 0,
    /// Its images are being copied into its memory.
    Loading = 1,
    /// Its vCPUs may run.
    Running = 2,
    /// It will be off once all its vCPUs have stopped.
    PoweringOff = 3,
    /// It will be loaded again once all its vCPUs have stopped.
    Resetting = 4,
    /// It did something that it can't go on from; its vCPUs are stopping.
    Crashing = 5,
    /// It has crashed, and stays as it was for a look.
    Crashed = 6,
}

/// A change of a VM's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VmEdge {
    /// The machine starts it.
    Load,
    /// Its first vCPU is about to run.
    Start,
    /// It could not be loaded.
    LoadFailed,
    /// SYSTEM_OFF, or its last vCPU is off.
    PowerOff,
    /// SYSTEM_RESET.
    Reset,
    /// It crashed.
    Crash,
    /// All vCPUs have stopped after [`VmEdge::PowerOff`].
    Stopped,
    /// All vCPUs have stopped after [`VmEdge::Reset`].
    Reload,
    /// All vCPUs have stopped after [`VmEdge::Crash`].
    Kept,
}

/// The atomic byte of one VM.
pub type VmLife = LifeCycle<VmEdge>;

impl State for VmState {
    const ALL: &'static [Self] = &[
        Self::Off,
        Self::Loading,
        Self::Running,
        Self::PoweringOff,
        Self::Resetting,
        Self::Crashing,
        Self::Crashed,
    ];

    fn byte(self) -> u8 {
        self as u8
    }
}

impl Edge for VmEdge {
    type State = VmState;

    const ALL: &'static [Self] = &[
        Self::Load,
        Self::Start,
        Self::LoadFailed,
        Self::PowerOff,
        Self::Reset,
        Self::Crash,
        Self::Stopped,
        Self::Reload,
        Self::Kept,
    ];

    fn from(self) -> VmState {
        match self {
            Self::Load => VmState::Off,
            Self::Start | Self::LoadFailed => VmState::Loading,
            Self::PowerOff | Self::Reset | Self::Crash => VmState::Running,
            Self::Stopped => VmState::PoweringOff,
            Self::Reload => VmState::Resetting,
            Self::Kept => VmState::Crashing,
        }
    }

    fn to(self) -> VmState {
        match self {
            Self::Load | Self::Reload => VmState::Loading,
            Self::Start => VmState::Running,
            Self::LoadFailed | Self::Kept => VmState::Crashed,
            Self::PowerOff => VmState::PoweringOff,
            Self::Reset => VmState::Resetting,
            Self::Crash => VmState::Crashing,
            Self::Stopped => VmState::Off,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn all_pairs_are_edges_or_refused() {
        crate::life_cycle::check_all_pairs::<VmEdge>();
    }
}
