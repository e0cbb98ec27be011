//! What the device tree says: the command line and the CPUs.

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use dtoolkit::fdt::Fdt;
use dtoolkit::{Node, Property};

/// The most CPUs that the guest has stacks for.
pub const MAX_CPUS: usize = 8;

static AFFINITIES: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Reads the tree and returns the command line. CPUs beyond [`MAX_CPUS`] are not used.
///
/// # Safety
/// `tree` is null, or the start of a flattened device tree that nothing ever writes.
pub unsafe fn discover(tree: *const u8) -> Result<&'static str, &'static str> {
    if tree.is_null() {
        return Err("x0 is 0");
    }
    // SAFETY: not null, so that by the caller's contract this is a tree which lives for ever.
    let tree: Fdt<'static> = unsafe { Fdt::from_raw(tree) }.map_err(|_| "it is malformed")?;
    let cpus = tree.find_node("/cpus").ok_or("it has no /cpus")?;
    let mut count = 0;
    for cpu in cpus.children() {
        let Some(reg) = cpu.property("reg") else {
            continue;
        };
        let affinity = match *reg.value() {
            [a, b, c, d] => u64::from(u32::from_be_bytes([a, b, c, d])),
            [a, b, c, d, e, f, g, h] => u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            _ => return Err("a CPU's reg has neither one nor two cells"),
        };
        if let Some(slot) = AFFINITIES.get(count) {
            slot.store(affinity, Ordering::Release);
            count += 1;
        }
    }
    COUNT.store(count, Ordering::Release);
    let chosen = tree.find_node("/chosen");
    let bootargs = chosen.and_then(|node| node.property("bootargs"));
    match bootargs {
        Some(bootargs) => bootargs.value_as().map_err(|_| "bootargs is no string"),
        None => Ok(""),
    }
}

/// Returns how many CPUs there are.
pub fn cpu_count() -> usize {
    COUNT.load(Ordering::Acquire)
}

/// Returns the affinity of CPU `index`.
pub fn affinity(index: usize) -> u64 {
    AFFINITIES[index].load(Ordering::Acquire)
}

/// Returns the index of the CPU that runs this.
pub fn this_cpu() -> usize {
    crate::registers::read!("tpidr_el1") as usize
}
