use super::*;
use crate::Device;
use crate::testing::virtio::{ALL_FEATURES, BUFFERS, RAM, VirtioBench};
use addr::{Ipa, Width};
use device_model::{BackendChange, TimerRequest};
use machine_fakes::{Buffer, Form, PageUse, Used};
use std::vec::Vec;
use virtio::{VirtioMmio, mmio};

const SECOND: u64 = 1_000_000_000;

fn bench(features: u64) -> VirtioBench {
    let config = Config {
        statistics_interval: Some(SECOND),
    };
    let device = VirtioMmio::new(mmio::Config::default(), VirtioBalloon::new(config));
    VirtioBench::new(device, Form::Split, 0, features)
}

fn state(bench: &VirtioBench) -> State {
    match bench.slot.device() {
        Device::VirtioBalloon(device) => *device.device().state(),
        other => panic!("{other:?}"),
    }
}

fn send_pages(bench: &mut VirtioBench, queue: usize, pages: &[u32]) {
    let bytes: Vec<u8> = pages.iter().flat_map(|page| page.to_le_bytes()).collect();
    bench.guest.put(BUFFERS, &bytes);
    let id = bench.add(queue, &[Buffer::readable(BUFFERS, bytes.len() as u32)]);
    bench.kick(queue as u32);
    assert_eq!(bench.take(queue), Some(Used { id, written: 0 }));
}

#[test]
fn pages_go_and_come_in_runs() {
    let mut bench = bench(ALL_FEATURES);
    send_pages(&mut bench, 0, &[0x40010, 0x40011, 0x40012, 0x40020]);
    send_pages(&mut bench, 1, &[0x40011]);
    let page = |page: u64| Ipa::new(page << 12);
    assert_eq!(
        bench.guest.pages,
        [
            (page(0x40010), 3, PageUse::Unused),
            (page(0x40020), 1, PageUse::Unused),
            (page(0x40011), 1, PageUse::Used),
        ]
    );
}

#[test]
fn a_long_list_of_pages_is_taken_in_several_turns() {
    let mut bench = bench(ALL_FEATURES);
    let pages: Vec<u32> = (0..20_000).map(|index| index * 2).collect();
    send_pages(&mut bench, 0, &pages);
    assert_eq!(bench.guest.pages.len(), 20_000);
    assert!(bench.turns > 20, "{}", bench.turns);
}

#[test]
fn the_target_is_told_and_the_answer_kept() {
    let mut bench = bench(ALL_FEATURES);
    bench.change(BackendChange::BalloonTarget(77));
    assert_eq!(bench.interrupts(), 2);
    assert_eq!(bench.read_at(0x100, Width::Word), 77);
    bench.write_at(0x104, Width::Word, 50);
    assert_eq!(bench.read_at(0x104, Width::Word), 50);
    bench.write_at(0x100, Width::Word, 1);
    assert_eq!(bench.read_at(0x100, Width::Word), 77);
    bench.negotiate(ALL_FEATURES);
    assert_eq!((state(&bench).target, state(&bench).actual), (77, 0));
}

#[test]
fn statistics_are_kept_and_asked_for_again() {
    let mut bench = bench(ALL_FEATURES);
    let mut bytes = Vec::new();
    for (tag, value) in [(4_u16, 1000_u64), (5, 2000), (99, 1)] {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(value.to_le_bytes());
    }
    bench.guest.put(BUFFERS, &bytes);
    let id = bench.add(2, &[Buffer::readable(BUFFERS, 30)]);
    bench.kick(2);
    assert_eq!(bench.take(2), None);
    assert_eq!(bench.last.timer, Some(TimerRequest::Arm(SECOND)));
    let statistics = state(&bench).statistics;
    assert_eq!((statistics[4], statistics[5]), (Some(1000), Some(2000)));
    assert_eq!(statistics[0], None);
    bench.now = SECOND;
    bench.expire();
    assert_eq!(bench.take(2), Some(Used { id, written: 0 }));
    // The timer without a buffer: the next one comes back at once.
    bench.expire();
    let id = bench.add(2, &[Buffer::readable(BUFFERS, 30)]);
    bench.kick(2);
    assert_eq!(bench.take(2), Some(Used { id, written: 0 }));
}

#[test]
fn free_pages_are_reported_and_come_back() {
    let mut bench = bench(ALL_FEATURES);
    let id = bench.add(
        3,
        &[
            Buffer::writable(RAM + 0x8_0000, 0x2_0000),
            Buffer::writable(RAM + 0x4_0000, 0x1000),
        ],
    );
    bench.kick(3);
    assert_eq!(bench.take(3), Some(Used { id, written: 0 }));
    assert_eq!(
        bench.guest.pages,
        [
            (Ipa::new(RAM + 0x8_0000), 32, PageUse::Unused),
            (Ipa::new(RAM + 0x4_0000), 1, PageUse::Unused),
        ]
    );
}

#[test]
fn queues_are_counted_without_those_that_were_not_agreed_upon() {
    let mut bench = bench(ALL_FEATURES & !2);
    bench.add(2, &[Buffer::writable(RAM + 0x4_0000, 0x1000)]);
    bench.kick(2);
    assert_eq!(bench.guest.pages.len(), 1);
}
