//! The emulator: QEMU 9 or newer.

use super::host::{self, Family, Host};
use super::{Mode, apt};
use crate::{paths, process};
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::Command;

/// The program.
const PROGRAM: &str = "qemu-system-aarch64";

/// The package that holds it on Debian and Ubuntu.
const PACKAGE: &str = "qemu-system-arm";

/// Where Debian 12 has a new enough one.
pub(crate) const BACKPORTS: &str = "bookworm-backports";

/// The oldest major version that has what the tests need (secure EL2 timers, RME).
const OLDEST: u32 = 9;

/// Names another emulator than the one on the path.
const PATH_VARIABLE: &str = "BULKHEAD_QEMU";

/// An emulator that can be used.
#[derive(Clone, Debug)]
pub(crate) struct Qemu {
    /// Its program.
    pub(crate) program: PathBuf,
    /// Its version, for people.
    pub(crate) version: String,
}

impl Qemu {
    /// Says which emulator this is.
    pub(crate) fn describe(&self) -> String {
        format!("{} {}", self.program.display(), self.version)
    }
}

/// Returns the emulator, installing it first where it is missing or too old.
pub(crate) fn ensure() -> Result<Qemu> {
    if let Some(path) = std::env::var_os(PATH_VARIABLE).filter(|path| !path.is_empty()) {
        return usable(path.into()).with_context(|| format!("{PATH_VARIABLE} can't be used"));
    }
    let problem = match find() {
        Ok(qemu) => return Ok(qemu),
        Err(problem) => problem,
    };
    eprintln!("{problem:#}");
    install(Mode::Apply)?;
    find().context("QEMU was installed, but it still can't be used")
}

/// Installs the emulator by the system's package manager, or fails with advice for a person.
///
/// Debian 12's own QEMU is too old: there it comes from the backports, through a private list.
pub(crate) fn install(mode: Mode) -> Result<()> {
    let host = host::detect();
    if host.family != Family::Debian {
        bail!(
            "QEMU {OLDEST} or newer is needed ({PROGRAM}); install it by: {}",
            host.family.package_advice()
        );
    }
    let mut command = host::as_root("apt-get")?;
    if host.is_bookworm() {
        let suite = BACKPORTS;
        let sources = sources(&host)?;
        let cache = paths::cache_dir()?;
        let lists = apt::PrivateLists::open(&cache, "qemu", &sources, "")?;
        command.args(lists.options()).args(["-t", suite]);
        // The lock on the lists ends here; apt-get takes its own.
    }
    if mode == Mode::DryRun {
        command.arg("--simulate");
    } else {
        command.arg("--yes");
    }
    command.args(["install", "--no-install-recommends", PACKAGE]);
    command.env("DEBIAN_FRONTEND", "noninteractive");
    eprintln!("QEMU {OLDEST} or newer is installed as the package {PACKAGE}:");
    process::run(&mut command)
}

/// Returns where this machine's QEMU comes from: its own sources, and the backports on Debian 12.
pub(crate) fn sources(host: &Host) -> Result<Vec<apt::Source>> {
    let mut sources = apt::machine_sources();
    sources.retain(|source| {
        source
            .suites
            .iter()
            .any(|name| name.starts_with(&host.codename))
    });
    if host.is_bookworm() {
        sources.push(apt::debian_source(BACKPORTS)?);
    }
    Ok(sources)
}

fn find() -> Result<Qemu> {
    let program =
        paths::find_program(PROGRAM).with_context(|| format!("{PROGRAM} is not installed"))?;
    usable(program)
}

fn usable(program: PathBuf) -> Result<Qemu> {
    let text = process::capture(Command::new(&program).arg("--version"))?;
    let (major, version) =
        parse_version(&text).with_context(|| format!("{} gives no version", program.display()))?;
    if major < OLDEST {
        bail!(
            "{} is version {version}; {OLDEST} or newer is needed",
            program.display()
        );
    }
    Ok(Qemu { program, version })
}

fn parse_version(text: &str) -> Option<(u32, String)> {
    let version = text.split("version ").nth(1)?.split_whitespace().next()?;
    let major = version.split('.').next()?.parse().ok()?;
    Some((major, version.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_the_first_line() {
        let text = "QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)\nCopyright (c) 2003\n";
        assert_eq!(parse_version(text), Some((10, "10.0.2".to_owned())));
        assert_eq!(parse_version("no such thing"), None);
    }
}
