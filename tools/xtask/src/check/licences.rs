//! Licences, sources and bans of what we depend on, by cargo-deny and `deny.toml`.

use super::Findings;
use crate::setup::cargo_tools;
use crate::{paths, process};
use anyhow::Result;
use std::process::Command;
use std::time::Duration;

/// How long cargo-deny may take; it may have to wait for the registry.
const LIMIT: Duration = Duration::from_secs(300);

/// Checks the lock file. Advisories are left out: their database is no part of a registry.
pub(crate) fn check() -> Result<Findings> {
    let deny = cargo_tools::deny()?;
    let mut findings = Findings::default();
    let mut command = Command::new(deny);
    command
        .current_dir(paths::workspace_root())
        .args([
            "--workspace",
            "--color",
            "never",
            "check",
            "--hide-inclusion-graph",
        ])
        .args(["bans", "licenses", "sources"]);
    match process::run_quietly(&mut command, LIMIT) {
        Ok(()) => findings.notes.push("cargo-deny is content".to_owned()),
        Err(error) => findings.violations.push(format!("{error:#}")),
    }
    Ok(findings)
}
