//! Edits: map, unmap, protect.
//!
//! Mapping owes nothing, since hardware keeps no entry that faults. What takes rights away, or
//! changes a size, returns a [`PendingInvalidation`].

use crate::descriptor::{Attributes, Descriptor, Entry, Leaf, Permissions};
use crate::pending::PendingInvalidation;
use crate::split::plan_split;
use crate::table::Stage2;
use crate::walk::{Path, Place};
use addr::{Address, Ipa, IpaRange, PAGE_SIZE, Pa};
use core::fmt;
use machine::TableMemory;

/// How many descriptors one call visits before it returns what is left.
///
/// Besides, a call reads at most three tables to learn whether they are empty, or writes one to
/// split a block: with some 20 instructions a descriptor, and 6 for a mere read, less than 16,000
/// instructions in all.
pub const STEP_DESCRIPTORS: u32 = 256;

/// What a new walk from the root costs, in descriptors.
const WALK_COST: u32 = 4;

/// What allocating and clearing a table costs, in descriptors.
const TABLE_COST: u32 = 32;

/// A request to map physically contiguous memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// Where the guest sees it, in whole pages.
    pub range: IpaRange,
    /// Where it begins, on a page boundary.
    pub pa: Pa,
    /// What it is like.
    pub attributes: Attributes,
}

/// Why an edit was refused. Whatever came before `ipa` in the request is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditError {
    /// Something is mapped there already.
    AlreadyMapped {
        /// The first such address.
        ipa: Ipa,
    },
    /// Nothing is mapped there.
    NotMapped {
        /// The first such address.
        ipa: Ipa,
    },
    /// A start, a size or a physical address is not a multiple of the page size.
    Unaligned {
        /// The address or end of range.
        address: u64,
    },
    /// The range goes beyond the guest's address size.
    BeyondIpaSize {
        /// The range.
        range: IpaRange,
    },
    /// The memory goes beyond the machine's physical address size.
    BeyondPaSize {
        /// The first physical address of the request.
        pa: Pa,
    },
    /// The quota of table memory is used up.
    NoTableMemory {
        /// The address whose table was missing.
        ipa: Ipa,
    },
    /// What is mapped can't be one block: a hole, different attributes, or scattered memory.
    NotMergeable {
        /// The first page or block that doesn't fit.
        ipa: Ipa,
    },
    /// An earlier edit has not been completed; see [`Stage2::owed`].
    InvalidationOwed,
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::AlreadyMapped { ipa } => write!(f, "{ipa} is mapped already"),
            Self::NotMapped { ipa } => write!(f, "{ipa} is not mapped"),
            Self::Unaligned { address } => write!(f, "{address:#x} is not on a page boundary"),
            Self::BeyondIpaSize { range } => {
                write!(f, "{range} goes beyond the guest's address size")
            }
            Self::BeyondPaSize { pa } => {
                write!(
                    f,
                    "the memory at {pa} goes beyond the machine's address size"
                )
            }
            Self::NoTableMemory { ipa } => write!(f, "no memory for a table at {ipa}"),
            Self::NotMergeable { ipa } => write!(f, "what {ipa} maps does not fit one block"),
            Self::InvalidationOwed => f.write_str("an earlier edit is not completed"),
        }
    }
}

impl core::error::Error for EditError {}

impl Stage2 {
    /// Maps memory with the largest blocks that alignment allows, and returns what is left to map
    /// after a bounded step.
    ///
    /// # Errors
    /// [`EditError`]; what lies before the error's address is mapped and stays so.
    #[must_use = "the rest of the request is not done yet"]
    pub fn map<M: TableMemory>(
        &mut self,
        memory: &mut M,
        mapping: Mapping,
    ) -> Result<Option<Mapping>, EditError> {
        self.check(mapping.range)?;
        self.check_output(mapping)?;
        let mut budget = Budget::new();
        let mut rest = mapping;
        while budget.left() {
            budget.spend(WALK_COST);
            let place = self.place_for_leaf(memory, rest, &mut budget)?;
            match self.map_run(memory, place, rest, &mut budget) {
                Some(next) => rest = next,
                None => return Ok(None),
            }
        }
        Ok(Some(rest))
    }

    /// Unmaps whatever is mapped in `range`, in a bounded step. Holes are skipped. A block that the
    /// range covers in part is split first, as a step of its own.
    ///
    /// # Errors
    /// [`EditError`]; [`EditError::NoTableMemory`] only if a block has to be split. Nothing has
    /// changed then.
    pub fn unmap<M: TableMemory>(
        &mut self,
        memory: &mut M,
        range: IpaRange,
    ) -> Result<PendingInvalidation<'_>, EditError> {
        self.change(memory, range, Change::Unmap)
    }

    /// Changes the permissions of `range`, all of which is mapped, in a bounded step. A block that
    /// the range covers in part is split first, as a step of its own.
    ///
    /// Permissions change in place; a memory type may not (Arm ARM, D8.16.1): unmap, complete, map.
    ///
    /// # Errors
    /// [`EditError`]. Nothing has changed in this step then, though earlier steps have.
    pub fn protect<M: TableMemory>(
        &mut self,
        memory: &mut M,
        range: IpaRange,
        permissions: Permissions,
    ) -> Result<PendingInvalidation<'_>, EditError> {
        self.change(memory, range, Change::Protect(permissions))
    }

    /// Refuses ranges that no edit may touch, and all while an invalidation is owed.
    pub(crate) fn check(&self, range: IpaRange) -> Result<(), EditError> {
        if !self.owed.is_settled() {
            return Err(EditError::InvalidationOwed);
        }
        for edge in [range.start(), range.end()] {
            if !edge.is_aligned(PAGE_SIZE) {
                let address = edge.get();
                return Err(EditError::Unaligned { address });
            }
        }
        if !self.geometry().contains_range(range) {
            return Err(EditError::BeyondIpaSize { range });
        }
        Ok(())
    }

    fn check_output(&self, mapping: Mapping) -> Result<(), EditError> {
        let pa = mapping.pa;
        if !pa.is_aligned(PAGE_SIZE) {
            let address = pa.get();
            return Err(EditError::Unaligned { address });
        }
        // The range isn't empty.
        let last = pa.checked_add(mapping.range.size().wrapping_sub(1));
        if !last.is_some_and(|last| self.geometry().contains_output(last)) {
            return Err(EditError::BeyondPaSize { pa });
        }
        Ok(())
    }

    /// Finds the table for the first leaf of `rest`, making those that are missing on the way. A
    /// table that was made stays if a later one can't be had: it serves the next attempt, or goes
    /// when its range is unmapped or the tree destroyed.
    fn place_for_leaf<M: TableMemory>(
        &self,
        memory: &mut M,
        rest: Mapping,
        budget: &mut Budget,
    ) -> Result<Place, EditError> {
        let ipa = rest.range.start();
        let geometry = self.geometry();
        let mut place = Place::start(self);
        loop {
            let table = match place.read(memory, geometry, ipa) {
                Entry::Leaf(_) => return Err(EditError::AlreadyMapped { ipa }),
                Entry::Table(table) => table,
                Entry::Invalid if fits(rest, place) => return Ok(place),
                Entry::Invalid => {
                    let table = memory.allocate(0).ok_or(EditError::NoTableMemory { ipa })?;
                    budget.spend(TABLE_COST);
                    place.write(memory, geometry, ipa, Descriptor::table(table));
                    table
                }
            };
            // A page always fits level 3, so there is a level below.
            place = place.below(table).ok_or(EditError::AlreadyMapped { ipa })?;
        }
    }

    /// Writes leaves into one table from the start of `rest` on, whose entry is known to be free,
    /// and returns what is left; `None` if nothing is.
    fn map_run<M: TableMemory>(
        &self,
        memory: &mut M,
        place: Place,
        mut rest: Mapping,
        budget: &mut Budget,
    ) -> Option<Mapping> {
        let geometry = self.geometry();
        loop {
            let ipa = rest.range.start();
            let leaf = Leaf {
                pa: rest.pa,
                attributes: rest.attributes,
            };
            let descriptor = Descriptor::leaf(leaf, place.level, geometry.format());
            place.write(memory, geometry, ipa, descriptor);
            budget.spend(1);
            rest = rest.after(place.level.bytes())?;
            let ipa = rest.range.start();
            if !budget.left() || place.left_at(geometry, ipa) || !fits(rest, place) {
                return Some(rest);
            }
            if place.read(memory, geometry, ipa) != Entry::Invalid {
                return Some(rest);
            }
        }
    }

    /// Carries out one step of `change`.
    fn change<M: TableMemory>(
        &mut self,
        memory: &mut M,
        range: IpaRange,
        change: Change,
    ) -> Result<PendingInvalidation<'_>, EditError> {
        self.check(range)?;
        let mut budget = Budget::new();
        let mut at = range.start();
        while budget.left() && at < range.end() {
            budget.spend(WALK_COST);
            let (path, place, _) = self.path(memory, at);
            let run = self.change_run(memory, place, at, range.end(), change, &mut budget);
            at = run.end;
            if change == Change::Unmap {
                self.prune(memory, &path, run.start, &mut budget);
            }
            let Some(stop) = run.stop else { continue };
            // What this step has changed must be completed before anything else happens.
            if !self.owed.is_settled() {
                break;
            }
            match stop {
                Stop::Hole => return Err(EditError::NotMapped { ipa: at }),
                Stop::PartOf(leaf) => {
                    self.owed = plan_split(memory, self.geometry(), place, at, leaf)?;
                    break;
                }
            }
        }
        let rest = IpaRange::between(at, range.end());
        Ok(PendingInvalidation::new(self, rest))
    }

    /// Changes the entries of one table from `at` on, up to `end`, the table's end, the next table
    /// below, or what stops the change.
    fn change_run<M: TableMemory>(
        &mut self,
        memory: &mut M,
        place: Place,
        at: Ipa,
        end: Ipa,
        change: Change,
        budget: &mut Budget,
    ) -> Run {
        let geometry = self.geometry();
        let mut run = Run {
            start: at,
            end: at,
            stop: None,
        };
        loop {
            let at = run.end;
            budget.spend(1);
            let span = IpaRange::between(place.span_start(at), place.span_end(at));
            match (place.read(memory, geometry, at), span) {
                (Entry::Leaf(leaf), Some(span)) if span.start() < at || span.end() > end => {
                    run.stop = Some(Stop::PartOf(leaf));
                    return run;
                }
                (Entry::Leaf(leaf), Some(span)) => {
                    if let Some(descriptor) = change.of(leaf, place, geometry.format()) {
                        place.write(memory, geometry, at, descriptor);
                        self.owed.add(span);
                    }
                }
                (Entry::Invalid, _) if change != Change::Unmap => {
                    run.stop = Some(Stop::Hole);
                    return run;
                }
                (Entry::Invalid, _) => {}
                // A new walk goes into the table. (A span is never empty.)
                (Entry::Table(_), _) | (_, None) => return run,
            }
            run.end = place.span_end(at).min(end);
            if run.end >= end || place.left_at(geometry, run.end) || !budget.left() {
                return run;
            }
        }
    }

    /// Takes tables that have become empty out of the tree, from the lowest one of `path` up. `ipa`
    /// is an address that they map, so that invalidating it reaches the walks cached for them.
    fn prune<M: TableMemory>(
        &mut self,
        memory: &mut M,
        path: &Path,
        ipa: Ipa,
        budget: &mut Budget,
    ) {
        let geometry = self.geometry();
        for pair in path.windows(2).rev() {
            let [parent, child] = *pair else { return };
            if self.owed.free.is_full() || !is_empty(memory, child.table, budget) {
                return;
            }
            parent.write(memory, geometry, ipa, Descriptor::INVALID);
            let page = ipa.page();
            if let Ok(range) = IpaRange::new(page, PAGE_SIZE) {
                self.owed.add(range);
            }
            // There is room, as was asked above.
            let _ = self.owed.free.try_push(child.table);
        }
    }
}

impl Mapping {
    /// Returns what is left after the first `bytes`; `None` if nothing is.
    fn after(self, bytes: u64) -> Option<Self> {
        let start = self.range.start().checked_add(bytes)?;
        Some(Self {
            range: IpaRange::between(start, self.range.end())?,
            pa: self.pa.checked_add(bytes)?,
            attributes: self.attributes,
        })
    }
}

/// Tells whether the first part of `rest` can be one leaf of the place's level.
fn fits(rest: Mapping, place: Place) -> bool {
    let size = place.level.bytes();
    place.level.has_leaves()
        && rest.range.size() >= size
        && rest.range.start().is_aligned(size)
        && rest.pa.is_aligned(size)
}

/// Tells whether a table below the root has no valid entry.
fn is_empty<M: TableMemory>(memory: &M, table: Pa, budget: &mut Budget) -> bool {
    (0..512).all(|index| {
        budget.spend(1);
        memory.read(table, index) & 1 == 0
    })
}

/// What is to be done to each leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Unmap,
    Protect(Permissions),
}

impl Change {
    /// Returns what is to be written in place of `leaf`; `None` if it may stay.
    fn of(
        self,
        leaf: Leaf,
        place: Place,
        format: crate::descriptor::AttributeFormat,
    ) -> Option<Descriptor> {
        match self {
            Self::Unmap => Some(Descriptor::INVALID),
            Self::Protect(permissions) if leaf.attributes.permissions == permissions => None,
            Self::Protect(permissions) => {
                let mut leaf = leaf;
                leaf.attributes.permissions = permissions;
                Some(Descriptor::leaf(leaf, place.level, format))
            }
        }
    }
}

/// The entries of one table that a step has visited.
struct Run {
    start: Ipa,
    end: Ipa,
    stop: Option<Stop>,
}

/// Why a run ended before its range and its table did.
enum Stop {
    /// Nothing is mapped at the end of the run.
    Hole,
    /// The range covers this block only in part.
    PartOf(Leaf),
}

/// The descriptors that a step may still visit.
struct Budget(u32);

impl Budget {
    fn new() -> Self {
        Self(STEP_DESCRIPTORS)
    }

    fn left(&self) -> bool {
        self.0 > 0
    }

    fn spend(&mut self, descriptors: u32) {
        self.0 = self.0.saturating_sub(descriptors);
    }
}
