//! The loop around what is measured, and the vectors that stand beside it.

use core::arch::global_asm;
use core::sync::atomic::{AtomicBool, Ordering};

static NO_MARKS: AtomicBool = AtomicBool::new(false);

/// Leaves the marks out: a hypervisor may take them for faults.
pub(crate) fn set_no_marks() {
    NO_MARKS.store(true, Ordering::Relaxed);
}

/// Returns whether marks are wanted.
pub(crate) fn has_marks() -> bool {
    !NO_MARKS.load(Ordering::Relaxed)
}

/// Runs a piece of assembly `$count` times and returns the ticks that this took, with the loop's own
/// two instructions. The piece may use x0 to x17 and x23 to x25; `x2` starts as `$argument`.
macro_rules! repeat {
    ($count:expr, $argument:expr, $($line:literal),* $(,)?) => {{
        let (start, end): (u64, u64);
        // SAFETY: the pieces access system registers that the compiler does not rely on and
        // registers of devices, and call the hypervisor; none writes memory.
        unsafe {
            core::arch::asm!(
                "isb",
                "mrs x21, cntvct_el0",
                "2:",
                $($line,)*
                "subs x20, x20, #1",
                "b.ne 2b",
                "mrs x22, cntvct_el0",
                inlateout("x20") $count => _,
                inlateout("x2") $argument => _,
                lateout("x21") start,
                lateout("x22") end,
                lateout("x23") _,
                lateout("x24") _,
                lateout("x25") _,
                clobber_abi("C"),
                options(nostack),
            );
        }
        end - start
    }};
}

/// Marks the place in a trace: an HVC with the number as its immediate, which does nothing.
macro_rules! mark {
    ($number:literal) => {
        if $crate::measure::has_marks() {
            // SAFETY: a call that no hypervisor knows changes x0 to x17 at most.
            unsafe {
                core::arch::asm!(
                    concat!("mov x0, xzr\nhvc #", $number),
                    clobber_abi("C"),
                    options(nostack),
                );
            }
        }
    };
}

pub(crate) use {mark, repeat};

/// Installs vectors on the CPU that runs this, and lets IRQs in.
pub(crate) fn take_interrupts(vectors: Vectors) {
    unsafe extern "C" {
        static bench_sgi_vectors: u8;
        static bench_timer_vectors: u8;
        static bench_full_vectors: u8;
    }
    let table = match vectors {
        Vectors::Sgi => &raw const bench_sgi_vectors,
        Vectors::Timer => &raw const bench_timer_vectors,
        Vectors::Full => &raw const bench_full_vectors,
    };
    crate::registers::write!("vbar_el1", table.addr() as u64);
    // SAFETY: the vectors use registers only that the code around them has given up.
    unsafe { core::arch::asm!("msr daifclr, #2", options(nostack)) };
}

/// Keeps IRQs out.
pub(crate) fn mask_interrupts() {
    // SAFETY: masking interrupts changes neither memory nor registers.
    unsafe { core::arch::asm!("msr daifset, #2", options(nostack)) };
}

/// The vectors of the rows.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Vectors {
    /// Acknowledge and end the interrupt in registers: x9 is used, x10 becomes 1.
    Sgi,
    /// The first instruction reads the counter: x23 adds up how late that was, x24 is the latest,
    /// x25 becomes 1; x9 to x11 are used. The timer is turned off.
    Timer,
    /// All registers are saved, as an operating system does, and Rust handles the interrupt.
    Full,
}

/// Handles an interrupt whose registers are saved.
#[unsafe(no_mangle)]
extern "C" fn bench_handle_irq() {
    crate::pair::handle();
}

// Tables of vectors in which only the IRQ from EL1 with SP_EL1 is used (Arm ARM, D1.3.1); all others
// stay where they are, which a time limit outside will show.
global_asm!(
    ".macro bench_table name",
    ".balign 2048",
    "\\name:",
    ".rept 5",
    "    b .",
    "    .balign 128",
    ".endr",
    ".endm",
    ".macro bench_rest",
    ".rept 10",
    "    .balign 128",
    "    b .",
    ".endr",
    ".endm",
    // Clobbers x9; x10 becomes 1.
    "bench_table bench_sgi_vectors",
    "    mrs x9, icc_iar1_el1",
    "    msr icc_eoir1_el1, x9",
    "    mov x10, #1",
    "    eret",
    "bench_rest",
    // Clobbers x9 to x11; changes x23 to x25.
    "bench_table bench_timer_vectors",
    "    mrs x9, cntvct_el0",
    "    mrs x10, cntv_cval_el0",
    "    sub x9, x9, x10",
    "    add x23, x23, x9",
    "    cmp x9, x24",
    "    csel x24, x9, x24, hi",
    "    msr cntv_ctl_el0, xzr",
    "    isb",
    "    mrs x11, icc_iar1_el1",
    "    msr icc_eoir1_el1, x11",
    "    mov x25, #1",
    "    eret",
    "bench_rest",
    // Clobbers nothing.
    "bench_table bench_full_vectors",
    "    sub sp, sp, #272",
    "    stp x0, x1, [sp]",
    "    b bench_full_irq",
    "bench_rest",
    "bench_full_irq:",
    "    stp x2, x3, [sp, #16]",
    "    stp x4, x5, [sp, #32]",
    "    stp x6, x7, [sp, #48]",
    "    stp x8, x9, [sp, #64]",
    "    stp x10, x11, [sp, #80]",
    "    stp x12, x13, [sp, #96]",
    "    stp x14, x15, [sp, #112]",
    "    stp x16, x17, [sp, #128]",
    "    stp x18, x19, [sp, #144]",
    "    stp x20, x21, [sp, #160]",
    "    stp x22, x23, [sp, #176]",
    "    stp x24, x25, [sp, #192]",
    "    stp x26, x27, [sp, #208]",
    "    stp x28, x29, [sp, #224]",
    "    mrs x1, elr_el1",
    "    stp x30, x1, [sp, #240]",
    "    mrs x1, spsr_el1",
    "    str x1, [sp, #256]",
    "    bl bench_handle_irq",
    "    ldr x1, [sp, #256]",
    "    msr spsr_el1, x1",
    "    ldp x30, x1, [sp, #240]",
    "    msr elr_el1, x1",
    "    ldp x28, x29, [sp, #224]",
    "    ldp x26, x27, [sp, #208]",
    "    ldp x24, x25, [sp, #192]",
    "    ldp x22, x23, [sp, #176]",
    "    ldp x20, x21, [sp, #160]",
    "    ldp x18, x19, [sp, #144]",
    "    ldp x16, x17, [sp, #128]",
    "    ldp x14, x15, [sp, #112]",
    "    ldp x12, x13, [sp, #96]",
    "    ldp x10, x11, [sp, #80]",
    "    ldp x8, x9, [sp, #64]",
    "    ldp x6, x7, [sp, #48]",
    "    ldp x4, x5, [sp, #32]",
    "    ldp x2, x3, [sp, #16]",
    "    ldp x0, x1, [sp]",
    "    add sp, sp, #272",
    "    eret",
);
