//! The exact set of values that each arm takes, and what it swallows.
//!
//! Values are counted as the match tells them apart: an enum or `bool` counts its variants at
//! every place that some arm looks into (and at the root), anything else counts once. A
//! transition table over two enums of five states so has 25 values.

use std::collections::{BTreeMap, BTreeSet};

use crate::compile::{Cell, Head, Malformed, Patterns, compile};
use crate::constructor::Ctor;
use crate::engine::{Engine, Goal, Lineage};
use crate::pattern::{Guard, Match, Validity};
use crate::places::{Places, part_type, step_of};
use crate::table::{Info, Table, TyId};
use crate::types::{EnumId, Types};
use crate::verdict::Options;
use crate::witness::{Builder, Witness, WitnessKind};

/// What each arm of a match takes.
#[derive(Clone, Debug)]
pub struct Sets<T> {
    /// One entry for each arm.
    pub arms: Vec<ArmSet<T>>,
    /// What no arm takes, completely.
    pub missing: Vec<Witness<T>>,
    /// Whether these are all groups; if not, the work or group limit was reached.
    pub complete: bool,
}

/// What one arm takes. For an arm with a guard: what comes to it, the guard taking some of that.
#[derive(Clone, Debug)]
pub struct ArmSet<T> {
    /// Disjoint groups of values that together are the set. Alternatives of one arm that overlap
    /// give the values to the first of them.
    pub groups: Vec<Group<T>>,
    /// The number of values, as the match tells them apart.
    pub count: u128,
    /// The number of those that the arm swallows.
    pub swallowed_count: u128,
    /// The variants that the arm takes without naming them, by place.
    pub swallowed: Vec<Swallowed<T>>,
}

/// A group of values that one arm takes.
#[derive(Clone, Debug)]
pub struct Group<T> {
    /// The values.
    pub values: Witness<T>,
    /// How many they are, as the match tells them apart.
    pub count: u128,
    /// Whether the arm fails to name some enum variant in them.
    pub swallowed: bool,
}

/// Variants that a wildcard takes at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swallowed<T> {
    /// The enum's type.
    pub ty: T,
    /// The enum's declaration.
    pub id: EnumId,
    /// The variants, ascending.
    pub variants: Vec<usize>,
}

/// Computes the set that each arm of `m` takes.
///
/// # Errors
///
/// Returns [`Malformed`] if a pattern does not fit its type.
pub fn taken_sets<C: Types>(
    cx: &C,
    m: &Match<C::Ty>,
    options: &Options,
) -> Result<Sets<C::Ty>, Malformed> {
    let mut table = Table::new(cx);
    let ty = table.intern(&m.scrutinee);
    let (patterns, cells) = compile(&mut table, ty, &m.arms)?;
    let roots: Vec<_> = cells
        .iter()
        .zip(&m.arms)
        .map(|(cell, arm)| (*cell, arm.guard == Guard::Present))
        .collect();
    let mut engine = Engine::new(
        &mut table,
        &patterns,
        Goal::Sets,
        options.empty_arms,
        options.limits(),
    );
    let complete = engine
        .run(ty, m.validity == Validity::KnownValid, &roots)
        .is_ok();
    let (found, lineages) = (engine.found, engine.lineages);
    let places = Places::of(&mut table, &patterns, ty, &cells);
    let mut sets = Sets {
        arms: m.arms.iter().map(|_| ArmSet::empty()).collect(),
        missing: Vec::new(),
        complete,
    };
    let mut swallowed: Vec<BTreeMap<(usize, EnumType), BTreeSet<usize>>> =
        vec![BTreeMap::new(); m.arms.len()];
    for group in &found {
        let values = Builder {
            table: &mut table,
            patterns: &patterns,
        }
        .whole(ty, &group.path);
        let Some(lineage) = group.lineage else {
            sets.missing.push(values);
            continue;
        };
        let arm = lineages[lineage as usize].arm as usize;
        let mut walk = Walk {
            table: &mut table,
            patterns: &patterns,
            places: &places,
            chosen: chosen(&lineages, lineage),
            swallowed: &mut swallowed[arm],
            any: false,
        };
        walk.go(&values, ty, cells[arm], Places::ROOT);
        let any = walk.any;
        let count = places.count(&mut table, &values, ty, Places::ROOT);
        let set = &mut sets.arms[arm];
        set.count = set.count.saturating_add(count);
        if any {
            set.swallowed_count = set.swallowed_count.saturating_add(count);
        }
        set.groups.push(Group {
            values,
            count,
            swallowed: any,
        });
    }
    for (set, places) in sets.arms.iter_mut().zip(swallowed) {
        for ((_, EnumType(ty, id)), variants) in places {
            set.swallowed.push(Swallowed {
                ty: table.ty(ty).clone(),
                id,
                variants: variants.into_iter().collect(),
            });
        }
    }
    Ok(sets)
}

impl<T> ArmSet<T> {
    fn empty() -> Self {
        ArmSet {
            groups: Vec::new(),
            count: 0,
            swallowed_count: 0,
            swallowed: Vec::new(),
        }
    }
}

/// A type with the enum it is, ordered for use as a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct EnumType(TyId, EnumId);

fn chosen(lineages: &[Lineage], mut lineage: u32) -> BTreeSet<u32> {
    let mut chosen = BTreeSet::new();
    loop {
        let entry = lineages[lineage as usize];
        chosen.extend(entry.alternative);
        match entry.parent {
            Some(parent) => lineage = parent,
            None => return chosen,
        }
    }
}

/// Compares a group that an arm takes with what the arm's pattern names.
struct Walk<'w, 'c, C: Types> {
    table: &'w mut Table<'c, C>,
    patterns: &'w Patterns,
    places: &'w Places,
    /// The alternatives through which the arm takes the group.
    chosen: BTreeSet<u32>,
    swallowed: &'w mut BTreeMap<(usize, EnumType), BTreeSet<usize>>,
    any: bool,
}

impl<C: Types> Walk<'_, '_, C> {
    fn go(&mut self, values: &Witness<C::Ty>, ty: TyId, cell: Cell, at: usize) {
        match self.patterns.head(cell) {
            None => self.swallow(values, ty, at),
            Some(Head::Or) => {
                let first = self.patterns.first_kid(cell);
                let kids = self.patterns.kids(cell);
                for (offset, kid) in (0..).zip(kids) {
                    if self.chosen.contains(&(first + offset)) {
                        self.go(values, ty, *kid, at);
                    }
                }
            }
            Some(Head::Ctor(ctor)) => {
                let step = step_of(ctor);
                if matches!(ctor, Ctor::Lengths(_)) {
                    return self.go_slice(values, cell, at);
                }
                for (field, (sub, kid)) in
                    (0..).zip(fields_of(values).iter().zip(self.patterns.kids(cell)))
                {
                    if let Some(part) = self.places.part(at, step, field) {
                        let ty = self.table.intern(&sub.ty);
                        self.go(sub, ty, *kid, part);
                    }
                }
            }
        }
    }

    /// Elements are matched from the front, and from the back after `..`.
    fn go_slice(&mut self, values: &Witness<C::Ty>, cell: Cell, at: usize) {
        let (WitnessKind::Slice(front, back), Some(part)) =
            (&values.kind, self.places.part(at, 0, 0))
        else {
            return;
        };
        let elements: Vec<&Witness<C::Ty>> = front.iter().chain(back.iter().flatten()).collect();
        let kids = self.patterns.kids(cell);
        let prefix = match self.patterns.head(cell) {
            Some(Head::Ctor(Ctor::Lengths(crate::slices::Lengths::AtLeast { prefix, .. }))) => {
                prefix as usize
            }
            _ => kids.len(),
        };
        for (position, element) in elements.iter().enumerate() {
            let from_back = elements.len() - position;
            let kid = if position < prefix {
                kids.get(position)
            } else if from_back <= kids.len().saturating_sub(prefix) {
                kids.get(kids.len() - from_back)
            } else {
                None
            };
            if let Some(kid) = kid {
                let ty = self.table.intern(&element.ty);
                self.go(element, ty, *kid, part);
            }
        }
    }

    /// Notes all that is told apart in `values`, the pattern saying nothing about it.
    fn swallow(&mut self, values: &Witness<C::Ty>, ty: TyId, at: usize) {
        match &values.kind {
            WitnessKind::OneOf(groups) => {
                for group in groups {
                    self.swallow(group, ty, at);
                }
            }
            WitnessKind::Any => self.swallow_any(ty, at),
            WitnessKind::Variant(index, fields) => {
                self.note(ty, at, [*index]);
                self.swallow_fields(fields, *index as u32 + 1, at);
            }
            WitnessKind::Struct(fields) | WitnessKind::Union(fields) => {
                self.swallow_fields(fields, 0, at);
            }
            WitnessKind::Ref(target) | WitnessKind::Deref(target) => {
                self.swallow_fields(std::slice::from_ref(&**target), 0, at);
            }
            WitnessKind::Slice(front, back) => {
                if let Some(part) = self.places.part(at, 0, 0) {
                    for element in front.iter().chain(back.iter().flatten()) {
                        let ty = self.table.intern(&element.ty);
                        self.swallow(element, ty, part);
                    }
                }
            }
            WitnessKind::Unlisted
            | WitnessKind::Never
            | WitnessKind::Bool(_)
            | WitnessKind::Range(_)
            | WitnessKind::Str(_)
            | WitnessKind::Float(..)
            | WitnessKind::Opaque(_) => {}
        }
    }

    fn swallow_fields(&mut self, fields: &[Witness<C::Ty>], step: u32, at: usize) {
        for (field, values) in (0..).zip(fields) {
            if let Some(part) = self.places.part(at, step, field) {
                let ty = self.table.intern(&values.ty);
                self.swallow(values, ty, part);
            }
        }
    }

    fn swallow_any(&mut self, ty: TyId, at: usize) {
        let info = self.table.info(ty);
        if let Info::Enum { variants, .. } = &*info {
            let there = (0..).zip(variants).filter(|(_, variant)| !variant.empty);
            self.note(ty, at, there.map(|(index, _)| index));
        }
        let parts: Vec<_> = self.places.nodes[at]
            .parts
            .iter()
            .map(|(&(step, field), &part)| (step, field, part))
            .collect();
        for (step, field, part) in parts {
            if let Some(ty) = part_type(&info, step, field) {
                self.swallow_any(ty, part);
            }
        }
    }

    fn note(&mut self, ty: TyId, at: usize, variants: impl IntoIterator<Item = usize>) {
        if !self.places.nodes[at].told_apart {
            return;
        }
        if let Info::Enum { id, .. } = &*self.table.info(ty) {
            self.any = true;
            self.swallowed
                .entry((at, EnumType(ty, *id)))
                .or_default()
                .extend(variants);
        }
    }
}

fn fields_of<T>(values: &Witness<T>) -> &[Witness<T>] {
    match &values.kind {
        WitnessKind::Struct(fields)
        | WitnessKind::Variant(_, fields)
        | WitnessKind::Union(fields) => fields,
        WitnessKind::Ref(target) | WitnessKind::Deref(target) => std::slice::from_ref(target),
        WitnessKind::Any
        | WitnessKind::Unlisted
        | WitnessKind::Never
        | WitnessKind::Bool(_)
        | WitnessKind::Range(_)
        | WitnessKind::Slice(..)
        | WitnessKind::Str(_)
        | WitnessKind::Float(..)
        | WitnessKind::Opaque(_)
        | WitnessKind::OneOf(_) => &[],
    }
}
