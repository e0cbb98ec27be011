//! The machine that this tool runs on: its system, and how packages are installed there.

use crate::paths;
use anyhow::{Result, bail};
use std::collections::BTreeMap;
use std::process::Command;

/// A family of systems that name and install packages alike.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Family {
    /// Debian, Ubuntu and what derives from them: the only family where this tool installs.
    Debian,
    /// Fedora and its relatives.
    Fedora,
    /// Arch Linux.
    Arch,
    /// macOS with Homebrew.
    MacOs,
    /// Anything else.
    Other,
}

/// What is known of the system.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    /// How its packages are installed.
    pub(crate) family: Family,
    /// The distribution's identifier (`debian`, `ubuntu`); empty where unknown.
    pub(crate) id: String,
    /// The release's code name (`bookworm`); empty where there is none.
    pub(crate) codename: String,
}

impl Host {
    /// Tells Debian 12, whose own QEMU is too old.
    pub(crate) fn is_bookworm(&self) -> bool {
        self.id == "debian" && self.codename == "bookworm"
    }
}

/// Finds out which system this is.
pub(crate) fn detect() -> Host {
    if cfg!(target_os = "macos") {
        return Host {
            family: Family::MacOs,
            id: "macos".to_owned(),
            codename: String::new(),
        };
    }
    let text = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    from_os_release(&text)
}

impl Family {
    /// Returns the command by which a person installs QEMU and what the set-up needs beside it.
    pub(crate) fn package_advice(self) -> &'static str {
        match self {
            Family::Debian => "apt-get install --no-install-recommends qemu-system-arm dpkg apt",
            Family::Fedora => "dnf install qemu-system-aarch64",
            Family::Arch => "pacman -S qemu-system-aarch64",
            Family::MacOs => "brew install qemu",
            Family::Other => "install QEMU 9 or newer with qemu-system-aarch64 on the path",
        }
    }
}

/// Returns a command that runs `program` as root: directly, or by sudo.
pub(crate) fn as_root(program: &str) -> Result<Command> {
    if nix::unistd::geteuid().is_root() {
        return Ok(Command::new(program));
    }
    if paths::find_program("sudo").is_none() {
        bail!("installing packages needs root, and there is no sudo: run this once as root");
    }
    let mut command = Command::new("sudo");
    command.arg(program);
    Ok(command)
}

fn from_os_release(text: &str) -> Host {
    let fields: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.trim(), value.trim().trim_matches(['"', '\''])))
        .collect();
    let get = |key: &str| fields.get(key).copied().unwrap_or_default();
    let mut names = vec![get("ID")];
    names.extend(get("ID_LIKE").split_whitespace());
    let family = names
        .iter()
        .find_map(|name| match *name {
            "debian" | "ubuntu" => Some(Family::Debian),
            "fedora" | "rhel" => Some(Family::Fedora),
            "arch" => Some(Family::Arch),
            _ => None,
        })
        .unwrap_or(Family::Other);
    Host {
        family,
        id: get("ID").to_owned(),
        codename: get("VERSION_CODENAME").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systems_are_told_apart_by_their_release_file() {
        let debian = from_os_release("ID=debian\nVERSION_CODENAME=bookworm\n");
        assert_eq!(debian.family, Family::Debian);
        assert_eq!(debian.codename, "bookworm");
        let mint = from_os_release("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n");
        assert_eq!(mint.family, Family::Debian);
        assert_eq!(from_os_release("ID=\"fedora\"\n").family, Family::Fedora);
        assert_eq!(
            from_os_release("ID=manjaro\nID_LIKE=arch\n").family,
            Family::Arch
        );
        assert_eq!(from_os_release("").family, Family::Other);
    }
}
