//! Values, one by one.

use crate::common::*;
use match_audit_usefulness::*;

/// A value. Of integers and strings there are samples, enough for the patterns in use.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum V {
    /// What an empty type does not have.
    Hole,
    Bool(bool),
    Int(i128, Sign),
    /// An integer of another target, larger than all of this one.
    Beyond,
    /// A string, or a value that nobody can name.
    Text(Option<&'static str>),
    /// A tuple, struct, array or slice.
    Product(Vec<V>),
    Variant(usize, Vec<V>),
    Ref(Box<V>),
    /// What a union holds, seen through each field.
    Union(Vec<V>),
    /// The contents of a private field that nobody may know to be empty.
    Secret,
}

impl V {
    /// Says whether there is a hole at a place that is valid; `valid` is about this one.
    pub(super) fn has_hole(&self, valid: bool) -> bool {
        match self {
            V::Hole => valid,
            V::Product(parts) | V::Variant(_, parts) => parts.iter().any(|p| p.has_hole(valid)),
            V::Ref(_) | V::Union(_) => false,
            V::Bool(_) | V::Int(..) | V::Beyond | V::Text(_) | V::Secret => false,
        }
    }

    pub(super) fn has_hole_anywhere(&self) -> bool {
        match self {
            V::Hole => true,
            V::Product(parts) | V::Variant(_, parts) | V::Union(parts) => {
                parts.iter().any(V::has_hole_anywhere)
            }
            V::Ref(target) => target.has_hole_anywhere(),
            V::Bool(_) | V::Int(..) | V::Beyond | V::Text(_) | V::Secret => false,
        }
    }
}

/// Says whether the value contains a string other than these. No pattern tells it from those that
/// nobody can name, which have a value of their own.
pub(super) fn has_other_text(value: &V, known: &[&str]) -> bool {
    match value {
        V::Text(Some(text)) => !known.contains(text),
        V::Product(parts) | V::Variant(_, parts) | V::Union(parts) => {
            parts.iter().any(|part| has_other_text(part, known))
        }
        V::Ref(target) => has_other_text(target, known),
        V::Hole | V::Bool(_) | V::Int(..) | V::Beyond | V::Text(None) | V::Secret => false,
    }
}

/// More values than this are not listed.
const MOST: usize = 1_200;

/// Lists all values with holes, or nothing if there are too many.
pub(super) fn values(ty: &Ty) -> Option<Vec<V>> {
    let int = |sign, list: &[std::ops::RangeInclusive<i128>]| -> Vec<V> {
        let all = list.iter().cloned().flatten();
        all.map(|value| V::Int(value, sign)).collect()
    };
    let list = match ty {
        Ty::Never => vec![V::Hole],
        Ty::Bool => vec![V::Bool(false), V::Bool(true)],
        Ty::U8 => int(Sign::Unsigned, &[0..=9, 100..=100, 249..=255]),
        Ty::I8 => int(Sign::Signed, &[-128..=-128, -7..=9, 127..=127]),
        Ty::Usize => {
            let max = i128::from(u64::MAX);
            let mut all = int(Sign::Unsigned, &[0..=9, 100..=100, 249..=256, max..=max]);
            all.push(V::Beyond);
            all
        }
        Ty::Str => ["", "a", "b"]
            .map(|text| V::Text(Some(text)))
            .into_iter()
            .chain([V::Text(None)])
            .collect(),
        Ty::Tuple(fields) => product(fields)?.into_iter().map(V::Product).collect(),
        Ty::Private(field) if is_empty(field) => vec![V::Product(vec![V::Secret])],
        Ty::Private(field) => values(field)?
            .into_iter()
            .map(|v| V::Product(vec![v]))
            .collect(),
        Ty::Ref(target) => values(target)?
            .into_iter()
            .map(|v| V::Ref(Box::new(v)))
            .collect(),
        Ty::Union(fields) => product(fields)?.into_iter().map(V::Union).collect(),
        Ty::Array(element, Some(len)) => {
            let elements = vec![(**element).clone(); usize::try_from(*len).ok()?];
            product(&elements)?.into_iter().map(V::Product).collect()
        }
        // Patterns name up to four elements.
        Ty::Slice(element) => {
            let mut all = Vec::new();
            for len in 0..=5 {
                all.extend(product(&vec![(**element).clone(); len])?);
            }
            all.into_iter().map(V::Product).collect()
        }
        Ty::Enum(_, variants) if variants.is_empty() => vec![V::Hole],
        Ty::Enum(_, variants) => {
            let mut all = Vec::new();
            for (index, fields) in variants.iter().enumerate() {
                all.extend(
                    product(fields)?
                        .into_iter()
                        .map(|row| V::Variant(index, row)),
                );
            }
            all
        }
        Ty::Foreign(count, _, open) => {
            let new = open.then_some(usize::MAX);
            (0..*count)
                .chain(new)
                .map(|index| V::Variant(index, vec![]))
                .collect()
        }
        Ty::Char | Ty::U128 | Ty::Isize | Ty::Float | Ty::Pointer | Ty::Array(_, None) => {
            return None;
        }
    };
    (list.len() <= MOST).then_some(list)
}

fn product(fields: &[Ty]) -> Option<Vec<Vec<V>>> {
    let mut rows = vec![vec![]];
    for field in fields {
        let choices = values(field)?;
        if rows.len() * choices.len() > MOST {
            return None;
        }
        let longer = rows.iter().flat_map(|row: &Vec<V>| {
            choices.iter().map(|choice| {
                let mut row = row.clone();
                row.push(choice.clone());
                row
            })
        });
        rows = longer.collect();
    }
    Some(rows)
}

/// Says whether a type is seen to be empty.
fn is_empty(ty: &Ty) -> bool {
    match ty {
        Ty::Never => true,
        Ty::Tuple(fields) => fields.iter().any(is_empty),
        Ty::Enum(_, variants) => variants.iter().all(|fields| fields.iter().any(is_empty)),
        Ty::Array(element, Some(len)) => *len > 0 && is_empty(element),
        _ => false,
    }
}

pub(super) fn matches(pat: &P, value: &V) -> bool {
    match (&pat.kind, value) {
        (PatKind::Wild | PatKind::Never | PatKind::Bind(_, None), _) => true,
        (PatKind::Bind(_, Some(sub)), _) => matches(sub, value),
        (PatKind::Or(subs), _) => subs.iter().any(|sub| matches(sub, value)),
        (PatKind::Bool(a), V::Bool(b)) => a == b,
        (PatKind::Range(range), V::Int(value, sign)) => {
            let number = |raw: u128| match sign {
                Sign::Signed if raw > 127 => raw as i128 - 256,
                Sign::Signed | Sign::Unsigned => raw as i128,
            };
            let below = range.hi.is_none_or(|hi| match range.end {
                RangeEnd::Included => *value <= number(hi),
                RangeEnd::Excluded => *value < number(hi),
            });
            range.lo.is_none_or(|lo| number(lo) <= *value) && below
        }
        (PatKind::Range(range), V::Beyond) => range.hi.is_none(),
        (PatKind::Str(text), V::Text(known)) => *known == Some(&**text),
        (PatKind::Struct(subs), V::Product(parts)) => {
            subs.iter().all(|(at, sub)| matches(sub, &parts[*at]))
        }
        (PatKind::Variant(a, subs), V::Variant(b, parts)) => {
            a == b && subs.iter().all(|(at, sub)| matches(sub, &parts[*at]))
        }
        (PatKind::Union(at, sub), V::Union(parts)) => matches(sub, &parts[*at]),
        (PatKind::Ref(sub), V::Ref(target)) => matches(sub, target),
        (
            PatKind::Slice {
                prefix,
                rest,
                suffix,
            },
            V::Product(parts),
        ) => {
            let named = prefix.len() + suffix.len();
            let fits = if *rest {
                parts.len() >= named
            } else {
                parts.len() == named
            };
            let front = prefix.iter().zip(parts);
            let back = suffix.iter().rev().zip(parts.iter().rev());
            fits && front.chain(back).all(|(sub, part)| matches(sub, part))
        }
        _ => false,
    }
}

/// Says whether taking the value through the pattern would have read a hole. The pattern must be
/// without alternatives.
pub(super) fn dead(pat: &P, value: &V) -> bool {
    let reads = || value.has_hole(true);
    match (&pat.kind, value) {
        (PatKind::Never | PatKind::Bind(Binding::ByValue, None), _) => reads(),
        (PatKind::Bind(mode, Some(sub)), _) => {
            (*mode == Binding::ByValue && reads()) || dead(sub, value)
        }
        (PatKind::Struct(subs), V::Product(parts))
        | (PatKind::Variant(_, subs), V::Variant(_, parts)) => {
            subs.iter().any(|(at, sub)| dead(sub, &parts[*at]))
        }
        (PatKind::Union(at, sub), V::Union(parts)) => dead(sub, &parts[*at]),
        (PatKind::Ref(sub), V::Ref(target)) => dead(sub, target),
        (PatKind::Slice { prefix, suffix, .. }, V::Product(parts)) => {
            let front = prefix.iter().zip(parts);
            let back = suffix.iter().rev().zip(parts.iter().rev());
            front.chain(back).any(|(sub, part)| dead(sub, part))
        }
        _ => false,
    }
}

/// Says whether a group contains the value.
pub(super) fn holds(group: &Witness<Ty>, value: &V) -> bool {
    let all = |groups: &[Witness<Ty>], parts: &[V]| {
        groups.iter().zip(parts).all(|(g, part)| holds(g, part))
    };
    match (&group.kind, value) {
        (WitnessKind::Any, _) | (WitnessKind::Never, _) => true,
        (WitnessKind::Unlisted, V::Text(text)) => text.is_none(),
        // A hidden variant is not named, nor is one that another crate may add.
        (WitnessKind::Unlisted, V::Variant(index, _)) => match &group.ty {
            Ty::Foreign(_, _, true) => *index == usize::MAX,
            Ty::Foreign(_, hidden, false) => hidden.contains(index),
            _ => false,
        },
        (WitnessKind::OneOf(groups), _) => groups.iter().any(|group| holds(group, value)),
        (WitnessKind::Bool(a), V::Bool(b)) => a == b,
        (WitnessKind::Range(text), V::Int(value, _)) => in_range(text, Some(*value)),
        (WitnessKind::Range(text), V::Beyond) => in_range(text, None),
        (WitnessKind::Str(a), V::Text(b)) => *b == Some(a),
        (WitnessKind::Struct(groups), V::Product(parts)) => all(groups, parts),
        (WitnessKind::Union(groups), V::Union(parts)) => all(groups, parts),
        (WitnessKind::Variant(a, groups), V::Variant(b, parts)) => a == b && all(groups, parts),
        (WitnessKind::Ref(target), V::Ref(value)) => holds(target, value),
        (WitnessKind::Slice(front, None), V::Product(parts)) => {
            front.len() == parts.len() && all(front, parts)
        }
        (WitnessKind::Slice(front, Some(back)), V::Product(parts)) => {
            let Some(from) = parts.len().checked_sub(back.len()) else {
                return false;
            };
            front.len() <= from && all(front, parts) && all(back, &parts[from..])
        }
        _ => false,
    }
}

/// Reads `3_u8`, `i8::MIN..=-4_i8`, `7_u8..` and the like; no value means one beyond all.
fn in_range(text: &str, value: Option<i128>) -> bool {
    let number = |text: &str| -> i128 {
        match text {
            "u8::MAX" => 255,
            "i8::MAX" => 127,
            "i8::MIN" => -128,
            "usize::MAX" => u64::MAX.into(),
            _ => text.split('_').next().unwrap().parse().expect(text),
        }
    };
    if text == "_" {
        return true;
    }
    let Some((lo, hi)) = text.split_once("..") else {
        return value == Some(number(text));
    };
    let hi = hi.strip_prefix('=').unwrap_or(hi);
    let Some(value) = value else {
        return hi.is_empty();
    };
    // What begins at the last value of this target is what lies beyond it.
    let lo = (!lo.is_empty()).then(|| number(lo) + i128::from(lo == "usize::MAX"));
    lo.is_none_or(|lo| lo <= value) && (hi.is_empty() || value <= number(hi))
}
