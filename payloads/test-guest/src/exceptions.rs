//! The vectors: expected exceptions are recorded, interrupts handled, all else is a failure.

use crate::machine::{MAX_CPUS, this_cpu};
use crate::registers::{read, write};
use crate::{console::say, gic, psci};
use core::arch::global_asm;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// ESR_ELx.EC: an instruction abort from the same exception level (Arm ARM, D24.2.40).
pub(crate) const EC_INSTRUCTION_ABORT: u64 = 0x21;
/// ESR_ELx.EC: a data abort from the same exception level.
pub(crate) const EC_DATA_ABORT: u64 = 0x25;
/// ESR_ELx.EC: an unknown reason, which is what an undefined instruction gives.
pub(crate) const EC_UNKNOWN: u64 = 0;
/// DFSC and IFSC: a synchronous external abort, not on a table walk.
pub(crate) const FSC_EXTERNAL: u64 = 0x10;

/// An exception that [`catch`] saw.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caught {
    /// ESR_EL1.
    pub(crate) esr: u64,
    /// FAR_EL1.
    pub(crate) far: u64,
}

impl Caught {
    /// Returns the exception class.
    pub(crate) fn class(self) -> u64 {
        self.esr >> 26 & 0x3f
    }

    /// Returns the fault status code of an abort.
    pub(crate) fn fault_status(self) -> u64 {
        self.esr & 0x3f
    }
}

/// What the vectors save.
#[repr(C)]
struct Frame {
    x: [u64; 31],
    elr: u64,
    spsr: u64,
    reserved: u64,
}

struct CpuState {
    expecting: AtomicBool,
    seen: AtomicBool,
    esr: AtomicU64,
    far: AtomicU64,
}

static STATE: [CpuState; MAX_CPUS] = [const {
    CpuState {
        expecting: AtomicBool::new(false),
        seen: AtomicBool::new(false),
        esr: AtomicU64::new(0),
        far: AtomicU64::new(0),
    }
}; MAX_CPUS];

/// Installs the vectors on the CPU that runs this.
pub(crate) fn install() {
    unsafe extern "C" {
        static vectors: u8;
    }
    write!("vbar_el1", (&raw const vectors).addr() as u64);
}

/// Runs an instruction that may fault, and returns the exception if one came. Execution goes on
/// after the instruction; after a failed fetch, where its caller would have.
pub(crate) fn catch(instruction: impl FnOnce()) -> Option<Caught> {
    let state = &STATE[this_cpu()];
    state.seen.store(false, Ordering::SeqCst);
    state.expecting.store(true, Ordering::SeqCst);
    instruction();
    state.expecting.store(false, Ordering::SeqCst);
    state.seen.load(Ordering::SeqCst).then(|| Caught {
        esr: state.esr.load(Ordering::SeqCst),
        far: state.far.load(Ordering::SeqCst),
    })
}

/// Handles a synchronous exception from EL1.
#[unsafe(no_mangle)]
extern "C" fn handle_synchronous(frame: &mut Frame) {
    let state = &STATE[this_cpu()];
    let caught = Caught {
        esr: read!("esr_el1"),
        far: read!("far_el1"),
    };
    if !state.expecting.load(Ordering::SeqCst) {
        panic!(
            "unexpected exception: ESR {:#x}, FAR {:#x}, ELR {:#x}",
            caught.esr, caught.far, frame.elr
        );
    }
    state.esr.store(caught.esr, Ordering::SeqCst);
    state.far.store(caught.far, Ordering::SeqCst);
    state.seen.store(true, Ordering::SeqCst);
    frame.elr = match caught.class() {
        EC_INSTRUCTION_ABORT => frame.x[30],
        _ => frame.elr.wrapping_add(4),
    };
}

/// Handles an IRQ.
#[unsafe(no_mangle)]
extern "C" fn handle_irq(_frame: &mut Frame) {
    gic::handle_irq();
}

/// Handles what never comes: FIQ, SError, and anything from EL0 or with SP_EL0.
#[unsafe(no_mangle)]
extern "C" fn handle_other(frame: &mut Frame) {
    say!(
        "FAILED: exception at an unused vector: ESR {:#x}, ELR {:#x}, SPSR {:#x}",
        read!("esr_el1"),
        frame.elr,
        frame.spsr
    );
    psci::system_off()
}

// Sixteen vectors of 128 bytes (Arm ARM, D1.3.1). Each saves x0 to x30, ELR_EL1 and SPSR_EL1 as a
// `Frame` on the stack, calls its handler with that, restores and returns. No register is clobbered.
global_asm!(
    ".macro vector handler",
    ".balign 128",
    "    sub sp, sp, #272",
    "    stp x0, x1, [sp]",
    "    adr x0, \\handler",
    "    b vector_common",
    ".endm",
    ".balign 2048",
    ".global vectors",
    "vectors:",
    ".rept 4",
    "vector handle_other",
    ".endr",
    "vector handle_synchronous",
    "vector handle_irq",
    "vector handle_other",
    "vector handle_other",
    ".rept 8",
    "vector handle_other",
    ".endr",
    ".balign 128",
    "vector_common:",
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
    "    stp x1, xzr, [sp, #256]",
    "    mov x1, x0",
    "    mov x0, sp",
    "    blr x1",
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
