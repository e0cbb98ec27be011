//! The split of the next column into branches.

use std::rc::Rc;

use super::{Branch, EmptyArms, Engine, Goal, OutOfWork, Step};
use crate::compile::Head;
use crate::constructor::{self, Ctor, Parts, Split};
use crate::matrix::{Matrix, Place};
use crate::table::Info;
use crate::types::Types;

/// A column, split.
pub(super) struct Column {
    place: Place,
    info: Rc<Info>,
    pub(super) branches: Vec<Next>,
    pub(super) count: u32,
    /// Rows that say nothing about the column.
    wild: Vec<u32>,
    /// Pairs of a branch and a row that mentions it, sorted.
    mentions: Vec<(u32, u32)>,
    /// Whether the rest still learns something in the branch of a mentioned constructor.
    rest_relevant: bool,
    /// Whether a row that says nothing does. Where all that is not mentioned is empty, the row
    /// may only there be reached.
    wild_relevant: bool,
}

/// A branch to enter.
pub(super) enum Next {
    /// The constructor with this position among those present.
    Present(u32, Ctor),
    /// What is not mentioned.
    Missing {
        step: Step,
        /// Only values that do not exist.
        empty: bool,
        may_be_left_out: bool,
        barred: bool,
    },
}

impl<C: Types> Engine<'_, '_, C> {
    pub(super) fn split_column(&mut self, matrix: &Matrix, place: Place, branch: Branch) -> Column {
        let info = self.table.info(place.ty);
        let mut wild = Vec::new();
        let mut heads: Vec<(u32, Ctor)> = Vec::new();
        for row in 0..matrix.rows.len() {
            match self.patterns.head(matrix.head(row)) {
                Some(Head::Ctor(ctor)) => heads.push((row as u32, ctor)),
                Some(Head::Or) | None => wild.push(row as u32),
            }
        }
        let ctors: Vec<Ctor> = heads.iter().map(|(_, ctor)| *ctor).collect();
        let split = constructor::split(&info, &ctors);
        let mentions = mentions(&split.present, &heads);
        let mut branches: Vec<Next> = (0..)
            .zip(&split.present)
            .map(|(position, ctor)| Next::Present(position, *ctor))
            .collect();
        let present = branches.len() as u32;
        let only_empty = split.missing.is_empty();
        let missing_anything = self.missing(&info, place, split, present, branch, &mut branches);
        let rest_relevant = self.goal == Goal::Sets || !missing_anything;
        Column {
            place,
            info,
            count: branches.len() as u32,
            branches,
            wild,
            mentions,
            rest_relevant,
            wild_relevant: rest_relevant || only_empty,
        }
    }

    /// Adds the branch of what is not mentioned. Says whether an arm is asked for there.
    fn missing(
        &self,
        info: &Info,
        place: Place,
        split: Split,
        order: u32,
        branch: Branch,
        branches: &mut Vec<Next>,
    ) -> bool {
        // Stable Rust accepts `match x {}` on any place, valid or not.
        let voided =
            place.root && matches!(info, Info::Void) && self.empty_arms != EmptyArms::Nowhere;
        let can_omit = voided || self.empty_arms.may_be_left_out(place.valid);
        let barred = place.valid && (voided || self.empty_arms == EmptyArms::Everywhere);
        let nothing_present = split.present.is_empty();
        let only_empty = split.missing.is_empty();
        let mut asked = split.missing;
        if self.goal == Goal::Verdicts {
            hide(&mut asked, info);
        }
        if !can_omit {
            asked.extend(&split.missing_empty);
        }
        let missing_anything = !asked.is_empty();
        if missing_anything {
            let step = match self.goal {
                // Naming single constructors inside a place that nobody looks into is noise.
                Goal::Verdicts if nothing_present && !place.root => Step::Any,
                Goal::Verdicts if asked.contains(&Ctor::Unlisted) => {
                    Step::OneOf(order, Rc::new([Ctor::Unlisted]))
                }
                Goal::Sets if nothing_present => Step::Any,
                Goal::Verdicts | Goal::Sets => Step::OneOf(order, asked.into()),
            };
            branches.push(Next::Missing {
                step,
                empty: only_empty,
                may_be_left_out: false,
                barred: false,
            });
        } else if !split.missing_empty.is_empty()
            && (self.goal == Goal::Verdicts || !(place.valid || branch.impossible))
        {
            branches.push(Next::Missing {
                step: Step::LeftOut(order, split.missing_empty.into()),
                empty: true,
                may_be_left_out: true,
                barred,
            });
        }
        missing_anything
    }

    pub(super) fn enter(
        &mut self,
        matrix: &Matrix,
        places: &[Place],
        column: &Column,
        order: u32,
        next: Next,
        mut branch: Branch,
    ) -> Result<(Matrix, Vec<Place>, Branch), OutOfWork> {
        let place = column.place;
        let mut places = places.to_vec();
        match next {
            Next::Present(position, ctor) => {
                let parts = Parts::of(self.table, place.ty, ctor);
                let arity = parts.len();
                for index in (0..arity).rev() {
                    let part = parts.get(index);
                    places.push(Place {
                        ty: part.ty,
                        valid: place.valid && !ctor.is_indirect(),
                        root: false,
                        passed_over: self.table.is_secretly_empty(part),
                    });
                }
                let empty = constructor::is_empty(&column.info, ctor);
                branch.impossible |= empty && place.valid;
                branch.may_be_left_out |= empty && self.empty_arms.may_be_left_out(place.valid);
                branch.rest_relevant &= column.rest_relevant;
                self.path.push(Step::Ctor(order, ctor));
                let rows = merge(&column.mentions, position, &column.wild);
                self.spend((rows.len() * (arity + 1)) as u64)?;
                let spec = matrix.specialize(
                    self.patterns,
                    rows.into_iter(),
                    Some(ctor),
                    arity,
                    column.wild_relevant,
                    empty,
                );
                Ok((spec, places, branch))
            }
            Next::Missing {
                step,
                empty,
                may_be_left_out,
                barred,
            } => {
                branch.impossible |= empty && place.valid;
                branch.may_be_left_out |= may_be_left_out;
                branch.barred |= barred;
                self.path.push(step);
                self.spend(column.wild.len() as u64)?;
                let rows = column.wild.iter().copied();
                let spec = matrix.specialize(self.patterns, rows, None, 0, true, empty);
                Ok((spec, places, branch))
            }
        }
    }
}

/// Replaces what witnesses must not name by one anonymous constructor.
fn hide(missing: &mut Vec<Ctor>, info: &Info) {
    if let Info::Enum { variants, .. } = info {
        let before = missing.len();
        missing.retain(|ctor| match ctor {
            Ctor::Variant(index) => !variants[*index as usize].hidden,
            _ => true,
        });
        if missing.len() != before {
            missing.push(Ctor::Hidden);
        }
    }
}

/// Pairs the positions in `present` with the rows that mention them, sorted by both.
fn mentions(present: &[Ctor], heads: &[(u32, Ctor)]) -> Vec<(u32, u32)> {
    let mut pairs = Vec::with_capacity(heads.len());
    // Opaque constants come first in `present`, and the others are sorted where there are many.
    let opaque = present.iter().take_while(|c| matches!(c, Ctor::Opaque(_)));
    let first_listed = opaque.count();
    let listed = &present[first_listed..];
    for &(row, head) in heads {
        let range = match head {
            Ctor::Variant(index) => {
                let at = listed.partition_point(|c| matches!(c, Ctor::Variant(v) if *v < index));
                at..(at + 1).min(listed.len())
            }
            Ctor::Str(index) => {
                let at = listed.partition_point(|c| matches!(c, Ctor::Str(s) if *s < index));
                at..(at + 1).min(listed.len())
            }
            Ctor::Span(span) => {
                let at = listed.partition_point(|c| matches!(c, Ctor::Span(s) if s.lo < span.lo));
                let end = listed.partition_point(|c| matches!(c, Ctor::Span(s) if s.lo < span.hi));
                at..end
            }
            Ctor::Opaque(_) => {
                let at = present.iter().position(|c| *c == head);
                pairs.extend(at.map(|at| (at as u32, row)));
                continue;
            }
            _ => 0..listed.len(),
        };
        for at in range {
            if head.covers(listed[at]) {
                pairs.push(((first_listed + at) as u32, row));
            }
        }
    }
    pairs.sort_unstable();
    pairs
}

/// Lists the rows that match the branch, from top to bottom.
fn merge(mentions: &[(u32, u32)], position: u32, wild: &[u32]) -> Vec<u32> {
    let from = mentions.partition_point(|(at, _)| *at < position);
    let to = mentions.partition_point(|(at, _)| *at <= position);
    let mut named = mentions[from..to].iter().map(|(_, row)| *row).peekable();
    let mut wild = wild.iter().copied().peekable();
    let mut rows = Vec::with_capacity(to - from + wild.len());
    loop {
        match (named.peek(), wild.peek()) {
            (Some(a), Some(b)) => {
                let next = if a < b { named.next() } else { wild.next() };
                rows.extend(next);
            }
            (Some(_), None) => rows.extend(named.by_ref()),
            (None, Some(_)) => rows.extend(wild.by_ref()),
            (None, None) => return rows,
        }
    }
}
