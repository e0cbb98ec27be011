//! RAM, and what of it is taken.

use crate::Board;
use crate::error::{BoardError, PropertyValue};
use crate::tree::{Name, Tree, TreeNode};
use addr::{PAGE_SIZE, Pa, PaRange};
use alloc::string::String;
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

/// Collects RAM and what is reserved.
#[derive(Default)]
pub(crate) struct Memory {
    banks: Vec<PaRange>,
    reserved: Vec<PaRange>,
}

impl Memory {
    /// Begins with the memory reservation block (Devicetree Specification, 5.3).
    pub(crate) fn new(tree: &Tree<'_>) -> Result<Self, BoardError> {
        let mut reserved = Vec::new();
        for (start, size) in tree.memory_reservations() {
            if size == 0 {
                continue;
            }
            let region = PaRange::new(Pa::new(start), size);
            match region {
                Ok(region) if reserved.len() < MAX_REGIONS => reserved.push(region),
                Ok(_) | Err(_) => {
                    return Err(BoardError::BadProperty {
                        node: String::from("/"),
                        property: "/memreserve/",
                        value: PropertyValue::Region { start, size },
                        wanted: "a region that ends within 64 bits, one of at most 1024",
                    });
                }
            }
        }
        Ok(Self {
            banks: Vec::new(),
            reserved,
        })
    }

    /// Takes a child of the root: it may be a memory node (Devicetree Specification, 3.4).
    pub(crate) fn add_bank(&mut self, node: &TreeNode<'_>) -> Result<(), BoardError> {
        const WANTED: &str = "at most 1024 banks of RAM in all";
        if node.property(Name::DeviceType) == Some(b"memory\0") && node.is_enabled() {
            append(&mut self.banks, node, WANTED)?;
        }
        Ok(())
    }

    /// Takes a child of /reserved-memory (Devicetree Specification, 3.5).
    pub(crate) fn add_reserved(&mut self, node: &TreeNode<'_>) -> Result<(), BoardError> {
        const WANTED: &str = "at most 1024 reserved regions in all";
        // Without `reg` the region is one that the OS may place itself: nothing is there yet.
        if node.is_enabled() && node.property(Name::Reg).is_some() {
            append(&mut self.reserved, node, WANTED)?;
        }
        Ok(())
    }

    /// Returns the banks of RAM, sorted, and the reserved regions: sorted, with what overlaps or
    /// touches made one.
    pub(crate) fn finish(self) -> Result<(Vec<PaRange>, Vec<PaRange>), BoardError> {
        let mut banks = self.banks;
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
        Ok((banks, merge(self.reserved)))
    }
}

fn append(
    regions: &mut Vec<PaRange>,
    node: &TreeNode<'_>,
    wanted: &'static str,
) -> Result<(), BoardError> {
    regions.extend(node.regions()?);
    if regions.len() > MAX_REGIONS {
        let count = u64::try_from(regions.len()).unwrap_or(u64::MAX);
        return Err(node.bad(Name::Reg, PropertyValue::Number(count), wanted));
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
    name: Name,
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
    end_name: Name,
    wanted: &'static str,
) -> Result<PaRange, BoardError> {
    PaRange::between(start, end)
        .ok_or_else(|| node.bad(end_name, PropertyValue::Number(end.get()), wanted))
}
