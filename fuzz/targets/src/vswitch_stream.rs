//! A stream of frames into a switch whose ports differ in all that ports differ in.
//!
//! Whatever is sent: nobody hears himself, nobody hears another VLAN or gets a frame twice, isolated
//! ports don't hear each other, and no port fills more of the list of stations than its share.

use crate::input::Input;
use vswitch::{
    Frame, Isolation, Limit, Membership, PortConfig, PortId, Receipt, Switch, SwitchConfig, VlanId,
    VlanSet,
};

/// How many ports there are.
const PORTS: u16 = 6;
/// The most stations of a port.
const SHARE: u16 = 3;
/// Runs a stream.
pub fn run(bytes: &[u8]) {
    let ports = ports();
    let config = SwitchConfig {
        ports: ports.clone(),
        stations: 8,
        age: 1_000_000_000,
        longest: 1514,
        mirror: Some(PortId(PORTS - 1)),
    };
    let mut switch = Switch::new(config).expect("the configuration is one");
    let mut input = Input::new(bytes);
    let mut now = 0_u64;
    while !input.is_empty() {
        now = now.wrapping_add(u64::from(input.half()) << input.below(40));
        let from = PortId(u16::from(input.byte()) % (PORTS + 1));
        if input.byte() == 0 {
            switch.forget(from);
        }
        let header = header(&mut input);
        let shown = &header[..input.below(header.len() + 1)];
        let length = usize::from(input.half()) % 1600;
        let full = input.flag();
        let frame = Frame {
            start: shown,
            length,
        };
        let mut got = Vec::new();
        let outcome = switch.forward(now, from, frame, |delivery| {
            got.push(delivery.port);
            if full {
                Receipt::NoRoom
            } else {
                Receipt::Taken
            }
        });
        check(&ports, from, &got);
        assert!(outcome.taken <= got.len(), "{outcome:?}");
        for port in 0..PORTS {
            assert!(switch.stations(PortId(port)) <= SHARE, "port {port}");
        }
    }
}

/// Returns streams to begin with: each ordinary frame, and a few of them after each other.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let frame = |from: u8, to: u8, source: u8, tag: u8| {
        [1, 0, 8, from, 1, to, source, tag, 18, 64, 0, 0].to_vec()
    };
    let one: Vec<_> = (0..6).map(|port| frame(port, 0, port, port)).collect();
    let all = one.concat();
    one.into_iter().chain([all]).collect()
}

fn ports() -> Vec<PortConfig> {
    let vlan = |number| VlanId::new(number).expect("a VLAN");
    let port = |membership| PortConfig {
        membership,
        stations: SHARE,
        ..PortConfig::default()
    };
    let limit = Some(Limit { rate: 5, burst: 10 });
    let trunk = Membership::Trunk {
        allowed: [vlan(1), vlan(2)].into_iter().collect(),
        native: None,
    };
    let all = Membership::Trunk {
        allowed: VlanSet::ALL,
        native: Some(vlan(2)),
    };
    let mut ports = vec![
        port(Membership::Access(vlan(1))),
        port(Membership::Access(vlan(1))),
        port(Membership::Access(vlan(2))),
        port(trunk),
        port(all),
        port(Membership::Access(vlan(1))),
    ];
    ports[0].isolation = Isolation::Isolated;
    ports[1].isolation = Isolation::Isolated;
    ports[1].broadcast = limit;
    ports[2].unknown = limit;
    ports[2].rate = Some(Limit {
        rate: 100,
        burst: 5000,
    });
    assert_eq!(ports.len(), usize::from(PORTS));
    ports
}

/// Makes a header of a few stations and VLANs, so that they meet.
fn header(input: &mut Input<'_>) -> Vec<u8> {
    let address = |number: u8| match number {
        0 => [0xff; 6],
        1..=12 => [2, 0, 0, 0, 0, number],
        other => [other, 0x80, 0xc2, 0, 0, other & 0x1f],
    };
    let mut bytes = address(input.byte()).to_vec();
    bytes.extend(address(input.byte()));
    match input.byte() {
        tag @ 0..=5 => bytes.extend([0x81, 0, tag << 5, tag]),
        255 => bytes.extend([0x81, 0, 0xff, 0xff]),
        _ => bytes.extend([8, 0]),
    }
    bytes.resize(18, 0);
    bytes
}

fn check(ports: &[PortConfig], from: PortId, got: &[PortId]) {
    let mut seen = got.to_vec();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), got.len(), "a frame came twice: {got:?}");
    assert!(!got.contains(&from), "port {from} hears itself");
    let Some(sender) = ports.get(from.index()) else {
        assert_eq!(got, [], "from no port");
        return;
    };
    // The mirror, which is the last one, hears everything.
    for to in got.iter().filter(|to| to.0 != PORTS - 1) {
        let receiver = &ports[to.index()];
        let both = [sender, receiver].map(|port| port.isolation == Isolation::Isolated);
        assert_ne!(both, [true, true], "{from} to {to}");
        if let (Membership::Access(one), Membership::Access(other)) =
            (&sender.membership, &receiver.membership)
        {
            assert_eq!(one, other, "{from} to {to}");
        }
    }
}
