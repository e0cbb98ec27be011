//! Groups of values, written as patterns.

mod print;

use std::fmt;
use std::rc::Rc;

use crate::compile::Patterns;
use crate::constructor::{Ctor, Parts};
use crate::engine::Step;
use crate::slices::Lengths;
use crate::table::{Info, Table, TyId};
use crate::types::Types;
use print::{Printer, print_span};

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
