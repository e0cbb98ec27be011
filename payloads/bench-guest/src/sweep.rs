//! Every register of the distributor and of the own redistributor.

use crate::console::say;
use crate::gic::{self, GICR_STRIDE};
use crate::measure::repeat;

/// What a distributor takes of the address space.
const GICD_SIZE: usize = 0x1_0000;
/// Where the registers for private interrupts begin in a redistributor.
const SGI_FRAME: usize = 0x1_0000;
/// Where GICD_ICFGR, the last of the registers that are an array, ends.
const ARRAYS_END: usize = 0xd00;

/// Reads every 32-bit word of the two and prints what each cost: for all, for the dearest.
pub(crate) fn read_all() {
    read_frame("gicd", gic::gicd(), GICD_SIZE);
    read_frame("gicr", gic::gicr(), GICR_STRIDE);
}

fn read_frame(name: &str, base: usize, size: usize) {
    // The loop around a single read: what is left with nothing in it.
    let empty = repeat!(1u64, 0u64, "");
    let (mut sum, mut dearest, mut place, mut over) = (0, 0, 0, 0);
    for offset in (0..size).step_by(4) {
        let ticks = repeat!(1u64, (base + offset) as u64, "ldr w3, [x2]") - empty;
        sum += ticks;
        over += u64::from(ticks > 130);
        if ticks > dearest {
            (dearest, place) = (ticks, offset);
        }
    }
    let count = size / 4;
    say!("sweep {name} {count} {sum} {dearest} {place:#x} {over}");
}

/// Writes ones to all arrays of bits and fields, then what takes that back: the dearest of the
/// writes. Interrupts are masked; what is pending afterwards is made not pending.
pub(crate) fn write_all() {
    let empty = repeat!(1u64, 0u64, "");
    let (mut sum, mut dearest, mut place, mut count) = (0, 0, 0, 0);
    for base in [gic::gicd(), gic::gicr() + SGI_FRAME] {
        for offset in (0x80..ARRAYS_END).step_by(4) {
            let address = (base + offset) as u64;
            let ticks = repeat!(1u64, address, "mov w3, #-1", "str w3, [x2]") - empty;
            sum += ticks;
            count += 1;
            if ticks > dearest {
                (dearest, place) = (ticks, base + offset);
            }
        }
        // ICENABLER, ICPENDR, ICACTIVER.
        for array in [0x180, 0x280, 0x380] {
            for word in 0..32 {
                gic::set(base + array + word * 4, u32::MAX);
            }
        }
    }
    say!("sweep writes {count} {sum} {dearest} {place:#x} 0");
}
