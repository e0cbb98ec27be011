//! The machine as its device tree describes it.
//!
//! [`Board::discover`] reads a flattened device tree (Devicetree Specification 0.4) into plain data;
//! nothing of any particular machine is compiled in. The tree is an untrusted file: whatever its
//! bytes are, reading it ends, in bounded time, with a [`Board`] or a [`BoardError`] that names what
//! is wrong.
//!
//! ```
//! # fn example(blob: &[u8], image: addr::PaRange, blob_range: addr::PaRange)
//! # -> Result<(), board::BoardError> {
//! let machine = board::Board::discover(blob)?;
//! let maintenance = machine.maintenance_interrupt()?;
//! let free = board::usable_ram(&machine, image, blob_range);
//! # Ok(())
//! # }
//! ```

#![no_std]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        clippy::unreachable
    )
)]

extern crate alloc;

mod address_space;
mod chosen;
mod console;
mod cpus;
mod error;
mod interrupt;
mod memory;
mod survey;
mod tree;

#[cfg(test)]
mod tests;

pub use chosen::Chosen;
pub use console::Uart;
pub use cpus::{Conduit, Cpu, MAX_CPUS, Psci, PsciVersion};
pub use error::{BoardError, PropertyValue};
pub use interrupt::{Gic, Timers};
pub use memory::usable_ram;
pub use tree::MAX_TREE_SIZE;

use addr::{IntId, PaRange};
use alloc::string::String;
use alloc::vec::Vec;
use survey::Survey;

/// A machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Board {
    /// What the tree calls the machine; empty if it doesn't.
    pub model: String,
    /// The banks of RAM, sorted; they don't overlap.
    pub ram: Vec<PaRange>,
    /// What firmware reserved, sorted; may lie outside RAM.
    pub reserved: Vec<PaRange>,
    /// The CPUs in the tree's order, at least one; each one's id is its index.
    pub cpus: Vec<Cpu>,
    /// The firmware's power control.
    pub psci: Psci,
    /// The interrupt controller.
    pub gic: Gic,
    /// The timers' interrupts.
    pub timers: Timers,
    /// The console.
    pub console: Uart,
    /// The registers of the real-time clock, a PL031.
    pub rtc: Option<PaRange>,
    /// What the loader hands over.
    pub chosen: Chosen,
}

impl Board {
    /// Reads the device tree at the start of `blob`, which may be longer than the tree.
    ///
    /// # Errors
    /// [`BoardError`] if the tree is malformed, larger than [`MAX_TREE_SIZE`], or does not describe
    /// a machine with RAM, CPUs started by PSCI, a GICv3, generic timers and a PL011.
    pub fn discover(blob: &[u8]) -> Result<Self, BoardError> {
        let survey = Survey::of(&tree::Tree::new(blob)?)?;
        let cpus = survey.cpus.finish()?;
        let (ram, reserved) = survey.memory.finish()?;
        let chosen = survey.chosen.as_ref();
        let (gic, domain) = interrupt::gic(survey.gic.as_ref(), cpus.len())?;
        let aliases = survey.aliases.as_ref();
        Ok(Self {
            model: survey.model,
            ram,
            reserved,
            cpus,
            psci: cpus::psci(survey.psci.as_ref())?,
            timers: interrupt::timers(survey.timers.as_ref(), &domain)?,
            console: survey.consoles.console(chosen, aliases, &domain)?,
            gic,
            rtc: console::rtc(survey.rtc.as_ref())?,
            chosen: chosen::chosen(chosen)?,
        })
    }

    /// Returns the GIC's maintenance interrupt, which a hypervisor can't do without.
    ///
    /// # Errors
    /// [`BoardError::MissingProperty`] if the tree has none: the firmware or the emulator hides EL2.
    pub fn maintenance_interrupt(&self) -> Result<IntId, BoardError> {
        self.gic
            .maintenance
            .ok_or_else(|| BoardError::MissingProperty {
                node: String::from("the arm,gic-v3 node"),
                property: "interrupts",
                wanted: "the maintenance interrupt's PPI, as on a machine with EL2",
            })
    }
}
