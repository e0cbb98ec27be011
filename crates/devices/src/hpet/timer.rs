//! One of the timers.

use super::registers::{TIMER_CAPABILITIES, TimerConfig};
use device_model::Migrate;

/// How many timers there can be.
pub const MAX_TIMERS: usize = 32;

/// What the guest sees change of one timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Migrate)]
#[migrate(version = 1)]
pub struct Timer {
    /// Tn_CONF_CAP without the capabilities.
    pub config: TimerConfig,
    /// At which value of the main counter it interrupts next.
    pub comparator: u64,
    /// What a periodic timer adds to the comparator then.
    pub period: u64,
    /// FSB route: the data in the low half, the address in the high one.
    pub fsb: u64,
}

impl Default for Timer {
    /// Makes a timer as it is after reset: its comparator has all bits set (2.3.9).
    fn default() -> Self {
        Self {
            config: TimerConfig::default(),
            comparator: u64::MAX,
            period: 0,
            fsb: 0,
        }
    }
}

/// Whether a timer's time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    /// Not yet.
    NotYet,
    /// It has, perhaps several times.
    Reached,
}

impl Timer {
    /// Returns Tn_CONF_CAP; the timer may use the I/O APIC's inputs `routes`.
    pub(super) const fn config_register(&self, routes: u32) -> u64 {
        // Widening.
        self.config.bits() | TIMER_CAPABILITIES | (routes as u64) << 32
    }

    /// Writes Tn_CONF_CAP; a route that is not among `routes` stays as it was.
    pub(super) fn set_config(&mut self, value: u64, routes: u32) -> RouteChoice {
        let new = TimerConfig::from_bits_truncate(value);
        let possible = new.route() == self.config.route() || (routes >> new.route()) & 1 != 0;
        let choice = if possible {
            self.config = new;
            RouteChoice::Possible
        } else {
            self.config = new.with_route(self.config.route());
            RouteChoice::Impossible
        };
        if self.config.narrow() {
            self.comparator &= self.mask();
            self.period &= self.mask();
        }
        choice
    }

    /// Writes the bits `mask` of the comparator (2.3.9).
    pub(super) fn set_comparator(&mut self, value: u64, mask: u64) {
        let keep = |old: u64, width: u64| ((old & !mask) | (value & mask)) & width;
        let width = self.mask();
        if mask & width == 0 {
            // The high half of a timer of 32 bits is not there.
            return;
        }
        if !self.config.periodic() {
            self.comparator = keep(self.comparator, width);
            return;
        }
        if self.config.set_accumulator() {
            self.comparator = keep(self.comparator, width);
            self.config = self.config.with_set_accumulator(false);
        }
        self.period = keep(self.period, width);
    }

    /// Returns how many ticks after `counter` the timer matches next. Equal values have matched.
    pub(super) const fn distance(&self, counter: u64) -> u64 {
        match self.comparator.wrapping_sub(counter) & self.mask() {
            0 => self.mask().saturating_add(1),
            distance => distance,
        }
    }

    /// Lets the counter go on from `counter` by `passed` ticks, in constant time.
    pub(super) fn advance(&mut self, counter: u64, passed: u64) -> Match {
        let Some(late) = passed.checked_sub(self.distance(counter)) else {
            return Match::NotYet;
        };
        if self.config.periodic() {
            let missed = late.checked_div(self.period).unwrap_or(0);
            let step = missed.wrapping_add(1).wrapping_mul(self.period);
            self.comparator = self.comparator.wrapping_add(step) & self.mask();
        }
        Match::Reached
    }

    /// Returns the bits of the main counter that the timer looks at.
    const fn mask(&self) -> u64 {
        if self.config.narrow() {
            0xffff_ffff
        } else {
            u64::MAX
        }
    }
}

/// Whether a timer can use the I/O APIC's input that software chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RouteChoice {
    /// It can.
    Possible,
    /// It can't: the old one stays.
    Impossible,
}
