//! The switch as its ports see it.

use crate::*;
use proptest::prelude::*;
use std::collections::HashMap;
use std::vec;
use std::vec::Vec;

const SECOND: u64 = 1_000_000_000;

fn mac(last: u8) -> MacAddress {
    MacAddress::new([2, 0, 0, 0, 0, last])
}

const BROADCAST: MacAddress = MacAddress::new([0xff; 6]);

fn vlan(number: u16) -> VlanId {
    VlanId::new(number).unwrap()
}

fn access(number: u16) -> PortConfig {
    PortConfig {
        membership: Membership::Access(vlan(number)),
        ..PortConfig::default()
    }
}

fn trunk(allowed: &[u16], native: Option<u16>) -> PortConfig {
    PortConfig {
        membership: Membership::Trunk {
            allowed: allowed.iter().copied().map(vlan).collect(),
            native: native.map(vlan),
        },
        ..PortConfig::default()
    }
}

fn switch(ports: Vec<PortConfig>) -> Switch {
    Switch::new(SwitchConfig {
        ports,
        stations: 64,
        age: 300 * SECOND,
        longest: 1514,
        mirror: None,
    })
    .unwrap()
}

fn frame(to: MacAddress, from: MacAddress, tag: Option<u16>) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(to.bytes());
    bytes.extend(from.bytes());
    if let Some(tag) = tag {
        bytes.extend([0x81, 0x00]);
        bytes.extend(tag.to_be_bytes());
    }
    bytes.extend([0x08, 0x00]);
    bytes.resize(64, 0);
    bytes
}

/// Sends a frame; returns what came of it and who got it.
fn send_at(
    switch: &mut Switch,
    now: u64,
    from: u16,
    bytes: &[u8],
) -> (Verdict, Vec<(u16, TagEdit)>) {
    let mut got = Vec::new();
    let start = &bytes[..bytes.len().min(HEADER_SIZE)];
    let frame = Frame {
        start,
        length: bytes.len(),
    };
    let outcome = switch.forward(now, PortId(from), frame, |delivery| {
        got.push((delivery.port.0, delivery.edit));
        Receipt::Taken
    });
    assert!(outcome.taken <= got.len());
    (outcome.verdict, got)
}

fn send(switch: &mut Switch, from: u16, bytes: &[u8]) -> (Verdict, Vec<(u16, TagEdit)>) {
    send_at(switch, 0, from, bytes)
}

fn keep(ports: &[u16]) -> Vec<(u16, TagEdit)> {
    ports.iter().map(|port| (*port, TagEdit::Keep)).collect()
}

#[test]
fn a_station_is_learned_and_then_alone_gets_its_frames() {
    let mut switch = switch(vec![PortConfig::default(); 4]);
    let (verdict, got) = send(&mut switch, 0, &frame(mac(2), mac(1), None));
    assert_eq!((verdict, got), (Verdict::Flooded, keep(&[1, 2, 3])));
    let (verdict, got) = send(&mut switch, 2, &frame(mac(1), mac(2), None));
    assert_eq!((verdict, got), (Verdict::Forwarded, keep(&[0])));
    let (verdict, got) = send(&mut switch, 0, &frame(mac(2), mac(1), None));
    assert_eq!((verdict, got), (Verdict::Forwarded, keep(&[2])));
    // A station that has moved is found at its new port.
    let _ = send(&mut switch, 3, &frame(BROADCAST, mac(2), None));
    let (_, got) = send(&mut switch, 0, &frame(mac(2), mac(1), None));
    assert_eq!(got, keep(&[3]));
    assert_eq!(
        (switch.stations(PortId(2)), switch.stations(PortId(3))),
        (0, 1)
    );
    // Behind its own port nothing goes out.
    let _ = send(&mut switch, 0, &frame(BROADCAST, mac(9), None));
    let (verdict, got) = send(&mut switch, 0, &frame(mac(9), mac(1), None));
    assert_eq!(
        (verdict, got),
        (Verdict::Dropped(DropReason::Nowhere), vec![])
    );
}

#[test]
fn a_silent_station_is_forgotten() {
    let mut switch = switch(vec![PortConfig::default(); 3]);
    let _ = send_at(&mut switch, 0, 1, &frame(BROADCAST, mac(2), None));
    let to_it = frame(mac(2), mac(1), None);
    let (verdict, _) = send_at(&mut switch, 300 * SECOND, 0, &to_it);
    assert_eq!(verdict, Verdict::Forwarded);
    let (verdict, _) = send_at(&mut switch, 300 * SECOND + 1, 0, &to_it);
    assert_eq!(verdict, Verdict::Flooded);
    assert_eq!(switch.stations(PortId(1)), 0, "its place is free");
}

#[test]
fn a_port_that_is_reset_is_forgotten_at_once() {
    let mut switch = switch(vec![PortConfig::default(); 3]);
    let _ = send(&mut switch, 1, &frame(BROADCAST, mac(2), None));
    switch.forget(PortId(1));
    assert_eq!(switch.stations(PortId(1)), 0);
    let (verdict, _) = send(&mut switch, 0, &frame(mac(2), mac(1), None));
    assert_eq!(verdict, Verdict::Flooded);
}

#[test]
fn vlans_keep_to_themselves_and_tags_follow_the_port() {
    let ports = vec![
        access(10),
        access(20),
        trunk(&[10, 20], Some(30)),
        access(30),
        access(10),
    ];
    let mut switch = switch(ports);
    let (_, got) = send(&mut switch, 0, &frame(BROADCAST, mac(1), None));
    let tagged = TagEdit::Insert(Tag::from_bits(10));
    assert_eq!(got, [(2, tagged), (4, TagEdit::Keep)]);
    // From the trunk: the tag goes.
    let (_, got) = send(&mut switch, 2, &frame(BROADCAST, mac(2), Some(0x6000 | 20)));
    assert_eq!(got, [(1, TagEdit::Remove)]);
    // Its untagged frames are of the native VLAN.
    let (_, got) = send(&mut switch, 2, &frame(BROADCAST, mac(2), None));
    assert_eq!(got, keep(&[3]));
    // A VLAN that the port is not in.
    for (port, tag) in [(0, 10), (0, 20), (2, 30), (2, 40)] {
        let (verdict, got) = send(&mut switch, port, &frame(BROADCAST, mac(3), Some(tag)));
        assert_eq!(
            (verdict, got),
            (Verdict::Dropped(DropReason::Vlan), vec![]),
            "{port} {tag}"
        );
    }
    // A priority alone is no VLAN: the tag is taken out, or gets the port's VLAN.
    let (_, got) = send(&mut switch, 0, &frame(BROADCAST, mac(1), Some(0xa000)));
    let replaced = TagEdit::Replace(Tag::from_bits(0xa000 | 10));
    assert_eq!(got, [(2, replaced), (4, TagEdit::Remove)]);
    // The same address in two VLANs is two stations.
    let _ = send(&mut switch, 1, &frame(BROADCAST, mac(1), None));
    let (_, got) = send(&mut switch, 4, &frame(mac(1), mac(4), None));
    assert_eq!(got, keep(&[0]));
}

#[test]
fn isolated_ports_reach_open_ones_only() {
    let isolated = PortConfig {
        isolation: Isolation::Isolated,
        ..PortConfig::default()
    };
    let mut switch = switch(vec![PortConfig::default(), isolated.clone(), isolated]);
    let (_, got) = send(&mut switch, 1, &frame(BROADCAST, mac(1), None));
    assert_eq!(got, keep(&[0]));
    let (_, got) = send(&mut switch, 0, &frame(BROADCAST, mac(9), None));
    assert_eq!(got, keep(&[1, 2]));
    // Not even when the address is known.
    let (verdict, got) = send(&mut switch, 2, &frame(mac(1), mac(2), None));
    assert_eq!(
        (verdict, got),
        (Verdict::Dropped(DropReason::Nowhere), vec![])
    );
}

#[test]
fn f11_a_flood_of_addresses_fills_the_senders_share_alone() {
    let mut switch = switch(vec![PortConfig::default(); 3]);
    let _ = send(&mut switch, 1, &frame(BROADCAST, mac(200), None));
    for number in 0..100 {
        let _ = send(&mut switch, 0, &frame(BROADCAST, mac(number), None));
    }
    assert_eq!(switch.stations(PortId(0)), 8);
    assert_eq!(switch.counters(PortId(0)).unwrap().not_learned, 92);
    let (verdict, got) = send(&mut switch, 2, &frame(mac(200), mac(201), None));
    assert_eq!(
        (verdict, got),
        (Verdict::Forwarded, keep(&[1])),
        "the neighbor is still known"
    );
}

#[test]
fn f11_a_full_table_goes_on_flooding() {
    let mut switch = Switch::new(SwitchConfig {
        ports: vec![
            PortConfig {
                stations: 1000,
                ..PortConfig::default()
            };
            2
        ],
        stations: 4,
        age: SECOND,
        longest: 1514,
        mirror: None,
    })
    .unwrap();
    for number in 0..100 {
        let _ = send(&mut switch, 0, &frame(BROADCAST, mac(number), None));
    }
    assert_eq!(switch.stations(PortId(0)), 4);
    let (verdict, _) = send(&mut switch, 1, &frame(mac(50), mac(101), None));
    assert_eq!(verdict, Verdict::Flooded);
    // What is old makes room.
    let _ = send_at(&mut switch, 3 * SECOND, 0, &frame(BROADCAST, mac(50), None));
    let (verdict, _) = send_at(&mut switch, 3 * SECOND, 1, &frame(mac(50), mac(101), None));
    assert_eq!(verdict, Verdict::Forwarded);
}

#[test]
fn f11_storms_end_at_the_senders_port() {
    let mut ports = vec![PortConfig::default(); 3];
    ports[0].broadcast = Some(Limit { rate: 10, burst: 3 });
    ports[0].unknown = Some(Limit { rate: 1, burst: 2 });
    let mut switch = switch(ports);
    let verdicts = |switch: &mut Switch, now, to| -> Vec<Verdict> {
        (0..5)
            .map(|_| send_at(switch, now, 0, &frame(to, mac(1), None)).0)
            .collect()
    };
    let storm = Verdict::Dropped(DropReason::BroadcastStorm);
    let expected = [
        Verdict::Flooded,
        Verdict::Flooded,
        Verdict::Flooded,
        storm,
        storm,
    ];
    assert_eq!(verdicts(&mut switch, 0, BROADCAST), expected);
    let unknown = Verdict::Dropped(DropReason::UnknownStorm);
    let expected = [
        Verdict::Flooded,
        Verdict::Flooded,
        unknown,
        unknown,
        unknown,
    ];
    assert_eq!(verdicts(&mut switch, 0, mac(7)), expected);
    // A tenth of a second lets one broadcast through. Known stations are reached all the time, and
    // other ports have limits of their own.
    assert_eq!(
        verdicts(&mut switch, SECOND / 10, BROADCAST)[..2],
        [Verdict::Flooded, storm]
    );
    let _ = send(&mut switch, 1, &frame(BROADCAST, mac(7), None));
    assert_eq!(
        verdicts(&mut switch, SECOND / 10, mac(7)),
        [Verdict::Forwarded; 5]
    );
    let counters = switch.counters(PortId(0)).unwrap();
    assert_eq!(counters.dropped(DropReason::BroadcastStorm), 2 + 4);
    assert_eq!(counters.dropped(DropReason::UnknownStorm), 3);
}

#[test]
fn a_port_sends_no_more_than_its_rate() {
    let mut ports = vec![PortConfig::default(); 2];
    ports[0].rate = Some(Limit {
        rate: 640,
        burst: 128,
    });
    let mut switch = switch(ports);
    let bytes = frame(BROADCAST, mac(1), None);
    let passed = (0..=100_u64)
        .filter(|tenth| {
            let (verdict, _) = send_at(&mut switch, tenth * SECOND / 20, 0, &bytes);
            verdict == Verdict::Flooded
        })
        .count();
    // 64 bytes every tenth of a second for 5 seconds, and 128 at once.
    assert_eq!(passed, 50 + 2);
}

#[test]
fn f11_frames_that_are_none_go_nowhere() {
    let mut switch = switch(vec![PortConfig::default(); 2]);
    let good = frame(mac(2), mac(1), None);
    for length in 0..14 {
        let (verdict, _) = send(&mut switch, 0, &good[..length]);
        assert_eq!(verdict, Verdict::Dropped(DropReason::Malformed), "{length}");
    }
    let cases = [
        (frame(mac(2), BROADCAST, None), DropReason::Malformed),
        (
            frame(mac(2), MacAddress::new([0; 6]), None),
            DropReason::Malformed,
        ),
        (frame(mac(2), mac(1), Some(0xfff)), DropReason::Malformed),
        (
            frame(mac(2), mac(1), Some(1))[..15].to_vec(),
            DropReason::Malformed,
        ),
        (
            frame(MacAddress::new([1, 0x80, 0xc2, 0, 0, 0xe]), mac(1), None),
            DropReason::LinkLocal,
        ),
    ];
    for (bytes, reason) in cases {
        let (verdict, got) = send(&mut switch, 0, &bytes);
        assert_eq!(
            (verdict, got),
            (Verdict::Dropped(reason), vec![]),
            "{bytes:x?}"
        );
    }
    let mut long = good.clone();
    long.resize(1515, 0);
    assert_eq!(
        send(&mut switch, 0, &long).0,
        Verdict::Dropped(DropReason::TooLong)
    );
    long.truncate(1514);
    assert_eq!(send(&mut switch, 0, &long).0, Verdict::Flooded);
    // A port that is not there, and a length that contradicts what is shown.
    assert_eq!(
        send(&mut switch, 7, &good).0,
        Verdict::Dropped(DropReason::Nowhere)
    );
    let lie = Frame {
        start: &good[..16],
        length: 15,
    };
    let outcome = switch.forward(0, PortId(0), lie, |_| panic!("delivered"));
    assert_eq!(outcome.verdict, Verdict::Dropped(DropReason::Malformed));
}

#[test]
fn nobody_sends_in_the_name_of_a_bound_station() {
    let mut ports = vec![PortConfig::default(); 3];
    ports[0].station = Some(mac(1));
    let mut switch = switch(ports);
    let refused = Verdict::Dropped(DropReason::Source);
    assert_eq!(
        send(&mut switch, 0, &frame(BROADCAST, mac(2), None)).0,
        refused
    );
    assert_eq!(
        send(&mut switch, 1, &frame(BROADCAST, mac(1), None)).0,
        refused
    );
    assert_eq!(
        send(&mut switch, 0, &frame(BROADCAST, mac(1), None)).0,
        Verdict::Flooded
    );
    assert_eq!(
        send(&mut switch, 1, &frame(BROADCAST, mac(2), None)).0,
        Verdict::Flooded
    );
    let (_, got) = send(&mut switch, 2, &frame(mac(1), mac(3), None));
    assert_eq!(got, keep(&[0]));
}

#[test]
fn the_mirror_sees_what_the_others_send_and_says_nothing() {
    let mut switch = Switch::new(SwitchConfig {
        ports: vec![PortConfig::default(); 4],
        stations: 8,
        age: SECOND,
        longest: 1514,
        mirror: Some(PortId(3)),
    })
    .unwrap();
    let (_, got) = send(&mut switch, 0, &frame(BROADCAST, mac(1), None));
    assert_eq!(got, keep(&[3, 1, 2]));
    let (_, got) = send(&mut switch, 1, &frame(mac(1), mac(2), None));
    assert_eq!(got, keep(&[3, 0]));
    // It cannot take another's address, so that frames to it would end at the mirror.
    let (verdict, got) = send(&mut switch, 3, &frame(BROADCAST, mac(2), None));
    assert_eq!(
        (verdict, got),
        (Verdict::Dropped(DropReason::Mirror), vec![])
    );
    let (_, got) = send(&mut switch, 0, &frame(mac(2), mac(1), None));
    assert_eq!(got, keep(&[3, 1]));
}

#[test]
fn what_finds_no_room_counts_at_the_receiver() {
    let mut switch = switch(vec![PortConfig::default(); 3]);
    let bytes = frame(BROADCAST, mac(1), None);
    let frame = Frame {
        start: &bytes[..16],
        length: 64,
    };
    let outcome = switch.forward(0, PortId(0), frame, |delivery| match delivery.port {
        PortId(1) => Receipt::NoRoom,
        _ => Receipt::Taken,
    });
    assert_eq!(outcome.taken, 1);
    let counters = |port| *switch.counters(PortId(port)).unwrap();
    assert_eq!(counters(1).dropped(DropReason::NoRoom), 1);
    assert_eq!((counters(1).sent, counters(2).sent), (0, 1));
    assert_eq!(
        (counters(2).sent_bytes, counters(0).received_bytes),
        (64, 64)
    );
}

#[test]
fn wrong_configurations_are_refused() {
    let config = |ports, stations, mirror| SwitchConfig {
        ports: vec![PortConfig::default(); ports],
        stations,
        age: SECOND,
        longest: 1514,
        mirror,
    };
    let error = |config| Switch::new(config).unwrap_err();
    assert_eq!(
        error(config(2, 5000, None)),
        ConfigError::TooManyStations { stations: 5000 }
    );
    let port = PortId(2);
    assert_eq!(
        error(config(2, 8, Some(port))),
        ConfigError::NoSuchPort { port }
    );
}

#[test]
fn pcap_records_are_as_wireshark_reads_them() {
    let record = Pcap {
        time: 0x1_0000_0002 * SECOND + 3,
        captured: 0x10,
        length: 0x0102_0304,
    };
    let expected = [2, 0, 0, 0, 3, 0, 0, 0, 0x10, 0, 0, 0, 4, 3, 2, 1];
    assert_eq!(record.record_header(), expected);
    assert_eq!(FILE_HEADER[..4], 0xa1b2_3c4d_u32.to_le_bytes());
}

/// One step of a random stream.
#[derive(Clone, Copy, Debug)]
struct Step {
    wait: u64,
    from: u16,
    to: u8,
    source: u8,
    tag: Option<u16>,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (
        0..2 * SECOND,
        0..6_u16,
        0..10_u8,
        1..10_u8,
        proptest::option::of(0..4_u16),
    )
        .prop_map(|(wait, from, to, source, tag)| Step {
            wait,
            from,
            to,
            source,
            tag,
        });
    proptest::collection::vec(step, 1..200)
}

proptest! {
    /// Against a switch that is written down as plainly as possible: who gets a frame, by VLAN,
    /// isolation and what was learned.
    #[test]
    fn streams_agree_with_a_plain_model(steps in steps()) {
        let mut ports = vec![access(1), access(2), trunk(&[1, 2], None), access(1), trunk(&[1, 2, 3], Some(1)), access(1)];
        ports[3].isolation = Isolation::Isolated;
        ports[5].isolation = Isolation::Isolated;
        for port in &mut ports {
            port.stations = 100;
        }
        let age = 5 * SECOND;
        let mut switch = Switch::new(SwitchConfig { ports: ports.clone(), stations: 100, age, longest: 1514, mirror: None }).unwrap();
        let mut known: HashMap<(u16, u8), (u16, u64)> = HashMap::new();
        let mut now = 0;
        for step in steps {
            now += step.wait;
            let to = if step.to == 0 { BROADCAST } else { mac(step.to) };
            let (verdict, got) = send_at(&mut switch, now, step.from, &frame(to, mac(step.source), step.tag));
            let inside: Option<u16> = match (&ports[usize::from(step.from)].membership, step.tag) {
                (Membership::Access(own), None | Some(0)) => Some(own.get()),
                (Membership::Access(_), Some(_)) => None,
                (Membership::Trunk { native, .. }, None | Some(0)) => native.map(VlanId::get),
                (Membership::Trunk { allowed, .. }, Some(tag)) => allowed.contains(vlan(tag)).then_some(tag),
            };
            let Some(inside) = inside else {
                prop_assert_eq!(verdict, Verdict::Dropped(DropReason::Vlan));
                continue;
            };
            known.insert((inside, step.source), (step.from, now));
            let reached = |port: u16| {
                let there = &ports[usize::from(port)];
                let in_vlan = match &there.membership {
                    Membership::Access(own) => own.get() == inside,
                    Membership::Trunk { allowed, native } => allowed.contains(vlan(inside)) || *native == Some(vlan(inside)),
                };
                let both = there.isolation == Isolation::Isolated
                    && ports[usize::from(step.from)].isolation == Isolation::Isolated;
                port != step.from && in_vlan && !both
            };
            let target = known.get(&(inside, step.to)).filter(|(_, heard)| step.to != 0 && now - heard <= age);
            let expected: Vec<u16> = match target {
                Some((port, _)) => vec![*port].into_iter().filter(|port| reached(*port)).collect(),
                None => (0..6).filter(|port| reached(*port)).collect(),
            };
            prop_assert_eq!(got.iter().map(|(port, _)| *port).collect::<Vec<_>>(), expected);
        }
    }
}
