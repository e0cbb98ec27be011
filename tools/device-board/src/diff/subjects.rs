//! The devices that are compared.

mod gic;
mod hpet;
mod pl011;
mod pl031;
mod pl061;
mod virtio_blk;
mod virtio_mmio;

use super::{Choice, Operation, Random};
use crate::options::MachineKind;
use addr::Width;

/// A device to compare.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    /// Its name.
    pub name: &'static str,
    /// The board's name for it, or for its registers.
    pub device: &'static str,
    /// Its first address, on both sides.
    pub base: u64,
    /// More arguments, for both sides; `{disk}` is the name of a file of the side's own.
    pub arguments: &'static [&'static str],
    /// What is done first.
    pub prologue: &'static [Operation],
    /// The machine that it is part of.
    pub machine: MachineKind,
    /// QEMU's type, and the board's name, of what has the inputs that operations drive.
    pub inputs: Option<(&'static str, &'static str)>,
    /// Which lines are watched.
    pub watch: Watch,
    /// How many accesses one of its operations is worth: so many fewer are done.
    pub cost: usize,
    /// What a QEMU answered once, for where there is none of that machine.
    pub trace: Option<&'static str>,
    /// Makes up an operation.
    pub generate: fn(&mut Random) -> Operation,
    /// Keeps clear of what may differ.
    pub shadow: fn() -> Box<dyn Shadow>,
    /// What may differ.
    pub choices: &'static [Choice],
}

/// What is known of a device from the operations so far, to keep clear of accepted differences.
///
/// It is asked again when a case is replayed in part, and then may change what it admitted before.
pub trait Shadow {
    /// Returns what is to be done in the place of an operation; `None` if nothing.
    fn admit(&mut self, operation: Operation) -> Option<Operation>;
}

/// Admits everything.
struct NoShadow;

impl Shadow for NoShadow {
    fn admit(&mut self, operation: Operation) -> Option<Operation> {
        Some(operation)
    }
}

fn no_shadow() -> Box<dyn Shadow> {
    Box::new(NoShadow)
}

/// Which lines are watched.
#[derive(Clone, Copy, Debug)]
pub enum Watch {
    /// A device's interrupt: its line 0.
    Output {
        /// Its type in QEMU.
        kind: &'static str,
    },
    /// None.
    Nothing,
}

/// All of them.
pub const SUBJECTS: &[Subject] = &[
    pl011::SUBJECT,
    pl031::SUBJECT,
    pl061::SUBJECT,
    gic::DISTRIBUTOR,
    gic::REDISTRIBUTOR,
    virtio_mmio::MODERN,
    virtio_mmio::LEGACY,
    virtio_blk::SUBJECT,
    virtio_blk::PACKED,
    virtio_blk::LEGACY,
    hpet::SUBJECT,
];

/// Makes one access in eight narrower. It still starts at the register's first byte: QEMU takes an
/// access in the middle of a 32-bit register for one to its start.
fn sometimes_narrow(random: &mut Random, operation: Operation, widths: &[Width]) -> Operation {
    if !random.one_in(8) {
        return operation;
    }
    let width = random.pick(widths);
    match operation {
        Operation::Read { offset, .. } => Operation::Read { offset, width },
        Operation::Write { offset, value, .. } => Operation::Write {
            offset,
            width,
            value: value & width.mask(),
        },
        Operation::Input { .. } | Operation::Request(_) => operation,
    }
}
