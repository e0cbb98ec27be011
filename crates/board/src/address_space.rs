//! What the numbers in `reg` mean: cell counts, and the windows of buses.

use crate::error::{BoardError, PropertyValue};
use crate::tree::{Cells, Name, TreeNode};
use addr::{Pa, PaRange};
use alloc::rc::Rc;
use alloc::vec::Vec;

/// The most windows that a bus may have; one with more is not looked into.
const MAX_WINDOWS: usize = 64;

/// The most regions that one `reg` may have.
const MAX_REGIONS: usize = 256;

/// How the `reg` of a node's children is read (Devicetree Specification, 2.3.5 to 2.3.8).
#[derive(Clone)]
pub(crate) struct AddressSpace {
    cells: CellCounts,
    map: Map,
}

/// `#address-cells` and `#size-cells` as they stand in the tree: allegations.
#[derive(Clone, Copy)]
struct CellCounts {
    address: u32,
    size: u32,
}

/// How a bus address becomes a physical one.
#[derive(Clone)]
enum Map {
    /// They are the same.
    Identity,
    /// Through windows.
    Windows(Rc<[Window]>),
    /// Not at all: the children are not memory-mapped, or we don't understand how.
    None,
}

#[derive(Clone, Copy)]
struct Window {
    bus: u64,
    physical: PaRange,
}

impl AddressSpace {
    /// Makes a space in which no `reg` can be read.
    pub(crate) fn none() -> Self {
        Self {
            cells: CellCounts {
                address: 0,
                size: 0,
            },
            map: Map::None,
        }
    }

    /// Makes the space of the root's children: physical addresses.
    pub(crate) fn of_root(root: &TreeNode<'_>) -> Self {
        Self {
            cells: CellCounts::of(root),
            map: Map::Identity,
        }
    }

    /// Makes the space of the children of `bus`, which itself lies in `outer`.
    pub(crate) fn below(bus: &TreeNode<'_>, outer: &Self) -> Self {
        Self {
            cells: CellCounts::of(bus),
            map: Map::below(bus, outer).unwrap_or(Map::None),
        }
    }

    /// Reads `reg` of `node`, one of the children that this space is for.
    pub(crate) fn regions(&self, node: &TreeNode<'_>) -> Result<Vec<PaRange>, BoardError> {
        const WANTED: &str = "pairs of address and size, as many cells as the parent says";
        const CELLS_WANTED: &str = "read with #address-cells 1 or 2 and #size-cells 1 or 2";
        let cells = node
            .cells(Name::Reg, WANTED)?
            .ok_or_else(|| node.missing(Name::Reg, WANTED))?;
        let Some((address_cells, size_cells)) = self.cells.usable() else {
            let count = if self.cells.address == 1 || self.cells.address == 2 {
                self.cells.size
            } else {
                self.cells.address
            };
            return Err(node.bad(Name::Reg, PropertyValue::Number(count.into()), CELLS_WANTED));
        };
        let group = address_cells.saturating_add(size_cells);
        let count = cells.len().checked_div(group).unwrap_or(0);
        if count == 0 || count > MAX_REGIONS || count.checked_mul(group) != Some(cells.len()) {
            let length = cells.len().saturating_mul(4);
            return Err(node.bad(Name::Reg, PropertyValue::Bytes(length), WANTED));
        }
        cells
            .groups(group)
            .map(|cells| self.region(node, cells, address_cells))
            .collect()
    }

    fn region(
        &self,
        node: &TreeNode<'_>,
        cells: Cells<'_>,
        address_cells: usize,
    ) -> Result<PaRange, BoardError> {
        const WANTED: &str = "a region of at least one byte that ends within 64 bits";
        const MAPPED: &str = "within a window of the bus above, in ranges";
        let (start, size) = cells
            .split_at(address_cells)
            .and_then(|(start, size)| Some((start.number()?, size.number()?)))
            .unwrap_or_default();
        let value = PropertyValue::Region { start, size };
        let Ok(range) = PaRange::new(Pa::new(start), size) else {
            return Err(node.bad(Name::Reg, value, WANTED));
        };
        match self.map.translate(range) {
            Some(physical) => Ok(physical),
            None => Err(node.bad(Name::Reg, value, MAPPED)),
        }
    }
}

impl CellCounts {
    /// Reads the two properties, with the defaults of the specification.
    fn of(node: &TreeNode<'_>) -> Self {
        Self {
            address: count(node, Name::AddressCells, 2),
            size: count(node, Name::SizeCells, 1),
        }
    }

    /// Returns the counts if addresses and sizes have one or two cells.
    fn usable(self) -> Option<(usize, usize)> {
        let usable = |count: u32| match count {
            1 => Some(1),
            2 => Some(2),
            _ => None,
        };
        Some((usable(self.address)?, usable(self.size)?))
    }
}

/// Reads a count of cells; one that is not a cell itself becomes unusable.
fn count(node: &TreeNode<'_>, name: Name, default: u32) -> u32 {
    match node.property(name) {
        Some(_) => node.cell(name).unwrap_or(u32::MAX),
        None => default,
    }
}

impl Map {
    fn below(bus: &TreeNode<'_>, outer: &AddressSpace) -> Option<Self> {
        let ranges = bus.property(Name::Ranges)?;
        if ranges.is_empty() {
            return Some(outer.map.clone());
        }
        let (bus_cells, size_cells) = CellCounts::of(bus).usable()?;
        let (outer_cells, _) = outer.cells.usable()?;
        let (cells, rest) = ranges.as_chunks::<4>();
        let group = bus_cells
            .checked_add(outer_cells)?
            .checked_add(size_cells)?;
        if !rest.is_empty() || cells.len() > group.checked_mul(MAX_WINDOWS)? {
            return None;
        }
        let windows: Option<Vec<Window>> = cells
            .chunks_exact(group)
            .map(|cells| Window::read(Cells::new(cells), bus_cells, outer_cells, outer))
            .collect();
        Some(Self::Windows(windows?.into()))
    }

    fn translate(&self, range: PaRange) -> Option<PaRange> {
        match self {
            Self::Identity => Some(range),
            Self::Windows(windows) => windows.iter().find_map(|window| window.translate(range)),
            Self::None => None,
        }
    }
}

impl Window {
    fn read(
        cells: Cells<'_>,
        bus_cells: usize,
        outer_cells: usize,
        outer: &AddressSpace,
    ) -> Option<Self> {
        let (bus, rest) = cells.split_at(bus_cells)?;
        let (start, size) = rest.split_at(outer_cells)?;
        let range = PaRange::new(Pa::new(start.number()?), size.number()?).ok()?;
        Some(Self {
            bus: bus.number()?,
            physical: outer.map.translate(range)?,
        })
    }

    fn translate(&self, range: PaRange) -> Option<PaRange> {
        let offset = range.start().get().checked_sub(self.bus)?;
        let start = self.physical.start().get().checked_add(offset)?;
        let physical = PaRange::new(Pa::new(start), range.size()).ok()?;
        self.physical.contains_range(physical).then_some(physical)
    }
}
