//! The debug registers that a guest's kernel writes at boot and for single steps.

/// A vCPU's OS lock (Arm ARM, H6.5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OsLock {
    /// Debug exceptions other than BRK are off.
    Locked,
    /// They are on.
    Unlocked,
}

/// A vCPU's view of its debug registers. Hardware breakpoints and watchpoints read as zero and
/// never hit; BRK and single steps work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DebugState {
    os_lock: OsLock,
    monitor_control: u64,
}

impl Default for DebugState {
    fn default() -> Self {
        Self::RESET
    }
}

impl DebugState {
    /// The state after a cold reset: OSLSR_EL1.OSLK is 1.
    pub const RESET: Self = Self {
        os_lock: OsLock::Locked,
        monitor_control: 0,
    };

    /// MDSCR_EL1.SS.
    const SS: u64 = 1 << 0;
    /// MDSCR_EL1.TDCC.
    const TDCC: u64 = 1 << 12;
    /// MDSCR_EL1.KDE.
    const KDE: u64 = 1 << 13;
    /// MDSCR_EL1.MDE.
    const MDE: u64 = 1 << 15;

    /// Writes OSLAR_EL1: bit 0 locks.
    pub const fn write_os_lock_access(&mut self, value: u64) {
        self.os_lock = if value & 1 == 0 {
            OsLock::Unlocked
        } else {
            OsLock::Locked
        };
    }

    /// Reads OSLSR_EL1: OSLM (bits 3 and 0) is 0b10, OSLK is bit 1.
    #[must_use]
    pub const fn os_lock_status(&self) -> u64 {
        match self.os_lock {
            OsLock::Locked => 0b1010,
            OsLock::Unlocked => 0b1000,
        }
    }

    /// Reads MDSCR_EL1.
    #[must_use]
    pub const fn monitor_control(&self) -> u64 {
        self.monitor_control
    }

    /// Writes MDSCR_EL1; bits other than SS, TDCC, KDE and MDE are ignored. The hardware's register
    /// then takes [`DebugState::hardware_monitor_control`].
    pub const fn write_monitor_control(&mut self, value: u64) {
        self.monitor_control = value & (Self::SS | Self::TDCC | Self::KDE | Self::MDE);
    }

    /// Returns what the hardware's MDSCR_EL1 holds while the vCPU runs: single steps unless the
    /// guest's OS lock turns them off, never MDE, as the breakpoint registers aren't the guest's.
    /// The CPU's own OS lock has to be unlocked.
    #[must_use]
    pub const fn hardware_monitor_control(&self) -> u64 {
        match self.os_lock {
            OsLock::Locked => self.monitor_control & Self::TDCC,
            OsLock::Unlocked => self.monitor_control & (Self::SS | Self::TDCC | Self::KDE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_os_lock_starts_locked_and_follows_its_access_register() {
        let mut state = DebugState::default();
        assert_eq!(state.os_lock_status(), 0b1010);
        state.write_os_lock_access(u64::MAX - 1);
        assert_eq!(state.os_lock_status(), 0b1000);
        state.write_os_lock_access(1);
        assert_eq!(state.os_lock_status(), 0b1010);
    }

    #[test]
    fn c5_only_single_steps_reach_the_hardware() {
        let mut state = DebugState::default();
        state.write_monitor_control(u64::MAX);
        assert_eq!(state.monitor_control(), 0xb001);
        assert_eq!(state.hardware_monitor_control(), 0x1000);
        state.write_os_lock_access(0);
        assert_eq!(state.hardware_monitor_control(), 0x3001);
    }
}
