//! The GICv3 (IHI0069), where the device tree has it.

use crate::registers::write;
use core::sync::atomic::{AtomicUsize, Ordering};

static GICD: AtomicUsize = AtomicUsize::new(0);
static GICR: AtomicUsize = AtomicUsize::new(0);

/// What a redistributor takes of the address space.
pub(crate) const GICR_STRIDE: usize = 0x2_0000;

const SGI_FRAME: usize = 0x1_0000;
const GICD_CTLR: usize = 0x0000;
const GICR_WAKER: usize = 0x0014;
const GICR_IGROUPR0: usize = SGI_FRAME + 0x0080;
const GICR_ISENABLER0: usize = SGI_FRAME + 0x0100;
const GICR_IPRIORITYR: usize = SGI_FRAME + 0x0400;

/// GICD_CTLR, with one security state: affinity routing and both groups.
const CTLR_ENABLE: u32 = 1 << 4 | 1 << 1 | 1;
const WAKER_PROCESSOR_SLEEP: u32 = 1 << 1;
const WAKER_CHILDREN_ASLEEP: u32 = 1 << 2;

/// The virtual timer's PPI.
const VIRTUAL_TIMER: u32 = 27;
/// The SGI that the rows send.
pub(crate) const SGI: u32 = 1;

/// Notes where distributor and first redistributor are.
pub(crate) fn found(gicd: usize, gicr: usize) {
    GICD.store(gicd, Ordering::Relaxed);
    GICR.store(gicr, Ordering::Relaxed);
}

/// Returns the distributor's address.
pub(crate) fn gicd() -> usize {
    GICD.load(Ordering::Relaxed)
}

/// Returns the first redistributor's address.
pub(crate) fn gicr() -> usize {
    GICR.load(Ordering::Relaxed)
}

/// Lets CPU `index`, which runs this, take the virtual timer's interrupt and one SGI.
pub(crate) fn set_up(index: usize) {
    if index == 0 {
        set(gicd() + GICD_CTLR, CTLR_ENABLE);
    }
    let redistributor = gicr() + GICR_STRIDE * index;
    let waker = redistributor + GICR_WAKER;
    set(waker, get(waker) & !WAKER_PROCESSOR_SLEEP);
    while get(waker) & WAKER_CHILDREN_ASLEEP != 0 {}
    set(redistributor + GICR_IGROUPR0, u32::MAX);
    for word in 0..8 {
        set(redistributor + GICR_IPRIORITYR + word * 4, 0xa0a0_a0a0);
    }
    set(
        redistributor + GICR_ISENABLER0,
        1 << VIRTUAL_TIMER | 1 << SGI,
    );
    write!("icc_sre_el1", 1);
    write!("icc_pmr_el1", 0xff);
    write!("icc_bpr1_el1", 0);
    write!("icc_ctlr_el1", 0);
    write!("icc_igrpen1_el1", 1);
}

/// Returns what makes ICC_SGI1R_EL1 send the SGI to the CPU with affinity 0.0.0.`cpu`.
pub(crate) fn sgi_to(cpu: u64) -> u64 {
    u64::from(SGI) << 24 | 1 << cpu
}

/// Reads a register of the GIC.
pub(crate) fn get(register: usize) -> u32 {
    // SAFETY: callers pass registers of the distributor or of a redistributor.
    unsafe { core::ptr::with_exposed_provenance::<u32>(register).read_volatile() }
}

/// Writes a register of the GIC.
pub(crate) fn set(register: usize, value: u32) {
    // SAFETY: callers pass registers of the distributor or of a redistributor; these control
    // interrupts and hold no memory of ours.
    unsafe { core::ptr::with_exposed_provenance_mut::<u32>(register).write_volatile(value) };
}
