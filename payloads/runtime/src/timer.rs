//! The generic timer (Arm ARM, D12).

use crate::registers::{read, write};

/// The virtual timer's PPI, as an INTID.
pub const VIRTUAL_TIMER: u32 = 27;
/// The physical timer's PPI, as an INTID.
pub const PHYSICAL_TIMER: u32 = 30;

const ENABLE: u64 = 1;

/// Returns the virtual counter in ticks.
pub fn now() -> u64 {
    // SAFETY: orders the counter's read after what came before; changes nothing.
    unsafe { core::arch::asm!("isb", options(nostack)) };
    read!("cntvct_el0")
}

/// Returns how many ticks `milliseconds` are.
pub fn ticks(milliseconds: u64) -> u64 {
    read!("cntfrq_el0") * milliseconds / 1000
}

/// Has the virtual timer fire `milliseconds` from now.
pub fn arm_virtual(milliseconds: u64) {
    write!("cntv_cval_el0", now() + ticks(milliseconds));
    write!("cntv_ctl_el0", ENABLE);
}

/// Turns the virtual timer off.
pub fn disarm_virtual() {
    write!("cntv_ctl_el0", 0);
}

/// Has the physical timer fire `milliseconds` from now.
pub fn arm_physical(milliseconds: u64) {
    write!("cntp_cval_el0", read!("cntpct_el0") + ticks(milliseconds));
    write!("cntp_ctl_el0", ENABLE);
}

/// Turns the physical timer off.
pub fn disarm_physical() {
    write!("cntp_ctl_el0", 0);
}

/// Waits until `condition` holds; tells whether it did within `milliseconds`.
pub fn wait_until(milliseconds: u64, mut condition: impl FnMut() -> bool) -> bool {
    let start = now();
    let limit = ticks(milliseconds);
    loop {
        if condition() {
            return true;
        }
        if now() - start > limit {
            return false;
        }
        core::hint::spin_loop();
    }
}

/// Waits for `milliseconds`, busily.
pub fn spin(milliseconds: u64) {
    wait_until(milliseconds, || false);
}
