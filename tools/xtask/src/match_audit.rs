//! The match auditor: built once for its sources, and run on this workspace.
//!
//! Its front end takes minutes to build, so the program is kept in the user's cache, under a name
//! that its sources, its lock file and the compiler make. It gets there only after its own tests
//! have passed.

use crate::cli::MatchAuditOptions;
use crate::setup::rust_target;
use crate::setup::{cargo_tools, lock};
use crate::{paths, process};
use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// The program, and its package.
const NAME: &str = "cargo-match-audit";

/// Names how the program is built; a change of it makes a new one.
const RECIPE: &str = "own target";

/// The folders of the match auditor that are no part of the program.
const APART: [&str; 2] = ["target", "difftest"];

/// Runs `cargo xtask match-audit`.
pub(crate) fn command(options: &MatchAuditOptions) -> Result<ExitCode> {
    let status = audit()?
        .args(&options.arguments)
        .status()
        .with_context(|| format!("cannot start {NAME}"))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Compares this workspace's wildcards with those that were judged: `match-audit.toml`.
pub(crate) fn check() -> Result<()> {
    process::run(audit()?.arg("check"))
}

/// Returns the folder of the match auditor's own workspace.
pub(crate) fn folder() -> PathBuf {
    paths::workspace_root().join("match-audit")
}

/// Gives a cargo command on the match auditor's workspace what building and testing all of it
/// needs.
pub(crate) fn set_up(command: &mut Command) -> Result<()> {
    command
        .current_dir(folder())
        // Never shared between working copies: cargo would take what one of them built for up to
        // date in another one.
        .env("CARGO_TARGET_DIR", target())
        .env("RUST_SRC_PATH", rust_target::library()?);
    Ok(())
}

fn target() -> PathBuf {
    folder().join("target")
}

/// Returns the program, ready for its arguments.
fn audit() -> Result<Command> {
    let mut command = paths::program(ensure_program()?);
    command
        .arg("match-audit")
        .env("RUST_SRC_PATH", rust_target::library()?);
    Ok(command)
}

fn ensure_program() -> Result<PathBuf> {
    let kept = kept()?;
    let dir = kept.join(fingerprint(&folder(), &rust_target::version()?)?);
    let program = dir.join(NAME);
    if program.is_file() {
        return Ok(program);
    }
    let _lock = lock::acquire(&kept, "build")?;
    // Another run may have built it while we waited.
    if !program.is_file() {
        eprintln!("building the match auditor; the first time takes some minutes");
        let built = target().join("release").join(NAME);
        build(&built)?;
        std::fs::create_dir_all(&dir)?;
        let staged = dir.join("staged");
        std::fs::copy(&built, &staged)?;
        std::fs::rename(&staged, &program)?;
    }
    Ok(program)
}

fn build(built: &Path) -> Result<()> {
    let mut build = paths::cargo();
    set_up(&mut build)?;
    build.args([
        "build",
        "--quiet",
        "--release",
        "--locked",
        "--package",
        NAME,
    ]);
    process::run(&mut build)?;
    ensure!(built.is_file(), "cargo built no {}", built.display());
    let mut tests = paths::program(cargo_tools::nextest()?);
    set_up(&mut tests)?;
    tests.args([
        "nextest",
        "run",
        "--release",
        "--locked",
        "--hide-progress-bar",
    ]);
    tests.args(["--package", NAME, "--package", "match-audit-frontend"]);
    process::run(&mut tests)
}

fn kept() -> Result<PathBuf> {
    let dir = paths::cache_dir()?.join("match-audit");
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    Ok(dir)
}

/// Names what the program is made from.
fn fingerprint(folder: &Path, compiler: &str) -> Result<String> {
    let mut files = Vec::new();
    collect(folder, &mut files)?;
    files.sort();
    let mut hash = Sha256::new();
    hash.update(RECIPE);
    hash.update(compiler);
    for file in files {
        let name = file.strip_prefix(folder).unwrap_or(&file);
        let text =
            std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        hash.update(name.as_os_str().as_encoded_bytes());
        // Lengths, so that what ends one file cannot begin the next.
        hash.update(text.len().to_le_bytes());
        hash.update(text);
    }
    let hash = hash.finalize();
    Ok(hash
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = std::fs::read_dir(folder);
    for entry in entries.with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            if !APART.iter().any(|apart| entry.file_name() == *apart) {
                collect(&path, files)?;
            }
        } else if let Some("rs" | "toml" | "lock") = path.extension().and_then(|it| it.to_str()) {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_s_name_changes_with_its_sources_and_the_compiler_only() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let name = || fingerprint(dir.path(), "1").unwrap();
        write("cli/src/main.rs", "a");
        let first = name();
        write("README.md", "words");
        write("target/release/x.rs", "built");
        write("difftest/src/main.rs", "another program");
        assert_eq!(name(), first);
        assert_ne!(fingerprint(dir.path(), "2").unwrap(), first);
        write("Cargo.lock", "a newer library");
        let second = name();
        assert_ne!(second, first);
        write("cli/src/main.rs", "b");
        assert_ne!(name(), second);
    }
}
