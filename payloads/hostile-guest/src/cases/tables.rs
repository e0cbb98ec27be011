//! Groups A and B: what a guest's own translation makes possible.

use crate::access::{self, WIDTHS, expect_device};
use crate::exceptions::{Caught, EC_DATA_ABORT};
use crate::mmu::{self, Upper};
use crate::registers::write;
use crate::say;
use core::sync::atomic::{AtomicU64, Ordering};

/// Places that hold no memory, or a device's registers.
const PLACES: [u64; 8] = [
    0,
    0x0800_0000,
    0x080a_0000,
    0x0900_0000,
    0x0904_0000,
    0x4400_0000,
    0x7fff_f000,
    0xff_ffff_f000,
];

/// DFSC of faults of a walk at levels 0 to 3: address size, translation, external abort on a walk.
fn is_walk_fault(status: u64) -> bool {
    matches!(status, 0x00..=0x07 | 0x14..=0x17)
}

/// Walks tables in no memory and in devices.
pub(crate) fn nowhere() {
    for place in PLACES {
        for upper in [Upper::TableAt(place), Upper::SecondTableAt(place)] {
            mmu::with(upper, |base| {
                let outcomes = [
                    access::load(base, 8).map(|_| ()),
                    access::load(base + 0xff8, 4).map(|_| ()),
                    access::store(base + 0x1000, 8, u64::MAX),
                ];
                for outcome in outcomes {
                    // A device's register may read as a descriptor that is no valid one, but it
                    // must not be read at all: hardware reads tables, nobody emulates that.
                    expect_walk_fault(outcome, upper);
                }
                assert!(access::fetch(base).is_some(), "{upper:x?}");
            });
        }
    }
}

fn expect_walk_fault(outcome: Result<(), Caught>, upper: Upper) {
    match outcome {
        Ok(()) => panic!("{upper:x?} can be accessed"),
        Err(caught) => {
            assert_eq!(caught.class(), EC_DATA_ABORT, "{upper:x?}: {caught:x?}");
            let status = caught.fault_status();
            // On a walk, or in general: stage 2 does not say at which level the walk was.
            assert!(
                matches!(status, 0x10 | 0x14..=0x17),
                "{upper:x?}: {caught:x?}"
            );
        }
    }
}

/// Turns the MMU on with tables that are in no memory: nothing can be fetched any more.
pub(crate) fn none() {
    say!("tables in no memory");
    mmu::prepare(Upper::DevicesAsNormal);
    write!("ttbr0_el1", 0x7fff_0000);
    write!("sctlr_el1", 1);
}

/// Maps blocks whose address has bits that stage 2 does not translate.
pub(crate) fn high_output() {
    for bit in 36..48 {
        let upper = Upper::BlockAt(0x4000_0000 | 1 << bit);
        mmu::with(upper, |base| match access::load(base + 0x8_0000, 8) {
            Ok(value) => panic!("{upper:x?} is an alias: {value:#x}"),
            Err(caught) => {
                assert_eq!(caught.class(), EC_DATA_ABORT, "{upper:x?}: {caught:x?}");
                let status = caught.fault_status();
                assert!(
                    is_walk_fault(status) || status == 0x10,
                    "{upper:x?}: {caught:x?}"
                );
            }
        });
    }
}

static SHARED: AtomicU64 = AtomicU64::new(0);

/// Writes and reads one word as Normal and as Device memory.
pub(crate) fn aliases() {
    mmu::with(Upper::RamAsDevice, |base| {
        let offset = (&raw const SHARED).addr() as u64 - 0x4000_0000;
        for value in 1..1000 {
            SHARED.store(value, Ordering::SeqCst);
            // SAFETY: cleans one line to the point of coherency, as a guest with mismatched
            // attributes owes.
            unsafe {
                core::arch::asm!("dc civac, {}", "dsb sy", in(reg) SHARED.as_ptr(), options(nostack));
            }
            assert_eq!(access::load(base + offset, 8).ok(), Some(value));
        }
    });
}

/// The devices' frames, and how large they are.
const FRAMES: [(u64, u64); 4] = [
    (0x0800_0000, 0x1_0000),
    (0x080a_0000, 0x2_0000),
    (0x0900_0000, 0x1000),
    (0x0901_0000, 0x1000),
];

/// Accesses devices at odd addresses.
pub(crate) fn unaligned() {
    mmu::with(Upper::DevicesAsNormal, |base| {
        for (frame, size) in FRAMES {
            for offset in (0..64).chain(0xfc0..0x1000).chain(size - 64..size - 8) {
                for width in WIDTHS {
                    // The panic notifier's only register ends the VM when it is written, and the
                    // UART's first ones print.
                    let address = base + frame + offset;
                    expect_device(&access::load(address, width), address);
                    if frame < 0x0900_0000 {
                        expect_device(&access::store(address, width, 0), address);
                    }
                }
            }
        }
    });
    super::interrupts::check_usable();
}

/// Accesses that begin in one page or region and end in another.
pub(crate) fn region_ends() {
    mmu::with(Upper::DevicesAsNormal, |base| {
        for (frame, size) in FRAMES {
            for end in [0x1000, size] {
                for before in 1..8 {
                    for width in WIDTHS.into_iter().filter(|width| *width > before) {
                        let address = base + frame + end - before;
                        expect_device(&access::load(address, width), address);
                        expect_device(&access::store(address, width, 0), address);
                    }
                }
            }
            let address = base + frame - 4;
            expect_device(&access::load(address, 8), address);
            expect_device(&access::store(address, 8, 0), address);
        }
    });
    super::interrupts::check_usable();
}
