//! Installs what is missing: the bare-metal target, the emulator, cargo's extra commands.

pub(crate) mod apt;
pub(crate) mod cargo_tools;
pub(crate) mod host;
pub(crate) mod lock;
pub(crate) mod qemu;
pub(crate) mod qos_test;
pub(crate) mod rust_target;

use crate::cli::SetupOptions;
use anyhow::Result;
use rust_target::RustTarget;

/// Whether to do a thing or only to say what would be done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mode {
    /// Do it.
    Apply,
    /// Say it, and let the package manager simulate it.
    DryRun,
}

/// Runs `cargo xtask setup`.
pub(crate) fn command(options: &SetupOptions) -> Result<()> {
    if options.dry_run {
        println!("would use {}", rust_target::plan()?);
        qemu::install(Mode::DryRun)?;
        println!("{}", cargo_tools::plan()?);
        return Ok(());
    }
    let target = ensure_rust_target()?;
    println!("bare-metal target: {}", target.describe());
    println!("emulator: {}", qemu::ensure()?.describe());
    let tools = cargo_tools::ensure()?;
    println!("cargo-deny: {}", tools.deny.display());
    println!("cargo-nextest: {}", tools.nextest.display());
    Ok(())
}

/// Returns the bare-metal target, installing it where it is missing.
pub(crate) fn ensure_rust_target() -> Result<RustTarget> {
    rust_target::ensure()
}
