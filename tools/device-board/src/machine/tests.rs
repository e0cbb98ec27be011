use super::*;
use crate::options::{DeviceRequest, MachineKind};
use guest_image::map;

const UART: u64 = map::PL011.base.get();
const CLOCK: u64 = map::PL031.base.get();

fn machine() -> Machine {
    Machine::new(&Options::default()).unwrap()
}

#[test]
fn devices_answer_at_their_addresses_and_nothing_else_does() {
    let mut machine = machine();
    assert_eq!(machine.read(UART + 0xfe0, Width::Word), 0x11);
    assert_eq!(machine.read(CLOCK + 0xfe0, Width::Word), 0x31);
    assert_eq!(machine.read(0x0700_0000, Width::Double), 0);
    machine.write(0x4000_1000, Width::Double, 0x1122_3344_5566_7788);
    assert_eq!(machine.read(0x4000_1002, Width::Half), 0x5566);
}

#[test]
fn a_device_s_line_reaches_the_interrupt_controller() {
    let mut machine = machine();
    machine.intercept_inputs();
    machine.write(UART + 0x38, Width::Word, 0x20);
    machine.write(UART, Width::Word, 0x41);
    let raised = Edge {
        line: 1,
        level: Level::High,
    };
    assert_eq!(machine.take_edges(), [raised]);
    let pending = map::GICD.base.get() + 0x204;
    assert_eq!(machine.read(pending, Width::Word), 1 << 1);
    machine.reset();
    assert_eq!(machine.take_edges().len(), 1);
    assert_eq!(machine.read(pending, Width::Word), 0);
}

#[test]
fn the_alarm_rings_when_the_clock_is_stepped_past_it() {
    let mut machine = machine();
    let now = machine.read(CLOCK, Width::Word);
    machine.write(CLOCK + 0x10, Width::Word, 1);
    machine.write(CLOCK + 0x04, Width::Word, now + 2);
    assert!(machine.intercept_output("pl031"));
    let deadline = machine.next_deadline().unwrap();
    machine.advance_to(deadline - 1);
    assert_eq!(machine.take_edges(), []);
    machine.advance_to(deadline);
    assert_eq!(machine.take_edges().len(), 1);
    assert_eq!(machine.read(CLOCK, Width::Word), now + 2);
    assert_eq!(machine.next_deadline(), None);
}

#[test]
fn the_event_timers_of_a_pc_ring_at_their_time() {
    let options = Options {
        machine: MachineKind::Pc,
        ..Options::default()
    };
    let mut machine = Machine::new(&options).unwrap();
    let base = 0xfed0_0000;
    // Timer 0: enabled, by level, after 1,000 ticks of 10 ns.
    machine.write(base + 0x100, Width::Word, 1 << 2 | 1 << 1 | 16 << 9);
    machine.write(base + 0x108, Width::Double, 1_000);
    machine.write(base + 0x10, Width::Word, 1);
    assert_eq!(machine.next_deadline(), Some(10_000));
    machine.advance_to(9_999);
    assert_eq!(machine.read(base + 0x20, Width::Word), 0);
    machine.advance_to(10_000);
    assert_eq!(machine.read(base + 0x20, Width::Word), 1);
    assert_eq!(machine.read(base + 0xf0, Width::Double), 1_000);
}

#[test]
fn ports_are_plugged_by_name() {
    let request = |kind: &str| DeviceRequest {
        kind: kind.to_owned(),
        argument: format!("{kind},id=p0"),
    };
    let mut options = Options {
        devices: vec![request("virtconsole")],
        ..Options::default()
    };
    assert!(Machine::new(&options).is_err(), "a port of nothing");
    options.devices.push(request("virtio-serial-device"));
    let mut machine = Machine::new(&options).unwrap();
    machine.add_port("virtserialport", "p1").unwrap();
    assert!(machine.add_port("virtio-blk-device", "p2").is_err());
    machine.remove_port("p1").unwrap();
    assert!(machine.remove_port("p1").is_err());
}
