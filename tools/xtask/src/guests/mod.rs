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
use anyhow::{Context, Result, bail};
use debian::DebianGuest;
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

/// What a symbolic name in a description stands for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum GuestFile {
    /// The Debian kernel of a suite.
    Kernel {
        /// The suite.
        suite: String,
    },
    /// The busybox root file system of a suite.
    Initramfs {
        /// The suite.
        suite: String,
    },
    /// A file of the user.
    Path(PathBuf),
}

impl GuestFile {
    /// Reads a name: `debian[:SUITE]`, `busybox[:SUITE]`, or anything with a path separator.
    pub(crate) fn parse(name: &str) -> Result<Self> {
        if name.contains('/') {
            return Ok(GuestFile::Path(name.into()));
        }
        let (kind, suite) = name.split_once(':').unwrap_or((name, DEFAULT_SUITE));
        let suite = suite.to_owned();
        match kind {
            "debian" => Ok(GuestFile::Kernel { suite }),
            "busybox" => Ok(GuestFile::Initramfs { suite }),
            _ => bail!(
                "`{name}` is no guest that can be fetched; use debian[:SUITE], busybox[:SUITE], or a path with a separator such as ./{name}"
            ),
        }
    }

    /// Returns the file, fetching or building it first where the cache lacks it.
    pub(crate) fn resolve(&self) -> Result<PathBuf> {
        match self {
            GuestFile::Kernel { suite } => Ok(fetch(suite)?.kernel()),
            GuestFile::Initramfs { suite } => initramfs::build(&fetch(suite)?, &[]),
            GuestFile::Path(path) => {
                let path = std::path::absolute(path)?;
                path.metadata()
                    .with_context(|| format!("cannot read {}", path.display()))?;
                Ok(path)
            }
        }
    }
}

fn fetch(suite: &str) -> Result<DebianGuest> {
    let wanted: Vec<String> = initramfs::MODULES.map(str::to_owned).to_vec();
    debian::ensure(&paths::cache_dir()?, suite, &wanted, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_guests_and_paths_have_a_separator() {
        let kernel = |suite: &str| GuestFile::Kernel {
            suite: suite.to_owned(),
        };
        assert_eq!(GuestFile::parse("debian").unwrap(), kernel(DEFAULT_SUITE));
        assert_eq!(GuestFile::parse("debian:trixie").unwrap(), kernel("trixie"));
        assert_eq!(
            GuestFile::parse("./debian").unwrap(),
            GuestFile::Path("./debian".into())
        );
        let error = GuestFile::parse("vmlinuz").unwrap_err().to_string();
        assert!(error.contains("./vmlinuz"), "{error}");
    }
}
