//! What an access caused, recorded under the device's lock and applied after it is released.

use crate::{GuestError, GuestEvent, Host, LineUpdate, Moment, Signal};
use arrayvec::ArrayVec;
use core::sync::atomic::{AtomicU32, Ordering};

/// Most bytes that [`Effects`] holds: what a device sends in one piece of work. One with a FIFO sends
/// 16 in one access.
const TRANSMIT_CAPACITY: usize = 256;

/// Most guest errors and guest events that [`Effects`] holds, each.
const REPORT_CAPACITY: usize = 4;

/// The embedder's [`Host`]: records, and does nothing else. Never allocates.
///
/// What does not fit is counted in [`Effects::lost`], which stays 0 if one `Effects` serves one
/// access or one delivery of input. It is for devices with one interrupt line and without messages:
/// those of other lines, and messages, count as lost.
#[derive(Clone, Debug)]
#[must_use = "effects must be applied after the device's lock is released"]
pub struct Effects {
    /// What time it is for the device.
    pub moment: Moment,
    /// The last change of the interrupt line, for [`crate::LineGate::accept`].
    pub line: Option<LineUpdate>,
    /// Bytes for the back end, in order.
    pub transmitted: ArrayVec<u8, TRANSMIT_CAPACITY>,
    /// Whether the device has got room for input.
    pub input: InputRoom,
    /// Whether the device wants to work.
    pub work: WorkRequest,
    /// The last request for the device's timer.
    pub timer: Option<TimerRequest>,
    /// What the guest did wrong, for [`Counters::add`].
    pub errors: ArrayVec<ErrorRecord, REPORT_CAPACITY>,
    /// What the guest reported about itself, in order.
    pub events: ArrayVec<GuestEvent, REPORT_CAPACITY>,
    /// How many bytes, errors and events found no room here.
    pub lost: u32,
    /// Whether anything was recorded.
    touched: bool,
}

/// Whether a device has got room for input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InputRoom {
    /// As before.
    #[default]
    Unchanged,
    /// It has: the embedder delivers what it holds back.
    Wanted,
}

/// Whether a device wants [`crate::Slot::work`] to be called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WorkRequest {
    /// As before.
    #[default]
    Unchanged,
    /// It does: at once if it was an access that asked, later if it was work itself, which has done
    /// as much as one call may.
    Wanted,
}

/// What the device wants of its timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerRequest {
    /// A call at this time, in nanoseconds of [`Host::now`]; [`crate::TimeBase::ticks`] converts.
    Arm(u64),
    /// No call.
    Cancel,
}

/// One guest error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorRecord {
    /// What was wrong.
    pub error: GuestError,
    /// Where in the device, in bytes.
    pub offset: u64,
}

impl Effects {
    /// Makes an empty record for accesses that happen at `moment`.
    pub fn new(moment: Moment) -> Self {
        Self {
            moment,
            line: None,
            transmitted: ArrayVec::new(),
            input: InputRoom::Unchanged,
            work: WorkRequest::Unchanged,
            timer: None,
            errors: ArrayVec::new(),
            events: ArrayVec::new(),
            lost: 0,
            touched: false,
        }
    }

    /// Tells whether nothing was recorded, so that there is nothing to apply: what most accesses do.
    #[inline]
    #[must_use]
    pub const fn is_none(&self) -> bool {
        !self.touched
    }

    fn note_loss<T, E>(&mut self, pushed: Result<T, E>) {
        if pushed.is_err() {
            self.lost = self.lost.saturating_add(1);
        }
    }
}

impl Host for Effects {
    fn set_line(&mut self, update: LineUpdate) {
        self.touched = true;
        // The later level is the one that counts.
        let lost: Result<(), LineUpdate> = if update.line == 0 {
            self.line = Some(update);
            Ok(())
        } else {
            Err(update)
        };
        self.note_loss(lost);
    }

    fn signal(&mut self, signal: Signal) {
        self.touched = true;
        self.note_loss(Err::<(), Signal>(signal));
    }

    fn transmit(&mut self, byte: u8) {
        self.touched = true;
        let pushed = self.transmitted.try_push(byte);
        self.note_loss(pushed);
    }

    fn transmit_room(&self) -> usize {
        self.transmitted.remaining_capacity()
    }

    fn request_work(&mut self) {
        self.touched = true;
        self.work = WorkRequest::Wanted;
    }

    fn input_wanted(&mut self) {
        self.touched = true;
        self.input = InputRoom::Wanted;
    }

    fn now(&self) -> u64 {
        self.moment.nanoseconds()
    }

    fn wall_clock(&self) -> u64 {
        self.moment.wall_clock()
    }

    fn arm_timer(&mut self, deadline: u64) {
        self.touched = true;
        self.timer = Some(TimerRequest::Arm(deadline));
    }

    fn cancel_timer(&mut self) {
        self.touched = true;
        self.timer = Some(TimerRequest::Cancel);
    }

    #[cold]
    fn guest_error(&mut self, error: GuestError, offset: u64) {
        self.touched = true;
        let pushed = self.errors.try_push(ErrorRecord { error, offset });
        self.note_loss(pushed);
    }

    fn guest_event(&mut self, event: GuestEvent) {
        self.touched = true;
        let pushed = self.events.try_push(event);
        self.note_loss(pushed);
    }
}

/// How often a device's guest did what it should not; saturating, needs no lock.
#[derive(Debug, Default)]
pub struct Counters {
    errors: [AtomicU32; GuestError::ALL.len()],
    lost: AtomicU32,
}

impl Counters {
    /// Adds what `effects` recorded.
    pub fn add(&self, effects: &Effects) {
        for record in &effects.errors {
            if let Some(counter) = self.errors.get(record.error.index()) {
                add(counter, 1);
            }
        }
        add(&self.lost, effects.lost);
    }

    /// Returns how often `error` happened.
    #[must_use]
    pub fn get(&self, error: GuestError) -> u32 {
        self.errors
            .get(error.index())
            .map_or(0, |counter| counter.load(Ordering::Relaxed))
    }

    /// Returns how many effects were lost for lack of room.
    #[must_use]
    pub fn lost(&self) -> u32 {
        self.lost.load(Ordering::Relaxed)
    }
}

/// Adds without wrapping: a guest must not be able to make a counter look small again.
fn add(counter: &AtomicU32, amount: u32) {
    if amount != 0 {
        // The closure always returns a value, so this cannot fail.
        let _ = counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |value| {
            Some(value.saturating_add(amount))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Level, TimeBase};

    fn effects() -> Effects {
        Effects::new(Moment {
            ticks: 125,
            base: TimeBase {
                frequency: 62_500_000,
                epoch: 1_000,
            },
        })
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let mut effects = effects();
        assert_eq!(effects.transmit_room(), TRANSMIT_CAPACITY);
        for _ in 0..TRANSMIT_CAPACITY + 4 {
            effects.transmit(b'x');
        }
        assert_eq!(effects.transmit_room(), 0);
        for _ in 0..REPORT_CAPACITY + 1 {
            effects.guest_error(GuestError::ReadOnly, 4);
            effects.guest_event(GuestEvent::Panicked);
        }
        assert_eq!(effects.transmitted.len(), TRANSMIT_CAPACITY);
        assert_eq!(effects.lost, 4 + 1 + 1);
        let counters = Counters::default();
        counters.add(&effects);
        assert_eq!(counters.get(GuestError::ReadOnly), 4);
        assert_eq!(counters.get(GuestError::WriteOnly), 0);
        assert_eq!(counters.lost(), 6);
    }

    #[test]
    fn anything_recorded_is_something() {
        assert!(effects().is_none());
        let records: [fn(&mut Effects); 9] = [
            |effects| {
                effects.set_line(LineUpdate {
                    line: 0,
                    level: Level::High,
                    sequence: 1,
                });
            },
            |effects| {
                effects.signal(Signal::Message {
                    address: 0,
                    data: 0,
                })
            },
            |effects| effects.transmit(0),
            Effects::request_work,
            Effects::input_wanted,
            |effects| effects.arm_timer(0),
            Effects::cancel_timer,
            |effects| effects.guest_error(GuestError::ReadOnly, 0),
            |effects| effects.guest_event(GuestEvent::Panicked),
        ];
        for (place, record) in records.into_iter().enumerate() {
            let mut effects = effects();
            record(&mut effects);
            assert!(!effects.is_none(), "record {place}");
        }
    }

    #[test]
    fn counters_saturate() {
        let counter = AtomicU32::new(u32::MAX - 1);
        add(&counter, 3);
        assert_eq!(counter.load(Ordering::Relaxed), u32::MAX);
    }

    #[test]
    fn time_is_converted_on_demand() {
        let effects = effects();
        assert_eq!(effects.now(), 2_000);
        assert_eq!(effects.wall_clock(), 3_000);
    }
}
