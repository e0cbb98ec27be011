//! Two vCPUs on one CPU: what it takes to change from one to the other.
//!
//! Both keep interrupts masked and wait by WFI for the other's SGI, so that each WFI lets the other
//! run. The one that leaves writes the counter just before it does, and the other reads it first
//! thing. With the MMU off exclusives need not work: each variable has one writer at a time.

use crate::gic;
use crate::measure::mark;
use crate::psci;
use crate::single::row;
use core::arch::asm;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

static RUNNING: AtomicBool = AtomicBool::new(false);
static LEFT: AtomicU64 = AtomicU64::new(0);
static SUM: AtomicU64 = AtomicU64::new(0);
static COUNT: AtomicU64 = AtomicU64::new(0);

/// Tells whether this is what is measured.
pub(crate) fn is_running() -> bool {
    RUNNING.load(Ordering::SeqCst)
}

/// Measures the switch, on the first vCPU.
pub(crate) fn run(iterations: u64) {
    RUNNING.store(true, Ordering::SeqCst);
    psci::start_other();
    // The other one sets itself up, and sends the first SGI.
    leave(None);
    SUM.store(0, Ordering::SeqCst);
    COUNT.store(0, Ordering::SeqCst);
    mark!(30);
    for _ in 0..iterations {
        leave(Some(1));
    }
    mark!(31);
    row(
        "switch",
        SUM.load(Ordering::SeqCst),
        COUNT.load(Ordering::SeqCst),
    );
}

/// Answers for ever, on the other vCPU.
pub(crate) fn serve() -> ! {
    loop {
        leave(Some(0));
    }
}

/// Sends the other an SGI, waits for one, and adds up how long the way here took.
fn leave(other: Option<u64>) {
    if let Some(other) = other {
        crate::registers::write!("icc_sgi1r_el1", gic::sgi_to(other));
    }
    let arrived: u64;
    // SAFETY: the address is that of an atomic variable, which the other vCPU reads while this one
    // waits; everything else is registers.
    unsafe {
        asm!(
            "mrs {time}, cntvct_el0",
            "str {time}, [{left}]",
            "wfi",
            "mrs {time}, cntvct_el0",
            left = in(reg) LEFT.as_ptr(),
            time = out(reg) arrived,
            options(nostack),
        );
    }
    let ticks = arrived - LEFT.load(Ordering::SeqCst);
    SUM.store(SUM.load(Ordering::SeqCst) + ticks, Ordering::SeqCst);
    COUNT.store(COUNT.load(Ordering::SeqCst) + 1, Ordering::SeqCst);
    let interrupt = crate::registers::read!("icc_iar1_el1");
    crate::registers::write!("icc_eoir1_el1", interrupt);
}
