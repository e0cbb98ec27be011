//! The record of what was fetched: names, versions and hashes. It stands in the cache and is not
//! committed, since versions in an archive move.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::path::Path;

/// The record's file name.
const NAME: &str = "guest.lock.toml";

/// What one suite's guest was made of.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct LockFile {
    /// The kernel's release, as `uname -r` gives it.
    pub(crate) release: String,
    /// The modules that were asked for.
    pub(crate) wanted_modules: Vec<String>,
    /// The modules that were found, dependencies included, in the order of loading.
    pub(crate) modules: Vec<String>,
    /// The packages that were fetched.
    #[serde(rename = "package", default)]
    pub(crate) packages: Vec<LockedPackage>,
}

/// One package, exactly.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct LockedPackage {
    /// Its name.
    pub(crate) name: String,
    /// Its version, epoch included.
    pub(crate) version: String,
    /// Its file's name in the cache.
    pub(crate) file: String,
    /// The SHA-256 of its file, in hexadecimal.
    pub(crate) sha256: String,
}

impl fmt::Display for LockedPackage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} sha256:{}", self.name, self.version, self.sha256)
    }
}

impl LockFile {
    /// Reads the record of a folder; `None` where there is none or an older tool wrote it.
    pub(crate) fn read(dir: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(dir.join(NAME)).ok()?;
        toml::from_str(&text).ok()
    }

    /// Writes the record, which makes the folder valid: write it last.
    pub(crate) fn write(&self, dir: &Path) -> Result<()> {
        let path = dir.join(NAME);
        std::fs::write(&path, toml::to_string_pretty(self)?)
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Returns the SHA-256 of a file in hexadecimal.
pub(crate) fn sha256_of(path: &Path) -> Result<String> {
    let mut hasher = Sha256::new();
    let mut file =
        std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    std::io::copy(&mut file, &mut HashWriter(&mut hasher))
        .with_context(|| format!("cannot read {}", path.display()))?;
    let hash = hasher.finalize();
    Ok(hash.iter().map(|byte| format!("{byte:02x}")).collect())
}

struct HashWriter<'a>(&'a mut Sha256);

impl std::io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_lock_file_reads_back_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let lock = LockFile {
            release: "6.1.0-50-arm64".to_owned(),
            wanted_modules: vec!["virtio_blk".to_owned()],
            modules: vec!["virtio".to_owned(), "virtio_blk".to_owned()],
            packages: vec![LockedPackage {
                name: "busybox-static".to_owned(),
                version: "1:1.35.0-4".to_owned(),
                file: "busybox.deb".to_owned(),
                sha256: "00ff".to_owned(),
            }],
        };
        lock.write(dir.path()).unwrap();
        assert_eq!(LockFile::read(dir.path()), Some(lock));
    }

    #[test]
    fn a_damaged_lock_file_counts_as_none() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(LockFile::read(dir.path()), None);
        std::fs::write(dir.path().join(NAME), "release = 3").unwrap();
        assert_eq!(LockFile::read(dir.path()), None);
    }

    #[test]
    fn the_hash_is_that_of_the_standard() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        // FIPS 180-4, the example of one block.
        assert_eq!(
            sha256_of(&path).unwrap(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
