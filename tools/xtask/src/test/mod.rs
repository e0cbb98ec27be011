//! `cargo xtask test`: every check and every test, and one line at the end that counts them.
//!
//! # What whole-system tests are given
//! The package `system-tests` holds ordinary tests. They find what they need in the environment:
//!
//! | variable | value |
//! |---|---|
//! | `BULKHEAD_IMAGE` | the hypervisor's raw binary, for `-kernel` |
//! | `BULKHEAD_IMAGE_ELF` | the same with symbols |
//! | `BULKHEAD_PAYLOADS` | the folder of the payloads' raw binaries, `NAME.bin` for each binary below `payloads/` |
//! | `BULKHEAD_KERNEL` | Debian's arm64 kernel, unmodified |
//! | `BULKHEAD_KERNEL_RELEASE` | what `uname -r` says in it |
//! | `BULKHEAD_INITRAMFS` | the busybox root file system; see `guests/init.sh` |
//! | `BULKHEAD_QEMU` | the emulator's program |
//! | `BULKHEAD_CACHE` | the cache directory |
//! | `BULKHEAD_LOGS` | a folder for the logs of failed tests; it is kept |
//! | `BULKHEAD_XTASK` | this program, for tests of the command line |
//! | `BULKHEAD_LONG` | `1` if long tests are wanted, else not set |
//!
//! At most two of them run at once: each may start an emulator.

mod steps;
mod summary;

use crate::cli::{AbuseReportOptions, TestOptions};
use crate::paths;
use anyhow::Result;
use std::time::Instant;
use steps::{Context, STEPS};
pub(crate) use summary::Tally;

/// Where the report of the cases of abuse is kept.
const ABUSE_REPORT: &str = "docs/security/abuse-report.md";

/// Runs `cargo xtask abuse-report`.
pub(crate) fn abuse_report(options: &AbuseReportOptions) -> Result<()> {
    let path = match &options.output {
        Some(path) => std::path::absolute(path)?,
        None => paths::workspace_root().join(ABUSE_REPORT),
    };
    steps::abuse_report(&path)?;
    println!("{}", path.display());
    Ok(())
}

/// Runs `cargo xtask test`. The last line printed is `N passed, N failed`.
pub(crate) fn command(options: &TestOptions) -> Result<()> {
    let mut context = Context::new(options)?;
    let mut total = Tally::default();
    let mut failures = Vec::new();
    for step in STEPS {
        if !context.wants(step) {
            println!("== {}: not wanted", step.name);
            continue;
        }
        println!("== {}", step.name);
        let start = Instant::now();
        let tally = match (step.run)(&mut context) {
            Ok(tally) => tally,
            Err(error) => {
                println!("error: {error:#}");
                Tally::FAILURE
            }
        };
        println!(
            "== {}: {tally} in {} s",
            step.name,
            start.elapsed().as_secs()
        );
        if tally.failed > 0 {
            failures.push(step.name);
        }
        total.add(tally);
    }
    if total.skipped > 0 {
        println!("{} tests were left out; see above", total.skipped);
    }
    if !failures.is_empty() {
        println!("failed: {}", failures.join(", "));
    }
    let nothing = total.passed == 0 && total.failed == 0;
    if nothing {
        println!("nothing matched the filter");
    }
    // The count is the last line that is printed.
    println!("{} passed, {} failed", total.passed, total.failed);
    if nothing || total.failed > 0 {
        return Err(crate::AlreadyReported.into());
    }
    Ok(())
}
