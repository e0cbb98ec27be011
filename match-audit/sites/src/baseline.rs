//! Wildcards that a person has judged: the file `match-audit.toml`.
//!
//! The question "if I add a variant, should this site force me to update it?" is answered once,
//! beside the arm with `// match-audit: absorb(reason)` or in the file, and then holds until the
//! wildcard swallows more than it did.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::audit::Audit;
use crate::configuration::Configuration;
use crate::project::{Location, Project};

/// The contents of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// The runs that the judgments are about; one with default options if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub run: Vec<Configuration>,
    /// The judged wildcards.
    #[serde(default)]
    pub absorb: Vec<Entry>,
}

/// A judged wildcard. Lines move, so it is found by file, function, enum and pattern.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The file, relative to the project's root.
    pub file: String,
    /// The function or constant around the site.
    pub function: String,
    /// The full path of the enum.
    #[serde(rename = "enum")]
    pub enumeration: String,
    /// The pattern as written, or `else`.
    pub pattern: String,
    /// How many such arms there are in the function.
    pub arms: usize,
    /// The variants that they may swallow.
    pub variants: Vec<String>,
    /// Why a new variant need not stop the build here. Must not be empty.
    pub reason: String,
}

/// Why `check` fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Complaint {
    /// A wildcard swallows variants of an own enum, and nobody has judged it.
    Unjudged(Entry, Vec<usize>),
    /// A judged wildcard swallows these variants too, or there are more such arms.
    Grown(Entry, Vec<String>),
    /// An entry for a wildcard that is no longer there, or no longer swallows that much.
    Stale(Entry),
    /// An entry without a reason.
    NoReason(Entry),
}

type Key = (String, String, String, String);

fn key(entry: &Entry) -> Key {
    (
        entry.file.clone(),
        entry.function.clone(),
        entry.enumeration.clone(),
        entry.pattern.clone(),
    )
}

/// Lists what the project's wildcards swallow of its own enums, without those that a comment
/// answers. Each entry comes with the sites it stands for, as indices in [`Project::sites`].
pub fn current(project: &Project, audit: &Audit) -> Vec<(Entry, Vec<usize>)> {
    let mut entries: BTreeMap<Key, (Entry, Vec<usize>)> = BTreeMap::new();
    // An arm that two runs see differently is one arm.
    let mut counted: BTreeSet<(Key, &Location)> = BTreeSet::new();
    for answers in &audit.sites {
        let site = &project.sites[answers.site];
        for absorbed in &answers.absorbed {
            let Some(info) = project.enum_info(absorbed.id).filter(|info| info.own) else {
                continue;
            };
            let arm = &site.arms[absorbed.arm];
            if arm.absorb.is_some() {
                continue;
            }
            let entry = Entry {
                file: site.location.file.clone(),
                function: site.function.clone(),
                enumeration: info.path.clone(),
                pattern: arm.text.clone(),
                arms: 0,
                variants: Vec::new(),
                reason: String::new(),
            };
            let names = absorbed
                .variants
                .iter()
                .filter_map(|index| info.variants.get(*index));
            let key = key(&entry);
            let is_new = counted.insert((key.clone(), &arm.location));
            let (entry, sites) = entries.entry(key).or_insert((entry, Vec::new()));
            entry.arms += usize::from(is_new);
            entry.variants.extend(names.cloned());
            entry.variants.sort();
            entry.variants.dedup();
            sites.push(answers.site);
        }
    }
    entries.into_values().collect()
}

/// Compares the project with the judged wildcards.
pub fn compare(baseline: &Baseline, current: &[(Entry, Vec<usize>)]) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let mut judged: BTreeMap<Key, &Entry> = BTreeMap::new();
    for entry in &baseline.absorb {
        if entry.reason.trim().is_empty() {
            complaints.push(Complaint::NoReason(entry.clone()));
        }
        // A second entry for the same wildcards can only hide something.
        if judged.insert(key(entry), entry).is_some() {
            complaints.push(Complaint::Stale(entry.clone()));
        }
    }
    for (entry, sites) in current {
        let Some(old) = judged.remove(&key(entry)) else {
            complaints.push(Complaint::Unjudged(entry.clone(), sites.clone()));
            continue;
        };
        let more: Vec<String> = entry
            .variants
            .iter()
            .filter(|name| !old.variants.contains(name))
            .cloned()
            .collect();
        if !more.is_empty() || entry.arms > old.arms {
            complaints.push(Complaint::Grown(entry.clone(), more));
        } else if entry.arms < old.arms
            || old
                .variants
                .iter()
                .any(|name| !entry.variants.contains(name))
        {
            complaints.push(Complaint::Stale(old.clone()));
        }
    }
    complaints.extend(judged.into_values().cloned().map(Complaint::Stale));
    complaints
}

/// Makes the file that would satisfy [`compare`] but for new reasons, which a person must write.
pub fn update(baseline: &Baseline, current: &[(Entry, Vec<usize>)]) -> Baseline {
    let reasons: BTreeMap<Key, &str> = baseline
        .absorb
        .iter()
        .map(|entry| (key(entry), entry.reason.as_str()))
        .collect();
    Baseline {
        run: baseline.run.clone(),
        absorb: current
            .iter()
            .map(|(entry, _)| Entry {
                reason: reasons.get(&key(entry)).copied().unwrap_or("").into(),
                ..entry.clone()
            })
            .collect(),
    }
}

/// Reads the file's text.
///
/// # Errors
///
/// Returns the parser's words if the text is not such a file.
pub fn parse(text: &str) -> Result<Baseline, String> {
    toml::from_str(text).map_err(|error| error.to_string())
}

/// Writes the file's text.
///
/// # Errors
///
/// Returns the writer's words if a string cannot be written.
pub fn write(baseline: &Baseline) -> Result<String, String> {
    let mut text = String::from(
        "# Wildcards that swallow variants of this project's enums, each judged by a person:\n\
         # should a new variant stop the build here? If so, name the variants; if not, say why.\n",
    );
    let body = toml::to_string(baseline).map_err(|error| error.to_string())?;
    let _ = write!(text, "\n{body}");
    Ok(text)
}

impl std::fmt::Display for Complaint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (entry, words) = match self {
            Complaint::Unjudged(entry, _) => (
                entry,
                format!("is not judged and swallows {}", entry.variants.join(", ")),
            ),
            Complaint::Grown(entry, more) if more.is_empty() => {
                (entry, "stands in more arms than were judged".into())
            }
            Complaint::Grown(entry, more) => {
                (entry, format!("now also swallows {}", more.join(", ")))
            }
            Complaint::Stale(entry) => (entry, "is in the baseline but no longer like that".into()),
            Complaint::NoReason(entry) => (entry, "has no reason in the baseline".into()),
        };
        write!(
            f,
            "{} in {}: `{}` over {} {words}",
            entry.file, entry.function, entry.pattern, entry.enumeration
        )
    }
}
