use super::*;
use device_model::MemoryFault;
use machine_fakes::{Buffer, FakeGuest, FakeRing, Form, INDIRECT, NEXT, Used, WRITE};
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

const RAM: u64 = 0x4000_0000;
/// Behind the rings.
const DATA: u64 = RAM + 0x1_0000;
const TABLE: u64 = RAM + 0x8000;
const SIZE: u16 = 16;

struct Bench {
    queue: Queue,
    guest: FakeGuest,
    ring: FakeRing,
}

fn features(form: Form) -> Features {
    match form {
        Form::Split => Features::RINGS.difference(Features::RING_PACKED),
        Form::Packed => Features::RINGS,
    }
}

impl Bench {
    fn new(form: Form, features: Features) -> Self {
        let ring = FakeRing::new(form, RAM, SIZE);
        let mut queue = Queue::new(256);
        *queue.setup_mut().unwrap() = Setup {
            size: SIZE,
            descriptors: ring.descriptors,
            driver: ring.driver,
            device: ring.device,
        };
        queue.start(features).unwrap();
        Self {
            queue,
            guest: FakeGuest::new(RAM, 0x10_0000, 0),
            ring,
        }
    }

    fn both() -> [Self; 2] {
        [Form::Split, Form::Packed].map(|form| Self::new(form, features(form)))
    }

    fn add(&mut self, chain: &[Buffer]) -> u16 {
        self.ring.add(&mut self.guest, chain)
    }

    fn next(&mut self) -> Result<Next, QueueError> {
        self.queue.next(&mut Work::new(&mut self.guest))
    }

    /// Takes the next chain's buffers as the device sees them.
    fn buffers(&mut self) -> Vec<Buffer> {
        assert_eq!(self.next(), Ok(Next::Chain));
        let chain = self.queue.chain();
        let mut buffers = Vec::new();
        while let Some(piece) = chain.next_readable(u32::MAX) {
            chain.skip_readable(piece.length);
            buffers.push(Buffer::readable(piece.address.get(), piece.length));
        }
        while let Some(piece) = chain.next_writable(u32::MAX) {
            chain.skip_writable(piece.length);
            buffers.push(Buffer::writable(piece.address.get(), piece.length));
        }
        buffers
    }

    fn complete(&mut self, written: u32) -> Notification {
        let mut work = Work::new(&mut self.guest);
        self.queue.complete(&mut work, written).unwrap();
        self.queue.publish(&mut work).unwrap()
    }

    /// Writes the fields of a split ring's descriptor, or of one in a table at `place`.
    fn put(&mut self, place: u64, address: u64, length: u32, flags: u16, next: u16) {
        self.guest.put(place, &address.to_le_bytes());
        self.guest.put(place + 8, &length.to_le_bytes());
        self.guest.put(place + 12, &flags.to_le_bytes());
        self.guest.put(place + 14, &next.to_le_bytes());
    }

    fn descriptor(&self, index: u16) -> u64 {
        self.ring.descriptors + 16 * u64::from(index)
    }
}

#[test]
fn chains_come_in_order_and_go_back_in_order() {
    for mut bench in Bench::both() {
        // Several times around.
        for round in 0..50_u32 {
            let first = [
                Buffer::readable(DATA, 10),
                Buffer::readable(DATA + 0x100, 20),
                Buffer::writable(DATA + 0x200, 30),
            ];
            let second = [Buffer::writable(DATA + 0x300, round + 1)];
            let ids = [bench.add(&first), bench.add(&second)];
            assert_eq!(bench.buffers(), first);
            let _ = bench.complete(7);
            assert_eq!(bench.buffers(), second);
            let _ = bench.complete(round);
            for (id, written) in ids.into_iter().zip([7, round]) {
                let used = bench.ring.take(&bench.guest);
                assert_eq!(used, Some(Used { id, written }));
            }
            assert_eq!(bench.next(), Ok(Next::Empty));
            assert!(bench.ring.device_waits(&bench.guest));
        }
    }
}

#[test]
fn an_uncompleted_chain_stays_the_next_one() {
    for mut bench in Bench::both() {
        bench.add(&[Buffer::readable(DATA, 10)]);
        bench.add(&[Buffer::readable(DATA, 20)]);
        assert_eq!(bench.next(), Ok(Next::Chain));
        assert_eq!(bench.next(), Ok(Next::Chain));
        assert_eq!(bench.queue.chain().readable(), 10);
    }
}

#[test]
fn indirect_tables_stand_for_their_descriptors() {
    for mut bench in Bench::both() {
        let chain: Vec<Buffer> = (0..u64::from(SIZE))
            .map(|index| {
                if index < 9 {
                    Buffer::readable(DATA + index * 0x10, 3)
                } else {
                    Buffer::writable(DATA + index * 0x10, 4)
                }
            })
            .collect();
        for _ in 0..20 {
            let id = bench.ring.add_indirect(&mut bench.guest, TABLE, &chain);
            assert_eq!(bench.buffers(), chain);
            let _ = bench.complete(28);
            assert_eq!(
                bench.ring.take(&bench.guest),
                Some(Used { id, written: 28 })
            );
        }
    }
}

#[test]
fn a_table_may_follow_descriptors_of_the_ring() {
    // 2.7.5.3.2: zero or more normal ones, then an indirect one.
    for mut bench in Bench::both() {
        let last = if bench.ring.form == Form::Split {
            0
        } else {
            0x77
        };
        bench.put(TABLE, DATA, 5, WRITE, last);
        if bench.ring.form == Form::Packed {
            bench.put(TABLE, DATA, 5, 0, WRITE);
        }
        bench.add(&[
            Buffer::readable(DATA + 0x100, 1),
            Buffer {
                address: TABLE,
                length: 16,
                flags: INDIRECT,
            },
        ]);
        let expected = [Buffer::readable(DATA + 0x100, 1), Buffer::writable(DATA, 5)];
        assert_eq!(bench.buffers(), expected);
    }
}

#[test]
fn a_notification_is_sent_when_the_driver_wants_it() {
    for mut bench in Bench::both() {
        for round in 0..40 {
            for ahead in 0..3 {
                for _ in 0..3 {
                    bench.add(&[Buffer::writable(DATA, 4), Buffer::writable(DATA, 4)]);
                }
                bench.ring.ask_for_event(&mut bench.guest, ahead);
                for place in 0..3 {
                    assert_eq!(bench.next(), Ok(Next::Chain));
                    let expected = if place == ahead {
                        Notification::Wanted
                    } else {
                        Notification::NotWanted
                    };
                    assert_eq!(bench.complete(0), expected, "{round} {ahead} {place}");
                }
                while bench.ring.take(&bench.guest).is_some() {}
            }
        }
    }
}

#[test]
fn a_turn_that_passes_the_event_notifies_once() {
    for mut bench in Bench::both() {
        for _ in 0..40 {
            for _ in 0..5 {
                bench.add(&[Buffer::writable(DATA, 4)]);
            }
            bench.ring.ask_for_event(&mut bench.guest, 2);
            let mut work = Work::new(&mut bench.guest);
            for _ in 0..5 {
                assert_eq!(bench.queue.next(&mut work), Ok(Next::Chain));
                bench.queue.complete(&mut work, 0).unwrap();
            }
            assert_eq!(bench.queue.publish(&mut work), Ok(Notification::Wanted));
            assert_eq!(bench.queue.publish(&mut work), Ok(Notification::NotWanted));
            while bench.ring.take(&bench.guest).is_some() {}
        }
    }
}

#[test]
fn an_event_of_the_next_round_of_a_packed_ring_is_not_passed_yet() {
    let mut bench = Bench::new(Form::Packed, features(Form::Packed));
    for _ in 0..SIZE - 2 {
        bench.add(&[Buffer::writable(DATA, 4)]);
        assert_eq!(bench.next(), Ok(Next::Chain));
        let _ = bench.complete(0);
        assert!(bench.ring.take(&bench.guest).is_some());
    }
    // The last slot with the wrap counter of the second round; the chain ends before it.
    bench.guest.put(bench.ring.driver, &15_u16.to_le_bytes());
    bench.guest.put(bench.ring.driver + 2, &2_u16.to_le_bytes());
    bench.add(&[Buffer::writable(DATA, 4); 4]);
    assert_eq!(bench.next(), Ok(Next::Chain));
    assert_eq!(bench.complete(0), Notification::NotWanted);
}

#[test]
fn without_the_event_index_flags_decide() {
    for form in [Form::Split, Form::Packed] {
        let features = features(form).difference(Features::EVENT_IDX);
        let mut bench = Bench::new(form, features);
        bench.add(&[Buffer::writable(DATA, 4)]);
        assert_eq!(bench.next(), Ok(Next::Chain));
        assert_eq!(bench.complete(0), Notification::Wanted);
        bench.ring.refuse_events(&mut bench.guest);
        bench.add(&[Buffer::writable(DATA, 4)]);
        assert_eq!(bench.next(), Ok(Next::Chain));
        assert_eq!(bench.complete(0), Notification::NotWanted);
        // Nothing is asked for by index.
        let before = bench.guest.bytes(bench.ring.device, 2).to_vec();
        assert_eq!(bench.next(), Ok(Next::Empty));
        assert_eq!(bench.guest.bytes(bench.ring.device, 2), before);
    }
}

#[test]
fn f1_a_loop_of_descriptors_ends() {
    let mut bench = Bench::new(Form::Split, features(Form::Split));
    for (from, to) in [(0, 0), (1, 2), (2, 1)] {
        bench.put(bench.descriptor(from), DATA, 1, NEXT, to);
    }
    for head in [0, 1] {
        let mut bench = Bench {
            queue: bench.queue.clone(),
            guest: bench.guest.clone(),
            ring: bench.ring.clone(),
        };
        bench.ring.publish_head(&mut bench.guest, head);
        let error = QueueError::ChainTooLong { most: SIZE };
        assert_eq!(bench.next(), Err(error));
        assert!(bench.guest.copies < 2 * u64::from(SIZE));
    }
    // In an indirect table.
    bench.put(TABLE, DATA, 1, NEXT, 1);
    bench.put(TABLE + 16, DATA, 1, NEXT, 0);
    bench.put(bench.descriptor(5), TABLE, 32, INDIRECT, 0);
    bench.ring.publish_head(&mut bench.guest, 5);
    let error = QueueError::ChainTooLong { most: SIZE };
    assert_eq!(bench.next(), Err(error));
}

#[test]
fn f1_a_packed_chain_that_never_ends_is_cut() {
    let mut bench = Bench::new(Form::Packed, features(Form::Packed));
    for index in 0..SIZE {
        bench.put(bench.descriptor(index), DATA, 1, 0, NEXT | 1 << 7);
    }
    let error = QueueError::ChainTooLong { most: SIZE };
    assert_eq!(bench.next(), Err(error));
    // One whose rest is not there.
    let mut bench = Bench::new(Form::Packed, features(Form::Packed));
    bench.put(bench.descriptor(0), DATA, 1, 0, NEXT | 1 << 7);
    assert_eq!(bench.next(), Err(QueueError::NotAvailable { index: 1 }));
}

#[test]
fn f2_a_chain_is_as_long_as_the_queue_and_no_longer() {
    for mut bench in Bench::both() {
        let chain = vec![Buffer::readable(DATA, 1); usize::from(SIZE)];
        bench.add(&chain);
        assert_eq!(bench.buffers(), chain);
        let _ = bench.complete(0);
        // A table with one more than the queue has.
        let chain = vec![Buffer::readable(DATA, 1); usize::from(SIZE) + 1];
        bench.ring.add_indirect(&mut bench.guest, TABLE, &chain);
        let error = QueueError::IndirectSize {
            bytes: 16 * (u32::from(SIZE) + 1),
        };
        assert_eq!(bench.next(), Err(error));
    }
    // Descriptors of the ring and of a table together.
    for mut bench in Bench::both() {
        let chain = vec![Buffer::readable(DATA, 1); usize::from(SIZE)];
        let mut ring = bench.ring.clone();
        ring.add_indirect(&mut bench.guest, TABLE, &chain);
        bench.add(&[
            Buffer::readable(DATA, 1),
            Buffer {
                address: TABLE,
                length: 16 * u32::from(SIZE),
                flags: INDIRECT,
            },
        ]);
        let error = QueueError::ChainTooLong { most: SIZE };
        assert_eq!(bench.next(), Err(error));
    }
}

#[test]
fn f3_an_indirect_table_in_an_indirect_table_is_refused() {
    for mut bench in Bench::both() {
        let nested = [Buffer {
            address: TABLE,
            length: 16,
            flags: INDIRECT,
        }];
        bench.ring.add_indirect(&mut bench.guest, TABLE, &nested);
        assert_eq!(bench.next(), Err(QueueError::NestedIndirect));
    }
}

#[test]
fn f3_an_indirect_descriptor_with_a_next_one_is_refused() {
    for mut bench in Bench::both() {
        bench.add(&[
            Buffer {
                address: TABLE,
                length: 16,
                flags: INDIRECT,
            },
            Buffer::readable(DATA, 1),
        ]);
        assert_eq!(bench.next(), Err(QueueError::IndirectWithNext));
    }
}

#[test]
fn f3_an_indirect_descriptor_without_the_feature_is_refused() {
    for form in [Form::Split, Form::Packed] {
        let features = features(form).difference(Features::INDIRECT_DESC);
        let mut bench = Bench::new(form, features);
        let chain = [Buffer::readable(DATA, 1)];
        bench.ring.add_indirect(&mut bench.guest, TABLE, &chain);
        assert_eq!(bench.next(), Err(QueueError::IndirectNotNegotiated));
    }
}

#[test]
fn f4_the_length_of_an_indirect_table_is_checked() {
    for bytes in [0, 1, 15, 17, 16 * 17, 0xffff_fff0, u32::MAX] {
        for mut bench in Bench::both() {
            bench.add(&[Buffer {
                address: TABLE,
                length: bytes,
                flags: INDIRECT,
            }]);
            assert_eq!(bench.next(), Err(QueueError::IndirectSize { bytes }));
        }
    }
}

#[test]
fn f5_a_buffer_that_wraps_is_refused() {
    for (address, length) in [(u64::MAX, 1), (u64::MAX - 3, 4), (1 << 63, u32::MAX)] {
        for mut bench in Bench::both() {
            bench.add(&[Buffer::readable(address, length)]);
            let wraps = address.checked_add(u64::from(length)).is_none();
            let expected = if wraps {
                Err(QueueError::SegmentWraps { address, length })
            } else {
                Ok(Next::Chain)
            };
            assert_eq!(bench.next(), expected);
        }
    }
}

#[test]
fn f5_buffers_of_4_gib_together_are_refused() {
    for mut bench in Bench::both() {
        bench.add(&[Buffer::readable(DATA, u32::MAX), Buffer::readable(DATA, 1)]);
        let error = QueueError::TooManyBytes {
            address: DATA,
            length: 1,
        };
        assert_eq!(bench.next(), Err(error));
    }
}

#[test]
fn f5_tables_and_rings_outside_the_guest_s_memory_are_refused() {
    for mut bench in Bench::both() {
        bench.add(&[Buffer {
            address: RAM - 8,
            length: 16,
            flags: INDIRECT,
        }]);
        let fault = MemoryFault::new(Ipa::new(RAM - 8), 16);
        assert_eq!(bench.next(), Err(QueueError::Memory(fault)));
    }
    for form in [Form::Split, Form::Packed] {
        for address in [0, 0x0800_0000, RAM + 0x10_0000] {
            let mut bench = Bench::new(form, features(form));
            bench.queue.stop();
            *bench.queue.setup_mut().unwrap() = Setup {
                size: SIZE,
                descriptors: address,
                driver: address + 0x1000,
                device: address + 0x2000,
            };
            bench.queue.start(features(form)).unwrap();
            assert!(matches!(bench.next(), Err(QueueError::Memory(_))));
        }
    }
}

#[test]
fn a_readable_buffer_after_a_writable_one_is_refused() {
    for mut bench in Bench::both() {
        bench.add(&[Buffer::writable(DATA, 1), Buffer::readable(DATA + 0x10, 1)]);
        let error = QueueError::ReadableAfterWritable {
            address: DATA + 0x10,
        };
        assert_eq!(bench.next(), Err(error));
    }
}

#[test]
fn f6_the_available_index_goes_at_most_once_around() {
    for (done, to, fails) in [
        (0, SIZE, false),
        (0, SIZE + 1, true),
        (0, 0xffff, true),
        (0, 0x8000, true),
        (3, 2, true),
        (3, 3 + SIZE, false),
        (3, 4 + SIZE, true),
    ] {
        let mut bench = Bench::new(Form::Split, features(Form::Split));
        for _ in 0..done {
            bench.add(&[Buffer::readable(DATA, 1)]);
            assert_eq!(bench.next(), Ok(Next::Chain));
            let _ = bench.complete(0);
        }
        bench.guest.put(bench.ring.driver + 2, &to.to_le_bytes());
        let expected = if fails {
            Err(QueueError::IndexJump { from: done, to })
        } else {
            Ok(Next::Chain)
        };
        assert_eq!(bench.next(), expected, "{done} {to}");
    }
}

#[test]
fn f6_heads_and_next_descriptors_outside_the_table_are_refused() {
    for index in [SIZE, 0x7fff, 0xffff] {
        let mut bench = Bench::new(Form::Split, features(Form::Split));
        bench.ring.publish_head(&mut bench.guest, index);
        assert_eq!(bench.next(), Err(QueueError::NoDescriptor { index }));
        let mut bench = Bench::new(Form::Split, features(Form::Split));
        bench.put(bench.descriptor(0), DATA, 1, NEXT, index);
        bench.ring.publish_head(&mut bench.guest, 0);
        assert_eq!(bench.next(), Err(QueueError::NoDescriptor { index }));
        let mut bench = Bench::new(Form::Split, features(Form::Split));
        bench.put(TABLE, DATA, 1, NEXT, index);
        bench.put(bench.descriptor(0), TABLE, 32, INDIRECT, 0);
        bench.ring.publish_head(&mut bench.guest, 0);
        assert_eq!(bench.next(), Err(QueueError::NoDescriptor { index }));
    }
}

#[test]
fn f8_what_the_driver_changes_after_it_was_read_has_no_effect() {
    for mut bench in Bench::both() {
        let chain: Vec<Buffer> = (0..12)
            .map(|index| Buffer::writable(DATA + index * 0x100, 0x80))
            .collect();
        bench.ring.add_indirect(&mut bench.guest, TABLE, &chain);
        bench.guest.poisoned = Some(TABLE..TABLE + 0x1000);
        assert_eq!(bench.buffers(), chain);
    }
    for mut bench in Bench::both() {
        let chain = [
            Buffer::readable(DATA, 16),
            Buffer::writable(DATA + 0x100, 0x80),
        ];
        bench.add(&chain);
        bench.add(&chain);
        let ring = &bench.ring;
        // The marks of a packed ring's head are looked at twice, the rest once.
        let first = ring.descriptors + if ring.form == Form::Packed { 14 } else { 0 };
        bench.guest.poisoned = match ring.form {
            Form::Split => Some(first..ring.descriptors + 16 * u64::from(SIZE)),
            Form::Packed => Some(first + 2..ring.descriptors + 32),
        };
        assert_eq!(bench.buffers(), chain);
        assert_eq!(bench.queue.chain().unwritten(), 0);
    }
}

#[test]
fn f8_a_packed_head_that_is_taken_back_is_refused() {
    let mut bench = Bench::new(Form::Packed, features(Form::Packed));
    bench.add(&[Buffer::readable(DATA, 16)]);
    let flags = bench.ring.descriptors + 14;
    // The first look sees it; the copy does not.
    bench.guest.poisoned = Some(flags..flags + 2);
    assert_eq!(bench.next(), Err(QueueError::NotAvailable { index: 0 }));
}

#[test]
fn a_long_chain_is_read_in_several_turns() {
    let mut queue = Queue::new(1024);
    let ring = FakeRing::new(Form::Split, RAM, 1024);
    *queue.setup_mut().unwrap() = Setup {
        size: 1024,
        descriptors: ring.descriptors,
        driver: ring.driver,
        device: ring.device,
    };
    queue.start(features(Form::Split)).unwrap();
    let mut bench = Bench {
        queue,
        guest: FakeGuest::new(RAM, 0x10_0000, 0),
        ring,
    };
    let chain: Vec<Buffer> = (0..1024)
        .map(|index| Buffer::readable(RAM + 0x2_0000 + index, 1))
        .collect();
    bench.add(&chain);
    let mut turns = 0;
    while bench.next() == Ok(Next::Spent) {
        turns += 1;
        assert_eq!(bench.queue.attention(), Attention::Due);
    }
    assert!((3..20).contains(&turns), "{turns}");
    assert_eq!(bench.buffers(), chain);
}

#[test]
fn the_last_writable_byte_is_found_behind_empty_buffers() {
    let mut bench = Bench::new(Form::Split, features(Form::Split));
    bench.add(&[
        Buffer::readable(DATA, 8),
        Buffer::writable(DATA + 0x100, 4),
        Buffer::writable(DATA + 0x200, 0),
    ]);
    assert_eq!(bench.next(), Ok(Next::Chain));
    let chain = bench.queue.chain();
    assert_eq!(chain.last_writable(), Some(Ipa::new(DATA + 0x103)));
    let _ = bench.complete(0);
    bench.add(&[Buffer::readable(DATA, 8)]);
    assert_eq!(bench.next(), Ok(Next::Chain));
    assert_eq!(bench.queue.chain().last_writable(), None);
}

#[test]
fn a_restored_position_is_checked() {
    let setup = Setup {
        size: 12,
        descriptors: RAM,
        driver: RAM + 0x1000,
        device: RAM + 0x2000,
    };
    let mut queue = Queue::new(256);
    *queue.setup_mut().unwrap() = setup;
    for (position, fits) in [
        (0, true),
        (11, true),
        (12, false),
        (0x800b, true),
        (0x800c, false),
    ] {
        queue.stop();
        let started = queue.start_at(features(Form::Packed), position);
        assert_eq!(started.is_ok(), fits, "{position:#x}");
    }
}

proptest! {
    /// Any bytes in ring and tables: no panic, no endless loop, nothing outside what was read.
    #[test]
    fn any_ring_ends_in_a_chain_or_an_error(
        packed in any::<bool>(),
        bytes in proptest::collection::vec(any::<u8>(), 0x400),
        small in any::<bool>(),
    ) {
        let form = if packed { Form::Packed } else { Form::Split };
        let mut bench = Bench::new(form, features(form));
        bench.guest.put(RAM, &bytes);
        if small {
            // Indexes that are likely to be valid.
            for index in 0..SIZE {
                let place = bench.descriptor(index);
                let next = bench.guest.half(place + 14) % SIZE;
                let flags = bench.guest.half(place + 12) & 7;
                bench.put(place, DATA, 4, flags, next);
            }
            bench.guest.put(bench.ring.driver + 2, &SIZE.to_le_bytes());
        }
        for _ in 0..100 {
            match bench.next() {
                Ok(Next::Chain) => {
                    let chain = bench.queue.chain();
                    prop_assert!(chain.unread() == chain.readable());
                    let _ = bench.complete(0);
                }
                Ok(Next::Empty) | Err(_) => break,
                Ok(Next::Spent) => {}
            }
        }
    }
}
