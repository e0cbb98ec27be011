//! Keeps two runs of this tool from filling the same place of the cache at once.

use anyhow::{Context, Result};
use std::fs::{File, TryLockError};
use std::path::Path;

/// Holds a place of the cache until it is dropped.
#[derive(Debug)]
pub(crate) struct CacheLock {
    _file: File,
}

/// Locks `DIR/NAME.lock`, waiting for another run that holds it.
pub(crate) fn acquire(dir: &Path, name: &str) -> Result<CacheLock> {
    let path = dir.join(format!("{name}.lock"));
    let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            eprintln!("waiting for another run that holds {}", path.display());
            file.lock()
                .with_context(|| format!("cannot lock {}", path.display()))?;
        }
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("cannot lock {}", path.display()));
        }
    }
    Ok(CacheLock { _file: file })
}
