//! Checks taken sets against a listing of all values, where a type has few enough.

use match_audit_usefulness::{
    Guard, Match, Options, Pat, PatKind, Shape, Types, Witness, WitnessKind, taken_sets,
};

use crate::program::{Program, Ty};

/// A value of a finite type.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Bool(bool),
    /// A struct, tuple, array or reference.
    Product(Vec<Value>),
    Variant(usize, Vec<Value>),
}

const MOST_VALUES: usize = 2_000;

/// Says whether all values of the type can be listed.
pub(crate) fn applies(program: &Program, ty: Ty) -> bool {
    values(program, ty, 0).is_some()
}

/// Compares the sets with what each value does, and describes the differences.
pub(crate) fn check_sets(program: &Program, matched: &Match<Ty>) -> Vec<String> {
    let mut differences = Vec::new();
    let Some(values) = values(program, matched.scrutinee, 0) else {
        return differences;
    };
    let sets = match taken_sets(program, matched, &Options::default()) {
        Ok(sets) => sets,
        Err(error) => return vec![error.to_string()],
    };
    if !sets.complete {
        return differences;
    }
    for value in &values {
        let mut free = true;
        for (index, arm) in matched.arms.iter().enumerate() {
            let comes = free && matches(&arm.pat, value);
            let groups = sets.arms[index]
                .groups
                .iter()
                .filter(|group| holds(&group.values, value))
                .count();
            // A guarded arm may see a value through several of its alternatives.
            let right = match (comes, arm.guard) {
                (true, Guard::Absent) => groups == 1,
                (true, Guard::Present) => groups >= 1,
                (false, _) => groups == 0,
            };
            if !right {
                differences.push(format!(
                    "set of arm {index}: {value:?} comes {comes}, in {groups} groups"
                ));
            }
            free &= !comes || arm.guard == Guard::Present;
        }
        let missing = sets
            .missing
            .iter()
            .filter(|group| holds(group, value))
            .count();
        if missing != usize::from(free) {
            differences.push(format!("rest: {value:?} free {free}, in {missing} groups"));
        }
    }
    differences
}

fn values(program: &Program, ty: Ty, depth: usize) -> Option<Vec<Value>> {
    if depth > 8 {
        return None;
    }
    let product = |fields: Vec<Ty>| -> Option<Vec<Vec<Value>>> {
        let mut rows = vec![vec![]];
        for field in fields {
            let options = values(program, field, depth + 1)?;
            if rows.len() * options.len() > MOST_VALUES {
                return None;
            }
            rows = rows
                .iter()
                .flat_map(|row| {
                    options.iter().map(move |option| {
                        let mut row = row.clone();
                        row.push(option.clone());
                        row
                    })
                })
                .collect();
        }
        Some(rows)
    };
    let types = |fields: Vec<match_audit_usefulness::Field<Ty>>| -> Option<Vec<Ty>> {
        let visible = fields.iter().all(|field| field.visible);
        visible.then(|| fields.iter().map(|field| field.ty).collect())
    };
    match program.describe(&ty) {
        Shape::Never => Some(vec![]),
        Shape::Bool => Some(vec![Value::Bool(false), Value::Bool(true)]),
        Shape::Struct(fields) => Some(
            product(types(fields)?)?
                .into_iter()
                .map(Value::Product)
                .collect(),
        ),
        Shape::Enum(shape) if !shape.foreign_non_exhaustive => {
            let mut all = Vec::new();
            for (index, variant) in shape.variants.into_iter().enumerate() {
                let rows = product(types(variant.fields)?)?;
                all.extend(rows.into_iter().map(|row| Value::Variant(index, row)));
            }
            (all.len() <= MOST_VALUES).then_some(all)
        }
        Shape::Array(element, Some(len)) => Some(
            product(vec![element; usize::try_from(len).ok()?])?
                .into_iter()
                .map(Value::Product)
                .collect(),
        ),
        // Behind references emptiness does not count, so values alone do not tell.
        _ => None,
    }
}

fn matches(pat: &Pat<Ty>, value: &Value) -> bool {
    match (&pat.kind, value) {
        (PatKind::Wild | PatKind::Never | PatKind::Bind(_, None), _) => true,
        (PatKind::Bind(_, Some(sub)), _) => matches(sub, value),
        (PatKind::Or(subs), _) => subs.iter().any(|sub| matches(sub, value)),
        (PatKind::Bool(a), Value::Bool(b)) => a == b,
        (PatKind::Struct(fields), Value::Product(values)) => {
            fields.iter().all(|(at, sub)| matches(sub, &values[*at]))
        }
        (PatKind::Variant(a, fields), Value::Variant(b, values)) => {
            a == b && fields.iter().all(|(at, sub)| matches(sub, &values[*at]))
        }
        (PatKind::Slice { prefix, suffix, .. }, Value::Product(values)) => {
            let back = values.len() - suffix.len();
            prefix.iter().zip(values).all(|(sub, v)| matches(sub, v))
                && suffix
                    .iter()
                    .zip(&values[back..])
                    .all(|(sub, v)| matches(sub, v))
        }
        _ => false,
    }
}

fn holds(group: &Witness<Ty>, value: &Value) -> bool {
    let all = |groups: &[Witness<Ty>], values: &[Value]| {
        groups.iter().zip(values).all(|(g, v)| holds(g, v))
    };
    match (&group.kind, value) {
        (WitnessKind::Any, _) => true,
        (WitnessKind::OneOf(groups), _) => groups.iter().any(|group| holds(group, value)),
        (WitnessKind::Bool(a), Value::Bool(b)) => a == b,
        (WitnessKind::Struct(groups), Value::Product(values)) => all(groups, values),
        (WitnessKind::Variant(a, groups), Value::Variant(b, values)) => {
            a == b && all(groups, values)
        }
        (WitnessKind::Slice(front, back), Value::Product(values)) => {
            let back = back.as_deref().unwrap_or_default();
            let from = values.len().saturating_sub(back.len());
            all(front, values) && all(back, &values[from..])
        }
        _ => false,
    }
}
