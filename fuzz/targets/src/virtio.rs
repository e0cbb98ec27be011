//! Virtio devices under a hostile driver: registers, rings and buffers of its own making, in any
//! order, and changes of what stands behind the device.

use crate::input::Input;
use ::devices::virtio_blk::{self, Access};
use ::devices::{
    Device, VirtioBalloon, VirtioBlk, VirtioConsole, VirtioRng, virtio_balloon, virtio_console,
    virtio_rng,
};
use addr::Width;
use device_model::migrate::Writer;
use device_model::{BackendChange, Effects, Moment, Slot, TimeBase, WorkRequest};
use machine_fakes::{Buffer, FakeGuest, FakeRing, Form, INDIRECT};
use virtio::mmio::{Config, Register, Version};
use virtio::{Features, VirtioMmio};

const RAM: u64 = 0x4000_0000;
const RAM_SIZE: usize = 0x1_0000;
/// Behind the rings.
const BUFFERS: u64 = 0x8000;
const DISK: usize = 0x9000 + 100;

/// What one turn may cost: its budget, and what the last access may cost beyond it.
const TURN: u64 = 80 * 1024 + 8 * 1024;
/// What an access costs beside its bytes.
const PER_ACCESS: u64 = 768;

/// Lets a driver work on a disk.
///
/// # Panics
/// If a turn costs too much, has more effects than an embedder holds, a disk that is read-only
/// changes, or a device can't be restored from what it saved. So do the others here.
pub fn run_blk(data: &[u8]) {
    let mut input = Input::new(data);
    let config = virtio_blk::Config {
        bytes: DISK as u64,
        access: input.of(&[Access::ReadWrite, Access::ReadOnly]),
        queues: 1 + u16::from(input.byte() & 3),
        ..virtio_blk::Config::default()
    };
    let make = move |transport| VirtioMmio::new(transport, VirtioBlk::new(config)).into();
    let guest = run(input, &make);
    if config.access == Access::ReadOnly {
        assert_eq!(guest.disk, FakeGuest::new(RAM, 0, DISK).disk);
    }
}

/// Lets a driver work on a source of random numbers.
pub fn run_rng(data: &[u8]) {
    let make = |transport| {
        let device = VirtioRng::new(virtio_rng::Config);
        VirtioMmio::new(transport, device).into()
    };
    run(Input::new(data), &make);
}

/// Lets a driver and an operator work on a console.
pub fn run_console(data: &[u8]) {
    let mut input = Input::new(data);
    let config = virtio_console::Config {
        ports: input.byte() & 0xf,
        ..virtio_console::Config::default()
    };
    let make = move |transport| VirtioMmio::new(transport, VirtioConsole::new(config)).into();
    run(input, &make);
}

/// Lets a driver work on a memory balloon.
pub fn run_balloon(data: &[u8]) {
    let mut input = Input::new(data);
    let config = virtio_balloon::Config {
        statistics_interval: input.of(&[None, Some(1000)]),
    };
    let make = move |transport| VirtioMmio::new(transport, VirtioBalloon::new(config)).into();
    run(input, &make);
}

struct Stream<'a> {
    make: &'a dyn Fn(Config) -> Device,
    transport: Config,
    slot: Slot<Device>,
    guest: FakeGuest,
    rings: Vec<FakeRing>,
    form: Form,
    now: u64,
}

fn run(mut input: Input<'_>, make: &dyn Fn(Config) -> Device) -> FakeGuest {
    let transport = Config {
        version: input.of(&[Version::Modern, Version::Modern, Version::Legacy]),
        rings: Features::RINGS,
    };
    let form = input.of(&[Form::Split, Form::Packed]);
    let mut stream = Stream {
        make,
        transport,
        slot: Slot::new(make(transport)),
        guest: FakeGuest::new(RAM, RAM_SIZE, DISK),
        rings: Vec::new(),
        form,
        now: 0,
    };
    stream.start(input.of(&[4_u16, 16, 1, 3]), input.of(&[!0_u64, !2, 0]));
    for _ in 0..256 {
        if input.is_empty() {
            break;
        }
        stream.step(&mut input);
    }
    stream.guest
}

impl Stream<'_> {
    /// Goes through the initialization, as far as the device goes along.
    fn start(&mut self, size: u16, wanted: u64) {
        self.write(Register::Status, 3);
        let mut wanted = wanted | 1 << 32;
        if self.form == Form::Split {
            wanted &= !(1 << 34);
        }
        for half in 0..2 {
            self.write(Register::DeviceFeaturesSelect, half);
            let offered = self.read(Register::DeviceFeatures);
            self.write(Register::DriverFeaturesSelect, half);
            let mine = (wanted >> (32 * half)) & 0xffff_ffff;
            self.write(Register::DriverFeatures, offered & mine);
        }
        self.write(Register::Status, 11);
        self.rings.clear();
        for queue in 0..8_u16 {
            let base = RAM + u64::from(queue) * 0x1000;
            let ring = FakeRing::new(self.form, base, size);
            self.write(Register::QueueSelect, u64::from(queue));
            self.write(Register::QueueSize, u64::from(size));
            for (register, address) in [
                (Register::QueueDescriptorsLow, ring.descriptors),
                (Register::QueueDriverLow, ring.driver),
                (Register::QueueDeviceLow, ring.device),
            ] {
                self.write(register, address);
            }
            self.write(Register::QueueReady, 1);
            // The legacy interface's way.
            self.write(Register::GuestPageSize, 0x1000);
            self.write(Register::QueueAlign, 0x10);
            self.write(Register::QueuePfn, base >> 12);
            self.rings.push(ring);
        }
        self.write(Register::Status, 15);
    }

    fn effects(&self) -> Effects {
        Effects::new(Moment {
            ticks: self.now,
            base: TimeBase {
                frequency: 1_000_000_000,
                epoch: 0,
            },
        })
    }

    fn write(&mut self, register: Register, value: u64) {
        let mut effects = self.effects();
        let _ = self
            .slot
            .write(&mut effects, register.offset(), Width::Word, value);
        self.settle(effects);
    }

    fn read(&mut self, register: Register) -> u64 {
        let mut effects = self.effects();
        self.slot
            .read(&mut effects, register.offset(), Width::Word)
            .unwrap_or(0)
    }

    fn step(&mut self, input: &mut Input<'_>) {
        match input.below(16) {
            0 => {
                let width = input.of(&Width::ALL);
                let value = input.value();
                let mut effects = self.effects();
                let _ = self.slot.write(&mut effects, offset(input), width, value);
                self.settle(effects);
            }
            1 => {
                let width = input.of(&Width::ALL);
                let mut effects = self.effects();
                let _ = self.slot.read(&mut effects, offset(input), width);
                self.settle(effects);
            }
            2..=5 => self.add(input),
            6 | 7 => self.scribble(input),
            8..=10 => self.write(Register::QueueNotify, u64::from(input.byte() & 15)),
            11 => {
                let bytes: Vec<u8> = (0..input.below(80)).map(|_| input.byte()).collect();
                let mut effects = self.effects();
                assert!(self.slot.receive(&mut effects, &bytes) <= bytes.len());
                self.settle(effects);
            }
            12 => {
                self.now = self.now.saturating_add(u64::from(input.half()));
                self.guest.entropy_left = usize::from(input.byte()) * 16;
                let mut effects = self.effects();
                self.slot.timer_expired(&mut effects);
                self.settle(effects);
            }
            13 => {
                let change = match input.below(3) {
                    0 => BackendChange::DiskSize(input.value()),
                    1 => BackendChange::ConsoleSize {
                        columns: input.half(),
                        rows: input.half(),
                    },
                    _ => BackendChange::BalloonTarget(input.word()),
                };
                let mut effects = self.effects();
                self.slot.backend_changed(&mut effects, change);
                self.settle(effects);
            }
            14 => self.move_elsewhere(),
            _ => match input.below(4) {
                0 => self.slot.reset(&mut self.effects()),
                1 => self.start(input.of(&[4, 16, 1, 3]), !0),
                _ => self.write(Register::Status, u64::from(input.byte())),
            },
        }
    }

    /// Makes a chain available, mostly of buffers that exist.
    fn add(&mut self, input: &mut Input<'_>) {
        let count = self.rings.len();
        let Some(ring) = self.rings.get_mut(input.below(count)) else {
            return;
        };
        let length = 1 + input.below(4);
        let chain: Vec<Buffer> = (0..length).map(|_| buffer(input)).collect();
        // A ring takes no more at once than it has.
        let chain = &chain[..chain.len().min(usize::from(ring.size))];
        if input.byte() & 3 == 0 {
            let table = RAM + BUFFERS + u64::from(input.byte()) * 16;
            ring.add_indirect(&mut self.guest, table, chain);
        } else {
            ring.add(&mut self.guest, chain);
        }
        let _ = ring.take(&self.guest);
        ring.ask_for_event(&mut self.guest, 0);
    }

    /// Writes anything into rings or buffers.
    fn scribble(&mut self, input: &mut Input<'_>) {
        let place = match input.below(4) {
            0 => u64::from(input.half()),
            1 => BUFFERS + u64::from(input.byte()),
            _ => u64::from(input.byte() & 7) * 0x1000 + u64::from(input.half() & 0x1ff),
        };
        let bytes = input.value().to_le_bytes();
        let count = 1 + input.below(8);
        let place = place.min(RAM_SIZE as u64 - 8);
        self.guest.put(RAM + place, &bytes[..count]);
    }

    /// Lets the device work, a few turns at most, and looks at what each costs.
    fn settle(&mut self, mut effects: Effects) {
        assert_eq!(effects.lost, 0, "{effects:?}");
        for _ in 0..20 {
            if effects.work == WorkRequest::Unchanged {
                return;
            }
            let (copied, copies) = (self.guest.copied, self.guest.copies);
            effects = self.effects();
            self.slot.work(&mut effects, &mut self.guest);
            assert_eq!(effects.lost, 0, "{effects:?}");
            let copied = self.guest.copied - copied;
            let copies = self.guest.copies - copies;
            let cost = copied + copies * PER_ACCESS;
            assert!(cost <= TURN, "{copies} copies of {copied} bytes in a turn");
        }
    }

    /// Saves the device and goes on with another one that is restored from that.
    fn move_elsewhere(&mut self) {
        let mut effects = self.effects();
        self.slot.pause(&mut effects).expect("it runs");
        let saved = save(&mut self.slot);
        let mut other = Slot::new((self.make)(self.transport));
        other.pause(&mut effects).expect("it runs");
        other.restore(&saved).expect("its own state");
        assert_eq!(save(&mut other), saved);
        self.slot = other;
        self.slot.resume(&mut effects).expect("it is paused");
        self.settle(effects);
    }
}

fn save(slot: &mut Slot<Device>) -> Vec<u8> {
    let mut out = Writer::new(1 << 16);
    slot.save(&mut out).expect("it is paused");
    out.finish().expect("a short state")
}

fn offset(input: &mut Input<'_>) -> u64 {
    match input.below(4) {
        0 => input.value(),
        1 => 0x100 + u64::from(input.byte() & 0x3f),
        _ => u64::from(input.byte()) & !3,
    }
}

fn buffer(input: &mut Input<'_>) -> Buffer {
    let address = match input.below(8) {
        0 => input.value(),
        1 => RAM + RAM_SIZE as u64 - u64::from(input.byte()),
        _ => RAM + BUFFERS + u64::from(input.half() & 0x7ff0),
    };
    let length = match input.below(8) {
        0 => input.word(),
        1 => 512 * (1 + u32::from(input.byte() & 15)),
        2 => 1,
        3 => 512,
        _ => 16,
    };
    let flags = match input.below(16) {
        0 => INDIRECT,
        1 => input.half() & 7,
        2..=8 => return Buffer::writable(address, length),
        _ => 0,
    };
    Buffer {
        address,
        length,
        flags,
    }
}

/// Makes streams that send requests and let them be served.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    (0..8_u8)
        .map(|choice| {
            let mut bytes = vec![choice & 1, choice >> 1, choice, choice >> 2, 1, 0];
            for round in 0..12_u8 {
                // A header, a chain of three, a notification.
                bytes.extend([6, 1, round, 0, round, 7]);
                bytes.extend([
                    2,
                    round & 3,
                    2,
                    2,
                    0,
                    0,
                    4,
                    15,
                    2,
                    0,
                    1,
                    3,
                    5,
                    2,
                    0,
                    2,
                    2,
                    5,
                    1,
                ]);
                bytes.extend([8, round & 3, 11, 3, b'a', b'b', b'c']);
                bytes.extend([12, 1, 1, 9, 14]);
            }
            bytes
        })
        .collect()
}
