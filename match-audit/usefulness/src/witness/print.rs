//! Groups of values in the compiler's notation.

use std::fmt;

use super::{Witness, WitnessKind};
use crate::line::{Cut, Line, Span};
use crate::types::{ConstructorName, IntWidth, Sign, Types};

pub(super) struct Printer<'a, C: Types> {
    pub(super) witness: &'a Witness<C::Ty>,
    pub(super) cx: &'a C,
}

impl<C: Types> fmt::Display for Printer<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Printer { witness, cx } = *self;
        match &witness.kind {
            WitnessKind::Any | WitnessKind::Unlisted => f.write_str("_"),
            WitnessKind::Never => f.write_str("!"),
            WitnessKind::Bool(value) => write!(f, "{value}"),
            WitnessKind::Range(text) => f.write_str(text),
            WitnessKind::Struct(fields) | WitnessKind::Union(fields) => {
                print_fields(f, cx, &cx.constructor_name(&witness.ty, None), fields)
            }
            WitnessKind::Variant(index, fields) => {
                let name = cx.constructor_name(&witness.ty, Some(*index));
                print_fields(f, cx, &name, fields)
            }
            WitnessKind::Ref(sub) if matches!(sub.kind, WitnessKind::OneOf(_)) => {
                write!(f, "&({})", sub.display(cx))
            }
            WitnessKind::Ref(sub) => write!(f, "&{}", sub.display(cx)),
            WitnessKind::Deref(sub) => write!(f, "deref!({})", sub.display(cx)),
            WitnessKind::Slice(prefix, rest) => {
                f.write_str("[")?;
                print_list(f, cx, prefix)?;
                if let Some(suffix) = rest {
                    f.write_str(if prefix.is_empty() { ".." } else { ", .." })?;
                    if !suffix.is_empty() {
                        f.write_str(", ")?;
                        print_list(f, cx, suffix)?;
                    }
                }
                f.write_str("]")
            }
            WitnessKind::Str(text) => write!(f, "{text:?}"),
            WitnessKind::Float(lo, hi) if lo == hi => write!(f, "{lo:?}"),
            WitnessKind::Float(lo, hi) => write!(f, "{lo:?}..={hi:?}"),
            WitnessKind::Opaque(_) => f.write_str("<constant>"),
            WitnessKind::OneOf(alternatives) => {
                for (index, sub) in alternatives.iter().enumerate() {
                    let separator = if index > 0 { " | " } else { "" };
                    write!(f, "{separator}{}", sub.display(cx))?;
                }
                Ok(())
            }
        }
    }
}

fn print_list<C: Types>(
    f: &mut fmt::Formatter<'_>,
    cx: &C,
    items: &[Witness<C::Ty>],
) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        let separator = if index > 0 { ", " } else { "" };
        write!(f, "{separator}{}", item.display(cx))?;
    }
    Ok(())
}

fn print_fields<C: Types>(
    f: &mut fmt::Formatter<'_>,
    cx: &C,
    name: &ConstructorName,
    fields: &[Witness<C::Ty>],
) -> fmt::Result {
    match name {
        ConstructorName::Anonymous => {
            f.write_str("(")?;
            print_list(f, cx, fields)?;
            f.write_str(if fields.len() == 1 { ",)" } else { ")" })
        }
        ConstructorName::Tuple(path) => {
            f.write_str(path)?;
            if fields.is_empty() {
                return Ok(());
            }
            f.write_str("(")?;
            print_list(f, cx, fields)?;
            f.write_str(")")
        }
        ConstructorName::Named {
            path,
            fields: names,
        } => {
            write!(f, "{path} {{ ")?;
            let mut separator = "";
            let mut omitted = fields.is_empty();
            for (field, name) in fields.iter().zip(names) {
                if field.prints_as_wildcard() {
                    omitted = true;
                    continue;
                }
                write!(f, "{separator}{name}: {}", field.display(cx))?;
                separator = ", ";
            }
            if omitted {
                write!(f, "{separator}..")?;
            }
            f.write_str(" }")
        }
    }
}

/// Prints a span as the compiler does: `0_u8`, `i32::MIN..=-1_i32`, `usize::MAX..`.
pub(super) fn print_span(line: Line, span: Span) -> String {
    if span.lo == Cut::Start && span.hi == Cut::End {
        return "_".into();
    }
    let lo = match span.lo {
        Cut::Start => None,
        Cut::Before(value) => Some(value),
        Cut::AfterMax | Cut::End => Some(line.mask()),
    };
    // A concrete target has no value above its own maximum.
    let lo = lo.map(|value| print_value(line, value.min(line.mask())));
    let (separator, hi) = match span.hi {
        Cut::Before(0) => ("..", Some(print_value(line, 0))),
        Cut::Before(after) => ("..=", Some(print_value(line, after - 1))),
        Cut::AfterMax if span.lo == Cut::Before(u128::MAX) => {
            ("..=", Some(print_value(line, u128::MAX)))
        }
        Cut::AfterMax | Cut::End => ("..", None),
        Cut::Start => ("..", None),
    };
    match (lo, hi) {
        (Some(lo), Some(hi)) if lo == hi => lo,
        (lo, hi) => format!(
            "{}{separator}{}",
            lo.unwrap_or_default(),
            hi.unwrap_or_default()
        ),
    }
}

/// Prints the value at a position on the line.
fn print_value(line: Line, position: u128) -> String {
    let Line::Int(sign, width) = line else {
        let value = u32::try_from(position).ok().and_then(char::from_u32);
        return format!("{:?}", value.unwrap_or(char::REPLACEMENT_CHARACTER));
    };
    let letter = match sign {
        Sign::Signed => 'i',
        Sign::Unsigned => 'u',
    };
    let name = match width {
        IntWidth::Bits(bits) => format!("{letter}{bits}"),
        IntWidth::Pointer(_) => format!("{letter}size"),
    };
    if position == line.mask() {
        return format!("{name}::MAX");
    }
    match sign {
        Sign::Unsigned => format!("{position}_{name}"),
        Sign::Signed if position == 0 => format!("{name}::MIN"),
        Sign::Signed => {
            // Zero lies in the middle of the line.
            let zero = line.shift(0);
            if position >= zero {
                format!("{}_{name}", position - zero)
            } else {
                format!("-{}_{name}", zero - position)
            }
        }
    }
}
