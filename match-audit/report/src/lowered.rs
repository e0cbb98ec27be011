//! The lowered patterns as text, to be compared with what the compiler itself makes of them.

use match_audit_sites::{Names, Project, TypeId};
use match_audit_usefulness::{Binding, ConstructorName, Pat, PatKind, RangeEnd, Shape};
use serde_json::{Value, json};

/// Lists the pattern of every arm with its place. `const` stands for a constant that was not
/// looked into.
pub fn lowered(project: &Project) -> Value {
    let mut list = Vec::new();
    for site in &project.sites {
        for (arm, info) in site.matched.arms.iter().zip(&site.arms) {
            if info.text == "else" {
                continue;
            }
            list.push(json!({
                "file": info.location.file,
                "line": info.location.line,
                "column": info.location.column,
                "pattern": show(project, site.matched.scrutinee, &arm.pat),
            }));
        }
    }
    Value::Array(list)
}

fn show(project: &Project, ty: TypeId, pat: &Pat<TypeId>) -> String {
    let info = project.types.get(ty.0 as usize);
    let shape = info.map(|info| &info.shape);
    let list = |ty: TypeId, pats: &[Pat<TypeId>]| -> String {
        let all: Vec<String> = pats.iter().map(|pat| show(project, ty, pat)).collect();
        all.join(",")
    };
    match &pat.kind {
        PatKind::Wild => "_".into(),
        PatKind::Bind(mode, sub) => {
            let mode = match mode {
                Binding::ByValue => "val",
                Binding::ByRef => "ref",
            };
            match sub {
                Some(sub) => format!("{mode}@{}", show(project, ty, sub)),
                None => mode.into(),
            }
        }
        PatKind::Never => "!".into(),
        PatKind::Bool(value) => value.to_string(),
        PatKind::Range(range) => {
            let end = match range.end {
                RangeEnd::Included => "..=",
                RangeEnd::Excluded => "..",
            };
            let bound = |value: Option<u128>| value.map_or_else(String::new, |it| it.to_string());
            if range.lo.is_some() && range.lo == range.hi {
                bound(range.lo)
            } else {
                format!("{}{end}{}", bound(range.lo), bound(range.hi))
            }
        }
        PatKind::Float(lo, hi) if lo == hi => format!("{lo:?}"),
        PatKind::Float(lo, hi) => format!("{lo:?}..={hi:?}"),
        PatKind::Str(text) => format!("{:?}", text.as_bytes()),
        PatKind::Struct(fields) => {
            let types = match shape {
                Some(Shape::Struct(types)) => types.as_slice(),
                _ => &[],
            };
            let subs = fields.iter().filter_map(|(index, pat)| {
                let field = types.get(*index)?;
                Some(show(project, field.ty, pat))
            });
            format!("L({})", subs.collect::<Vec<_>>().join(","))
        }
        PatKind::Variant(index, fields) => {
            let (Some(Shape::Enum(shape)), Some(Names::Variants(names))) =
                (shape, info.map(|info| &info.names))
            else {
                return "?".into();
            };
            let subs = fields.iter().filter_map(|(at, pat)| {
                let field = shape.variants.get(*index)?.fields.get(*at)?;
                Some(show(project, field.ty, pat))
            });
            let name = match names.get(*index) {
                Some(ConstructorName::Tuple(path) | ConstructorName::Named { path, .. }) => {
                    path.rsplit("::").next().unwrap_or(path)
                }
                Some(ConstructorName::Anonymous) | None => "?",
            };
            format!("{name}({})", subs.collect::<Vec<_>>().join(","))
        }
        PatKind::Union(index, sub) => match shape {
            Some(Shape::Union(types)) if *index < types.len() => {
                format!("L({})", show(project, types[*index].ty, sub))
            }
            _ => "?".into(),
        },
        PatKind::Ref(sub) => match shape {
            Some(Shape::Ref(target)) => format!("&{}", show(project, *target, sub)),
            _ => "?".into(),
        },
        PatKind::Deref(target, sub) => format!("*{}", show(project, *target, sub)),
        PatKind::Slice {
            prefix,
            rest,
            suffix,
        } => match shape {
            Some(Shape::Slice(element) | Shape::Array(element, _)) => {
                let rest = if *rest { ".." } else { "" };
                format!(
                    "[{};{rest};{}]",
                    list(*element, prefix),
                    list(*element, suffix)
                )
            }
            _ => "?".into(),
        },
        PatKind::Or(alternatives) => {
            let all: Vec<String> = alternatives
                .iter()
                .map(|pat| show(project, ty, pat))
                .collect();
            format!("({})", all.join("|"))
        }
        PatKind::Opaque(_) => "const".into(),
    }
}
