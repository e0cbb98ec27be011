//! QEMU's own device tests, `qos-test`: built, unmodified, from the distribution's source package.
//!
//! Everything comes through the machine's apt configuration into the cache: the upstream archive,
//! and the compiler's companions (GLib's headers, meson, ninja) as packages that are unpacked, not
//! installed. What is kept is the program, the libraries that it loads, and a note of what it was
//! built from.

use super::apt::{self, Contents, PrivateLists};
use super::host::{self, Family};
use super::{lock, qemu};
use crate::{paths, process};
use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The source package.
const PACKAGE: &str = "qemu";

/// The packages that the build needs beside a C compiler, Python and pkg-config. The libraries that
/// belong to a development package are added in its version.
const TOOLS: [&str; 5] = [
    "meson",
    "ninja-build",
    "python3-pycotap",
    "libglib2.0-dev",
    "libpcre2-dev",
];

/// The programs that the machine must have.
const PROGRAMS: [&str; 4] = ["cc", "pkg-config", "tar", "xz"];

/// How QEMU is configured. The tests are the same for every target; this one needs neither firmware
/// images nor a device tree library. VirtFS decides about the tests of 9p.
const CONFIGURATION: [&str; 11] = [
    "--disable-download",
    "--without-default-features",
    "--disable-user",
    "--disable-tools",
    "--disable-docs",
    "--disable-install-blobs",
    "--disable-werror",
    "--enable-attr",
    "--enable-virtfs",
    "--target-list=m68k-softmmu",
    "-Doptimization=0",
];

/// Where the build leaves the program.
const PROGRAM: &str = "tests/qtest/qos-test";

/// The libraries that the program loads and the machine may lack.
const LIBRARIES: [&str; 2] = ["libglib-2.0.so.", "libpcre2-8.so."];

/// The program, ready for use.
#[derive(Clone, Debug)]
pub(crate) struct QosTest {
    folder: PathBuf,
}

impl QosTest {
    /// Returns a command that runs it.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(self.folder.join("qos-test"));
        command.env("LD_LIBRARY_PATH", self.folder.join("lib"));
        command
    }

    /// Says what it was built from.
    pub(crate) fn describe(&self) -> String {
        let note = std::fs::read_to_string(self.folder.join(NOTE)).unwrap_or_default();
        note.lines().next().unwrap_or_default().to_owned()
    }
}

/// The file that says what the program was built from; it is written last.
const NOTE: &str = "built-from";

/// Tells whether this machine's packages can be used.
pub(crate) fn can_build() -> bool {
    host::detect().family == Family::Debian
}

/// Returns the program, building it where the cache lacks it: a few minutes.
pub(crate) fn ensure() -> Result<QosTest> {
    let cache = paths::cache_dir()?.join("qos-test");
    std::fs::create_dir_all(&cache)?;
    let folder = cache.join(recipe());
    if !folder.join(NOTE).is_file() {
        let _lock = lock::acquire(&cache, "build")?;
        // Another run may have built it while this one waited.
        if !folder.join(NOTE).is_file() {
            build(&cache, &folder).context("cannot build QEMU's qos-test")?;
        }
    }
    Ok(QosTest { folder })
}

/// Returns a name for all that this file says about the build.
fn recipe() -> String {
    let mut hash = Sha256::new();
    for word in CONFIGURATION.iter().chain(&TOOLS) {
        hash.update(word);
        hash.update("\n");
    }
    digits(&hash.finalize()[..6])
}

fn build(cache: &Path, folder: &Path) -> Result<()> {
    let host = host::detect();
    if host.family != Family::Debian {
        bail!("it is built from a source package of Debian or Ubuntu, which this system has not");
    }
    for program in PROGRAMS {
        ensure!(
            paths::find_program(program).is_some(),
            "{program} is missing; apt-get install gcc pkg-config python3-venv xz-utils brings all"
        );
    }
    let python = python()?;
    // What an earlier run left behind when it failed.
    let work = cache.join("work");
    let _ = std::fs::remove_dir_all(&work);
    let _ = std::fs::remove_dir_all(folder);
    let [archives, root, tree, out] = ["archives", "root", "tree", "build"].map(|it| work.join(it));
    for path in [&archives, &root, &tree, &out] {
        std::fs::create_dir_all(path)?;
    }
    let sources = qemu::sources(&host)?;
    let contents = Contents::BinariesAndSources;
    let mut lists =
        PrivateLists::open_with(&paths::cache_dir()?, "qos-test", &sources, "", contents)?;
    if host.is_bookworm() {
        // Its own meson is too old for a newer QEMU.
        lists = lists.prefer(qemu::BACKPORTS);
    }
    let note = fetch_source(&lists, &archives, &tree)?;
    fetch_tools(&lists, &archives, &root)?;
    drop(lists);
    eprintln!("building qos-test of {note}; once, a few minutes");
    let libraries = library_folder(&root)?;
    configure(&python, &root, &libraries, &tree, &out)?;
    let mut ninja = Command::new(root.join("usr/bin/ninja"));
    ninja.arg("-C").arg(&out).arg(PROGRAM);
    process::capture(environment(&mut ninja, &root, &libraries))?;
    keep(&libraries, &out, folder)?;
    std::fs::write(folder.join(NOTE), format!("{note}\n"))?;
    std::fs::remove_dir_all(&work)?;
    Ok(())
}

/// Fetches and unpacks the newest source; returns its name, version and hash.
fn fetch_source(lists: &PrivateLists, archives: &Path, tree: &Path) -> Result<String> {
    let offers = lists.source_offers(PACKAGE)?;
    let newest = offers
        .into_iter()
        .map(Ok)
        .reduce(|one, other| apt::newer(one?, other?))
        .with_context(|| format!("the archive has no source package {PACKAGE}"))??;
    eprintln!("fetching the source of {PACKAGE} {}", newest.version);
    let archive = lists.download_upstream(PACKAGE, &newest.version, archives)?;
    let hash = Sha256::digest(std::fs::read(&archive)?);
    let mut tar = Command::new("tar");
    tar.args(["--strip-components=1", "-xf"]).arg(&archive);
    process::capture(tar.arg("-C").arg(tree))?;
    Ok(format!("{PACKAGE} {} {}", newest.version, digits(&hash)))
}

/// Fetches and unpacks the build's tools, with the libraries that their headers describe.
fn fetch_tools(lists: &PrivateLists, archives: &Path, root: &Path) -> Result<()> {
    let mut packages: Vec<String> = TOOLS.map(str::to_owned).to_vec();
    for tool in TOOLS.iter().filter(|tool| tool.ends_with("-dev")) {
        packages.extend(siblings(&lists.field(tool, "Depends")?));
    }
    for package in packages {
        let file = lists.download(&package, archives)?;
        apt::unpack(&file, root)?;
    }
    Ok(())
}

/// Returns the packages that a package needs in exactly one version: those of its own source.
fn siblings(depends: &str) -> Vec<String> {
    depends
        .split(',')
        .filter_map(|entry| {
            let (name, version) = entry.trim().split_once(" (= ")?;
            Some(format!("{name}={}", version.strip_suffix(')')?))
        })
        .collect()
}

fn configure(python: &Path, root: &Path, libraries: &Path, tree: &Path, out: &Path) -> Result<()> {
    let mut command = Command::new(tree.join("configure"));
    command
        .args(CONFIGURATION)
        .arg(format!("--python={}", python.display()))
        .arg(format!("--ninja={}", root.join("usr/bin/ninja").display()))
        .current_dir(out);
    process::capture(environment(&mut command, root, libraries))?;
    Ok(())
}

/// Lets a build find the unpacked packages.
fn environment<'a>(command: &'a mut Command, root: &Path, libraries: &Path) -> &'a mut Command {
    let mut path = root.join("usr/bin").into_os_string();
    if let Some(own) = std::env::var_os("PATH") {
        path.push(":");
        path.push(own);
    }
    command
        .env("PATH", path)
        .env("PYTHONPATH", root.join("usr/lib/python3/dist-packages"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PKG_CONFIG_SYSROOT_DIR", root)
        .env("PKG_CONFIG_LIBDIR", libraries.join("pkgconfig"))
        .env("LD_LIBRARY_PATH", libraries)
        .env("LC_ALL", "C")
}

/// Keeps the program and its libraries.
fn keep(libraries: &Path, out: &Path, folder: &Path) -> Result<()> {
    let lib = folder.join("lib");
    std::fs::create_dir_all(&lib)?;
    std::fs::copy(out.join(PROGRAM), folder.join("qos-test"))?;
    for entry in std::fs::read_dir(libraries)?.flatten() {
        let name = entry.file_name();
        let text = name.to_string_lossy();
        if LIBRARIES.iter().any(|start| text.starts_with(start)) {
            std::fs::copy(entry.path(), lib.join(&name))?;
        }
    }
    Ok(())
}

/// Returns the folder of the unpacked libraries, whose name has the architecture in it.
fn library_folder(root: &Path) -> Result<PathBuf> {
    let entries = std::fs::read_dir(root.join("usr/lib"))?;
    entries
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.join("pkgconfig").is_dir())
        .context("the development packages hold no pkgconfig folder")
}

/// Returns a Python that can make virtual environments, which QEMU's configuration does.
fn python() -> Result<PathBuf> {
    let candidates = [
        Some("/usr/bin/python3".into()),
        paths::find_program("python3"),
    ];
    candidates
        .into_iter()
        .flatten()
        .find(|python: &PathBuf| {
            let mut command = Command::new(python);
            process::capture(command.args(["-c", "import ensurepip, venv"])).is_ok()
        })
        .context("no Python with venv; apt-get install python3-venv")
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packages_of_one_source_come_in_its_version() {
        let depends = "libffi-dev (>= 3.3), libglib2.0-0 (= 2.74.6-2), zlib1g-dev, libx (= 1:2~3)";
        assert_eq!(siblings(depends), ["libglib2.0-0=2.74.6-2", "libx=1:2~3"]);
    }
}
