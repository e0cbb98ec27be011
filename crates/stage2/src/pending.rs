//! What an edit still owes: an invalidation, and what may happen only after it.

use crate::descriptor::Descriptor;
use crate::table::Stage2;
use crate::vmid::VmidSlot;
use crate::walk::Place;
use addr::{IpaRange, Pa};
use arrayvec::ArrayVec;
use core::sync::atomic::{Ordering, fence};
use machine::{Invalidation, TableMemory, Tlb};

/// The second half of an edit: some TLB may still hold what the tables no longer say.
///
/// [`PendingInvalidation::complete`] invalidates, then writes the new descriptor of a block that is
/// split or merged, then frees the tables that have left the tree: in that order only. The value
/// borrows its tree, so that nothing else can be edited meanwhile. One that is dropped all the same
/// leaves its debt with the tree, which refuses every edit until [`Stage2::owed`] is completed.
#[derive(Debug)]
#[must_use = "TLBs hold the old translations until this is completed"]
pub struct PendingInvalidation<'tree> {
    tree: &'tree mut Stage2,
    rest: Option<IpaRange>,
}

impl<'tree> PendingInvalidation<'tree> {
    pub(crate) fn new(tree: &'tree mut Stage2, rest: Option<IpaRange>) -> Self {
        Self { tree, rest }
    }

    /// Returns the guest-physical range whose translations have changed, in whole pages and blocks;
    /// `None` if none has.
    #[must_use]
    pub fn range(&self) -> Option<IpaRange> {
        self.tree.owed.changed
    }

    /// Completes the edit on all CPUs, and returns the part of the request that is still to be done.
    ///
    /// `slot` is the VM's: its VMID is read here, after the tables have changed, so that a CPU that
    /// takes a new VMID for the VM meanwhile either is covered or has seen the new tables. A VM that
    /// never had a VMID is in no TLB.
    #[must_use = "the rest of the request is not done yet"]
    pub fn complete<M: TableMemory, T: Tlb>(
        self,
        slot: &VmidSlot,
        tlb: &mut T,
        memory: &mut M,
    ) -> Option<IpaRange> {
        let owed = core::mem::take(&mut self.tree.owed);
        if let Some(range) = owed.changed {
            // The descriptors are written before the slot is read; see `VmidAllocator::activate`.
            fence(Ordering::SeqCst);
            if let Some(vmid) = slot.vmid() {
                tlb.invalidate(Invalidation::Range { vmid, range });
            }
        }
        if let Some(make) = owed.make {
            memory.write(make.place.table, make.index, make.descriptor.raw());
        }
        for table in owed.free {
            memory.free(table, 0);
        }
        self.rest
    }
}

impl Stage2 {
    /// Returns the debt of an edit whose [`PendingInvalidation`] was dropped; `None` if there is
    /// none, which is the rule.
    pub fn owed(&mut self) -> Option<PendingInvalidation<'_>> {
        if self.owed.is_settled() {
            return None;
        }
        Some(PendingInvalidation::new(self, None))
    }
}

/// How many tables one step can take out of the tree: one at each level below the root.
const FREED_TABLES: usize = 3;

/// What a tree owes between an edit and its completion.
#[derive(Debug, Default)]
pub(crate) struct Owed {
    /// The hull of what has changed.
    pub(crate) changed: Option<IpaRange>,
    /// The second write of a break-before-make.
    pub(crate) make: Option<Make>,
    /// Tables that no descriptor points to any more, but that a walk may still be in.
    pub(crate) free: ArrayVec<Pa, FREED_TABLES>,
}

impl Owed {
    /// Tells whether there is nothing to complete.
    pub(crate) fn is_settled(&self) -> bool {
        self.changed.is_none() && self.make.is_none() && self.free.is_empty()
    }

    /// Adds `range` to what has changed.
    pub(crate) fn add(&mut self, range: IpaRange) {
        self.changed = Some(match self.changed {
            // Two ranges that aren't empty have a hull that isn't.
            Some(old) => {
                IpaRange::between(old.start().min(range.start()), old.end().max(range.end()))
                    .unwrap_or(range)
            }
            None => range,
        });
    }
}

/// A descriptor to be written once no TLB holds the one that stood there before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Make {
    pub(crate) place: Place,
    pub(crate) index: usize,
    pub(crate) descriptor: Descriptor,
}
