//! `cargo xtask mutants`: changes the code in small ways and looks whether a test notices.
//!
//! cargo-mutants makes the changes, one at a time, in a copy of the tree. A change that no test
//! catches is a survivor. At least [`LEAST_CAUGHT`] percent must be caught in each crate, and each
//! survivor stands with a reason in `tools/xtask/mutants/CRATE.toml`:
//!
//! ```toml
//! [[survivor]]
//! mutant = "crates/core/src/mailbox.rs: replace & with ^ in Mailbox::take"
//! reason = "…"
//! ```
//!
//! The name is that of cargo-mutants without line and column, which move.

use crate::cli::MutantsOptions;
use crate::setup::cargo_tools;
use crate::{paths, process};
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The crates that hold what must not be wrong.
const CRATES: [&str; 5] = ["stage2", "memory-owner", "trap", "vgic", "core"];

/// How many of the changes must be caught in each, in percent.
const LEAST_CAUGHT: usize = 80;

/// How long the tests may take before a change counts as noticed, in seconds; more if they take long
/// without a change.
const LEAST_TIMEOUT: &str = "20";

/// Runs `cargo xtask mutants`.
pub(crate) fn command(options: &MutantsOptions) -> Result<()> {
    let crates = match options.name.as_deref() {
        None => CRATES.to_vec(),
        Some(name) => match CRATES.iter().find(|known| **known == name) {
            Some(known) => vec![*known],
            None => bail!("{name} is none of {}", CRATES.join(", ")),
        },
    };
    let mut bad = Vec::new();
    for name in crates {
        if !one(name, options.shard.as_deref())? {
            bad.push(name);
        }
    }
    ensure!(
        bad.is_empty(),
        "too little is caught, or survives without a reason: {}",
        bad.join(", ")
    );
    Ok(())
}

/// Looks at all crates; returns how many passed, and the names of the others.
pub(crate) fn run_all() -> Result<(u64, Vec<&'static str>)> {
    let mut passed = 0;
    let mut bad = Vec::new();
    for name in CRATES {
        if one(name, None)? {
            passed += 1;
        } else {
            bad.push(name);
        }
    }
    Ok((passed, bad))
}

/// Looks at one crate and prints the verdict; returns whether it is good.
fn one(name: &str, shard: Option<&str>) -> Result<bool> {
    let explained = explained(name)?;
    let output = paths::target_dir().join("mutants").join(name);
    std::fs::create_dir_all(&output)
        .with_context(|| format!("cannot create {}", output.display()))?;
    let mut command = paths::program(cargo_tools::mutants()?);
    command
        .args(["mutants", "--package", &format!("bulkhead-{name}")])
        .args(["--no-times", "--minimum-test-timeout", LEAST_TIMEOUT])
        .arg("--output")
        .arg(&output);
    if let Some(shard) = shard {
        command.args(["--sharding", "round-robin", "--shard", shard]);
    }
    // Documentation tests would be compiled anew for each change.
    command.args(["--", "--lib", "--tests"]);
    command.env("CARGO_PROFILE_DEV_DEBUG", "none");
    // It fails if anything survives; whether that is too much is decided here.
    let status = process::run(&mut command);
    let outcomes = output.join("mutants.out/outcomes.json");
    let text = std::fs::read_to_string(&outcomes)
        .with_context(|| format!("cannot read {}", outcomes.display()))?;
    let counts = Counts::read(&text)?;
    if counts.all() == 0 {
        status.context("nothing was changed")?;
        bail!("there is nothing to change in {name}");
    }
    Ok(report(name, &counts, &explained, shard.is_some()))
}

/// Prints what survived and whether that is too much.
fn report(name: &str, counts: &Counts, explained: &BTreeMap<String, String>, part: bool) -> bool {
    let caught = counts.caught;
    println!(
        "{name}: {caught} of {} changes caught ({} %)",
        counts.all(),
        caught * 100 / counts.all()
    );
    let mut unexplained = 0;
    for mutant in &counts.survivors {
        if !explained.contains_key(mutant) {
            println!("  error: without a reason survives {mutant}");
            unexplained += 1;
        }
    }
    for mutant in explained.keys() {
        if !part && !counts.survivors.contains(mutant) {
            println!("  note: no longer survives {mutant}");
        }
    }
    let enough = caught * 100 >= counts.all() * LEAST_CAUGHT;
    if !enough {
        println!("  error: at least {LEAST_CAUGHT} % must be caught");
    }
    enough && unexplained == 0
}

/// What became of the changes.
#[derive(Debug, Default, Eq, PartialEq)]
struct Counts {
    /// How many a test noticed, those among them with which the tests did not end.
    caught: usize,
    /// Those that no test noticed.
    survivors: Vec<String>,
}

impl Counts {
    /// Reads cargo-mutants' `outcomes.json`.
    fn read(text: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Outcomes {
            outcomes: Vec<Outcome>,
        }
        #[derive(Deserialize)]
        struct Outcome {
            scenario: Scenario,
            summary: String,
        }
        #[derive(Deserialize)]
        enum Scenario {
            Baseline,
            Mutant { name: String },
        }
        let parsed: Outcomes =
            serde_json::from_str(text).context("cannot read what cargo-mutants wrote")?;
        let mut counts = Self::default();
        for outcome in parsed.outcomes {
            match (outcome.scenario, outcome.summary.as_str()) {
                (Scenario::Baseline, "Success") => {}
                (Scenario::Baseline, _) => bail!("the tests fail without any change"),
                (Scenario::Mutant { .. }, "CaughtMutant" | "Timeout") => counts.caught += 1,
                (Scenario::Mutant { name }, "MissedMutant") => {
                    counts.survivors.push(without_place(&name));
                }
                // What does not compile can't be a mistake.
                (Scenario::Mutant { .. }, "Unviable") => {}
                (Scenario::Mutant { name }, other) => bail!("{name}: {other}"),
            }
        }
        Ok(counts)
    }

    fn all(&self) -> usize {
        self.caught + self.survivors.len()
    }
}

/// Takes line and column out of `FILE:LINE:COLUMN: CHANGE`.
fn without_place(name: &str) -> String {
    let mut parts = name.splitn(4, ':');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(file), Some(_), Some(_), Some(change)) => format!("{file}:{change}"),
        _ => name.to_owned(),
    }
}

/// Returns the file with the survivors of a crate.
fn file(name: &str) -> PathBuf {
    paths::workspace_root()
        .join("tools/xtask/mutants")
        .join(format!("{name}.toml"))
}

/// Reads the reasons for survivors; a crate without a file has none.
fn explained(name: &str) -> Result<BTreeMap<String, String>> {
    let path = file(name);
    if !path.exists() {
        return Ok(BTreeMap::new());
    }
    read_explained(&path)
}

fn read_explained(path: &Path) -> Result<BTreeMap<String, String>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        #[serde(default)]
        survivor: Vec<Survivor>,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Survivor {
        mutant: String,
        reason: String,
    }
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let file: File =
        toml::from_str(&text).with_context(|| format!("cannot parse {}", path.display()))?;
    file.survivor
        .into_iter()
        .map(|survivor| {
            ensure!(
                !survivor.reason.trim().is_empty(),
                "{}: {} has no reason",
                path.display(),
                survivor.mutant
            );
            Ok((survivor.mutant, survivor.reason))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTCOMES: &str = r#"{"outcomes": [
        {"scenario": "Baseline", "summary": "Success"},
        {"scenario": {"Mutant": {"name": "crates/a/src/b.rs:1:2: replace + with - in c::d", "genre": "x"}}, "summary": "MissedMutant"},
        {"scenario": {"Mutant": {"name": "crates/a/src/b.rs:3:4: replace e -> bool with true"}}, "summary": "CaughtMutant"},
        {"scenario": {"Mutant": {"name": "crates/a/src/b.rs:5:6: replace f with ()"}}, "summary": "Timeout"},
        {"scenario": {"Mutant": {"name": "crates/a/src/b.rs:7:8: replace g with ()"}}, "summary": "Unviable"}
    ], "missed": 1}"#;

    const SURVIVOR: &str = "crates/a/src/b.rs: replace + with - in c::d";

    #[test]
    fn what_does_not_compile_counts_neither_way() {
        let counts = Counts::read(OUTCOMES).unwrap();
        assert_eq!(counts.caught, 2);
        assert_eq!(counts.survivors, [SURVIVOR]);
        assert!(Counts::read(&OUTCOMES.replace("Success", "Failure")).is_err());
    }

    #[test]
    fn a_survivor_needs_a_reason_and_four_of_five_changes_must_be_caught() {
        let counts = |caught| Counts {
            caught,
            survivors: vec![SURVIVOR.to_owned()],
        };
        let none = BTreeMap::new();
        let one = BTreeMap::from([(SURVIVOR.to_owned(), "harmless".to_owned())]);
        assert!(report("a", &counts(4), &one, false));
        assert!(!report("a", &counts(4), &none, false));
        assert!(!report("a", &counts(3), &one, false));
    }

    #[test]
    fn every_committed_survivor_has_a_reason_and_lies_in_its_crate() {
        for name in CRATES {
            for mutant in explained(name).unwrap().keys() {
                assert!(
                    mutant.starts_with(&format!("crates/{name}/src/")),
                    "{mutant}"
                );
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.toml");
        std::fs::write(&path, "[[survivor]]\nmutant = \"a\"\nreason = \" \"\n").unwrap();
        assert!(read_explained(&path).is_err());
    }
}
