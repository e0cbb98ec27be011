//! Builds the bare-metal images: cargo for the target, then ELF to raw binary.

use crate::cli::{BareOptions, BuildImageOptions};
use crate::setup::rust_target::{self, RustTarget, TARGET};
use crate::{elf, paths, process, setup};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Names one image: a package under `images/` or `payloads/`, and its binary.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ImageName {
    /// The package.
    pub(crate) package: &'static str,
    /// The binary target of that package.
    pub(crate) bin: &'static str,
}

/// The NS-EL2 hypervisor.
pub(crate) const HYPERVISOR: ImageName = ImageName {
    package: "hypervisor-image",
    bin: "bulkhead-hypervisor",
};

/// The cargo profile of images.
const PROFILE: &str = "image";

/// What a build of an image leaves behind.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    /// The ELF, with symbols, for a debugger.
    pub(crate) elf: PathBuf,
    /// The raw binary that is booted.
    pub(crate) raw: PathBuf,
}

/// Runs `cargo xtask build-image`.
pub(crate) fn command(options: &BuildImageOptions) -> Result<()> {
    let bin = match (&options.bin, options.package == HYPERVISOR.package) {
        (Some(bin), _) => bin.clone(),
        (None, true) => HYPERVISOR.bin.to_owned(),
        (None, false) => options.package.clone(),
    };
    let target = setup::ensure_rust_target()?;
    let image = build(&target, &options.package, &bin)?;
    println!("{}", image.elf.display());
    println!("{}", image.raw.display());
    Ok(())
}

/// Runs `cargo xtask bare`: cargo with the user's arguments, for the bare-metal target.
pub(crate) fn bare(options: &BareOptions) -> Result<ExitCode> {
    let target = setup::ensure_rust_target()?;
    let (subcommand, rest) = options
        .arguments
        .split_first()
        .context("say which cargo command to run")?;
    let mut command = cargo(&target);
    command
        .arg(subcommand)
        .args(["--target", TARGET])
        .args(rest);
    let status = command.status().context("cannot start cargo")?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Builds the hypervisor's image.
pub(crate) fn build_hypervisor(target: &RustTarget) -> Result<Image> {
    build(target, HYPERVISOR.package, HYPERVISOR.bin)
}

/// Builds one image and writes its raw binary beside its ELF.
pub(crate) fn build(target: &RustTarget, package: &str, bin: &str) -> Result<Image> {
    let mut command = cargo(target);
    command.args(build_arguments(package, bin));
    process::run(&mut command).with_context(|| format!("cannot build the image {package}"))?;

    let elf_path = folder().join(bin);
    let bytes =
        std::fs::read(&elf_path).with_context(|| format!("cannot read {}", elf_path.display()))?;
    let raw = elf::to_raw(&bytes)
        .with_context(|| format!("cannot convert {} to a raw binary", elf_path.display()))?;
    elf::check_image_header(&raw).with_context(|| format!("{package} can't be booted"))?;
    let raw_path = elf_path.with_file_name(format!("{bin}.bin"));
    // Another run may be reading the old file: replace it whole.
    let partial = elf_path.with_file_name(format!("{bin}.bin.{}", std::process::id()));
    std::fs::write(&partial, &raw)
        .and_then(|()| std::fs::rename(&partial, &raw_path))
        .with_context(|| format!("cannot write {}", raw_path.display()))?;
    eprintln!("{bin}: {} bytes", raw.len());
    Ok(Image {
        elf: elf_path,
        raw: raw_path,
    })
}

/// Returns cargo's arguments for building one image.
pub(crate) fn build_arguments<'a>(package: &'a str, bin: &'a str) -> [&'a str; 10] {
    [
        "build",
        "--quiet",
        "--target",
        TARGET,
        "--profile",
        PROFILE,
        "--package",
        package,
        "--bin",
        bin,
    ]
}

/// Returns the folder that images and their raw binaries are built into.
pub(crate) fn folder() -> PathBuf {
    folder_in(&target_dir())
}

/// As [`folder`], below another folder that cargo builds into.
pub(crate) fn folder_in(target_dir: &Path) -> PathBuf {
    target_dir.join(TARGET).join(PROFILE)
}

/// The folder that cargo builds into for the bare-metal target. It is not the host's: build scripts
/// look at `RUSTC_BOOTSTRAP`, so both would build host programs again after each other.
fn target_dir() -> PathBuf {
    paths::target_dir().join("bare")
}

/// Returns a cargo that finds core and alloc of the bare-metal target, and protects branches.
pub(crate) fn cargo(target: &RustTarget) -> Command {
    let variable = format!(
        "CARGO_TARGET_{}_RUSTFLAGS",
        TARGET.to_uppercase().replace('-', "_")
    );
    let mut flags = format!(
        "{} {}",
        rust_target::sysroot_flag(&target.sysroot),
        rust_target::PROTECTION
    );
    if let Ok(given) = std::env::var(&variable) {
        flags = format!("{given} {flags}");
    }
    let mut command = paths::cargo();
    command
        .env(variable, flags)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_DIR", target_dir());
    command
}

/// Refuses a sysroot path that can't be passed through a space-separated variable.
pub(crate) fn check_flag(flag: &str) -> Result<()> {
    if flag.contains(char::is_whitespace) {
        bail!("the cache directory's path holds a space, which RUSTFLAGS can't carry: {flag}");
    }
    Ok(())
}
