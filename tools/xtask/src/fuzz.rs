//! `cargo xtask fuzz`: lets libFuzzer look for inputs that break something.
//!
//! What the targets do is in the package `bulkhead-fuzz-targets`, whose own tests try the corpus and
//! a fixed sequence of inputs with the stable compiler. This command needs the nightly one, whose
//! sanitizers and coverage the stable compiler does not have.

use crate::cli::FuzzOptions;
use crate::setup::cargo_tools;
use crate::{paths, process};
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The folder of the fuzzers' workspace.
const FOLDER: &str = "fuzz";

/// The package that holds what is run.
const TARGETS_PACKAGE: &str = "bulkhead-fuzz-targets";

/// The toolchain that builds fuzzers.
const TOOLCHAIN: &str = "nightly";

/// How much memory a fuzzer may have, in MiB.
const MEMORY: &str = "-rss_limit_mb=2048";

/// How long one input may take, in seconds.
const PATIENCE: &str = "-timeout=10";

/// The longest input, in bytes.
const LENGTH: &str = "-max_len=4096";

/// How many lines of a failed run are shown.
const SHOWN_LINES: usize = 30;

/// Runs `cargo xtask fuzz`.
pub(crate) fn command(options: &FuzzOptions) -> Result<()> {
    let names = chosen(options.target.as_deref())?;
    let fuzzers = Fuzzers::build()?;
    if let Some(input) = &options.input {
        let [name] = names.as_slice() else {
            bail!("name the target that --input is for");
        };
        let input = std::path::absolute(input)?;
        return process::run(fuzzers.command(name).arg(PATIENCE).arg(input));
    }
    let mut broken = Vec::new();
    for name in names {
        if let Err(error) = fuzzers.run(&name, options.seconds) {
            println!("{name}: {error:#}");
            broken.push(name);
        }
    }
    ensure!(
        broken.is_empty(),
        "these targets broke: {}",
        broken.join(", ")
    );
    Ok(())
}

/// Runs all targets, each for `seconds`; returns how many passed and the names of those that broke.
pub(crate) fn run_all(seconds: u64) -> Result<(u64, Vec<String>)> {
    let names = chosen(None)?;
    let fuzzers = Fuzzers::build()?;
    let mut passed = 0;
    let mut broken = Vec::new();
    for name in names {
        match fuzzers.run(&name, seconds) {
            Ok(()) => passed += 1,
            Err(error) => {
                println!("{name}: {error:#}");
                broken.push(name);
            }
        }
    }
    Ok((passed, broken))
}

/// Returns the target of that name, or all.
fn chosen(name: Option<&str>) -> Result<Vec<String>> {
    let known = known()?;
    match name {
        None => Ok(known),
        Some(name) if known.iter().any(|it| it == name) => Ok(vec![name.to_owned()]),
        Some(name) => bail!("there is no target {name}; known are {}", known.join(", ")),
    }
}

/// Returns the names of the fuzzers' binaries.
fn known() -> Result<Vec<String>> {
    let path = paths::workspace_root().join(FOLDER).join("Cargo.toml");
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    names_of(&text).with_context(|| format!("{} names no targets", path.display()))
}

fn names_of(manifest: &str) -> Option<Vec<String>> {
    let manifest: toml::Table = manifest.parse().ok()?;
    let binaries = manifest.get("bin")?.as_array()?;
    binaries
        .iter()
        .map(|binary| Some(binary.get("name")?.as_str()?.to_owned()))
        .collect()
}

/// All fuzzers, built.
struct Fuzzers {
    /// Where their programs are.
    programs: PathBuf,
    /// A folder with inputs to begin with, one folder a target.
    seeds: PathBuf,
}

impl Fuzzers {
    fn build() -> Result<Self> {
        let host = nightly_host()?;
        let cargo_fuzz = cargo_tools::fuzz()?;
        let target_dir = paths::target_dir().join("fuzz");
        let seeds = paths::target_dir().join("fuzz-seeds");
        process::run(
            paths::cargo()
                .args(["run", "--quiet", "--package", TARGETS_PACKAGE])
                .args(["--example", "seeds", "--"])
                .arg(&seeds),
        )?;
        let mut build = paths::program("rustup");
        build
            .args(["run", TOOLCHAIN])
            .arg(cargo_fuzz)
            .args(["build", "--fuzz-dir", FOLDER, "--target", &host])
            .env("CARGO_TARGET_DIR", &target_dir);
        // They name the stable compiler, which runs us.
        for name in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN", "RUSTFLAGS"] {
            build.env_remove(name);
        }
        process::run(&mut build)?;
        Ok(Self {
            programs: target_dir.join(host).join("release"),
            seeds,
        })
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.arg(MEMORY);
        command
    }

    /// Runs one target; an input that breaks it is an error.
    fn run(&self, name: &str, seconds: u64) -> Result<()> {
        let found = folder("fuzz-corpus", name)?;
        let artifacts = folder("fuzz-artifacts", name)?;
        let log = folder("fuzz-logs", name)?.join("log");
        let before = files(&artifacts)?;
        let mut command = self.command(name);
        command
            .args([PATIENCE, LENGTH, "-print_final_stats=1"])
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-artifact_prefix={}/", artifacts.display()))
            .arg(&found)
            .arg(self.seeds.join(name));
        let corpus = committed(name);
        if corpus.is_dir() {
            command.arg(&corpus);
        }
        println!("{name}: {seconds} s; what it says is in {}", log.display());
        let output =
            File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let status = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .status()
            .with_context(|| format!("cannot start the fuzzer {name}"))?;
        let text = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
        if status.success() {
            let count = executions(&text).context("the fuzzer does not say what it did")?;
            println!("{name}: {count} inputs, nothing broke");
            return Ok(());
        }
        for line in failure(&text) {
            println!("  {line}");
        }
        for input in files(&artifacts)?.difference(&before) {
            let input = input.display();
            println!("{name}: kept {input}; to see it again:");
            println!("  cargo xtask fuzz {name} --input {input}");
            println!(
                "  once it is mended, copy it to {} as a test",
                corpus.display()
            );
        }
        bail!("broke ({status})")
    }
}

/// Returns the folder of the committed corpus of a target; it may not exist.
fn committed(name: &str) -> PathBuf {
    paths::workspace_root()
        .join(FOLDER)
        .join("corpus")
        .join(name)
}

/// Returns a folder below the target directory, creating it.
fn folder(kind: &str, name: &str) -> Result<PathBuf> {
    let folder = paths::target_dir().join(kind).join(name);
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

fn files(folder: &Path) -> Result<BTreeSet<PathBuf>> {
    fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect()
}

/// Returns the triple that the nightly compiler runs on.
fn nightly_host() -> Result<String> {
    let mut command = paths::program("rustup");
    command
        .args(["run", TOOLCHAIN, "rustc", "--version", "--verbose"])
        .env("RUSTUP_AUTO_INSTALL", "0");
    let text = process::capture(&mut command).context(
        "fuzzing needs the nightly compiler; install it with \
         `rustup toolchain install nightly --profile minimal`",
    )?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host
        .context("rustc does not say what it runs on")?
        .to_owned())
}

/// Reads libFuzzer's final statistics.
fn executions(log: &str) -> Option<u64> {
    log.lines()
        .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))
        .and_then(|count| count.trim().parse().ok())
}

/// Returns the lines that say what broke: from the panic or the sanitizer's report on, without the
/// progress before it.
fn failure(log: &str) -> Vec<&str> {
    let lines: Vec<&str> = log.lines().collect();
    let begins = |line: &&str| {
        line.contains("panicked at") || line.contains("ERROR: ") || line.contains("error: ")
    };
    let first = match lines.iter().position(begins) {
        Some(first) => first,
        None => lines.len().saturating_sub(SHOWN_LINES),
    };
    lines.into_iter().skip(first).take(SHOWN_LINES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_a_program_and_its_code() {
        let root = paths::workspace_root().join(FOLDER);
        let names = known().unwrap();
        assert!(!names.is_empty());
        let targets = fs::read_to_string(root.join("targets/src/lib.rs")).unwrap();
        for name in names {
            let program = format!("libfuzzer/{name}.rs");
            assert!(root.join(&program).is_file(), "{program}");
            assert!(targets.contains(&format!("name: {name:?}")), "{name}");
        }
        assert!(chosen(Some("nothing_like_it")).is_err());
    }

    #[test]
    fn statistics_are_read() {
        let log = "#2 INITED\nstat::number_of_executed_units: 1726\nstat::peak_rss_mb: 276\n";
        assert_eq!(executions(log), Some(1726));
        assert_eq!(executions("#2 INITED"), None);
    }

    #[test]
    fn the_report_begins_with_what_broke() {
        let log = "#1 NEW\n#2 NEW\nthread panicked at src/x.rs:1:2:\nlost\n";
        let report = ["thread panicked at src/x.rs:1:2:", "lost"];
        assert_eq!(failure(log), report);
        assert_eq!(failure("#1 NEW\nkilled"), ["#1 NEW", "killed"]);
    }
}
