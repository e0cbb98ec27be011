use super::request::{DISCARD, FLUSH, MQ, RO, WRITE_ZEROES};
use super::*;
use crate::testing::virtio::{ALL_FEATURES, BUFFERS, RAM, VirtioBench};
use addr::Width;
use device_model::{BackendChange, Level};
use machine_fakes::{Buffer, Form, Used};
use std::vec;
use std::vec::Vec;
use virtio::mmio::Register;
use virtio::{VirtioMmio, mmio};

const IN: u32 = 0;
const OUT: u32 = 1;
const FLUSH_TYPE: u32 = 4;
const GET_ID: u32 = 8;
const DISCARD_TYPE: u32 = 11;
const ZERO_TYPE: u32 = 13;

const HEADER: u64 = BUFFERS;
const STATUS: u64 = BUFFERS + 0x20;
const DATA: u64 = BUFFERS + 0x1000;

/// 1 MiB: 2048 sectors.
const DISK: usize = 1 << 20;

fn device(config: Config) -> VirtioMmio<VirtioBlk> {
    VirtioMmio::new(mmio::Config::default(), VirtioBlk::new(config))
}

fn config() -> Config {
    Config {
        bytes: DISK as u64,
        ..Config::default()
    }
}

fn bench_of(form: Form, config: Config) -> VirtioBench {
    VirtioBench::new(device(config), form, DISK, ALL_FEATURES)
}

fn bench(form: Form) -> VirtioBench {
    bench_of(form, config())
}

fn put_header(bench: &mut VirtioBench, kind: u32, sector: u64) {
    bench.guest.put(HEADER, &kind.to_le_bytes());
    bench.guest.put(HEADER + 4, &[0; 4]);
    bench.guest.put(HEADER + 8, &sector.to_le_bytes());
    bench.guest.put(STATUS, &[0xaa]);
}

/// Sends a request with the buffers between header and status; returns the status.
fn request(bench: &mut VirtioBench, kind: u32, sector: u64, data: &[Buffer]) -> u8 {
    put_header(bench, kind, sector);
    let mut chain = vec![Buffer::readable(HEADER, 16)];
    chain.extend(data);
    chain.push(Buffer::writable(STATUS, 1));
    let id = bench.add(0, &chain);
    bench.rings[0].ask_for_event(&mut bench.guest, 0);
    bench.kick(0);
    let written: u32 = chain
        .iter()
        .filter(|buffer| buffer.flags != 0)
        .map(|buffer| buffer.length)
        .sum();
    assert_eq!(bench.take(0), Some(Used { id, written }));
    assert_eq!(bench.interrupts(), 1);
    bench.guest.bytes(STATUS, 1)[0]
}

fn range(sector: u64, count: u32, flags: u32) -> Vec<u8> {
    let mut bytes = sector.to_le_bytes().to_vec();
    bytes.extend(count.to_le_bytes());
    bytes.extend(flags.to_le_bytes());
    bytes
}

#[test]
fn sectors_are_read_and_written() {
    for form in [Form::Split, Form::Packed] {
        let mut bench = bench(form);
        let parts = [
            Buffer::writable(DATA, 0x600),
            Buffer::writable(DATA + 0x2000, 0x200),
        ];
        assert_eq!(request(&mut bench, IN, 5, &parts), 0);
        let expected = bench.guest.disk[0xa00..0x1200].to_vec();
        assert_eq!(bench.guest.bytes(DATA, 0x600), &expected[..0x600]);
        assert_eq!(bench.guest.bytes(DATA + 0x2000, 0x200), &expected[0x600..]);
        bench.guest.put(DATA, &[0x5a; 0x400]);
        let parts = [Buffer::readable(DATA, 0x400)];
        assert_eq!(request(&mut bench, OUT, 7, &parts), 0);
        assert_eq!(bench.guest.disk[0xe00..0x1200], [0x5a; 0x400]);
        assert_eq!(bench.guest.disk[0xdff], expected[0x3ff]);
    }
}

#[test]
fn the_framing_is_the_driver_s_choice() {
    // 2.7.4.2: header and first data in one buffer, last data and status in another.
    let mut bench = bench(Form::Split);
    put_header(&mut bench, IN, 0);
    let id = bench.add(
        0,
        &[
            Buffer::readable(HEADER, 3),
            Buffer::readable(HEADER + 3, 13),
            Buffer::writable(DATA, 100),
            Buffer::writable(DATA + 100, 413),
        ],
    );
    bench.kick(0);
    assert_eq!(bench.take(0), Some(Used { id, written: 513 }));
    let expected = bench.guest.disk[..512].to_vec();
    assert_eq!(bench.guest.bytes(DATA, 512), expected);
    assert_eq!(bench.guest.bytes(DATA + 512, 1), [0]);
}

#[test]
fn a_kick_may_bring_many_requests_and_one_interrupt() {
    for form in [Form::Split, Form::Packed] {
        let mut bench = bench(form);
        for index in 0..16_u64 {
            let header = HEADER + 0x40 * index;
            bench.guest.put(header, &IN.to_le_bytes());
            bench.guest.put(header + 8, &index.to_le_bytes());
            let data = Buffer::writable(DATA + 0x200 * index, 512);
            bench.add(
                0,
                &[
                    Buffer::readable(header, 16),
                    data,
                    Buffer::writable(header + 0x20, 1),
                ],
            );
        }
        bench.rings[0].ask_for_event(&mut bench.guest, 0);
        bench.kick(0);
        assert!(bench.turns <= 4, "{}", bench.turns);
        assert_eq!(bench.interrupts(), 1);
        for _ in 0..16 {
            assert_eq!(bench.take(0).map(|used| used.written), Some(513));
        }
        assert!(bench.rings[0].device_waits(&bench.guest));
        let expected = bench.guest.disk[..16 * 512].to_vec();
        assert_eq!(bench.guest.bytes(DATA, 16 * 512), expected);
    }
}

#[test]
fn long_requests_take_several_turns() {
    let mut bench = bench(Form::Split);
    let parts = [Buffer::writable(DATA, 0xa_0000)];
    assert_eq!(request(&mut bench, IN, 0, &parts), 0);
    assert!(bench.turns >= 5, "{}", bench.turns);
    let expected = bench.guest.disk[..0xa_0000].to_vec();
    assert_eq!(bench.guest.bytes(DATA, 0xa_0000), expected);
}

#[test]
fn flush_and_identification() {
    let mut bench = bench(Form::Split);
    assert_eq!(request(&mut bench, FLUSH_TYPE, 0, &[]), 0);
    assert_eq!(bench.guest.flushes, 1);
    let id = [Buffer::writable(DATA, 20)];
    assert_eq!(request(&mut bench, GET_ID, 0, &id), 0);
    assert_eq!(bench.guest.bytes(DATA, 9), b"bulkhead\0");
    let short = [Buffer::writable(DATA + 0x100, 4)];
    assert_eq!(request(&mut bench, GET_ID, 0, &short), 0);
    assert_eq!(bench.guest.bytes(DATA + 0x100, 5), b"bulk\0");
}

#[test]
fn ranges_are_discarded_and_zeroed() {
    let mut bench = bench(Form::Split);
    let mut ranges = range(2, 3, 0);
    ranges.extend(range(100, 1, 0));
    bench.guest.put(DATA, &ranges);
    let data = [Buffer::readable(DATA, 32)];
    assert_eq!(request(&mut bench, DISCARD_TYPE, 0, &data), 0);
    assert_eq!(bench.guest.discarded, [1024..2560, 51200..51712]);
    let before = bench.guest.disk.clone();
    assert_eq!(request(&mut bench, ZERO_TYPE, 0, &data), 0);
    assert_eq!(bench.guest.disk[1024..2560], [0; 1536]);
    assert_eq!(bench.guest.disk[51200..51712], [0; 512]);
    assert_eq!(bench.guest.disk[2560..51200], before[2560..51200]);
    bench.guest.put(DATA, &range(0, 2048, 1));
    let data = [Buffer::readable(DATA, 16)];
    assert_eq!(request(&mut bench, ZERO_TYPE, 0, &data), 0);
    assert!(bench.turns >= 8, "{}", bench.turns);
    assert!(bench.guest.disk.iter().all(|byte| *byte == 0));
}

#[test]
fn malformed_ranges_fail() {
    let mut bench = bench(Form::Split);
    let before = bench.guest.disk.clone();
    for (kind, bytes, length, status) in [
        (DISCARD_TYPE, range(0, 1, 1), 16, 2),
        (DISCARD_TYPE, range(0, 1, 2), 16, 2),
        (ZERO_TYPE, range(0, 1, 2), 16, 2),
        (ZERO_TYPE, range(2048, 1, 0), 16, 1),
        (ZERO_TYPE, range(0, 2049, 0), 16, 1),
        (ZERO_TYPE, range(u64::MAX, 2, 0), 16, 1),
        (ZERO_TYPE, range(1 << 55, 1, 0), 16, 1),
        (DISCARD_TYPE, range(0, u32::MAX, 0), 16, 1),
        (ZERO_TYPE, range(0, 1, 0), 15, 1),
        (ZERO_TYPE, range(0, 1, 0), 17, 1),
        (ZERO_TYPE, vec![0; 65 * 16], 65 * 16, 1),
    ] {
        bench.guest.put(DATA, &bytes);
        let data = [Buffer::readable(DATA, length)];
        let got = request(&mut bench, kind, 0, &data);
        assert_eq!(got, status, "{kind} {bytes:x?} {length}");
    }
    assert_eq!(bench.guest.disk, before);
    assert_eq!(bench.guest.discarded, []);
}

#[test]
fn f10_sectors_off_the_disk_fail() {
    let mut bench = bench(Form::Split);
    let before = bench.guest.disk.clone();
    for kind in [IN, OUT] {
        for (sector, length) in [
            (2048, 512),
            (2047, 1024),
            (u64::MAX, 512),
            (u64::MAX / 512, 512),
            (1 << 55, 512),
            (0, 511),
            (0, 1),
            (0, 0xffff_fe00),
        ] {
            let data = if kind == IN {
                Buffer::writable(DATA, length)
            } else {
                Buffer::readable(DATA, length)
            };
            assert_eq!(request(&mut bench, kind, sector, &[data]), 1);
        }
    }
    assert_eq!(bench.guest.disk, before);
    assert_eq!(bench.guest.bytes(DATA, 512), [0; 512]);
}

#[test]
fn f10_unknown_types_are_unsupported() {
    let mut bench = bench(Form::Split);
    for kind in [2, 3, 5, 7, 9, 10, 12, 14, 16, 0x8000_0000, u32::MAX] {
        assert_eq!(request(&mut bench, kind, 0, &[]), 2, "{kind}");
    }
}

#[test]
fn f10_a_disk_that_is_read_only_stays_as_it_is() {
    let mut bench = bench_of(
        Form::Split,
        Config {
            access: Access::ReadOnly,
            ..config()
        },
    );
    let before = bench.guest.disk.clone();
    bench.guest.put(DATA, &range(0, 1, 0));
    assert_eq!(
        request(&mut bench, OUT, 0, &[Buffer::readable(DATA, 512)]),
        1
    );
    let data = [Buffer::readable(DATA, 16)];
    assert_eq!(request(&mut bench, ZERO_TYPE, 0, &data), 1);
    assert_eq!(request(&mut bench, DISCARD_TYPE, 0, &data), 1);
    assert_eq!(bench.guest.disk, before);
    assert_eq!(bench.guest.discarded, []);
    assert_eq!(
        request(&mut bench, IN, 0, &[Buffer::writable(DATA, 512)]),
        0
    );
    assert_eq!(request(&mut bench, FLUSH_TYPE, 0, &[]), 0);
}

#[test]
fn f10_a_request_without_room_for_a_status_comes_back_empty() {
    let mut bench = bench(Form::Split);
    put_header(&mut bench, OUT, 0);
    let before = bench.guest.disk.clone();
    let id = bench.add(
        0,
        &[Buffer::readable(HEADER, 16), Buffer::readable(DATA, 512)],
    );
    bench.kick(0);
    assert_eq!(bench.take(0), Some(Used { id, written: 0 }));
    assert_eq!(bench.guest.disk, before);
    // The device goes on.
    assert_eq!(
        request(&mut bench, IN, 0, &[Buffer::writable(DATA, 512)]),
        0
    );
}

#[test]
fn f10_a_short_header_fails() {
    let mut bench = bench(Form::Split);
    put_header(&mut bench, IN, 0);
    let id = bench.add(
        0,
        &[Buffer::readable(HEADER, 15), Buffer::writable(STATUS, 1)],
    );
    bench.kick(0);
    assert_eq!(bench.take(0), Some(Used { id, written: 1 }));
    assert_eq!(bench.guest.bytes(STATUS, 1), [1]);
}

#[test]
fn f5_data_outside_the_guest_s_memory_fails_and_the_device_goes_on() {
    let mut bench = bench(Form::Split);
    let before = bench.guest.disk.clone();
    for address in [
        0,
        RAM - 256,
        RAM + 0x10_0000 - 256,
        u64::MAX - 512,
        0x0a00_0000,
    ] {
        let data = [Buffer::writable(address, 512)];
        assert_eq!(request(&mut bench, IN, 0, &data), 1, "{address:#x}");
        let data = [Buffer::readable(address, 512)];
        assert_eq!(request(&mut bench, OUT, 0, &data), 1, "{address:#x}");
    }
    assert_eq!(bench.guest.disk, before);
    assert_eq!(
        request(&mut bench, IN, 0, &[Buffer::writable(DATA, 512)]),
        0
    );
}

#[test]
fn f5_a_header_or_status_outside_the_guest_s_memory_breaks_the_device() {
    for (header, status) in [(0x1000, STATUS), (HEADER, 0x1000)] {
        let mut bench = bench(Form::Split);
        put_header(&mut bench, FLUSH_TYPE, 0);
        bench.add(
            0,
            &[Buffer::readable(header, 16), Buffer::writable(status, 1)],
        );
        bench.kick(0);
        assert_eq!(bench.read(Register::Status), 15 | 64);
        assert_eq!(bench.interrupts(), 2);
        bench.kick(0);
        assert_eq!(bench.turns, 0);
        bench.negotiate(ALL_FEATURES);
        assert_eq!(request(&mut bench, FLUSH_TYPE, 0, &[]), 0);
    }
}

#[test]
fn f9_a_reset_in_the_middle_of_a_request_forgets_it() {
    let mut bench = bench(Form::Split);
    put_header(&mut bench, IN, 0);
    bench.add(
        0,
        &[
            Buffer::readable(HEADER, 16),
            Buffer::writable(DATA, 0x8_0000),
            Buffer::writable(STATUS, 1),
        ],
    );
    bench.write(Register::QueueNotify, 0);
    bench.work();
    assert_eq!(bench.slot.level(), Level::Low);
    bench.write(Register::Status, 0);
    bench.work();
    assert_eq!(bench.guest.bytes(STATUS, 1), [0xaa]);
    bench.negotiate(ALL_FEATURES);
    assert_eq!(request(&mut bench, FLUSH_TYPE, 0, &[]), 0);
    assert_eq!(bench.guest.flushes, 1);
}

#[test]
fn a_new_size_is_announced() {
    let mut bench = bench(Form::Split);
    assert_eq!(bench.read_at(0x100, Width::Double), 2048);
    let generation = bench.read(Register::ConfigGeneration);
    bench.change(BackendChange::DiskSize(4096));
    assert_eq!(bench.interrupts(), 2);
    assert_ne!(bench.read(Register::ConfigGeneration), generation);
    assert_eq!(bench.read_at(0x100, Width::Double), 8);
    let data = [Buffer::writable(DATA, 512)];
    assert_eq!(request(&mut bench, IN, 8, &data), 1);
    assert_eq!(request(&mut bench, IN, 7, &data), 0);
}

#[test]
fn the_configuration_says_what_the_device_takes() {
    let mut bench = bench_of(
        Form::Split,
        Config {
            queues: 3,
            block_size: 4096,
            ..config()
        },
    );
    assert_eq!(bench.rings.len(), 3);
    for (offset, width, value) in [
        (0x104, Width::Word, 0),
        (0x10c, Width::Word, 254),
        (0x114, Width::Word, 4096),
        (0x11a, Width::Half, 1),
        (0x120, Width::Byte, 1),
        (0x122, Width::Half, 3),
        (0x124, Width::Word, 1 << 21),
        (0x128, Width::Word, 64),
        (0x12c, Width::Word, 8),
        (0x130, Width::Word, 1 << 21),
        (0x138, Width::Byte, 1),
        (0x13c, Width::Word, 0),
        (0x1fc, Width::Word, 0),
    ] {
        assert_eq!(bench.read_at(offset, width), value, "{offset:#x}");
    }
}

#[test]
fn features_follow_from_the_configuration() {
    use virtio::VirtioDevice;
    let plain = VirtioBlk::new(config()).features();
    assert!(plain.contains(DISCARD | WRITE_ZEROES | FLUSH) && !plain.intersects(RO | MQ));
    let read_only = VirtioBlk::new(Config {
        access: Access::ReadOnly,
        queues: 2,
        ..config()
    });
    assert!(read_only.features().contains(RO | MQ));
    assert!(!read_only.features().intersects(DISCARD | WRITE_ZEROES));
}

#[test]
fn writes_are_flushed_if_the_driver_asks_for_that_or_cannot_flush() {
    let data = [Buffer::readable(DATA, 512)];
    let mut bench = bench(Form::Split);
    assert_eq!(request(&mut bench, OUT, 0, &data), 0);
    assert_eq!(bench.guest.flushes, 0);
    bench.write_at(0x120, Width::Byte, 0);
    assert_eq!(bench.read_at(0x120, Width::Byte), 0);
    assert_eq!(request(&mut bench, OUT, 0, &data), 0);
    assert_eq!(bench.guest.flushes, 1);
    // A reset brings the cache back; a driver that knows neither feature finds it off.
    bench.negotiate(0);
    assert_eq!(request(&mut bench, OUT, 0, &data), 0);
    assert_eq!(bench.guest.flushes, 2);
    assert_eq!(bench.read_at(0x120, Width::Byte), 0);
}

#[test]
fn each_queue_has_its_own_requests_and_none_starves() {
    let mut bench = bench_of(
        Form::Split,
        Config {
            queues: 2,
            ..config()
        },
    );
    put_header(&mut bench, IN, 0);
    let chain = |status, length| {
        [
            Buffer::readable(HEADER, 16),
            Buffer::writable(DATA, length),
            Buffer::writable(status, 1),
        ]
    };
    bench.add(0, &chain(STATUS, 0xa_0000));
    bench.add(1, &chain(STATUS + 1, 512));
    bench.write(Register::QueueNotify, 0);
    bench.write(Register::QueueNotify, 1);
    for _ in 0..2 {
        bench.work();
    }
    assert_eq!(bench.take(1).map(|used| used.written), Some(513));
    assert_eq!(bench.take(0), None);
    bench.settle();
    assert_eq!(bench.take(0).map(|used| used.written), Some(0xa_0001));
}

#[test]
fn a_device_goes_on_elsewhere_in_the_middle_of_its_work() {
    use device_model::migrate::Writer;
    for form in [Form::Split, Form::Packed] {
        let mut bench = bench(form);
        // Past the end of the ring, so that the positions wrap.
        for _ in 0..30 {
            let data = [Buffer::writable(DATA, 512)];
            assert_eq!(request(&mut bench, IN, 0, &data), 0);
        }
        bench.write_at(0x120, Width::Byte, 0);
        put_header(&mut bench, IN, 3);
        let id = bench.add(
            0,
            &[
                Buffer::readable(HEADER, 16),
                Buffer::writable(DATA, 0x4_0000),
                Buffer::writable(STATUS, 1),
            ],
        );
        bench.write(Register::QueueNotify, 0);
        bench.work();
        assert_eq!(bench.take(0), None);
        let mut saved = Writer::new(4096);
        bench.slot.pause(&mut bench.last).unwrap();
        bench.slot.save(&mut saved).unwrap();
        let saved = saved.finish().unwrap();
        let mut other = crate::testing::slot(device(config()));
        other.pause(&mut bench.last).unwrap();
        for length in 0..saved.len() {
            assert!(other.restore(&saved[..length]).is_err(), "{length}");
        }
        other.restore(&saved).unwrap();
        bench.slot = other;
        bench.last = crate::testing::effects(0);
        bench.slot.resume(&mut bench.last).unwrap();
        bench.settle();
        assert_eq!(bench.take(0).map(|used| used.id), Some(id));
        let expected = bench.guest.disk[3 * 512..3 * 512 + 0x4_0000].to_vec();
        assert_eq!(bench.guest.bytes(DATA, 0x4_0000), expected);
        assert_eq!(bench.read_at(0x120, Width::Byte), 0);
        assert_eq!(bench.read(Register::Status), 15);
        let data = [Buffer::writable(DATA, 512)];
        bench.interrupts();
        assert_eq!(request(&mut bench, IN, 0, &data), 0);
    }
}
