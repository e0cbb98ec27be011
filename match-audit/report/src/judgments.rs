//! Turns the complaints of `check` into findings.

use match_audit_sites::baseline::{Complaint, Entry};
use match_audit_sites::{Audit, Location, Project};

use crate::finding::{Finding, Label, Rule, Severity};
use crate::findings::sites;

/// Turns the complaints of `check` into findings. A stale entry has no place in the source, so
/// it points to the baseline file.
pub fn complaints(
    project: &Project,
    audit: &Audit,
    complaints: &[Complaint],
    baseline: &str,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for complaint in complaints {
        let (entry, help) = match complaint {
            Complaint::Unjudged(entry, _) => (
                entry,
                "name the variants, or write `// match-audit: absorb(reason)` beside the arm",
            ),
            Complaint::Grown(entry, _) => (entry, "judge it again, and update the baseline"),
            Complaint::Stale(entry) => (entry, "run `cargo match-audit check --write`"),
            Complaint::NoReason(entry) => (entry, "say why a new variant need not stop the build"),
        };
        let enumeration = entry.enumeration.clone();
        let location = arm_of(project, audit, entry).unwrap_or_else(|| Location {
            file: baseline.into(),
            line: 1,
            column: 1,
            length: 1,
        });
        findings.push(Finding {
            severity: Severity::Error,
            rule: Rule::Judgment,
            enumeration: Some(enumeration),
            message: complaint.to_string(),
            label: Label {
                location,
                text: String::new(),
            },
            help: Some(help.into()),
        });
    }
    findings
}

fn arm_of(project: &Project, audit: &Audit, entry: &Entry) -> Option<Location> {
    for (site, answers) in sites(project, audit) {
        if site.location.file != entry.file || site.function != entry.function {
            continue;
        }
        for absorbed in &answers.absorbed {
            let arm = &site.arms[absorbed.arm];
            let info = project.enum_info(absorbed.id)?;
            if arm.text == entry.pattern && info.path == entry.enumeration {
                return Some(arm.location.clone());
            }
        }
    }
    None
}
