//! The GICv3 (IHI0069), at the addresses that QEMU's `virt` machine has it.

use crate::machine::{MAX_CPUS, this_cpu};
use crate::registers::{read, write};
use core::sync::atomic::{AtomicUsize, Ordering};

/// Where the distributor is.
pub const GICD_BASE: usize = 0x0800_0000;
/// Where the first redistributor is.
pub const GICR_BASE: usize = 0x080a_0000;
/// How far the redistributors are apart, in bytes.
pub const GICR_STRIDE: usize = 0x2_0000;
/// Where a redistributor's second frame begins.
pub const SGI_FRAME: usize = 0x1_0000;

const GICD_CTLR: usize = 0x0000;
const GICR_WAKER: usize = 0x0014;
const GICR_IGROUPR0: usize = SGI_FRAME + 0x0080;
const GICR_ISENABLER0: usize = SGI_FRAME + 0x0100;
const GICR_ICENABLER0: usize = SGI_FRAME + 0x0180;
const GICR_IPRIORITYR: usize = SGI_FRAME + 0x0400;

/// GICD_CTLR, with one security state: affinity routing and both groups.
const CTLR_ENABLE: u32 = 1 << 4 | 1 << 1 | 1;
const WAKER_PROCESSOR_SLEEP: u32 = 1 << 1;
const WAKER_CHILDREN_ASLEEP: u32 = 1 << 2;

/// What an acknowledge returns from here on is no interrupt.
const FIRST_SPECIAL: u32 = 1020;

/// What runs between acknowledging an interrupt and ending it.
pub type Handler = fn(interrupt: u32);

static HANDLERS: [AtomicUsize; MAX_CPUS] = [const { AtomicUsize::new(0) }; MAX_CPUS];

/// Sets up the CPU that runs this to take `interrupts`, all private, and have `handler` called.
/// IRQs stay masked.
pub fn set_up(interrupts: &[u32], handler: Handler) {
    HANDLERS[this_cpu()].store(handler as usize, Ordering::SeqCst);
    if this_cpu() == 0 {
        set(GICD_BASE + GICD_CTLR, CTLR_ENABLE);
    }
    wake_redistributor();
    let redistributor = redistributor();
    set(redistributor + GICR_ICENABLER0, u32::MAX);
    set(redistributor + GICR_IGROUPR0, u32::MAX);
    for word in 0..8 {
        set(redistributor + GICR_IPRIORITYR + word * 4, 0xa0a0_a0a0);
    }
    let mask = interrupts.iter().fold(0, |mask, id| mask | 1 << id);
    set(redistributor + GICR_ISENABLER0, mask);
    write!("icc_sre_el1", 1);
    write!("icc_pmr_el1", 0xff);
    write!("icc_bpr1_el1", 0);
    write!("icc_ctlr_el1", 0);
    write!("icc_igrpen1_el1", 1);
}

/// Sends an SGI to the CPUs of cluster 0 in `targets`, a bit each (IHI0069, 12.2.20).
pub fn send_sgi(interrupt: u32, targets: u16) {
    write!(
        "icc_sgi1r_el1",
        u64::from(interrupt) << 24 | u64::from(targets)
    );
}

/// Returns the interrupt that would be acknowledged next (ICC_HPPIR1_EL1), without taking it.
pub fn highest_pending() -> u32 {
    read!("icc_hppir1_el1") as u32
}

/// Lets IRQs in.
pub fn unmask() {
    // SAFETY: the vectors are installed; they keep all registers.
    unsafe { core::arch::asm!("msr daifclr, #2", options(nostack)) };
}

/// Keeps IRQs out.
pub fn mask() {
    // SAFETY: masking interrupts changes neither memory nor registers.
    unsafe { core::arch::asm!("msr daifset, #2", options(nostack)) };
}

/// Acknowledges, handles and ends an interrupt.
pub fn handle_irq() {
    let interrupt = read!("icc_iar1_el1") as u32;
    if interrupt >= FIRST_SPECIAL {
        return;
    }
    let handler = HANDLERS[this_cpu()].load(Ordering::SeqCst);
    assert!(handler != 0, "interrupt {interrupt} without a handler");
    // SAFETY: only `set_up` stores here, and what it stores is a `Handler`.
    let handler: Handler = unsafe { core::mem::transmute(handler) };
    handler(interrupt);
    write!("icc_eoir1_el1", u64::from(interrupt));
}

fn wake_redistributor() {
    let waker = redistributor() + GICR_WAKER;
    set(waker, get(waker) & !WAKER_PROCESSOR_SLEEP);
    for _ in 0..1_000_000 {
        if get(waker) & WAKER_CHILDREN_ASLEEP == 0 {
            return;
        }
    }
    panic!("the redistributor does not wake up");
}

/// Returns where the redistributor of the CPU that runs this is.
#[must_use]
pub fn redistributor() -> usize {
    GICR_BASE + GICR_STRIDE * this_cpu()
}

/// Reads a register of the GIC.
#[must_use]
pub fn get(register: usize) -> u32 {
    let value: u32;
    // SAFETY: callers pass registers of the distributor or of this CPU's redistributor. The access
    // is plain: a compiler's own may write the base back, which no hypervisor can emulate.
    unsafe {
        core::arch::asm!("ldr {0:w}, [{1}]", out(reg) value, in(reg) register, options(nostack));
    }
    value
}

/// Writes a register of the GIC.
pub fn set(register: usize, value: u32) {
    // SAFETY: callers pass registers of the distributor or of this CPU's redistributor; these
    // control interrupts and hold no memory of ours. The access is plain, as above.
    unsafe {
        core::arch::asm!("str {0:w}, [{1}]", in(reg) value, in(reg) register, options(nostack));
    }
}
