//! The main counter's ticks and time.

/// Femtoseconds in a nanosecond.
const FEMTOSECONDS: u64 = 1_000_000;

/// When the running main counter had which value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Anchor {
    /// In nanoseconds of `Host::now`.
    pub(super) now: u64,
    /// The counter's value then.
    pub(super) value: u64,
}

impl Anchor {
    /// Returns the counter's value at `now`; a tick takes `period` femtoseconds.
    pub(super) fn value_at(self, now: u64, period: u32) -> u64 {
        let passed = ticks(now.saturating_sub(self.now), period);
        self.value.wrapping_add(passed)
    }

    /// Returns when the counter will be `distance` ticks beyond `value`, which it has had since.
    pub(super) fn time_of(self, value: u64, distance: u64, period: u32) -> u64 {
        let ticks = value.wrapping_sub(self.value).saturating_add(distance);
        self.now.saturating_add(nanoseconds(ticks, period))
    }
}

/// Returns how many ticks have passed after `nanoseconds`; saturates.
fn ticks(nanoseconds: u64, period: u32) -> u64 {
    let period = u64::from(period).max(1);
    let whole = nanoseconds.checked_div(period).unwrap_or(0);
    let rest = nanoseconds.checked_rem(period).unwrap_or(0);
    // The rest is below 2³²: this does not overflow.
    let fraction = rest
        .saturating_mul(FEMTOSECONDS)
        .checked_div(period)
        .unwrap_or(0);
    whole.saturating_mul(FEMTOSECONDS).saturating_add(fraction)
}

/// Returns after how many nanoseconds `ticks` have passed, rounded up; saturates.
fn nanoseconds(ticks: u64, period: u32) -> u64 {
    let period = u64::from(period);
    let whole = ticks.checked_div(FEMTOSECONDS).unwrap_or(0);
    let rest = ticks.checked_rem(FEMTOSECONDS).unwrap_or(0);
    // The rest is below 2²⁰, the period below 2³².
    let fraction = rest.saturating_mul(period).div_ceil(FEMTOSECONDS);
    whole.saturating_mul(period).saturating_add(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_tick_is_never_seen_before_its_time(
            count in 0..u64::MAX / 200,
            period in 1_000_000..=100_000_000_u32,
        ) {
            let exact = u128::from(count) * u128::from(period);
            let time = nanoseconds(count, period);
            prop_assert_eq!(u128::from(time), exact.div_ceil(1_000_000));
            prop_assert!(ticks(time, period) >= count);
            prop_assert!(time == 0 || ticks(time - 1, period) < count.max(1));
            let passed = u128::from(count) * 1_000_000 / u128::from(period);
            prop_assert_eq!(u128::from(ticks(count, period)), passed);
        }
    }
}
