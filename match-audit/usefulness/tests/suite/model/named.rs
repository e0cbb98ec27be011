//! What is said to be swallowed, and the counts.
//!
//! A value is swallowed where the pattern that takes it says nothing about a place, while some arm
//! of the match tells the variants there apart.

use super::value::{V, matches, values};
use super::{Rng, random_match, rows};
use crate::common::*;
use match_audit_usefulness::*;
use std::collections::{BTreeMap, BTreeSet};

/// A place: for each step the variant, counted from 1, or 0, and the field.
type Path = Vec<(usize, usize)>;

/// Variants by place.
type Noted = BTreeMap<Path, BTreeSet<usize>>;

/// A type without empty parts, of which a match tells apart all that it has.
fn random_type(rng: &mut Rng, depth: usize) -> Ty {
    let sub = |rng: &mut Rng| random_type(rng, depth - 1);
    match rng.below(if depth == 0 { 3 } else { 8 }) {
        0 => Ty::Bool,
        1 => plain("E", 2 + rng.below(2)),
        2 => plain("F", 3),
        3 => reference(sub(rng)),
        4 | 5 => Ty::Tuple((0..1 + rng.below(3)).map(|_| sub(rng)).collect()),
        _ => Ty::Enum(
            "G",
            (0..2 + rng.below(3))
                .map(|_| (0..rng.below(3)).map(|_| sub(rng)).collect())
                .collect(),
        ),
    }
}

/// Notes the places at which a pattern tells values apart.
fn tell(pat: &P, path: &mut Path, told: &mut BTreeSet<Path>) {
    let mut fields = |step: usize, subs: &[(usize, P)], path: &mut Path| {
        for (field, sub) in subs {
            path.push((step, *field));
            tell(sub, path, told);
            path.pop();
        }
    };
    match &pat.kind {
        PatKind::Struct(subs) => fields(0, subs, path),
        PatKind::Variant(index, subs) => {
            fields(index + 1, subs, path);
            told.insert(path.clone());
        }
        PatKind::Ref(sub) => {
            path.push((0, 0));
            tell(sub, path, told);
            path.pop();
        }
        PatKind::Bool(_) => {
            told.insert(path.clone());
        }
        PatKind::Or(subs) => subs.iter().for_each(|sub| tell(sub, path, told)),
        PatKind::Bind(_, Some(sub)) => tell(sub, path, told),
        _ => {}
    }
}

/// The step into a value, the choice made there, and its parts.
fn parts(value: &V) -> (usize, Option<usize>, Vec<&V>) {
    match value {
        V::Bool(value) => (0, Some(usize::from(*value)), vec![]),
        V::Variant(index, parts) => (index + 1, Some(*index), parts.iter().collect()),
        V::Product(parts) => (0, None, parts.iter().collect()),
        V::Ref(target) => (0, None, vec![target]),
        other => panic!("not such a type: {other:?}"),
    }
}

/// Lists what is told apart in a value.
fn project(value: &V, path: &mut Path, told: &BTreeSet<Path>, out: &mut Vec<(Path, usize)>) {
    let (step, choice, parts) = parts(value);
    if told.contains(path) {
        out.extend(choice.map(|choice| (path.clone(), choice)));
    }
    for (field, part) in parts.into_iter().enumerate() {
        path.push((step, field));
        project(part, path, told, out);
        path.pop();
    }
}

/// Notes the variants in `value` that `pat`, which takes it, does not name.
fn walk(pat: Option<&P>, value: &V, path: &mut Path, told: &BTreeSet<Path>, noted: &mut Noted) {
    let (step, choice, parts) = parts(value);
    let named: Option<Vec<(usize, &P)>> = pat.and_then(|pat| match &pat.kind {
        PatKind::Struct(subs) | PatKind::Variant(_, subs) => {
            Some(subs.iter().map(|(at, sub)| (*at, sub)).collect())
        }
        PatKind::Ref(sub) => Some(vec![(0, &**sub)]),
        PatKind::Bool(_) => Some(vec![]),
        _ => None,
    });
    if let (None, Some(choice), V::Variant(..)) = (&named, choice, value)
        && told.contains(path)
    {
        noted.entry(path.clone()).or_default().insert(choice);
    }
    for (field, part) in parts.into_iter().enumerate() {
        let sub = named.iter().flatten().find(|(at, _)| *at == field);
        path.push((step, field));
        walk(sub.map(|(_, sub)| *sub), part, path, told, noted);
        path.pop();
    }
}

/// The pattern below bindings, which name nothing.
fn unbound(pat: &P) -> P {
    let mut pat = pat.clone();
    match &mut pat.kind {
        PatKind::Bind(_, Some(sub)) => return unbound(sub),
        PatKind::Struct(subs) | PatKind::Variant(_, subs) => {
            subs.iter_mut().for_each(|(_, sub)| *sub = unbound(sub));
        }
        PatKind::Ref(sub) => **sub = unbound(sub),
        _ => {}
    }
    pat
}

#[test]
fn counts_and_swallowed_variants_agree_with_a_listing_of_all_values() {
    let mut swallowing = 0;
    for seed in 0..2_000 {
        let mut rng = Rng::new(seed);
        let ty = random_type(&mut rng, 2);
        let matched = random_match(&mut rng, ty);
        let Some(mut free) = values(&matched.scrutinee) else {
            continue;
        };
        let text = format!("seed {seed}: {matched:#?}");
        // A match on an enum is about its variants, even if it says `_` only.
        let mut root = Path::new();
        let mut target = &matched.scrutinee;
        while let Ty::Ref(next) = target {
            root.push((0, 0));
            target = next;
        }
        let mut told = BTreeSet::from([root]);
        for arm in &matched.arms {
            tell(&arm.pat, &mut Path::new(), &mut told);
        }
        let found = sets(&matched);
        assert!(found.complete);
        for (index, (arm, set)) in matched.arms.iter().zip(&found.arms).enumerate() {
            let rows: Vec<P> = rows(&arm.pat).iter().map(|(pat, _)| unbound(pat)).collect();
            let (mut seen, mut swallowed) = (BTreeSet::new(), BTreeSet::new());
            let mut noted = Noted::new();
            for value in free.iter().filter(|value| matches(&arm.pat, value)) {
                // A guard lets a value on to the next alternative.
                let most = match arm.guard {
                    Guard::Absent => 1,
                    Guard::Present => rows.len(),
                };
                let mut own = Noted::new();
                for row in rows.iter().filter(|row| matches(row, value)).take(most) {
                    walk(Some(row), value, &mut Path::new(), &told, &mut own);
                }
                let mut seen_as = Vec::new();
                project(value, &mut Path::new(), &told, &mut seen_as);
                if !own.is_empty() {
                    swallowed.insert(seen_as.clone());
                }
                seen.insert(seen_as);
                for (path, variants) in own {
                    noted.entry(path).or_default().extend(variants);
                }
            }
            let mut ours: Vec<_> = set.swallowed.iter().map(|s| s.variants.clone()).collect();
            let mut listed: Vec<Vec<usize>> = noted
                .into_values()
                .map(|list| list.into_iter().collect())
                .collect();
            ours.sort();
            listed.sort();
            assert_eq!(ours, listed, "arm {index} {text}");
            swallowing += usize::from(!ours.is_empty());
            // Through a guard a value may be counted once for each alternative.
            if arm.guard == Guard::Absent {
                assert_eq!(set.count, seen.len() as u128, "arm {index} {text}");
                assert_eq!(
                    set.swallowed_count,
                    swallowed.len() as u128,
                    "arm {index} {text}"
                );
                free.retain(|value| !matches(&arm.pat, value));
            }
        }
    }
    assert!(swallowing > 500, "{swallowing}");
}
