//! Instructions that are made at run time: a page of stubs, each an instruction and its end.

use crate::attempt::attempt;
use crate::exceptions::{self, Caught, UserEnd};
use core::arch::asm;
use core::sync::atomic::{AtomicU32, Ordering};

const RET: u32 = 0xd65f_03c0;
const SVC: u32 = 0xd400_0001;
const ARM_SVC: u32 = 0xef00_0000;
/// SPSR_EL1 for A32 code at EL0 with all interrupts masked.
const ARM: u64 = 0x1d0;
/// SPSR_EL1 for AArch64 at EL0 with all interrupts masked.
const EL0: u64 = 0x3c0;

/// How many stubs there are.
pub(crate) const STUBS: usize = 512;

#[repr(C, align(4096))]
struct Page([[AtomicU32; 2]; STUBS]);

/// Two pages; what is run is the last word of the first and the first of the second.
#[repr(C, align(4096))]
struct TwoPages([AtomicU32; 2048]);

static SPAN: TwoPages = TwoPages([const { AtomicU32::new(RET) }; 2048]);

static PAGE: Page = Page([const { [const { AtomicU32::new(RET) }; 2] }; STUBS]);

/// The level that stubs run at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// This guest's own.
    El1,
    /// Below it.
    El0,
    /// Below it, in AArch32 state.
    Arm,
}

/// Writes code for EL0 into the page.
pub(crate) fn write_words(words: &[u32]) {
    for (slot, word) in PAGE.0.iter().flatten().zip(words) {
        slot.store(*word, Ordering::Relaxed);
    }
    synchronize();
}

/// Writes stubs, one for each instruction, for a level.
pub(crate) fn write(level: Level, instructions: impl Iterator<Item = u32>) {
    let end = match level {
        Level::El1 => RET,
        Level::El0 => SVC,
        Level::Arm => ARM_SVC,
    };
    for ([first, second], instruction) in PAGE.0.iter().zip(instructions) {
        first.store(instruction, Ordering::Relaxed);
        second.store(end, Ordering::Relaxed);
    }
    synchronize();
}

/// Puts an instruction into the last word of a page, and a return into the first of the next. Returns
/// the word and its address.
pub(crate) fn last_of_page(instruction: u32) -> (&'static AtomicU32, u64) {
    let word = &SPAN.0[1023];
    word.store(instruction, Ordering::Relaxed);
    synchronize();
    (word, word.as_ptr().addr() as u64)
}

/// Makes what was written visible to fetches, on all CPUs.
pub(crate) fn synchronize() {
    // SAFETY: cache maintenance of the page above, and barriers: changes no data.
    unsafe {
        asm!(
            "2:",
            "dc cvau, {0}",
            "add {0}, {0}, #16",
            "cmp {0}, {1}",
            "b.lo 2b",
            "dsb ish",
            "ic ialluis",
            "dsb ish",
            "isb",
            inout(reg) PAGE.0.as_ptr().addr() => _,
            in(reg) PAGE.0.as_ptr_range().end.addr(),
            options(nostack),
        );
    }
}

/// Returns a stub's address.
pub(crate) fn address(index: usize) -> u64 {
    PAGE.0[index].as_ptr().addr() as u64
}

/// Runs a stub at EL1 with `x0`; returns x0, and the exception if one came.
pub(crate) fn run(index: usize, x0: u64) -> (u64, Option<Caught>) {
    run_at(address(index), x0)
}

/// Runs code at EL1 with `x0`; returns x0, and the exception if one came.
pub(crate) fn run_at(code: u64, x0: u64) -> (u64, Option<Caught>) {
    let mut value = x0;
    // SAFETY: the stub is one instruction and a return to x30; which registers it changes beside x0
    // is for callers to choose so that none is relied on, and all that calls may change are declared.
    let caught = attempt(|| unsafe {
        asm!("blr {0}", in(reg) code, inout("x0") value, clobber_abi("C"), options(nostack));
    });
    (value, caught)
}

/// Runs a stub at EL0 with `x0`.
pub(crate) fn run_user(level: Level, index: usize, x0: u64) -> UserEnd {
    let state = if level == Level::Arm { ARM } else { EL0 };
    run_user_at(address(index), state, x0)
}

/// Runs code at EL0 with `x0`, in the state that `spsr` names.
pub(crate) fn run_user_at(code: u64, spsr: u64, x0: u64) -> UserEnd {
    let mut end = None;
    attempt(|| {
        // SAFETY: the stub is one instruction and an SVC; it can't change more than x0 and the
        // memory that x0 points at, which callers choose.
        end = Some(unsafe { exceptions::user(code, spsr, [x0, 7, 0, 0]) });
    });
    end.expect("run_at_el0 returns")
}
