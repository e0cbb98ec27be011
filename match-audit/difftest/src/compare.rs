//! Compares the answers about one match with the compiler's.

use match_audit_usefulness::{Report, Usefulness, Verdict, Witness, WitnessKind};

use crate::generate::Case;
use crate::oracle::Findings;
use crate::program::{Body, Kind, Program, Ty};

/// Compares one match, and describes the differences.
pub(crate) fn compare(
    program: &Program,
    case: &Case,
    findings: &Findings,
    source: &str,
    report: &Report<Ty>,
) -> Vec<String> {
    let mut differences = Vec::new();
    let mut differ = |what: &str, ours: String, theirs: String| {
        differences.push(format!("{what}:\n  ours:   {ours}\n  theirs: {theirs}"));
    };
    let theirs = findings.unmatched_in(&case.function);
    let ours = error_text(program, case, report);
    let same = match (&ours, theirs) {
        (None, None) => true,
        // With never patterns on, the compiler prints `!` for a wildcard over an empty type.
        (Some(ours), Some(theirs)) => {
            ours.replace('!', "_") == theirs.replace('!', "_")
                || !has_comparable_text(report, theirs)
        }
        _ => false,
    };
    if !same {
        differ("E0004", format!("{ours:?}"), format!("{theirs:?}"));
    }
    let ours = unreachable(case, report);
    let theirs: Vec<(usize, usize)> = findings
        .unreachable
        .range((case.function.start, 0)..(case.function.end, 0))
        .copied()
        .collect();
    if ours != theirs {
        let show = |list: &[(usize, usize)]| {
            let parts: Vec<&str> = list.iter().map(|(a, b)| &source[*a..*b]).collect();
            parts.join("   ")
        };
        differ("unreachable", show(&ours), show(&theirs));
    }
    differences
}

/// Writes the message of E0004 as the compiler would.
fn error_text(program: &Program, case: &Case, report: &Report<Ty>) -> Option<String> {
    if report.verdict == Verdict::Exhaustive {
        return None;
    }
    if case.matched.arms.is_empty() && !lists_without_arms(program, case.matched.scrutinee) {
        return Some("non-exhaustive patterns: type".into());
    }
    let shown: Vec<String> = report
        .witnesses
        .iter()
        .map(|witness| format!("`{}`", witness.display(program)))
        // The compiler drops a private empty field when it prints.
        .map(|text| text.replace("Secret(_)", "Secret()"))
        .collect();
    let list = match shown.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [rest @ .., last] if shown.len() <= 3 => format!("{} and {last}", rest.join(", ")),
        [a, b, c, rest @ ..] => format!("{a}, {b}, {c} and {} more", rest.len()),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    };
    Some(format!("non-exhaustive patterns: {list} not covered"))
}

/// Without arms the compiler lists the variants of an enum, and else only names the type.
fn lists_without_arms(program: &Program, ty: Ty) -> bool {
    match program.kind(ty) {
        Kind::Option(_) | Kind::Result(..) => true,
        Kind::Adt(index) => matches!(program.adts[index].body, Body::Enum { .. }),
        _ => false,
    }
}

/// Some texts are the compiler's own affair: its way to print unions, and the name of a type.
fn has_comparable_text(report: &Report<Ty>, theirs: &str) -> bool {
    !theirs.contains(" is non-empty") && !report.witnesses.iter().any(has_union)
}

pub(crate) fn has_union(witness: &Witness<Ty>) -> bool {
    match &witness.kind {
        WitnessKind::Union(_) => true,
        WitnessKind::Struct(fields) | WitnessKind::Variant(_, fields) => {
            fields.iter().any(has_union)
        }
        WitnessKind::Ref(sub) | WitnessKind::Deref(sub) => has_union(sub),
        WitnessKind::Slice(front, back) => front.iter().chain(back.iter().flatten()).any(has_union),
        WitnessKind::OneOf(subs) => subs.iter().any(has_union),
        WitnessKind::Any
        | WitnessKind::Unlisted
        | WitnessKind::Never
        | WitnessKind::Bool(_)
        | WitnessKind::Range(_)
        | WitnessKind::Str(_)
        | WitnessKind::Float(..)
        | WitnessKind::Opaque(_) => false,
    }
}

/// Lists what should be called unreachable, as byte ranges.
pub(crate) fn unreachable(case: &Case, report: &Report<Ty>) -> Vec<(usize, usize)> {
    let mut list = Vec::new();
    for (arm, bytes) in report.arms.iter().zip(&case.arms) {
        if let Usefulness::Redundant { .. } = arm.usefulness {
            list.push((bytes.start, bytes.end));
        }
        for alternative in &arm.redundant_alternatives {
            let bytes = &case.alternatives[alternative.label as usize];
            list.push((bytes.start, bytes.end));
        }
    }
    list.sort_unstable();
    list
}
