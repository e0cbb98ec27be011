//! A guest and its disk: rings in its memory, data from the archive, changes beside it.

use super::bench::*;
use addr::Ipa;
use machine_fakes::{Buffer, FakeGuest, FakeRing, Form, Used};
use manifest::{Device, Disk, DiskAccess};
use std::vec::Vec;

const BASE: u64 = 0x0a00_0000;
/// SPI 16.
const INTERRUPT: u32 = 48;
/// In the guest's memory: a window that the test copies back and forth.
const WINDOW: u64 = 0x4010_0000;
const WINDOW_SIZE: usize = 0x1000;
const HEADER: u64 = WINDOW + 0x800;
const STATUS: u64 = WINDOW + 0x880;
/// Large data.
const DATA: u64 = 0x4028_0000;

struct Driver {
    bench: Bench,
    shadow: FakeGuest,
    ring: FakeRing,
}

fn disk(access: DiskAccess) -> Device {
    Device::VirtioBlk(Disk {
        image: DISK.into(),
        access,
    })
}

impl Driver {
    fn new(guests: &[Guest]) -> Self {
        let mut bench = Bench::new(guests, 1);
        let mut shadow = FakeGuest::new(WINDOW, WINDOW_SIZE, 0);
        let ring = FakeRing::new(Form::Split, WINDOW, 16);
        assert_eq!(bench.read(0, BASE), 0x7472_6976);
        assert_eq!(bench.read(0, BASE + 8), 2);
        bench.write(0, BASE + 0x70, 3);
        // VERSION_1, EVENT_IDX.
        bench.write(0, BASE + 0x24, 1);
        bench.write(0, BASE + 0x20, 1);
        bench.write(0, BASE + 0x24, 0);
        bench.write(0, BASE + 0x20, 1 << 29);
        bench.write(0, BASE + 0x70, 11);
        bench.write(0, BASE + 0x38, 16);
        for (offset, address) in [
            (0x80, ring.descriptors),
            (0x90, ring.driver),
            (0xa0, ring.device),
        ] {
            bench.write(0, BASE + offset, address);
        }
        bench.write(0, BASE + 0x44, 1);
        bench.write(0, BASE + 0x70, 15);
        assert_eq!(bench.read(0, BASE + 0x70), 15);
        bench.enable_interrupts(0);
        bench.write(0, 0x0800_0084, 0xffff_0000);
        bench.write(0, 0x0800_0104, 0xffff_0000);
        shadow.memory.fill(0);
        Self {
            bench,
            shadow,
            ring,
        }
    }

    fn put(&self, ipa: u64, bytes: &[u8]) {
        let (pa, left) = self.bench.vm(0).translate(Ipa::new(ipa)).unwrap();
        assert!(left >= bytes.len() as u64);
        let mut memory = self.bench.machines[0].memory.borrow_mut();
        let place = memory.bytes_mut(pa, bytes.len() as u64).unwrap();
        place.copy_from_slice(bytes);
    }

    fn get(&self, ipa: u64, size: usize) -> Vec<u8> {
        self.bench.guest_bytes(0, Ipa::new(ipa), size as u64)
    }

    /// Sends a request with one buffer of data.
    fn send(&mut self, kind: u32, sector: u64, data: Buffer) -> u16 {
        self.shadow.memory = self.get(WINDOW, WINDOW_SIZE);
        let mut header = [0; 16];
        header[..4].copy_from_slice(&kind.to_le_bytes());
        header[8..].copy_from_slice(&sector.to_le_bytes());
        self.shadow.put(HEADER, &header);
        self.shadow.put(STATUS, &[0xaa]);
        let chain = [
            Buffer::readable(HEADER, 16),
            data,
            Buffer::writable(STATUS, 1),
        ];
        self.ring.ask_for_event(&mut self.shadow, 0);
        let id = self.ring.add(&mut self.shadow, &chain);
        self.put(WINDOW, &self.shadow.memory);
        self.bench.write(0, BASE + 0x50, 0);
        id
    }

    fn take(&mut self) -> Option<Used> {
        self.shadow.memory = self.get(WINDOW, WINDOW_SIZE);
        self.ring.take(&self.shadow)
    }

    fn status(&self) -> u8 {
        self.get(STATUS, 1)[0]
    }

    /// Takes the interrupt as a driver does.
    fn interrupted(&mut self) -> bool {
        let taken = self.bench.acknowledge(0);
        if taken != [INTERRUPT] {
            assert_eq!(taken, [0; 0]);
            return false;
        }
        assert_eq!(self.bench.read(0, BASE + 0x60), 1);
        self.bench.write(0, BASE + 0x64, 1);
        self.bench.end(0);
        // The end of an interrupt by level is told.
        self.bench.raise(0, MAINTENANCE);
        self.bench.interrupt(0);
        self.bench.settle();
        true
    }

    /// Sends a request that must be done in the very exit.
    fn request(&mut self, kind: u32, sector: u64, data: Buffer) -> u8 {
        let id = self.send(kind, sector, data);
        assert_eq!(self.take().map(|used| used.id), Some(id));
        assert!(self.interrupted());
        self.status()
    }
}

fn sectors(first: usize, count: usize) -> Vec<u8> {
    disk_image()[first * 512..(first + count) * 512].to_vec()
}

#[test]
fn the_guest_reads_the_image_and_what_it_wrote_over_it() {
    let mut driver = Driver::new(&[Guest::new("alpha", 1).device(disk(DiskAccess::ReadWrite))]);
    assert_eq!(driver.request(0, 3, Buffer::writable(DATA, 1024)), 0);
    assert_eq!(driver.get(DATA, 1024), sectors(3, 2));
    driver.put(DATA, &[0x5a; 1024]);
    assert_eq!(driver.request(1, 9, Buffer::readable(DATA, 1024)), 0);
    assert_eq!(driver.request(0, 8, Buffer::writable(DATA, 2048)), 0);
    let mut expected = sectors(8, 4);
    expected[512..1536].fill(0x5a);
    assert_eq!(driver.get(DATA, 2048), expected);
    // The last sector, whose page is not full.
    driver.put(DATA, &[0x77; 512]);
    assert_eq!(driver.request(1, 2052, Buffer::readable(DATA, 512)), 0);
    assert_eq!(driver.request(0, 2051, Buffer::writable(DATA, 1024)), 0);
    let mut expected = sectors(2051, 2);
    expected[512..].fill(0x77);
    assert_eq!(driver.get(DATA, 1024), expected);
    driver.bench.check_rest();
}

#[test]
fn a_disk_outlives_a_reset_of_its_vm() {
    let guests = [Guest::new("alpha", 1).device(disk(DiskAccess::ReadWrite))];
    let mut driver = Driver::new(&guests);
    driver.put(DATA, &[0x5a; 512]);
    assert_eq!(driver.request(1, 0, Buffer::readable(DATA, 512)), 0);
    let _ = driver.bench.hvc(0, &[0x8400_0009]);
    driver.bench.settle();
    // The device is as after power-on.
    assert_eq!(driver.bench.read(0, BASE + 0x70), 0);
    let store = driver.bench.vm(0).devices[3].store.as_ref().unwrap();
    let (pa, _) = store.overlay(0).unwrap();
    let memory = driver.bench.machines[0].memory.borrow();
    assert_eq!(memory.bytes(pa, 512).unwrap(), [0x5a; 512]);
}

#[test]
fn a_disk_that_is_read_only_takes_no_memory_and_no_writes() {
    let guests = [Guest::new("alpha", 1).device(disk(DiskAccess::ReadOnly))];
    let mut driver = Driver::new(&guests);
    assert_eq!(driver.request(1, 0, Buffer::readable(DATA, 512)), 1);
    assert_eq!(driver.request(0, 2052, Buffer::writable(DATA, 512)), 0);
    assert_eq!(driver.get(DATA, 512), sectors(2052, 1));
    assert_eq!(driver.request(0, 2053, Buffer::writable(DATA, 512)), 1);
    let store = driver.bench.vm(0).devices[3].store.as_ref().unwrap();
    assert!(store.overlay.is_empty() && store.changes.is_none());
}

#[test]
fn i2_a_long_request_is_cut_into_exits_and_finished_by_the_timer() {
    let mut driver = Driver::new(&[Guest::new("alpha", 1).device(disk(DiskAccess::ReadWrite))]);
    let size = 1 << 20;
    let id = driver.send(0, 2, Buffer::writable(DATA, size));
    assert_eq!(driver.take(), None);
    let mut exits = 1;
    let used = loop {
        assert!(driver.bench.machines[0].clock.deadline.is_some());
        driver.bench.advance(1000);
        driver.bench.settle();
        exits += 1;
        assert!(exits < 100);
        if let Some(used) = driver.take() {
            break used;
        }
        assert!(!driver.interrupted());
    };
    assert_eq!((used.id, used.written), (id, size + 1));
    assert!(exits >= 8, "{exits}");
    assert!(driver.interrupted());
    assert_eq!(driver.get(DATA, 1 << 20), sectors(2, 2048));
    driver.bench.check_rest();
}

#[test]
fn f5_neither_devices_nor_other_vms_are_reached() {
    let guests = [
        Guest::new("alpha", 1).device(disk(DiskAccess::ReadWrite)),
        Guest::new("beta", 1),
    ];
    let mut driver = Driver::new(&guests);
    let beta = driver.bench.guest_bytes(1, Ipa::new(0x4000_0000), 4 << 20);
    for address in [
        0,
        0x0800_0000,
        0x0900_0000,
        BASE,
        0x4040_0000 - 256,
        0x4040_0000,
        1 << 40,
    ] {
        assert_eq!(driver.request(0, 0, Buffer::writable(address, 512)), 1);
        assert_eq!(driver.request(1, 0, Buffer::readable(address, 512)), 1);
    }
    assert_eq!(driver.request(0, 0, Buffer::writable(DATA, 512)), 0);
    // What was not read was not written either.
    assert_eq!(driver.get(DATA, 512), sectors(0, 1));
    let after = driver.bench.guest_bytes(1, Ipa::new(0x4000_0000), 4 << 20);
    assert!(beta == after);
}
