//! Turns answers into findings.

use match_audit_sites::baseline::{Complaint, Entry};
use match_audit_sites::{Audit, EnumInfo, Growth, Location, Project, Site, SiteAudit, SiteKind};
use match_audit_usefulness::never::{Access, Level};
use match_audit_usefulness::{EnumId, Guard, Usefulness, Verdict, Witness};

/// How serious a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Worth a look.
    Warning,
    /// A reason to fail.
    Error,
}

/// What kind of finding it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// A wildcard takes variants without naming them.
    Swallows,
    /// A new variant would stop the build here.
    Breaks,
    /// A new variant would silently be taken here.
    Absorbs,
    /// An arm or alternative takes nothing.
    Unreachable,
    /// Values that are not matched.
    Witness,
    /// An empty arm was left out, or could be.
    EmptyArm,
    /// The baseline and the code disagree.
    Judgment,
    /// The site could not be analyzed, or not in full.
    Incomplete,
}

impl Rule {
    /// All rules.
    pub const ALL: [Rule; 8] = [
        Rule::Swallows,
        Rule::Breaks,
        Rule::Absorbs,
        Rule::Unreachable,
        Rule::Witness,
        Rule::EmptyArm,
        Rule::Judgment,
        Rule::Incomplete,
    ];

    /// Returns the rule's name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Rule::Swallows => "wildcard-swallows",
            Rule::Breaks => "new-variant-breaks",
            Rule::Absorbs => "new-variant-absorbed",
            Rule::Unreachable => "unreachable-pattern",
            Rule::Witness => "unmatched-values",
            Rule::EmptyArm => "omitted-empty-arm",
            Rule::Judgment => "unjudged-wildcard",
            Rule::Incomplete => "incomplete",
        }
    }

    /// Describes the rule in a sentence.
    pub fn description(self) -> &'static str {
        match self {
            Rule::Swallows => "A wildcard takes enum variants without naming them.",
            Rule::Breaks => "A new variant of the enum would stop the build at this site.",
            Rule::Absorbs => "A new variant of the enum would silently be taken at this site.",
            Rule::Unreachable => "An arm or alternative takes no value.",
            Rule::Witness => "Some values are not matched.",
            Rule::EmptyArm => "The match rests on a type being empty.",
            Rule::Judgment => "A wildcard over an own enum differs from what was judged.",
            Rule::Incomplete => "The site was not analyzed, or not in full.",
        }
    }
}

/// Something to say about a place in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How serious it is.
    pub severity: Severity,
    /// What kind it is.
    pub rule: Rule,
    /// What there is to say.
    pub message: String,
    /// Where, and what to write there.
    pub label: Label,
    /// Advice.
    pub help: Option<String>,
}

/// A remark at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The place.
    pub location: Location,
    /// The remark.
    pub text: String,
}

const SHOWN: usize = 12;

fn list(names: &[String]) -> String {
    let mut text = names[..names.len().min(SHOWN)].join(", ");
    if names.len() > SHOWN {
        text += &format!(" and {} more", names.len() - SHOWN);
    }
    text
}

fn variant_names(info: &EnumInfo, variants: &[usize]) -> Vec<String> {
    variants
        .iter()
        .filter_map(|index| info.variants.get(*index).cloned())
        .collect()
}

fn shown(project: &Project, witnesses: &[Witness<match_audit_sites::TypeId>]) -> Vec<String> {
    witnesses
        .iter()
        .map(|witness| format!("`{}`", witness.display(project)))
        .collect()
}

fn sites<'a>(
    project: &'a Project,
    audit: &'a Audit,
) -> impl Iterator<Item = (&'a Site, &'a SiteAudit)> {
    audit
        .sites
        .iter()
        .map(|answers| (&project.sites[answers.site], answers))
}

/// Lists wildcards over the project's own enums, or over `only`, with exactly what they take.
pub fn wildcards(project: &Project, audit: &Audit, only: Option<EnumId>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (site, answers) in sites(project, audit) {
        for absorbed in &answers.absorbed {
            let Some(info) = project.enum_info(absorbed.id) else {
                continue;
            };
            if only.map_or(!info.own, |id| id != info.id) {
                continue;
            }
            let arm = &site.arms[absorbed.arm];
            let names = variant_names(info, &absorbed.variants);
            let groups: Vec<_> = answers.sets.arms[absorbed.arm]
                .groups
                .iter()
                .filter(|group| group.swallowed)
                .map(|group| format!("`{}`", group.values.display(project)))
                .collect();
            let judged = match &arm.absorb {
                Some(reason) => format!(" (judged: {reason})"),
                None => String::new(),
            };
            findings.push(Finding {
                severity: Severity::Note,
                rule: Rule::Swallows,
                message: format!(
                    "`{}` of this {} takes {} of {}'s {} variants without naming them{judged}",
                    arm.text,
                    site.kind.name(),
                    names.len(),
                    info.name(),
                    info.variants.len(),
                ),
                label: Label {
                    location: arm.location.clone(),
                    text: format!("swallows {}", list(&names)),
                },
                help: Some(format!("the values it takes: {}", list(&groups))),
            });
        }
    }
    findings
}

/// Lists what a new variant of an enum would meet.
pub fn growth(project: &Project, info: &EnumInfo, growth: &Growth) -> Vec<Finding> {
    let mut findings = Vec::new();
    for &index in &growth.breaks {
        let site = &project.sites[index];
        findings.push(Finding {
            severity: Severity::Note,
            rule: Rule::Breaks,
            message: format!("a new variant of {} would stop the build here", info.path),
            label: Label {
                location: site.location.clone(),
                text: format!("{} in {}", site.kind.name(), site.function),
            },
            help: None,
        });
    }
    for (index, arms) in &growth.absorbs {
        let site = &project.sites[*index];
        for &arm in arms {
            let arm = &site.arms[arm];
            findings.push(Finding {
                severity: Severity::Warning,
                rule: Rule::Absorbs,
                message: format!(
                    "a new variant of {} would silently be taken here",
                    info.path
                ),
                label: Label {
                    location: arm.location.clone(),
                    text: format!(
                        "by `{}` of this {} in {}",
                        arm.text,
                        site.kind.name(),
                        site.function
                    ),
                },
                help: arm
                    .absorb
                    .as_ref()
                    .map(|reason| format!("judged: {reason}")),
            });
        }
    }
    findings
}

/// Lists arms and alternatives that take nothing.
pub fn unreachable(project: &Project, audit: &Audit) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (site, answers) in sites(project, audit) {
        for (index, arm) in answers.report.arms.iter().enumerate() {
            let info = &site.arms[index];
            let because = |covers: &[usize]| -> Option<String> {
                let lines: Vec<String> = covers
                    .iter()
                    .filter_map(|cover| site.arms.get(*cover))
                    .map(|cover| format!("`{}` in line {}", cover.text, cover.location.line))
                    .collect();
                (!lines.is_empty()).then(|| format!("all of it is taken by {}", list(&lines)))
            };
            if let Usefulness::Redundant { covered_by } = &arm.usefulness {
                // The silent else of an `if let` that always holds is the compiler's business.
                let message = if info.text == "else" {
                    format!("this {} always matches", site.kind.name())
                } else {
                    format!("`{}` takes no value", info.text)
                };
                findings.push(Finding {
                    severity: Severity::Warning,
                    rule: Rule::Unreachable,
                    message,
                    label: Label {
                        location: info.location.clone(),
                        text: "never taken".into(),
                    },
                    help: because(covered_by),
                });
            }
            for alternative in &arm.redundant_alternatives {
                findings.push(Finding {
                    severity: Severity::Warning,
                    rule: Rule::Unreachable,
                    message: format!("an alternative of `{}` takes no value", info.text),
                    label: Label {
                        location: info.location.clone(),
                        text: "one alternative is never taken".into(),
                    },
                    help: because(&alternative.covered_by),
                });
            }
        }
    }
    findings
}

/// Lists all values that a site does not match; code that compiles has none.
pub fn witnesses(project: &Project, audit: &Audit) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (site, answers) in sites(project, audit) {
        if answers.report.verdict != Verdict::NotExhaustive {
            continue;
        }
        // The sets are finer than the compiler's choice, if they could be computed.
        let missing = if answers.sets.complete {
            &answers.sets.missing
        } else {
            &answers.report.witnesses
        };
        findings.push(Finding {
            severity: Severity::Error,
            rule: Rule::Witness,
            message: format!("this {} does not match all values", site.kind.name()),
            label: Label {
                location: site.location.clone(),
                text: format!("not matched: {}", list(&shown(project, missing))),
            },
            help: None,
        });
    }
    findings
}

/// Lists matches that rest on a type being empty: with an empty arm left out, or with one that
/// could be left out or that no execution reaches. Near unsafe code only, unless `all` is asked.
pub fn empty_arms(project: &Project, audit: &Audit, all: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (site, answers) in sites(project, audit) {
        if let Some(level) = answers.omitted_empty_arm
            && (all || level == Level::Default)
        {
            let near = match site.access {
                Access::Ordinary => "",
                Access::RawPointer => ", behind a raw pointer",
                Access::UnionField => ", in a field of a union",
            };
            let arms = list(&shown(project, &answers.report.left_out));
            findings.push(Finding {
                severity: match level {
                    Level::Default => Severity::Warning,
                    Level::OnRequest => Severity::Note,
                },
                rule: Rule::EmptyArm,
                message: format!(
                    "this {} is accepted only because an empty arm was left out{near}",
                    site.kind.name()
                ),
                label: Label {
                    location: site.location.clone(),
                    text: format!("left out: {arms}"),
                },
                help: None,
            });
        }
        if !all {
            continue;
        }
        for (info, arm) in site.arms.iter().zip(&answers.report.arms) {
            let text = match (arm.omittable, arm.reached, &arm.usefulness) {
                (true, _, _) => "takes only values of empty types and could be left out",
                (false, false, Usefulness::Useful) => {
                    "is needed, but reaching it would read a value that cannot exist"
                }
                _ => continue,
            };
            findings.push(Finding {
                severity: Severity::Note,
                rule: Rule::EmptyArm,
                message: format!("`{}` {text}", info.text),
                label: Label {
                    location: info.location.clone(),
                    text: String::new(),
                },
                help: None,
            });
        }
    }
    findings
}

/// Lists the sites that were not analyzed, or not in full.
pub fn unanalyzed(project: &Project, audit: &Audit) -> Vec<Finding> {
    let mut findings: Vec<Finding> = audit
        .unanalyzed
        .iter()
        .map(|site| Finding {
            severity: Severity::Note,
            rule: Rule::Incomplete,
            message: format!("this {} was not analyzed", site.kind.name()),
            label: Label {
                location: site.location.clone(),
                text: site.why.clone(),
            },
            help: None,
        })
        .collect();
    for (site, answers) in sites(project, audit) {
        if answers.report.complete && answers.sets.complete {
            continue;
        }
        findings.push(Finding {
            severity: Severity::Note,
            rule: Rule::Incomplete,
            message: format!("this {} was not analyzed in full", site.kind.name()),
            label: Label {
                location: site.location.clone(),
                text: "too much work".into(),
            },
            help: None,
        });
    }
    findings
}

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
        let location = arm_of(project, audit, entry).unwrap_or_else(|| Location {
            file: baseline.into(),
            line: 1,
            column: 1,
            length: 1,
        });
        findings.push(Finding {
            severity: Severity::Error,
            rule: Rule::Judgment,
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

/// Says whether a site decides something: it has more than one way to go on.
pub(crate) fn decides(site: &Site) -> bool {
    match site.kind {
        SiteKind::Let | SiteKind::Parameter => false,
        SiteKind::Match
        | SiteKind::IfLet
        | SiteKind::WhileLet
        | SiteKind::LetElse
        | SiteKind::Matches => {
            site.matched.arms.len() > 1
                || site.matched.arms.iter().any(|a| a.guard == Guard::Present)
        }
    }
}
