//! The pins: half of them inputs, the others outputs.

use super::super::{Effect, Whose};
use super::{Choice, Operation, Random, Shadow, Subject, Watch};
use crate::options::MachineKind;
use addr::Width;
use device_model::Level;
use guest_image::map;

const DIRECTION: u64 = 0x400;
const SENSE: u64 = 0x404;

/// The pins that are outputs.
const OUTPUTS: u64 = 0xf0;
/// How many pins are inputs: those below.
const INPUTS: u64 = 4;

const REGISTERS: [u64; 18] = [
    0x400, 0x404, 0x408, 0x40c, 0x410, 0x414, 0x418, 0x41c, 0x420, 0x424, 0x7fc, 0xfdc, 0xfe0,
    0xfe4, 0xfe8, 0xfec, 0xff0, 0xffc,
];

pub(super) const SUBJECT: Subject = Subject {
    name: "pl061",
    device: "pl061",
    base: map::PL061.base.get(),
    arguments: &[],
    prologue: &[Operation::write(DIRECTION, OUTPUTS)],
    machine: MachineKind::Virt,
    inputs: Some(("pl061", "pl061")),
    watch: Watch::Output { kind: "pl061" },
    cost: 1,
    trace: None,
    generate,
    shadow: || Box::new(FixedDirections),
    choices: CHOICES,
};

fn generate(random: &mut Random) -> Operation {
    let operation = match random.below(8) {
        0 | 1 => {
            return Operation::Input {
                number: random.below(INPUTS) as u32,
                level: Level::from(random.one_in(2)),
            };
        }
        2 => Operation::write(random.below(256) * 4, random.value()),
        3 => Operation::read(random.below(256) * 4),
        4 | 5 => Operation::write(random.pick(&REGISTERS), random.value()),
        _ => Operation::read(random.pick(&REGISTERS)),
    };
    super::sometimes_narrow(random, operation, &[Width::Byte, Width::Half])
}

/// Leaves the directions of the pins as they are, and all interrupts by edge.
struct FixedDirections;

impl Shadow for FixedDirections {
    fn admit(&mut self, operation: Operation) -> Option<Operation> {
        match operation.offset() {
            Some(DIRECTION | SENSE) if operation.as_read().is_none() => None,
            _ => Some(operation),
        }
    }
}

const CHOICES: &[Choice] = &[
    Choice {
        whose: Whose::Qemu,
        reason: "a pin that becomes an input keeps the level that was last written to it: the \
                 directions are fixed",
        effect: Effect::Avoided,
    },
    Choice {
        whose: Whose::Qemu,
        reason: "a level that interrupts is latched until it is cleared (DDI0190B, 3.3.6): all \
                 interrupts are by edge",
        effect: Effect::Avoided,
    },
];
