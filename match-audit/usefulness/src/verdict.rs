//! Is the match exhaustive, and which arms and alternatives are of use?

use crate::compile::{Malformed, compile};
use crate::engine::{EmptyArms, Engine, Found, Goal, Limits, Step};
use crate::pattern::{Guard, Match, Validity};
use crate::table::{Table, TyId};
use crate::types::Types;
use crate::witness::{Builder, Witness};

/// How much work a question may cost, and which rules hold.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The largest number of steps. One step looks at one row in one column; a million take
    /// some 10 ms.
    pub work_limit: u64,
    /// The largest number of witnesses, or of groups in sets.
    pub group_limit: usize,
    /// When empty arms may be left out.
    pub empty_arms: EmptyArms,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            work_limit: 50_000_000,
            group_limit: 10_000,
            empty_arms: EmptyArms::Stable,
        }
    }
}

impl Options {
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            work: self.work_limit,
            found: self.group_limit,
        }
    }
}

/// Whether all values are matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All values are matched.
    Exhaustive,
    /// Some values are not matched.
    NotExhaustive,
    /// The work limit was reached before anything unmatched was found.
    Unknown,
}

/// The answers about one match.
#[derive(Clone, Debug)]
pub struct Report<T> {
    /// Whether all values are matched.
    pub verdict: Verdict,
    /// Values that are not matched, in the compiler's order and detail.
    pub witnesses: Vec<Witness<T>>,
    /// Empty patterns that no arm mentions and that the compiler lets pass. If the match is
    /// exhaustive, it is accepted only because they may be left out.
    pub left_out: Vec<Witness<T>>,
    /// One entry for each arm.
    pub arms: Vec<ArmReport>,
    /// Whether everything was looked at. If not, what is said holds, but something may be
    /// missing: witnesses, and the usefulness of arms marked [`Usefulness::Unknown`].
    pub complete: bool,
    /// The steps taken.
    pub work: u64,
}

/// The answers about one arm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArmReport {
    /// Whether the arm changes what the match does.
    pub usefulness: Usefulness,
    /// Whether an execution without undefined behavior can come here. An arm over an empty type
    /// may be useful to the compiler and yet never be reached, because the place is valid or
    /// because the arm itself reads the value.
    pub reached: bool,
    /// Whether the arm takes only values of empty types, so that the match stays accepted without
    /// it.
    pub omittable: bool,
    /// Alternatives of or-patterns that are of no use, though the arm is.
    pub redundant_alternatives: Vec<Alternative>,
}

/// Whether an arm changes what the match does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Usefulness {
    /// It takes values that no arm above takes.
    Useful,
    /// It takes nothing; the arms listed match all that it matches. The list is empty if the type
    /// has no values.
    Redundant {
        /// Arms above this one, counted from 0.
        covered_by: Vec<usize>,
    },
    /// The work limit was reached before the arm was found useful.
    Unknown,
}

/// An alternative of an or-pattern that takes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alternative {
    /// The label of the alternative's pattern.
    pub label: u32,
    /// The arms that match all that it matches, possibly its own.
    pub covered_by: Vec<usize>,
}

/// Answers whether `m` is exhaustive and which arms and alternatives are of use.
///
/// # Errors
///
/// Returns [`Malformed`] if a pattern does not fit its type.
pub fn check<C: Types>(
    cx: &C,
    m: &Match<C::Ty>,
    options: &Options,
) -> Result<Report<C::Ty>, Malformed> {
    let mut table = Table::new(cx);
    let ty = table.intern(&m.scrutinee);
    let (patterns, cells) = compile(&mut table, ty, &m.arms)?;
    let roots: Vec<_> = cells
        .into_iter()
        .zip(&m.arms)
        .map(|(cell, arm)| (cell, arm.guard == Guard::Present))
        .collect();
    let mut engine = Engine::new(
        &mut table,
        &patterns,
        Goal::Verdicts,
        options.empty_arms,
        options.limits(),
    );
    let finished = engine.run(ty, m.validity == Validity::KnownValid, &roots);
    let (work, arms) = (engine.work, arm_reports(&engine, finished.is_ok()));
    let (found, left_out) = (engine.found, engine.left_out);
    let mut builder = Builder {
        table: &mut table,
        patterns: &patterns,
    };
    let (witnesses, all_written) = spell_out(&mut builder, ty, &found, options.group_limit);
    let (left_out, _) = spell_out(&mut builder, ty, &left_out, options.group_limit);
    Ok(Report {
        verdict: match (found.is_empty(), finished) {
            (false, _) => Verdict::NotExhaustive,
            (true, Ok(())) => Verdict::Exhaustive,
            (true, Err(_)) => Verdict::Unknown,
        },
        witnesses,
        left_out,
        arms,
        complete: finished.is_ok() && all_written,
        work,
    })
}

fn arm_reports<C: Types>(engine: &Engine<'_, '_, C>, finished: bool) -> Vec<ArmReport> {
    let mut covers: Vec<(u32, u32)> = engine.covers.iter().copied().collect();
    covers.sort_unstable();
    let covers_of = |lineage: u32| -> Vec<usize> {
        let from = covers.partition_point(|(of, _)| *of < lineage);
        covers[from..]
            .iter()
            .take_while(|(of, _)| *of == lineage)
            .map(|(_, arm)| *arm as usize)
            .collect()
    };
    // A cover is noted for the row that met it; whatever covers a row covers part of its parents.
    let mut all_covers: Vec<Vec<usize>> =
        (0..engine.lineages.len() as u32).map(covers_of).collect();
    for id in (0..engine.lineages.len()).rev() {
        if let Some(parent) = engine.lineages[id].parent {
            let own = all_covers[id].clone();
            all_covers[parent as usize].extend(own);
        }
    }
    for list in &mut all_covers {
        list.sort_unstable();
        list.dedup();
    }
    let mut arms: Vec<ArmReport> = engine
        .arms
        .iter()
        .enumerate()
        .map(|(arm, facts)| {
            let useful = engine.lineages[arm].useful;
            let usefulness = match (useful, finished) {
                (true, _) => Usefulness::Useful,
                // One alternative of an arm may cover another, being covered itself further up.
                (false, true) => Usefulness::Redundant {
                    covered_by: all_covers[arm]
                        .iter()
                        .copied()
                        .filter(|by| *by != arm)
                        .collect(),
                },
                (false, false) => Usefulness::Unknown,
            };
            ArmReport {
                usefulness,
                reached: facts.reached || !finished,
                omittable: useful && finished && !facts.required,
                redundant_alternatives: Vec::new(),
            }
        })
        .collect();
    if finished {
        redundant_alternatives(engine, &all_covers, &mut arms);
    }
    arms
}

/// Adds the alternatives that are of use in no row of theirs, outermost ones only.
fn redundant_alternatives<C: Types>(
    engine: &Engine<'_, '_, C>,
    covers: &[Vec<usize>],
    arms: &mut [ArmReport],
) {
    use std::collections::BTreeMap;
    struct Seen {
        arm: usize,
        useful: bool,
        parent_useful: bool,
        covered_by: Vec<usize>,
    }
    let mut alternatives: BTreeMap<u32, Seen> = BTreeMap::new();
    for (id, lineage) in engine.lineages.iter().enumerate() {
        let (Some(alternative), Some(parent)) = (lineage.alternative, lineage.parent) else {
            continue;
        };
        let seen = alternatives.entry(alternative).or_insert(Seen {
            arm: lineage.arm as usize,
            useful: false,
            parent_useful: false,
            covered_by: Vec::new(),
        });
        seen.useful |= lineage.useful;
        seen.parent_useful |= engine.lineages[parent as usize].useful;
        seen.covered_by.extend(&covers[id]);
    }
    for (kid, mut seen) in alternatives {
        if seen.useful || !seen.parent_useful {
            continue;
        }
        seen.covered_by.sort_unstable();
        seen.covered_by.dedup();
        arms[seen.arm].redundant_alternatives.push(Alternative {
            label: engine.patterns.label_of_kid(kid),
            covered_by: seen.covered_by,
        });
    }
}

/// Lists single witnesses in the order in which the compiler does, and whether these are all.
pub(crate) fn spell_out<C: Types>(
    builder: &mut Builder<'_, '_, C>,
    ty: TyId,
    found: &[Found],
    limit: usize,
) -> (Vec<Witness<C::Ty>>, bool) {
    let mut keyed: Vec<(Key, Witness<C::Ty>)> = Vec::new();
    let mut all = true;
    'found: for group in found {
        let mut choice = vec![0u32; group.path.len()];
        loop {
            if keyed.len() >= limit {
                all = false;
                break 'found;
            }
            let (path, key) = choose(&group.path, &choice);
            keyed.push((key, builder.whole(ty, &path)));
            if !advance(&group.path, &mut choice) {
                break;
            }
        }
    }
    keyed.sort_by(|a, b| a.0.cmp(&b.0));
    (keyed.into_iter().map(|(_, witness)| witness).collect(), all)
}

/// For each step the branch, and the constructor in it.
type Key = Vec<(u32, u32)>;

/// Picks one constructor at each step. The key sorts by branch, then by constructor.
fn choose(path: &[Step], choice: &[u32]) -> (Vec<Step>, Key) {
    path.iter()
        .zip(choice)
        .map(|(step, &pick)| match step {
            Step::Any => (Step::Any, (0, 0)),
            Step::Ctor(order, ctor) => (Step::Ctor(*order, *ctor), (*order, 0)),
            Step::OneOf(order, ctors) => {
                let one = [ctors[pick as usize]].into();
                (Step::OneOf(*order, one), (*order, pick))
            }
            Step::LeftOut(order, ctors) => {
                let one = [ctors[pick as usize]].into();
                (Step::LeftOut(*order, one), (*order, pick))
            }
        })
        .unzip()
}

/// Moves to the next choice, like an odometer. Says whether there is one.
fn advance(path: &[Step], choice: &mut [u32]) -> bool {
    for (step, pick) in path.iter().zip(choice).rev() {
        let count = match step {
            Step::Any | Step::Ctor(..) => 1,
            Step::OneOf(_, ctors) | Step::LeftOut(_, ctors) => ctors.len() as u32,
        };
        if *pick + 1 < count {
            *pick += 1;
            return true;
        }
        *pick = 0;
    }
    false
}
