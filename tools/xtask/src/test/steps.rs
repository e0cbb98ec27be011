//! The steps of a test run, in their order.

use super::summary::{self, Tally};
use crate::cli::TestOptions;
use crate::images::{self, Image};
use crate::setup::rust_target::{RustTarget, TARGET};
use crate::setup::{self, cargo_tools, qemu};
use crate::{check, device_board, fuzz, guests, match_audit, mutants, paths, process};
use anyhow::{Context as _, Result, bail, ensure};
use cargo_metadata::{Metadata, MetadataCommand, Package};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The package of whole-system tests.
const SYSTEM_TESTS: &str = "system-tests";

/// The test that writes the report of the cases of abuse.
const ABUSE_REPORT_TEST: &str = "test(write_the_abuse_report)";

/// How many whole-system tests run at once.
const SYSTEM_TEST_THREADS: &str = "2";

/// How many cases a property test tries in a long run.
const LONG_PROPTEST_CASES: &str = "8192";

/// How long each fuzzer runs in a long run, in seconds.
const LONG_FUZZ_SECONDS: u64 = 3600;

/// One step.
pub(crate) struct Step {
    /// Its name.
    pub(crate) name: &'static str,
    /// Whether it runs tests with names of their own, which a filter may choose.
    kind: Kind,
    /// Does it.
    pub(crate) run: fn(&mut Context) -> Result<Tally>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// Counts as one test.
    Single,
    /// Runs many tests.
    Tests,
    /// Runs on the device board; counts its parts, which a filter can't choose.
    Board,
}

/// All steps. A failed one does not stop the others, so that the report is complete.
pub(crate) const STEPS: &[Step] = &[
    Step {
        name: "format",
        kind: Kind::Single,
        run: format,
    },
    Step {
        name: "clippy",
        kind: Kind::Single,
        run: clippy,
    },
    Step {
        name: "check",
        kind: Kind::Single,
        run: checks,
    },
    Step {
        name: "unit-tests",
        kind: Kind::Tests,
        run: unit_tests,
    },
    Step {
        name: "doc-tests",
        kind: Kind::Tests,
        run: doc_tests,
    },
    Step {
        name: "loom",
        kind: Kind::Tests,
        run: loom,
    },
    Step {
        name: "match-audit",
        kind: Kind::Tests,
        run: audit_matches,
    },
    Step {
        name: "rustdoc",
        kind: Kind::Single,
        run: rustdoc,
    },
    Step {
        name: "clippy-bare-metal",
        kind: Kind::Single,
        run: clippy_bare_metal,
    },
    Step {
        name: "images",
        kind: Kind::Single,
        run: build_images,
    },
    Step {
        name: "system-tests",
        kind: Kind::Tests,
        run: system_tests,
    },
    Step {
        name: "diff-devices",
        kind: Kind::Board,
        run: |context| device_board::diff_step(context.long),
    },
    Step {
        name: "qtest",
        kind: Kind::Board,
        run: |_| device_board::qtest_step(),
    },
    Step {
        name: "fuzz",
        kind: Kind::Single,
        run: run_fuzzers,
    },
    Step {
        name: "mutants",
        kind: Kind::Single,
        run: run_mutants,
    },
];

/// What the steps share.
pub(crate) struct Context {
    filter: Option<String>,
    only_board: bool,
    long: bool,
    metadata: Metadata,
    target: Option<RustTarget>,
    hypervisor: Option<Image>,
}

impl Context {
    /// Looks at the workspace.
    pub(crate) fn new(options: &TestOptions) -> Result<Self> {
        let metadata = MetadataCommand::new()
            .current_dir(paths::workspace_root())
            .no_deps()
            .exec()
            .context("cannot read the workspace")?;
        Ok(Context {
            filter: options.filter.clone(),
            only_board: options.qtest,
            long: options.long,
            metadata,
            target: None,
            hypervisor: None,
        })
    }

    /// Tells whether the options leave something of a step.
    pub(crate) fn wants(&self, step: &Step) -> bool {
        if self.only_board && step.kind != Kind::Board {
            return false;
        }
        let Some(filter) = &self.filter else {
            return true;
        };
        step.kind == Kind::Tests || step.name.contains(filter.as_str())
    }

    fn target(&mut self) -> Result<RustTarget> {
        if self.target.is_none() {
            self.target = Some(setup::ensure_rust_target()?);
        }
        self.target.clone().context("no bare-metal target")
    }

    /// Returns the hypervisor's image; a filter may have left its own step out.
    fn hypervisor(&mut self) -> Result<Image> {
        if self.hypervisor.is_none() {
            let target = self.target()?;
            self.hypervisor = Some(images::build_hypervisor(&target)?);
        }
        self.hypervisor.clone().context("no image")
    }

    /// Returns the packages below some folders of the workspace.
    fn packages_below(&self, folders: &[&str]) -> Vec<&Package> {
        let root = paths::workspace_root();
        self.metadata
            .workspace_packages()
            .into_iter()
            .filter(|package| {
                let path = package.manifest_path.as_std_path();
                let path = path.strip_prefix(&root).unwrap_or(path);
                folders.iter().any(|folder| path.starts_with(folder))
            })
            .collect()
    }

    /// Returns a nextest run with the options that all of them have.
    fn nextest(&self) -> Result<Command> {
        // Cargo finds it by its name; where it is not on the path, by its file.
        let nextest = cargo_tools::nextest()?;
        let mut command = paths::program(nextest);
        // A property test that shrinks its case would print thousands of backtraces.
        command.env("RUST_BACKTRACE", "0");
        command.args(["nextest", "run", "--no-fail-fast", "--hide-progress-bar"]);
        if self.long {
            command.args(["--run-ignored", "all"]);
            command.env("BULKHEAD_LONG", "1");
            command.env("PROPTEST_CASES", LONG_PROPTEST_CASES);
        }
        if let Some(filter) = &self.filter {
            command.args(["--no-tests", "pass", filter]);
        }
        Ok(command)
    }
}

fn format(_: &mut Context) -> Result<Tally> {
    single(paths::cargo().args(["fmt", "--all", "--check"]))
}

fn clippy(_: &mut Context) -> Result<Tally> {
    single(paths::cargo().args([
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))
}

fn clippy_bare_metal(context: &mut Context) -> Result<Tally> {
    let target = context.target()?;
    // Payloads apart: cargo joins the features of all packages that it is given, and a payload has
    // no allocator for what the hypervisor asks of a library.
    for folders in [&["arch", "images", "roles"][..], &["payloads"][..]] {
        let mut command = images::cargo(&target);
        command.args(["clippy", "--quiet", "--target", TARGET]);
        for package in context.packages_below(folders) {
            command.args(["--package", package.name.as_str()]);
        }
        command.args(["--", "-D", "warnings"]);
        process::run(&mut command)?;
    }
    Ok(Tally::SUCCESS)
}

fn checks(_: &mut Context) -> Result<Tally> {
    let mut tally = Tally::default();
    for (name, outcome) in check::run_all() {
        tally.add(if check::report(name, &outcome, false) {
            Tally::SUCCESS
        } else {
            Tally::FAILURE
        });
    }
    Ok(tally)
}

fn unit_tests(context: &mut Context) -> Result<Tally> {
    let mut command = context.nextest()?;
    command.args(["--workspace", "--exclude", SYSTEM_TESTS]);
    counted(&mut command, summary::parse_nextest)
}

fn doc_tests(context: &mut Context) -> Result<Tally> {
    let mut command = paths::cargo();
    command.args(["test", "--quiet", "--doc", "--workspace", "--no-fail-fast"]);
    if let Some(filter) = &context.filter {
        command.args(["--", filter]);
    }
    counted(&mut command, summary::parse_libtest)
}

/// Runs the tests with `loom` in their name or their file's of every package that depends on loom, with `--cfg
/// loom`, in a target directory of their own since all dependencies are built anew.
fn loom(context: &mut Context) -> Result<Tally> {
    let packages: Vec<String> = context
        .metadata
        .workspace_packages()
        .into_iter()
        .filter(|package| package.dependencies.iter().any(|it| it.name == "loom"))
        .map(|package| package.name.to_string())
        .collect();
    ensure!(!packages.is_empty(), "no package has loom tests");
    let mut command = context.nextest()?;
    for package in &packages {
        command.args(["--package", package]);
    }
    command
        .args(["--filterset", "test(loom) | binary(loom*)"])
        .env("RUSTFLAGS", "--cfg loom")
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "2")
        .env("CARGO_TARGET_DIR", paths::target_dir().join("loom"));
    let mut tally = counted(&mut command, summary::parse_nextest)?;
    // What is not a loom test was counted among the unit tests.
    tally.skipped = 0;
    Ok(tally)
}

/// Checks and tests the match auditor, which is a workspace of its own, and compares this
/// workspace's wildcards with those that were judged. Its front end, minutes of building, is built
/// and tested only where it has changed, and checked and tested in full in long runs.
fn audit_matches(context: &mut Context) -> Result<Tally> {
    let scope: &[&str] = if context.long { &["--workspace"] } else { &[] };
    let cargo = || {
        let mut cargo = paths::cargo();
        cargo.current_dir(match_audit::folder());
        cargo
    };
    process::run(cargo().args(["fmt", "--all", "--check"]))?;
    process::run(
        cargo()
            .args(["clippy", "--quiet", "--all-targets"])
            .args(scope)
            .args(["--", "-D", "warnings"]),
    )?;
    let mut command = context.nextest()?;
    command.current_dir(match_audit::folder());
    if context.long {
        match_audit::set_up(&mut command)?;
        command.args(["--release", "--workspace"]);
    }
    let mut tally = counted(&mut command, summary::parse_nextest)?;
    if context.filter.is_none() {
        let mut compare = cargo();
        compare.args(["run", "--quiet", "--package", "match-audit-difftest"]);
        if context.long {
            compare.args(["--", "--long"]);
        }
        process::run(&mut compare)?;
        tally.add(Tally::SUCCESS);
        match_audit::check()?;
        tally.add(Tally::SUCCESS);
    }
    Ok(tally)
}

fn rustdoc(_: &mut Context) -> Result<Tally> {
    let mut command = paths::cargo();
    command
        .args(["doc", "--quiet", "--workspace", "--no-deps"])
        .env("RUSTDOCFLAGS", "-D warnings");
    single(&mut command)
}

/// Builds every image and payload; each counts.
fn build_images(context: &mut Context) -> Result<Tally> {
    let target = context.target()?;
    let mut tally = Tally::default();
    for (package, bin) in binaries(context, &["images", "payloads"]) {
        match images::build(&target, &package, &bin) {
            Ok(image) => {
                if package == images::HYPERVISOR.package {
                    context.hypervisor = Some(image);
                }
                tally.add(Tally::SUCCESS);
            }
            Err(error) => {
                println!("error: {error:#}");
                tally.add(Tally::FAILURE);
            }
        }
    }
    ensure!(tally != Tally::default(), "there is no image to build");
    Ok(tally)
}

fn system_tests(context: &mut Context) -> Result<Tally> {
    let mut command = system_tests_command(context)?;
    command.args(["--test-threads", SYSTEM_TEST_THREADS]);
    counted(&mut command, summary::parse_nextest)
}

/// Has the whole-system test that plays the cases of abuse write its report to `path`.
pub(crate) fn abuse_report(path: &Path) -> Result<()> {
    let mut context = Context::new(&TestOptions {
        long: false,
        filter: None,
        qtest: false,
    })?;
    build_payloads(&mut context)?;
    let mut command = system_tests_command(&mut context)?;
    command
        .args(["--run-ignored", "only", "--filterset", ABUSE_REPORT_TEST])
        .env("BULKHEAD_ABUSE_REPORT", path);
    process::run(&mut command)
}

/// Builds what the whole-system tests boot in VMs.
fn build_payloads(context: &mut Context) -> Result<()> {
    let target = context.target()?;
    for (package, bin) in binaries(context, &["payloads"]) {
        images::build(&target, &package, &bin)?;
    }
    Ok(())
}

/// Returns a run of the whole-system tests, with the environment that they want.
fn system_tests_command(context: &mut Context) -> Result<Command> {
    let known = context.metadata.workspace_packages();
    ensure!(
        known
            .iter()
            .any(|package| package.name.as_str() == SYSTEM_TESTS),
        "the workspace has no package {SYSTEM_TESTS}"
    );
    let hypervisor = context
        .hypervisor()
        .context("whole-system tests need the hypervisor's image")?;
    if context.filter.is_some() {
        // The step that builds the payloads was left out.
        build_payloads(context)?;
    }
    let cache = paths::cache_dir()?;
    let guest = guests::fetch(guests::DEFAULT_SUITE)?;
    let logs = logs_folder()?;
    let mut command = context.nextest()?;
    command
        .args(["--package", SYSTEM_TESTS])
        .env("BULKHEAD_IMAGE", &hypervisor.raw)
        .env("BULKHEAD_IMAGE_ELF", &hypervisor.elf)
        .env("BULKHEAD_PAYLOADS", images::folder())
        .env("BULKHEAD_KERNEL", guest.kernel())
        .env("BULKHEAD_KERNEL_RELEASE", &guest.lock.release)
        .env("BULKHEAD_INITRAMFS", guests::initramfs::build(&guest, &[])?)
        .env("BULKHEAD_QEMU", qemu::ensure()?.program)
        .env("BULKHEAD_CACHE", cache)
        .env("BULKHEAD_LOGS", logs)
        .env("BULKHEAD_XTASK", std::env::current_exe()?);
    Ok(command)
}

/// Lets libFuzzer run for an hour a target, in long runs. The unit tests try each target's corpus and
/// a fixed sequence of inputs in any run.
fn run_fuzzers(context: &mut Context) -> Result<Tally> {
    if !context.long {
        println!("only with --long: an hour for each target");
        return Ok(Tally::default());
    }
    let (passed, broken) = fuzz::run_all(LONG_FUZZ_SECONDS)?;
    let failed = u64::try_from(broken.len())?;
    Ok(Tally {
        passed,
        failed,
        ..Tally::default()
    })
}

/// Looks whether the unit tests notice changes of the code, in long runs.
fn run_mutants(context: &mut Context) -> Result<Tally> {
    if !context.long {
        println!("only with --long: hours");
        return Ok(Tally::default());
    }
    let (passed, bad) = mutants::run_all()?;
    let failed = u64::try_from(bad.len())?;
    Ok(Tally {
        passed,
        failed,
        ..Tally::default()
    })
}

/// Returns package and name of every bare-metal binary below some folders.
fn binaries(context: &Context, folders: &[&str]) -> Vec<(String, String)> {
    context
        .packages_below(folders)
        .into_iter()
        .flat_map(|package| {
            let bins = package.targets.iter().filter(|target| target.is_bin());
            bins.map(|target| (package.name.to_string(), target.name.clone()))
        })
        .collect()
}

fn logs_folder() -> Result<PathBuf> {
    let path = paths::target_dir().join("system-test-logs");
    std::fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
    Ok(path)
}

/// Runs a command that counts as one test.
fn single(command: &mut Command) -> Result<Tally> {
    process::run(command)?;
    Ok(Tally::SUCCESS)
}

/// Runs a command that reports how many tests it ran, passing its output on.
fn counted(command: &mut Command, parse: fn(&str) -> Option<Tally>) -> Result<Tally> {
    eprintln!("  $ {}", process::describe(command));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", process::describe(command)))?;
    let stdout = child.stdout.take().context("no output")?;
    let stderr = child.stderr.take().context("no output")?;
    // nextest reports on one stream, cargo's own tests on the other.
    let found = std::thread::scope(|scope| {
        let other = scope.spawn(|| pass_on(BufReader::new(stderr), parse));
        let mut found = pass_on(BufReader::new(stdout), parse);
        found.extend(other.join().unwrap_or_default());
        found
    });
    let status = child.wait().context("cannot wait for a child")?;
    let mut total = Tally::default();
    for tally in &found {
        total.add(*tally);
    }
    if found.is_empty() {
        bail!(
            "`{}` reported no tests ({status})",
            process::describe(command)
        );
    }
    if !status.success() && total.failed == 0 {
        println!(
            "error: every test passed, but `{}` failed ({status})",
            process::describe(command)
        );
        total.add(Tally::FAILURE);
    }
    Ok(total)
}

fn pass_on(reader: impl BufRead, parse: fn(&str) -> Option<Tally>) -> Vec<Tally> {
    let mut found = Vec::new();
    for line in reader.split(b'\n') {
        let Ok(line) = line else { break };
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        found.extend(parse(&line));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Result<Tally> {
        counted(
            Command::new("sh").args(["-c", script]),
            summary::parse_nextest,
        )
    }

    const SUMMARY: &str = "echo 'Summary [ 0.1s] 3 tests run: 2 passed, 1 skipped' >&2";

    #[test]
    fn counts_come_from_either_stream() {
        let tally = shell(SUMMARY).unwrap();
        assert_eq!((tally.passed, tally.failed, tally.skipped), (2, 0, 1));
    }

    #[test]
    fn a_failing_command_is_a_failure_whatever_it_counted() {
        let tally = shell(&format!("{SUMMARY}; exit 1")).unwrap();
        assert_eq!((tally.passed, tally.failed), (2, 1));
    }

    #[test]
    fn a_command_that_counts_nothing_is_an_error() {
        assert!(shell("exit 0").is_err());
        assert!(shell("echo cannot build; exit 101").is_err());
    }
}
