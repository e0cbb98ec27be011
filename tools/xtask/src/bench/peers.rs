//! What others take, and what we promise: a data file.

use anyhow::{Context, Result};
use serde::Deserialize;
use std::path::Path;

/// The two tables.
#[derive(Debug, Deserialize)]
pub(super) struct Peers {
    /// One vCPU on one CPU.
    pub(super) row: Vec<Row>,
    /// Two vCPUs on two CPUs, loops included.
    pub(super) pair: Vec<Row>,
    /// Boots of Debian's kernel; the target is the ratio to the bare machine.
    pub(super) linux: Vec<Row>,
}

/// One operation.
#[derive(Debug, Deserialize)]
pub(super) struct Row {
    /// Its name in the figures.
    pub(super) name: String,
    /// Its name for people.
    pub(super) title: String,
    /// Bao's instructions.
    pub(super) bao: Option<f64>,
    /// Xen's.
    pub(super) xen: Option<f64>,
    /// KVM's (VHE).
    pub(super) kvm: Option<f64>,
    /// What we promise.
    pub(super) target: Option<f64>,
}

/// Reads the file.
pub(super) fn read(path: &Path) -> Result<Peers> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("cannot parse {}", path.display()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_data_file_can_be_read() {
        let path = crate::paths::workspace_root().join("benches/peers.toml");
        let peers = super::read(&path).unwrap();
        assert!(peers.row.len() > 10 && peers.pair.len() > 5);
        assert!(peers.linux.iter().all(|row| row.target.is_some()));
    }
}
