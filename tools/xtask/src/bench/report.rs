//! The figures as tables and JSON.

use super::peers::{Peers, Row};
use super::sizes::Sizes;
use super::trace::{HotPath, Stay};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Instructions by operation.
pub(super) type Figures = BTreeMap<String, f64>;

/// Everything that was measured.
#[derive(Serialize)]
pub(super) struct Report {
    /// Under the hypervisor.
    pub(super) figures: Figures,
    /// On the bare machine.
    pub(super) native: Figures,
    /// Under another hypervisor, measured by the same command.
    pub(super) peer: Option<Peer>,
    /// From the first instruction to the guest's first, with zeroing memory.
    pub(super) entry_total: u64,
    /// The longest stay in EL2 that was seen.
    pub(super) longest: Stay,
    /// What stands on the ways that are gone most.
    pub(super) paths: Vec<HotPath>,
    /// Exits by reason in the traced run of one vCPU: count, shortest, longest.
    pub(super) exits: BTreeMap<String, (u64, u64, u64)>,
    /// Exits of Debian's kernel by reason, with its messages on the console.
    pub(super) linux_exits: BTreeMap<String, u64>,
    /// How large the image is.
    #[serde(flatten)]
    pub(super) sizes: Sizes,
}

/// Another hypervisor, measured here.
#[derive(Serialize)]
pub(super) struct Peer {
    /// Its name and version.
    pub(super) name: String,
    /// What exactly ran.
    pub(super) description: String,
    /// Instructions by operation.
    pub(super) figures: Figures,
    /// What can't be measured, and why.
    pub(super) missing: BTreeMap<String, String>,
}

impl Report {
    /// Returns everything for people.
    pub(super) fn table(&self, peers: &Peers) -> String {
        let mut out = String::new();
        let _ = writeln!(
            out,
            "One vCPU on one CPU, cortex-a72, instructions; Bao 2.0 and Xen 4.23 are quoted.\n\n\
             {:<54} {:>8} {:>9} {:>9} {:>10} {:>8}{}",
            "operation",
            "native",
            "Bulkhead",
            "Bao",
            "Xen",
            "target",
            self.peer_name()
        );
        for row in &peers.row {
            let value = self.figures.get(&row.name).copied();
            let verdict = match (value, row.target) {
                (Some(value), Some(target)) if value > target => "  MISSED",
                (Some(_) | None, Some(_) | None) => "",
            };
            let _ = writeln!(
                out,
                "{:<54} {:>8} {:>9} {:>9} {:>10} {:>8}{}{verdict}",
                row.title,
                number(self.native.get(&row.name).copied()),
                number(value),
                number(row.bao),
                number(row.xen),
                number(row.target),
                self.peer_number(row),
            );
        }
        let _ = writeln!(
            out,
            "\nTwo vCPUs on two CPUs, -cpu max, kvm-unit-tests' sequences with their loops; KVM \
             (VHE), Xen 4.20 and Bao are quoted.\n\n{:<54} {:>8} {:>9} {:>9} {:>10} {:>8}{}",
            "operation",
            "native",
            "Bulkhead",
            "Bao",
            "Xen",
            "KVM",
            self.peer_name()
        );
        for row in &peers.pair {
            let _ = writeln!(
                out,
                "{:<54} {:>8} {:>9} {:>9} {:>10} {:>8}{}",
                row.title,
                number(self.native.get(&row.name).copied()),
                number(self.figures.get(&row.name).copied()),
                number(row.bao),
                number(row.xen),
                number(row.kvm),
                self.peer_number(row),
            );
        }
        if let Some(peer) = &self.peer {
            let _ = writeln!(
                out,
                "\nThe last column was measured now: {}.",
                peer.description
            );
            for (rows, reason) in &peer.missing {
                let _ = writeln!(out, "Not measured: {rows}: {reason}.");
            }
        }
        self.add_linux(&mut out, peers);
        self.add_trace(&mut out);
        out
    }

    fn peer_name(&self) -> String {
        let name = |peer: &Peer| format!(" {:>10}", peer.name);
        self.peer.as_ref().map(name).unwrap_or_default()
    }

    fn peer_number(&self, row: &Row) -> String {
        let value = |peer: &Peer| number(peer.figures.get(&row.name).copied());
        let column = |peer| format!(" {:>10}", value(peer));
        self.peer.as_ref().map(column).unwrap_or_default()
    }

    fn add_linux(&self, out: &mut String, peers: &Peers) {
        let _ = writeln!(
            out,
            "\nDebian's kernel from its entry to the first instruction of /init, one vCPU on one \
             CPU, cortex-a72; files,\naddresses and device tree are the same on the bare machine. \
             Waiting counts as the instructions of that time.\n\n\
             {:<54} {:>11} {:>11} {:>8} {:>8}",
            "boot", "native", "Bulkhead", "ratio", "target"
        );
        for row in &peers.linux {
            let native = self.native.get(&row.name).copied();
            let under = self.figures.get(&row.name).copied();
            let ratio = native.zip(under).map(|(native, under)| under / native);
            let missed = ratio
                .zip(row.target)
                .is_some_and(|(ratio, target)| ratio > target);
            let _ = writeln!(
                out,
                "{:<54} {:>11} {:>11} {:>8} {:>8}{}",
                row.title,
                number(native),
                number(under),
                ratio.map_or("–".to_owned(), |ratio| format!("{ratio:.4}")),
                row.target
                    .map_or("–".to_owned(), |target| target.to_string()),
                if missed { "  MISSED" } else { "" },
            );
        }
        let exits: Vec<String> = self
            .linux_exits
            .iter()
            .map(|(reason, count)| format!("{reason} {count}"))
            .collect();
        let _ = writeln!(out, "exits with messages: {}", exits.join(", "));
    }

    fn add_trace(&self, out: &mut String) {
        let _ = writeln!(
            out,
            "\n{:<24} {:>8} {:>9} {:>5} {:>5} {:>5}   in EL2, from a trace",
            "way", "all", "barriers", "TLBI", "MRS", "MSR"
        );
        for path in &self.paths {
            let _ = writeln!(
                out,
                "{:<24} {:>8} {:>9} {:>5} {:>5} {:>5}",
                path.operation, path.instructions, path.barriers, path.tlb, path.reads, path.writes
            );
        }
        let _ = writeln!(
            out,
            "\n{:<24} {:>8} {:>9} {:>8}   exits of a traced run",
            "reason", "count", "shortest", "longest"
        );
        for (reason, (count, least, most)) in &self.exits {
            let _ = writeln!(out, "{reason:<24} {count:>8} {least:>9} {most:>8}");
        }
        let _ = writeln!(
            out,
            "\nlongest stay: {} instructions, {}, after mark {}; entry with zeroing: {}\n",
            self.longest.instructions, self.longest.reason, self.longest.mark, self.entry_total
        );
        out.push_str(&self.sizes.table());
    }
}

/// Returns what two commits take, side by side.
pub(super) fn comparison(peers: &Peers, name: &str, there: &Figures, here: &Figures) -> String {
    let mut out = format!(
        "{:<54} {name:>12} {:>9} {:>8}\n",
        "operation", "now", "change"
    );
    let rows = peers.row.iter().chain(&peers.pair);
    for Row { name, title, .. } in rows {
        let (Some(before), Some(now)) = (there.get(name), here.get(name)) else {
            continue;
        };
        let change = if *before == 0.0 {
            String::new()
        } else {
            format!("{:+.1} %", (now / before - 1.0) * 100.0)
        };
        let (before, now) = (number(Some(*before)), number(Some(*now)));
        let _ = writeln!(out, "{title:<54} {before:>12} {now:>9} {change:>8}");
    }
    out
}

fn number(value: Option<f64>) -> String {
    match value {
        None => "–".to_owned(),
        Some(value) if value.fract().abs() < 0.05 => format!("{value:.0}"),
        Some(value) => format!("{value:.1}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comparison_shows_what_both_have() {
        let peers: Peers = toml::from_str(
            "row = [{ name = \"a\", title = \"A\" }, { name = \"b\", title = \"B\" }]\npair = []\nlinux = []",
        )
        .unwrap();
        let figures = |value: f64| Figures::from([("a".to_owned(), value)]);
        let text = comparison(&peers, "old", &figures(200.0), &figures(100.0));
        assert!(text.contains("-50.0 %"), "{text}");
        assert!(!text.contains('B'), "{text}");
    }
}
