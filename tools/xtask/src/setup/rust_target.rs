//! The bare-metal target: core, alloc and compiler_builtins for `aarch64-unknown-none-softfloat`.
//!
//! They are built from source, into a private sysroot in the cache that leaves the toolchain alone:
//! those of the toolchain have no landing pads (BTI) and sign no return addresses (PAC), so an image
//! that is linked with them could not demand either. The compiler's flag for it is not stable yet,
//! which is why `RUSTC_BOOTSTRAP` is set for the bare-metal target, and for nothing else.
//!
//! Three ways to the sources, in this order: the toolchain has them; rustup adds them; they are in
//! Debian's package `rust-src` in exactly the compiler's version. `BULKHEAD_RUST_SRC` forces the
//! third way, or names a folder.

use super::{apt, lock};
use crate::{images, paths, process};
use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The target of every image. EL2 must never touch FP/SIMD registers: they are the guest's.
pub(crate) const TARGET: &str = "aarch64-unknown-none-softfloat";

/// The compiler's flag that makes functions begin with landing pads and sign return addresses.
pub(crate) const PROTECTION: &str = "-Zbranch-protection=bti,pac-ret";

/// `package` forces Debian's `rust-src`; anything else is the path of a `library/` folder.
const SOURCE_VARIABLE: &str = "BULKHEAD_RUST_SRC";

/// How long rustup may take before it is given up.
const RUSTUP_LIMIT: Duration = Duration::from_secs(180);

/// The crates that a sysroot of the target holds.
const SYSROOT_CRATES: [&str; 3] = ["core", "alloc", "compiler_builtins"];

/// Suites after the machine's own where the package may stand.
const OTHER_SUITES: [&str; 5] = [
    "trixie-backports",
    "trixie",
    "forky",
    "sid",
    "bookworm-backports",
];

/// The bare-metal target, ready for use.
#[derive(Clone, Debug)]
pub(crate) struct RustTarget {
    /// The private sysroot.
    pub(crate) sysroot: PathBuf,
}

impl RustTarget {
    /// Says where the target is.
    pub(crate) fn describe(&self) -> String {
        format!("{TARGET} in {}", self.sysroot.display())
    }
}

/// Returns the compiler flag that selects a private sysroot.
pub(crate) fn sysroot_flag(sysroot: &Path) -> String {
    format!("--sysroot={}", sysroot.display())
}

/// Says which way the target would be taken, without changing anything.
pub(crate) fn plan() -> Result<String> {
    let compiler = Compiler::detect()?;
    let origin = match Origin::from_environment() {
        Some(origin) => origin.describe(&compiler),
        None if compiler.has_sources() => Origin::Component.describe(&compiler),
        None => format!(
            "{}, which rustup adds, or else {}",
            Origin::Component.describe(&compiler),
            Origin::Package.describe(&compiler)
        ),
    };
    Ok(format!("{TARGET} built from {origin}"))
}

/// Returns the target, building it first where it is missing.
pub(crate) fn ensure() -> Result<RustTarget> {
    let compiler = Compiler::detect()?;
    let origin = match Origin::from_environment() {
        Some(origin) => origin,
        None if compiler.has_sources() => Origin::Component,
        None => match add_by_rustup(&compiler) {
            Ok(()) => Origin::Component,
            Err(error) => {
                eprintln!("rustup could not add the sources: {error:#}");
                Origin::Package
            }
        },
    };
    let cache = paths::cache_dir()?;
    let dir = cache.join("sysroot").join(origin.key(&compiler));
    images::check_flag(&sysroot_flag(&dir))?;
    if !is_complete(&dir) {
        let _lock = lock::acquire(&cache, "sysroot")?;
        // Another run may have built it while we waited.
        if !is_complete(&dir) {
            eprintln!(
                "building core and alloc for {TARGET} from {}",
                origin.describe(&compiler)
            );
            let library = origin.library(&compiler, &cache)?;
            build_sysroot(&compiler, &library, &cache, &dir)?;
        }
    }
    Ok(RustTarget { sysroot: dir })
}

/// Returns the sources of the standard library: the toolchain's own, or else Debian's package.
pub(crate) fn library() -> Result<PathBuf> {
    let compiler = Compiler::detect()?;
    let origin = match Origin::from_environment() {
        Some(origin) => origin,
        None => {
            let own = compiler.sysroot.join("lib/rustlib/src/rust/library");
            if own.join("core/src/lib.rs").is_file() {
                return Ok(own);
            }
            Origin::Package
        }
    };
    let cache = paths::cache_dir()?;
    let _lock = lock::acquire(&cache, "sysroot")?;
    origin.library(&compiler, &cache).context(
        "no sources of the standard library; with rustup, `rustup component add rust-src` adds them",
    )
}

/// Returns the compiler's release and commit.
pub(crate) fn version() -> Result<String> {
    let compiler = Compiler::detect()?;
    Ok(format!("{} {}", compiler.release, compiler.commit))
}

/// Where the sources of core and alloc come from.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Origin {
    Component,
    Package,
    Folder(PathBuf),
}

impl Origin {
    fn from_environment() -> Option<Self> {
        Self::parse(&std::env::var(SOURCE_VARIABLE).ok()?)
    }

    fn parse(value: &str) -> Option<Self> {
        match value {
            "" => None,
            "package" => Some(Origin::Package),
            path => Some(Origin::Folder(path.into())),
        }
    }

    fn describe(&self, compiler: &Compiler) -> String {
        match self {
            Origin::Component => format!("the toolchain's component rust-src {}", compiler.release),
            Origin::Package => format!("Debian's package rust-src {}", compiler.release),
            Origin::Folder(path) => path.display().to_string(),
        }
    }

    /// Names the sysroot: the compiler by its commit, and where its library came from.
    fn key(&self, compiler: &Compiler) -> String {
        let commit = &compiler.commit;
        match self {
            Origin::Component => format!("{commit}-component-{RECIPE}"),
            Origin::Package => format!("{commit}-package-{RECIPE}"),
            Origin::Folder(path) => {
                let hash = Sha256::digest(path.as_os_str().as_encoded_bytes());
                let tag: String = hash.iter().take(4).map(|b| format!("{b:02x}")).collect();
                format!("{commit}-folder-{tag}-{RECIPE}")
            }
        }
    }

    fn library(&self, compiler: &Compiler, cache: &Path) -> Result<PathBuf> {
        match self {
            Origin::Component => Ok(compiler.sources()),
            Origin::Package => library_of_package(compiler, cache),
            Origin::Folder(path) => {
                let path = std::path::absolute(path)?;
                ensure!(
                    path.join("core/src/lib.rs").is_file(),
                    "{SOURCE_VARIABLE} must name a `library` folder of Rust {}; {} holds no core/src/lib.rs",
                    compiler.release,
                    path.display()
                );
                Ok(path)
            }
        }
    }
}

/// The compiler that the workspace uses.
#[derive(Clone, Debug)]
struct Compiler {
    release: String,
    commit: String,
    host: String,
    sysroot: PathBuf,
}

impl Compiler {
    fn detect() -> Result<Self> {
        let rustc = |arguments: &[&str]| {
            let program = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
            process::capture(
                Command::new(program)
                    .args(arguments)
                    .current_dir(paths::workspace_root()),
            )
        };
        let version = rustc(&["-vV"])?;
        let field = |name: &str| {
            let value = version.lines().find_map(|line| line.strip_prefix(name));
            value
                .map(|value| value.trim().to_owned())
                .with_context(|| format!("rustc -vV gives no `{name}`"))
        };
        Ok(Compiler {
            release: field("release:")?,
            commit: field("commit-hash:")?,
            host: field("host:")?,
            sysroot: rustc(&["--print", "sysroot"])?.trim().into(),
        })
    }

    /// Where rustup puts the component `rust-src`.
    fn sources(&self) -> PathBuf {
        self.sysroot.join("lib/rustlib/src/rust/library")
    }

    fn has_sources(&self) -> bool {
        self.sources().join("core/src/lib.rs").is_file()
    }
}

fn target_lib(sysroot: &Path) -> PathBuf {
    sysroot.join("lib/rustlib").join(TARGET).join("lib")
}

fn is_complete(sysroot: &Path) -> bool {
    has_crates(&target_lib(sysroot))
}

fn has_crates(lib: &Path) -> bool {
    SYSROOT_CRATES
        .iter()
        .all(|name| find_rlib(lib, name).is_some())
}

fn find_rlib(dir: &Path, name: &str) -> Option<PathBuf> {
    let prefix = format!("lib{name}-");
    std::fs::read_dir(dir)
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            file.starts_with(&prefix) && file.ends_with(".rlib")
        })
}

fn add_by_rustup(compiler: &Compiler) -> Result<()> {
    ensure!(
        paths::find_program("rustup").is_some(),
        "there is no rustup on this machine"
    );
    eprintln!("the toolchain lacks its sources: adding them by `rustup component add rust-src`");
    let mut command = Command::new("rustup");
    command
        .args(["component", "add", "rust-src"])
        .current_dir(paths::workspace_root());
    process::run_quietly(&mut command, RUSTUP_LIMIT)?;
    ensure!(
        compiler.has_sources(),
        "rustup reported success, but the toolchain that builds here still lacks its sources"
    );
    Ok(())
}

/// Fetches Debian's `rust-src` in exactly the compiler's version and returns its `library/`.
fn library_of_package(compiler: &Compiler, cache: &Path) -> Result<PathBuf> {
    let dir = cache.join("rust-src").join(&compiler.release);
    let library = dir.join("library");
    if library.join("core/src/lib.rs").is_file() {
        return Ok(library);
    }
    let host = super::host::detect();
    let mut suites = vec![format!("{}-backports", host.codename), host.codename];
    suites.extend(OTHER_SUITES.map(str::to_owned));
    suites.retain(|suite| !suite.starts_with('-') && !suite.is_empty());
    let mut tried = Vec::new();
    for suite in suites {
        if tried.contains(&suite) {
            continue;
        }
        tried.push(suite.clone());
        let source = apt::debian_source(&suite)?;
        let found = apt::PrivateLists::open(cache, &suite, &[source], "")
            .and_then(|lists| Ok((lists.offers("rust-src")?, lists)));
        let (offers, lists) = match found {
            Ok(found) => found,
            Err(error) => {
                eprintln!("the suite {suite} can't be used: {error:#}");
                continue;
            }
        };
        let Some(offer) = offers
            .iter()
            .find(|offer| is_release(&offer.version, &compiler.release))
        else {
            continue;
        };
        eprintln!("fetching rust-src {} of {suite}", offer.version);
        std::fs::create_dir_all(&dir)?;
        let package = lists.download(&format!("rust-src={}", offer.version), &dir)?;
        keep_library(&package, compiler, &dir)?;
        return Ok(library);
    }
    bail!(
        "no suite of the Debian mirror ({}) has rust-src in version {}; set {SOURCE_VARIABLE} to a `library` folder of that version",
        tried.join(", "),
        compiler.release
    )
}

/// Unpacks the package and keeps its `library/`; the compiler's own sources are ten times as large.
fn keep_library(package: &Path, compiler: &Compiler, dir: &Path) -> Result<()> {
    let staged = dir.join(format!("unpack-{}", std::process::id()));
    apt::unpack(package, &staged)?;
    let unpacked = staged
        .join("usr/src")
        .join(format!("rustc-{}", compiler.release))
        .join("library");
    ensure!(
        unpacked.join("core/src/lib.rs").is_file(),
        "the package {} holds no library/core",
        package.display()
    );
    let kept = dir.join("library");
    if kept.exists() {
        std::fs::remove_dir_all(&kept)?;
    }
    std::fs::rename(&unpacked, &kept)?;
    std::fs::remove_dir_all(&staged)?;
    std::fs::remove_file(package)?;
    Ok(())
}

/// Tells whether a Debian version is a packaging of exactly this upstream release.
fn is_release(version: &str, release: &str) -> bool {
    let upstream = version.split_once(':').map_or(version, |(_, rest)| rest);
    upstream
        .strip_prefix(release)
        .is_some_and(|rest| rest.starts_with(['+', '-', '~']))
}

/// Names how `build_sysroot` builds; a change of it makes a new sysroot.
const RECIPE: &str = "bitcode-bti-pac";

/// Builds core, alloc and compiler_builtins, and lays a sysroot out around them.
fn build_sysroot(compiler: &Compiler, library: &Path, cache: &Path, dir: &Path) -> Result<()> {
    let build = cache
        .join("sysroot")
        .join(format!("build-{}", std::process::id()));
    std::fs::create_dir_all(build.join("src"))?;
    std::fs::write(
        build.join("Cargo.toml"),
        "[package]\nname = \"sysroot\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n[profile.release]\ndebug = \"line-tables-only\"\n",
    )?;
    std::fs::write(build.join("src/lib.rs"), "#![no_std]\n")?;
    let mut command = paths::cargo();
    command
        .args(["build", "--quiet", "--release", "--target", TARGET])
        .arg("-Zbuild-std=core,alloc,compiler_builtins")
        .arg("-Zbuild-std-features=compiler-builtins-mem")
        .arg("--manifest-path")
        .arg(build.join("Cargo.toml"))
        .env("RUSTC_BOOTSTRAP", "1")
        .env("__CARGO_TESTS_ONLY_SRC_ROOT", library)
        .env("CARGO_TARGET_DIR", build.join("target"))
        // Fat LTO of the images wants the library's bitcode, which cargo leaves out by default.
        .env("RUSTFLAGS", format!("-Cembed-bitcode=yes {PROTECTION}"))
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    let result = process::run(&mut command)
        .and_then(|()| lay_out_sysroot(compiler, &build, dir))
        .context("cannot build the bare-metal target from source");
    // The build folder is of no use to anyone, whatever came of it.
    let _ = std::fs::remove_dir_all(&build);
    result
}

/// Puts the built crates beside links to the toolchain's own parts, so that procedural macros and
/// the linker are found; the finished folder appears under its name at once.
fn lay_out_sysroot(compiler: &Compiler, build: &Path, dir: &Path) -> Result<()> {
    let deps = build.join("target").join(TARGET).join("release/deps");
    let staged = build.join("sysroot");
    let lib = target_lib(&staged);
    std::fs::create_dir_all(&lib)?;
    for name in SYSROOT_CRATES {
        let rlib = find_rlib(&deps, name).with_context(|| format!("cargo built no {name}"))?;
        let file = rlib.file_name().context("a library without a name")?;
        std::fs::copy(&rlib, lib.join(file))?;
    }
    std::os::unix::fs::symlink(
        compiler.sysroot.join("lib/rustlib").join(&compiler.host),
        staged.join("lib/rustlib").join(&compiler.host),
    )?;
    for entry in std::fs::read_dir(compiler.sysroot.join("lib"))?.flatten() {
        if entry.file_name() != "rustlib" {
            std::os::unix::fs::symlink(entry.path(), staged.join("lib").join(entry.file_name()))?;
        }
    }
    if dir.exists() {
        // Incomplete, or we would not be here.
        std::fs::remove_dir_all(dir)?;
    }
    std::fs::rename(&staged, dir).with_context(|| format!("cannot create {}", dir.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_upstream_release_is_taken() {
        assert!(is_release("1.95.0+dfsg1-2~bpo13+1", "1.95.0"));
        assert!(is_release("1:1.95.0-1", "1.95.0"));
        assert!(!is_release("1.95.01-1", "1.95.0"));
        assert!(!is_release("1.95.1+dfsg1-2", "1.95.0"));
        assert!(!is_release("11.95.0-1", "1.95.0"));
    }

    #[test]
    fn the_variable_selects_the_package_or_a_folder() {
        assert_eq!(Origin::parse(""), None);
        assert_eq!(Origin::parse("package"), Some(Origin::Package));
        assert_eq!(Origin::parse("/l"), Some(Origin::Folder("/l".into())));
    }

    #[test]
    fn sysroots_of_different_origins_do_not_share_a_name() {
        let compiler = Compiler {
            release: "1.95.0".to_owned(),
            commit: "abc".to_owned(),
            host: "h".to_owned(),
            sysroot: "/s".into(),
        };
        let keys = [
            Origin::Component.key(&compiler),
            Origin::Package.key(&compiler),
            Origin::Folder("/a".into()).key(&compiler),
            Origin::Folder("/b".into()).key(&compiler),
        ];
        let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
    }
}
