//! Counts what passed and failed, as other programs report it.

use std::fmt;
use std::ops::AddAssign;

/// How many tests did what.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Tally {
    /// Tests that passed.
    pub(crate) passed: u64,
    /// Tests that failed, crashed or took too long.
    pub(crate) failed: u64,
    /// Tests that were not run.
    pub(crate) skipped: u64,
}

impl Tally {
    /// One thing that passed.
    pub(crate) const SUCCESS: Tally = Tally {
        passed: 1,
        failed: 0,
        skipped: 0,
    };

    /// One thing that failed.
    pub(crate) const FAILURE: Tally = Tally {
        passed: 0,
        failed: 1,
        skipped: 0,
    };

    /// Adds another count to this one.
    pub(crate) fn add(&mut self, other: Tally) {
        self.passed.add_assign(other.passed);
        self.failed.add_assign(other.failed);
        self.skipped.add_assign(other.skipped);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} left out", self.skipped)?;
        }
        Ok(())
    }
}

/// Reads nextest's summary line:
/// `Summary [ 0.1s] 9 tests run: 7 passed (1 slow), 1 failed, 1 timed out, 2 skipped`.
pub(crate) fn parse_nextest(line: &str) -> Option<Tally> {
    let rest = line.trim_start().strip_prefix("Summary [")?;
    let (_, rest) = rest.split_once(']')?;
    let (run, counts) = rest.split_once(" run: ")?;
    let mut tally = Tally::default();
    let mut depth = 0;
    // Numbers in parentheses repeat tests that are counted outside.
    let outside: String = counts
        .chars()
        .filter(|&c| {
            if c == '(' {
                depth += 1;
            }
            let keep = depth == 0;
            if c == ')' {
                depth -= 1;
            }
            keep
        })
        .collect();
    for part in outside.split(',') {
        let mut words = part.split_whitespace();
        let number: u64 = words.next()?.parse().ok()?;
        match words.next()? {
            "passed" => tally.passed += number,
            "skipped" => tally.skipped += number,
            // Failed, timed out, exec failed: none of them is a success.
            _ => tally.failed += number,
        }
    }
    // A run that was cut off says `3/9 tests run`.
    if let Some((done, all)) = run.split_whitespace().next()?.split_once('/') {
        let done: u64 = done.parse().ok()?;
        let all: u64 = all.parse().ok()?;
        tally.failed += all.saturating_sub(done);
    }
    Some(tally)
}

/// Reads the line that rustdoc's tests end with:
/// `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; …`.
pub(crate) fn parse_libtest(line: &str) -> Option<Tally> {
    let rest = line.trim().strip_prefix("test result: ")?;
    let (_, counts) = rest.split_once(". ")?;
    let mut tally = Tally::default();
    for part in counts.split(';') {
        let mut words = part.split_whitespace();
        let (Some(number), Some(what)) = (words.next(), words.next()) else {
            continue;
        };
        let Ok(number) = number.parse::<u64>() else {
            continue;
        };
        match what {
            "passed" => tally.passed += number,
            "failed" => tally.failed += number,
            "ignored" | "filtered" => tally.skipped += number,
            // Measured: benchmarks, which are no tests; `finished in`.
            _ => {}
        }
    }
    Some(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(passed: u64, failed: u64, skipped: u64) -> Option<Tally> {
        Some(Tally {
            passed,
            failed,
            skipped,
        })
    }

    #[test]
    fn nextest_s_summary_is_read_in_all_its_forms() {
        let cases = [
            (
                "     Summary [   0.123s] 62 tests run: 62 passed, 0 skipped",
                tally(62, 0, 0),
            ),
            (
                "Summary [ 1.0s] 1 test run: 1 passed (1 slow), 3 skipped",
                tally(1, 0, 3),
            ),
            (
                "Summary [ 9s] 9 tests run: 6 passed (2 slow, 1 leaky), 1 failed, 1 timed out, 1 exec failed, 2 skipped",
                tally(6, 3, 2),
            ),
            (
                "Summary [ 9s] 3/9 tests run: 2 passed, 1 failed, 0 skipped",
                tally(2, 7, 0),
            ),
            (
                "Summary [ 0.0s] 0 tests run: 0 passed, 5 skipped",
                tally(0, 0, 5),
            ),
        ];
        for (line, expected) in cases {
            assert_eq!(parse_nextest(line), expected, "{line}");
        }
        assert_eq!(parse_nextest("PASS [ 0.1s] summary::it"), None);
    }

    #[test]
    fn libtest_s_result_is_read() {
        let line = "test result: FAILED. 3 passed; 1 failed; 2 ignored; 0 measured; 4 filtered out; finished in 0.1s";
        assert_eq!(parse_libtest(line), tally(3, 1, 6));
        assert_eq!(parse_libtest("running 3 tests"), None);
    }
}
