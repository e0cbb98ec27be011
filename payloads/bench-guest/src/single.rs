//! What one CPU can measure by itself.

use crate::console::{self, say};
use crate::gic;
use crate::measure::{Vectors, mark, mask_interrupts, repeat, take_interrupts};
use crate::{registers, sweep};

/// Prints a row.
pub(crate) fn row(name: &str, ticks: u64, iterations: u64) {
    say!("row {name} {ticks} {iterations}");
}

/// Measures every operation that needs one CPU.
pub(crate) fn run(iterations: u64) {
    let n = iterations;
    row("empty", repeat!(n, 0u64, ""), n);
    row(
        "empty-call",
        repeat!(n, 0u64, "movz w0, #0x8400, lsl #16", "nop"),
        n,
    );
    calls(n);
    reads(n);
    interrupts(n);
    mark!(0xff);
}

/// Measures an access to each of the GIC's registers.
pub(crate) fn sweep() {
    mark!(90);
    sweep::read_all();
    mark!(91);
    sweep::write_all();
    mark!(0xff);
}

fn calls(n: u64) {
    mark!(1);
    let ticks = repeat!(n, 0u64, "movz w0, #0x8000, lsl #16", "hvc #0");
    row("smccc-version", ticks, n);
    mark!(2);
    let ticks = repeat!(n, 0u64, "movz w0, #0x8400, lsl #16", "hvc #0");
    row("psci-version", ticks, n);
    mark!(3);
    let ticks = repeat!(n, 0u64, "movz w0, #0x4b00, lsl #16", "hvc #0");
    row("unknown-call", ticks, n);
}

fn reads(n: u64) {
    mark!(4);
    let typer = (gic::gicd() + 0x4) as u64;
    row("gicd-typer", repeat!(n, typer, "ldr w3, [x2]"), n);
    mark!(5);
    let isenabler = (gic::gicd() + 0x108) as u64;
    row("gicd-isenabler2", repeat!(n, isenabler, "ldr w3, [x2]"), n);
    mark!(6);
    row(
        "id-register",
        repeat!(n, 0u64, "mrs x3, id_aa64isar0_el1"),
        n,
    );
    mark!(7);
    let flags = console::flags() as u64;
    row("pl011-flags", repeat!(n, flags, "ldr w3, [x2]"), n);
}

fn interrupts(n: u64) {
    mark!(8);
    take_interrupts(Vectors::Sgi);
    let ticks = repeat!(
        n,
        gic::sgi_to(0),
        "mov x10, xzr",
        "msr icc_sgi1r_el1, x2",
        "isb",
        "3:",
        "cbz x10, 3b",
    );
    mask_interrupts();
    row("self-sgi", ticks, n);
    mark!(9);
    let end = repeat!(n, 1023u64, "msr icc_eoir1_el1, x2");
    row("eoi", end, n);
    mark!(10);
    timer(n);
}

/// Measures from the virtual timer's deadline to the handler's first instruction.
fn timer(n: u64) {
    take_interrupts(Vectors::Timer);
    let (sum, latest): (u64, u64);
    // SAFETY: this uses the virtual timer, which is nobody else's, and the registers below, which
    // the vectors change too; no memory.
    unsafe {
        core::arch::asm!(
            "2:",
            "mov x25, xzr",
            "mrs x3, cntvct_el0",
            "add x3, x3, #2000",
            "msr cntv_cval_el0, x3",
            "mov x3, #1",
            "msr cntv_ctl_el0, x3",
            "isb",
            "3:",
            "cbz x25, 3b",
            "subs x20, x20, #1",
            "b.ne 2b",
            inlateout("x20") n => _,
            inlateout("x23") 0u64 => sum,
            inlateout("x24") 0u64 => latest,
            lateout("x25") _,
            clobber_abi("C"),
            options(nostack),
        );
    }
    mask_interrupts();
    row("timer", sum, n);
    row("timer-latest", latest, 1);
}

/// Computes for `instructions` instructions between two marks: exits in between are too many.
pub(crate) fn compute(instructions: u64) {
    registers::write!("cntv_ctl_el0", 0);
    take_interrupts(Vectors::Sgi);
    mark!(20);
    let ticks = repeat!(instructions / 4, 0u64, "add x3, x3, #1", "eor x4, x4, x3");
    mark!(21);
    row("compute", ticks, instructions / 4);
}
