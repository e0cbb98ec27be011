//! EL2's own stage 1 tables: one range of 48-bit addresses, 4 KiB granule, W^X.
//!
//! Mappings are only ever added, but for the windows into guest memory (`memory.rs`), so no entry
//! that is in use ever changes and no break-before-make is owed.

use crate::boot::{self, MAIR_DEVICE, MAIR_NORMAL};
use crate::layout;
use crate::sysreg::{self, dsb};
use core::sync::atomic::{AtomicU64, Ordering};

/// Descriptors in a table.
const ENTRIES: u64 = 512;
/// The bits of a descriptor that hold an address.
const ADDRESS: u64 = 0x0000_ffff_ffff_f000;
/// A valid descriptor for a table, or for a page at level 3.
const TABLE_OR_PAGE: u64 = 3;
/// A valid descriptor for a block at level 1 or 2.
const BLOCK: u64 = 1;
/// Access flag, inner shareable, AP\[1\] (RES1).
const COMMON: u64 = 1 << 10 | 3 << 8 | 1 << 6;
const READ_ONLY: u64 = 1 << 7;
const EXECUTE_NEVER: u64 = 1 << 54;
/// Guarded page: an indirect branch must land on a landing pad (FEAT_BTI).
const GUARDED: u64 = 1 << 50;

/// Physical address of the tables that all CPUs run on, once they are complete.
pub(crate) static FINAL_ROOT: AtomicU64 = AtomicU64::new(0);
/// Physical address of the image.
static IMAGE_PA: AtomicU64 = AtomicU64::new(0);

/// What a mapping may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Instructions: readable and executable.
    Code,
    /// Constants, the device tree, the archive.
    ReadOnly,
    /// Variables, stacks, heap.
    Data,
    /// Device registers.
    Device,
}

impl Use {
    pub(crate) fn attributes(self) -> u64 {
        let normal = COMMON | MAIR_NORMAL << 2;
        match self {
            Self::Code => normal | READ_ONLY | guarded(),
            Self::ReadOnly => normal | READ_ONLY | EXECUTE_NEVER,
            Self::Data => normal | EXECUTE_NEVER,
            Self::Device => COMMON | MAIR_DEVICE << 2 | EXECUTE_NEVER,
        }
    }
}

/// Returns the bit of a guarded page, where the CPU has it (ID_AA64PFR1_EL1.BT).
fn guarded() -> u64 {
    if sysreg::read!("id_aa64pfr1_el1") & 0xf == 0 {
        0
    } else {
        GUARDED
    }
}

/// Builds the tables that map the image with the rights each part needs, and changes to them. The
/// early heap has been started.
pub(crate) fn start(image_pa: u64) {
    IMAGE_PA.store(image_pa, Ordering::Relaxed);
    let root = new_table();
    FINAL_ROOT.store(table_pa(root), Ordering::Release);
    let bounds = boot::image_bounds();
    let parts = [
        (bounds.start, bounds.text_start, Use::ReadOnly),
        (bounds.text_start, bounds.text_end, Use::Code),
        (bounds.text_end, bounds.rodata_end, Use::ReadOnly),
        (bounds.rodata_end, bounds.end, Use::Data),
    ];
    for (from, to, usage) in parts {
        // The page below the boot stack stays unmapped: it guards the stack.
        let guard = boot_stack_guard();
        if (from..to).contains(&guard) {
            map(from, image_to_pa(from), guard - from, usage);
            map(
                guard + 0x1000,
                image_to_pa(guard + 0x1000),
                to - guard - 0x1000,
                usage,
            );
        } else {
            map(from, image_to_pa(from), to - from, usage);
        }
    }
    dsb();
    // SAFETY: the new tables map the image, where this code, its stack and its data lie, at the
    // same addresses to the same memory with no fewer rights than each part's use needs.
    unsafe { boot::bk_enter_final_tables(FINAL_ROOT.load(Ordering::Acquire)) };
}

unsafe extern "C" {
    static __boot_stack_guard: u8;
}

fn boot_stack_guard() -> u64 {
    (&raw const __boot_stack_guard).addr() as u64
}

/// Returns where an address of the image lies physically.
pub(crate) fn image_to_pa(virtual_address: u64) -> u64 {
    virtual_address - layout::IMAGE + IMAGE_PA.load(Ordering::Relaxed)
}

/// What is done where something is mapped already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Occupied {
    /// That is a mistake of ours.
    Refused,
    /// It stays.
    Kept,
}

/// Maps `size` bytes at `virtual_address` to `physical`; all are multiples of 4 KiB, and nothing is
/// mapped there yet. Uses 2 MiB blocks where both addresses allow it.
pub(crate) fn map(virtual_address: u64, physical: u64, size: u64, usage: Use) {
    fill(virtual_address, physical, size, usage, Occupied::Refused);
}

/// As [`map`], but for what is mapped already, which stays.
pub(crate) fn map_missing(virtual_address: u64, physical: u64, size: u64, usage: Use) {
    fill(virtual_address, physical, size, usage, Occupied::Kept);
}

/// Fills one table after the other: the way from the root is gone once for each.
fn fill(virtual_address: u64, physical: u64, size: u64, usage: Use, occupied: Occupied) {
    let mut done = 0;
    while done < size {
        let (va, pa) = (virtual_address + done, physical + done);
        done += match step(va, pa, size - done, occupied) {
            Step::Blocks => fill_table(va, pa, size - done, (2, BLOCK), usage, occupied),
            Step::Pages => fill_table(va, pa, size - done, (3, TABLE_OR_PAGE), usage, occupied),
            Step::Skip(bytes) => bytes,
        };
    }
    dsb();
    crate::sysreg::isb();
}

/// What the next mapping is made of.
enum Step {
    Blocks,
    Pages,
    /// Nothing is missing for so many bytes.
    Skip(u64),
}

fn step(va: u64, pa: u64, left: u64, occupied: Occupied) -> Step {
    let is_whole = (va | pa).is_multiple_of(layout::WINDOW_SIZE) && left >= layout::WINDOW_SIZE;
    match occupied {
        Occupied::Refused if is_whole => Step::Blocks,
        Occupied::Refused => Step::Pages,
        Occupied::Kept => match entry(va, 2).load(Ordering::Relaxed) {
            0 if is_whole => Step::Blocks,
            value if value & TABLE_OR_PAGE == BLOCK => {
                Step::Skip(layout::WINDOW_SIZE - va % layout::WINDOW_SIZE)
            }
            _ => Step::Pages,
        },
    }
}

/// Writes descriptors of one table, up to its end, as far as `left` bytes fill them and, where what
/// is mapped is kept, one block at a time; returns how many bytes that is.
fn fill_table(
    va: u64,
    pa: u64,
    left: u64,
    (level, kind): (u32, u64),
    usage: Use,
    occupied: Occupied,
) -> u64 {
    let size = 1 << (39 - 9 * level);
    let table = table(va, level);
    let first = index(va, level);
    let most = if kind == BLOCK && occupied == Occupied::Kept {
        // The next block may be a table already.
        1
    } else {
        left / size
    };
    let entries = table[first..].iter().take(most as usize);
    let mut descriptor = pa | usage.attributes() | kind;
    let count = entries.len() as u64;
    for entry in entries {
        let is_free = entry.load(Ordering::Relaxed) == 0;
        assert!(
            is_free || occupied == Occupied::Kept,
            "{va:#x} or above is mapped twice at EL2"
        );
        if is_free {
            entry.store(descriptor, Ordering::Relaxed);
        }
        descriptor += size;
    }
    count * size
}

/// Returns the descriptor that maps `virtual_address` at `level`, making the tables above it.
pub(crate) fn entry(virtual_address: u64, level: u32) -> &'static AtomicU64 {
    &table(virtual_address, level)[index(virtual_address, level)]
}

/// Returns the table of `level` that `virtual_address` is looked up in, making it if need be.
fn table(virtual_address: u64, level: u32) -> &'static Table {
    let mut table = table_va(FINAL_ROOT.load(Ordering::Acquire));
    for above in 0..level {
        let entry = &table[index(virtual_address, above)];
        let value = entry.load(Ordering::Relaxed);
        table = if value == 0 {
            let new = new_table();
            dsb();
            entry.store(table_pa(new) | TABLE_OR_PAGE, Ordering::Relaxed);
            new
        } else {
            assert!(
                value & TABLE_OR_PAGE == TABLE_OR_PAGE,
                "{virtual_address:#x} lies in a block that is mapped at EL2"
            );
            table_va(value & ADDRESS)
        };
    }
    table
}

fn index(virtual_address: u64, level: u32) -> usize {
    (virtual_address >> (39 - 9 * level) & (ENTRIES - 1)) as usize
}

type Table = [AtomicU64; ENTRIES as usize];

fn new_table() -> &'static Table {
    crate::memory::leak_zeroed_page()
}

/// Returns where EL2's own memory, image or heap, lies physically.
pub(crate) fn own_to_pa(address: u64) -> u64 {
    if address >= layout::OWNED {
        address - layout::OWNED
    } else {
        image_to_pa(address)
    }
}

/// Returns the address of EL2's own memory, image or heap, that lies at `physical`.
pub(crate) fn own_from_pa(physical: u64) -> u64 {
    let bounds = boot::image_bounds();
    let image = image_to_pa(bounds.start);
    if (image..image + (bounds.end - bounds.start)).contains(&physical) {
        physical - image + layout::IMAGE
    } else {
        physical + layout::OWNED
    }
}

fn table_pa(table: &'static Table) -> u64 {
    own_to_pa(table.as_ptr().addr() as u64)
}

fn table_va(physical: u64) -> &'static Table {
    let address = own_from_pa(physical);
    // SAFETY: `physical` comes from a descriptor that `entry` or `start` made from a table of
    // `new_table`, which lives forever, and was mapped there when it was made; entries are atomics.
    unsafe { &*(address as *const Table) }
}
