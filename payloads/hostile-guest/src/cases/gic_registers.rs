//! Group E: every register of the interrupt controller.

use super::interrupts::check_usable;
use crate::access::{self, WIDTHS, expect_device};
use crate::gic::{GICD_BASE, GICR_BASE, GICR_STRIDE};
use crate::{machine, smp};
use core::sync::atomic::{AtomicBool, Ordering};

const DISTRIBUTOR_SIZE: usize = 0x1_0000;

fn sweep(frame: usize, offsets: impl Iterator<Item = usize>) {
    for offset in offsets {
        let address = (frame + offset) as u64;
        for width in WIDTHS {
            expect_device(&access::load(address, width), address);
            for value in [u64::MAX, 0, 0x5555_5555_5555_5555] {
                expect_device(&access::store(address, width, value), address);
            }
        }
    }
}

/// Each word of the distributor: INTIDs 0 to 1019 have bits, bytes or words in it, and so have those
/// that do not exist.
pub(crate) fn distributor() {
    sweep(GICD_BASE, (0..DISTRIBUTOR_SIZE).step_by(4));
    check_usable();
}

/// Each word of the own redistributor.
pub(crate) fn redistributor() {
    sweep(GICR_BASE, (0..GICR_STRIDE).step_by(4));
    check_usable();
}

static STOP: AtomicBool = AtomicBool::new(false);

/// The other vCPUs' redistributors, while they are off and while they run, and the place behind the
/// last one.
pub(crate) fn others() {
    let used = || {
        (0..0x100)
            .step_by(4)
            .chain((0x1_0000..0x1_0d00).step_by(4))
            .chain([0xffe8])
    };
    for cpu in 1..machine::cpu_count() {
        sweep(GICR_BASE + GICR_STRIDE * cpu, used());
    }
    STOP.store(false, Ordering::SeqCst);
    smp::start(1, |_| {
        let mut round = 0u64;
        while !STOP.load(Ordering::SeqCst) {
            // It does the same to the first one, at the same time.
            let address = (GICR_BASE + 0x1_0400) as u64;
            let _ = access::store(address, 4, round);
            let _ = access::load(address, 4);
            round += 1;
        }
    });
    sweep(GICR_BASE + GICR_STRIDE, used());
    STOP.store(true, Ordering::SeqCst);
    smp::join(1);
    let end = (GICR_BASE + GICR_STRIDE * machine::cpu_count()) as u64;
    for width in WIDTHS {
        expect_device(&access::load(end, width), end);
        expect_device(&access::store(end, width, u64::MAX), end);
    }
    check_usable();
}
