//! Where things are: the workspace, what is built, and the user's cache directory.

use anyhow::{Context, Result};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns the root of the workspace that this tool was built from.
pub(crate) fn workspace_root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest
        .ancestors()
        .nth(2)
        .map_or_else(|| manifest.to_path_buf(), Path::to_path_buf)
}

/// Returns the directory that cargo builds into, as cargo itself sees it.
pub(crate) fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) if !dir.is_empty() => std::path::absolute(&dir).unwrap_or_else(|_| dir.into()),
        _ => workspace_root().join("target"),
    }
}

/// Returns the directory that keeps what is fetched or built once per user, creating it.
pub(crate) fn cache_dir() -> Result<PathBuf> {
    let dir = cache_dir_from(std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME"))
        .context("neither XDG_CACHE_HOME nor HOME names a directory to keep the cache in")?;
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    Ok(dir)
}

/// Returns the cargo that runs us, or the one on the path.
pub(crate) fn cargo() -> Command {
    program(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Returns a command that runs a program as if the user had called it in the workspace's root.
pub(crate) fn program(name: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(name);
    command.current_dir(workspace_root());
    // What `cargo run` sets for this package must not reach other packages' builds.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Returns the path of a program on the user's `PATH`.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|candidate| candidate.is_file())
}

fn cache_dir_from(xdg: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    // The XDG base directory specification: a relative path is invalid and ignored.
    let xdg = xdg.map(PathBuf::from).filter(|dir| dir.is_absolute());
    let home = home.map(PathBuf::from).filter(|dir| dir.is_absolute());
    xdg.or_else(|| home.map(|dir| dir.join(".cache")))
        .map(|dir| dir.join("bulkhead"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_prefers_xdg_and_ignores_relative_paths() {
        let at = |xdg: Option<&str>, home: Option<&str>| {
            cache_dir_from(xdg.map(OsString::from), home.map(OsString::from))
        };
        assert_eq!(at(Some("/x"), Some("/h")), Some("/x/bulkhead".into()));
        assert_eq!(at(Some("x"), Some("/h")), Some("/h/.cache/bulkhead".into()));
        assert_eq!(at(Some(""), Some("/h")), Some("/h/.cache/bulkhead".into()));
        assert_eq!(at(None, None), None);
    }

    #[test]
    fn the_workspace_root_holds_the_lock_file() {
        assert!(workspace_root().join("Cargo.lock").is_file());
    }
}
