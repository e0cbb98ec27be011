//! The short ways of reads and renewals against the long ones.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    clippy::panic
)]
#![allow(dead_code, reason = "each test crate uses a part of the fake")]

mod common;

use addr::{IntId, VcpuIndex, Width};
use common::FakeInterface;
use vgic::{
    Config, Distributor, DistributorRead, Frame, PrivateDelivery, RedistributorRegion, SgiGroup,
    SgiRegister, VcpuInterrupts, sgi,
};

fn distributor() -> Distributor {
    Distributor::new(Config {
        spi_count: 96,
        vcpu_count: 2,
    })
    .unwrap()
}

#[test]
fn words_of_the_distributor_read_as_they_do_the_long_way() {
    let mut long = distributor();
    for offset in (0x80..0xd00).chain(0x6000..0x8000).step_by(4) {
        let value = 0x0101_0101_u64.wrapping_mul(offset) ^ 0x5a5a_1234;
        let _ = long.write(offset, Width::Word, value);
    }
    let mut short = long.clone();
    let mut vcpu = VcpuInterrupts::new(VcpuIndex::new(0));
    let mut hw = FakeInterface::new(4);
    let mut different = 0;
    for offset in 0..0x1_0000_u32 {
        let Some(word) = short.read_word(offset) else {
            continue;
        };
        let expected = vcpu.read_distributor(&mut long, u64::from(offset), Width::Word, &mut hw);
        assert_eq!(
            expected,
            DistributorRead::Value(u64::from(word)),
            "{offset:#x}"
        );
        assert_eq!(short.guest_errors(), long.guest_errors(), "{offset:#x}");
        different += u32::from(word != 0);
    }
    assert!(different > 200, "{different}");
}

#[test]
fn words_of_the_redistributor_read_as_they_do_the_long_way() {
    let region = RedistributorRegion::new(2);
    let mut hw = FakeInterface::new(4);
    for index in [0, 1] {
        let mut vcpu = VcpuInterrupts::new(VcpuIndex::new(index));
        for offset in (0x1_0080..0x1_0d00).step_by(4) {
            let value = 0x0101_0101_u64.wrapping_mul(offset) ^ 0x5a5a_1234;
            let _ = vcpu.write_redistributor(offset, Width::Word, value, &mut hw);
        }
        for offset in (0..0x2_0000_u32).step_by(4) {
            let Some(word) = vcpu.read_word(region, offset) else {
                panic!("{offset:#x}");
            };
            let place = Frame {
                vcpu: VcpuIndex::new(index),
                offset: u64::from(offset),
            };
            let long = region
                .read_constant(place, Width::Word)
                .unwrap_or_else(|| vcpu.read_redistributor(place.offset, Width::Word, &mut hw));
            assert_eq!(u64::from(word), long, "{offset:#x}");
        }
    }
}

#[test]
fn unaligned_words_and_what_is_in_flight_take_the_long_way() {
    let mut distributor = distributor();
    assert_eq!(distributor.read_word(0x106), None);
    let mut vcpu = VcpuInterrupts::new(VcpuIndex::new(0));
    let region = RedistributorRegion::new(1);
    assert_eq!(vcpu.read_word(region, 0x1_0202), None);
    let mut hw = FakeInterface::new(4);
    let _ = distributor.write(0, Width::Word, 0x13);
    for offset in [0x1_0080, 0x1_0100] {
        let _ = vcpu.write_redistributor(offset, Width::Word, 2, &mut hw);
    }
    let _ = vcpu.load(&mut distributor, &mut hw);
    let _ = vcpu.write_redistributor(0x1_0200, Width::Word, 2, &mut hw);
    assert_eq!(vcpu.read_word(region, 0x1_0200), None);
    assert_eq!(vcpu.read_word(region, 0x1_0100), Some(2));
}

/// A vCPU on a CPU, with SGI 1 and PPI 27 enabled in group 1.
fn running() -> (Distributor, VcpuInterrupts, FakeInterface) {
    let mut distributor = distributor();
    let mut vcpu = VcpuInterrupts::new(VcpuIndex::new(0));
    let mut hw = FakeInterface::new(4);
    let _ = distributor.write(0, Width::Word, 0x13);
    for offset in [0x1_0080, 0x1_0100] {
        let _ = vcpu.write_redistributor(offset, Width::Word, 1 << 27 | 1 << 1, &mut hw);
    }
    let _ = vcpu.load(&mut distributor, &mut hw);
    hw.guest_enables();
    (distributor, vcpu, hw)
}

/// Gives both ways to each of two equal vCPUs, with what the guest does in between.
fn compare(
    between: impl Fn(&mut FakeInterface),
    short: impl Fn(&mut VcpuInterrupts, &mut FakeInterface) -> bool,
    long: impl Fn(&mut VcpuInterrupts, &mut FakeInterface),
) -> bool {
    let (_, mut one, mut one_hw) = running();
    let (_, mut two, mut two_hw) = running();
    long(&mut one, &mut one_hw);
    long(&mut two, &mut two_hw);
    between(&mut one_hw);
    between(&mut two_hw);
    let before = one.clone();
    let renewed = short(&mut one, &mut one_hw);
    if renewed {
        long(&mut two, &mut two_hw);
        assert_eq!(one, two);
        assert_eq!(one_hw.signaled(), two_hw.signaled());
    } else {
        assert_eq!(one, before, "a refusal changes nothing");
    }
    renewed
}

#[test]
fn an_sgi_is_renewed_as_the_long_way_does_it_once_the_guest_has_ended_it() {
    let id = IntId::new(1);
    let short = |vcpu: &mut VcpuInterrupts, hw: &mut FakeInterface| vcpu.renew_sgi(id, hw);
    let long = |vcpu: &mut VcpuInterrupts, hw: &mut FakeInterface| {
        vcpu.pend_sgi(id, SgiGroup::Group1);
        assert_eq!(vcpu.deliver_private(hw), PrivateDelivery::Done);
    };
    assert!(!compare(|_| {}, short, long), "it is pending");
    let acknowledge = |hw: &mut FakeInterface| assert_eq!(hw.acknowledge(), 1);
    assert!(!compare(acknowledge, short, long), "it is active");
    let finish = |hw: &mut FakeInterface| {
        assert_eq!(hw.acknowledge(), 1);
        hw.eoi(1);
    };
    assert!(compare(finish, short, long));
}

#[test]
fn a_timer_is_renewed_as_the_long_way_does_it_once_the_guest_has_ended_it() {
    let (id, physical) = (IntId::new(27), IntId::new(26));
    let short = |vcpu: &mut VcpuInterrupts, hw: &mut FakeInterface| {
        vcpu.renew_hardware_ppi(id, physical, hw)
    };
    let long = |vcpu: &mut VcpuInterrupts, hw: &mut FakeInterface| {
        assert!(vcpu.inject_hardware_ppi(id, physical).is_empty());
        assert_eq!(vcpu.deliver_private(hw), PrivateDelivery::Done);
    };
    assert!(!compare(|_| {}, short, long), "it is pending");
    let finish = |hw: &mut FakeInterface| {
        assert_eq!(hw.acknowledge(), 27);
        hw.eoi(27);
    };
    assert!(compare(finish, short, long));
}

#[test]
fn a_renewal_needs_the_interrupt_enabled_and_in_group_1() {
    let id = IntId::new(1);
    for (offset, value) in [(0x1_0180, 2), (0x1_0080, 0)] {
        let (_, mut vcpu, mut hw) = running();
        vcpu.pend_sgi(id, SgiGroup::Group1);
        let _ = vcpu.deliver_private(&mut hw);
        assert_eq!(hw.acknowledge(), 1);
        hw.eoi(1);
        let _ = vcpu.write_redistributor(offset, Width::Word, value, &mut hw);
        assert!(!vcpu.renew_sgi(id, &mut hw), "{offset:#x}");
    }
}

#[test]
fn the_short_decoding_of_sgis_knows_those_to_the_sender_alone() {
    for sender in [0, 1, 15, 16, 40] {
        let sender = VcpuIndex::new(sender);
        let mut known = 0;
        for bit in 0..64 {
            for second in 0..64 {
                let value = 1_u64 << bit | 1 << second;
                let Some(id) = sgi::to_self(value, sender) else {
                    continue;
                };
                known += 1;
                let request = sgi::decode(SgiRegister::Sgi1, value);
                assert_eq!(request.id, id);
                assert_eq!(request.targets(sender, 64).collect::<Vec<_>>(), [sender]);
            }
        }
        assert_eq!(known, if sender.get() < 16 { 9 } else { 0 });
    }
}
