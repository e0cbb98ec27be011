//! Witnesses of both algorithms in one notation. Wildcards of all kinds read `_`, and fields that
//! say nothing are left out.

use match_audit_usefulness::{Shape, Sign, Types, Witness, WitnessKind};
use ra_ap_rustc_pattern_analysis::constructor::{
    Constructor, IntRange, MaybeInfiniteInt, SliceKind,
};
use ra_ap_rustc_pattern_analysis::pat::WitnessPat;

use crate::in_process::Cx;
use crate::program::{Program, Ty, int_name};

pub(crate) fn of_ours(witness: &Witness<Ty>) -> String {
    let sub = of_ours;
    match &witness.kind {
        WitnessKind::Any | WitnessKind::Unlisted | WitnessKind::Never => "_".into(),
        WitnessKind::Bool(value) => value.to_string(),
        WitnessKind::Range(text) => text.clone(),
        WitnessKind::Struct(fields) => product("", fields.iter().map(sub)),
        WitnessKind::Union(fields) => product("union", fields.iter().map(sub)),
        WitnessKind::Variant(index, fields) => product(&index.to_string(), fields.iter().map(sub)),
        WitnessKind::Ref(target) => format!("&{}", sub(target)),
        WitnessKind::Deref(target) => format!("*{}", sub(target)),
        WitnessKind::Slice(front, back) => {
            let back: Option<Vec<String>> = back.as_ref().map(|b| b.iter().map(sub).collect());
            slice(front.iter().map(sub).collect(), back)
        }
        WitnessKind::Str(text) => format!("{text:?}"),
        WitnessKind::Float(lo, hi) => format!("{lo}..={hi}"),
        WitnessKind::Opaque(_) => "constant".into(),
        WitnessKind::OneOf(list) => list.iter().map(sub).collect::<Vec<_>>().join(" | "),
    }
}

pub(crate) fn of_theirs(program: &Program, witness: &WitnessPat<Cx<'_>>) -> String {
    let mut fields: Vec<String> = witness
        .iter_fields()
        .map(|sub| of_theirs(program, sub))
        .collect();
    let shape = program.describe(witness.ty());
    match witness.ctor() {
        Constructor::Struct => product("", fields.into_iter()),
        Constructor::UnionField => product("union", fields.into_iter()),
        Constructor::Variant(index) => product(&index.to_string(), fields.into_iter()),
        Constructor::Ref => format!("&{}", fields.concat()),
        Constructor::DerefPattern(_) => format!("*{}", fields.concat()),
        Constructor::Bool(value) => value.to_string(),
        Constructor::IntRange(range) => integers(&shape, *range),
        Constructor::Str(text) => format!("{text:?}"),
        Constructor::Slice(list) => match list.kind() {
            SliceKind::FixedLen(_) => slice(fields, None),
            SliceKind::VarLen(prefix, _) => {
                let mut back = fields.split_off(prefix);
                // In an array `..` may stand for any number of elements.
                if matches!(shape, Shape::Array(_, Some(_))) {
                    while fields.last().is_some_and(|text| text == "_") {
                        fields.pop();
                    }
                    let silent = back.iter().take_while(|text| *text == "_").count();
                    back.drain(..silent);
                }
                slice(fields, Some(back))
            }
        },
        Constructor::Opaque(_) => "constant".into(),
        // The rest says nothing, or is never found in a witness.
        _ => "_".into(),
    }
}

fn product(name: &str, fields: impl Iterator<Item = String>) -> String {
    let said: Vec<String> = fields
        .enumerate()
        .filter(|(_, text)| text != "_")
        .map(|(index, text)| format!("{index}: {text}"))
        .collect();
    format!("{name}({})", said.join(", "))
}

fn slice(front: Vec<String>, back: Option<Vec<String>>) -> String {
    let open = back.is_some().then(|| "..".to_string());
    let all: Vec<String> = front
        .into_iter()
        .chain(open)
        .chain(back.into_iter().flatten())
        .collect();
    format!("[{}]", all.join(", "))
}

/// Writes a range as the compiler would show it.
fn integers(shape: &Shape<Ty>, range: IntRange) -> String {
    let (sign, width) = match shape {
        Shape::Int(sign, width) => (*sign, *width),
        _ => return characters(range),
    };
    let name = int_name(sign, width);
    let max = u128::MAX >> (128 - u32::from(width.bits()));
    let zero = if sign == Sign::Signed { max / 2 + 1 } else { 0 };
    let text = |value: u128| match value {
        _ if value >= max => format!("{name}::MAX"),
        0 if sign == Sign::Signed => format!("{name}::MIN"),
        _ if value < zero => format!("-{}_{name}", zero - value),
        _ => format!("{}_{name}", value - zero),
    };
    let lo = match range.lo {
        MaybeInfiniteInt::NegInfinity => None,
        lo => lo.as_finite_uint().map(text),
    };
    match (lo, range.hi, range.hi.as_finite_uint()) {
        (None, MaybeInfiniteInt::PosInfinity, _) => "_".into(),
        (lo, _, Some(0)) => format!("{}..{}", lo.unwrap_or_default(), text(0)),
        (Some(lo), _, Some(hi)) if lo == text(hi - 1) => lo,
        (lo, _, Some(hi)) => format!("{}..={}", lo.unwrap_or_default(), text(hi - 1)),
        // 128 bits have no number after their last.
        (Some(lo), _, None) if max == u128::MAX && lo == text(max) => lo,
        (Some(lo), _, None) => format!("{lo}.."),
        (None, _, None) => "_".into(),
    }
}

fn characters(range: IntRange) -> String {
    let text = |value: u128| {
        let value = u32::try_from(value).ok().and_then(char::from_u32);
        format!("{:?}", value.unwrap_or(char::REPLACEMENT_CHARACTER))
    };
    match (range.lo.as_finite_uint(), range.hi.as_finite_uint()) {
        (Some(lo), Some(hi)) if lo + 1 == hi => text(lo),
        (Some(lo), Some(hi)) => format!("{}..={}", text(lo), text(hi - 1)),
        _ => "_".into(),
    }
}
