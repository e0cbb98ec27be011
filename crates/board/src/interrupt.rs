//! The GICv3, interrupt specifiers and the timers' interrupts.

use crate::error::{BoardError, PropertyValue};
use crate::tree::{Cells, Name, TreeNode};
use addr::{IntId, PaRange};
use alloc::vec::Vec;

/// Size in bytes of a GICv3 redistributor: its RD and SGI frames (IHI0069, 12.10).
const REDISTRIBUTOR_SIZE: u64 = 128 * 1024;

/// Size in bytes of a frame of the GIC.
const FRAME_SIZE: u64 = 64 * 1024;

/// The GICv3 (Linux, Documentation/devicetree/bindings/interrupt-controller/arm,gic-v3.yaml).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gic {
    /// The distributor's registers.
    pub distributor: PaRange,
    /// The regions in which the redistributors lie one after the other; GICR_TYPER tells which CPU
    /// each belongs to.
    pub redistributor_regions: Vec<PaRange>,
    /// Distance in bytes from one redistributor to the next, where it is not what GICR_TYPER says.
    pub redistributor_stride: Option<u64>,
    /// The maintenance interrupt of the virtual CPU interface; absent where EL2 is hidden.
    pub maintenance: Option<IntId>,
}

/// The interrupts of each CPU's generic timers
/// (Linux, Documentation/devicetree/bindings/timer/arm,arch_timer.yaml).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// EL3's, or Secure EL1's, physical timer.
    pub secure_physical: IntId,
    /// EL1's physical timer.
    pub physical: IntId,
    /// EL1's virtual timer.
    pub virtual_timer: IntId,
    /// EL2's physical timer.
    pub hypervisor: IntId,
    /// EL2's virtual timer (FEAT_VHE); absent in many trees.
    pub hypervisor_virtual: Option<IntId>,
}

/// What it takes to read the interrupts of a node that is wired to the GIC.
pub(crate) struct InterruptDomain {
    phandle: Option<u32>,
    specifier_cells: usize,
}

/// Reads the GIC's node. `cpus` redistributors must fit in its regions.
pub(crate) fn gic(
    node: Option<&TreeNode<'_>>,
    cpus: usize,
) -> Result<(Gic, InterruptDomain), BoardError> {
    let node = node.ok_or(BoardError::MissingNode {
        wanted: "node compatible with \"arm,gic-v3\"",
    })?;
    let domain = InterruptDomain::of(node)?;
    let regions = node.regions()?;
    let count = redistributor_region_count(node)?;
    let (distributor, redistributors) = match regions.split_first() {
        Some((distributor, rest)) if rest.len() >= count => (distributor, rest),
        Some(_) | None => {
            let found = u64::try_from(regions.len()).unwrap_or(u64::MAX);
            return Err(node.bad(
                Name::Reg,
                PropertyValue::Number(found),
                "one region for the distributor and #redistributor-regions more",
            ));
        }
    };
    let redistributors: Vec<PaRange> = redistributors.iter().take(count).copied().collect();
    let stride = redistributor_stride(node)?;
    check_frames(node, *distributor, FRAME_SIZE)?;
    for region in &redistributors {
        check_frames(node, *region, REDISTRIBUTOR_SIZE)?;
    }
    check_overlap(*distributor, &redistributors)?;
    check_count(node, &redistributors, stride, cpus)?;
    let gic = Gic {
        distributor: *distributor,
        redistributor_regions: redistributors,
        redistributor_stride: stride,
        maintenance: domain.interrupts(node)?.first().copied(),
    };
    Ok((gic, domain))
}

/// Reads the generic timers' node.
pub(crate) fn timers(
    node: Option<&TreeNode<'_>>,
    domain: &InterruptDomain,
) -> Result<Timers, BoardError> {
    const WANTED: &str = "the PPIs of the secure, physical, virtual and EL2 timers, in that order";
    let node = node.ok_or(BoardError::MissingNode {
        wanted: "node compatible with \"arm,armv8-timer\"",
    })?;
    let interrupts = domain.interrupts(node)?;
    let names: Vec<&[u8]> = node.strings(Name::InterruptNames).collect();
    let timer = |name: &str, place: usize| {
        let place = if names.is_empty() {
            Some(place)
        } else {
            names.iter().position(|other| *other == name.as_bytes())
        };
        place.and_then(|place| interrupts.get(place).copied())
    };
    let required = |name: &str, place: usize| {
        let interrupt = timer(name, place).ok_or_else(|| node.missing(Name::Interrupts, WANTED))?;
        if !interrupt.is_private() {
            let value = PropertyValue::Number(interrupt.get().into());
            return Err(node.bad(Name::Interrupts, value, WANTED));
        }
        Ok(interrupt)
    };
    Ok(Timers {
        secure_physical: required("sec-phys", 0)?,
        physical: required("phys", 1)?,
        virtual_timer: required("virt", 2)?,
        hypervisor: required("hyp-phys", 3)?,
        hypervisor_virtual: timer("hyp-virt", 4),
    })
}

impl InterruptDomain {
    fn of(gic: &TreeNode<'_>) -> Result<Self, BoardError> {
        const NAME: Name = Name::InterruptCells;
        const WANTED: &str = "3, or 4 where PPIs are partitioned";
        let specifier_cells = match gic.cell(NAME) {
            Some(3) => 3,
            Some(4) => 4,
            Some(other) => return Err(gic.bad(NAME, PropertyValue::Number(other.into()), WANTED)),
            None => return Err(gic.missing(NAME, WANTED)),
        };
        Ok(Self {
            phandle: gic.cell(Name::Phandle),
            specifier_cells,
        })
    }

    /// Reads all interrupts of a node; none if it has no `interrupts`.
    pub(crate) fn interrupts(&self, node: &TreeNode<'_>) -> Result<Vec<IntId>, BoardError> {
        const PARENT: &str = "the phandle of the GIC";
        const WANTED: &str = "specifiers of as many cells as the GIC's #interrupt-cells says";
        let Some(cells) = node.cells(Name::Interrupts, WANTED)? else {
            return Ok(Vec::new());
        };
        if let Some(parent) = node.interrupt_parent()
            && Some(parent) != self.phandle
        {
            let value = PropertyValue::Number(parent.into());
            return Err(node.bad(Name::InterruptParent, value, PARENT));
        }
        if !cells.len().is_multiple_of(self.specifier_cells) {
            let length = cells.len().saturating_mul(4);
            return Err(node.bad(Name::Interrupts, PropertyValue::Bytes(length), WANTED));
        }
        cells
            .groups(self.specifier_cells)
            .map(|specifier| interrupt(node, specifier))
            .collect()
    }
}

/// Reads one specifier: 0 and an SPI's number, or 1 and a PPI's.
fn interrupt(node: &TreeNode<'_>, specifier: Cells<'_>) -> Result<IntId, BoardError> {
    const KIND: &str = "0 (SPI) or 1 (PPI) in the first cell";
    const NUMBER: &str = "an SPI of 0 to 987 or a PPI of 0 to 15 in the second cell";
    let kind = specifier.get(0).unwrap_or(u32::MAX);
    let number = specifier.get(1).unwrap_or(u32::MAX);
    let id = match kind {
        0 => IntId::spi(number),
        1 => IntId::ppi(number),
        _ => return Err(node.bad(Name::Interrupts, PropertyValue::Number(kind.into()), KIND)),
    };
    id.ok_or_else(|| {
        node.bad(
            Name::Interrupts,
            PropertyValue::Number(number.into()),
            NUMBER,
        )
    })
}

fn redistributor_region_count(gic: &TreeNode<'_>) -> Result<usize, BoardError> {
    const NAME: Name = Name::RedistributorRegions;
    const WANTED: &str = "a number from 1 to 64";
    if gic.property(NAME).is_none() {
        return Ok(1);
    }
    let count = gic.cell(NAME).unwrap_or(u32::MAX);
    match usize::try_from(count) {
        Ok(count @ 1..=64) => Ok(count),
        Ok(_) | Err(_) => Err(gic.bad(NAME, PropertyValue::Number(count.into()), WANTED)),
    }
}

fn redistributor_stride(gic: &TreeNode<'_>) -> Result<Option<u64>, BoardError> {
    const NAME: Name = Name::RedistributorStride;
    const WANTED: &str = "a multiple of 64 KiB, at least 128 KiB";
    let Some(cells) = gic.cells(NAME, WANTED)? else {
        return Ok(None);
    };
    let stride = cells.number().unwrap_or(u64::MAX);
    if stride < REDISTRIBUTOR_SIZE || !stride.is_multiple_of(FRAME_SIZE) {
        return Err(gic.bad(NAME, PropertyValue::Number(stride), WANTED));
    }
    Ok(Some(stride))
}

fn check_frames(gic: &TreeNode<'_>, region: PaRange, least: u64) -> Result<(), BoardError> {
    const WANTED: &str = "regions aligned to 64 KiB: 64 KiB for the distributor, 128 KiB or more \
                          for redistributors";
    if region.is_aligned(FRAME_SIZE) && region.size() >= least {
        return Ok(());
    }
    let value = PropertyValue::Region {
        start: region.start().get(),
        size: region.size(),
    };
    Err(gic.bad(Name::Reg, value, WANTED))
}

fn check_overlap(distributor: PaRange, redistributors: &[PaRange]) -> Result<(), BoardError> {
    let mut regions = redistributors.to_vec();
    regions.push(distributor);
    regions.sort_unstable();
    let pairs = regions.iter().zip(regions.iter().skip(1));
    for (first, second) in pairs {
        if first.overlaps(*second) {
            return Err(BoardError::Overlap {
                first: *first,
                second: *second,
                what: "regions of the GIC",
            });
        }
    }
    Ok(())
}

fn check_count(
    gic: &TreeNode<'_>,
    regions: &[PaRange],
    stride: Option<u64>,
    cpus: usize,
) -> Result<(), BoardError> {
    let stride = stride.unwrap_or(REDISTRIBUTOR_SIZE);
    let available = regions
        .iter()
        .filter_map(|region| region.size().checked_div(stride))
        .fold(0, u64::saturating_add);
    if u64::try_from(cpus).is_ok_and(|cpus| cpus <= available) {
        return Ok(());
    }
    Err(BoardError::TooFewRedistributors {
        node: gic.path(),
        available,
        cpus,
    })
}
