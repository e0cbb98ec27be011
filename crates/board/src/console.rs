//! The PL011 that the console is on, and the PL031 clock.

use crate::error::{BoardError, PropertyValue};
use crate::interrupt::InterruptDomain;
use crate::tree::{Name, TreeNode, text};
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

/// The most PL011s, and the most fixed clocks, that are looked at: the console's are among them.
const MAX_CANDIDATES: usize = 64;

/// Collects what may become the console.
#[derive(Default)]
pub(crate) struct Consoles<'a> {
    /// PL011s.
    uarts: Vec<TreeNode<'a>>,
    /// Fixed clocks: phandle and frequency in Hz.
    clocks: Vec<(u32, u32)>,
}

impl<'a> Consoles<'a> {
    /// Takes an enabled PL011.
    pub(crate) fn add_uart(&mut self, node: &TreeNode<'a>) {
        if self.uarts.len() < MAX_CANDIDATES {
            self.uarts.push(node.clone());
        }
    }

    /// Takes a fixed clock.
    pub(crate) fn add_clock(&mut self, node: &TreeNode<'_>) {
        let phandle = node.cell(Name::Phandle);
        let frequency = node.cell(Name::ClockFrequency).filter(|hz| *hz != 0);
        if self.clocks.len() < MAX_CANDIDATES {
            self.clocks.extend(phandle.zip(frequency));
        }
    }

    /// Chooses the console: the node that `stdout-path` of /chosen names (Devicetree Specification,
    /// 3.6), which must be a PL011; without that property, the first PL011.
    pub(crate) fn console(
        &self,
        chosen: Option<&TreeNode<'_>>,
        aliases: Option<&TreeNode<'_>>,
        domain: &InterruptDomain,
    ) -> Result<Uart, BoardError> {
        let (node, baud) = match self.stdout(chosen, aliases)? {
            Some(found) => found,
            None => {
                let first = self.uarts.first().ok_or(BoardError::MissingNode {
                    wanted: "stdout-path in /chosen and no node compatible with \"arm,pl011\"",
                })?;
                (first, None)
            }
        };
        let interrupt = domain.interrupts(node)?.first().copied();
        Ok(Uart {
            registers: primecell(node)?,
            interrupt: interrupt
                .ok_or_else(|| node.missing(Name::Interrupts, "the UART's interrupt at the GIC"))?,
            clock_hz: self.clock(node)?,
            baud,
        })
    }

    fn stdout(
        &self,
        chosen: Option<&TreeNode<'_>>,
        aliases: Option<&TreeNode<'_>>,
    ) -> Result<Option<(&TreeNode<'a>, Option<u32>)>, BoardError> {
        const WANTED: &str = "the path or alias of a PL011, perhaps with a colon and its speed";
        let Some(chosen) = chosen else {
            return Ok(None);
        };
        let Some(value) = chosen.text(Name::StdoutPath, WANTED)? else {
            return Ok(None);
        };
        let (name, options) = value.split_once(':').unwrap_or((value, ""));
        let path = if name.starts_with('/') {
            Some(name)
        } else {
            aliases
                .and_then(|aliases| aliases.other_property(name))
                .and_then(text)
        };
        let is_meant = |node: &&TreeNode<'_>| path.is_some_and(|path| node.is_at(path));
        match self.uarts.iter().find(is_meant) {
            Some(node) => Ok(Some((node, baud(options)))),
            None => {
                let value = PropertyValue::Text(String::from(value));
                Err(chosen.bad(Name::StdoutPath, value, WANTED))
            }
        }
    }

    /// Reads the frequency of UARTCLK: of the clock named so, or else the first, if it is fixed.
    fn clock(&self, uart: &TreeNode<'_>) -> Result<Option<u32>, BoardError> {
        const WANTED: &str = "phandles of clocks";
        let place = uart
            .strings(Name::ClockNames)
            .position(|name| name == b"uartclk")
            .unwrap_or(0);
        let Some(cells) = uart.cells(Name::Clocks, WANTED)? else {
            return Ok(None);
        };
        // Fixed clocks have specifiers of no cells, so that a place in the list is one in the
        // cells. With any other kind of clock before it, the cell is no such phandle and the speed
        // is unknown.
        let wanted = cells.get(place);
        let clock = self.clocks.iter().find(|(name, _)| Some(*name) == wanted);
        Ok(clock.map(|(_, frequency)| *frequency))
    }
}

/// Reads the registers of a PL031 (DDI0224).
pub(crate) fn rtc(node: Option<&TreeNode<'_>>) -> Result<Option<PaRange>, BoardError> {
    node.map(primecell).transpose()
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
    let region = *regions
        .first()
        .ok_or_else(|| node.missing(Name::Reg, WANTED))?;
    if region.size() >= PRIMECELL_SIZE && region.is_aligned(PRIMECELL_SIZE) {
        return Ok(region);
    }
    let value = PropertyValue::Region {
        start: region.start().get(),
        size: region.size(),
    };
    Err(node.bad(Name::Reg, value, WANTED))
}
