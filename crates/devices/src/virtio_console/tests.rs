use super::*;
use crate::testing::virtio::{ALL_FEATURES, BUFFERS, RAM, VirtioBench};
use addr::Width;
use device_model::{BackendChange, GuestError, InputRoom, WorkRequest};
use machine_fakes::{Buffer, Form};
use std::vec;
use std::vec::Vec;
use virtio::mmio::Register;
use virtio::{VirtioMmio, mmio};

fn bench(config: Config, features: u64) -> VirtioBench {
    let device = VirtioMmio::new(mmio::Config::default(), VirtioConsole::new(config));
    VirtioBench::new(device, Form::Split, 0, features)
}

/// One port, no control queues.
fn plain() -> VirtioBench {
    bench(Config::default(), ALL_FEATURES & !2)
}

/// Sends bytes through a queue.
fn send(bench: &mut VirtioBench, queue: usize, text: &[u8]) {
    bench.guest.put(BUFFERS, text);
    bench.add(queue, &[Buffer::readable(BUFFERS, text.len() as u32)]);
    bench.kick(queue as u32);
    assert_eq!(bench.take(queue).map(|used| used.written), Some(0));
}

fn control(bench: &mut VirtioBench, port: u32, event: u16, value: u16) {
    let mut message = port.to_le_bytes().to_vec();
    message.extend(event.to_le_bytes());
    message.extend(value.to_le_bytes());
    send(bench, 3, &message);
}

/// Gives the device buffers for control messages.
fn listen(bench: &mut VirtioBench, count: u64) {
    for index in 0..count {
        bench.add(2, &[Buffer::writable(RAM + 0x8_0000 + index * 64, 64)]);
    }
    bench.kick(2);
}

/// Takes the control messages that came, in order; the buffers are those of one [`listen`].
fn heard(bench: &mut VirtioBench, first: u64) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    while let Some(used) = bench.take(2) {
        let place = RAM + 0x8_0000 + (first + messages.len() as u64) * 64;
        messages.push(bench.guest.bytes(place, used.written as usize).to_vec());
    }
    messages
}

fn type_text(bench: &mut VirtioBench, text: &[u8]) -> usize {
    bench.last = crate::testing::effects(0);
    let count = bench.slot.receive(&mut bench.last, text);
    bench.settle();
    count
}

#[test]
fn output_goes_to_the_back_end() {
    let mut bench = plain();
    send(&mut bench, 1, b"hello");
    assert_eq!(bench.sent, b"hello");
}

#[test]
fn f12_a_flood_of_output_goes_out_piece_by_piece() {
    let mut bench = plain();
    let flood: Vec<u8> = (0..5000_u32).map(|place| place as u8).collect();
    bench.guest.put(BUFFERS, &flood);
    bench.add(1, &[Buffer::readable(BUFFERS, 5000)]);
    bench.write(Register::QueueNotify, 1);
    while bench.last.work == WorkRequest::Wanted {
        bench.work();
        assert!(bench.last.transmitted.len() <= 256);
    }
    assert_eq!(bench.sent, flood);
    assert!(bench.take(1).is_some());
}

#[test]
fn input_waits_for_buffers_and_buffers_wait_for_input() {
    let mut bench = plain();
    // Buffers first.
    bench.add(0, &[Buffer::writable(BUFFERS, 4)]);
    bench.add(0, &[Buffer::writable(BUFFERS + 0x10, 16)]);
    bench.kick(0);
    assert_eq!(bench.take(0), None);
    assert_eq!(type_text(&mut bench, b"abcdef"), 6);
    assert_eq!(bench.take(0).map(|used| used.written), Some(4));
    assert_eq!(bench.take(0).map(|used| used.written), Some(2));
    assert_eq!(bench.guest.bytes(BUFFERS, 5), b"abcd\0");
    assert_eq!(bench.guest.bytes(BUFFERS + 0x10, 3), b"ef\0");
    // Input first: as much as there is room for.
    let flood = [b'x'; 100];
    assert_eq!(type_text(&mut bench, &flood), 64);
    assert_eq!(bench.last.input, InputRoom::Unchanged);
    bench.add(0, &[Buffer::writable(BUFFERS, 80)]);
    bench.write(Register::QueueNotify, 0);
    bench.work();
    assert_eq!(bench.last.input, InputRoom::Wanted);
    bench.settle();
    assert_eq!(bench.take(0).map(|used| used.written), Some(64));
    assert_eq!(type_text(&mut bench, &flood[64..]), 36);
}

#[test]
fn a_driver_of_several_ports_hears_of_them() {
    let mut bench = bench(
        Config {
            ports: 2,
            columns: 132,
            rows: 50,
        },
        ALL_FEATURES,
    );
    assert_eq!(bench.rings.len(), 6);
    assert_eq!(bench.read_at(0x104, Width::Word), 2);
    listen(&mut bench, 8);
    control(&mut bench, u32::MAX, 0, 1);
    let add = |port: u8| vec![port, 0, 0, 0, 1, 0, 1, 0];
    assert_eq!(heard(&mut bench, 0), [add(0), add(1)]);
    control(&mut bench, 0, 3, 1);
    control(&mut bench, 1, 3, 1);
    let port_0 = |event: u8| vec![0, 0, 0, 0, event, 0, 1, 0];
    let mut size = port_0(5);
    size.extend([132, 0, 50, 0]);
    assert_eq!(heard(&mut bench, 2), [port_0(4), size, port_0(6)]);
    // Input waits until the guest has opened the port.
    bench.add(0, &[Buffer::writable(BUFFERS + 0x100, 4)]);
    bench.kick(0);
    type_text(&mut bench, b"hi");
    assert_eq!(bench.take(0), None);
    control(&mut bench, 0, 6, 1);
    bench.kick(0);
    assert_eq!(bench.take(0).map(|used| used.written), Some(2));
    // What goes to the other port goes nowhere.
    let before = bench.sent.clone();
    send(&mut bench, 5, b"nobody");
    assert_eq!(bench.sent, before);
}

#[test]
fn a_new_size_of_the_window_is_told() {
    let mut bench = plain();
    let change = BackendChange::ConsoleSize {
        columns: 100,
        rows: 30,
    };
    assert_eq!(bench.read_at(0x100, Width::Word), 80 | 25 << 16);
    bench.change(change);
    assert_eq!(bench.interrupts(), 2);
    assert_eq!(bench.read_at(0x100, Width::Word), 100 | 30 << 16);
    bench.negotiate(ALL_FEATURES);
    listen(&mut bench, 4);
    bench.change(BackendChange::ConsoleSize {
        columns: 7,
        rows: 8,
    });
    assert_eq!(
        heard(&mut bench, 0),
        [vec![0, 0, 0, 0, 5, 0, 1, 0, 7, 0, 8, 0]]
    );
}

#[test]
fn an_emergency_needs_no_queue() {
    let device = VirtioConsole::new(Config::default());
    let mut slot = crate::testing::slot(VirtioMmio::new(mmio::Config::default(), device));
    let mut host = crate::testing::effects(0);
    slot.write(&mut host, 0x108, Width::Word, 0x121).unwrap();
    assert_eq!(host.transmitted.as_slice(), b"!");
    slot.write(&mut host, 0x108, Width::Byte, 0x21).unwrap();
    slot.write(&mut host, 0x104, Width::Word, 1).unwrap();
    assert_eq!(host.transmitted.len(), 1);
    assert_eq!(host.errors.len(), 2);
}

#[test]
fn f12_control_messages_without_end_leave_nothing_behind() {
    let mut bench = bench(Config::default(), ALL_FEATURES);
    for _ in 0..1000 {
        control(&mut bench, 0, 0, 1);
        control(&mut bench, 0, 3, 1);
    }
    listen(&mut bench, 16);
    assert_eq!(heard(&mut bench, 0).len(), 4);
}

#[test]
fn messages_that_make_no_sense_are_counted() {
    let mut bench = bench(Config::default(), ALL_FEATURES);
    for (port, event, value) in [
        (0, 1, 1),
        (0, 2, 1),
        (0, 7, 1),
        (1, 6, 1),
        (99, 6, 1),
        (0, 0xffff, 1),
    ] {
        let mut message = u32::to_le_bytes(port).to_vec();
        message.extend(u16::to_le_bytes(event));
        message.extend(u16::to_le_bytes(value));
        bench.guest.put(BUFFERS, &message);
        bench.add(3, &[Buffer::readable(BUFFERS, 8)]);
        bench.write(Register::QueueNotify, 3);
        bench.work();
        let errors = crate::testing::errors(&bench.last);
        assert_eq!(errors, [GuestError::BadRequest], "{port} {event}");
    }
    listen(&mut bench, 4);
    assert_eq!(heard(&mut bench, 0), Vec::<Vec<u8>>::new());
}

#[test]
fn a_state_with_ports_that_the_device_has_not_is_refused() {
    use device_model::migrate::{Migrate, Plain, Reader, Wire, Writer};
    for (port, ports, fits) in [(0, 1, true), (1, 1, false), (1, 2, true), (7, 7, false)] {
        let mut state = State::default();
        state.ports[port].open = true;
        let mut out = Writer::new(1000);
        state.to_wire().write(&mut out);
        let saved = out.finish().unwrap();
        let mut console = VirtioConsole::new(Config {
            ports,
            ..Config::default()
        });
        let restored = console.restore(&mut Reader::new(&saved));
        assert_eq!(restored.is_ok(), fits, "port {port} of {ports}");
    }
}
