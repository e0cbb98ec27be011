//! Constructors, and the split of a type's constructors by what a column mentions.

use std::collections::HashSet;
use std::rc::Rc;

use crate::line::{self, Span};
use crate::slices::{self, Lengths};
use crate::table::{Info, Part, Table, TyId};
use crate::types::Types;

/// The outermost layer of a value, or a group of values that no pattern at hand tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Ctor {
    Struct,
    Variant(u32),
    Bool(bool),
    Span(Span),
    Lengths(Lengths),
    Ref,
    /// Through `Deref`, to a value of the given type.
    Deref(TyId),
    Union,
    /// Index into the strings of the match.
    Str(u32),
    Float(Real, Real),
    Opaque(u64),
    /// The constructor that a type without constructors does not have.
    Void,
    /// Variants that must not be named.
    Hidden,
    /// What another crate may add, or values that cannot be listed.
    Unlisted,
}

/// A float that is a number, with its bits arranged so that their order is the numbers' order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Real(u64);

const SIGN: u64 = 1 << 63;

impl Real {
    pub(crate) fn new(value: f64) -> Option<Real> {
        if value.is_nan() {
            return None;
        }
        // The two zeros are one value to a pattern.
        let bits = if value == 0.0 { 0 } else { value.to_bits() };
        Some(Real(if bits & SIGN == 0 { bits | SIGN } else { !bits }))
    }

    pub(crate) fn get(self) -> f64 {
        f64::from_bits(if self.0 & SIGN == 0 {
            !self.0
        } else {
            self.0 & !SIGN
        })
    }
}

impl Ctor {
    /// Says whether a pattern with this constructor matches all values of the group `other`.
    pub(crate) fn covers(self, other: Ctor) -> bool {
        match (self, other) {
            (Ctor::Span(a), Ctor::Span(b)) => a.contains(b),
            (Ctor::Lengths(a), Ctor::Lengths(b)) => a.covers(b),
            (Ctor::Float(lo, hi), Ctor::Float(from, to)) => lo <= from && to <= hi,
            (a, b) => a == b,
        }
    }

    /// Says whether the fields' validity says nothing about the whole's, and the reverse.
    pub(crate) fn is_indirect(self) -> bool {
        matches!(self, Ctor::Ref | Ctor::Deref(_) | Ctor::Union)
    }
}

/// The fields of a value of type `ty` built by `ctor`.
pub(crate) enum Parts {
    Of(Rc<Info>, Ctor),
    /// So many of one type.
    Repeated(TyId, usize),
}

impl Parts {
    pub(crate) fn of<C: Types>(table: &mut Table<'_, C>, ty: TyId, ctor: Ctor) -> Parts {
        let info = table.info(ty);
        match (&*info, ctor) {
            (_, Ctor::Deref(target)) => Parts::Repeated(target, 1),
            (Info::Ref(target), Ctor::Ref) => Parts::Repeated(*target, 1),
            (Info::Slice { element, .. }, Ctor::Lengths(lengths)) => Parts::Repeated(
                *element,
                usize::try_from(lengths.arity()).unwrap_or(usize::MAX),
            ),
            _ => Parts::Of(info, ctor),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Parts::Of(info, ctor) => slice_of(info, *ctor).len(),
            Parts::Repeated(_, count) => *count,
        }
    }

    pub(crate) fn get(&self, index: usize) -> Part {
        match self {
            Parts::Of(info, ctor) => slice_of(info, *ctor)[index],
            Parts::Repeated(ty, _) => Part {
                ty: *ty,
                visible: true,
            },
        }
    }
}

fn slice_of(info: &Info, ctor: Ctor) -> &[Part] {
    match (info, ctor) {
        (Info::Struct { parts, .. }, Ctor::Struct) | (Info::Union(parts), Ctor::Union) => parts,
        (Info::Enum { variants, .. }, Ctor::Variant(index)) => &variants[index as usize].parts,
        _ => &[],
    }
}

/// A type's constructors, sorted by what a column says about them.
#[derive(Debug, Default)]
pub(crate) struct Split {
    /// Mentioned: each is one branch.
    pub(crate) present: Vec<Ctor>,
    /// Not mentioned, though there are values of it.
    pub(crate) missing: Vec<Ctor>,
    /// Not mentioned, and without values.
    pub(crate) missing_empty: Vec<Ctor>,
}

/// Splits the constructors of `info` so that each mentioned pattern covers every resulting group
/// wholly or not at all.
pub(crate) fn split(info: &Info, mentioned: &[Ctor]) -> Split {
    let mut split = Split::default();
    let mut listed: Vec<Ctor> = Vec::with_capacity(mentioned.len());
    for &ctor in mentioned {
        match ctor {
            // Says nothing about the other constructors: always a branch of its own.
            Ctor::Opaque(_) => push_new(&mut split.present, ctor),
            Ctor::Deref(_) => push_new(&mut listed, ctor),
            _ => listed.push(ctor),
        }
    }
    if let Some(&deref) = listed.iter().find(|c| matches!(c, Ctor::Deref(_))) {
        split.present.push(deref);
        return split;
    }
    let mut sort = |ctor: Ctor, seen: bool, empty: bool| match (seen, empty) {
        (true, _) => split.present.push(ctor),
        (false, false) => split.missing.push(ctor),
        (false, true) => split.missing_empty.push(ctor),
    };
    let any = !listed.is_empty();
    match info {
        Info::Void => sort(Ctor::Void, false, true),
        Info::Bool => {
            // The compiler's order, which shows in witnesses.
            for value in [true, false] {
                sort(
                    Ctor::Bool(value),
                    listed.contains(&Ctor::Bool(value)),
                    false,
                );
            }
        }
        Info::Line(line) => {
            let spans: Vec<Span> = listed
                .iter()
                .filter_map(|c| match c {
                    Ctor::Span(span) => Some(*span),
                    _ => None,
                })
                .collect();
            for (span, seen) in line::split(&line.whole(), &spans) {
                sort(Ctor::Span(span), seen, false);
            }
        }
        Info::Struct { empty, .. } => sort(Ctor::Struct, any, *empty),
        Info::Enum { variants, open, .. } => {
            let seen: HashSet<u32> = listed
                .iter()
                .filter_map(|c| match c {
                    Ctor::Variant(index) => Some(*index),
                    _ => None,
                })
                .collect();
            for (index, variant) in (0..).zip(variants) {
                sort(Ctor::Variant(index), seen.contains(&index), variant.empty);
            }
            if *open {
                sort(Ctor::Unlisted, false, false);
            }
        }
        Info::Union(_) => sort(Ctor::Union, any, false),
        Info::Ref(_) => sort(Ctor::Ref, any, false),
        Info::Slice {
            array,
            element_empty,
            ..
        } => {
            let lengths: Vec<Lengths> = listed
                .iter()
                .filter_map(|c| match c {
                    Ctor::Lengths(lengths) => Some(*lengths),
                    _ => None,
                })
                .collect();
            for (group, seen) in slices::split(*array, &lengths) {
                sort(
                    Ctor::Lengths(group),
                    seen,
                    *element_empty && group.arity() > 0,
                );
            }
        }
        Info::Float => {
            for ctor in listed {
                push_new(&mut split.present, ctor);
            }
            split.missing.push(Ctor::Unlisted);
        }
        Info::Str => {
            // Strings have numbers: sort instead of comparing each with each.
            let mut strings: Vec<u32> = listed
                .iter()
                .filter_map(|c| match c {
                    Ctor::Str(index) => Some(*index),
                    _ => None,
                })
                .collect();
            strings.sort_unstable();
            strings.dedup();
            split.present.extend(strings.into_iter().map(Ctor::Str));
            split.missing.push(Ctor::Unlisted);
        }
        Info::Opaque => split.missing.push(Ctor::Unlisted),
    }
    split
}

fn push_new(list: &mut Vec<Ctor>, ctor: Ctor) {
    if !list.contains(&ctor) {
        list.push(ctor);
    }
}

/// Says whether a present constructor has no values, as far as this module can see.
pub(crate) fn is_empty(info: &Info, ctor: Ctor) -> bool {
    match (info, ctor) {
        (Info::Struct { empty, .. }, Ctor::Struct) => *empty,
        (Info::Enum { variants, .. }, Ctor::Variant(index)) => {
            variants.get(index as usize).is_some_and(|v| v.empty)
        }
        (Info::Slice { element_empty, .. }, Ctor::Lengths(group)) => {
            *element_empty && group.arity() > 0
        }
        (_, Ctor::Void) => true,
        _ => false,
    }
}
