//! `cargo xtask check`: rules of the code base that no compiler checks.

mod baseline;
mod devices;
mod inherited_lints;
mod layers;
mod licences;
mod sources;
mod unsafe_count;
mod wildcards;
mod words;

use crate::cli::CheckOptions;
use crate::paths;
use anyhow::{Result, bail};
use baseline::Baseline;
use cargo_metadata::{Metadata, MetadataCommand};
use sources::SourceFile;

/// What one check found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// What is to be known: counts.
    pub(crate) notes: Vec<String>,
    /// Places, for those who want to see them all.
    pub(crate) details: Vec<String>,
    /// What breaks a rule.
    pub(crate) violations: Vec<String>,
}

/// A check: its name, and what it found or why it could not look.
pub(crate) type Outcome = (&'static str, Result<Findings>);

/// Runs `cargo xtask check`.
pub(crate) fn command(options: &CheckOptions) -> Result<()> {
    if options.accept {
        let counts = measure()?;
        counts.write()?;
        println!("recorded: {counts}");
        devices::write()?;
    }
    let mut failed = 0;
    for (name, outcome) in run_all() {
        let passed = report(name, &outcome, options.verbose);
        failed += usize::from(!passed);
    }
    if failed > 0 {
        bail!("{failed} check(s) failed");
    }
    Ok(())
}

/// Runs every check.
pub(crate) fn run_all() -> Vec<Outcome> {
    vec![
        (
            "layers",
            workspace().map(|metadata| layers::check(&metadata)),
        ),
        (
            "inherited lints",
            workspace().and_then(|metadata| inherited_lints::check(&metadata)),
        ),
        ("unsafe code", unsafe_code()),
        ("wildcard arms", wildcard_arms()),
        ("devices", devices::check()),
        ("words", words::check()),
        ("licences", licences::check()),
    ]
}

/// Prints what a check found; tells whether it passed.
pub(crate) fn report(name: &str, outcome: &Result<Findings>, verbose: bool) -> bool {
    let findings = match outcome {
        Ok(findings) => findings,
        Err(error) => {
            println!("check {name}: FAILED: {error:#}");
            return false;
        }
    };
    let passed = findings.violations.is_empty();
    let verdict = if passed { "ok" } else { "FAILED" };
    println!("check {name}: {verdict}");
    for note in &findings.notes {
        println!("  {note}");
    }
    if verbose {
        for detail in &findings.details {
            println!("  {detail}");
        }
    }
    for violation in &findings.violations {
        println!("  error: {violation}");
    }
    passed
}

fn workspace() -> Result<Metadata> {
    let metadata = MetadataCommand::new()
        .current_dir(paths::workspace_root())
        .no_deps()
        .exec()?;
    Ok(metadata)
}

fn measure() -> Result<Baseline> {
    let unsafe_files = sources::read(unsafe_count::FOLDERS)?;
    let all_files = sources::read(wildcards::FOLDERS)?;
    Ok(Baseline {
        unsafe_code: unsafe_count::count(&unsafe_files)?.totals,
        unexplained_wildcards: wildcards::find(&all_files)?.unexplained(),
    })
}

fn unsafe_code() -> Result<Findings> {
    let files = sources::read(unsafe_count::FOLDERS)?;
    let mut findings = unsafe_count::check(&files)?;
    let now = unsafe_count::count(&files)?.totals;
    let accepted = Baseline::read()?.unsafe_code;
    baseline::compare_unsafe(&accepted, &now, &mut findings);
    Ok(findings)
}

fn wildcard_arms() -> Result<Findings> {
    let found = wildcards::find(&sources::read(wildcards::FOLDERS)?)?;
    let mut findings = found.describe();
    let accepted = Baseline::read()?.unexplained_wildcards;
    baseline::compare_wildcards(accepted, found.unexplained(), &mut findings);
    Ok(findings)
}

/// Tells test code, which most rules spare.
fn is_test_file(file: &SourceFile) -> bool {
    let path = &file.path;
    path.ends_with("/tests.rs") || path.contains("/tests/")
}
