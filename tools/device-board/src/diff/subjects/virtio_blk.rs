//! The disk: requests from their descriptors to their interrupts, one at a time. Both sides have a
//! file with the same bytes.

use super::super::ring::{AVAILABLE, DESCRIPTORS, LEGACY_ALIGN, QUEUE_SIZE, USED};
use super::super::{Effect, Form, Request, Ring, Whose};
use super::{Choice, Operation, Random, Subject, Watch, virtio_mmio};

const INTERRUPT_STATUS: u64 = 0x060;
const INTERRUPT_ACKNOWLEDGE: u64 = 0x064;
const CAPACITY: u64 = 0x100;
const WRITEBACK: u64 = 0x120;

/// FLUSH, DISCARD, WRITE_ZEROES, INDIRECT_DESC, EVENT_IDX; VERSION_1 and RING_PACKED are in the second word.
const FEATURES: u64 = 1 << 9 | 1 << 13 | 1 << 14 | 3 << 28;

/// Sectors of the disk: see [`super::super::DISK_BYTES`].
const SECTORS: u64 = 128;

pub(super) const SUBJECT: Subject = Subject {
    name: "virtio-blk",
    arguments: &[
        "-global",
        "virtio-mmio.force-legacy=false",
        "-drive",
        "if=none,id=disk0,file={disk},format=raw",
        "-device",
        "virtio-blk-device,drive=disk0,serial=bulkhead",
    ],
    prologue: &prologue(Ring::Split),
    cost: 10,
    watch: Watch::Output {
        kind: "virtio-mmio",
    },
    generate: |random| generate(random, Ring::Split),
    shadow: super::no_shadow,
    choices: CHOICES,
    ..virtio_mmio::MODERN
};

/// The same with a packed ring.
pub(super) const PACKED: Subject = Subject {
    name: "virtio-blk-packed",
    arguments: &[
        "-global",
        "virtio-mmio.force-legacy=false",
        "-drive",
        "if=none,id=disk0,file={disk},format=raw",
        "-device",
        "virtio-blk-device,drive=disk0,serial=bulkhead,packed=on",
    ],
    prologue: &prologue(Ring::Packed),
    generate: |random| generate(random, Ring::Packed),
    ..SUBJECT
};

/// The same through the legacy interface.
pub(super) const LEGACY: Subject = Subject {
    name: "virtio-blk-legacy",
    arguments: &[
        "-drive",
        "if=none,id=disk0,file={disk},format=raw",
        "-device",
        "virtio-blk-device,drive=disk0,serial=bulkhead",
    ],
    prologue: &[
        Operation::write(0x070, 0),
        Operation::write(0x070, 1),
        Operation::write(0x070, 3),
        Operation::write(0x028, LEGACY_ALIGN),
        Operation::write(0x024, 0),
        Operation::write(0x020, FEATURES),
        Operation::write(0x030, 0),
        Operation::write(0x038, QUEUE_SIZE),
        Operation::write(0x03c, LEGACY_ALIGN),
        Operation::write(0x040, DESCRIPTORS / LEGACY_ALIGN),
        Operation::write(0x070, 7),
        first_request(Ring::Legacy),
    ],
    generate: |random| generate(random, Ring::Legacy),
    ..SUBJECT
};

/// Returns what a driver does first (virtio 1.3, 3.1.1), and one request that is always told of.
const fn prologue(ring: Ring) -> [Operation; 19] {
    let features = match ring {
        Ring::Split | Ring::Legacy => 1,
        Ring::Packed => 1 | 1 << 2,
    };
    [
        Operation::write(0x070, 0),
        Operation::write(0x070, 1),
        Operation::write(0x070, 3),
        Operation::write(0x024, 0),
        Operation::write(0x020, FEATURES),
        Operation::write(0x024, 1),
        Operation::write(0x020, features),
        Operation::write(0x070, 0xb),
        Operation::write(0x030, 0),
        Operation::write(0x038, QUEUE_SIZE),
        Operation::write(0x080, DESCRIPTORS),
        Operation::write(0x084, 0),
        Operation::write(0x090, AVAILABLE),
        Operation::write(0x094, 0),
        Operation::write(0x0a0, USED),
        Operation::write(0x0a4, 0),
        Operation::write(0x044, 1),
        Operation::write(0x070, 0xf),
        first_request(ring),
    ]
}

/// Returns a request that both sides tell of.
const fn first_request(ring: Ring) -> Operation {
    Operation::Request(Request {
        kind: 4,
        sector: 0,
        count: 0,
        split: 0,
        pattern: 0,
        ring,
        form: Form::Direct,
        event: 0,
    })
}

fn generate(random: &mut Random, ring: Ring) -> Operation {
    match random.below(4) {
        0 => Operation::write(INTERRUPT_ACKNOWLEDGE, random.below(4)),
        1 => {
            let place = random.pick(&[INTERRUPT_STATUS, 0x070, CAPACITY, WRITEBACK, 0x0fc]);
            Operation::read(place)
        }
        _ => Operation::Request(request(random, ring)),
    }
}

fn request(random: &mut Random, ring: Ring) -> Request {
    let kind = random.pick(&[0, 0, 0, 1, 1, 1, 4, GET_ID, 11, 13, 99]);
    let sector = if random.one_in(16) {
        random.bits() >> random.below(64)
    } else {
        random.below(SECTORS + 4)
    };
    Request {
        kind,
        sector,
        count: random.below(9),
        split: random.below(2048),
        pattern: if kind == GET_ID {
            0
        } else {
            random.bits() as u8
        },
        ring,
        form: random.pick(&[Form::Direct, Form::Indirect]),
        event: random.below(4),
    }
}

const GET_ID: u32 = 8;

const CHOICES: &[Choice] = &[
    Choice {
        whose: Whose::Choice,
        reason: "GET_ID: the bytes behind a short name are zeros here, what stood in the buffer \
                 there",
        effect: Effect::Avoided,
    },
    Choice {
        whose: Whose::Qemu,
        reason: "a used descriptor of a packed ring does not say that something was written \
                 (virtio 1.3, 2.8.5)",
        effect: Effect::Avoided,
    },
    Choice {
        whose: Whose::Choice,
        reason: "the first completion, and one that reaches the end of a packed ring, interrupt \
                 whatever the driver wants, but only there",
        effect: Effect::Avoided,
    },
];
