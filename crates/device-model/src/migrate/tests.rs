use super::*;
use crate::{Migrate, bit_fields, plain_bits};
use arrayvec::ArrayVec;
use bitflags::bitflags;
use proptest::prelude::*;
use std::vec::Vec;

bitflags! {
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    struct Flags: u16 {
        const LOW = 1;
        const HIGH = 0x8000;
    }
}

plain_bits!(Flags: u16);

/// A register with fields.
#[bit_fields(u32)]
struct Control {
    /// Enabled.
    #[bits(0)]
    enabled: bool,
    /// The route.
    #[bits(9..=13)]
    route: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Migrate)]
enum Mode {
    #[default]
    Off = 0,
    On = 7,
}

/// What was in every version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Migrate)]
#[migrate(version = 1)]
struct Queue {
    size: u16,
    ready: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Migrate)]
#[migrate(version = 3, check = Self::check)]
struct State {
    bytes: ArrayVec<u8, 4>,
    flags: Flags,
    mode: Mode,
    queues: [Queue; 2],
    #[migrate(max = 0x3f_u8)]
    divisor: u8,
    deadline: Option<u64>,
    #[migrate(since = 2, default = Control::from_bits_truncate(0x201))]
    control: Control,
    #[migrate(since = 3, check = |list: &Vec<u32>| list.len() <= 2)]
    list: Vec<u32>,
}

impl State {
    fn check(&self) -> Result<(), Invalid> {
        if self.control.enabled() || self.deadline.is_none() {
            Ok(())
        } else {
            Err(Invalid::new("deadline", 0))
        }
    }

    fn sample() -> Self {
        Self {
            bytes: ArrayVec::from_iter([1, 2, 3]),
            flags: Flags::HIGH,
            mode: Mode::On,
            queues: [
                Queue {
                    size: 8,
                    ready: true,
                },
                Queue::default(),
            ],
            divisor: 0x3f,
            deadline: Some(0x0102_0304_0506_0708),
            control: Control::from_bits_truncate(0x401),
            list: Vec::from([5, 6]),
        }
    }
}

fn encode<T: Plain>(value: &T) -> Vec<u8> {
    let mut out = Writer::new(1000);
    value.to_wire().write(&mut out);
    out.finish().unwrap()
}

fn decode(bytes: &[u8]) -> Result<State, RestoreError> {
    restore_all(&mut Reader::new(bytes))
}

/// The sample, byte by byte.
const SAMPLE: [u8; 56] = [
    3, 0, // version
    3, 0, 0, 0, 1, 2, 3, // bytes
    0, 0x80, // flags
    7,    // mode
    1, 0, 8, 0, 1, // first queue, with its own version
    1, 0, 0, 0, 0,    // second queue
    0x3f, // divisor
    1, 8, 7, 6, 5, 4, 3, 2, 1, // deadline
    1, 4, 0, 0, // control
    2, 0, 0, 0, 5, 0, 0, 0, 6, 0, 0, 0, // list
    0, 0, 0, 0, 0, 0, 0, 0, // nothing: cut off below
];
const LENGTH: usize = 48;

#[test]
fn a_state_has_one_encoding() {
    let sample = State::sample();
    assert_eq!(encode(&sample), SAMPLE[..LENGTH]);
    assert_eq!(decode(&SAMPLE[..LENGTH]), Ok(sample));
}

#[test]
fn the_whole_input_is_one_state() {
    for length in 0..LENGTH {
        assert!(
            matches!(
                decode(&SAMPLE[..length]),
                Err(RestoreError::Truncated { .. } | RestoreError::Count { .. })
            ),
            "{length}"
        );
    }
    assert_eq!(
        decode(&SAMPLE[..LENGTH + 1]),
        Err(RestoreError::Trailing { bytes: 1 })
    );
}

#[test]
fn a_flipped_bit_is_refused_or_means_something() {
    for bit in 0..LENGTH * 8 {
        let mut bytes = SAMPLE[..LENGTH].to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(state) = decode(&bytes) {
            assert_eq!(encode(&state), bytes, "bit {bit}");
        }
    }
}

#[test]
fn wrong_values_name_their_field() {
    let invalid = |place: usize, value: u8| {
        let mut bytes = SAMPLE[..LENGTH].to_vec();
        bytes[place] = value;
        match decode(&bytes) {
            Err(RestoreError::Invalid(invalid)) => (invalid.field, invalid.value),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(invalid(9, 2), ("flags", 0x8002));
    assert_eq!(invalid(11, 1), ("mode", 1));
    assert_eq!(invalid(16, 2), ("ready", 2));
    assert_eq!(invalid(22, 0x40), ("divisor", 0x40));
    assert_eq!(invalid(32, 3), ("control", 0x403));
    // What must hold between fields.
    assert_eq!(invalid(32, 0), ("deadline", 0));
}

#[test]
fn too_many_elements_are_refused() {
    let mut bytes = SAMPLE[..LENGTH].to_vec();
    bytes[2] = 5;
    assert_eq!(
        decode(&bytes),
        Err(RestoreError::Count { found: 5, limit: 4 })
    );
    let mut bytes = SAMPLE[..LENGTH].to_vec();
    bytes[36..40].fill(0xff);
    assert_eq!(
        decode(&bytes),
        Err(RestoreError::Count {
            found: 0xffff_ffff,
            limit: 8
        })
    );
    let mut longer = State::sample();
    longer.list.push(7);
    assert_eq!(
        decode(&encode(&longer)),
        Err(RestoreError::Invalid(Invalid::new("list", 0)))
    );
}

#[test]
fn older_versions_restore_with_defaults() {
    let with_version = |version: u8, length: usize| {
        let mut bytes = SAMPLE[..length].to_vec();
        bytes[0] = version;
        bytes
    };
    let second = State {
        list: Vec::new(),
        ..State::sample()
    };
    assert_eq!(decode(&with_version(2, 36)), Ok(second.clone()));
    let first = State {
        control: Control::from_bits_truncate(0x201),
        ..second
    };
    assert_eq!(decode(&with_version(1, 32)), Ok(first));
    for version in [0, 4] {
        assert_eq!(
            decode(&with_version(version, LENGTH)),
            Err(RestoreError::Version {
                found: u16::from(version),
                newest: 3
            })
        );
    }
}

fn container() -> Vec<u8> {
    let mut writer = ContainerWriter::new(1000);
    writer.add("first", |out| out.put(b"abc"));
    writer.add("second", |_| ());
    writer.finish().unwrap()
}

fn open(file: &[u8]) -> Result<(Vec<u8>, Vec<u8>), RestoreError> {
    let mut reader = ContainerReader::open(file, 1000)?;
    let first = reader.next("first")?.to_vec();
    let second = reader.next("second")?.to_vec();
    reader.finish()?;
    Ok((first, second))
}

#[test]
fn a_container_gives_back_what_was_put_in() {
    let file = container();
    assert_eq!(open(&file), Ok((b"abc".to_vec(), Vec::new())));

    assert_eq!(file.len(), 8 + 2 + 2 + 4 + 20 + 3 + 20 + 4);
}

#[test]
fn every_flipped_bit_of_a_container_is_seen() {
    let file = container();
    for bit in 0..file.len() * 8 {
        let mut broken = file.clone();
        broken[bit / 8] ^= 1 << (bit % 8);
        assert!(open(&broken).is_err(), "bit {bit}");
    }
}

#[test]
fn every_cut_or_longer_container_is_refused() {
    let file = container();
    for length in 0..file.len() {
        assert!(open(&file[..length]).is_err(), "{length}");
    }
    let mut longer = file;
    longer.push(0);
    assert_eq!(open(&longer), Err(RestoreError::Trailing { bytes: 1 }));
}

#[test]
fn a_container_is_for_these_devices_only() {
    let file = container();
    let mut reader = ContainerReader::open(&file, 1000).unwrap();
    assert_eq!(
        reader.next("second"),
        Err(RestoreError::Kind { expected: "second" })
    );
    let mut reader = ContainerReader::open(&file, 1000).unwrap();
    reader.next("first").unwrap();
    assert_eq!(
        reader.finish(),
        Err(RestoreError::Count { found: 1, limit: 0 })
    );
    reader.next("second").unwrap();
    assert_eq!(
        reader.next("third"),
        Err(RestoreError::Kind { expected: "third" })
    );
    assert_eq!(reader.finish(), Ok(()));
}

#[test]
fn sizes_are_limited_both_ways() {
    let file = container();
    assert!(matches!(
        ContainerReader::open(&file, file.len() - 1),
        Err(RestoreError::TooLong { .. })
    ));
    for limit in 0..43 {
        let mut writer = ContainerWriter::new(limit);
        writer.add("first", |out| out.put(b"abc"));
        writer.add("second", |_| ());
        assert!(
            matches!(writer.finish(), Err(RestoreError::TooLong { .. })),
            "{limit}"
        );
    }
}

proptest! {
    #[test]
    fn no_input_is_read_beyond_its_end(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
        let _ = open(&bytes);
    }
}
