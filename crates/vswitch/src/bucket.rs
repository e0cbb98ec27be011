//! Token buckets: how much may pass, in the long run and at once.

/// Nanoseconds in a second.
const SECOND: u128 = 1_000_000_000;

/// A limit on what passes: `rate` units a second, and up to `burst` at once. The unit is the user's:
/// bytes, or frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Units a second.
    pub rate: u64,
    /// Most units at once. A single frame that is larger never passes.
    pub burst: u64,
}

/// What is left of a limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    limit: Limit,
    tokens: u64,
    /// The time up to which tokens have been given, in nanoseconds.
    since: u64,
}

impl Bucket {
    /// Makes a full bucket.
    pub(crate) fn new(limit: Limit) -> Self {
        Self {
            limit,
            tokens: limit.burst,
            since: 0,
        }
    }

    /// Takes `amount` at the time `now`, in nanoseconds; tells whether there was enough. Time that
    /// goes back gives nothing.
    pub(crate) fn take(&mut self, now: u64, amount: u64) -> bool {
        self.fill(now);
        match self.tokens.checked_sub(amount) {
            Some(left) => {
                self.tokens = left;
                true
            }
            None => false,
        }
    }

    fn fill(&mut self, now: u64) {
        let elapsed = now.saturating_sub(self.since);
        let rate = u128::from(self.limit.rate);
        let Some(earned) = u128::from(elapsed).checked_mul(rate) else {
            return;
        };
        let tokens = earned.checked_div(SECOND).unwrap_or(0);
        let missing = self.limit.burst.saturating_sub(self.tokens);
        match u64::try_from(tokens) {
            Ok(tokens) if tokens < missing => {
                self.tokens = self.tokens.saturating_add(tokens);
                // Only the time that whole tokens took is used up, so that slow ones come too.
                let used = u128::from(tokens)
                    .saturating_mul(SECOND)
                    .div_ceil(rate.max(1));
                let used = u64::try_from(used).unwrap_or(elapsed).min(elapsed);
                self.since = self.since.saturating_add(used);
            }
            Ok(_) | Err(_) => {
                self.tokens = self.limit.burst;
                self.since = self.since.max(now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_full_bucket_lets_its_burst_through_and_then_the_rate() {
        let mut bucket = Bucket::new(Limit { rate: 10, burst: 5 });
        assert!((0..5).all(|_| bucket.take(0, 1)));
        assert!(!bucket.take(0, 1));
        assert!(!bucket.take(99_999_999, 1));
        assert!(bucket.take(100_000_000, 1));
        assert!(!bucket.take(100_000_001, 1));
        assert!(bucket.take(10_000_000_000, 5));
        assert!(!bucket.take(10_000_000_000, 1), "no more than the burst");
    }

    #[test]
    fn what_is_larger_than_the_burst_never_passes_and_costs_nothing() {
        let mut bucket = Bucket::new(Limit { rate: 10, burst: 5 });
        assert!(!bucket.take(u64::MAX, 6));
        assert!(bucket.take(u64::MAX, 5));
    }

    #[test]
    fn time_that_goes_back_gives_nothing() {
        let mut bucket = Bucket::new(Limit { rate: 1, burst: 1 });
        assert!(bucket.take(5_000_000_000, 1));
        assert!(!bucket.take(0, 1));
        assert!(!bucket.take(5_999_999_999, 1));
        assert!(bucket.take(6_000_000_000, 1));
    }

    proptest! {
        /// However the questions are spread, no more passes than burst and rate allow, and a patient
        /// asker gets all of the rate.
        #[test]
        fn the_sum_keeps_the_limit(
            rate in 1..2_000_000_000_u64,
            burst in 1..1_000_u64,
            steps in proptest::collection::vec((0..2_000_000_000_u64, 1..10_u64), 1..200),
        ) {
            let mut bucket = Bucket::new(Limit { rate, burst });
            let (mut now, mut passed) = (0_u64, 0_u128);
            for (step, amount) in steps {
                now += step;
                if bucket.take(now, amount) {
                    passed += u128::from(amount);
                }
                let most = u128::from(burst) + u128::from(now) * u128::from(rate) / SECOND;
                prop_assert!(passed <= most, "{passed} of {most}");
            }
            let enough = now + u64::try_from(u128::from(burst) * SECOND / u128::from(rate)).unwrap() + 1;
            prop_assert!(bucket.take(enough, burst));
        }
    }
}
