//! The life cycle of a vCPU.

use crate::life_cycle::{Edge, LifeCycle, State};

/// Where a vCPU stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum VcpuState {
    /// Off, in PSCI's sense.
    Off = 0,
    /// A CPU is preparing its registers (PSCI's ON_PENDING).
    Starting = 1,
    /// It could run, and stands in exactly one run queue.
    Ready = 2,
    /// A CPU runs it and owns its registers.
    Running = 3,
    /// It sleeps until something is posted to it.
    Waiting = 4,
}

/// A change of a vCPU's state.
///
/// A vCPU is switched off only from [`VcpuState::Running`]: whoever stops a VM wakes its vCPUs, and
/// each stops itself where it runs. So a queue never holds a vCPU that is not ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VcpuEdge {
    /// CPU_ON, or the start of its VM.
    PowerOn,
    /// The start could not be carried out.
    GiveUp,
    /// Its registers are ready, and it was put into a run queue.
    Prepared,
    /// A CPU took it out of its queue.
    Dispatch,
    /// Its CPU took another one.
    Preempt,
    /// It has nothing to do (WFI, CPU_SUSPEND).
    Wait,
    /// Something was posted to it.
    Wake,
    /// CPU_OFF, or its VM stops.
    PowerOff,
}

/// The atomic byte of one vCPU.
pub type VcpuLife = LifeCycle<VcpuEdge>;

impl State for VcpuState {
    const ALL: &'static [Self] = &[
        Self::Off,
        Self::Starting,
        Self::Ready,
        Self::Running,
        Self::Waiting,
    ];

    fn byte(self) -> u8 {
        self as u8
    }
}

impl Edge for VcpuEdge {
    type State = VcpuState;

    const ALL: &'static [Self] = &[
        Self::PowerOn,
        Self::GiveUp,
        Self::Prepared,
        Self::Dispatch,
        Self::Preempt,
        Self::Wait,
        Self::Wake,
        Self::PowerOff,
    ];

    fn from(self) -> VcpuState {
        match self {
            Self::PowerOn => VcpuState::Off,
            Self::GiveUp | Self::Prepared => VcpuState::Starting,
            Self::Dispatch => VcpuState::Ready,
            Self::Preempt | Self::Wait | Self::PowerOff => VcpuState::Running,
            Self::Wake => VcpuState::Waiting,
        }
    }

    fn to(self) -> VcpuState {
        match self {
            Self::PowerOn => VcpuState::Starting,
            Self::GiveUp | Self::PowerOff => VcpuState::Off,
            Self::Prepared | Self::Preempt | Self::Wake => VcpuState::Ready,
            Self::Dispatch => VcpuState::Running,
            Self::Wait => VcpuState::Waiting,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn all_pairs_are_edges_or_refused() {
        crate::life_cycle::check_all_pairs::<VcpuEdge>();
    }

    #[test]
    fn every_edge_is_listed_once() {
        for edge in VcpuEdge::ALL {
            assert_eq!(
                VcpuEdge::ALL.iter().filter(|other| *other == edge).count(),
                1
            );
        }
        assert_eq!(VcpuEdge::ALL.len(), 8);
    }
}
