//! The machine's counter as nanoseconds.

/// Nanoseconds in a second.
pub const NANOSECONDS_PER_SECOND: u64 = 1_000_000_000;

/// How ticks of the machine's counter relate to time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeBase {
    /// The counter's frequency in Hz.
    pub frequency: u64,
    /// The time of day when the counter was 0, in nanoseconds since 1970-01-01 00:00 UTC.
    pub epoch: u64,
}

impl TimeBase {
    /// Converts ticks to nanoseconds, rounded down; saturates.
    #[must_use]
    pub fn nanoseconds(&self, ticks: u64) -> u64 {
        scale(ticks, self.frequency, NANOSECONDS_PER_SECOND, 0)
    }

    /// Converts nanoseconds to ticks, rounded up so that a deadline is never met early; saturates.
    #[must_use]
    pub fn ticks(&self, nanoseconds: u64) -> u64 {
        let round_up = NANOSECONDS_PER_SECOND.saturating_sub(1);
        scale(
            nanoseconds,
            NANOSECONDS_PER_SECOND,
            self.frequency,
            round_up,
        )
    }
}

/// Returns `(value * to + round) / from` without 128-bit arithmetic, for rates below 18 GHz.
fn scale(value: u64, from: u64, to: u64, round: u64) -> u64 {
    // A frequency of 0 is the firmware's mistake; time then stands still or runs by the tick.
    let from = from.max(1);
    let whole = value.checked_div(from).unwrap_or(0);
    let rest = value.checked_rem(from).unwrap_or(0);
    let fraction = rest
        .saturating_mul(to)
        .saturating_add(round)
        .checked_div(from)
        .unwrap_or(0);
    whole.saturating_mul(to).saturating_add(fraction)
}

/// One reading of the counter. Conversions happen only when a device asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The counter, in ticks.
    pub ticks: u64,
    /// What a tick is.
    pub base: TimeBase,
}

impl Moment {
    /// Returns the time since the counter was 0, in nanoseconds.
    #[must_use]
    pub fn nanoseconds(&self) -> u64 {
        self.base.nanoseconds(self.ticks)
    }

    /// Returns the time since 1970-01-01 00:00 UTC, in nanoseconds.
    #[must_use]
    pub fn wall_clock(&self) -> u64 {
        self.nanoseconds().saturating_add(self.base.epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn conversions_agree_with_wide_arithmetic(
            value in 0..u64::MAX / 16,
            frequency in 1_000_000..10_000_000_000_u64,
        ) {
            let base = TimeBase { frequency, epoch: 0 };
            let ns = u128::from(value) * 1_000_000_000 / u128::from(frequency);
            prop_assert_eq!(base.nanoseconds(value), u64::try_from(ns).unwrap_or(u64::MAX));
            let ticks = (u128::from(value) * u128::from(frequency)).div_ceil(1_000_000_000);
            prop_assert_eq!(base.ticks(value), u64::try_from(ticks).unwrap_or(u64::MAX));
        }
    }

    #[test]
    fn a_frequency_of_zero_does_no_harm() {
        let base = TimeBase {
            frequency: 0,
            epoch: 0,
        };
        assert_eq!(base.ticks(5), 0);
        let _ = base.nanoseconds(u64::MAX);
    }
}
