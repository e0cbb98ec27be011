//! Turns answers into findings.

use match_audit_sites::{
    Audit, ConversionSource, EnumInfo, Growth, Project, Site, SiteAudit, SiteKind,
};
use match_audit_usefulness::never::{Access, Level};
use match_audit_usefulness::{EnumId, Guard, Usefulness, Verdict, Witness};

use crate::finding::{Finding, Label, Rule, Severity};

const SHOWN: usize = 12;

pub(crate) fn list(names: &[String]) -> String {
    let mut text = names[..names.len().min(SHOWN)].join(", ");
    if names.len() > SHOWN {
        text += &format!(" and {} more", names.len() - SHOWN);
    }
    text
}

pub(crate) fn variant_names(info: &EnumInfo, variants: &[usize]) -> Vec<String> {
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

pub(crate) fn sites<'a>(
    project: &'a Project,
    audit: &'a Audit,
) -> impl Iterator<Item = (&'a Site, &'a SiteAudit)> {
    audit
        .sites
        .iter()
        .map(|answers| (&project.sites[answers.site], answers))
}

/// Names what a site is, and for which run where runs differ.
fn kind(site: &Site) -> String {
    match &site.run {
        Some(run) => format!("{} (seen with {run})", site.kind.name()),
        None => site.kind.name().into(),
    }
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
                enumeration: Some(info.path.clone()),
                message: format!(
                    "`{}` of this {} takes {} of {}'s {} variants without naming them{judged}",
                    arm.text,
                    kind(site),
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
            enumeration: Some(info.path.clone()),
            message: format!("a new variant of {} would stop the build here", info.path),
            label: Label {
                location: site.location.clone(),
                text: format!("{} in {}", kind(site), site.function),
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
                enumeration: Some(info.path.clone()),
                message: format!(
                    "a new variant of {} would silently be taken here",
                    info.path
                ),
                label: Label {
                    location: arm.location.clone(),
                    text: format!(
                        "by `{}` of this {} in {}",
                        arm.text,
                        kind(site),
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
                    format!("this {} always matches", kind(site))
                } else {
                    format!("`{}` takes no value", info.text)
                };
                findings.push(Finding {
                    severity: Severity::Warning,
                    rule: Rule::Unreachable,
                    enumeration: None,
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
                    enumeration: None,
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
            enumeration: None,
            message: format!("this {} does not match all values", kind(site)),
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
/// What a comment `// match-audit: omitted_empty_arm(reason)` answers is a note with the reason.
pub fn empty_arms(project: &Project, audit: &Audit, all: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (site, answers) in sites(project, audit) {
        if let Some(level) = answers.omitted_empty_arm
            && (all || level == Level::Default && site.empty_arm.is_none())
        {
            let near = match site.access {
                Access::Ordinary => "",
                Access::RawPointer => ", behind a raw pointer",
                Access::UnionField => ", in a field of a union",
            };
            let arms = list(&shown(project, &answers.report.left_out));
            findings.push(Finding {
                severity: match (level, &site.empty_arm) {
                    (Level::Default, None) => Severity::Warning,
                    (Level::Default, Some(_)) | (Level::OnRequest, _) => Severity::Note,
                },
                rule: Rule::EmptyArm,
                enumeration: None,
                message: format!(
                    "this {} is accepted only because an empty arm was left out{near}",
                    kind(site)
                ),
                label: Label {
                    location: site.location.clone(),
                    text: format!("left out: {arms}"),
                },
                help: site.empty_arm.as_ref().map(|it| format!("judged: {it}")),
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
                enumeration: None,
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
            enumeration: None,
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
            enumeration: None,
            message: format!("this {} was not analyzed in full", kind(site)),
            label: Label {
                location: site.location.clone(),
                text: "too much work".into(),
            },
            help: None,
        });
    }
    findings
}

/// Lists code that seems to make an own enum from something else. A heuristic, and each finding
/// says so.
pub fn conversions(project: &Project) -> Vec<Finding> {
    let mut findings = Vec::new();
    for conversion in &project.conversions {
        let Some(info) = project.enum_info(conversion.id) else {
            continue;
        };
        let lost: Vec<usize> = (0..info.variants.len())
            .filter(|index| !conversion.made.contains(index))
            .collect();
        let made = variant_names(info, &conversion.made);
        findings.push(Finding {
            severity: Severity::Note,
            rule: Rule::Conversion,
            enumeration: Some(info.path.clone()),
            message: match conversion.from {
                ConversionSource::List => format!(
                    "heuristic: `{}` lists variants of {} one by one; a new one would be missing \
                     here without any error",
                    conversion.function, info.path,
                ),
                ConversionSource::Number | ConversionSource::Text => format!(
                    "heuristic: `{}` seems to make {} from {}; a new variant would be lost here \
                     without any error",
                    conversion.function,
                    info.path,
                    conversion.from.name(),
                ),
            },
            label: Label {
                location: conversion.location.clone(),
                text: format!(
                    "names {} of {} variants: {}",
                    made.len(),
                    info.variants.len(),
                    list(&made)
                ),
            },
            help: (!lost.is_empty())
                .then(|| format!("not made today: {}", list(&variant_names(info, &lost)))),
        });
    }
    findings
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
