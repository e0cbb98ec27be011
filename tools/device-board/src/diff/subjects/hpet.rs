//! The event timers of a PC. The clock stands still, so that no timer expires.

use super::super::{Effect, Whose};
use super::{Choice, Operation, Random, Shadow, Subject, Watch};
use crate::options::MachineKind;
use addr::Width;

const CONFIG: u64 = 0x010;
const STATUS: u64 = 0x020;
const COUNTER: u64 = 0x0f0;
const TIMERS: u64 = 0x100;
/// Tn_TYPE_CNF and Tn_VAL_SET_CNF.
const PERIODIC: u64 = 1 << 3;
const SET_ACCUMULATOR: u64 = 1 << 6;
/// Years of nanoseconds.
const LARGEST_COUNTER: u64 = 0xff_ffff_ffff_ffff;
const TIMER_COUNT: u64 = 3;

pub(super) const SUBJECT: Subject = Subject {
    name: "hpet",
    device: "hpet",
    base: 0xfed0_0000,
    // The firmware is never run: any file will do.
    arguments: &["-vga", "none", "-bios", "{disk}"],
    prologue: &[],
    machine: MachineKind::Pc,
    inputs: None,
    watch: Watch::Nothing,
    cost: 1,
    trace: Some(include_str!("../../../traces/hpet.trace")),
    generate,
    shadow: || Box::new(Possible),
    choices: CHOICES,
};

fn generate(random: &mut Random) -> Operation {
    let place = match random.below(8) {
        0 => CONFIG,
        1 => random.pick(&[0x000, STATUS, COUNTER, 0x030, 0x0e8]),
        _ => TIMERS + random.below(TIMER_COUNT) * 0x20 + random.below(4) * 8,
    };
    let (offset, width) = match random.below(3) {
        0 => (place, Width::Double),
        1 => (place, Width::Word),
        _ => (place + 4, Width::Word),
    };
    let value = random.value() & random.pick(&[u64::MAX, u64::MAX, 0x14f]);
    if random.one_in(2) {
        Operation::Read { offset, width }
    } else {
        Operation::Write {
            offset,
            width,
            value: value & width.mask(),
        }
    }
}

const CHOICES: &[Choice] = &[
    Choice {
        whose: Whose::Choice,
        reason: "Tn_FSB_INT_DEL_CAP: messages are possible here, there if they are asked for",
        effect: Effect::View(|operation, value| match in_timer(operation) {
            Some(0) => value & !(1 << 15),
            _ => value,
        }),
    },
    Choice {
        whose: Whose::Qemu,
        reason: "the counter is lost where its nanoseconds have more than 64 bits",
        effect: Effect::Avoided,
    },
    Choice {
        whose: Whose::Choice,
        reason: "Tn_VAL_SET_CNF of a timer that is not periodic, which software must not set \
                 (2.3.8), stays here",
        effect: Effect::Avoided,
    },
    Choice {
        whose: Whose::Choice,
        reason: "Tn_INT_ROUTE_CNF: an input that the timer does not have is not taken",
        effect: Effect::Avoided,
    },
];

/// Gives timers routes that they have, and the counter values that QEMU can count.
struct Possible;

impl Shadow for Possible {
    fn admit(&mut self, operation: Operation) -> Option<Operation> {
        match operation {
            Operation::Write {
                offset,
                width,
                value,
            } if in_timer(&operation) == Some(0) => Some(Operation::Write {
                offset,
                width,
                value: possible(value),
            }),
            Operation::Write {
                offset: COUNTER,
                width,
                value,
            } => Some(Operation::Write {
                offset: COUNTER,
                width,
                value: value & LARGEST_COUNTER,
            }),
            Operation::Write { offset, value, .. } if offset == COUNTER + 4 => {
                Some(Operation::write(offset, value & LARGEST_COUNTER >> 32))
            }
            _ => Some(operation),
        }
    }
}

/// Returns a configuration with one of the inputs 16 to 23, that sets the accumulator of periodic
/// timers only.
fn possible(config: u64) -> u64 {
    let route = 16 | config >> 9 & 7;
    let accumulator = if config & PERIODIC == 0 {
        SET_ACCUMULATOR
    } else {
        0
    };
    config & !(0x1f << 9) & !accumulator | route << 9
}

/// Returns the offset in a timer's registers.
fn in_timer(operation: &Operation) -> Option<u64> {
    Some(operation.offset()?.checked_sub(TIMERS)? % 0x20)
}
