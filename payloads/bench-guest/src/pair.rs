//! The sequences of kvm-unit-tests' micro-bench, on two vCPUs, the loop included in the figures.

use crate::console;
use crate::gic;
use crate::measure::{Vectors, mark, repeat, take_interrupts};
use crate::psci;
use crate::registers::{read, write};
use crate::single::row;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The virtual timer's PPI.
const VIRTUAL_TIMER: u64 = 27;
/// How far away the deadlines of the timer's row are, in ticks.
const FAR: u64 = 10_000;

static READY: AtomicBool = AtomicBool::new(false);
static RECEIVED: AtomicBool = AtomicBool::new(false);
static HANDLED: AtomicU64 = AtomicU64::new(0);

/// Measures, on the first vCPU.
pub(crate) fn run(n: u64) {
    psci::start_other();
    take_interrupts(Vectors::Full);
    while !READY.load(Ordering::SeqCst) {
        relax();
    }
    mark!(40);
    let ticks = repeat!(n, 0u64, "movz w0, #0x8400, lsl #16", "hvc #0");
    row("pair-psci-version", ticks, n);
    mark!(41);
    let iidr = (gic::gicd() + 0x8) as u64;
    row("pair-vgic-read", repeat!(n, iidr, "ldr w3, [x2]"), n);
    mark!(42);
    let flags = console::flags() as u64;
    row("pair-mmio-read", repeat!(n, flags, "ldr w3, [x2]"), n);
    mark!(43);
    row("pair-eoi", repeat!(n, 1023u64, "msr icc_eoir1_el1, x2"), n);
    mark!(44);
    row("pair-ipi-self", interrupts(n, || send(0)), n);
    mark!(45);
    row("pair-ipi-other", interrupts(n, || send(1)), n);
    mark!(46);
    let ticks = interrupts(n, || {
        write!("cntv_cval_el0", read!("cntvct_el0") + FAR);
        write!("cntv_ctl_el0", 1);
    });
    row("pair-timer", ticks - n * FAR, n);
    mark!(47);
}

/// Takes interrupts for ever, on the other vCPU.
pub(crate) fn serve() -> ! {
    take_interrupts(Vectors::Full);
    READY.store(true, Ordering::SeqCst);
    loop {
        relax();
    }
}

/// Handles an interrupt.
pub(crate) fn handle() {
    let interrupt = read!("icc_iar1_el1");
    RECEIVED.store(true, Ordering::SeqCst);
    write!("icc_eoir1_el1", interrupt);
    if interrupt == VIRTUAL_TIMER {
        write!("cntv_ctl_el0", 0b11);
    }
    HANDLED.store(HANDLED.load(Ordering::SeqCst) + 1, Ordering::SeqCst);
}

/// Has `cause` bring an interrupt and waits until it was handled, `n` times; returns the ticks.
fn interrupts(n: u64, cause: impl Fn()) -> u64 {
    let start = read!("cntvct_el0");
    for _ in 0..n {
        RECEIVED.store(false, Ordering::SeqCst);
        cause();
        while !RECEIVED.load(Ordering::SeqCst) {
            relax();
        }
    }
    read!("cntvct_el0") - start
}

fn send(cpu: u64) {
    write!("icc_sgi1r_el1", gic::sgi_to(cpu));
}

/// Lets the emulator go on with the other CPU.
fn relax() {
    // SAFETY: a hint.
    unsafe { core::arch::asm!("yield", options(nostack)) };
}
