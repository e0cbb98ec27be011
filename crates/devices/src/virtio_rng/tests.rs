use super::*;
use crate::testing::virtio::{ALL_FEATURES, BUFFERS, VirtioBench};
use device_model::TimerRequest;
use machine_fakes::{Buffer, Form, Used};
use virtio::VirtioMmio;

fn bench(form: Form) -> VirtioBench {
    let device = VirtioMmio::new(virtio::mmio::Config::default(), VirtioRng::default());
    VirtioBench::new(device, form, 0, ALL_FEATURES)
}

#[test]
fn buffers_are_filled_and_nothing_else() {
    for form in [Form::Split, Form::Packed] {
        let mut bench = bench(form);
        let parts = [
            Buffer::writable(BUFFERS, 3),
            Buffer::writable(BUFFERS + 0x100, 70),
        ];
        let id = bench.add(0, &parts);
        bench.kick(0);
        assert_eq!(bench.take(0), Some(Used { id, written: 73 }));
        assert_eq!(bench.interrupts(), 1);
        assert_eq!(bench.guest.bytes(BUFFERS, 4), [0xe7, 0xe7, 0xe7, 0]);
        assert_eq!(bench.guest.bytes(BUFFERS + 0x100, 70), [0xe7; 70]);
        assert_eq!(bench.guest.bytes(BUFFERS + 0x146, 1), [0]);
    }
}

#[test]
fn an_answer_is_short_rather_than_long() {
    let mut bench = bench(Form::Split);
    let id = bench.add(0, &[Buffer::writable(BUFFERS, 0x8000)]);
    bench.kick(0);
    assert_eq!(bench.take(0), Some(Used { id, written: 128 }));
}

#[test]
fn a_chain_waits_until_there_is_entropy() {
    let mut bench = bench(Form::Split);
    bench.guest.entropy_left = 0;
    let id = bench.add(0, &[Buffer::writable(BUFFERS, 64)]);
    bench.kick(0);
    assert_eq!(bench.take(0), None);
    assert_eq!(bench.last.timer, Some(TimerRequest::Arm(10_000_000)));
    bench.guest.entropy_left = 10;
    bench.expire();
    assert_eq!(bench.take(0), Some(Used { id, written: 10 }));
}

#[test]
fn a_chain_without_room_comes_back_empty() {
    let mut bench = bench(Form::Split);
    let id = bench.add(0, &[Buffer::readable(BUFFERS, 64)]);
    bench.kick(0);
    assert_eq!(bench.take(0), Some(Used { id, written: 0 }));
    assert_eq!(bench.turns, 1);
}
