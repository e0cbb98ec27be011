//! The driver's side of virtio devices.

use super::{effects, slot};
use crate::Device;
use addr::Width;
use device_model::{BackendChange, Effects, Level, Slot, WorkRequest};
use machine_fakes::{Buffer, FakeGuest, FakeRing, Form, Used};
use std::vec::Vec;
use virtio::mmio::Register;

/// The start of a virtio guest's RAM.
pub(crate) const RAM: u64 = 0x4000_0000;

/// Where a test's buffers lie: what is before belongs to rings.
pub(crate) const BUFFERS: u64 = RAM + 0x4_0000;

/// A virtio device with its driver.
pub(crate) struct VirtioBench {
    pub(crate) slot: Slot<Device>,
    pub(crate) guest: FakeGuest,
    pub(crate) rings: Vec<FakeRing>,
    pub(crate) form: Form,
    pub(crate) now: u64,
    /// What the last call recorded.
    pub(crate) last: Effects,
    /// How many turns the last kick took.
    pub(crate) turns: usize,
    /// All bytes that were sent.
    pub(crate) sent: Vec<u8>,
}

/// Everything that a driver of virtio 1.3 accepts.
pub(crate) const ALL_FEATURES: u64 = !0;

impl VirtioBench {
    /// Makes a device with a driver that accepts what is offered of `wanted`, rings of `form` with
    /// 64 descriptors, and 1 MiB of RAM.
    pub(crate) fn new(device: impl Into<Device>, form: Form, disk: usize, wanted: u64) -> Self {
        let mut bench = Self {
            slot: slot(device),
            guest: FakeGuest::new(RAM, 0x10_0000, disk),
            rings: Vec::new(),
            form,
            now: 0,
            last: effects(0),
            turns: 0,
            sent: Vec::new(),
        };
        bench.negotiate(wanted);
        bench
    }

    pub(crate) fn read(&mut self, register: Register) -> u32 {
        let value = self.read_at(register.offset(), Width::Word);
        u32::try_from(value).unwrap()
    }

    pub(crate) fn read_at(&mut self, offset: u64, width: Width) -> u64 {
        self.last = effects(self.now);
        self.slot.read(&mut self.last, offset, width).unwrap()
    }

    pub(crate) fn write(&mut self, register: Register, value: u32) {
        self.write_at(register.offset(), Width::Word, u64::from(value));
    }

    pub(crate) fn write_at(&mut self, offset: u64, width: Width, value: u64) {
        self.last = effects(self.now);
        self.slot
            .write(&mut self.last, offset, width, value)
            .unwrap();
        self.sent.extend(self.last.transmitted.iter());
    }

    /// Goes through the initialization of 3.1.1.
    pub(crate) fn negotiate(&mut self, wanted: u64) {
        self.write(Register::Status, 0);
        self.write(Register::Status, 1);
        self.write(Register::Status, 3);
        let mut wanted = wanted | 1 << 32;
        if self.form == Form::Split {
            wanted &= !(1 << 34);
        }
        for half in 0..2 {
            self.write(Register::DeviceFeaturesSelect, half);
            let offered = self.read(Register::DeviceFeatures);
            self.write(Register::DriverFeaturesSelect, half);
            let [low, high] = [wanted & 0xffff_ffff, wanted >> 32];
            let mine = if half == 0 { low } else { high };
            self.write(
                Register::DriverFeatures,
                offered & u32::try_from(mine).unwrap(),
            );
        }
        self.write(Register::Status, 11);
        assert_eq!(self.read(Register::Status), 11);
        self.rings.clear();
        let mut queue = 0;
        loop {
            self.write(Register::QueueSelect, queue);
            let max = self.read(Register::QueueSizeMax);
            if max == 0 {
                break;
            }
            let size = u16::try_from(max.min(64)).unwrap();
            let ring = FakeRing::new(self.form, RAM + u64::from(queue) * 0x1000, size);
            self.set_up(&ring);
            self.rings.push(ring);
            queue += 1;
        }
        self.write(Register::Status, 15);
        assert_eq!(self.read(Register::Status), 15);
    }

    /// Starts the selected queue.
    pub(crate) fn set_up(&mut self, ring: &FakeRing) {
        self.guest.put(ring.descriptors, &[0; 0x800]);
        self.write(Register::QueueSize, u32::from(ring.size));
        for (register, address) in [
            (Register::QueueDescriptorsLow, ring.descriptors),
            (Register::QueueDriverLow, ring.driver),
            (Register::QueueDeviceLow, ring.device),
        ] {
            self.write(register, u32::try_from(address).unwrap());
            let high = Register::try_from(register.offset() + 4).unwrap();
            self.write(high, 0);
        }
        self.write(Register::QueueReady, 1);
        assert_eq!(self.read(Register::QueueReady), 1);
    }

    pub(crate) fn add(&mut self, queue: usize, chain: &[Buffer]) -> u16 {
        self.rings[queue].add(&mut self.guest, chain)
    }

    pub(crate) fn take(&mut self, queue: usize) -> Option<Used> {
        self.rings[queue].take(&self.guest)
    }

    /// Notifies the device of a queue and lets it work until it is done.
    pub(crate) fn kick(&mut self, queue: u32) {
        self.write(Register::QueueNotify, queue);
        self.settle();
    }

    /// Lets the device work until it is done.
    pub(crate) fn settle(&mut self) {
        self.turns = 0;
        while self.last.work == WorkRequest::Wanted {
            self.turns += 1;
            assert!(self.turns < 100_000, "the device never rests");
            self.work();
        }
    }

    /// Lets the device take one turn.
    pub(crate) fn work(&mut self) {
        self.last = effects(self.now);
        self.slot.work(&mut self.last, &mut self.guest);
        assert_eq!(self.last.lost, 0);
        self.sent.extend(self.last.transmitted.iter());
    }

    pub(crate) fn change(&mut self, change: BackendChange) {
        self.last = effects(self.now);
        self.slot.backend_changed(&mut self.last, change);
        self.settle();
    }

    pub(crate) fn expire(&mut self) {
        self.last = effects(self.now);
        self.slot.timer_expired(&mut self.last);
        self.settle();
    }

    /// Reads InterruptStatus and acknowledges it.
    pub(crate) fn interrupts(&mut self) -> u32 {
        let status = self.read(Register::InterruptStatus);
        self.write(Register::InterruptAcknowledge, status);
        assert_eq!(self.slot.level(), Level::Low);
        status
    }
}
