//! The guests that run under us: an unmodified distribution kernel, and a small root file system.
//!
//! A description names them symbolically: `debian` is the kernel and `busybox` the initial root
//! file system of the default suite; `debian:trixie` and `busybox:trixie` choose a suite.

pub(crate) mod debian;
pub(crate) mod initramfs;
pub(crate) mod lock_file;
pub(crate) mod modules;

use crate::cli::GuestsOptions;
use crate::paths;
use anyhow::{Result, bail, ensure};
use debian::DebianGuest;
use pack::FileRole;
use std::path::PathBuf;

/// The suite whose kernel and tools are used where none is chosen.
pub(crate) const DEFAULT_SUITE: &str = "bookworm";

/// Runs `cargo xtask guests`.
pub(crate) fn command(options: &GuestsOptions) -> Result<()> {
    let cache = paths::cache_dir()?;
    let mut wanted: Vec<String> = initramfs::MODULES.map(str::to_owned).to_vec();
    wanted.extend(options.modules.iter().cloned());
    let guest = debian::ensure(&cache, &options.suite, &wanted, options.refresh)?;
    let initramfs = initramfs::build(&guest, &options.extra)?;
    for package in &guest.lock.packages {
        println!("{package}");
    }
    println!("kernel {}", guest.kernel().display());
    println!("initramfs {}", initramfs.display());
    Ok(())
}

/// Returns the file that a symbolic name stands for, fetching or building it where it is missing.
pub(crate) fn resolve(role: FileRole, name: &str) -> Result<PathBuf> {
    let suite = suite_of(role, name)?;
    let guest = fetch(suite)?;
    match role {
        FileRole::Kernel => Ok(guest.kernel()),
        FileRole::Initrd => initramfs::build(&guest, &[]),
        FileRole::Disk => no_disk(name),
    }
}

fn no_disk<T>(name: &str) -> Result<T> {
    bail!("`{name}` is no disk that can be fetched; use a path such as ./{name}")
}

/// Returns the suite that a symbolic name chooses.
fn suite_of(role: FileRole, name: &str) -> Result<&str> {
    let known = match role {
        FileRole::Kernel => "debian",
        FileRole::Initrd => "busybox",
        FileRole::Disk => return no_disk(name),
    };
    let (kind, suite) = name.split_once(':').unwrap_or((name, DEFAULT_SUITE));
    ensure!(
        kind == known,
        "`{name}` is nothing that can be fetched; use {known}, {known}:SUITE, or a path such as ./{name}"
    );
    Ok(suite)
}

/// Returns the guest of a suite with the kernel modules that the root file system loads.
pub(crate) fn fetch(suite: &str) -> Result<DebianGuest> {
    let wanted: Vec<String> = initramfs::MODULES.map(str::to_owned).to_vec();
    debian::ensure(&paths::cache_dir()?, suite, &wanted, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_choose_a_suite_and_other_names_are_told_how_to_be_paths() {
        let kernel = |name| suite_of(FileRole::Kernel, name);
        assert_eq!(kernel("debian").unwrap(), DEFAULT_SUITE);
        assert_eq!(kernel("debian:trixie").unwrap(), "trixie");
        assert_eq!(suite_of(FileRole::Initrd, "busybox:sid").unwrap(), "sid");
        assert!(kernel("busybox").is_err());
        let error = kernel("vmlinuz").unwrap_err().to_string();
        assert!(error.contains("./vmlinuz"), "{error}");
    }
}
