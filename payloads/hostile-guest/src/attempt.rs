//! One attempt at something: guarded, counted and timed.

use crate::exceptions::{self, Caught};
use crate::registers::read;
use core::sync::atomic::{AtomicU64, Ordering};

/// Attempts of the first CPU since [`start`]; only it counts.
static COUNT: AtomicU64 = AtomicU64::new(0);
/// The longest of them, in ticks of the virtual counter.
static LONGEST: AtomicU64 = AtomicU64::new(0);
/// What the longest one was made at, as told by [`at`].
static LONGEST_PLACE: AtomicU64 = AtomicU64::new(0);
static PLACE: AtomicU64 = AtomicU64::new(0);

/// Starts to count anew.
pub(crate) fn start() {
    for value in [&COUNT, &LONGEST, &LONGEST_PLACE, &PLACE] {
        value.store(0, Ordering::Relaxed);
    }
}

/// The attempts so far.
pub(crate) struct Tally {
    /// How many there were.
    pub(crate) count: u64,
    /// The longest, in ticks.
    pub(crate) longest: u64,
    /// Where that was: an address, an instruction or a function.
    pub(crate) place: u64,
}

/// Returns the attempts since [`start`].
pub(crate) fn tally() -> Tally {
    Tally {
        count: COUNT.load(Ordering::Relaxed),
        longest: LONGEST.load(Ordering::Relaxed),
        place: LONGEST_PLACE.load(Ordering::Relaxed),
    }
}

/// Says what the next attempt is made at, for the report.
pub(crate) fn at(place: u64) {
    PLACE.store(place, Ordering::Relaxed);
}

/// Runs code with one instruction that may exit or fault, and returns the exception if one came.
pub(crate) fn attempt(instruction: impl FnOnce()) -> Option<Caught> {
    let mut ticks = 0;
    let caught = exceptions::catch(|| {
        let before = read!("cntvct_el0");
        instruction();
        ticks = read!("cntvct_el0") - before;
    });
    if crate::machine::this_cpu() == 0 {
        COUNT.store(COUNT.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        if ticks > LONGEST.load(Ordering::Relaxed) {
            LONGEST.store(ticks, Ordering::Relaxed);
            LONGEST_PLACE.store(PLACE.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
    caught
}
