//! A second implementation, by listing all values, and random matches on which both must agree.
//!
//! The listing contains values that cannot exist: an empty type has one, the *hole*. What the
//! rules say about emptiness then reads as which values with holes count. A place that may be
//! invalid may hold one; at a valid place it never is, and a match need not take it.

mod named;
mod value;

use crate::common::*;
use crate::hostile::{Rng, random_pattern};
use match_audit_usefulness::*;
use std::collections::{BTreeMap, BTreeSet};
use value::{V, dead, has_other_text, holds, matches, values};

/// A type whose values can be listed.
fn random_type(rng: &mut Rng, depth: usize) -> Ty {
    let sub = |rng: &mut Rng| random_type(rng, depth.saturating_sub(1));
    match rng.below(if depth == 0 { 10 } else { 20 }) {
        0 => Ty::Never,
        1 => plain("Void", 0),
        2..=4 => Ty::Bool,
        5 => Ty::U8,
        6 => Ty::I8,
        7 => Ty::Usize,
        8 => reference(Ty::Str),
        9 => Ty::Foreign(1 + rng.below(2), vec![rng.below(2)], rng.below(2) == 0),
        10..=12 => Ty::Tuple((0..1 + rng.below(3)).map(|_| sub(rng)).collect()),
        13 => reference(sub(rng)),
        14 => reference(Ty::Slice(Box::new(sub(rng)))),
        15 => Ty::Array(Box::new(sub(rng)), Some(rng.below(3) as u64)),
        16 => Ty::Union((0..1 + rng.below(2)).map(|_| sub(rng)).collect()),
        _ => {
            let variants = (0..1 + rng.below(4))
                .map(|_| (0..[0, 0, 1, 2][rng.below(4)]).map(|_| sub(rng)).collect())
                .collect();
            Ty::Enum("E", variants)
        }
    }
}

/// Says whether the listing understands the pattern.
fn is_plain(pat: &P) -> bool {
    match &pat.kind {
        PatKind::Opaque(_) | PatKind::Deref(..) | PatKind::Float(..) => false,
        PatKind::Bind(_, Some(sub)) | PatKind::Ref(sub) | PatKind::Union(_, sub) => is_plain(sub),
        PatKind::Struct(subs) | PatKind::Variant(_, subs) => subs.iter().all(|(_, s)| is_plain(s)),
        PatKind::Slice { prefix, suffix, .. } => prefix.iter().chain(suffix).all(is_plain),
        PatKind::Or(subs) => subs.iter().all(is_plain),
        _ => true,
    }
}

/// Gives each alternative a number of its own, and each integer one that the listing knows.
fn label(pat: &mut P, next: &mut u32) {
    let known = |raw: u128| match raw % 3 {
        0 => 250 + raw % 6,
        _ => raw % 9,
    };
    match &mut pat.kind {
        PatKind::Range(range) => {
            range.lo = range.lo.map(known);
            range.hi = range.hi.map(known);
        }
        PatKind::Bind(_, Some(sub)) | PatKind::Ref(sub) | PatKind::Union(_, sub) => {
            label(sub, next)
        }
        PatKind::Struct(subs) | PatKind::Variant(_, subs) => {
            subs.iter_mut().for_each(|(_, sub)| label(sub, next));
        }
        PatKind::Slice { prefix, suffix, .. } => {
            prefix
                .iter_mut()
                .chain(suffix)
                .for_each(|sub| label(sub, next));
        }
        PatKind::Or(subs) => {
            for sub in subs {
                *next += 1;
                sub.label = *next;
                label(sub, next);
            }
        }
        _ => {}
    }
}

/// A way to take an arm: a pattern without alternatives, and the labels of those chosen.
type Row = (P, Vec<u32>);

/// Multiplies out, in the order in which alternatives are tried.
fn rows(pat: &P) -> Vec<Row> {
    let all = |subs: &mut dyn Iterator<Item = &P>| {
        let mut lists: Vec<(Vec<P>, Vec<u32>)> = vec![Default::default()];
        for sub in subs {
            let choices = rows(sub);
            let longer = lists.iter().flat_map(|(pats, labels)| {
                choices.iter().map(|(pat, more)| {
                    let (mut pats, mut labels) = (pats.clone(), labels.clone());
                    pats.push(pat.clone());
                    labels.extend(more);
                    (pats, labels)
                })
            });
            lists = longer.collect();
        }
        lists
    };
    let one = |sub: &P, make: &dyn Fn(Box<P>) -> PatKind<Ty>| {
        let wrap = |(pat, labels): Row| (Pat::new(make(Box::new(pat))), labels);
        rows(sub).into_iter().map(wrap).collect()
    };
    let fields = |subs: &[(usize, P)], make: &dyn Fn(Vec<(usize, P)>) -> PatKind<Ty>| {
        let lists = all(&mut subs.iter().map(|(_, sub)| sub)).into_iter();
        let at = |pats: Vec<P>| subs.iter().map(|(at, _)| *at).zip(pats).collect();
        lists
            .map(|(pats, labels)| (Pat::new(make(at(pats))), labels))
            .collect()
    };
    match &pat.kind {
        PatKind::Or(subs) => subs
            .iter()
            .flat_map(|sub| {
                rows(sub).into_iter().map(|(pat, mut labels)| {
                    labels.insert(0, sub.label);
                    (pat, labels)
                })
            })
            .collect(),
        PatKind::Bind(mode, Some(sub)) => one(sub, &|sub| PatKind::Bind(*mode, Some(sub))),
        PatKind::Ref(sub) => one(sub, &PatKind::Ref),
        PatKind::Union(field, sub) => one(sub, &|sub| PatKind::Union(*field, sub)),
        PatKind::Struct(subs) => fields(subs, &PatKind::Struct),
        PatKind::Variant(index, subs) => fields(subs, &|subs| PatKind::Variant(*index, subs)),
        PatKind::Slice {
            prefix,
            rest,
            suffix,
        } => all(&mut prefix.iter().chain(suffix))
            .into_iter()
            .map(|(mut pats, labels)| {
                let suffix = pats.split_off(prefix.len());
                (slice(pats, *rest, suffix), labels)
            })
            .collect(),
        _ => vec![(pat.clone(), vec![])],
    }
}

/// What the listing knows about an arm.
#[derive(Clone, Debug, Default, PartialEq)]
struct Facts {
    useful: bool,
    reached: bool,
    required: bool,
    redundant: BTreeSet<u32>,
}

/// What the listing knows about a match.
struct Truth {
    arms: Vec<Facts>,
    /// For each value the arms that see it, and whether none takes it for sure.
    takers: Vec<(Vec<usize>, bool)>,
    exhaustive: bool,
    leaves_out: bool,
}

/// How the rules see the values of a match.
struct Rules {
    valid: bool,
    empty_arms: EmptyArms,
    /// The scrutinee's type has no constructors at all.
    voided: bool,
}

impl Rules {
    /// Whether some arm must take the value.
    fn requires(&self, value: &V) -> bool {
        match self.empty_arms {
            EmptyArms::Stable => !(self.voided || value.has_hole(self.valid)),
            EmptyArms::Everywhere => !value.has_hole_anywhere(),
            EmptyArms::Nowhere => true,
        }
    }
}

fn truth(m: &Match<Ty>, values: &[V], rules: &Rules) -> Truth {
    let rows: Vec<Vec<Row>> = m.arms.iter().map(|arm| self::rows(&arm.pat)).collect();
    let mut useful: Vec<Vec<bool>> = rows.iter().map(|rows| vec![false; rows.len()]).collect();
    let mut truth = Truth {
        arms: vec![Facts::default(); m.arms.len()],
        takers: Vec::new(),
        exhaustive: true,
        leaves_out: false,
    };
    for value in values {
        let mut takers = Vec::new();
        let mut free = true;
        for (index, arm) in m.arms.iter().enumerate() {
            for (at, (pat, _)) in rows[index].iter().enumerate() {
                if !free || !matches(pat, value) {
                    continue;
                }
                takers.push(index);
                free = arm.guard == Guard::Present;
                useful[index][at] = true;
                let facts = &mut truth.arms[index];
                facts.reached |= !dead(pat, value) && !value.has_hole(rules.valid);
                facts.required |= rules.requires(value);
            }
        }
        if free {
            truth.exhaustive &= !rules.requires(value);
            truth.leaves_out |= !rules.requires(value);
        }
        truth.takers.push((takers, free));
    }
    for (index, facts) in truth.arms.iter_mut().enumerate() {
        facts.useful = useful[index].contains(&true);
        facts.redundant = redundant_alternatives(&rows[index], &useful[index]);
    }
    truth
}

/// Alternatives of no use, though what was chosen before them is.
fn redundant_alternatives(rows: &[Row], useful: &[bool]) -> BTreeSet<u32> {
    let starts_usefully = |start: &[u32]| {
        let mut both = rows.iter().zip(useful);
        both.any(|((_, labels), useful)| *useful && labels.starts_with(start))
    };
    let mut seen: BTreeMap<u32, (bool, bool)> = BTreeMap::new();
    for (_, labels) in rows {
        for at in 0..labels.len() {
            let entry = seen.entry(labels[at]).or_default();
            entry.0 |= starts_usefully(&labels[..=at]);
            entry.1 |= starts_usefully(&labels[..at]);
        }
    }
    let redundant = seen
        .into_iter()
        .filter(|(_, (useful, parent))| !useful && *parent);
    redundant.map(|(label, _)| label).collect()
}

fn random_match(rng: &mut Rng, ty: Ty) -> Match<Ty> {
    let mut matched = m(ty.clone(), vec![]);
    if rng.below(3) == 0 {
        matched.validity = Validity::MaybeInvalid;
    }
    let mut next = 0;
    for _ in 0..rng.below(7) {
        let mut pat = random_pattern(rng, &ty, 4);
        label(&mut pat, &mut next);
        let alone = m(ty.clone(), vec![pat.clone()]);
        let fits = check(&Program, &alone, &Options::default()).is_ok();
        if !fits || !is_plain(&pat) || rows(&pat).len() > 64 {
            continue;
        }
        matched.arms.push(Arm {
            pat,
            guard: [Guard::Absent, Guard::Absent, Guard::Present][rng.below(3)],
        });
    }
    matched
}

fn random_matches(count: u64) -> impl Iterator<Item = (Match<Ty>, Vec<V>, String)> {
    (0..count).filter_map(|seed| {
        let mut rng = Rng::new(seed);
        let ty = random_type(&mut rng, 2);
        let matched = random_match(&mut rng, ty);
        let mut values = values(&matched.scrutinee)?;
        let patterns = format!("{:?}", matched.arms);
        let known: Vec<&str> = ["", "a", "b"]
            .into_iter()
            .filter(|text| patterns.contains(&format!("Str({text:?})")))
            .collect();
        values.retain(|value| !has_other_text(value, &known));
        let text = format!("seed {seed}: {matched:#?}");
        Some((matched, values, text))
    })
}

fn is_void(ty: &Ty) -> bool {
    matches!(ty, Ty::Never) || matches!(ty, Ty::Enum(_, variants) if variants.is_empty())
}

#[test]
fn verdicts_agree_with_a_listing_of_all_values() {
    let mut compared = 0;
    for (matched, values, text) in random_matches(4_000) {
        for empty_arms in [EmptyArms::Stable, EmptyArms::Everywhere, EmptyArms::Nowhere] {
            // Under these rules emptiness behind a reference counts only where a pattern looks.
            let looks = |value: &V| value.has_hole_anywhere() && !value.has_hole(true);
            if empty_arms == EmptyArms::Everywhere && values.iter().any(looks) {
                continue;
            }
            let rules = Rules {
                valid: matched.validity == Validity::KnownValid,
                empty_arms,
                voided: is_void(&matched.scrutinee),
            };
            let options = Options {
                empty_arms,
                ..Options::default()
            };
            let truth = truth(&matched, &values, &rules);
            let report = check(&Program, &matched, &options).unwrap();
            let exhaustive = report.verdict == Verdict::Exhaustive;
            assert_eq!(exhaustive, truth.exhaustive, "{empty_arms:?} {text}");
            assert_eq!(exhaustive, report.witnesses.is_empty(), "{text}");
            if exhaustive {
                assert_eq!(report.left_out.is_empty(), !truth.leaves_out, "{text}");
            }
            // Under these rules nothing is useful that cannot be, which a listing with holes in
            // valid places does not tell.
            let is_barred = |value: &V| match empty_arms {
                EmptyArms::Stable => rules.valid && rules.voided,
                EmptyArms::Everywhere => value.has_hole(rules.valid),
                EmptyArms::Nowhere => false,
            };
            if !values.iter().any(is_barred) {
                arms_agree(&matched, &values, &truth, &report, &text);
            }
            witnesses_are_unmatched(&values, &truth, &report, &text);
            compared += 1;
        }
    }
    assert!(compared > 6_000, "{compared}");
}

fn arms_agree(m: &Match<Ty>, values: &[V], truth: &Truth, report: &Report<Ty>, text: &str) {
    for (index, (facts, arm)) in truth.arms.iter().zip(&report.arms).enumerate() {
        let covers = |by: &[usize], pat: &P| {
            let unguarded = by.iter().all(|arm| m.arms[*arm].guard == Guard::Absent);
            let mut matched = values.iter().filter(|value| matches(pat, value));
            unguarded && matched.all(|v| by.iter().any(|arm| matches(&m.arms[*arm].pat, v)))
        };
        match &arm.usefulness {
            Usefulness::Useful => assert!(facts.useful, "arm {index} {text}"),
            Usefulness::Redundant { covered_by } => {
                assert!(!facts.useful, "arm {index} {text}");
                assert!(covered_by.iter().all(|by| *by < index), "{text}");
                let pat = &m.arms[index].pat;
                assert!(
                    covers(covered_by, pat),
                    "arm {index} by {covered_by:?} {text}"
                );
            }
            Usefulness::Unknown => panic!("{text}"),
        }
        assert_eq!(arm.reached, facts.reached, "arm {index} {text}");
        let omittable = facts.useful && !facts.required;
        assert_eq!(arm.omittable, omittable, "arm {index} {text}");
        let labels = arm.redundant_alternatives.iter().map(|a| a.label).collect();
        assert_eq!(facts.redundant, labels, "arm {index} {text}");
        for alternative in &arm.redundant_alternatives {
            assert!(
                alternative.covered_by.iter().all(|by| *by <= index),
                "{text}"
            );
            assert!(!alternative.covered_by.is_empty(), "{text}");
        }
    }
}

fn witnesses_are_unmatched(values: &[V], truth: &Truth, report: &Report<Ty>, text: &str) {
    for witness in report.witnesses.iter().chain(&report.left_out) {
        let mut held = values.iter().zip(&truth.takers);
        let unmatched = held.any(|(value, (_, free))| *free && holds(witness, value));
        assert!(unmatched, "{} {text}", witness.display(&Program));
    }
    for witness in &report.witnesses {
        let mut held = values.iter().zip(&truth.takers);
        let matched = held.find(|(value, (_, free))| !*free && holds(witness, value));
        assert!(matched.is_none(), "{} {text}", witness.display(&Program));
    }
}

#[test]
fn sets_agree_with_a_listing_of_all_values() {
    let mut compared = 0;
    for (matched, values, text) in random_matches(3_000) {
        let rules = Rules {
            valid: matched.validity == Validity::KnownValid,
            empty_arms: EmptyArms::Stable,
            voided: is_void(&matched.scrutinee),
        };
        let truth = truth(&matched, &values, &rules);
        let sets = sets(&matched);
        if !sets.complete {
            continue;
        }
        for (value, (takers, free)) in values.iter().zip(&truth.takers) {
            // A group may be said to be all there is of a type, which holes are not; and where a
            // string is not named, it is one of those that cannot be.
            if value.has_hole(rules.valid) || format!("{value:?}").contains("Text(Some(") {
                continue;
            }
            for (index, arm) in matched.arms.iter().enumerate() {
                let groups = &sets.arms[index].groups;
                let found = groups.iter().filter(|g| holds(&g.values, value)).count();
                let comes = takers.contains(&index);
                let right = match arm.guard {
                    Guard::Absent => found == usize::from(comes),
                    Guard::Present => (found > 0) == comes,
                };
                assert!(right, "arm {index}, {found} of {comes} {value:?} {text}");
            }
            let missing = sets.missing.iter().filter(|w| holds(w, value)).count();
            let wanted = *free && rules.requires(value);
            assert_eq!(missing, usize::from(wanted), "{value:?} {text}");
        }
        compared += 1;
    }
    assert!(compared > 1_500, "{compared}");
}

/// Adds a variant to the enum `E`, wherever it stands.
fn grown(ty: &Ty) -> Ty {
    let all = |list: &[Ty]| list.iter().map(grown).collect::<Vec<_>>();
    match ty {
        Ty::Tuple(fields) => Ty::Tuple(all(fields)),
        Ty::Union(fields) => Ty::Union(all(fields)),
        Ty::Ref(target) => reference(grown(target)),
        Ty::Slice(element) => Ty::Slice(Box::new(grown(element))),
        Ty::Array(element, len) => Ty::Array(Box::new(grown(element)), *len),
        Ty::Private(field) => Ty::Private(Box::new(grown(field))),
        Ty::Enum(name, variants) => {
            let mut variants: Vec<Vec<Ty>> = variants.iter().map(|v| all(v)).collect();
            if *name == "E" {
                variants.push(vec![]);
            }
            Ty::Enum(name, variants)
        }
        other => other.clone(),
    }
}

#[test]
fn growth_does_what_was_foretold() {
    let mut broken = 0;
    for (matched, _, text) in random_matches(3_000) {
        let answer = what_if(&Program, &matched, id("E"), &Options::default()).unwrap();
        let then = Match {
            scrutinee: grown(&matched.scrutinee),
            ..matched.clone()
        };
        let (today, then) = (report(&matched), report(&then));
        let breaks = today.verdict == Verdict::Exhaustive && then.verdict == Verdict::NotExhaustive;
        assert_eq!(answer.breaks, breaks, "{text}");
        assert_eq!(answer.unmatched.len(), then.witnesses.len(), "{text}");
        broken += usize::from(breaks);
    }
    assert!(broken > 20, "{broken}");
}
