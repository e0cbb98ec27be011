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
