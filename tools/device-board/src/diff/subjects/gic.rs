//! The interrupt controller's frames. No CPU takes an interrupt, so that pending ones stay.

use super::super::{Effect, Whose};
use super::{Choice, Operation, Random, Shadow, Subject, Watch, no_shadow};
use crate::gic::SPI_COUNT;
use crate::options::MachineKind;
use addr::Width;
use device_model::Level;
use guest_image::map;

pub(super) const DISTRIBUTOR: Subject = Subject {
    name: "gicd",
    device: "gicd",
    base: map::GICD.base.get(),
    arguments: &[],
    prologue: &[],
    machine: MachineKind::Virt,
    inputs: Some(("arm-gicv3", "gic")),
    watch: Watch::Nothing,
    cost: 1,
    trace: None,
    generate: distributor,
    shadow: || Box::new(NoMessages),
    choices: DISTRIBUTOR_CHOICES,
};

pub(super) const REDISTRIBUTOR: Subject = Subject {
    name: "gicr",
    device: "gicr",
    base: map::GICR_BASE.get(),
    arguments: &[],
    prologue: &[],
    machine: MachineKind::Virt,
    inputs: Some(("arm-gicv3", "gic")),
    watch: Watch::Nothing,
    cost: 1,
    trace: None,
    generate: redistributor,
    shadow: no_shadow,
    choices: REDISTRIBUTOR_CHOICES,
};

/// The registers that have a bit for each interrupt: IGROUPR to ICACTIVER.
const BITMAPS: [u64; 7] = [0x080, 0x100, 0x180, 0x200, 0x280, 0x300, 0x380];
const TYPER: u64 = 0x04;
const PRIORITY: u64 = 0x400;
const CONFIGURATION: u64 = 0xc00;
const ROUTE: u64 = 0x6000;
/// The single registers, identification, and holes.
const SINGLE: [u64; 16] = [
    0x00, 0x04, 0x08, 0x0c, 0x10, 0x40, 0x48, 0x800, 0xd00, 0xe00, 0xf00, 0xffd0, 0xffe0, 0xffe8,
    0xfff0, 0xfffc,
];

/// SPIs that get most of the attention, so that operations meet.
const FAVORITES: [u64; 6] = [32, 33, 47, 63, 64, 255];

fn interrupt(random: &mut Random) -> u64 {
    match random.below(4) {
        0 => random.below(1024),
        1 => random.below(32 + u64::from(SPI_COUNT)),
        _ => random.pick(&FAVORITES),
    }
}

fn distributor(random: &mut Random) -> Operation {
    if random.one_in(5) {
        let number = interrupt(random) as u32;
        let spis = u32::from(SPI_COUNT);
        return input(random, number.saturating_sub(32) % spis);
    }
    let id = interrupt(random);
    let (offset, width) = match random.below(16) {
        0..=8 => (random.pick(&BITMAPS) + id / 32 * 4, Width::Word),
        9 | 10 => priority(random, id),
        11 => (CONFIGURATION + id / 16 * 4, Width::Word),
        12 => (ROUTE + id * 8, Width::Double),
        13 => (ROUTE + id * 8 + random.below(2) * 4, Width::Word),
        14 => (0, Width::Word),
        _ => (random.pick(&SINGLE), Width::Word),
    };
    let value = match offset {
        ROUTE.. if offset < 0x8000 && random.one_in(2) => random.pick(&[0, 1, 2, 1 << 31]),
        _ => random.value() | random.value() << 32,
    };
    access(random, offset, width, value)
}

/// The two redistributors' frames.
fn redistributor(random: &mut Random) -> Operation {
    let cpu = random.below(2);
    if random.one_in(5) {
        let private = 16 + random.below(16) as u32;
        let number = u32::from(SPI_COUNT) + cpu as u32 * 32 + private;
        return input(random, number);
    }
    let id = random.below(32);
    let (offset, width) = match random.below(16) {
        0..=9 => (0x1_0000 + random.pick(&BITMAPS), Width::Word),
        10 | 11 => {
            let (offset, width) = priority(random, id);
            (0x1_0000 + offset, width)
        }
        12 => (0x1_0000 + CONFIGURATION + random.below(2) * 4, Width::Word),
        13 => (0x14, Width::Word),
        14 => (0x08, random.pick(&[Width::Word, Width::Double])),
        _ => {
            let single = [
                0x00, 0x04, 0x0c, 0x10, 0x18, 0x40, 0xffe0, 0xffe8, 0xfff0, 0x1_0d00,
            ];
            (random.pick(&single), Width::Word)
        }
    };
    let value = random.value();
    access(random, cpu * map::GICR_STRIDE + offset, width, value)
}

fn priority(random: &mut Random, id: u64) -> (u64, Width) {
    if random.one_in(2) {
        (PRIORITY + id, Width::Byte)
    } else {
        (PRIORITY + id / 4 * 4, Width::Word)
    }
}

fn access(random: &mut Random, offset: u64, width: Width, value: u64) -> Operation {
    // Now and then with a width that the register may not have, or anywhere.
    let width = if random.one_in(16) {
        random.pick(&Width::ALL)
    } else {
        width
    };
    let offset = if random.one_in(16) {
        offset & !0xffff | random.below(0x1_0000)
    } else {
        offset
    };
    let offset = offset & !(width.bytes() - 1);
    if random.one_in(2) {
        Operation::Read { offset, width }
    } else {
        let value = value & width.mask();
        Operation::Write {
            offset,
            width,
            value,
        }
    }
}

fn input(random: &mut Random, number: u32) -> Operation {
    let level = Level::from(random.one_in(2));
    Operation::Input { number, level }
}

const DISTRIBUTOR_CHOICES: &[Choice] = &[
    Choice {
        whose: Whose::Choice,
        reason: "GICD_IIDR: another implementation",
        effect: Effect::View(|operation, value| match operation.offset() {
            Some(0x08) => 0,
            _ => value,
        }),
    },
    Choice {
        whose: Whose::Qemu,
        reason: "reserved bits of GICD_IROUTER read back as written",
        effect: Effect::View(|operation, value| match operation.as_read() {
            Some((ROUTE..0x8000, Width::Double)) => value & ROUTE_BITS,
            Some((offset @ ROUTE..0x8000, _)) if offset & 4 == 0 => value & ROUTE_BITS,
            Some((ROUTE..0x8000, _)) => value & ROUTE_BITS >> 32,
            _ => value,
        }),
    },
    Choice {
        whose: Whose::Choice,
        reason: "GICD_TYPER: no LPIs, 10 bits of INTID, message-based SPIs, 1 of N",
        effect: Effect::View(|operation, value| match operation.offset() {
            Some(TYPER) => value & !(0x1f << 19 | 1 << 16 | 1 << 17 | 1 << 25),
            _ => value,
        }),
    },
    Choice {
        whose: Whose::Choice,
        reason: "GICD_SETSPI and GICD_CLRSPI: QEMU has no message-based SPIs",
        effect: Effect::Avoided,
    },
    Choice {
        whose: Whose::Choice,
        reason: "32 priorities, not 256",
        effect: Effect::View(|operation, value| match operation.offset() {
            Some(PRIORITY..CONFIGURATION) => value & PRIORITY_BITS,
            _ => value,
        }),
    },
];

const REDISTRIBUTOR_CHOICES: &[Choice] = &[
    Choice {
        whose: Whose::Choice,
        reason: "GICR_IIDR: another implementation",
        effect: Effect::View(|operation, value| match in_frames(operation) {
            Some(0x04) => 0,
            _ => value,
        }),
    },
    Choice {
        whose: Whose::Choice,
        reason: "GICR_TYPER and GICR_CTLR: no LPIs",
        effect: Effect::View(|operation, value| match in_frames(operation) {
            Some(0x08) => value & !(1 << 24 | 1),
            Some(0x00) => value & !3,
            _ => value,
        }),
    },
    Choice {
        whose: Whose::Choice,
        reason: "32 priorities, not 256",
        effect: Effect::View(|operation, value| match in_frames(operation) {
            Some(0x1_0400..0x1_0420) => value & PRIORITY_BITS,
            _ => value,
        }),
    },
];

/// Leaves out messages.
struct NoMessages;

impl Shadow for NoMessages {
    fn admit(&mut self, operation: Operation) -> Option<Operation> {
        match operation {
            Operation::Write {
                offset: 0x40..0x60, ..
            } => None,
            Operation::Read { .. }
            | Operation::Write { .. }
            | Operation::Input { .. }
            | Operation::Request(_) => Some(operation),
        }
    }
}

/// Aff3, Interrupt_Routing_Mode, Aff2 to Aff0.
const ROUTE_BITS: u64 = 0xff_80ff_ffff;

/// What a priority register of 32 interrupts has of four priorities.
const PRIORITY_BITS: u64 = 0xf8f8_f8f8;

/// Returns the offset in one redistributor's frames.
fn in_frames(operation: &Operation) -> Option<u64> {
    Some(operation.offset()? % map::GICR_STRIDE)
}
