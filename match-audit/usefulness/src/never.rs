//! Never patterns: where `!` may stand, and which matches are accepted only because an empty arm
//! was left out.
//!
//! Two sets of rules are offered. The compiler's (unstable `never_patterns`) lets `!` stand for
//! any value that the module can see to be impossible, also for `(u32, !)`. The rules proposed in
//! 2018 are stricter, for the sake of code that fills a value in step by step: a tuple or struct
//! only counts if *all* its fields are empty, an enum if all its variants are, and a reference
//! through a pattern on what it points to. Verdicts follow the compiler; the lint follows the
//! proposal.

use std::collections::HashMap;

use crate::compile::Malformed;
use crate::engine::EmptyArms;
use crate::pattern::{Arm, Match, Pat, PatKind};
use crate::table::{Info, Part, Table, TyId};
use crate::types::Types;
use crate::verdict::{Options, Report, Usefulness, Verdict, check};
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
    match rules {
        Rules::Proposal2018 => Judge::new(&mut table).acceptance(id, 0),
        Rules::Compiler => acceptance_by_compiler(&mut table, id),
    }
}

/// Types nested deeper than this are taken to have values.
const MAX_DEPTH: u32 = 64;

fn acceptance_by_compiler<C: Types>(table: &mut Table<'_, C>, mut ty: TyId) -> Acceptance {
    let mut accepted = Acceptance::Accepted;
    for _ in 0..MAX_DEPTH {
        if table.is_empty(ty) {
            return accepted;
        }
        // The pattern is written `&!`; the referent is judged by value.
        let Info::Ref(target) = &*table.info(ty) else {
            break;
        };
        ty = *target;
        accepted = Acceptance::ThroughReference;
    }
    Acceptance::Refused
}

/// Judges types by the rules of 2018.
struct Judge<'t, 'c, C: Types> {
    table: &'t mut Table<'c, C>,
    known: HashMap<TyId, Acceptance>,
}

impl<'t, 'c, C: Types> Judge<'t, 'c, C> {
    fn new(table: &'t mut Table<'c, C>) -> Self {
        Judge {
            table,
            known: HashMap::new(),
        }
    }

    fn acceptance(&mut self, ty: TyId, depth: u32) -> Acceptance {
        if depth > MAX_DEPTH {
            return Acceptance::Refused;
        }
        if let Some(&known) = self.known.get(&ty) {
            return known;
        }
        // A type that contains itself is not made empty by that. What was judged meanwhile in
        // this belief stays right: if it leads back here, then all on the way are refused.
        self.known.insert(ty, Acceptance::Refused);
        let info = self.table.info(ty);
        let acceptance = match &*info {
            Info::Void => Acceptance::Accepted,
            Info::Struct { parts, .. } => self.product(parts, depth),
            Info::Enum { open: true, .. } => Acceptance::Refused,
            Info::Enum { variants, .. } => {
                weakest(variants.iter().map(|v| self.product(&v.parts, depth)))
            }
            Info::Ref(target) => self
                .acceptance(*target, depth + 1)
                .min(Acceptance::ThroughReference),
            Info::Bool
            | Info::Line(_)
            | Info::Union(_)
            | Info::Slice { .. }
            | Info::Float
            | Info::Str
            | Info::Opaque => Acceptance::Refused,
        };
        self.known.insert(ty, acceptance);
        acceptance
    }

    /// A product counts if it has fields and all of them are visible and count.
    fn product(&mut self, parts: &[Part], depth: u32) -> Acceptance {
        if parts.is_empty() || parts.iter().any(|part| !part.visible) {
            return Acceptance::Refused;
        }
        weakest(parts.iter().map(|p| self.acceptance(p.ty, depth + 1)))
    }
}

/// Returns the least of them. The first that is refused ends it, or the work would double with
/// each level of nesting.
fn weakest(mut list: impl Iterator<Item = Acceptance>) -> Acceptance {
    let least = list.try_fold(Acceptance::Accepted, |least, one| match one {
        Acceptance::Refused => Err(one),
        Acceptance::ThroughReference | Acceptance::Accepted => Ok(least.min(one)),
    });
    least.unwrap_or_else(|refused| refused)
}

/// An arm that the rules of 2018 add to a match on their own.
#[derive(Clone, Debug)]
pub struct NeverArm<T> {
    /// The pattern.
    pub pattern: Witness<T>,
    /// Whether it looks through a reference. Near unsafe code this deserves a second look.
    pub through_reference: bool,
}

/// A match as completed by the rules of 2018, beside what the compiler says of it.
///
/// Where the two verdicts differ, the match is accepted by one of the rule sets only.
#[derive(Clone, Debug)]
pub struct AutoNever<T> {
    /// The arms that are added below those of the match, as far as they are of use there.
    pub arms: Vec<NeverArm<T>>,
    /// Whether the match is exhaustive with those arms, nothing else being left out.
    pub proposal_2018: Verdict,
    /// What is not matched even so.
    pub unmatched: Vec<Witness<T>>,
    /// Whether the compiler accepts the match as it stands.
    pub compiler: Verdict,
    /// The empty patterns that the compiler lets pass.
    pub left_out: Vec<Witness<T>>,
    /// Whether everything was looked at; if not, a limit was reached.
    pub complete: bool,
}

/// Completes `m` by the rules of 2018.
///
/// These add never patterns first, and then want every constructor matched. What is added follows
/// from the type alone: `!` where `!` may stand; a struct, tuple or variant if there is something
/// to add for *each* of its fields; a reference if there is for what it points to.
///
/// # Errors
///
/// Returns [`Malformed`] if a pattern does not fit its type.
pub fn auto_never<C: Types>(
    cx: &C,
    m: &Match<C::Ty>,
    options: &Options,
) -> Result<AutoNever<C::Ty>, Malformed> {
    let today = check(cx, m, options)?;
    let mut table = Table::new(cx);
    let ty = table.intern(&m.scrutinee);
    let mut writer = Writer {
        judge: Judge::new(&mut table),
        // Deeper arms cannot complete what the match does not look into.
        depth: m.arms.iter().map(|arm| depth(&arm.pat)).max().unwrap_or(0) + 1,
        steps: options.work_limit,
        most: options.group_limit,
        complete: true,
    };
    let patterns = writer.patterns(ty, 0);
    let written = writer.complete;
    let mut completed = m.clone();
    let added = patterns.iter().map(|pattern| Arm::new(as_pattern(pattern)));
    completed.arms.extend(added);
    let options = Options {
        empty_arms: EmptyArms::Nowhere,
        ..*options
    };
    let then = check(cx, &completed, &options)?;
    let arms = patterns
        .into_iter()
        .zip(&then.arms[m.arms.len()..])
        .filter(|(_, arm)| arm.usefulness == Usefulness::Useful)
        .map(|(pattern, _)| NeverArm {
            through_reference: has_reference(&pattern),
            pattern,
        })
        .collect();
    Ok(AutoNever {
        arms,
        proposal_2018: match then.verdict {
            // An arm that was not written may be what is missing.
            Verdict::NotExhaustive if !written => Verdict::Unknown,
            verdict => verdict,
        },
        unmatched: then.witnesses,
        compiler: today.verdict,
        left_out: today.left_out,
        complete: today.complete && then.complete && written,
    })
}

fn depth<T>(pat: &Pat<T>) -> u32 {
    match &pat.kind {
        PatKind::Wild
        | PatKind::Never
        | PatKind::Bool(_)
        | PatKind::Range(_)
        | PatKind::Float(..)
        | PatKind::Str(_)
        | PatKind::Opaque(_)
        | PatKind::Bind(_, None) => 0,
        PatKind::Bind(_, Some(sub)) => depth(sub),
        PatKind::Union(_, sub) | PatKind::Ref(sub) | PatKind::Deref(_, sub) => 1 + depth(sub),
        PatKind::Struct(fields) | PatKind::Variant(_, fields) => {
            1 + deepest(fields.iter().map(|(_, sub)| sub))
        }
        PatKind::Slice { prefix, suffix, .. } => 1 + deepest(prefix.iter().chain(suffix)),
        PatKind::Or(subs) => deepest(subs.iter()),
    }
}

fn deepest<'a, T: 'a>(pats: impl Iterator<Item = &'a Pat<T>>) -> u32 {
    pats.map(depth).max().unwrap_or(0)
}

/// Writes the never patterns of a type.
struct Writer<'t, 'c, C: Types> {
    judge: Judge<'t, 'c, C>,
    /// How deep to look into types that have values.
    depth: u32,
    /// How many types may still be looked at.
    steps: u64,
    /// The largest number of patterns.
    most: usize,
    complete: bool,
}

impl<C: Types> Writer<'_, '_, C> {
    fn patterns(&mut self, ty: TyId, depth: u32) -> Vec<Witness<C::Ty>> {
        if !self.spend(1) {
            return Vec::new();
        }
        match self.judge.acceptance(ty, 0) {
            Acceptance::Accepted => return vec![self.node(ty, WitnessKind::Never)],
            Acceptance::Refused if depth >= self.depth => return Vec::new(),
            Acceptance::Refused | Acceptance::ThroughReference => {}
        }
        let info = self.judge.table.info(ty);
        match &*info {
            Info::Struct { parts, .. } => {
                let rows = self.rows(parts, depth);
                let kinds = rows.into_iter().map(WitnessKind::Struct);
                kinds.map(|kind| self.node(ty, kind)).collect()
            }
            Info::Enum { variants, .. } => {
                let mut all = Vec::new();
                for (index, variant) in variants.iter().enumerate() {
                    for row in self.rows(&variant.parts, depth) {
                        all.push(self.node(ty, WitnessKind::Variant(index, row)));
                    }
                }
                if all.len() > self.most {
                    all.truncate(self.most);
                    self.complete = false;
                }
                all
            }
            Info::Ref(target) => {
                let targets = self.patterns(*target, depth + 1).into_iter();
                let kinds = targets.map(|target| WitnessKind::Ref(Box::new(target)));
                kinds.map(|kind| self.node(ty, kind)).collect()
            }
            Info::Void
            | Info::Bool
            | Info::Line(_)
            | Info::Union(_)
            | Info::Slice { .. }
            | Info::Float
            | Info::Str
            | Info::Opaque => Vec::new(),
        }
    }

    /// Combines the patterns of all fields; without a field there are none.
    fn rows(&mut self, parts: &[Part], depth: u32) -> Vec<Vec<Witness<C::Ty>>> {
        if parts.is_empty() || parts.iter().any(|part| !part.visible) {
            return Vec::new();
        }
        let mut rows = vec![Vec::new()];
        for part in parts {
            let choices = self.patterns(part.ty, depth + 1);
            let count = rows.len().saturating_mul(choices.len());
            if count > self.most || !self.spend(count as u64) {
                self.complete = false;
                return Vec::new();
            }
            let longer = rows.iter().flat_map(|row| {
                choices.iter().map(|choice| {
                    let mut row: Vec<_> = row.clone();
                    row.push(choice.clone());
                    row
                })
            });
            rows = longer.collect();
        }
        rows
    }

    /// Pays for so many steps, and says whether they could be paid for.
    fn spend(&mut self, steps: u64) -> bool {
        let left = self.steps.checked_sub(steps);
        self.complete &= left.is_some();
        self.steps = left.unwrap_or(0);
        left.is_some()
    }

    fn node(&self, ty: TyId, kind: WitnessKind<C::Ty>) -> Witness<C::Ty> {
        Witness {
            ty: self.judge.table.ty(ty).clone(),
            kind,
        }
    }
}

/// Turns what [`Writer`] wrote into a pattern.
fn as_pattern<T>(witness: &Witness<T>) -> Pat<T> {
    match &witness.kind {
        WitnessKind::Struct(fields) => Pat::product(fields.iter().map(as_pattern)),
        WitnessKind::Variant(index, fields) => Pat::variant(*index, fields.iter().map(as_pattern)),
        WitnessKind::Ref(target) => Pat::reference(as_pattern(target)),
        // The writer uses no other form but `Never`.
        _ => Pat::new(PatKind::Never),
    }
}

fn has_reference<T>(witness: &Witness<T>) -> bool {
    match &witness.kind {
        WitnessKind::Struct(fields) | WitnessKind::Variant(_, fields) => {
            fields.iter().any(has_reference)
        }
        WitnessKind::Ref(_) => true,
        // The writer uses no other form but `Never`.
        _ => false,
    }
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
