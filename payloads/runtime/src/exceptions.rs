//! The vectors: expected exceptions are recorded, interrupts handled, all else is a failure.

use crate::machine::{MAX_CPUS, this_cpu};
use crate::registers::{read, write};
use crate::{console::say, gic, psci};
use core::arch::global_asm;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// ESR_ELx.EC: an instruction abort from the same exception level (Arm ARM, D24.2.40).
pub const EC_INSTRUCTION_ABORT: u64 = 0x21;
/// ESR_ELx.EC: a data abort from the same exception level.
pub const EC_DATA_ABORT: u64 = 0x25;
/// ESR_ELx.EC: an unknown reason, which is what an undefined instruction gives.
pub const EC_UNKNOWN: u64 = 0;
/// ESR_ELx.EC: an illegal execution state.
pub const EC_ILLEGAL_STATE: u64 = 0x0e;
/// ESR_ELx.EC: SVC, from AArch32 and from AArch64 state.
pub const EC_SVC: [u64; 2] = [0x11, 0x15];
/// SPSR_EL1.IL.
const PSTATE_IL: u64 = 1 << 20;
/// DFSC and IFSC: a synchronous external abort, not on a table walk.
pub const FSC_EXTERNAL: u64 = 0x10;

/// An exception that [`catch`] saw.
#[derive(Clone, Copy, Debug)]
pub struct Caught {
    /// ESR_EL1.
    pub esr: u64,
    /// FAR_EL1.
    pub far: u64,
    /// ELR_EL1: where it came.
    pub elr: u64,
}

impl Caught {
    /// Returns the exception class.
    pub fn class(self) -> u64 {
        self.esr >> 26 & 0x3f
    }

    /// Returns the fault status code of an abort.
    pub fn fault_status(self) -> u64 {
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
    elr: AtomicU64,
}

static STATE: [CpuState; MAX_CPUS] = [const {
    CpuState {
        expecting: AtomicBool::new(false),
        seen: AtomicBool::new(false),
        esr: AtomicU64::new(0),
        far: AtomicU64::new(0),
        elr: AtomicU64::new(0),
    }
}; MAX_CPUS];

/// Installs the vectors on the CPU that runs this.
pub fn install() {
    unsafe extern "C" {
        static vectors: u8;
    }
    write!("vbar_el1", (&raw const vectors).addr() as u64);
}

/// Runs an instruction that may fault, and returns the exception if one came. Execution goes on
/// after the instruction; after a failed fetch, where its caller would have.
pub fn catch(instruction: impl FnOnce()) -> Option<Caught> {
    let state = &STATE[this_cpu()];
    state.seen.store(false, Ordering::SeqCst);
    state.expecting.store(true, Ordering::SeqCst);
    instruction();
    state.expecting.store(false, Ordering::SeqCst);
    state.seen.load(Ordering::SeqCst).then(|| Caught {
        esr: state.esr.load(Ordering::SeqCst),
        far: state.far.load(Ordering::SeqCst),
        elr: state.elr.load(Ordering::SeqCst),
    })
}

/// What EL0 left when it came back.
#[derive(Clone, Copy, Debug)]
pub struct UserEnd {
    /// x0, or r0.
    pub x0: u64,
    /// The exception that ended it.
    pub caught: Caught,
}

impl UserEnd {
    /// Tells whether the code at EL0 ended by its own SVC.
    #[must_use]
    pub fn is_call(&self) -> bool {
        EC_SVC.contains(&self.caught.class())
    }
}

/// Runs code at EL0 until it takes an exception.
///
/// # Safety
/// The code at `address`, in the state that `spsr` names, writes no memory that the guest relies on;
/// IRQs are masked in `spsr`.
pub unsafe fn user(address: u64, spsr: u64, arguments: [u64; 4]) -> UserEnd {
    unsafe extern "C" {
        fn run_at_el0(address: u64, spsr: u64, registers: &mut [u64; 4]);
    }
    let mut registers = arguments;
    // SAFETY: by the caller's contract; what ends it is a vector of ours.
    unsafe { run_at_el0(address, spsr, &mut registers) };
    let [x0, esr, far, elr] = registers;
    let caught = Caught { esr, far, elr };
    UserEnd { x0, caught }
}

/// Handles a synchronous exception from EL1.
#[unsafe(no_mangle)]
extern "C" fn handle_synchronous(frame: &mut Frame) {
    let state = &STATE[this_cpu()];
    let caught = Caught {
        esr: read!("esr_el1"),
        far: read!("far_el1"),
        elr: frame.elr,
    };
    if !state.expecting.load(Ordering::SeqCst) {
        panic!(
            "unexpected exception: ESR {:#x}, FAR {:#x}, ELR {:#x}",
            caught.esr, caught.far, frame.elr
        );
    }
    state.esr.store(caught.esr, Ordering::SeqCst);
    state.far.store(caught.far, Ordering::SeqCst);
    state.elr.store(caught.elr, Ordering::SeqCst);
    state.seen.store(true, Ordering::SeqCst);
    frame.elr = match caught.class() {
        EC_INSTRUCTION_ABORT => frame.x[30],
        // Nothing was executed: go on there, in a state that is legal.
        EC_ILLEGAL_STATE => {
            frame.spsr &= !PSTATE_IL;
            frame.elr
        }
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
    // An exception from EL0 ends `run_at_el0`, which stands on this stack.
    ".macro vector_user",
    ".balign 128",
    "    mrs x1, esr_el1",
    "    mrs x2, far_el1",
    "    mrs x3, elr_el1",
    "    b user_end",
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
    ".rept 2",
    "vector_user",
    ".rept 3",
    "vector handle_other",
    ".endr",
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
    // x0: address; x1: SPSR; x2: where x0 to x3 of EL0 come from, and where x0, ESR, FAR and ELR go.
    // Keeps the registers that the procedure call standard wants kept.
    ".global run_at_el0",
    "run_at_el0:",
    "    stp x29, x30, [sp, #-112]!",
    "    stp x19, x20, [sp, #16]",
    "    stp x21, x22, [sp, #32]",
    "    stp x23, x24, [sp, #48]",
    "    stp x25, x26, [sp, #64]",
    "    stp x27, x28, [sp, #80]",
    "    str x2, [sp, #96]",
    "    msr elr_el1, x0",
    "    msr spsr_el1, x1",
    "    ldp x0, x1, [x2]",
    "    ldp x2, x3, [x2, #16]",
    "    eret",
    "user_end:",
    "    ldr x4, [sp, #96]",
    "    stp x0, x1, [x4]",
    "    stp x2, x3, [x4, #16]",
    "    ldp x19, x20, [sp, #16]",
    "    ldp x21, x22, [sp, #32]",
    "    ldp x23, x24, [sp, #48]",
    "    ldp x25, x26, [sp, #64]",
    "    ldp x27, x28, [sp, #80]",
    "    ldp x29, x30, [sp], #112",
    "    ret",
);
