//! The device board: its comparison with a stock QEMU, and QEMU's own device tests against it.

use crate::cli::DiffDevicesOptions;
use crate::setup::{qemu, qos_test};
use crate::test::Tally;
use crate::{paths, process};
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The package.
const PACKAGE: &str = "bulkhead-device-board";
/// The board's program. libqtest takes the architecture from its name.
const BOARD: &str = "bulkhead-system-arm";
/// The program that compares.
const DIFF: &str = "diff-devices";

/// How many operations each device gets in an ordinary test run: a planted bug shows in fewer.
const SHORT: &str = "5000";
/// How many in a long one.
const LONG: &str = "100000";
/// How many different sequences in a long one.
const LONG_SEEDS: u64 = 5;

/// How many tests QEMU has for each device of the board: fewer would mean that some were not found.
const QTESTS: &[(&str, usize)] = &[("virtio-blk-device", 4), ("virtio-rng-device", 1)];
/// How long they may take together.
const QTEST_LIMIT: Duration = Duration::from_secs(300);

/// Runs `cargo xtask diff-devices`.
pub(crate) fn command(options: &DiffDevicesOptions) -> Result<()> {
    process::run(diff()?.args(&options.arguments))
}

/// Compares every device, and checks that planted bugs are found; each counts.
pub(crate) fn diff_step(long: bool) -> Result<Tally> {
    let (seeds, operations) = if long { (LONG_SEEDS, LONG) } else { (1, SHORT) };
    let mut tally = Tally::default();
    for seed in 1..=seeds {
        let seed = seed.to_string();
        let mut command = diff()?;
        command.args(["--seed", &seed, "--operations", operations]);
        tally.add(verdict(process::run(&mut command)));
    }
    let mut prove = diff()?;
    prove.args(["--prove", "--operations", SHORT]);
    tally.add(verdict(process::run(&mut prove)));
    Ok(tally)
}

/// Runs QEMU's own tests against the board.
pub(crate) fn qtest_step() -> Result<Tally> {
    let folder = build()?;
    if QTESTS.is_empty() {
        println!("the board has no device yet that QEMU's tests know");
        return Ok(Tally::default());
    }
    if !qos_test::can_build() {
        println!("qos-test is built from a source package of Debian, which this system has not");
        return Ok(Tally {
            skipped: 1,
            ..Tally::default()
        });
    }
    let program = qos_test::ensure()?;
    println!("qos-test of {}", program.describe());
    let text = run_qtest(program.command(), &folder.join(BOARD))?;
    let mut tally = parse_tap(&text);
    // What begins with # says how each emulator was started; it helps where something failed.
    let shown = |line: &&str| tally.failed > 0 || !line.starts_with('#');
    for line in text.lines().filter(shown) {
        println!("{line}");
    }
    for (device, count) in QTESTS {
        let seen = text
            .lines()
            .filter(|line| line.contains("ok ") && line.contains(&format!("/{device}/")))
            .count();
        if seen != *count {
            println!("error: {seen} of {count} tests of {device} have run");
            tally.add(Tally::FAILURE);
        }
    }
    Ok(tally)
}

/// Runs all tests to the end; returns what they printed.
fn run_qtest(mut command: Command, board: &Path) -> Result<String> {
    // Sockets and the shared folder of 9p; the path is short, since a socket's has little room.
    let folder = std::env::temp_dir().join(format!("bulkhead-qtest-{}", std::process::id()));
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    let output = folder.join("output");
    let file = std::fs::File::create(&output)?;
    command
        .args(["--tap", "-k"])
        .current_dir(&folder)
        .env("TMPDIR", &folder)
        .env("QTEST_QEMU_BINARY", board)
        .stdin(Stdio::null())
        .stdout(file);
    let mut child = command.spawn().context("cannot start qos-test")?;
    let status = process::wait_until(&mut child, Instant::now() + QTEST_LIMIT)?;
    if status.is_none() {
        process::end(&mut child)?;
    }
    let text = std::fs::read(&output)?;
    std::fs::remove_dir_all(&folder)?;
    let mut text = String::from_utf8_lossy(&text).into_owned();
    if status.is_none() {
        text.push_str("not ok: the tests took too long\n");
    }
    Ok(text)
}

/// Counts the lines `ok N name` and `not ok N name`.
fn parse_tap(text: &str) -> Tally {
    let mut tally = Tally::default();
    for line in text.lines() {
        if line.starts_with("not ok") {
            tally.add(Tally::FAILURE);
        } else if line.starts_with("ok ") {
            let skipped = line.to_ascii_lowercase().contains("# skip");
            tally.skipped += u64::from(skipped);
            tally.passed += u64::from(!skipped);
        }
    }
    tally
}

/// Returns the comparing program with a stock QEMU and the board.
fn diff() -> Result<Command> {
    let folder = build()?;
    let mut command = Command::new(folder.join(DIFF));
    command.arg("--qemu").arg(qemu::ensure()?.program);
    Ok(command)
}

/// Builds the package; returns the folder of its programs.
fn build() -> Result<PathBuf> {
    let mut cargo = paths::cargo();
    cargo.args(["build", "--quiet", "--package", PACKAGE, "--bins"]);
    process::run(cargo.current_dir(paths::workspace_root()))?;
    let folder = paths::target_dir().join("debug");
    ensure!(folder.join(DIFF).is_file(), "cargo left no {DIFF}");
    Ok(folder)
}

fn verdict(outcome: Result<()>) -> Tally {
    match outcome {
        Ok(()) => Tally::SUCCESS,
        Err(error) => {
            println!("error: {error:#}");
            Tally::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_test_anything_protocol_are_counted() {
        let text = "TAP version 13\n1..4\n# starting\nok 1 /arm/a\nnot ok 2 /arm/b\nok 3 /c # SKIP no\nok 4 /d\n";
        let tally = parse_tap(text);
        assert_eq!((tally.passed, tally.failed, tally.skipped), (2, 1, 1));
    }
}
