//! The counts that were accepted. They stand in a committed file, so that growth shows in review.

use super::Findings;
use super::unsafe_count::Totals;
use crate::paths;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// The committed file.
const FILE: &str = "tools/xtask/check-baseline.toml";

const HEADER: &str = "# Counts that `cargo xtask check` accepts. They may only go down by themselves; to let one grow,\n# run `cargo xtask check --accept` and say why in the commit.\n\n";

/// The accepted counts.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Baseline {
    /// Wildcard arms on our own enums without a comment that answers for them.
    pub(crate) unexplained_wildcards: usize,
    /// Unsafe code by crate.
    #[serde(rename = "unsafe", default)]
    pub(crate) unsafe_code: BTreeMap<String, Totals>,
}

impl Baseline {
    /// Reads the committed counts.
    pub(crate) fn read() -> Result<Self> {
        let path = path();
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("{} is damaged", path.display()))
    }

    /// Writes the counts.
    pub(crate) fn write(&self) -> Result<()> {
        let text = format!("{HEADER}{}", toml::to_string_pretty(self)?);
        std::fs::write(path(), text).with_context(|| format!("cannot write {}", path().display()))
    }
}

impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let blocks: usize = self.unsafe_code.values().map(|totals| totals.blocks).sum();
        write!(
            f,
            "{blocks} unsafe blocks, {} unexplained wildcard arms",
            self.unexplained_wildcards
        )
    }
}

/// Adds what grew, by crate, to the violations.
pub(crate) fn compare_unsafe(
    accepted: &BTreeMap<String, Totals>,
    now: &BTreeMap<String, Totals>,
    findings: &mut Findings,
) {
    for (name, totals) in now {
        let before = accepted.get(name).copied().unwrap_or_default();
        for (what, before, now) in [
            ("unsafe blocks", before.blocks, totals.blocks),
            ("unsafe impls", before.impls, totals.impls),
            ("unsafe attributes", before.attributes, totals.attributes),
        ] {
            compare(&format!("{what} in {name}"), before, now, findings);
        }
    }
}

/// Adds more unexplained wildcard arms than before to the violations.
pub(crate) fn compare_wildcards(accepted: usize, now: usize, findings: &mut Findings) {
    compare("unexplained wildcard arms", accepted, now, findings);
}

fn compare(what: &str, accepted: usize, now: usize, findings: &mut Findings) {
    if now > accepted {
        findings.violations.push(format!(
            "{what}: {now}, but {accepted} are accepted; remove them, or accept them by `cargo xtask check --accept`"
        ));
    } else if now < accepted {
        findings.notes.push(format!(
            "{what}: {now} are left of {accepted}; record it by `cargo xtask check --accept`"
        ));
    }
}

fn path() -> PathBuf {
    paths::workspace_root().join(FILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(blocks: usize) -> BTreeMap<String, Totals> {
        let totals = Totals {
            blocks,
            ..Totals::default()
        };
        BTreeMap::from([("arch/x".to_owned(), totals)])
    }

    #[test]
    fn growth_is_a_violation_and_shrinking_is_news() {
        let mut findings = Findings::default();
        compare_unsafe(&totals(3), &totals(3), &mut findings);
        assert!(findings.violations.is_empty() && findings.notes.is_empty());
        compare_unsafe(&totals(3), &totals(4), &mut findings);
        assert_eq!(findings.violations.len(), 1);
        compare_unsafe(&BTreeMap::new(), &totals(1), &mut findings);
        assert_eq!(findings.violations.len(), 2, "a new crate starts at none");
        compare_unsafe(&totals(3), &totals(2), &mut findings);
        assert_eq!(findings.notes.len(), 1);
    }

    #[test]
    fn a_written_baseline_reads_back_the_same() {
        let baseline = Baseline {
            unexplained_wildcards: 2,
            unsafe_code: totals(7),
        };
        let text = toml::to_string_pretty(&baseline).unwrap();
        assert_eq!(toml::from_str::<Baseline>(&text).unwrap(), baseline);
    }
}
