//! The machine's clock.

/// The physical counter and EL2's own timer on the CPU that runs the call.
pub trait Clock {
    /// Returns the counter's frequency in Hz (CNTFRQ_EL0).
    fn frequency(&self) -> u64;

    /// Returns the physical counter in ticks (CNTPCT_EL0).
    fn now(&self) -> u64;

    /// Arms EL2's timer to interrupt this CPU once the counter reaches `deadline`, in ticks;
    /// `None` disarms it.
    fn set_deadline(&mut self, deadline: Option<u64>);
}

/// The registers of a vCPU's own timers, as they stand in CNTV_* and CNTP_*.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimerRegisters {
    /// CNTV_CTL_EL0.
    pub cntv_ctl: u64,
    /// CNTV_CVAL_EL0.
    pub cntv_cval: u64,
    /// CNTP_CTL_EL0; unused where the physical timer is trapped.
    pub cntp_ctl: u64,
    /// CNTP_CVAL_EL0; unused where the physical timer is trapped.
    pub cntp_cval: u64,
}

/// How guests reach their physical timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PhysicalTimer {
    /// The CPU offsets it (FEAT_ECV): its registers are the guest's.
    Native,
    /// Each access is trapped and emulated.
    Trapped,
}

/// The timers that the loaded vCPU programs by itself.
pub trait TimerHardware {
    /// Tells how guests reach their physical timer; the same on all CPUs.
    fn physical_timer(&self) -> PhysicalTimer;

    /// Reads the vCPU's timers and switches them off, so that they don't interrupt another one.
    fn save_timers(&mut self) -> TimerRegisters;

    /// Puts a vCPU's timers into the hardware; the counter's offset is set by
    /// [`World::enter`](crate::World::enter).
    fn load_timers(&mut self, registers: &TimerRegisters);
}
