//! The register frames as a guest reads and writes them.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    clippy::panic
)]
#![allow(dead_code, reason = "each test crate uses a part of the fake")]

mod common;

use addr::{VcpuIndex, Width};
use common::FakeInterface;
use vgic::{
    Config, ConfigError, Distributor, DistributorRead, MAX_VCPUS, RedistributorRegion,
    VcpuInterrupts,
};

const SGI_FRAME: u64 = 0x1_0000;
const PATTERNS: [u64; 4] = [u64::MAX, 0x5a5a_a5a5_1234_8765, 1, 0];

fn distributor(spi_count: u16) -> Distributor {
    let vcpu_count = 2;
    Distributor::new(Config {
        spi_count,
        vcpu_count,
    })
    .unwrap()
}

fn write(d: &mut Distributor, offset: u64, value: u32) {
    let _ = d.write(offset, Width::Word, u64::from(value));
}

fn read(d: &mut Distributor, offset: u64) -> u32 {
    d.read(offset, Width::Word) as u32
}

/// Reads or writes everything in the frame once; returns a digest of what was read.
fn sweep(seed: u64, spi_count: u16) -> (u64, Distributor, VcpuInterrupts) {
    let mut d = distributor(spi_count);
    let mut vcpu = VcpuInterrupts::new(VcpuIndex::new(0));
    let mut hw = FakeInterface::new(4);
    let mut digest = seed;
    let _ = vcpu.load(&mut d, &mut hw);
    hw.guest_enables();
    let mut note = |value: u64| digest = digest.rotate_left(7).wrapping_mul(31) ^ value;
    let _ = vcpu.write_distributor(&mut d, 0, Width::Word, 3, &mut hw);
    for pattern in PATTERNS {
        for width in Width::ALL {
            // Beyond the frame's end too.
            for offset in 0..0x1_0010 {
                let value = pattern.rotate_left((seed + offset) as u32 & 63);
                let _ = vcpu.write_distributor(&mut d, offset, width, value, &mut hw);
                let DistributorRead::Value(value) =
                    vcpu.read_distributor(&mut d, offset, width, &mut hw)
                else {
                    panic!("an only vCPU waits for nobody");
                };
                assert_eq!(value & !width.mask(), 0, "{offset:#x}");
                note(value);
            }
            for offset in 0..2 * SGI_FRAME + 0x10 {
                let value = pattern.rotate_left((seed + offset) as u32 & 63);
                let _ = vcpu.write_redistributor(offset, width, value, &mut hw);
                let value = vcpu.read_redistributor(offset, width, &mut hw);
                assert_eq!(value & !width.mask(), 0, "{offset:#x}");
                note(value);
                if let Some(frame) = RedistributorRegion::new(2).locate(offset) {
                    let constant = RedistributorRegion::new(2).read_constant(frame, width);
                    note(constant.unwrap_or(7));
                }
            }
            assert!(hw.in_use() <= 4);
        }
    }
    let _ = vcpu.save(&mut d, &mut hw);
    (digest, d, vcpu)
}

#[test]
fn e1_every_offset_and_width_is_harmless_and_deterministic() {
    for spi_count in [0, 33, 988] {
        assert!(sweep(1, spi_count) == sweep(1, spi_count));
    }
}

#[test]
fn e1_forbidden_accesses_read_as_zero_write_nothing_and_are_counted() {
    let mut d = distributor(988);
    write(&mut d, 0x104, 0xffff);
    let before = d.clone();
    let forbidden = [
        (0x104, Width::Byte),
        (0x104, Width::Half),
        (0x100, Width::Double),
        (0x400, Width::Half),
        (0x106, Width::Word),
        (0x6100, Width::Byte),
        (0x6104, Width::Double),
        (0x0, Width::Half),
        (0x14, Width::Word),
        (0x4000, Width::Word),
        (0xffe8, Width::Byte),
        (0x1_0000, Width::Word),
    ];
    for (count, (offset, width)) in (0..).zip(forbidden) {
        assert_eq!(d.guest_errors(), count, "{offset:#x}");
        assert_eq!(d.read(offset, width), 0);
        assert_eq!(d.guest_errors(), count + 1, "{offset:#x}");
        let mut other = before.clone();
        assert!(other.write(offset, width, u64::MAX).is_none());
        assert_eq!(other.guest_errors(), 1, "{offset:#x}");
        assert_eq!(read(&mut other, 0x104), 0xffff);
    }
}

#[test]
fn e1_absent_registers_read_as_zero_without_being_an_error() {
    let mut d = distributor(988);
    let absent = [
        0x0c, 0x10, 0x40, 0x50, 0x58, 0x800, 0xbf8, 0xd04, 0xe08, 0xf00, 0xf10, 0xf20, 0x1000,
        0x1200, 0x2000, 0x8000, 0xc000, // and word 0 of what the redistributors have
        0x080, 0x100, 0x180, 0x200, 0x280, 0x300, 0x380, 0x400, 0xc00, 0x6000,
    ];
    for offset in absent {
        assert!(d.write(offset, Width::Word, 0xffff_ffff).is_none());
        assert_eq!(read(&mut d, offset), 0, "{offset:#x}");
    }
    assert_eq!(d.guest_errors(), 0);
}

#[test]
fn e1_the_last_interrupts_exist_and_the_special_ones_do_not() {
    let mut d = distributor(988);
    for offset in [0x0fc, 0x17c, 0x27c, 0x37c] {
        write(&mut d, offset, u32::MAX);
        assert_eq!(read(&mut d, offset), 0x0fff_ffff, "{offset:#x}");
    }
    write(&mut d, 0x7f8, u32::MAX);
    write(&mut d, 0x7fc, u32::MAX);
    assert_eq!(read(&mut d, 0x7f8), 0xf8f8_f8f8);
    assert_eq!(read(&mut d, 0x7fc), 0);
    write(&mut d, 0xcfc, u32::MAX);
    assert_eq!(read(&mut d, 0xcfc), 0x00aa_aaaa);
    let _ = d.write(0x7fd8, Width::Double, 1);
    assert_eq!(d.read(0x7fd8, Width::Double), 1);
}

#[test]
fn interrupts_beyond_the_configured_number_do_not_exist() {
    let mut d = distributor(33);
    assert_eq!(read(&mut d, 4) & 0x1f, 2);
    write(&mut d, 0x108, u32::MAX);
    write(&mut d, 0x10c, u32::MAX);
    assert_eq!(read(&mut d, 0x108), u32::MAX);
    assert_eq!(read(&mut d, 0x10c), 0);
    let mut none = distributor(0);
    assert_eq!(read(&mut none, 4) & 0x1f, 0);
    write(&mut none, 0x104, u32::MAX);
    assert_eq!(read(&mut none, 0x104), 0);
}

#[test]
fn numbers_without_room_are_refused() {
    let make = |spi_count, vcpu_count| {
        Distributor::new(Config {
            spi_count,
            vcpu_count,
        })
        .map(|_| ())
    };
    assert_eq!(make(988, MAX_VCPUS), Ok(()));
    assert_eq!(make(989, 1), Err(ConfigError::TooManySpis { count: 989 }));
    assert_eq!(make(0, 0), Err(ConfigError::VcpuCount { count: 0 }));
    assert_eq!(make(0, 513), Err(ConfigError::VcpuCount { count: 513 }));
}

#[test]
fn the_single_registers_read_as_declared() {
    let mut d = distributor(988);
    assert_eq!(read(&mut d, 0), 1 << 6 | 1 << 4);
    write(&mut d, 0, u32::MAX);
    assert_eq!(read(&mut d, 0), 1 << 6 | 1 << 4 | 3);
    assert_eq!(read(&mut d, 4), 1 << 24 | 9 << 19 | 1 << 16 | 31);
    assert_eq!(read(&mut d, 8), 0x4200_0000);
    assert_eq!(read(&mut d, 0xffe8) >> 4 & 0xf, 3, "ArchRev");
    assert_eq!(read(&mut d, 0xfff0), 0x0d);
    assert_eq!(read(&mut d, 0xfffc), 0xb1);
    assert_eq!(d.guest_errors(), 0);
}

#[test]
fn each_bank_register_keeps_what_is_written() {
    let mut d = distributor(988);
    write(&mut d, 0x084, 0x1234_5678);
    assert_eq!(read(&mut d, 0x084), 0x1234_5678);
    for (set, clear) in [(0x104, 0x184), (0x204, 0x284), (0x304, 0x384)] {
        write(&mut d, set, 0xf0);
        write(&mut d, set, 0x0f);
        assert_eq!((read(&mut d, set), read(&mut d, clear)), (0xff, 0xff));
        write(&mut d, clear, 0x3c);
        assert_eq!((read(&mut d, set), read(&mut d, clear)), (0xc3, 0xc3));
    }
    write(&mut d, 0xc08, u32::MAX);
    assert_eq!(read(&mut d, 0xc08), 0xaaaa_aaaa);
    write(&mut d, 0xc0c, 0x8000_0000);
    assert_eq!(
        (read(&mut d, 0xc08), read(&mut d, 0xc0c)),
        (0xaaaa_aaaa, 1 << 31)
    );
    write(&mut d, 0x420, 0x1020_3040);
    let _ = d.write(0x422, Width::Byte, 0xff);
    assert_eq!(read(&mut d, 0x420), 0x10f8_3040);
    assert_eq!(d.read(0x423, Width::Byte), 0x10);
    assert_eq!(read(&mut d, 0x424), 0);
}

#[test]
fn routes_are_written_whole_or_in_halves() {
    let mut d = distributor(988);
    let _ = d.write(0x6100, Width::Double, u64::MAX);
    assert_eq!(d.read(0x6100, Width::Double), 0xff_80ff_ffff);
    let _ = d.write(0x6100, Width::Word, 0x0102);
    assert_eq!(d.read(0x6100, Width::Double), 0xff_0000_0102);
    let _ = d.write(0x6104, Width::Word, 0xfe);
    assert_eq!(d.read(0x6104, Width::Word), 0xfe);
    assert_eq!(d.read(0x6100, Width::Word), 0x0102);
}

#[test]
fn sgis_are_always_edge_triggered_and_private_registers_have_one_bank() {
    let mut d = distributor(32);
    let mut vcpu = VcpuInterrupts::new(VcpuIndex::new(0));
    let mut hw = FakeInterface::new(4);
    let _ = vcpu.load(&mut d, &mut hw);
    let mut check = |offset: u64, written: u64, read: u64| {
        let offset = SGI_FRAME + offset;
        let _ = vcpu.write_redistributor(offset, Width::Word, written, &mut hw);
        assert_eq!(vcpu.read_redistributor(offset, Width::Word, &mut hw), read);
    };
    check(0xc00, 0, 0xaaaa_aaaa);
    check(0xc04, 0xffff_ffff, 0xaaaa_aaaa);
    check(0xc08, 0xffff_ffff, 0);
    check(0x080, 0xffff_ffff, 0xffff_ffff);
    check(0x084, 0xffff_ffff, 0);
    check(0x41c, 0xffff_ffff, 0xf8f8_f8f8);
    check(0x420, 0xffff_ffff, 0);
    check(0xd00, 0xffff_ffff, 0);
    check(0xe00, 0xffff_ffff, 0);
}
