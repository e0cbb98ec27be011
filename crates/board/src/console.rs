//! The PL011 that the console is on, and the PL031 clock.

use crate::error::{BoardError, PropertyValue};
use crate::interrupt::InterruptDomain;
use crate::tree::{Tree, TreeNode};
use addr::{IntId, PaRange};
use alloc::string::String;
use alloc::vec::Vec;

/// Size in bytes of a PL011's or PL031's registers.
const PRIMECELL_SIZE: u64 = 4096;

/// A PL011 (DDI0183).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uart {
    /// Its registers.
    pub registers: PaRange,
    /// Its combined interrupt, UARTINTR.
    pub interrupt: IntId,
    /// The frequency of UARTCLK in Hz; absent where the tree doesn't say. Then leave the divisors
    /// as the firmware set them.
    pub clock_hz: Option<u32>,
    /// The line speed that `stdout-path` asks for, in baud.
    pub baud: Option<u32>,
}

/// Finds the console: the node that `stdout-path` of /chosen names (Devicetree Specification, 3.6),
/// which must be a PL011; without that property, the first PL011.
pub(crate) fn console(tree: &Tree<'_>, domain: &InterruptDomain) -> Result<Uart, BoardError> {
    let (node, baud) = match stdout(tree)? {
        Some(found) => found,
        None => {
            let node = tree
                .find_compatible("arm,pl011")?
                .ok_or(BoardError::MissingNode {
                    wanted: "stdout-path in /chosen and no node compatible with \"arm,pl011\"",
                })?;
            (node, None)
        }
    };
    let interrupt = domain.interrupts(&node)?.first().copied();
    Ok(Uart {
        registers: primecell(&node)?,
        interrupt: interrupt
            .ok_or_else(|| node.missing("interrupts", "the UART's interrupt at the GIC"))?,
        clock_hz: clock(tree, &node)?,
        baud,
    })
}

/// Finds the first PL031 (DDI0224), if there is one.
pub(crate) fn rtc(tree: &Tree<'_>) -> Result<Option<PaRange>, BoardError> {
    tree.find_compatible("arm,pl031")?
        .map(|node| primecell(&node))
        .transpose()
}

fn stdout<'a>(tree: &Tree<'a>) -> Result<Option<(TreeNode<'a>, Option<u32>)>, BoardError> {
    const NAME: &str = "stdout-path";
    const WANTED: &str = "the path or alias of a PL011, perhaps with a colon and its speed";
    let Some(chosen) = tree.find("/chosen")? else {
        return Ok(None);
    };
    let Some(value) = chosen.text(NAME, WANTED)? else {
        return Ok(None);
    };
    let (name, options) = value.split_once(':').unwrap_or((value, ""));
    let path = if name.starts_with('/') {
        Some(name)
    } else {
        alias(tree, name)?
    };
    let node = match path {
        Some(path) => tree.find(path)?,
        None => None,
    };
    match node.filter(|node| node.is_enabled() && node.is_compatible("arm,pl011")) {
        Some(node) => Ok(Some((node, baud(options)))),
        None => Err(chosen.bad(NAME, PropertyValue::Text(String::from(value)), WANTED)),
    }
}

fn alias<'a>(tree: &Tree<'a>, name: &str) -> Result<Option<&'a str>, BoardError> {
    let Some(aliases) = tree.find("/aliases")? else {
        return Ok(None);
    };
    Ok(aliases.strings(name).next())
}

/// Reads the speed at the start of options such as `115200n8`.
fn baud(options: &str) -> Option<u32> {
    let end = options
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(options.len());
    options.get(..end)?.parse().ok()
}

fn primecell(node: &TreeNode<'_>) -> Result<PaRange, BoardError> {
    const WANTED: &str = "one region of 4 KiB or more, aligned to 4 KiB";
    let regions = node.regions()?;
    let region = *regions.first().ok_or_else(|| node.missing("reg", WANTED))?;
    if region.size() >= PRIMECELL_SIZE && region.is_aligned(PRIMECELL_SIZE) {
        return Ok(region);
    }
    let value = PropertyValue::Region {
        start: region.start().get(),
        size: region.size(),
    };
    Err(node.bad("reg", value, WANTED))
}

/// Reads the frequency of UARTCLK: of the clock named so, or else the first, if it is fixed.
fn clock(tree: &Tree<'_>, uart: &TreeNode<'_>) -> Result<Option<u32>, BoardError> {
    const WANTED: &str = "phandles of clocks";
    let names: Vec<&str> = uart.strings("clock-names").collect();
    let place = names
        .iter()
        .position(|name| *name == "uartclk")
        .unwrap_or(0);
    let Some(cells) = uart.cells("clocks", WANTED)? else {
        return Ok(None);
    };
    // Fixed clocks have specifiers of no cells, so that a place in the list is one in the cells.
    // With any other kind of clock before it, the cell is no such phandle and the speed is unknown.
    let Some(phandle) = cells.get(place) else {
        return Ok(None);
    };
    let clock = tree.find_phandle(phandle)?;
    Ok(clock
        .filter(|node| node.is_compatible("fixed-clock"))
        .and_then(|node| node.cell("clock-frequency"))
        .filter(|frequency| *frequency != 0))
}
