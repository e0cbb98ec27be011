//! The same tests for every device: what a save, a restore and a reset must do.
//!
//! A device joins with one entry of [`device_suite!`], at the end of this file. An entry has:
//! - how the device is made;
//! - `survives`: the offsets of registers that a reset may leave as they are;
//! - `snapshots`: one saved state in each version, oldest first, all of them of the same device at
//!   the same moment. A change of the layout without a new version fails here; a new version adds a
//!   line, with the older ones left alone.

use crate::testing::effects;
use crate::{
    Device, Hpet, Pl011, Pl031, Pl061, Pvpanic, VirtioBalloon, VirtioBlk, VirtioConsole, VirtioRng,
};
use addr::Width;
use device_model::migrate::{ContainerReader, ContainerWriter, RestoreError, Writer};
use device_model::{Effects, Levels, Model, Slot, TimerRequest};
use std::vec::Vec;
use virtio::VirtioMmio;

const LIMIT: usize = 1 << 16;

/// A device as the suite makes it.
pub(crate) struct Subject<D> {
    pub(crate) make: fn() -> D,
    pub(crate) survives: &'static [u64],
    pub(crate) snapshots: &'static [&'static str],
}

/// A device at work: its guest, its time and its back end are pseudo-random.
struct Bench<D> {
    slot: Slot<D>,
    random: Random,
    now: u64,
    deadline: Option<u64>,
}

/// SplitMix64: the same numbers everywhere.
#[derive(Clone)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn value(&mut self) -> u64 {
        match self.below(4) {
            0 => self.below(0x100),
            1 => 1 << self.below(64),
            2 => u64::MAX,
            _ => self.next(),
        }
    }
}

impl<D: Model> Bench<D> {
    fn new(device: D, seed: u64) -> Self {
        Self {
            slot: Slot::new(device),
            random: Random(seed),
            now: 0,
            deadline: None,
        }
    }

    /// Does something to the device under fresh effects.
    fn with<R>(&mut self, work: impl FnOnce(&mut Slot<D>, &mut Effects, &mut Random) -> R) -> R {
        let mut host = effects(self.now);
        let result = work(&mut self.slot, &mut host, &mut self.random);
        match host.timer {
            Some(TimerRequest::Arm(deadline)) => self.deadline = Some(deadline),
            Some(TimerRequest::Cancel) => self.deadline = None,
            None => {}
        }
        result
    }

    /// Takes `steps` steps; returns what the guest saw.
    fn work(&mut self, steps: usize) -> Vec<u64> {
        (0..steps).map(|_| self.step()).collect()
    }

    fn step(&mut self) -> u64 {
        let width =
            [Width::Word, Width::Word, Width::Double, Width::Byte][self.random.below(4) as usize];
        let offset = match self.random.below(4) {
            0 => self.random.below(0x600),
            1 => 0x100 + self.random.below(0x100),
            2 => 0x400 + self.random.below(0x28),
            _ => self.random.below(0x50),
        };
        let offset = offset & !(width.bytes() - 1);
        match self.random.below(8) {
            0..=2 => self
                .with(|slot, host, _| slot.read(host, offset, width))
                .unwrap_or(0),
            3..=5 => {
                let value = self.random.value();
                let done = self.with(|slot, host, _| slot.write(host, offset, width, value));
                u64::from(done.is_ok())
            }
            6 => {
                let bytes = self.random.next().to_le_bytes();
                self.with(|slot, host, _| slot.receive(host, &bytes)) as u64
            }
            _ => {
                self.now += self.random.below(1 << self.random.clone().below(34));
                if self.deadline.is_some_and(|deadline| deadline <= self.now) {
                    self.deadline = None;
                    self.with(|slot, host, _| slot.timer_expired(host));
                }
                u64::from(self.levels().0)
            }
        }
    }

    fn levels(&self) -> Levels {
        self.slot.levels()
    }

    fn pause(&mut self) {
        self.with(|slot, host, _| slot.pause(host)).unwrap();
    }

    fn resume(&mut self) {
        self.with(|slot, host, _| slot.resume(host)).unwrap();
    }

    /// Saves the paused device.
    fn save(&mut self) -> Vec<u8> {
        let mut out = Writer::new(LIMIT);
        self.slot.save(&mut out).unwrap();
        out.finish().unwrap()
    }

    /// Reads every register, in words, without regard to what that does.
    fn registers(&mut self) -> Vec<(u64, Option<u64>)> {
        (0..0x1000)
            .step_by(4)
            .map(|offset| {
                let value = self.with(|slot, host, _| slot.read(host, offset, Width::Word));
                (offset, value.ok())
            })
            .collect()
    }
}

const SEEDS: u64 = 12;

pub(crate) fn round_trip<D: Model>(subject: &Subject<D>) {
    for seed in 0..SEEDS {
        let mut old = Bench::new((subject.make)(), seed);
        old.work(400);
        old.pause();
        let saved = old.save();
        let mut new = Bench::new((subject.make)(), 0);
        new.pause();
        new.slot.restore(&saved).unwrap();
        assert_eq!(new.save(), saved);
        new.now = old.now;
        new.random = old.random.clone();
        old.resume();
        new.resume();
        assert_eq!(old.levels(), new.levels());
        assert_eq!(old.deadline, new.deadline);
        assert_eq!(old.work(400), new.work(400), "seed {seed}");
    }
}

pub(crate) fn reset<D: Model>(subject: &Subject<D>) {
    for seed in 0..SEEDS {
        let mut used = Bench::new((subject.make)(), seed);
        used.work(400);
        used.with(|slot, host, _| slot.reset(host));
        let mut fresh = Bench::new((subject.make)(), 0);
        fresh.now = used.now;
        fresh.with(|slot, host, _| slot.reset(host));
        assert_eq!(used.levels(), Levels(0), "seed {seed}");
        assert_eq!(used.deadline, None, "seed {seed}");
        let (used, fresh) = (used.registers(), fresh.registers());
        for (used, fresh) in used.iter().zip(&fresh) {
            if !subject.survives.contains(&used.0) {
                assert_eq!(used, fresh, "seed {seed}");
            }
        }
    }
}

pub(crate) fn flipped_bits<D: Model>(subject: &Subject<D>) {
    let mut source = Bench::new((subject.make)(), 1);
    source.work(400);
    source.pause();
    let saved = source.save();
    let mut target = Bench::new((subject.make)(), 2);
    target.pause();
    for bit in 0..saved.len() * 8 {
        let mut flipped = saved.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let before = target.save();
        match target.slot.restore(&flipped) {
            // What was accepted is all there: no bit is ignored, and the device lives with it.
            Ok(()) => {
                assert_eq!(target.save(), flipped, "bit {bit}");
                target.resume();
                target.work(8);
                target.pause();
            }
            Err(_) => assert_eq!(target.save(), before, "bit {bit}"),
        }
    }
}

pub(crate) fn truncation<D: Model>(subject: &Subject<D>) {
    let mut bench = Bench::new((subject.make)(), 3);
    bench.work(400);
    bench.pause();
    let mut saved = bench.save();
    for length in 0..saved.len() {
        assert!(bench.slot.restore(&saved[..length]).is_err(), "{length}");
    }
    assert_eq!(bench.save(), saved);
    saved.push(0);
    assert_eq!(
        bench.slot.restore(&saved),
        Err(RestoreError::Trailing { bytes: 1 })
    );
}

pub(crate) fn older_versions<D: Model>(subject: &Subject<D>) {
    let snapshots: Vec<Vec<u8>> = subject.snapshots.iter().map(|hex| bytes(hex)).collect();
    let mut bench = Bench::new((subject.make)(), 4);
    bench.pause();
    let current = bench.save();
    let newest = snapshots.last().expect("a snapshot of each version");
    let version = u16::from_le_bytes([current[0], current[1]]);
    assert_eq!(
        usize::from(version),
        snapshots.len(),
        "one for each version"
    );
    for (expected, snapshot) in (1_u16..).zip(&snapshots) {
        assert_eq!(expected.to_le_bytes(), snapshot[..2]);
        let mut bench = Bench::new((subject.make)(), 5);
        bench.pause();
        bench.slot.restore(snapshot).unwrap();
        assert_eq!(bench.save(), *newest, "version {expected}");
        bench.resume();
        bench.work(100);
    }
    // A device without a state has but one.
    if current.len() > 2 {
        assert_ne!(current, *newest, "something has happened in it");
    }
}

/// Converts hexadecimal digits; spaces are for people.
fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16).unwrap() as u8)
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

/// Runs the suite over devices, and puts all of them into one container.
macro_rules! device_suite {
    ($($name:ident: $device:expr, survives: $survives:expr, snapshots: $snapshots:expr;)+) => {
        $(
            mod $name {
                use super::*;

                pub(super) fn subject() -> Subject<impl Model> {
                    Subject {
                        make: || $device,
                        survives: &$survives,
                        snapshots: &$snapshots,
                    }
                }

                #[test]
                fn what_is_saved_is_restored_and_goes_on_alike() {
                    round_trip(&subject());
                }

                #[test]
                fn reset_undoes_all_that_a_guest_did() {
                    reset(&subject());
                }

                #[test]
                fn every_flipped_bit_is_refused_or_means_something() {
                    flipped_bits(&subject());
                }

                #[test]
                fn every_cut_or_longer_snapshot_is_refused() {
                    truncation(&subject());
                }

                #[test]
                fn every_older_version_restores() {
                    older_versions(&subject());
                }
            }
        )+

        #[test]
        fn all_devices_go_into_one_container_and_out_again() {
            let mut writer = ContainerWriter::new(LIMIT);
            $(add(&mut writer, &$name::subject());)+
            let file = writer.finish().unwrap();
            let mut reader = ContainerReader::open(&file, LIMIT).unwrap();
            $(take(&mut reader, &$name::subject());)+
            reader.finish().unwrap();
        }
    };
}

fn add<D: Model>(writer: &mut ContainerWriter, subject: &Subject<D>) {
    let mut bench = Bench::new((subject.make)(), 6);
    bench.work(400);
    bench.pause();
    let kind = bench.slot.kind();
    writer.add(kind, |out| bench.slot.save(out).unwrap());
}

fn take<D: Model>(reader: &mut ContainerReader<'_>, subject: &Subject<D>) {
    let mut bench = Bench::new((subject.make)(), 6);
    bench.pause();
    let state = reader.next(bench.slot.kind()).unwrap();
    bench.slot.restore(state).unwrap();
    assert_eq!(bench.save(), state);
}

device_suite! {
    hpet: Hpet::new(crate::hpet::Config {
        timers: 32,
        ..Default::default()
    }), survives: [], snapshots: [include_str!("hpet/snapshot-1.txt")];
    pl011: Device::from(Pl011::default()), survives: [], snapshots: PL011;
    pl011_clocked: Device::from(Pl011::new(crate::pl011::Config {
        clock: 24_000_000,
        disabled_transmitter: crate::pl011::DisabledTransmitter::Holds,
    })), survives: [], snapshots: PL011;
    // A clock with a battery keeps the time; RTCDR is all there is to see of it.
    pl031: Device::from(Pl031::default()), survives: [0], snapshots: [
        "0100 7a0eac9a 01000000 02000000 01000000 00000000 01 0807060504030201",
    ];
    pl061: Device::from(Pl061::default()), survives: [], snapshots: [
        "0100 08 b0 f0 01 02 04 ff 08 00 01",
    ];
    pvpanic: Device::from(Pvpanic::default()), survives: [], snapshots: ["0100"];
    virtio_blk: Device::from(VirtioMmio::new(
        virtio::mmio::Config::default(),
        VirtioBlk::new(crate::virtio_blk::Config {
            bytes: 1 << 20,
            ..Default::default()
        }),
    )), survives: [], snapshots: VIRTIO_BLK;
    virtio_balloon: Device::from(VirtioMmio::new(
        virtio::mmio::Config::default(),
        VirtioBalloon::new(Default::default()),
    )), survives: [], snapshots: [include_str!("virtio_balloon/snapshot-1.txt")];
    virtio_console: Device::from(VirtioMmio::new(
        virtio::mmio::Config::default(),
        VirtioConsole::new(Default::default()),
    )), survives: [], snapshots: [include_str!("virtio_console/snapshot-1.txt")];
    virtio_rng: Device::from(VirtioMmio::new(
        virtio::mmio::Config::default(),
        VirtioRng::default(),
    )), survives: [], snapshots: VIRTIO_RNG;
}

/// Version 2 added the modem inputs.
const PL011: [&str; 2] = [
    "0100 02000000 4100 4204 01000000 55 01 08 00 1000 0d00 0100 7000 0103 1200 7f00 1000",
    "0200 02000000 4100 4204 01000000 55 01 08 00 1000 0d00 0100 7000 0103 1200 7f00 1000 0000",
];

/// A transport with a ring that runs, then the device.
const VIRTIO_BLK: [&str; 1] = [concat!(
    "0100 0f 0000000001000000 00000000 00000000 00000000 01000000 00000000 00000000 01000000",
    "0100 0800 0000004000000000 0010004000000000 0020004000000000 00000000 00000000 01 0300 01",
    "0100 01",
)];
const VIRTIO_RNG: [&str; 1] = [concat!(
    "0100 0f 0000000001000000 00000000 00000000 00000000 01000000 00000000 00000000 01000000",
    "0100 0800 0000004000000000 0010004000000000 0020004000000000 00000000 00000000 01 0300 01",
    "0100",
)];

/// Values that no device has: each snapshot is refused, because of the field that is named.
#[test]
fn impossible_values_are_refused() {
    let check = |device: Device, cases: &[(&str, &str)]| {
        let mut bench = Bench::new(device, 0);
        bench.pause();
        for (snapshot, field) in cases {
            match bench.slot.restore(&bytes(snapshot)) {
                Err(RestoreError::Invalid(invalid)) => assert_eq!(invalid.field, *field),
                other => panic!("{field}: {other:?}"),
            }
        }
    };
    check(
        Device::from(Pl011::default()),
        &[
            // A character with a fifth status bit.
            (
                "0200 01000000 4110 00000000 00 0000 0000 0000 0000 1000 0003 1200 0000 0000 0000",
                "receive_fifo",
            ),
            // Two characters without FIFOs.
            (
                "0200 02000000 4100 4200 00000000 00 0000 0000 0000 0000 0000 0003 1200 0000 0000 0000",
                "receive_fifo",
            ),
            (
                "0200 00000000 02000000 4142 00 0000 0000 0000 0000 0000 0003 1200 0000 0000 0000",
                "transmit_fifo",
            ),
            (
                "0200 00000000 00000000 02 0000 0000 0000 0000 0000 0003 1200 0000 0000 0000",
                "overrun",
            ),
            (
                "0200 00000000 00000000 00 1000 0000 0000 0000 0000 0003 1200 0000 0000 0000",
                "status",
            ),
            (
                "0200 00000000 00000000 00 0000 0001 0000 0000 0000 0003 1200 0000 0000 0000",
                "irda_counter",
            ),
            (
                "0200 00000000 00000000 00 0000 0000 0000 4000 0000 0003 1200 0000 0000 0000",
                "fractional_baud_rate",
            ),
            (
                "0200 00000000 00000000 00 0000 0000 0000 0000 0000 0003 4000 0000 0000 0000",
                "fifo_levels",
            ),
            // UARTFR's BUSY is no modem input.
            (
                "0200 00000000 00000000 00 0000 0000 0000 0000 0000 0003 1200 0000 0000 0800",
                "modem_inputs",
            ),
        ],
    );
    check(
        Device::from(Pl031::default()),
        &[
            (
                "0100 00000000 00000000 00000000 02000000 00000000 00",
                "mask",
            ),
            (
                "0100 00000000 00000000 00000000 00000000 02000000 00",
                "raw",
            ),
        ],
    );
    check(
        Device::from(Pl061::default()),
        &[("0100 00 00 00 00 00 00 00 00 00 02", "pressed")],
    );
}

#[test]
fn a_state_must_fit_its_configuration() {
    let snapshot = bytes(include_str!("hpet/snapshot-1.txt"));
    for config in [
        // It has 32 timers.
        crate::hpet::Config::default(),
        // It uses other inputs.
        crate::hpet::Config {
            timers: 32,
            routes: 0,
            ..Default::default()
        },
    ] {
        let mut bench = Bench::new(Hpet::new(config), 0);
        bench.pause();
        let refused = bench.slot.restore(&snapshot);
        assert!(matches!(refused, Err(RestoreError::Invalid(_))));
    }
}
