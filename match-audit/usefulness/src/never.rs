//! Never patterns: where `!` may stand, and which matches are accepted only because an empty arm
//! was left out.
//!
//! Two sets of rules are offered. The compiler's (unstable `never_patterns`) lets `!` stand for
//! any value that the module can see to be impossible, also for `(u32, !)`. The rules proposed in
//! 2018 are stricter, for the sake of code that fills a value in step by step: a tuple or struct
//! only counts if *all* its fields are empty, an enum if all its variants are, and a reference
//! through a pattern on what it points to. Verdicts follow the compiler; the lint follows the
//! proposal.

use crate::compile::Malformed;
use crate::pattern::Match;
use crate::table::{Info, Part, Table, TyId};
use crate::types::Types;
use crate::verdict::{Options, Report, Verdict, check};
use crate::witness::{Witness, WitnessKind};

/// Which types a never pattern may stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// The rules proposed in 2018.
    Proposal2018,
    /// The rules of the compiler's unstable feature.
    Compiler,
}

/// Whether a never pattern may stand for a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Acceptance {
    /// The type may have values, or its emptiness does not count.
    Refused,
    /// Behind a reference: `&!`. Near unsafe code this deserves a second look.
    ThroughReference,
    /// `!` may stand for it.
    Accepted,
}

/// Says whether `!` may stand for a value of type `ty`.
pub fn accepts_never<C: Types>(cx: &C, ty: &C::Ty, rules: Rules) -> Acceptance {
    let mut table = Table::new(cx);
    let id = table.intern(ty);
    acceptance(&mut table, id, rules, 0)
}

fn acceptance<C: Types>(
    table: &mut Table<'_, C>,
    ty: TyId,
    rules: Rules,
    depth: u32,
) -> Acceptance {
    if depth > 64 {
        return Acceptance::Refused;
    }
    let info = table.info(ty);
    match (rules, &*info) {
        (Rules::Compiler, Info::Ref(target)) => {
            // The pattern is written `&!`; the referent is judged by value.
            match acceptance(table, *target, rules, depth + 1) {
                Acceptance::Refused => Acceptance::Refused,
                Acceptance::ThroughReference | Acceptance::Accepted => Acceptance::ThroughReference,
            }
        }
        (Rules::Compiler, _) if table.is_empty(ty) => Acceptance::Accepted,
        (Rules::Compiler, _) => Acceptance::Refused,
        (Rules::Proposal2018, Info::Void) => Acceptance::Accepted,
        (Rules::Proposal2018, Info::Struct { parts, .. }) => all_parts(table, parts, depth),
        (Rules::Proposal2018, Info::Enum { variants, open, .. }) => {
            if *open {
                return Acceptance::Refused;
            }
            variants
                .iter()
                .map(|variant| all_parts(table, &variant.parts, depth))
                .min()
                .unwrap_or(Acceptance::Accepted)
        }
        (Rules::Proposal2018, Info::Ref(target)) => {
            acceptance(table, *target, rules, depth + 1).min(Acceptance::ThroughReference)
        }
        (
            Rules::Proposal2018,
            Info::Bool
            | Info::Line(_)
            | Info::Union(_)
            | Info::Slice { .. }
            | Info::Float
            | Info::Str
            | Info::Opaque,
        ) => Acceptance::Refused,
    }
}

/// A product counts if it has fields and all of them are visible and count.
fn all_parts<C: Types>(table: &mut Table<'_, C>, parts: &[Part], depth: u32) -> Acceptance {
    parts
        .iter()
        .map(|part| {
            if part.visible {
                acceptance(table, part.ty, Rules::Proposal2018, depth + 1)
            } else {
                Acceptance::Refused
            }
        })
        .min()
        .unwrap_or(Acceptance::Refused)
}

/// An arm that would complete a match.
#[derive(Clone, Debug)]
pub struct Completion<T> {
    /// The pattern, with never patterns where something is empty.
    pub pattern: Witness<T>,
    /// Whether the compiler accepts the match without it.
    pub compiler: bool,
    /// Whether the rules proposed in 2018 would add it on their own.
    pub proposal_2018: Acceptance,
}

/// Lists the empty arms that `m` does not have: those that the compiler lets it leave out, and
/// those that only the 2018 rules would add.
///
/// # Errors
///
/// Returns [`Malformed`] if a pattern does not fit its type.
pub fn completion<C: Types>(
    cx: &C,
    m: &Match<C::Ty>,
    options: &Options,
) -> Result<Vec<Completion<C::Ty>>, Malformed> {
    let report = check(cx, m, options)?;
    let mut table = Table::new(cx);
    let mut arms = Vec::new();
    let left_out = report.left_out.into_iter().map(|pattern| (pattern, true));
    let missing = report.witnesses.into_iter().map(|pattern| (pattern, false));
    for (pattern, compiler) in left_out.chain(missing) {
        let proposal_2018 = closes(&mut table, &pattern);
        if compiler || proposal_2018 != Acceptance::Refused {
            arms.push(Completion {
                pattern,
                compiler,
                proposal_2018,
            });
        }
    }
    Ok(arms)
}

/// Says whether the 2018 rules would add an arm for the group.
fn closes<C: Types>(table: &mut Table<'_, C>, group: &Witness<C::Ty>) -> Acceptance {
    let ty = table.intern(&group.ty);
    let whole = acceptance(table, ty, Rules::Proposal2018, 0);
    let parts = match &group.kind {
        WitnessKind::Struct(fields) | WitnessKind::Variant(_, fields) => fields
            .iter()
            .map(|field| closes(table, field))
            .min()
            .unwrap_or(Acceptance::Refused),
        WitnessKind::Ref(target) => closes(table, target).min(Acceptance::ThroughReference),
        WitnessKind::OneOf(groups) => groups
            .iter()
            .map(|group| closes(table, group))
            .min()
            .unwrap_or(Acceptance::Refused),
        WitnessKind::Any
        | WitnessKind::Unlisted
        | WitnessKind::Never
        | WitnessKind::Bool(_)
        | WitnessKind::Range(_)
        | WitnessKind::Union(_)
        | WitnessKind::Deref(_)
        | WitnessKind::Slice(..)
        | WitnessKind::Str(_)
        | WitnessKind::Float(..)
        | WitnessKind::Opaque(_) => Acceptance::Refused,
    };
    whole.max(parts)
}

/// What the place of a match was reached through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Neither a raw pointer nor a union is involved.
    Ordinary,
    /// A raw pointer was dereferenced.
    RawPointer,
    /// A field of a union was named.
    UnionField,
}

/// Whether the lint speaks without being asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Only if the user turned it on.
    OnRequest,
    /// Always.
    Default,
}

/// The lint `omitted_empty_arm`: says whether the match is accepted only because empty arms were
/// left out, and how loudly to say so. The arms are in [`Report::left_out`].
pub fn omitted_empty_arm<T>(report: &Report<T>, access: Access) -> Option<Level> {
    let hit = report.verdict == Verdict::Exhaustive && !report.left_out.is_empty();
    hit.then_some(match access {
        Access::Ordinary => Level::OnRequest,
        Access::RawPointer | Access::UnionField => Level::Default,
    })
}
