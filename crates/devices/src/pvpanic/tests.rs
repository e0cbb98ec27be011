use super::{Config, Events, Pvpanic};
use crate::testing::{effects, errors, slot};
use addr::Width;
use device_model::{GuestError, GuestEvent, Level};

#[test]
fn the_guest_learns_which_events_are_taken() {
    let mut host = effects(0);
    assert_eq!(
        slot(Pvpanic::default()).read(&mut host, 0, Width::Byte),
        Ok(3)
    );
    let config = Config {
        events: Events::PANICKED,
    };
    assert_eq!(
        slot(Pvpanic::new(config)).read(&mut host, 0, Width::Byte),
        Ok(1)
    );
}

#[test]
fn a_panic_is_reported_once_a_write() {
    for (bits, expected) in [
        (1, Some(GuestEvent::Panicked)),
        (2, Some(GuestEvent::CrashLoaded)),
        (3, Some(GuestEvent::Panicked)),
        (0, None),
        (0xfc, None),
    ] {
        let mut host = effects(0);
        let mut slot = slot(Pvpanic::default());
        assert_eq!(slot.write(&mut host, 0, Width::Byte, bits), Ok(()));
        assert_eq!(host.events.first().copied(), expected);
        assert_eq!(host.events.len(), usize::from(expected.is_some()));
        assert_eq!(!errors(&host).is_empty(), bits & !3 != 0);
        assert_eq!(slot.level(), Level::Low);
    }
}

#[test]
fn an_event_that_is_not_offered_is_not_reported() {
    let mut host = effects(0);
    let mut slot = slot(Pvpanic::new(Config {
        events: Events::PANICKED,
    }));
    assert_eq!(slot.write(&mut host, 0, Width::Byte, 2), Ok(()));
    assert!(host.events.is_empty());
    assert_eq!(errors(&host), [GuestError::ReservedBits]);
}

#[test]
fn b1_b2_b3_b5_odd_accesses_are_ignored_and_counted() {
    let mut host = effects(0);
    let mut slot = slot(Pvpanic::default());
    assert_eq!(slot.write(&mut host, 0, Width::Word, 1), Ok(()));
    assert_eq!(slot.write(&mut host, 1, Width::Byte, 1), Ok(()));
    assert_eq!(slot.read(&mut host, 1, Width::Half), Ok(0));
    assert_eq!(slot.read(&mut host, 7, Width::Byte), Ok(0));
    assert!(host.events.is_empty());
    assert_eq!(host.errors.len(), 4);
}
