//! Stage 1 translation: the memory as it is, the memory with other attributes, and tables in places
//! where no table can be.

use crate::registers::{read, write};
use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};

/// Where TTBR1_EL1's addresses begin with 39 bits.
const HIGH: u64 = 0xffff_ff80_0000_0000;
const GIB: u64 = 1 << 30;

/// MAIR_EL1: attribute 0 is Device-nGnRnE, 1 is Normal write-back.
const MAIR: u64 = 0xff << 8;
const DEVICE: u64 = 0;
const NORMAL: u64 = 1 << 2;

/// A valid block: access flag, inner shareable.
const BLOCK: u64 = 1 | 1 << 10 | 3 << 8;
const TABLE: u64 = 3;
/// Privileged and unprivileged execute-never.
const NEVER: u64 = 3 << 53;

/// TCR_EL1 without IPS: 39 bits in both halves, 4 KiB granules, walks cacheable and shareable.
const TCR: u64 = 25 | 1 << 8 | 1 << 10 | 3 << 12 | 25 << 16 | 1 << 24 | 1 << 26 | 3 << 28 | 2 << 30;

/// SCTLR_EL1: M, C and I.
const ENABLE: u64 = 1 | 1 << 2 | 1 << 12;

#[repr(C, align(4096))]
struct Table([AtomicU64; 512]);

static LOW: Table = Table([const { AtomicU64::new(0) }; 512]);
static UP: Table = Table([const { AtomicU64::new(0) }; 512]);
static NEXT: Table = Table([const { AtomicU64::new(0) }; 512]);

/// What stands behind an address of the upper half.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Upper {
    /// The devices, as Normal memory: unaligned accesses reach them.
    DevicesAsNormal,
    /// The RAM, as Device memory.
    RamAsDevice,
    /// What a table says that is at this address; the walk goes on there at level 2.
    TableAt(u64),
    /// What a table in RAM says, whose next table is at this address; the walk goes on at level 3.
    SecondTableAt(u64),
    /// A block at this address.
    BlockAt(u64),
}

/// Runs `work` with the MMU on and the memory mapped as it is, and `upper` behind the address that it
/// is given.
pub(crate) fn with(upper: Upper, work: impl FnOnce(u64)) {
    prepare(upper);
    let before = read!("sctlr_el1");
    write!("sctlr_el1", before | ENABLE);
    work(HIGH);
    write!("sctlr_el1", before);
}

/// Makes the tables and loads their registers, with the MMU off.
pub(crate) fn prepare(upper: Upper) {
    LOW.0[0].store(BLOCK | DEVICE | NEVER, Ordering::Relaxed);
    LOW.0[1].store(GIB | BLOCK | NORMAL, Ordering::Relaxed);
    let next = NEXT.0.as_ptr().addr() as u64;
    let entry = match upper {
        Upper::DevicesAsNormal => BLOCK | NORMAL | NEVER,
        Upper::RamAsDevice => GIB | BLOCK | DEVICE,
        Upper::TableAt(address) => address | TABLE,
        Upper::SecondTableAt(address) => {
            NEXT.0[0].store(address | TABLE, Ordering::Relaxed);
            next | TABLE
        }
        Upper::BlockAt(address) => address | BLOCK | NORMAL,
    };
    UP.0[0].store(entry, Ordering::Relaxed);
    write!("mair_el1", MAIR);
    let size = read!("id_aa64mmfr0_el1") & 0xf;
    write!("tcr_el1", TCR | size << 32);
    write!("ttbr0_el1", LOW.0.as_ptr().addr() as u64);
    write!("ttbr1_el1", UP.0.as_ptr().addr() as u64);
    // SAFETY: drops cached translations; the tables map the program as it is.
    unsafe {
        asm!(
            "dsb ish",
            "tlbi vmalle1",
            "dsb ish",
            "isb",
            options(nostack)
        )
    };
}
