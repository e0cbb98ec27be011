//! The serial port. Its input is its own output, looped back: QEMU's other inputs arrive when its
//! main loop pleases.

use super::super::{Effect, Whose};
use super::{Choice, Operation, Random, Shadow, Subject, Watch};
use crate::options::MachineKind;
use addr::Width;
use guest_image::map;

const DATA: u64 = 0x00;
const STATUS: u64 = 0x04;
const FLAGS: u64 = 0x18;
const LINE_CONTROL: u64 = 0x2c;
const CONTROL: u64 = 0x30;
const FIFO_LEVELS: u64 = 0x34;
const MASK: u64 = 0x38;
const RAW: u64 = 0x3c;
const MASKED: u64 = 0x40;
const CLEAR: u64 = 0x44;
const DMA_CONTROL: u64 = 0x48;

/// What is accessed beside the data register.
const REGISTERS: [u64; 23] = [
    FLAGS,
    RAW,
    MASKED,
    MASK,
    CLEAR,
    CONTROL,
    LINE_CONTROL,
    FIFO_LEVELS,
    STATUS,
    0x08,
    0x20,
    0x24,
    0x28,
    DMA_CONTROL,
    0x4c,
    0x7fc,
    0xfe0,
    0xfe4,
    0xfe8,
    0xfec,
    0xff0,
    0xff4,
    0xffc,
];

/// UARTCR: enable, loopback, transmitter, receiver, and the four modem outputs.
const ENABLED: u64 = 1 | 1 << 8 | 1 << 9;
const LOOPED: u64 = 1 << 7;
const MODEM: u64 = 0xf << 10;
/// UARTLCR_H: break and FIFOs.
const BREAK: u64 = 1;
const FIFOS: u64 = 1 << 4;
/// The interrupts that say that something was received: by level, and by timeout.
const RECEIVED: u64 = 1 << 4;
const TIMEOUT: u64 = 1 << 6;

pub(super) const SUBJECT: Subject = Subject {
    name: "pl011",
    device: "pl011",
    base: map::PL011.base.get(),
    arguments: &[],
    prologue: &[],
    machine: MachineKind::Virt,
    inputs: None,
    watch: Watch::Output { kind: "pl011" },
    cost: 1,
    trace: None,
    generate,
    shadow: || Box::new(Received::default()),
    choices: CHOICES,
};

fn generate(random: &mut Random) -> Operation {
    let operation = match random.below(16) {
        0..=3 => Operation::write(DATA, random.below(256)),
        4 | 5 => Operation::read(DATA),
        6 => Operation::read(random.pick(&[FLAGS, RAW, MASKED])),
        7 if random.one_in(2) => Operation::write(CONTROL, ENABLED | LOOPED),
        7 => Operation::write(LINE_CONTROL, random.pick(&[0x10, 0x70, 0x60, 0])),
        8 => Operation::write(MASK, random.value()),
        9 => Operation::write(CLEAR, random.value()),
        10 | 11 => Operation::write(random.pick(&REGISTERS), random.value()),
        _ => Operation::read(random.pick(&REGISTERS)),
    };
    super::sometimes_narrow(random, operation, &[Width::Byte, Width::Half])
}

/// What is in the receive FIFO.
struct Received {
    count: usize,
    control: u64,
    line_control: u64,
}

impl Default for Received {
    fn default() -> Self {
        Self {
            count: 0,
            control: 0x300,
            line_control: 0,
        }
    }
}

impl Shadow for Received {
    fn admit(&mut self, operation: Operation) -> Option<Operation> {
        match operation {
            Operation::Read { offset: DATA, .. } => {
                self.count = self.count.checked_sub(1)?;
                Some(operation)
            }
            Operation::Read { .. } | Operation::Input { .. } | Operation::Request(_) => {
                Some(operation)
            }
            Operation::Write {
                offset,
                width,
                value,
            } => {
                // What is added to UARTCR needs room.
                let width = if offset == CONTROL {
                    Width::Word
                } else {
                    width
                };
                Some(Operation::Write {
                    offset,
                    width,
                    value: self.written(offset, value)? & width.mask(),
                })
            }
        }
    }
}

impl Received {
    fn written(&mut self, offset: u64, value: u64) -> Option<u64> {
        Some(match offset {
            DATA => {
                if self.control & LOOPED != 0 {
                    let depth = if self.line_control & FIFOS != 0 {
                        16
                    } else {
                        1
                    };
                    if self.count == depth {
                        return None;
                    }
                    self.count += 1;
                }
                value
            }
            LINE_CONTROL => {
                if (self.line_control ^ value) & FIFOS != 0 && self.count != 0 {
                    return None;
                }
                self.line_control = value & !BREAK;
                self.line_control
            }
            CONTROL => {
                self.control = match value & LOOPED {
                    0 => value,
                    _ => (value | ENABLED) & !MODEM,
                };
                self.control
            }
            MASK if value & RECEIVED != 0 => value | TIMEOUT,
            MASK => value & !TIMEOUT,
            CLEAR if self.count != 0 => value & !(RECEIVED | TIMEOUT),
            _ => value,
        })
    }
}

const CHOICES: &[Choice] = &[
    Choice {
        whose: Whose::Qemu,
        reason: "reserved bits of UARTILPR, UARTLCR_H, UARTCR, UARTIFLS and UARTIMSC read back \
                 as written",
        effect: Effect::View(|operation, value| match operation.offset() {
            Some(0x20) => value & 0xff,
            Some(LINE_CONTROL) => value & 0xff,
            Some(CONTROL) => value & 0xff87,
            Some(FIFO_LEVELS) => value & 0x3f,
            Some(MASK) => value & 0x7ff,
            _ => value,
        }),
    },
    Choice {
        whose: Whose::Choice,
        reason: "UARTDMACR: there is no DMA",
        effect: Effect::View(|operation, value| match operation.offset() {
            Some(DMA_CONTROL) => 0,
            _ => value,
        }),
    },
    Choice {
        whose: Whose::Qemu,
        reason: "any received character raises UARTRXINTR, whatever UARTIFLS says, and there is no \
                 UARTRTINTR (DDI0183G, 2.8.1, 2.8.3): the two are compared as one, enabled together, \
                 and not cleared while something is in the FIFO",
        effect: Effect::View(|operation, value| match operation.offset() {
            Some(RAW | MASKED) if value & TIMEOUT != 0 => value & !TIMEOUT | RECEIVED,
            _ => value,
        }),
    },
    Choice {
        whose: Whose::Qemu,
        reason: "the receive interrupt stays when the FIFO is emptied by UARTLCR_H.FEN",
        effect: Effect::Avoided,
    },
    Choice {
        whose: Whose::Qemu,
        reason: "characters are looped back though the receiver is off, and into a full FIFO, \
                 without an overrun (DDI0183G, 3.3.1)",
        effect: Effect::Avoided,
    },
    Choice {
        whose: Whose::Qemu,
        reason: "a break that is looped back raises no interrupt (DDI0183G, 3.3.11)",
        effect: Effect::Avoided,
    },
    Choice {
        whose: Whose::Qemu,
        reason: "modem interrupts show the levels of looped modem lines, not their changes, and the \
                 lines stay when the loop is opened (DDI0183G, 2.4.6, 2.8.4)",
        effect: Effect::Avoided,
    },
    Choice {
        whose: Whose::Choice,
        reason: "an empty FIFO reads as 0 here, as its last character there",
        effect: Effect::Avoided,
    },
];
