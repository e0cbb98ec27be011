use super::*;
use crate::migrate::{Reader, RestoreError, Writer, restore_all};
use crate::{
    Activity, Effects, Endian, Level, Migrate, Model, Moment, NoRegister, ResetPhase, Slot,
    TimeBase, Widths, Wire, Wires, WrongActivity,
};
use proptest::prelude::*;
use std::vec::Vec;

/// 16 bytes of registers of one width; the register at 8 is missing, a write to 0 sets the line.
struct Probe {
    policy: &'static AccessPolicy,
    bytes: [u8; 16],
    line: Level,
    calls: Vec<(u64, Width)>,
}

impl<H: Host> MmioDevice<H> for Probe {
    fn access_policy(&self) -> &'static AccessPolicy {
        self.policy
    }

    fn wires(&self) -> Wires {
        Wires {
            interrupt: Wire::Present,
            bytes: Wire::Absent,
            clock: Wire::Absent,
        }
    }

    fn read(
        &mut self,
        _: &mut H,
        offset: u64,
        width: Width,
    ) -> Result<(u64, LineEffect), NoRegister> {
        self.calls.push((offset, width));
        assert!(self.policy.implemented.contains(width) && width.is_aligned(offset));
        if offset == 8 {
            return Err(NoRegister { offset });
        }
        let start = offset as usize;
        let mut value = [0; 8];
        value[..width.bytes() as usize]
            .copy_from_slice(&self.bytes[start..][..width.bytes() as usize]);
        Ok((u64::from_le_bytes(value), LineEffect::Unchanged))
    }

    fn write(
        &mut self,
        _: &mut H,
        offset: u64,
        width: Width,
        value: u64,
    ) -> Result<LineEffect, NoRegister> {
        self.calls.push((offset, width));
        assert!(self.policy.implemented.contains(width) && width.is_aligned(offset));
        assert_eq!(value & !width.mask(), 0);
        if offset == 8 {
            return Err(NoRegister { offset });
        }
        let start = offset as usize;
        self.bytes[start..][..width.bytes() as usize]
            .copy_from_slice(&value.to_le_bytes()[..width.bytes() as usize]);
        if offset == 0 {
            self.line = Level::from(value & 1 != 0);
            return Ok(LineEffect::MayHaveChanged);
        }
        Ok(LineEffect::Unchanged)
    }

    fn level(&self) -> Level {
        self.line
    }

    fn reset(&mut self, _: &mut H) {
        self.line = Level::Low;
    }
}

impl Migrate for Probe {
    fn kind(&self) -> &'static str {
        "probe"
    }

    fn save(&self, out: &mut Writer) {
        out.put(&self.bytes);
    }

    fn restore(&mut self, input: &mut Reader<'_>) -> Result<(), RestoreError> {
        self.bytes = restore_all(input)?;
        Ok(())
    }
}

impl Model for Probe {
    fn model<H: Host>(&mut self) -> &mut dyn MmioDevice<H> {
        self
    }
}

static WORDS: AccessPolicy = AccessPolicy {
    size: 16,
    valid: Widths::ANY,
    implemented: Widths::WORD,
    endian: Endian::Little,
    bad_width: Refused::Fault,
    unaligned: Refused::Fault,
    unknown: Refused::Ignored,
    beyond_end: Refused::Fault,
};

static STRICT: AccessPolicy = AccessPolicy {
    size: 14,
    valid: Widths::UP_TO_WORD,
    unaligned: Refused::Ignored,
    unknown: Refused::Fault,
    ..WORDS
};

fn probe(policy: &'static AccessPolicy) -> Slot<Probe> {
    Slot::new(Probe {
        policy,
        bytes: core::array::from_fn(|i| 0x10 + i as u8),
        line: Level::Low,
        calls: Vec::new(),
    })
}

fn effects() -> Effects {
    Effects::new(Moment {
        ticks: 0,
        base: TimeBase {
            frequency: 1_000_000_000,
            epoch: 0,
        },
    })
}

fn errors(effects: &Effects) -> Vec<GuestError> {
    effects.errors.iter().map(|record| record.error).collect()
}

#[test]
fn b1_narrow_reads_take_their_bytes_of_the_register() {
    let mut slot = probe(&WORDS);
    let mut host = effects();
    assert_eq!(slot.read(&mut host, 5, Width::Byte), Ok(0x15));
    assert_eq!(slot.read(&mut host, 6, Width::Half), Ok(0x1716));
    assert_eq!(slot.device().calls, [(4, Width::Word); 2]);
}

#[test]
fn b1_narrow_writes_reach_a_register_only_at_its_first_byte() {
    let mut slot = probe(&WORDS);
    let mut host = effects();
    assert_eq!(slot.write(&mut host, 4, Width::Byte, 0xabcd), Ok(()));
    assert_eq!(slot.device().bytes[4..8], [0xcd, 0, 0, 0]);
    assert_eq!(slot.write(&mut host, 5, Width::Byte, 0xff), Ok(()));
    assert_eq!(slot.device().bytes[4..8], [0xcd, 0, 0, 0]);
    assert_eq!(errors(&host), [GuestError::PartialWrite]);
}

#[test]
fn b1_wide_accesses_are_split_lowest_first() {
    let mut slot = probe(&WORDS);
    let mut host = effects();
    assert_eq!(
        slot.read(&mut host, 0, Width::Double),
        Ok(0x1716_1514_1312_1110)
    );
    assert_eq!(slot.device().calls, [(0, Width::Word), (4, Width::Word)]);
    let value = 0x0807_0605_0403_0201;
    assert_eq!(slot.write(&mut host, 0, Width::Double, value), Ok(()));
    assert_eq!(slot.device().bytes[..8], value.to_le_bytes());
    assert_eq!(host.line.unwrap().level, Level::High);
}

#[test]
fn b1_a_width_that_is_not_valid_faults_and_is_counted() {
    let mut slot = probe(&STRICT);
    let mut host = effects();
    let fault = slot.read(&mut host, 0, Width::Double).unwrap_err();
    assert_eq!(fault.error, GuestError::BadWidth);
    assert_eq!(errors(&host), [GuestError::BadWidth]);
    assert!(slot.device().calls.is_empty());
}

#[test]
fn b2_unaligned_accesses_do_what_the_policy_says() {
    let mut host = effects();
    let mut strict = probe(&WORDS);
    let fault = strict.write(&mut host, 2, Width::Word, 1).unwrap_err();
    assert_eq!(
        fault,
        AccessFault {
            error: GuestError::Unaligned,
            offset: 2,
            width: Width::Word
        }
    );
    let mut lenient = probe(&STRICT);
    assert_eq!(lenient.read(&mut host, 1, Width::Half), Ok(0));
    assert_eq!(lenient.write(&mut host, 1, Width::Half, 1), Ok(()));
    assert_eq!(errors(&host), [GuestError::Unaligned; 3]);
    assert!(lenient.device().calls.is_empty());
}

#[test]
fn b3_an_access_across_the_last_register_faults() {
    let mut slot = probe(&STRICT);
    let mut host = effects();
    for (offset, width) in [(12, Width::Word), (12, Width::Byte)] {
        let fault = slot.read(&mut host, offset, width).unwrap_err();
        assert_eq!(fault.error, GuestError::BeyondEnd);
    }
    let fault = slot.read(&mut host, u64::MAX - 3, Width::Word).unwrap_err();
    assert_eq!(fault.error, GuestError::UnknownOffset);
}

#[test]
fn b5_an_unknown_offset_is_ignored_or_faults_and_is_counted() {
    let mut host = effects();
    let mut lenient = probe(&WORDS);
    assert_eq!(lenient.read(&mut host, 8, Width::Word), Ok(0));
    assert_eq!(lenient.write(&mut host, 8, Width::Word, 1), Ok(()));
    // So is what lies right behind the last register.
    assert_eq!(lenient.read(&mut host, 16, Width::Word), Ok(0));
    // Half of a wide access may be unknown.
    assert_eq!(
        lenient.read(&mut host, 8, Width::Double),
        Ok(0x1f1e_1d1c << 32)
    );
    assert_eq!(errors(&host), [GuestError::UnknownOffset; 4]);
    let mut strict = probe(&STRICT);
    let fault = strict.read(&mut host, 8, Width::Word).unwrap_err();
    assert_eq!(fault.error, GuestError::UnknownOffset);
}

#[test]
fn the_line_is_driven_once_and_only_if_it_changed() {
    let mut slot = probe(&WORDS);
    let mut host = effects();
    assert_eq!(slot.write(&mut host, 0, Width::Word, 1), Ok(()));
    assert_eq!(host.line.map(|update| update.sequence), Some(1));
    let mut host = effects();
    assert_eq!(slot.write(&mut host, 0, Width::Word, 1), Ok(()));
    assert_eq!(host.line, None);
    slot.reset(&mut host);
    assert_eq!(host.line.map(|update| update.level), Some(Level::Low));
    assert_eq!(slot.level(), Level::Low);
}

proptest! {
    #[test]
    fn any_access_is_bounded_and_the_device_sees_only_what_it_implements(
        accesses in proptest::collection::vec(
            (
                prop_oneof![0..20_u64, any::<u64>()],
                proptest::sample::select(Width::ALL.to_vec()),
                any::<Option<u64>>(),
            ),
            0..50,
        ),
    ) {
        for policy in [&WORDS, &STRICT] {
            let mut slot = probe(policy);
            for (offset, width, value) in &accesses {
                let mut host = effects();
                let before = slot.device().calls.len();
                match value {
                    Some(value) => {
                        let _ = slot.write(&mut host, *offset, *width, *value);
                    }
                    None => {
                        let value = slot.read(&mut host, *offset, *width).unwrap_or(0);
                        prop_assert_eq!(value & !width.mask(), 0);
                    }
                }
                prop_assert!(slot.device().calls.len() - before <= 2);
                prop_assert_eq!(slot.level(), slot.device().line);
                prop_assert_eq!(host.lost, 0);
            }
        }
    }
}

static BIG: AccessPolicy = AccessPolicy {
    endian: Endian::Big,
    ..WORDS
};

#[test]
fn a_big_endian_register_has_its_highest_byte_first() {
    let mut host = effects();
    let mut slot = probe(&BIG);
    // The device sees the value 0x1312_1110 at offset 0.
    assert_eq!(slot.read(&mut host, 0, Width::Word), Ok(0x1011_1213));
    assert_eq!(slot.read(&mut host, 0, Width::Byte), Ok(0x13));
    assert_eq!(slot.read(&mut host, 2, Width::Half), Ok(0x1011));
    assert_eq!(
        slot.read(&mut host, 0, Width::Double),
        Ok(0x1415_1617_1011_1213)
    );
    slot.write(&mut host, 4, Width::Word, 0xa0b0_c0d0).unwrap();
    assert_eq!(slot.device().bytes[4..8], [0xa0, 0xb0, 0xc0, 0xd0]);
    slot.write(&mut host, 4, Width::Byte, 0x7f).unwrap();
    assert_eq!(slot.device().bytes[4..8], [0, 0, 0, 0x7f]);
    assert_eq!(slot.read(&mut host, 4, Width::Byte), Ok(0x7f));
}

#[test]
fn only_a_running_device_is_accessed() {
    let mut host = effects();
    let mut slot = probe(&WORDS);
    assert_eq!(
        slot.resume(&mut host),
        Err(WrongActivity {
            found: Activity::Running
        })
    );
    slot.pause(&mut host).unwrap();
    let fault = AccessFault {
        error: GuestError::NotRunning,
        offset: 4,
        width: Width::Word,
    };
    assert_eq!(slot.read(&mut host, 4, Width::Word), Err(fault));
    assert_eq!(slot.write(&mut host, 4, Width::Word, 1), Err(fault));
    assert_eq!(slot.receive(&mut host, b"x"), 0);
    slot.timer_expired(&mut host);
    assert!(slot.device().calls.is_empty());
    slot.resume(&mut host).unwrap();
    assert_eq!(slot.read(&mut host, 4, Width::Word), Ok(0x1716_1514));
    slot.halt(&mut host);
    assert!(slot.read(&mut host, 4, Width::Word).is_err());
    assert_eq!(
        slot.pause(&mut host),
        Err(WrongActivity {
            found: Activity::Halted
        })
    );
}

#[test]
fn only_a_paused_device_is_saved_and_restored() {
    let mut host = effects();
    let mut slot = probe(&WORDS);
    let mut out = Writer::new(64);
    let running = WrongActivity {
        found: Activity::Running,
    };
    assert_eq!(slot.save(&mut out), Err(running));
    assert_eq!(slot.restore(&[0; 16]), Err(running.into()));
    slot.pause(&mut host).unwrap();
    slot.save(&mut out).unwrap();
    assert_eq!(out.finish().unwrap(), slot.device().bytes);
    assert_eq!(
        slot.restore(&[0; 17]),
        Err(RestoreError::Trailing { bytes: 1 })
    );
    assert_eq!(
        slot.restore(&[0; 15]),
        Err(RestoreError::Truncated { missing: 1 })
    );
    assert_eq!(slot.device().bytes[0], 0x10);
    slot.restore(&[9; 16]).unwrap();
    assert_eq!(slot.device().bytes, [9; 16]);
}

#[test]
fn the_line_goes_down_in_the_second_phase_of_a_reset() {
    let mut host = effects();
    let mut slot = probe(&WORDS);
    slot.write(&mut host, 0, Width::Word, 1).unwrap();
    assert_eq!(slot.level(), Level::High);
    slot.reset_phase(&mut host, ResetPhase::Enter);
    assert_eq!(slot.level(), Level::High);
    slot.reset_phase(&mut host, ResetPhase::Hold);
    assert_eq!(slot.level(), Level::Low);
    slot.reset_phase(&mut host, ResetPhase::Exit);
    assert_eq!(slot.level(), Level::Low);
}
