//! CPUs' power, and calls to the firmware.

/// Power control of the machine.
pub trait CpuPower {
    /// Sleeps until an interrupt is pending on this CPU (WFI). May return early.
    fn wait_for_interrupt(&mut self);

    /// Turns the whole machine off. Returns only if the firmware refuses.
    fn system_off(&mut self);
}

/// The registers x0 to x17 of an SMCCC call or its result (DEN0028, 2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SmcccResult(pub [u64; 18]);

/// Calls of EL2's own to the firmware at EL3. Nothing of a guest's goes through here unchanged.
pub trait SecureCall {
    /// Makes an SMC with x0 to x17.
    fn call(&mut self, arguments: &[u64; 18]) -> SmcccResult;
}
