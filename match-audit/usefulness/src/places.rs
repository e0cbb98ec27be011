//! The places that a match looks into, and how many values it tells apart there.

use std::collections::{BTreeSet, HashMap};

use crate::compile::{Cell, Head, Patterns};
use crate::constructor::Ctor;
use crate::table::{Info, Table, TyId};
use crate::types::{EnumId, Types};
use crate::witness::{Witness, WitnessKind};

/// The places inside the scrutinee that some arm looks into.
pub(crate) struct Places {
    pub(crate) nodes: Vec<PlaceNode>,
}

#[derive(Default)]
pub(crate) struct PlaceNode {
    /// Whether some arm tells the constructors here apart.
    pub(crate) told_apart: bool,
    /// Sub-places, by constructor and field.
    pub(crate) parts: HashMap<(u32, u32), usize>,
}

/// The constructor part of a place's name: a variant, or the only constructor.
pub(crate) fn step_of(ctor: Ctor) -> u32 {
    match ctor {
        Ctor::Variant(index) => index + 1,
        _ => 0,
    }
}

impl Places {
    pub(crate) const ROOT: usize = 0;

    pub(crate) fn of<C: Types>(
        table: &mut Table<'_, C>,
        patterns: &Patterns,
        ty: TyId,
        cells: &[Cell],
    ) -> Places {
        let mut places = Places {
            nodes: vec![PlaceNode::default()],
        };
        for cell in cells {
            places.add(patterns, *cell, Places::ROOT);
        }
        // A match on an enum is about its variants, even if it only says `_`.
        let mut at = Places::ROOT;
        let mut root = ty;
        for _ in 0..64 {
            let Info::Ref(target) = &*table.info(root) else {
                break;
            };
            at = places.part_or_new(at, 0, 0);
            root = *target;
        }
        places.nodes[at].told_apart = true;
        places
    }

    fn add(&mut self, patterns: &Patterns, cell: Cell, at: usize) {
        match patterns.head(cell) {
            None => {}
            Some(Head::Or) => {
                for kid in patterns.kids(cell) {
                    self.add(patterns, *kid, at);
                }
            }
            Some(Head::Ctor(ctor)) => {
                if matches!(ctor, Ctor::Variant(_) | Ctor::Bool(_)) {
                    self.nodes[at].told_apart = true;
                }
                for (field, kid) in (0..).zip(patterns.kids(cell)) {
                    if kid.is_wild() {
                        continue;
                    }
                    // All elements of a slice count as one place.
                    let field = if matches!(ctor, Ctor::Lengths(_)) {
                        0
                    } else {
                        field
                    };
                    let part = self.part_or_new(at, step_of(ctor), field);
                    self.add(patterns, *kid, part);
                }
            }
        }
    }

    fn part_or_new(&mut self, at: usize, step: u32, field: u32) -> usize {
        if let Some(part) = self.part(at, step, field) {
            return part;
        }
        let part = self.nodes.len();
        self.nodes.push(PlaceNode::default());
        self.nodes[at].parts.insert((step, field), part);
        part
    }

    pub(crate) fn part(&self, at: usize, step: u32, field: u32) -> Option<usize> {
        self.nodes[at].parts.get(&(step, field)).copied()
    }

    /// Returns the enums that are told apart somewhere.
    pub(crate) fn enums<C: Types>(&self, table: &mut Table<'_, C>, ty: TyId) -> BTreeSet<EnumId> {
        let mut ids = BTreeSet::new();
        let mut open = vec![(ty, Places::ROOT)];
        while let Some((ty, at)) = open.pop() {
            let info = table.info(ty);
            if let (Info::Enum { id, .. }, true) = (&*info, self.nodes[at].told_apart) {
                ids.insert(*id);
            }
            for (&(step, field), &part) in &self.nodes[at].parts {
                if let Some(ty) = part_type(&info, step, field) {
                    open.push((ty, part));
                }
            }
        }
        ids
    }

    /// Counts all values of a type.
    fn count_any<C: Types>(&self, table: &mut Table<'_, C>, ty: TyId, at: usize) -> u128 {
        let info = table.info(ty);
        match &*info {
            Info::Bool if self.nodes[at].told_apart => 2,
            Info::Enum { variants, .. } if self.nodes[at].told_apart => {
                let mut sum = 0u128;
                for (index, variant) in (0..).zip(variants) {
                    if !variant.empty {
                        sum = sum.saturating_add(self.count_parts(table, &info, index + 1, at));
                    }
                }
                sum
            }
            _ => self.count_parts(table, &info, 0, at),
        }
    }

    fn count_parts<C: Types>(
        &self,
        table: &mut Table<'_, C>,
        info: &Info,
        step: u32,
        at: usize,
    ) -> u128 {
        let mut product = 1u128;
        for (&(of, field), &part) in &self.nodes[at].parts {
            if of != step || matches!(info, Info::Slice { .. }) {
                continue;
            }
            if let Some(ty) = part_type(info, step, field) {
                product = product.saturating_mul(self.count_any(table, ty, part));
            }
        }
        product
    }

    pub(crate) fn count<C: Types>(
        &self,
        table: &mut Table<'_, C>,
        values: &Witness<C::Ty>,
        ty: TyId,
        at: usize,
    ) -> u128 {
        let fields: (u32, &[Witness<C::Ty>]) = match &values.kind {
            WitnessKind::Any => return self.count_any(table, ty, at),
            WitnessKind::OneOf(groups) => {
                return groups.iter().fold(0u128, |sum, group| {
                    sum.saturating_add(self.count(table, group, ty, at))
                });
            }
            WitnessKind::Variant(index, fields) => (*index as u32 + 1, fields),
            WitnessKind::Struct(fields) | WitnessKind::Union(fields) => (0, fields),
            WitnessKind::Ref(target) | WitnessKind::Deref(target) => {
                (0, std::slice::from_ref(target))
            }
            WitnessKind::Unlisted
            | WitnessKind::Never
            | WitnessKind::Bool(_)
            | WitnessKind::Range(_)
            | WitnessKind::Slice(..)
            | WitnessKind::Str(_)
            | WitnessKind::Float(..)
            | WitnessKind::Opaque(_) => return 1,
        };
        let mut product = 1u128;
        for (field, values) in (0..).zip(fields.1) {
            if let Some(part) = self.part(at, fields.0, field) {
                let ty = table.intern(&values.ty);
                product = product.saturating_mul(self.count(table, values, ty, part));
            }
        }
        product
    }
}

pub(crate) fn part_type(info: &Info, step: u32, field: u32) -> Option<TyId> {
    let parts = match info {
        Info::Struct { parts, .. } | Info::Union(parts) => parts,
        Info::Enum { variants, .. } => &variants.get(step.checked_sub(1)? as usize)?.parts,
        Info::Ref(target) => return Some(*target),
        Info::Slice { element, .. } => return Some(*element),
        Info::Void | Info::Bool | Info::Line(_) | Info::Float | Info::Str | Info::Opaque => {
            return None;
        }
    };
    parts.get(field as usize).map(|part| part.ty)
}
