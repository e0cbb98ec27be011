//! Instructions and registers that a guest has not.

use crate::console::say;
use crate::exceptions::{EC_UNKNOWN, catch};
use core::arch::asm;
use core::sync::atomic::{AtomicU32, Ordering};

/// `MRS X0, <register with all fields 0>`: op0 is in bits 20–19, op1 in 18–16, CRn in 15–12, CRm in
/// 11–8, op2 in 7–5 (Arm ARM, C5.2).
const MRS_X0: u32 = 0xd530_0000;
const RET: u32 = 0xd65f_03c0;

/// The exception classes with which a read may be refused: undefined, trapped FP/SIMD, system
/// register, SVE and SME (Arm ARM, D24.2.40).
const REFUSED: [u64; 5] = [EC_UNKNOWN, 0x07, 0x18, 0x19, 0x1d];

/// Two instructions that are written and run, on a cache line of their own.
#[repr(align(64))]
struct Code([AtomicU32; 2]);

static CODE: Code = Code([AtomicU32::new(0), AtomicU32::new(RET)]);

/// Runs instructions that are undefined at EL1.
pub(crate) fn undefined() {
    // SAFETY: an undefined instruction changes nothing.
    let udf = catch(|| unsafe { asm!("udf #0", options(nostack)) });
    // SAFETY: reads HCR_EL2, which is undefined at EL1.
    let hcr = catch(|| unsafe { asm!("mrs {}, hcr_el2", out(reg) _, options(nostack)) });
    // SAFETY: reads a register that no implementation defines here.
    let own = catch(|| unsafe { asm!("mrs {}, S3_7_C15_C15_7", out(reg) _, options(nostack)) });
    for (what, caught) in [("udf", udf), ("hcr_el2", hcr), ("S3_7_C15_C15_7", own)] {
        match caught {
            Some(caught) => assert_eq!(caught.class(), EC_UNKNOWN, "{what}: {caught:x?}"),
            None => panic!("{what} is not undefined"),
        }
    }
}

/// Reads every encoding of a system register (abuse case C1): each works or is refused at EL1.
pub(crate) fn reads() {
    let (mut defined, mut refused) = (0, 0);
    for encoding in 0..1u32 << 15 {
        // Bit 20 of the instruction is always 1: op0 is 2 or 3.
        let register = encoding << 5;
        match read(MRS_X0 | register) {
            None => defined += 1,
            Some(class) if REFUSED.contains(&class) => refused += 1,
            Some(class) => panic!("reading {register:#x} gives exception class {class:#x}"),
        }
    }
    say!("{defined} registers can be read, {refused} are refused");
    assert!(defined > 50, "too few registers");
}

/// Runs `instruction`, then RET; returns the class of the exception that came.
fn read(instruction: u32) -> Option<u64> {
    let [slot, _] = &CODE.0;
    slot.store(instruction, Ordering::SeqCst);
    let code = CODE.0.as_ptr();
    // SAFETY: makes the instruction visible to fetches; `dc` and `ic` change no data.
    unsafe {
        asm!(
            "dc cvau, {0}",
            "dsb ish",
            "ic ivau, {0}",
            "dsb ish",
            "isb",
            in(reg) code,
            options(nostack),
        );
    }
    // SAFETY: the code is an MRS to x0 and RET to x30; both are declared. Reading no register
    // changes memory, and interrupts are masked, so that an acknowledge finds nothing.
    let caught = catch(|| unsafe {
        asm!("blr {0}", in(reg) code, out("x0") _, out("x30") _, options(nostack));
    });
    caught.map(|caught| caught.class())
}
