//! Cargo's extra commands: cargo-deny and cargo-nextest, and cargo-fuzz and cargo-mutants once they
//! are asked for, installed into the cache where missing.

use super::lock;
use crate::{paths, process};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// The extra commands, ready for use.
#[derive(Clone, Debug)]
pub(crate) struct CargoTools {
    /// Checks licences, sources and bans.
    pub(crate) deny: PathBuf,
    /// Runs tests, one process each.
    pub(crate) nextest: PathBuf,
}

/// Returns the extra commands, building those that are missing.
pub(crate) fn ensure() -> Result<CargoTools> {
    Ok(CargoTools {
        deny: deny()?,
        nextest: nextest()?,
    })
}

/// Returns cargo-deny, building it where it is missing.
pub(crate) fn deny() -> Result<PathBuf> {
    ensure_one("cargo-deny")
}

/// Returns cargo-nextest, building it where it is missing.
pub(crate) fn nextest() -> Result<PathBuf> {
    ensure_one("cargo-nextest")
}

/// Returns cargo-fuzz, building it where it is missing.
pub(crate) fn fuzz() -> Result<PathBuf> {
    ensure_one("cargo-fuzz")
}

/// The version of cargo-mutants: another one may change the code in other ways.
const MUTANTS_VERSION: &str = "27.1.0";

/// Returns cargo-mutants, building it where it or the right version is missing.
pub(crate) fn mutants() -> Result<PathBuf> {
    const NAME: &str = "cargo-mutants";
    let cache = paths::cache_dir()?;
    let root = root(&cache);
    if let Some(path) = find(NAME, &root)
        && is_version(&path, MUTANTS_VERSION)
    {
        return Ok(path);
    }
    let _lock = lock::acquire(&cache, "tools")?;
    let own = root.join("bin").join(NAME);
    if own.is_file() && is_version(&own, MUTANTS_VERSION) {
        return Ok(own);
    }
    install(NAME, &cache, &["--force", "--version", MUTANTS_VERSION])?;
    Ok(own)
}

/// Tells whether `cargo-NAME NAME --version` ends with this.
fn is_version(program: &Path, version: &str) -> bool {
    let name = program.file_name().and_then(|name| name.to_str());
    let subcommand = name.and_then(|name| name.strip_prefix("cargo-"));
    let mut command = paths::program(program);
    let text = process::capture(command.args(subcommand).arg("--version"));
    text.is_ok_and(|text| text.split_whitespace().last() == Some(version))
}

/// Says what would be installed, without changing anything.
pub(crate) fn plan() -> Result<String> {
    let root = root(&paths::cache_dir()?);
    let lines: Vec<String> = ["cargo-deny", "cargo-nextest"]
        .iter()
        .map(|name| match find(name, &root) {
            Some(path) => format!("{name} is {}", path.display()),
            None => format!(
                "would build {name} from the registry into {}",
                root.display()
            ),
        })
        .collect();
    Ok(lines.join("\n"))
}

fn ensure_one(name: &str) -> Result<PathBuf> {
    let cache = paths::cache_dir()?;
    let root = root(&cache);
    if let Some(path) = find(name, &root) {
        return Ok(path);
    }
    let _lock = lock::acquire(&cache, "tools")?;
    if let Some(path) = find(name, &root) {
        return Ok(path);
    }
    install(name, &cache, &[])?;
    find(name, &root).with_context(|| format!("cargo install left no {name}"))
}

/// Builds a command from the registry; the caller holds the lock.
fn install(name: &str, cache: &Path, options: &[&str]) -> Result<()> {
    let root = root(cache);
    eprintln!(
        "{name} is missing: building it from the registry into {}",
        root.display()
    );
    let mut command = paths::cargo();
    command
        .args(["install", "--quiet", "--locked", "--root"])
        .arg(&root)
        .args(options)
        .arg(name)
        .env("CARGO_TARGET_DIR", cache.join("tools-build"))
        .env_remove("RUSTFLAGS");
    process::run(&mut command)?;
    let _ = std::fs::remove_dir_all(cache.join("tools-build"));
    Ok(())
}

fn root(cache: &Path) -> PathBuf {
    cache.join("tools")
}

fn find(name: &str, root: &Path) -> Option<PathBuf> {
    let own = root.join("bin").join(name);
    if own.is_file() {
        return Some(own);
    }
    paths::find_program(name)
}
