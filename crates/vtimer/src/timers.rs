//! Both timers of a vCPU, and what a switch of vCPUs does with them.

use crate::{Deadline, Timer, TimerRegister};

/// Which timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerKind {
    /// CNTV: the hardware's while the vCPU is loaded.
    Virtual,
    /// CNTP: emulated, or the hardware's too where the CPU can offset it (FEAT_ECV).
    Physical,
}

/// Whether a timer's interrupt is active at the physical GIC: delivered to the guest by a list
/// register with the HW bit, and not deactivated yet. An emulated timer's never is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InterruptState {
    /// It is not.
    #[default]
    Inactive,
    /// It is; the interrupt cannot come again until the guest deactivates it.
    Active,
}

/// A timer as the hardware has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HardwareTimer {
    /// CNTV_CTL_EL0 or CNTP_CTL_EL0.
    pub control: u64,
    /// CNTV_CVAL_EL0 or CNTP_CVAL_EL0.
    pub compare: u64,
    /// The timer's interrupt at this CPU's redistributor.
    pub interrupt: InterruptState,
}

/// What a CPU owes after a vCPU has left it. The timer's control register has been set to 0 before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "an interrupt left active silences the next vCPU's timer"]
pub enum SwitchOut {
    /// Nothing.
    Done,
    /// The timer's interrupt must be made inactive; its state is kept for the vCPU.
    ClearActive,
}

/// What a CPU sets for a vCPU that it is about to run, in this order: the interrupt's state, the
/// offset, the compare value, the control register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the vCPU's timer has to be loaded"]
pub struct SwitchIn {
    /// The timer's interrupt at this CPU's redistributor; found inactive.
    pub interrupt: InterruptState,
    /// CNTVOFF_EL2 or CNTPOFF_EL2.
    pub offset: u64,
    /// CNTV_CVAL_EL0 or CNTP_CVAL_EL0.
    pub compare: u64,
    /// CNTV_CTL_EL0 or CNTP_CTL_EL0.
    pub control: u64,
}

/// The timers of one vCPU. A timer that the hardware has while the vCPU is loaded is out of date
/// here for that time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timers {
    virtual_channel: Channel,
    physical_channel: Channel,
}

/// A timer with its counter's offset and its interrupt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Channel {
    timer: Timer,
    offset: u64,
    interrupt: InterruptState,
}

impl Timers {
    /// Makes disabled timers. The guest's counters are the machine's less the offsets, in ticks.
    #[must_use]
    pub fn new(virtual_offset: u64, physical_offset: u64) -> Self {
        let channel = |offset| Channel {
            offset,
            ..Channel::default()
        };
        Self {
            virtual_channel: channel(virtual_offset),
            physical_channel: channel(physical_offset),
        }
    }

    /// Disables both timers, as a CPU's reset does; the counters go on. The vCPU is not loaded.
    pub fn reset(&mut self) {
        *self = Self::new(self.virtual_channel.offset, self.physical_channel.offset);
    }

    /// Returns the guest's counter that `kind` compares with: CNTVCT_EL0 or CNTPCT_EL0.
    #[must_use]
    pub const fn count(&self, kind: TimerKind, now: u64) -> u64 {
        now.wrapping_sub(self.offset(kind))
    }

    /// Returns how far the guest's counter lags behind the machine's, in ticks.
    #[must_use]
    pub const fn offset(&self, kind: TimerKind) -> u64 {
        self.channel(kind).offset
    }

    /// Reads a register for a guest that trapped on it.
    #[must_use]
    pub const fn read(&self, kind: TimerKind, register: TimerRegister, now: u64) -> u64 {
        self.channel(kind)
            .timer
            .read(register, self.count(kind, now))
    }

    /// Writes a register for a guest that trapped on it. Afterwards, set the interrupt's level from
    /// [`Timers::is_asserted`] and EL2's timer from [`Timers::loaded_deadline`].
    pub const fn write(&mut self, kind: TimerKind, register: TimerRegister, value: u64, now: u64) {
        let count = self.count(kind, now);
        self.channel_mut(kind).timer.write(register, value, count);
    }

    /// Tells whether the line of a timer is high.
    #[must_use]
    pub const fn is_asserted(&self, kind: TimerKind, now: u64) -> bool {
        self.channel(kind).timer.is_asserted(self.count(kind, now))
    }

    /// Returns when the line of a timer rises.
    #[must_use]
    pub const fn deadline(&self, kind: TimerKind, now: u64) -> Deadline {
        match self.channel(kind).timer.distance(self.count(kind, now)) {
            None => Deadline::Never,
            Some(0) => Deadline::Reached,
            // The machine's counter does not wrap in its lifetime.
            Some(distance) => match now.checked_add(distance) {
                Some(ticks) => Deadline::At(ticks),
                None => Deadline::Never,
            },
        }
    }

    /// Returns when EL2 has to act for a loaded vCPU whose physical timer is emulated. The hardware
    /// sees to the virtual timer, and to the physical one where that is not emulated.
    #[must_use]
    pub const fn loaded_deadline(&self, now: u64) -> Deadline {
        self.deadline(TimerKind::Physical, now)
    }

    /// Returns when a vCPU that is not loaded must become runnable for one of its timers.
    #[must_use]
    pub fn wake_deadline(&self, now: u64) -> Deadline {
        self.undelivered_deadline(TimerKind::Virtual, now)
            .earliest(self.undelivered_deadline(TimerKind::Physical, now))
    }

    /// Takes over a timer that the hardware had, as the vCPU leaves its CPU. Read the hardware
    /// first, then set the control register to 0, then do what this returns.
    pub const fn switch_out(&mut self, kind: TimerKind, hardware: HardwareTimer) -> SwitchOut {
        let channel = self.channel_mut(kind);
        channel.timer = Timer::from_registers(hardware.control, hardware.compare);
        channel.interrupt = hardware.interrupt;
        match hardware.interrupt {
            InterruptState::Inactive => SwitchOut::Done,
            InterruptState::Active => SwitchOut::ClearActive,
        }
    }

    /// Returns what to load of a timer that the hardware has while the vCPU runs. If it has
    /// expired, the hardware raises the interrupt by itself.
    pub const fn switch_in(&self, kind: TimerKind) -> SwitchIn {
        let channel = self.channel(kind);
        SwitchIn {
            interrupt: channel.interrupt,
            offset: channel.offset,
            compare: channel.timer.compare(),
            control: channel.timer.control(),
        }
    }

    /// Returns when the line rises, unless the vCPU has the interrupt already.
    const fn undelivered_deadline(&self, kind: TimerKind, now: u64) -> Deadline {
        match self.channel(kind).interrupt {
            InterruptState::Inactive => self.deadline(kind, now),
            InterruptState::Active => Deadline::Never,
        }
    }

    const fn channel(&self, kind: TimerKind) -> &Channel {
        match kind {
            TimerKind::Virtual => &self.virtual_channel,
            TimerKind::Physical => &self.physical_channel,
        }
    }

    const fn channel_mut(&mut self, kind: TimerKind) -> &mut Channel {
        match kind {
            TimerKind::Virtual => &mut self.virtual_channel,
            TimerKind::Physical => &mut self.physical_channel,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KINDS: [TimerKind; 2] = [TimerKind::Virtual, TimerKind::Physical];

    fn hardware(control: u64, compare: u64, interrupt: InterruptState) -> HardwareTimer {
        HardwareTimer {
            control,
            compare,
            interrupt,
        }
    }

    #[test]
    fn each_counter_has_its_own_offset() {
        let timers = Timers::new(100, 7);
        assert_eq!(timers.count(TimerKind::Virtual, 1_000), 900);
        assert_eq!(timers.count(TimerKind::Physical, 1_000), 993);
    }

    #[test]
    fn the_two_timers_do_not_touch_each_other() {
        for kind in KINDS {
            let mut timers = Timers::new(10, 20);
            timers.write(kind, TimerRegister::CompareValue, 1, 50);
            timers.write(kind, TimerRegister::Control, 1, 50);
            for other in KINDS {
                assert_eq!(timers.is_asserted(other, 50), other == kind);
            }
        }
    }

    #[test]
    fn deadlines_are_in_the_machines_ticks() {
        let mut timers = Timers::new(100, 40);
        timers.write(TimerKind::Physical, TimerRegister::TimerValue, 5, 1_000);
        assert_eq!(timers.loaded_deadline(1_000), Deadline::Never);
        timers.write(TimerKind::Physical, TimerRegister::Control, 1, 1_000);
        assert_eq!(timers.loaded_deadline(1_000), Deadline::At(1_005));
        assert_eq!(timers.loaded_deadline(1_005), Deadline::Reached);
        timers.write(TimerKind::Physical, TimerRegister::Control, 3, 1_000);
        assert_eq!(timers.loaded_deadline(1_005), Deadline::Never);
    }

    #[test]
    fn a_compare_value_that_the_machine_never_reaches_has_no_deadline() {
        let mut timers = Timers::new(0, 0);
        let now = 1 << 40;
        timers.write(TimerKind::Physical, TimerRegister::Control, 1, now);
        timers.write(
            TimerKind::Physical,
            TimerRegister::CompareValue,
            u64::MAX,
            now,
        );
        assert_eq!(timers.loaded_deadline(now), Deadline::At(u64::MAX));
        let mut ahead = Timers::new(0, 1 << 50);
        ahead.write(TimerKind::Physical, TimerRegister::Control, 1, 1 << 51);
        ahead.write(
            TimerKind::Physical,
            TimerRegister::CompareValue,
            u64::MAX,
            1 << 51,
        );
        assert_eq!(ahead.loaded_deadline(1 << 51), Deadline::Never);
    }

    #[test]
    fn a_switch_moves_a_timer_and_its_active_interrupt() {
        for (kind, offset) in [(TimerKind::Virtual, 100), (TimerKind::Physical, 7)] {
            let mut timers = Timers::new(100, 7);
            let out = timers.switch_out(kind, hardware(0b101, 500, InterruptState::Active));
            assert_eq!(out, SwitchOut::ClearActive);
            assert_eq!(
                timers.switch_in(kind),
                SwitchIn {
                    interrupt: InterruptState::Active,
                    offset,
                    compare: 500,
                    control: 1,
                }
            );
            let out = timers.switch_out(kind, hardware(1, 500, InterruptState::Inactive));
            assert_eq!(out, SwitchOut::Done);
            assert_eq!(timers.switch_in(kind).interrupt, InterruptState::Inactive);
        }
    }

    #[test]
    fn a_sleeping_vcpu_wakes_for_the_earlier_timer() {
        let mut timers = Timers::new(0, 0);
        let _ = timers.switch_out(
            TimerKind::Virtual,
            hardware(1, 500, InterruptState::Inactive),
        );
        assert_eq!(timers.wake_deadline(100), Deadline::At(500));
        timers.write(TimerKind::Physical, TimerRegister::Control, 1, 100);
        timers.write(TimerKind::Physical, TimerRegister::CompareValue, 300, 100);
        assert_eq!(timers.wake_deadline(100), Deadline::At(300));
        assert_eq!(timers.wake_deadline(300), Deadline::Reached);
    }

    #[test]
    fn an_interrupt_that_the_guest_has_already_wakes_nobody() {
        let mut timers = Timers::new(0, 0);
        let _ = timers.switch_out(TimerKind::Virtual, hardware(1, 500, InterruptState::Active));
        assert_eq!(timers.wake_deadline(1_000), Deadline::Never);
    }

    #[test]
    fn reset_disables_the_timers_and_keeps_the_counters() {
        let mut timers = Timers::new(3, 4);
        let _ = timers.switch_out(TimerKind::Virtual, hardware(1, 1, InterruptState::Active));
        timers.write(TimerKind::Physical, TimerRegister::Control, 1, 0);
        timers.reset();
        assert_eq!(timers, Timers::new(3, 4));
        assert_eq!(timers.wake_deadline(u64::MAX), Deadline::Never);
    }

    #[test]
    fn e11_a_compare_value_in_the_past_never_arms_a_deadline() {
        let mut timers = Timers::new(0, 0);
        timers.write(TimerKind::Physical, TimerRegister::Control, 1, 0);
        for now in 1_000..2_000 {
            for value in [0, now - 1, now] {
                timers.write(TimerKind::Physical, TimerRegister::CompareValue, value, now);
                assert_eq!(timers.loaded_deadline(now).ticks(), None);
                assert!(timers.is_asserted(TimerKind::Physical, now));
            }
        }
    }

    proptest! {
        #[test]
        fn a_deadline_lies_ahead_and_is_when_the_line_rises(
            offset: u64,
            compare: u64,
            control in 0..4_u64,
            now in 0..u64::MAX / 2,
        ) {
            for kind in KINDS {
                let mut timers = Timers::new(offset, offset);
                timers.write(kind, TimerRegister::CompareValue, compare, now);
                timers.write(kind, TimerRegister::Control, control, now);
                match timers.deadline(kind, now) {
                    Deadline::Reached => prop_assert!(timers.is_asserted(kind, now)),
                    Deadline::At(ticks) => {
                        prop_assert!(ticks > now);
                        prop_assert!(timers.is_asserted(kind, ticks));
                        prop_assert!(!timers.is_asserted(kind, ticks - 1));
                    }
                    Deadline::Never => prop_assert!(!timers.is_asserted(kind, now)),
                }
            }
        }
    }
}
