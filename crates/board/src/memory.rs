//! RAM, and what of it is taken.

use crate::Board;
use crate::error::{BoardError, PropertyValue};
use crate::tree::{Tree, TreeNode};
use addr::{PAGE_SIZE, Pa, PaRange};
use alloc::vec::Vec;

/// The most banks of RAM, and the most reserved regions, that are accepted.
const MAX_REGIONS: usize = 1024;

/// Returns the RAM that nothing uses yet, in whole pages, sorted by address: the banks without what
/// the firmware reserved, without the image of the hypervisor, the device tree and the initial
/// RAM disk of /chosen (in which the loader hands over the archive of guests).
#[must_use]
pub fn usable_ram(board: &Board, image: PaRange, dtb: PaRange) -> Vec<PaRange> {
    let taken = board
        .reserved
        .iter()
        .copied()
        .chain([image, dtb])
        .chain(board.chosen.initrd);
    let mut free: Vec<PaRange> = board
        .ram
        .iter()
        .filter_map(|bank| bank.shrink_to(PAGE_SIZE))
        .collect();
    for hole in taken {
        // A hole at the very end of 64 bits can't grow; no RAM lies there.
        let hole = hole.grow_to(PAGE_SIZE).unwrap_or(hole);
        free = free
            .into_iter()
            .flat_map(|range| range.without(hole))
            .flatten()
            .collect();
    }
    free
}

/// Reads all enabled memory nodes (Devicetree Specification, 3.4), sorted by address.
pub(crate) fn ram(tree: &Tree<'_>) -> Result<Vec<PaRange>, BoardError> {
    const WANTED: &str = "at most 1024 banks of RAM in all";
    let mut banks = Vec::new();
    for node in tree.root().children() {
        let node = node?;
        let is_memory = node.property("device_type") == Some(b"memory\0");
        if !is_memory || !node.is_enabled() {
            continue;
        }
        append(&mut banks, &node, WANTED)?;
    }
    if banks.is_empty() {
        return Err(BoardError::MissingNode {
            wanted: "node with device_type \"memory\" and a region in reg",
        });
    }
    banks.sort_unstable();
    let pairs = banks.iter().zip(banks.iter().skip(1));
    for (first, second) in pairs {
        if first.overlaps(*second) {
            return Err(BoardError::Overlap {
                first: *first,
                second: *second,
                what: "banks of RAM",
            });
        }
    }
    Ok(banks)
}

/// Reads the memory reservation block and /reserved-memory (Devicetree Specification, 5.3 and
/// 3.5): sorted, with what overlaps or touches made one.
pub(crate) fn reserved(tree: &Tree<'_>) -> Result<Vec<PaRange>, BoardError> {
    const WANTED: &str = "at most 1024 reserved regions in all";
    let mut regions = Vec::new();
    for (start, size) in tree.memory_reservations() {
        if size == 0 {
            continue;
        }
        let region = PaRange::new(Pa::new(start), size);
        match region {
            Ok(region) if regions.len() < MAX_REGIONS => regions.push(region),
            Ok(_) | Err(_) => {
                return Err(tree.root().bad(
                    "/memreserve/",
                    PropertyValue::Region { start, size },
                    "a region that ends within 64 bits, one of at most 1024",
                ));
            }
        }
    }
    if let Some(parent) = tree.find("/reserved-memory")? {
        for node in parent.children() {
            let node = node?;
            // Without `reg` the region is one that the OS may place itself: nothing is there yet.
            if node.is_enabled() && node.property("reg").is_some() {
                append(&mut regions, &node, WANTED)?;
            }
        }
    }
    Ok(merge(regions))
}

fn append(
    regions: &mut Vec<PaRange>,
    node: &TreeNode<'_>,
    wanted: &'static str,
) -> Result<(), BoardError> {
    regions.extend(node.regions()?);
    if regions.len() > MAX_REGIONS {
        let count = u64::try_from(regions.len()).unwrap_or(u64::MAX);
        return Err(node.bad("reg", PropertyValue::Number(count), wanted));
    }
    Ok(())
}

fn merge(mut regions: Vec<PaRange>) -> Vec<PaRange> {
    regions.sort_unstable();
    let mut merged: Vec<PaRange> = Vec::new();
    for region in regions {
        if let Some(last) = merged.last_mut()
            && region.start() <= last.end()
        {
            let end = last.end().max(region.end());
            *last = PaRange::between(last.start(), end).unwrap_or(*last);
            continue;
        }
        merged.push(region);
    }
    merged
}

/// Reads an address that a property gives in one or two cells.
pub(crate) fn address(
    node: &TreeNode<'_>,
    name: &'static str,
    wanted: &'static str,
) -> Result<Option<Pa>, BoardError> {
    let Some(cells) = node.cells(name, wanted)? else {
        return Ok(None);
    };
    match cells.number() {
        Some(value) if cells.len() > 0 => Ok(Some(Pa::new(value))),
        Some(_) | None => {
            let length = cells.len().saturating_mul(4);
            Err(node.bad(name, PropertyValue::Bytes(length), wanted))
        }
    }
}

/// Makes a range of two addresses; the error names the property that gave `end`.
pub(crate) fn between(
    node: &TreeNode<'_>,
    start: Pa,
    end: Pa,
    end_name: &'static str,
    wanted: &'static str,
) -> Result<PaRange, BoardError> {
    PaRange::between(start, end)
        .ok_or_else(|| node.bad(end_name, PropertyValue::Number(end.get()), wanted))
}
