//! Invalidation of the TLBs of all CPUs.

use crate::cpu::ThisCpu;
use crate::sysreg::{self, dsb, isb};
use addr::PAGE_SIZE;
use machine::{Invalidation, Tlb};

/// More pages than this in a range, and the whole VMID is dropped: the time in EL2 stays bounded.
const MOST_PAGES: u64 = 512;

impl Tlb for ThisCpu {
    fn invalidate(&mut self, invalidation: Invalidation) {
        match invalidation {
            Invalidation::All => broadcast(|| {
                // SAFETY: drops cached translations of EL1&0; EL2's own are not concerned.
                unsafe { core::arch::asm!("tlbi alle1is", options(nostack, preserves_flags)) }
            }),
            Invalidation::Vmid { vmid } => with_vmid(vmid, invalidate_vmid),
            Invalidation::Range { vmid, range } => with_vmid(vmid, || {
                if range.pages() > MOST_PAGES {
                    invalidate_vmid();
                } else {
                    invalidate_pages(range.start().get(), range.pages());
                }
            }),
        }
    }
}

fn invalidate_vmid() {
    broadcast(|| {
        // SAFETY: as above, for the VMID in VTTBR_EL2.
        unsafe { core::arch::asm!("tlbi vmalls12e1is", options(nostack, preserves_flags)) }
    });
}

fn invalidate_pages(start: u64, pages: u64) {
    // SAFETY: a barrier: the changed descriptors are visible before the invalidation.
    unsafe { core::arch::asm!("dsb ishst", options(nostack, preserves_flags)) };
    // As in `broadcast`, all of it twice.
    for _ in 0..2 {
        for page in 0..pages {
            let operand = (start + page * PAGE_SIZE) >> 12;
            // SAFETY: drops cached stage 2 translations of one page of the VMID in VTTBR_EL2.
            unsafe {
                core::arch::asm!("tlbi ipas2e1is, {}", in(reg) operand, options(nostack, preserves_flags));
            }
        }
        dsb();
    }
    // Combined entries are tagged by virtual address: all of the VMID's stage 1 entries go
    // (Arm ARM, D8.17.5.2).
    broadcast(|| {
        // SAFETY: as above.
        unsafe { core::arch::asm!("tlbi vmalle1is", options(nostack, preserves_flags)) }
    });
}

/// Issues one TLBI to all CPUs and waits. Many cores need the TLBI and the DSB twice
/// (CVE-2025-10263); this is the one place that does so.
fn broadcast(tlbi: impl Fn()) {
    // SAFETY: a barrier: the changed descriptors are visible before the invalidation.
    unsafe { core::arch::asm!("dsb ishst", options(nostack, preserves_flags)) };
    for _ in 0..2 {
        tlbi();
        dsb();
    }
    isb();
}

/// Runs `invalidate` with `vmid` in VTTBR_EL2, then puts the loaded vCPU's back.
fn with_vmid(vmid: u16, invalidate: impl FnOnce()) {
    let loaded = sysreg::read!("vttbr_el2");
    let wanted = u64::from(vmid) << 48;
    if loaded >> 48 == u64::from(vmid) {
        invalidate();
        return;
    }
    // A walk that is speculated meanwhile could cache another VM's tables under this VMID. So the
    // root is one of EL2's own empty pages, which gives nothing but faults.
    sysreg::write!("vttbr_el2", wanted | crate::memory::empty_root());
    isb();
    invalidate();
    sysreg::write!("vttbr_el2", loaded);
    isb();
}
