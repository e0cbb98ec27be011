//! What would happen if an enum had one more variant?

use std::collections::BTreeSet;

use crate::compile::{Malformed, compile};
use crate::pattern::Match;
use crate::places::Places;
use crate::sets::taken_sets;
use crate::table::Table;
use crate::types::{ConstructorName, EnumId, Shape, Types, Variant};
use crate::verdict::{Options, Verdict, check};
use crate::witness::Witness;

/// The types of a program, with one unit variant added to the end of one enum.
#[derive(Clone, Copy, Debug)]
pub struct Ghost<'c, C> {
    inner: &'c C,
    id: EnumId,
}

impl<'c, C> Ghost<'c, C> {
    /// Adds the variant to the enum `id`.
    pub fn new(inner: &'c C, id: EnumId) -> Self {
        Ghost { inner, id }
    }
}

impl<C: Types> Types for Ghost<'_, C> {
    type Ty = C::Ty;

    fn describe(&self, ty: &C::Ty) -> Shape<C::Ty> {
        let mut shape = self.inner.describe(ty);
        if let Shape::Enum(inner) = &mut shape
            && inner.id == self.id
        {
            inner.variants.push(Variant::new([]));
        }
        shape
    }

    fn constructor_name(&self, ty: &C::Ty, variant: Option<usize>) -> ConstructorName {
        if let (Some(index), Shape::Enum(shape)) = (variant, self.inner.describe(ty))
            && index == shape.variants.len()
        {
            return ConstructorName::Tuple("<new variant>".into());
        }
        self.inner.constructor_name(ty, variant)
    }
}

/// What a match does with a variant that is not there yet.
#[derive(Clone, Debug)]
pub struct WhatIf<T> {
    /// Whether the match, which is accepted today, would be refused.
    pub breaks: bool,
    /// What would not be matched; print it with the [`Ghost`].
    pub unmatched: Vec<Witness<T>>,
    /// The arms, counted from 0, that would take the variant without naming it.
    pub absorbed_by: Vec<usize>,
    /// Whether everything was looked at. If not, arms may be missing.
    pub complete: bool,
}

/// Answers what `m` would do if the enum `id` had one more variant.
///
/// A match may do both: refuse the variant at one place and absorb it at another.
///
/// # Errors
///
/// Returns [`Malformed`] if a pattern does not fit its type.
pub fn what_if<C: Types>(
    cx: &C,
    m: &Match<C::Ty>,
    id: EnumId,
    options: &Options,
) -> Result<WhatIf<C::Ty>, Malformed> {
    let today = check(cx, m, options)?;
    let ghost = Ghost::new(cx, id);
    let then = check(&ghost, m, options)?;
    let sets = taken_sets(&ghost, m, options)?;
    let is_ghost = |ty: &C::Ty, variant: usize| match cx.describe(ty) {
        Shape::Enum(shape) => shape.variants.len() == variant,
        _ => false,
    };
    let absorbed_by = sets
        .arms
        .iter()
        .enumerate()
        .filter(|(_, set)| {
            set.swallowed
                .iter()
                .filter(|s| s.id == id)
                .any(|s| s.variants.iter().any(|v| is_ghost(&s.ty, *v)))
        })
        .map(|(arm, _)| arm)
        .collect();
    Ok(WhatIf {
        breaks: today.verdict == Verdict::Exhaustive && then.verdict == Verdict::NotExhaustive,
        unmatched: then.witnesses,
        absorbed_by,
        complete: today.complete && then.complete && sets.complete,
    })
}

/// Lists the enums whose variants `m` tells apart somewhere: only their growth can break the
/// match or be absorbed by it.
///
/// # Errors
///
/// Returns [`Malformed`] if a pattern does not fit its type.
pub fn inspected_enums<C: Types>(cx: &C, m: &Match<C::Ty>) -> Result<BTreeSet<EnumId>, Malformed> {
    let mut table = Table::new(cx);
    let ty = table.intern(&m.scrutinee);
    let (patterns, cells) = compile(&mut table, ty, &m.arms)?;
    let places = Places::of(&mut table, &patterns, ty, &cells);
    Ok(places.enums(&mut table, ty))
}
