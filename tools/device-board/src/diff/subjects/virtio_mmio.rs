//! The memory-mapped transport of virtio, with a device that has nothing to do: the rings are all
//! zeros. The driver keeps to the order of things; what a device does with one that does not is its
//! own affair.

use super::super::{Effect, Whose};
use super::{Choice, Operation, Random, Shadow, Subject, Watch};
use crate::options::MachineKind;
use addr::Width;
use guest_image::map;

const VENDOR: u64 = 0x00c;
const DEVICE_FEATURES: u64 = 0x010;
const DEVICE_FEATURES_SELECT: u64 = 0x014;
const DRIVER_FEATURES: u64 = 0x020;
const DRIVER_FEATURES_SELECT: u64 = 0x024;
const GUEST_PAGE_SIZE: u64 = 0x028;
const QUEUE_SELECT: u64 = 0x030;
const QUEUE_SIZE_MAX: u64 = 0x034;
const QUEUE_SIZE: u64 = 0x038;
const QUEUE_ALIGN: u64 = 0x03c;
const QUEUE_PFN: u64 = 0x040;
const QUEUE_READY: u64 = 0x044;
const QUEUE_NOTIFY: u64 = 0x050;
const INTERRUPT_STATUS: u64 = 0x060;
const INTERRUPT_ACKNOWLEDGE: u64 = 0x064;
const STATUS: u64 = 0x070;
const DESCRIPTORS: u64 = 0x080;
const DRIVER: u64 = 0x090;
const DEVICE: u64 = 0x0a0;
const SHARED_MEMORY: u64 = 0x0b0;
const CONFIGURATION: u64 = 0x100;

/// ACKNOWLEDGE, DRIVER, FEATURES_OK, DRIVER_OK in their order; FAILED.
const STEPS: [u64; 4] = [1, 2, 8, 4];
const FEATURES_OK: u64 = 8;
const FAILED: u64 = 0x80;

/// INDIRECT_DESC and EVENT_IDX in the first word, VERSION_1 in the second.
const COMMON_LOW: u64 = 3 << 28;
const COMMON_HIGH: u64 = 1;

/// The largest queue of both.
const LARGEST: u64 = 6;

/// Memory of zeros: QEMU puts a device tree at the start.
const MEMORY: u64 = map::RAM_BASE.get() + (4 << 20);

/// The last slot, where the first `-device` goes.
const BASE: u64 = map::VIRTIO_BASE.get() + 31 * map::VIRTIO_STRIDE;

pub(super) const MODERN: Subject = Subject {
    name: "virtio-mmio",
    device: "virtio-mmio.31",
    base: BASE,
    arguments: &[
        "-global",
        "virtio-mmio.force-legacy=false",
        "-device",
        "virtio-rng-device",
    ],
    prologue: &[],
    machine: MachineKind::Virt,
    inputs: None,
    watch: Watch::Nothing,
    cost: 1,
    trace: None,
    generate,
    shadow: || Box::new(Driver::new(Interface::Modern)),
    choices: CHOICES,
};

pub(super) const LEGACY: Subject = Subject {
    name: "virtio-mmio-legacy",
    arguments: &["-device", "virtio-rng-device"],
    shadow: || Box::new(Driver::new(Interface::Legacy)),
    ..MODERN
};

/// What is accessed, often first.
const REGISTERS: [u64; 36] = [
    STATUS,
    STATUS,
    QUEUE_READY,
    QUEUE_PFN,
    QUEUE_SELECT,
    QUEUE_SIZE,
    QUEUE_SIZE_MAX,
    DEVICE_FEATURES,
    DEVICE_FEATURES_SELECT,
    DRIVER_FEATURES,
    DRIVER_FEATURES_SELECT,
    GUEST_PAGE_SIZE,
    QUEUE_ALIGN,
    QUEUE_NOTIFY,
    INTERRUPT_STATUS,
    INTERRUPT_ACKNOWLEDGE,
    DESCRIPTORS,
    DESCRIPTORS + 4,
    DRIVER,
    DRIVER + 4,
    DEVICE,
    DEVICE + 4,
    0x000,
    0x004,
    0x008,
    VENDOR,
    0x01c,
    0x0ac,
    0x0b0,
    0x0b4,
    0x0b8,
    0x0bc,
    0x0f8,
    0x0fc,
    CONFIGURATION,
    0x1f8,
];

fn generate(random: &mut Random) -> Operation {
    let operation = match random.below(8) {
        0 => Operation::write(STATUS, random.pick(&[0, 1, 2, 3, 8, FAILED])),
        1 => Operation::write(QUEUE_SELECT, random.below(3)),
        2 => Operation::write(random.pick(&[QUEUE_READY, QUEUE_PFN]), random.bits()),
        3 => Operation::write(random.pick(&REGISTERS), random.value()),
        _ => Operation::read(random.pick(&REGISTERS)),
    };
    super::sometimes_narrow(random, operation, &[Width::Byte, Width::Half])
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interface {
    Legacy,
    Modern,
}

/// What a well-behaved driver knows.
struct Driver {
    interface: Interface,
    status: u64,
    /// Whether it has chosen which half of the device's features it reads.
    features_chosen: bool,
    features_select: u64,
    version_1: bool,
    queue: u64,
    /// Of queue 0, the only one.
    size: bool,
    areas: [bool; 6],
    running: bool,
    page_size: bool,
    align: bool,
}

impl Driver {
    fn new(interface: Interface) -> Self {
        Self {
            interface,
            status: 0,
            features_chosen: false,
            features_select: 0,
            version_1: false,
            queue: 0,
            size: false,
            areas: [false; 6],
            running: false,
            page_size: false,
            align: false,
        }
    }

    fn written(&mut self, offset: u64, value: u64) -> Option<u64> {
        let page = |value: u64| MEMORY + ((value & 0x3f) << 12);
        Some(match offset {
            STATUS => self.next_status(value)?,
            DEVICE_FEATURES_SELECT => {
                self.features_chosen = true;
                value & 1
            }
            DRIVER_FEATURES_SELECT => {
                self.features_select = value & 1;
                self.features_select
            }
            DRIVER_FEATURES if self.status & FEATURES_OK != 0 => return None,
            DRIVER_FEATURES if self.features_select == 0 => value & COMMON_LOW,
            DRIVER_FEATURES => {
                self.version_1 = true;
                COMMON_HIGH
            }
            GUEST_PAGE_SIZE if self.running => return None,
            GUEST_PAGE_SIZE => {
                self.page_size = true;
                4096
            }
            QUEUE_SELECT => {
                self.queue = value % 1024;
                self.queue
            }
            QUEUE_SIZE if self.running => return None,
            QUEUE_SIZE => {
                self.size |= self.queue == 0;
                1 << (value % (LARGEST + 1))
            }
            QUEUE_ALIGN if self.running => return None,
            QUEUE_ALIGN => {
                self.align |= self.queue == 0;
                4096
            }
            QUEUE_PFN if self.interface == Interface::Modern => value,
            QUEUE_PFN => {
                let ready = self.queue == 0 && self.page_size && self.align && self.size;
                if !ready {
                    return None;
                }
                self.running = true;
                page(value) >> 12
            }
            QUEUE_READY if self.interface == Interface::Legacy => value,
            QUEUE_READY => self.start(value & 1)?,
            DESCRIPTORS..CONFIGURATION if self.running => return None,
            DESCRIPTORS | DRIVER | DEVICE => {
                self.set_area(offset);
                page(value)
            }
            0x084 | 0x094 | 0x0a4 => {
                self.set_area(offset);
                0
            }
            CONFIGURATION.. => return None,
            _ => value,
        })
    }

    fn may_read(&self, offset: u64) -> bool {
        match offset {
            DEVICE_FEATURES => self.features_chosen,
            SHARED_MEMORY..0x0c0 => self.interface == Interface::Modern,
            _ => true,
        }
    }

    /// Takes the next step, or none, or starts again.
    fn next_status(&mut self, wish: u64) -> Option<u64> {
        if wish == 0 {
            *self = Self {
                page_size: self.page_size,
                version_1: false,
                ..Self::new(self.interface)
            };
            return Some(0);
        }
        let step = STEPS.into_iter().find(|step| self.status & step == 0);
        self.status |= match step {
            _ if wish == FAILED => FAILED,
            Some(FEATURES_OK) if !self.version_1 && self.interface == Interface::Modern => 0,
            Some(step) => step,
            None => 0,
        };
        Some(self.status)
    }

    fn start(&mut self, wish: u64) -> Option<u64> {
        let set_up = self.size && self.areas == [true; 6];
        if self.queue != 0 || (wish == 1 && (!set_up || self.status & FEATURES_OK == 0)) {
            return None;
        }
        self.running = wish == 1;
        Some(wish)
    }

    fn set_area(&mut self, offset: u64) {
        let area = (offset - DESCRIPTORS) / 16 * 2 + offset / 4 % 2;
        if let Some(set) = self.areas.get_mut(area as usize)
            && self.queue == 0
        {
            *set = true;
        }
    }
}

impl Shadow for Driver {
    fn admit(&mut self, operation: Operation) -> Option<Operation> {
        match operation {
            // It has no effect, whatever it says.
            Operation::Write { width, .. } if width != Width::Word => Some(operation),
            Operation::Write { offset, value, .. } => {
                Some(Operation::write(offset, self.written(offset, value)?))
            }
            Operation::Read { offset, .. } => self.may_read(offset).then_some(operation),
            Operation::Input { .. } | Operation::Request(_) => Some(operation),
        }
    }
}

const CHOICES: &[Choice] = &[
    Choice {
        whose: Whose::Choice,
        reason: "VendorID: another vendor",
        effect: Effect::View(|operation, value| match operation.offset() {
            Some(VENDOR) => 0,
            _ => value,
        }),
    },
    Choice {
        whose: Whose::Choice,
        reason: "DeviceFeatures: packed rings here, the features of other transports there",
        effect: Effect::View(|operation, value| match operation.offset() {
            Some(DEVICE_FEATURES) => value & (COMMON_LOW | COMMON_HIGH),
            _ => value,
        }),
    },
    Choice {
        whose: Whose::Choice,
        reason: "QueueSizeMax: what the device has here, 1024 for any queue there",
        effect: Effect::View(|operation, value| match operation.offset() {
            Some(QUEUE_SIZE_MAX) => u64::from(value != 0),
            _ => value,
        }),
    },
    Choice {
        whose: Whose::Choice,
        reason: "behind the end of the configuration there are zeros here, ones there",
        effect: Effect::View(|operation, value| match operation.offset() {
            Some(CONFIGURATION..) => 0,
            _ => value,
        }),
    },
    Choice {
        whose: Whose::Qemu,
        reason: "the base of shared memory that does not exist reads as 0, not as all ones \
                 (virtio 1.3, 4.2.2)",
        effect: Effect::View(|operation, value| match operation.offset() {
            Some(0x0b8 | 0x0bc) => 0,
            _ => value,
        }),
    },
    Choice {
        whose: Whose::Choice,
        reason: "a reset resets the selectors of features here, not there",
        effect: Effect::Avoided,
    },
    Choice {
        whose: Whose::Qemu,
        reason: "registers of shared memory exist in the legacy interface",
        effect: Effect::Avoided,
    },
    Choice {
        whose: Whose::Qemu,
        reason: "FEATURES_OK stays whatever was accepted (3.1.1), features are agreed upon without \
                 VERSION_1, selectors above 1 select 1",
        effect: Effect::Avoided,
    },
    Choice {
        whose: Whose::Qemu,
        reason: "queues become ready before the features are agreed upon, without a size, and \
                 though they do not exist",
        effect: Effect::Avoided,
    },
    Choice {
        whose: Whose::Qemu,
        reason: "a QueuePFN of 0 resets the whole device, not the queue (4.2.4)",
        effect: Effect::Avoided,
    },
];
