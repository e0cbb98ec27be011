//! Groups of values, written as patterns.

use std::fmt;
use std::rc::Rc;

use crate::compile::Patterns;
use crate::constructor::{Ctor, Parts};
use crate::engine::Step;
use crate::line::{Cut, Line, Span};
use crate::slices::Lengths;
use crate::table::{Info, Table, TyId};
use crate::types::{ConstructorName, IntWidth, Sign, Types};

/// A group of values of one type.
#[derive(Clone, Debug, PartialEq)]
pub struct Witness<T> {
    /// The type of the values.
    pub ty: T,
    /// Which values.
    pub kind: WitnessKind<T>,
}

/// The forms of a [`Witness`].
#[derive(Clone, Debug, PartialEq)]
pub enum WitnessKind<T> {
    /// All values.
    Any,
    /// Values that cannot be listed, or that another crate may add.
    Unlisted,
    /// No value: a place where a never pattern could stand.
    Never,
    /// `true` or `false`.
    Bool(bool),
    /// Integers or characters, already in Rust's notation.
    Range(String),
    /// A struct or tuple.
    Struct(Vec<Witness<T>>),
    /// An enum variant.
    Variant(usize, Vec<Witness<T>>),
    /// A union, with something said about each field.
    Union(Vec<Witness<T>>),
    /// What a reference points to.
    Ref(Box<Witness<T>>),
    /// What a smart pointer points to.
    Deref(Box<Witness<T>>),
    /// A slice or array: the elements at the front, those at the back if `..` stands between.
    Slice(Vec<Witness<T>>, Option<Vec<Witness<T>>>),
    /// A string.
    Str(String),
    /// Floats, both ends included.
    Float(f64, f64),
    /// An opaque constant.
    Opaque(u64),
    /// Any of these groups.
    OneOf(Vec<Witness<T>>),
}

impl<T> Witness<T> {
    /// Returns something that prints the group as a pattern, in the compiler's style.
    pub fn display<'a, C: Types<Ty = T>>(&'a self, cx: &'a C) -> impl fmt::Display + 'a {
        Printer { witness: self, cx }
    }

    fn prints_as_wildcard(&self) -> bool {
        match &self.kind {
            WitnessKind::Any | WitnessKind::Unlisted => true,
            WitnessKind::Range(text) => text == "_",
            WitnessKind::Never
            | WitnessKind::Bool(_)
            | WitnessKind::Struct(_)
            | WitnessKind::Variant(..)
            | WitnessKind::Union(_)
            | WitnessKind::Ref(_)
            | WitnessKind::Deref(_)
            | WitnessKind::Slice(..)
            | WitnessKind::Str(_)
            | WitnessKind::Float(..)
            | WitnessKind::Opaque(_)
            | WitnessKind::OneOf(_) => false,
        }
    }
}

struct Printer<'a, C: Types> {
    witness: &'a Witness<C::Ty>,
    cx: &'a C,
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

/// Turns paths into witnesses.
pub(crate) struct Builder<'t, 'c, C: Types> {
    pub(crate) table: &'t mut Table<'c, C>,
    pub(crate) patterns: &'t Patterns,
}

impl<C: Types> Builder<'_, '_, C> {
    /// Rebuilds a group from the path to it. Places after the path's end are [`WitnessKind::Any`].
    pub(crate) fn whole(&mut self, ty: TyId, path: &[Step]) -> Witness<C::Ty> {
        self.next(ty, &mut path.iter())
    }

    fn next(&mut self, ty: TyId, path: &mut std::slice::Iter<'_, Step>) -> Witness<C::Ty> {
        match path.next() {
            None | Some(Step::Any) => self.any(ty),
            Some(Step::Ctor(_, ctor)) => {
                let parts = Parts::of(self.table, ty, *ctor);
                let fields = (0..parts.len())
                    .map(|index| self.next(parts.get(index).ty, path))
                    .collect();
                self.build(ty, *ctor, fields)
            }
            Some(Step::OneOf(_, ctors)) => {
                let ctors = Rc::clone(ctors);
                let subs: Vec<_> = ctors.iter().map(|c| self.all_of(ty, *c)).collect();
                self.one_of(ty, subs)
            }
            Some(Step::LeftOut(_, ctors)) => {
                let ctors = Rc::clone(ctors);
                let subs: Vec<_> = ctors.iter().map(|c| self.never_of(ty, *c)).collect();
                self.one_of(ty, subs)
            }
        }
    }

    fn any(&self, ty: TyId) -> Witness<C::Ty> {
        self.node(ty, WitnessKind::Any)
    }

    fn node(&self, ty: TyId, kind: WitnessKind<C::Ty>) -> Witness<C::Ty> {
        Witness {
            ty: self.table.ty(ty).clone(),
            kind,
        }
    }

    fn one_of(&self, ty: TyId, mut subs: Vec<Witness<C::Ty>>) -> Witness<C::Ty> {
        match subs.pop() {
            Some(only) if subs.is_empty() => only,
            Some(last) => {
                subs.push(last);
                self.node(ty, WitnessKind::OneOf(subs))
            }
            None => self.any(ty),
        }
    }

    /// Makes the group of all values with a constructor.
    fn all_of(&mut self, ty: TyId, ctor: Ctor) -> Witness<C::Ty> {
        let parts = Parts::of(self.table, ty, ctor);
        let fields = (0..parts.len())
            .map(|index| self.any(parts.get(index).ty))
            .collect();
        self.build(ty, ctor, fields)
    }

    /// Makes the pattern that shows why a constructor has no values.
    fn never_of(&mut self, ty: TyId, ctor: Ctor) -> Witness<C::Ty> {
        if ctor == Ctor::Void {
            return self.node(ty, WitnessKind::Never);
        }
        let parts = Parts::of(self.table, ty, ctor);
        let mut fields = Vec::with_capacity(parts.len());
        for index in 0..parts.len() {
            let part = parts.get(index);
            fields.push(if part.visible && self.table.is_empty(part.ty) {
                self.never(part.ty, 0)
            } else {
                self.any(part.ty)
            });
        }
        self.build(ty, ctor, fields)
    }

    /// Makes a pattern for an empty type: `!` where the whole place is empty, otherwise the empty
    /// fields of it.
    fn never(&mut self, ty: TyId, depth: u32) -> Witness<C::Ty> {
        let info = self.table.info(ty);
        let Info::Struct { parts, .. } = &*info else {
            return self.node(ty, WitnessKind::Never);
        };
        let mut empty = Vec::new();
        for part in parts {
            empty.push(part.visible && self.table.is_empty(part.ty));
        }
        if depth > 64 || empty.iter().all(|e| *e) {
            return self.node(ty, WitnessKind::Never);
        }
        // One place is shown in depth; with all, the pattern would double with each level.
        let first = empty.iter().position(|e| *e);
        let mut fields = Vec::new();
        for (index, (part, empty)) in parts.iter().zip(empty).enumerate() {
            fields.push(match empty {
                true if Some(index) == first => self.never(part.ty, depth + 1),
                true => self.node(part.ty, WitnessKind::Never),
                false => self.any(part.ty),
            });
        }
        self.node(ty, WitnessKind::Struct(fields))
    }

    fn build(&mut self, ty: TyId, ctor: Ctor, mut fields: Vec<Witness<C::Ty>>) -> Witness<C::Ty> {
        let info = self.table.info(ty);
        let kind = match (ctor, &*info) {
            (Ctor::Struct, _) => WitnessKind::Struct(fields),
            (Ctor::Union, _) => WitnessKind::Union(fields),
            (Ctor::Variant(index), _) => WitnessKind::Variant(index as usize, fields),
            (Ctor::Bool(value), _) => WitnessKind::Bool(value),
            (Ctor::Span(span), Info::Line(line)) => WitnessKind::Range(print_span(*line, span)),
            (Ctor::Lengths(lengths), Info::Slice { array, .. }) => {
                let prefix = match lengths {
                    Lengths::Exactly(_) => fields.len(),
                    Lengths::AtLeast { prefix, .. } => (prefix as usize).min(fields.len()),
                };
                let mut suffix = fields.split_off(prefix);
                match lengths {
                    Lengths::Exactly(_) => WitnessKind::Slice(fields, None),
                    Lengths::AtLeast { .. } => {
                        // In an array `..` may stand for any number of elements.
                        if array.is_some() {
                            while fields.last().is_some_and(Witness::prints_as_wildcard) {
                                fields.pop();
                            }
                            let silent = suffix.iter().take_while(|w| w.prints_as_wildcard());
                            suffix.drain(..silent.count());
                        }
                        WitnessKind::Slice(fields, Some(suffix))
                    }
                }
            }
            (Ctor::Ref | Ctor::Deref(_), _) => {
                let target = match fields.pop() {
                    Some(target) => Box::new(target),
                    None => return self.any(ty),
                };
                if ctor == Ctor::Ref {
                    WitnessKind::Ref(target)
                } else {
                    WitnessKind::Deref(target)
                }
            }
            (Ctor::Str(id), _) => WitnessKind::Str(self.patterns.string(id).into()),
            (Ctor::Float(lo, hi), _) => WitnessKind::Float(lo.get(), hi.get()),
            (Ctor::Opaque(id), _) => WitnessKind::Opaque(id),
            (Ctor::Void, _) => WitnessKind::Never,
            (Ctor::Hidden | Ctor::Unlisted | Ctor::Span(_) | Ctor::Lengths(_), _) => {
                WitnessKind::Unlisted
            }
        };
        self.node(ty, kind)
    }
}

/// Prints a span as the compiler does: `0_u8`, `i32::MIN..=-1_i32`, `usize::MAX..`.
fn print_span(line: Line, span: Span) -> String {
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
