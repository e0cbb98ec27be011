//! The search: split the next column, keep the rows that match, look into the fields, recurse.
//!
//! Below the arms stands one more row of wildcards, the *rest*: whatever reaches it is not
//! matched by any arm. The search visits branches, each a group of values that no row tells
//! apart; where no column is left, the first row takes the group, and so does each following one
//! as long as all before it have guards.
//!
//! Two things keep the search small. A row that has nothing left to say and no guard takes all
//! that comes to it, so the rows below it are cut off. And when only verdicts are asked for, a
//! wildcard need not be tried against a mentioned constructor if another constructor is not
//! mentioned at all: whatever the wildcard can show there, it shows for the unmentioned one too,
//! where fewer rows are in its way (*relevance*). Complete sets need all branches, so there
//! relevance is off.

mod column;

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use crate::compile::{Cell, Head, Patterns};
use crate::constructor::Ctor;
use crate::matrix::{Matrix, Place, Row};
use crate::table::{Table, TyId};
use crate::types::Types;

/// What the search is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// One answer per row, and witnesses as the compiler would choose them.
    Verdicts,
    /// All groups of values, for each row and for the rest.
    Sets,
}

/// When an empty arm may be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum EmptyArms {
    /// As stable Rust has it: where the place is known valid, or in `match x {}` on a type
    /// without constructors.
    #[default]
    Stable,
    /// As the unstable feature `exhaustive_patterns` has it: everywhere.
    Everywhere,
    /// Nowhere: every constructor must be matched, whether it has values or not.
    Nowhere,
}

impl EmptyArms {
    /// Says whether arms for a constructor without values may be left out at a place.
    fn may_be_left_out(self, valid: bool) -> bool {
        match self {
            EmptyArms::Stable => valid,
            EmptyArms::Everywhere => true,
            EmptyArms::Nowhere => false,
        }
    }
}

/// Why the search ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutOfWork;

/// Multi-way branches may be nested so deeply; each level costs stack, some 2 KiB without
/// optimization.
const MAX_BRANCH_DEPTH: u32 = 250;

/// From so many rows on it pays to look for repetitions.
const FEW_ROWS: usize = 12;

/// One decision on the way to a group of values.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Nothing is said about the place.
    Any,
    /// The order among the branches of the column, and the constructor with its fields to follow.
    Ctor(u32, Ctor),
    /// Any of these constructors, nothing being said about their fields.
    OneOf(u32, Rc<[Ctor]>),
    /// Any of these empty constructors, which nobody had to mention.
    LeftOut(u32, Rc<[Ctor]>),
}

/// A group of values, as found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) path: Vec<Step>,
    /// The row that takes it, or `None` for the rest.
    pub(crate) lineage: Option<u32>,
}

/// A row's origin: its arm, and the alternatives chosen in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lineage {
    pub(crate) parent: Option<u32>,
    pub(crate) arm: u32,
    /// The alternative, as a position among all kids; none for the whole arm.
    pub(crate) alternative: Option<u32>,
    pub(crate) useful: bool,
}

/// What is known about an arm.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ArmFacts {
    /// It takes a group that does not need an invalid value to be read.
    pub(crate) reached: bool,
    /// It takes a group that must not be left out.
    pub(crate) required: bool,
}

/// What holds for all groups below a branch.
#[derive(Clone, Copy, Debug)]
struct Branch {
    /// The rest has not been cut off.
    rest_alive: bool,
    /// The rest can still learn something.
    rest_relevant: bool,
    /// The compiler accepts that no arm matches here, the values being empty.
    may_be_left_out: bool,
    /// No execution comes here.
    impossible: bool,
    /// The compiler calls arms that are only here unreachable.
    barred: bool,
    depth: u32,
}

pub(crate) struct Engine<'t, 'c, C: Types> {
    pub(crate) table: &'t mut Table<'c, C>,
    pub(crate) patterns: &'t Patterns,
    goal: Goal,
    empty_arms: EmptyArms,
    work_limit: u64,
    found_limit: usize,
    path: Vec<Step>,
    /// The lineage for each alternative of a lineage: an or-pattern may be met in many branches.
    alternatives: HashMap<(u32, u32), u32>,
    pub(crate) work: u64,
    pub(crate) lineages: Vec<Lineage>,
    pub(crate) arms: Vec<ArmFacts>,
    /// Groups that no arm takes; for sets, groups that arms take too.
    pub(crate) found: Vec<Found>,
    /// Empty groups that no arm takes and the compiler lets pass.
    pub(crate) left_out: Vec<Found>,
    /// Pairs of a lineage that met a cover, and the arm that covered it.
    pub(crate) covers: HashSet<(u32, u32)>,
}

/// The limits of one search.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) work: u64,
    pub(crate) found: usize,
}

impl<'t, 'c, C: Types> Engine<'t, 'c, C> {
    pub(crate) fn new(
        table: &'t mut Table<'c, C>,
        patterns: &'t Patterns,
        goal: Goal,
        empty_arms: EmptyArms,
        limits: Limits,
    ) -> Self {
        Engine {
            table,
            patterns,
            goal,
            empty_arms,
            work_limit: limits.work,
            found_limit: limits.found,
            path: Vec::new(),
            work: 0,
            lineages: Vec::new(),
            arms: Vec::new(),
            found: Vec::new(),
            left_out: Vec::new(),
            covers: HashSet::new(),
            alternatives: HashMap::new(),
        }
    }

    /// Searches the whole match. What was found until the work ran out stays.
    pub(crate) fn run(
        &mut self,
        scrutinee: TyId,
        valid: bool,
        roots: &[(Cell, bool)],
    ) -> Result<(), OutOfWork> {
        for arm in 0..roots.len() {
            self.lineages.push(Lineage {
                parent: None,
                arm: arm as u32,
                alternative: None,
                useful: false,
            });
            self.arms.push(ArmFacts::default());
        }
        let rows = roots.iter().zip(0..).map(|(&(cell, guarded), lineage)| {
            let row = Row {
                lineage,
                guarded,
                relevant: true,
                dead: false,
                said: 0,
            };
            (cell, row)
        });
        let place = Place {
            ty: scrutinee,
            valid,
            root: true,
            passed_over: false,
        };
        let branch = Branch {
            rest_alive: true,
            rest_relevant: true,
            may_be_left_out: false,
            impossible: false,
            barred: false,
            depth: 0,
        };
        self.explore(Matrix::of_arms(rows), vec![place], branch)
    }

    fn explore(
        &mut self,
        mut matrix: Matrix,
        mut places: Vec<Place>,
        mut branch: Branch,
    ) -> Result<(), OutOfWork> {
        loop {
            self.spend(matrix.rows.len() as u64 + 1)?;
            self.cut_below_cover(&mut matrix, &mut branch);
            if matrix.rows.len() >= FEW_ROWS {
                for (above, row) in matrix.remove_repetitions() {
                    self.record_covers(&[above, row]);
                }
            }
            let rest_matters = branch.rest_alive && branch.rest_relevant;
            if !rest_matters && matrix.rows.iter().all(|row| !row.relevant) {
                return Ok(());
            }
            if self.nothing_to_inspect(&matrix, &places) {
                return self.settle(&matrix, &places, branch);
            }
            let Some(place) = places.pop() else {
                return self.settle(&matrix, &places, branch);
            };
            if place.passed_over {
                matrix.drop_column();
                self.path.push(Step::Any);
                continue;
            }
            if self.expand_or(&mut matrix)? {
                places.push(place);
                continue;
            }
            let mut column = self.split_column(&matrix, place, branch);
            // The last branch goes on in this loop, so that a chain of fields costs no stack.
            let Some(last) = column.branches.pop() else {
                return Ok(());
            };
            for (order, next) in (0..).zip(std::mem::take(&mut column.branches)) {
                let mark = self.path.len();
                if branch.depth >= MAX_BRANCH_DEPTH {
                    return Err(OutOfWork);
                }
                let (spec, spec_places, mut inner) =
                    self.enter(&matrix, &places, &column, order, next, branch)?;
                inner.depth += 1;
                self.explore(spec, spec_places, inner)?;
                self.path.truncate(mark);
            }
            let order = column.count - 1;
            (matrix, places, branch) =
                self.enter(&matrix, &places, &column, order, last, branch)?;
        }
    }

    fn spend(&mut self, work: u64) -> Result<(), OutOfWork> {
        self.work = self.work.saturating_add(work);
        if self.work > self.work_limit {
            return Err(OutOfWork);
        }
        Ok(())
    }

    /// Cuts off what comes after a row that takes everything.
    fn cut_below_cover(&mut self, matrix: &mut Matrix, branch: &mut Branch) {
        let cover = matrix
            .rows
            .iter()
            .position(|row| row.said == 0 && !row.guarded);
        if let Some(cover) = cover {
            self.record_covers(&matrix.rows[cover..]);
            matrix.truncate(cover + 1);
            branch.rest_alive = false;
        }
    }

    /// Notes that the first of `rows` covers the others.
    fn record_covers(&mut self, rows: &[Row]) {
        if self.goal == Goal::Sets {
            return;
        }
        let Some((cover, covered)) = rows.split_first() else {
            return;
        };
        let arm = self.lineages[cover.lineage as usize].arm;
        for row in covered {
            if !self.lineages[row.lineage as usize].useful {
                self.covers.insert((row.lineage, arm));
            }
        }
    }

    /// Says whether all rows have said all they had to say, and emptiness cannot matter.
    fn nothing_to_inspect(&mut self, matrix: &Matrix, places: &[Place]) -> bool {
        let silent = matrix.rows.iter().all(|row| row.said == 0);
        silent
            && places
                .iter()
                .all(|place| !place.root && (place.passed_over || !self.table.is_empty(place.ty)))
    }

    fn expand_or(&mut self, matrix: &mut Matrix) -> Result<bool, OutOfWork> {
        let patterns = self.patterns;
        let is_or = |row: usize| matches!(patterns.head(matrix.head(row)), Some(Head::Or));
        if !(0..matrix.rows.len()).any(is_or) {
            return Ok(false);
        }
        let (lineages, known) = (&mut self.lineages, &mut self.alternatives);
        *matrix = matrix.expand_or(patterns, |parent, alternative| {
            *known.entry((parent, alternative)).or_insert_with(|| {
                let id = lineages.len() as u32;
                lineages.push(Lineage {
                    parent: Some(parent),
                    arm: lineages[parent as usize].arm,
                    alternative: Some(alternative),
                    useful: false,
                });
                id
            })
        });
        self.spend(matrix.rows.len() as u64)?;
        Ok(true)
    }

    /// No column is left that matters: hands the group to the rows.
    fn settle(
        &mut self,
        matrix: &Matrix,
        places: &[Place],
        mut branch: Branch,
    ) -> Result<(), OutOfWork> {
        debug_assert!(places.iter().all(|p| !p.root));
        for (index, row) in matrix.rows.iter().enumerate() {
            if !branch.barred {
                self.mark_useful(row.lineage);
                let arm = self.lineages[row.lineage as usize].arm as usize;
                self.arms[arm].reached |= !row.dead && !branch.impossible;
                self.arms[arm].required |= !branch.may_be_left_out;
                if self.goal == Goal::Sets {
                    self.record(Some(row.lineage))?;
                }
            }
            if !row.guarded {
                self.record_covers(&matrix.rows[index..]);
                branch.rest_alive = false;
                break;
            }
        }
        if !branch.rest_alive || !branch.rest_relevant {
            return Ok(());
        }
        if branch.may_be_left_out {
            if self.left_out.len() < self.found_limit {
                self.left_out.push(Found {
                    path: self.path.clone(),
                    lineage: None,
                });
            }
            return Ok(());
        }
        self.record(None)
    }

    fn record(&mut self, lineage: Option<u32>) -> Result<(), OutOfWork> {
        if self.found.len() >= self.found_limit {
            return Err(OutOfWork);
        }
        self.spend(self.path.len() as u64)?;
        self.found.push(Found {
            path: self.path.clone(),
            lineage,
        });
        Ok(())
    }

    fn mark_useful(&mut self, lineage: u32) {
        let mut next = Some(lineage);
        while let Some(id) = next {
            let entry = &mut self.lineages[id as usize];
            if entry.useful {
                break;
            }
            entry.useful = true;
            next = entry.parent;
        }
    }
}
