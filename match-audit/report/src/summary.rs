//! The summary for each enum.

use std::collections::BTreeSet;

use match_audit_sites::{Audit, EnumInfo, Project};
use serde_json::{Value, json};

use crate::findings::decides;

/// What the project does with one of its enums.
#[derive(Clone, Debug)]
pub struct EnumSummary<'p> {
    /// The enum.
    pub info: &'p EnumInfo,
    /// Sites that tell its variants apart.
    pub sites: usize,
    /// Those among them that name every variant.
    pub exhaustive: usize,
    /// Those among them with a wildcard that takes variants without naming them.
    pub wildcard: usize,
    /// The variants that some wildcard takes, by name.
    pub swallowed: Vec<&'p str>,
}

/// Sums up each of the project's own enums that some site tells apart.
pub fn summary<'p>(project: &'p Project, audit: &Audit) -> Vec<EnumSummary<'p>> {
    let mut rows = Vec::new();
    for info in project.enums.iter().filter(|info| info.own) {
        let mut row = EnumSummary {
            info,
            sites: 0,
            exhaustive: 0,
            wildcard: 0,
            swallowed: Vec::new(),
        };
        let mut swallowed: BTreeSet<usize> = BTreeSet::new();
        for answers in &audit.sites {
            if !answers.inspects.contains(&info.id) || !decides(&project.sites[answers.site]) {
                continue;
            }
            row.sites += 1;
            let wild: Vec<_> = answers
                .absorbed
                .iter()
                .filter(|absorbed| absorbed.id == info.id)
                .collect();
            if wild.is_empty() {
                row.exhaustive += 1;
            } else {
                row.wildcard += 1;
            }
            swallowed.extend(wild.iter().flat_map(|absorbed| absorbed.variants.iter()));
        }
        row.swallowed = swallowed
            .into_iter()
            .filter_map(|index| info.variants.get(index).map(String::as_str))
            .collect();
        if row.sites > 0 {
            rows.push(row);
        }
    }
    rows.sort_by(|a, b| (b.wildcard, &a.info.path).cmp(&(a.wildcard, &b.info.path)));
    rows
}

/// Writes the summary as a table.
pub fn summary_table(rows: &[EnumSummary<'_>]) -> String {
    let width = rows
        .iter()
        .map(|row| row.info.path.chars().count())
        .max()
        .unwrap_or(0)
        .max(4);
    let mut text = format!(
        "{:width$}  sites  exhaustive  wildcard  swallowed variants\n",
        "enum"
    );
    for row in rows {
        text += &format!(
            "{:width$}  {:5}  {:10}  {:8}  {} of {}\n",
            row.info.path,
            row.sites,
            row.exhaustive,
            row.wildcard,
            row.swallowed.len(),
            row.info.variants.len()
        );
    }
    text
}

/// Writes the summary as JSON.
pub fn summary_json(rows: &[EnumSummary<'_>]) -> Value {
    rows.iter()
        .map(|row| {
            json!({
                "enum": row.info.path,
                "declared": row.info.location.as_ref().map(|at| json!({
                    "file": at.file, "line": at.line, "column": at.column,
                })),
                "variants": row.info.variants,
                "sites": row.sites,
                "exhaustive": row.exhaustive,
                "wildcard": row.wildcard,
                "swallowed": row.swallowed,
            })
        })
        .collect()
}
