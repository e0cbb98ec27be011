//! The end of a tree: all its tables go back, a bounded number of descriptors at a time.

use crate::descriptor::{Descriptor, Entry};
use crate::edit::STEP_DESCRIPTORS;
use crate::geometry::Geometry;
use crate::table::Stage2;
use crate::vmid::VmidSlot;
use crate::walk::Place;
use arrayvec::ArrayVec;
use machine::{Invalidation, TableMemory, Tlb};

/// What giving back a table costs, in descriptors.
const FREE_COST: u32 = 8;

/// A tree that is being destroyed: no CPU walks it any more.
#[derive(Debug)]
#[must_use = "the tables leak unless step is called until it is done"]
pub struct Teardown {
    geometry: Geometry,
    /// The tables from the root down to the one being emptied, each with its next index.
    open: ArrayVec<(Place, usize), 4>,
    /// Tables that a dropped [`crate::PendingInvalidation`] has left behind.
    left_behind: ArrayVec<addr::Pa, 4>,
}

/// How far a teardown has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the tables leak unless step is called until it is done"]
pub enum TeardownProgress {
    /// Call [`Teardown::step`] again.
    More,
    /// Every table has been given back.
    Done,
}

impl Stage2 {
    /// Ends the tree: removes the VM from all TLBs, after which its tables can be given back.
    ///
    /// The caller sees to it that no CPU has the tree in VTTBR_EL2 any more, and none will. The
    /// VM's memory may be given to others only after this call, and zeroed.
    pub fn destroy<T: Tlb>(self, slot: &VmidSlot, tlb: &mut T) -> Teardown {
        if let Some(vmid) = slot.vmid() {
            tlb.invalidate(Invalidation::Vmid { vmid });
        }
        let mut left_behind: ArrayVec<_, 4> = self.owed.free.iter().copied().collect();
        if let Some(make) = self.owed.make {
            let entry = make
                .descriptor
                .decode(make.place.level, self.geometry().format());
            match entry {
                // Three tables at most are before it.
                Entry::Table(table) => {
                    let _ = left_behind.try_push(table);
                }
                Entry::Invalid | Entry::Leaf(_) => {}
            }
        }
        let mut open = ArrayVec::new();
        // An empty list has room.
        let _ = open.try_push((Place::start(&self), 0));
        Teardown {
            geometry: self.geometry(),
            open,
            left_behind,
        }
    }
}

impl Teardown {
    /// Gives back tables, visiting at most about [`STEP_DESCRIPTORS`] descriptors.
    pub fn step<M: TableMemory>(&mut self, memory: &mut M) -> TeardownProgress {
        for table in self.left_behind.drain(..) {
            memory.free(table, 0);
        }
        let mut budget = STEP_DESCRIPTORS;
        while budget > 0 {
            let depth = self.open.len();
            let Some((place, index)) = self.open.last_mut() else {
                return TeardownProgress::Done;
            };
            let (entries, order) = match depth {
                1 => (self.geometry.root_entries(), self.geometry.root_order()),
                _ => (512, 0),
            };
            // Level 3 has no tables below: nothing in it needs to be looked at.
            let below = match place.level.next() {
                Some(_) if *index < entries => {
                    let raw = memory.read(place.table, *index);
                    *index = index.saturating_add(1);
                    budget = budget.saturating_sub(1);
                    let entry =
                        Descriptor::from_raw(raw).decode(place.level, self.geometry.format());
                    match entry {
                        Entry::Table(table) => place.below(table),
                        Entry::Invalid | Entry::Leaf(_) => None,
                    }
                }
                Some(_) | None => {
                    let table = place.table;
                    let _ = self.open.pop();
                    memory.free(table, order);
                    budget = budget.saturating_sub(FREE_COST);
                    None
                }
            };
            if let Some(below) = below {
                // Four levels, four places.
                let _ = self.open.try_push((below, 0));
            }
        }
        TeardownProgress::More
    }
}
