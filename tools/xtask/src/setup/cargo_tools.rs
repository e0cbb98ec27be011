//! Cargo's extra commands: cargo-deny and cargo-nextest, and cargo-fuzz once it is asked for,
//! installed into the cache where missing.

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
    eprintln!(
        "{name} is missing: building it from the registry into {}",
        root.display()
    );
    let mut command = paths::cargo();
    command
        .args(["install", "--quiet", "--locked", "--root"])
        .arg(&root)
        .arg(name)
        .env("CARGO_TARGET_DIR", cache.join("tools-build"))
        .env_remove("RUSTFLAGS");
    process::run(&mut command)?;
    let _ = std::fs::remove_dir_all(cache.join("tools-build"));
    find(name, &root).with_context(|| format!("cargo install left no {name}"))
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
