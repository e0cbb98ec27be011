//! The device board: its comparison with a stock QEMU, and QEMU's own device tests against it.

use crate::cli::DiffDevicesOptions;
use crate::setup::qemu;
use crate::setup::qos_test::{self, QosTest};
use crate::test::Tally;
use crate::{paths, process};
use anyhow::{Context, Result, ensure};
use std::path::PathBuf;
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
const QTESTS: &[(&str, usize)] = &[
    ("virtio-balloon-device", 1),
    ("virtio-blk-device", 4),
    ("virtio-rng-device", 1),
    ("virtio-serial-device", 4),
];
/// How long one of them may take.
const QTEST_LIMIT: Duration = Duration::from_secs(120);

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
    let bench = Bench::new(program, folder.join(BOARD))?;
    let tests = bench.list()?;
    let mut tally = Tally::default();
    for test in &tests {
        let outcome = bench.run(test);
        let word = if outcome.is_ok() { "ok" } else { "not ok" };
        println!("{word} {test}");
        tally.add(verdict(outcome));
    }
    for (device, count) in QTESTS {
        let part = format!("/{device}/");
        let seen = tests.iter().filter(|test| test.contains(&part)).count();
        if seen != *count {
            println!("error: {seen} of {count} tests of {device} were found");
            tally.add(Tally::FAILURE);
        }
    }
    Ok(tally)
}

/// Where QEMU's tests run.
struct Bench {
    program: QosTest,
    board: PathBuf,
    /// For sockets, disks and shared folders. Its path is short: a socket's has little room.
    folder: PathBuf,
}

impl Bench {
    fn new(program: QosTest, board: PathBuf) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("bulkhead-qtest-{}", std::process::id()));
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(Self {
            program,
            board,
            folder,
        })
    }

    /// Returns the names of the tests that fit the board's devices.
    fn list(&self) -> Result<Vec<String>> {
        let text = process::capture(self.command().arg("-l"))?;
        Ok(parse_list(&text))
    }

    /// Runs one test in a process of its own: a failed one ends all that come after it.
    fn run(&self, test: &str) -> Result<()> {
        let output = self.folder.join("output");
        let file = std::fs::File::create(&output)?;
        let mut command = self.command();
        command
            .args(["--tap", "-p", test])
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file);
        let mut child = command.spawn().context("cannot start qos-test")?;
        let status = process::wait_until(&mut child, Instant::now() + QTEST_LIMIT)?;
        if status.is_none() {
            process::end(&mut child)?;
        }
        let text = String::from_utf8_lossy(&std::fs::read(&output)?).into_owned();
        let passed = text.lines().filter(|line| line.starts_with("ok ")).count();
        let ended_well = status.is_some_and(|status| status.success());
        ensure!(ended_well && passed == 1, "it said:\n{text}");
        Ok(())
    }

    fn command(&self) -> Command {
        let mut command = self.program.command();
        command
            .current_dir(&self.folder)
            .env("TMPDIR", &self.folder)
            .env("QTEST_QEMU_BINARY", &self.board);
        command
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // Temporary files may stay.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Reads what `qos-test -l` prints: names, and remarks that begin otherwise.
fn parse_list(text: &str) -> Vec<String> {
    let names = text.lines().filter(|line| line.starts_with('/'));
    names.map(str::to_owned).collect()
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
    fn a_list_of_tests_is_told_from_the_remarks_around_it() {
        let text = "# random seed: R0\n1..2\n# Start of arm tests\n/arm/a\n/arm/b\n# End\n";
        assert_eq!(parse_list(text), ["/arm/a", "/arm/b"]);
    }
}
