//! Fetches an unmodified Debian arm64 kernel and busybox, once; later runs are offline.

use super::lock_file::{LockFile, LockedPackage, sha256_of};
use super::modules::ModuleTree;
use crate::setup::{apt, lock};
use anyhow::{Context, Result, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The package that always depends on the newest kernel of a suite.
const KERNEL_METAPACKAGE: &str = "linux-image-arm64";

/// The packages that a kernel may be split into (7.x: the image and the modules apart).
const KERNEL_PREFIXES: [&str; 3] = ["linux-image-", "linux-binary-", "linux-modules-"];

/// The package of the root file system's one program.
const BUSYBOX_PACKAGE: &str = "busybox-static";

/// What the cache holds of one suite.
#[derive(Clone, Debug)]
pub(crate) struct DebianGuest {
    /// Its folder.
    pub(crate) dir: PathBuf,
    /// What it was made of.
    pub(crate) lock: LockFile,
}

impl DebianGuest {
    /// Returns the kernel: an arm64 `Image`, as the distribution ships it.
    pub(crate) fn kernel(&self) -> PathBuf {
        self.dir.join("vmlinuz")
    }

    /// Returns busybox, statically linked.
    pub(crate) fn busybox(&self) -> PathBuf {
        self.dir.join("busybox")
    }

    /// Returns the uncompressed file of a kernel module of the lock file's list.
    pub(crate) fn module(&self, name: &str) -> PathBuf {
        self.dir.join("modules").join(format!("{name}.ko"))
    }

    fn is_complete(&self) -> bool {
        self.kernel().is_file()
            && self.busybox().is_file()
            && self
                .lock
                .modules
                .iter()
                .all(|name| self.module(name).is_file())
    }
}

/// Returns the guest of a suite with the wanted kernel modules, fetching it where it is missing.
///
/// `refresh` fetches even so, which takes the archive's newest versions.
pub(crate) fn ensure(
    cache: &Path,
    suite: &str,
    wanted_modules: &[String],
    refresh: bool,
) -> Result<DebianGuest> {
    check_suite(suite)?;
    let parent = cache.join("guests");
    std::fs::create_dir_all(&parent)?;
    let _lock = lock::acquire(&parent, suite)?;
    let dir = parent.join(suite);
    if !refresh && let Some(found) = LockFile::read(&dir) {
        let guest = DebianGuest { dir, lock: found };
        let has_modules = wanted_modules
            .iter()
            .all(|name| guest.lock.wanted_modules.contains(name));
        if guest.is_complete() && has_modules {
            return Ok(guest);
        }
        return unpack(&parent, suite, guest.lock.packages, wanted_modules);
    }
    let packages = fetch(cache, &parent, suite).with_context(|| {
        format!("cannot fetch the guests of Debian {suite}; without them, give --kernel FILE --initrd FILE: an arm64 Linux Image and an initial root file system")
    })?;
    unpack(&parent, suite, packages, wanted_modules)
}

/// Refuses what can't be the name of a suite, before it becomes part of a path.
fn check_suite(suite: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    ensure!(
        !suite.is_empty()
            && suite.starts_with(|c: char| c.is_ascii_alphabetic())
            && suite.chars().all(plain),
        "`{suite}` is not the name of a Debian suite"
    );
    Ok(())
}

fn fetch(cache: &Path, parent: &Path, suite: &str) -> Result<Vec<LockedPackage>> {
    let mut suites = vec![suite.to_owned()];
    if let Some(base) = suite.strip_suffix("-backports") {
        // Backports hold only what differs.
        suites.push(base.to_owned());
    }
    let sources = suites
        .iter()
        .map(|suite| apt::debian_source(suite))
        .collect::<Result<Vec<_>>>()?;
    let own = apt::machine_architecture()?;
    let architectures = if own == "arm64" {
        own
    } else {
        format!("{own},arm64")
    };
    let lists =
        apt::PrivateLists::open(cache, &format!("guests-{suite}"), &sources, &architectures)?
            .prefer(suite);

    let mut names = vec![BUSYBOX_PACKAGE.to_owned()];
    names.extend(kernel_packages(&lists)?);
    let packages_dir = parent.join("packages");
    std::fs::create_dir_all(&packages_dir)?;
    let progress = spinner();
    let mut packages = Vec::new();
    for name in names {
        let qualified = format!("{name}:arm64");
        let version = lists.field(&qualified, "Version")?;
        progress.set_message(format!("fetching {name} {version} of {suite}"));
        let file = lists.download(&qualified, &packages_dir)?;
        packages.push(LockedPackage {
            sha256: sha256_of(&file)?,
            file: file
                .file_name()
                .context("a package file without a name")?
                .to_string_lossy()
                .into_owned(),
            name,
            version,
        });
    }
    progress.finish_and_clear();
    Ok(packages)
}

/// Follows the metapackage to the packages that hold the kernel and its modules.
fn kernel_packages(lists: &apt::PrivateLists) -> Result<Vec<String>> {
    let mut found: Vec<String> = Vec::new();
    let mut waiting = vec![KERNEL_METAPACKAGE.to_owned()];
    while let Some(name) = waiting.pop() {
        // A kernel may depend on nothing at all; a missing field is no error.
        let depends = lists
            .field(&format!("{name}:arm64"), "Depends")
            .unwrap_or_default();
        for dependency in kernel_dependencies(&depends) {
            if !found.contains(&dependency) {
                found.push(dependency.clone());
                waiting.push(dependency);
            }
        }
    }
    ensure!(
        !found.is_empty(),
        "{KERNEL_METAPACKAGE} depends on no kernel"
    );
    Ok(found)
}

/// Returns the packages of a `Depends` field that are parts of a kernel.
fn kernel_dependencies(depends: &str) -> Vec<String> {
    depends
        .split(',')
        .filter_map(|clause| clause.split('|').next()?.split_whitespace().next())
        .map(|name| name.split(':').next().unwrap_or(name).to_owned())
        .filter(|name| {
            KERNEL_PREFIXES
                .iter()
                .any(|prefix| name.starts_with(prefix))
        })
        .collect()
}

/// Unpacks fetched packages and keeps what is needed of them.
fn unpack(
    parent: &Path,
    suite: &str,
    packages: Vec<LockedPackage>,
    wanted_modules: &[String],
) -> Result<DebianGuest> {
    let progress = spinner();
    progress.set_message(format!("unpacking the guests of {suite}"));
    let staged = parent.join(format!("{suite}.unpack-{}", std::process::id()));
    let tree = staged.join("tree");
    let result = unpack_into(parent, &staged, &tree, packages, wanted_modules).and_then(|lock| {
        std::fs::remove_dir_all(&tree)?;
        lock.write(&staged)?;
        let dir = parent.join(suite);
        if dir.exists() {
            std::fs::remove_dir_all(&dir)?;
        }
        std::fs::rename(&staged, &dir)?;
        Ok(DebianGuest { dir, lock })
    });
    if result.is_err() {
        // Half of a guest is of no use; the next run starts over.
        let _ = std::fs::remove_dir_all(&staged);
    }
    progress.finish_and_clear();
    result
}

fn unpack_into(
    parent: &Path,
    staged: &Path,
    tree: &Path,
    packages: Vec<LockedPackage>,
    wanted_modules: &[String],
) -> Result<LockFile> {
    for package in &packages {
        let file = parent.join("packages").join(&package.file);
        ensure!(
            sha256_of(&file)? == package.sha256,
            "{} is not the file that was fetched; run `cargo xtask guests --refresh`",
            file.display()
        );
        apt::unpack(&file, tree)?;
    }
    let busybox = ["bin/busybox", "usr/bin/busybox"]
        .iter()
        .map(|path| tree.join(path))
        .find(|path| path.is_file())
        .with_context(|| format!("{BUSYBOX_PACKAGE} holds no busybox"))?;
    std::fs::copy(busybox, staged.join("busybox"))?;

    let (release, modules_root) = modules_folder(tree)?;
    let kernel = [
        tree.join("boot").join(format!("vmlinuz-{release}")),
        modules_root.join("vmlinuz"),
    ]
    .into_iter()
    .find(|path| path.is_file())
    .with_context(|| format!("the packages of {release} hold no kernel"))?;
    std::fs::copy(kernel, staged.join("vmlinuz"))?;

    let modules = ModuleTree::scan(&modules_root).load_order(wanted_modules)?;
    std::fs::create_dir_all(staged.join("modules"))?;
    for module in &modules {
        let file = staged.join("modules").join(format!("{}.ko", module.name));
        std::fs::write(file, &module.bytes)?;
    }
    Ok(LockFile {
        release,
        wanted_modules: wanted_modules.to_vec(),
        modules: modules.into_iter().map(|module| module.name).collect(),
        packages,
    })
}

/// Finds `lib/modules/RELEASE`, and with it the kernel's release.
fn modules_folder(tree: &Path) -> Result<(String, PathBuf)> {
    for parent in ["lib/modules", "usr/lib/modules"] {
        let Ok(entries) = std::fs::read_dir(tree.join(parent)) else {
            continue;
        };
        if let Some(entry) = entries.flatten().next() {
            let release = entry.file_name().to_string_lossy().into_owned();
            return Ok((release, entry.path()));
        }
    }
    bail!("the kernel's packages hold no modules, so its release is not known")
}

fn spinner() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_parts_of_the_kernel_are_followed() {
        let depends = "kmod, linux-base (>= 4.3~), initramfs-tools (>= 0.120+deb8u2) | linux-initramfs-tool, linux-modules-7.2.1-arm64 (= 7.2.1-1), linux-binary-7.2.1-arm64:arm64 (= 7.2.1-1)";
        assert_eq!(
            kernel_dependencies(depends),
            ["linux-modules-7.2.1-arm64", "linux-binary-7.2.1-arm64"]
        );
    }

    #[test]
    fn a_suite_can_not_leave_the_cache() {
        for good in ["bookworm", "trixie-backports"] {
            assert!(check_suite(good).is_ok());
        }
        for bad in ["", "..", "a/b", "-x", "a b"] {
            assert!(check_suite(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_incomplete_folder_is_not_taken_for_a_guest() {
        let dir = tempfile::tempdir().unwrap();
        let guest = DebianGuest {
            dir: dir.path().to_path_buf(),
            lock: LockFile {
                modules: vec!["m".to_owned()],
                ..LockFile::default()
            },
        };
        std::fs::write(guest.kernel(), "").unwrap();
        std::fs::write(guest.busybox(), "").unwrap();
        assert!(!guest.is_complete());
        std::fs::create_dir(dir.path().join("modules")).unwrap();
        std::fs::write(guest.module("m"), "").unwrap();
        assert!(guest.is_complete());
    }
}
