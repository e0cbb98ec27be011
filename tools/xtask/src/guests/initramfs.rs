//! Builds the small root file system: busybox, a first process, chosen kernel modules.

use super::debian::DebianGuest;
use anyhow::{Context, Result};
use archive::{DeviceNumber, Writer};
use sha2::{Digest, Sha256};
use std::path::PathBuf;
use std::str::FromStr;

/// Kernel modules that the guest loads at boot where its kernel has them as modules; what they
/// depend on is loaded before them. A device that needs a driver adds a line here.
pub(crate) const MODULES: [&str; 5] = [
    "pvpanic-mmio",
    "virtio-mmio",
    "virtio-blk",
    "virtio-rng",
    "virtio-console",
];

/// The first process. `bulkhead.run="WORDS"` on the kernel's command line runs a shell command
/// instead of the interactive shell.
const INIT: &str = include_str!("init.sh");

/// The folders of the root file system, parents first.
const FOLDERS: [&str; 12] = [
    "bin",
    "sbin",
    "usr",
    "usr/bin",
    "usr/sbin",
    "dev",
    "etc",
    "lib",
    "lib/modules",
    "proc",
    "sys",
    "tmp",
];

/// A file of the user that goes into the root file system.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ExtraFile {
    /// The file on this machine.
    pub(crate) source: PathBuf,
    /// Its absolute path in the guest; it is executable there.
    pub(crate) guest_path: String,
}

impl FromStr for ExtraFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (source, guest_path) = text
            .rsplit_once(':')
            .ok_or("give FILE:/PATH/IN/GUEST, separated by a colon")?;
        let rest = guest_path
            .strip_prefix('/')
            .ok_or("the path in the guest must begin with /")?;
        if rest.is_empty() || rest.split('/').any(|part| part.is_empty() || part == "..") {
            return Err(format!("{guest_path} is no path of a file"));
        }
        Ok(ExtraFile {
            source: source.into(),
            guest_path: guest_path.to_owned(),
        })
    }
}

/// Builds the root file system of a guest and returns its file in the cache.
///
/// The same contents always have the same name, so that runs share it and none sees half a file.
pub(crate) fn build(guest: &DebianGuest, extra: &[ExtraFile]) -> Result<PathBuf> {
    let bytes = assemble(guest, extra)?;
    let hash = Sha256::digest(&bytes);
    let tag: String = hash
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let path = guest.dir.join(format!("initramfs-{tag}.cpio"));
    if !path.is_file() {
        let partial = path.with_extension(format!("partial-{}", std::process::id()));
        std::fs::write(&partial, &bytes)
            .and_then(|()| std::fs::rename(&partial, &path))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(path)
}

fn assemble(guest: &DebianGuest, extra: &[ExtraFile]) -> Result<Vec<u8>> {
    let read = |path: &PathBuf| {
        std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
    };
    let mut archive = Writer::new();
    for folder in FOLDERS {
        archive.directory(folder, 0o755)?;
    }
    archive.directory("root", 0o700)?;
    // The kernel opens this for the first process, before there is a /dev.
    archive.device(
        "dev/console",
        0o600,
        DeviceNumber::Character { major: 5, minor: 1 },
    )?;
    archive.file("init", 0o755, INIT.as_bytes())?;
    archive.file("bin/busybox", 0o755, &read(&guest.busybox())?)?;
    let mut order = String::new();
    for name in &guest.lock.modules {
        archive.file(
            &format!("lib/modules/{name}.ko"),
            0o644,
            &read(&guest.module(name))?,
        )?;
        order.push_str(name);
        order.push('\n');
    }
    archive.file("etc/modules", 0o644, order.as_bytes())?;
    let mut made: Vec<String> = FOLDERS.map(str::to_owned).to_vec();
    made.push("root".to_owned());
    for file in extra {
        let name = file.guest_path.trim_start_matches('/');
        for (end, _) in name.match_indices('/') {
            let folder = &name[..end];
            if !made.iter().any(|known| known == folder) {
                archive.directory(folder, 0o755)?;
                made.push(folder.to_owned());
            }
        }
        archive.file(name, 0o755, &read(&file.source)?)?;
    }
    Ok(archive.finish())
}

#[cfg(test)]
mod tests {
    use super::super::lock_file::LockFile;
    use super::*;
    use archive::Archive;

    fn guest(dir: &std::path::Path) -> DebianGuest {
        std::fs::create_dir(dir.join("modules")).unwrap();
        std::fs::write(dir.join("busybox"), "BB").unwrap();
        std::fs::write(dir.join("modules/one.ko"), "1").unwrap();
        std::fs::write(dir.join("modules/two.ko"), "2").unwrap();
        DebianGuest {
            dir: dir.to_path_buf(),
            lock: LockFile {
                modules: vec!["two".to_owned(), "one".to_owned()],
                ..LockFile::default()
            },
        }
    }

    #[test]
    fn the_root_holds_init_busybox_and_modules_in_order_of_loading() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = assemble(&guest(dir.path()), &[]).unwrap();
        let archive = Archive::parse(&bytes).unwrap();
        let data = |name: &str| archive.find(name).map(|entry| entry.data.to_vec());
        assert!(data("init").unwrap().starts_with(b"#!/bin/busybox sh\n"));
        assert_eq!(data("bin/busybox").unwrap(), b"BB");
        assert_eq!(data("etc/modules").unwrap(), b"two\none\n");
        assert_eq!(data("lib/modules/two.ko").unwrap(), b"2");
    }

    #[test]
    fn extra_files_bring_their_folders() {
        let dir = tempfile::tempdir().unwrap();
        let guest = guest(dir.path());
        let source = dir.path().join("busybox");
        let text = format!("{}:/opt/tests/fp", source.display());
        let extra: ExtraFile = text.parse().unwrap();
        let bytes = assemble(&guest, &[extra]).unwrap();
        let archive = Archive::parse(&bytes).unwrap();
        assert!(archive.entries().any(|entry| entry.name == "opt/tests"));
        assert!(archive.find("opt/tests/fp").is_some());
    }

    #[test]
    fn an_extra_file_needs_an_absolute_path_in_the_guest() {
        for bad in [
            "file",
            "file:",
            "file:x",
            "file:/",
            "file:/a/../b",
            "file:/a//b",
        ] {
            assert!(bad.parse::<ExtraFile>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_same_contents_have_the_same_name() {
        let dir = tempfile::tempdir().unwrap();
        let guest = guest(dir.path());
        assert_eq!(build(&guest, &[]).unwrap(), build(&guest, &[]).unwrap());
    }
}
