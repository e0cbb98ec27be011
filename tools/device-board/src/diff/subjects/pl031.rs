//! The clock. It stands still, so that an alarm rings only when it is set to now.

use super::{Choice, Operation, Random, Subject, Watch, no_shadow};
use crate::options::MachineKind;
use addr::Width;
use guest_image::map;

const REGISTERS: [u64; 18] = [
    0x00, 0x04, 0x08, 0x0c, 0x10, 0x14, 0x18, 0x1c, 0x20, 0x7fc, 0xfe0, 0xfe4, 0xfe8, 0xfec, 0xff0,
    0xff4, 0xff8, 0xffc,
];

const MATCH: u64 = 0x04;
const LOAD: u64 = 0x08;

pub(super) const SUBJECT: Subject = Subject {
    name: "pl031",
    device: "pl031",
    base: map::PL031.base.get(),
    arguments: &[],
    prologue: &[],
    machine: MachineKind::Virt,
    inputs: None,
    watch: Watch::Output { kind: "pl031" },
    cost: 1,
    trace: None,
    generate,
    shadow: no_shadow,
    choices: CHOICES,
};

fn generate(random: &mut Random) -> Operation {
    let operation = match random.below(8) {
        // Times that meet now and then.
        0 | 1 => Operation::write(random.pick(&[MATCH, LOAD]), random.below(4)),
        2 => Operation::write(0x10, random.below(2)),
        3 => Operation::write(random.pick(&REGISTERS), random.value()),
        _ => Operation::read(random.pick(&REGISTERS)),
    };
    super::sometimes_narrow(random, operation, &[Width::Byte, Width::Half])
}

const CHOICES: &[Choice] = &[];
