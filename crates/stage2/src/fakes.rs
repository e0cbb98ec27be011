//! A memory of tables and a TLB that know the architecture's rules and hold code to them.
//!
//! The TLB is as greedy as the architecture permits: after every single write each probe address is
//! looked up on behalf of a CPU that speculates, and everything found, tables on the way included,
//! is kept until it is invalidated.

use crate::vmid::VmidSlot;
use addr::{Address, Ipa, IpaRange, Pa};
use machine::{Invalidation, TableMemory, Tlb};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::vec;
use std::vec::Vec;

/// The only VMID in these tests: the first that is given out.
pub(crate) const VMID: u16 = 1;

/// Bits of a valid leaf that may change while it stays valid: permissions, software.
const MAY_CHANGE: u64 = 1 << 6 | 1 << 7 | 0b11 << 53 | 0b111 << 56;

/// Makes the slot of a VM that a CPU runs under [`VMID`].
pub(crate) fn slot() -> VmidSlot {
    struct NoTlb;
    impl Tlb for NoTlb {
        fn invalidate(&mut self, _: Invalidation) {}
    }
    let (table, mut allocator) = crate::VmidTable::new(crate::VmidWidth::Eight, 1).unwrap();
    let slot = VmidSlot::new();
    let cpu = addr::CpuId::new(0);
    let vmid = allocator.activate(&table, cpu, &slot, &mut NoTlb);
    assert_eq!(vmid, Ok(VMID));
    slot
}

/// What happened, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Write { table: Pa, index: usize, new: u64 },
    Invalidate(Invalidation),
    Free(Pa),
}

/// A translation as a TLB holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cached {
    pub(crate) start: u64,
    pub(crate) size: u64,
    raw: u64,
}

impl Cached {
    pub(crate) fn pa(self, ipa: Ipa) -> u64 {
        (self.raw & 0xffff_ffff_f000) + (ipa.get() - self.start)
    }

    pub(crate) fn raw(self) -> u64 {
        self.raw
    }
}

#[derive(Debug)]
pub(crate) struct World {
    tables: BTreeMap<Pa, (Vec<u64>, u32)>,
    next: u64,
    /// How many more tables there are.
    pub(crate) quota: usize,
    pub(crate) events: Vec<Event>,
    /// Root and starting shift of the tree that the CPUs walk.
    walked: Option<(Pa, u32)>,
    pub(crate) probes: Vec<Ipa>,
    /// Translations by page: a TLB may hold a block in fragments, of which an invalidation removes
    /// those that it covers.
    leaves: BTreeMap<u64, Cached>,
    /// Table descriptors: the addresses they span, and the table.
    walks: Vec<(IpaRange, Pa)>,
    pub(crate) reads: usize,
    pub(crate) writes: usize,
}

/// The fake machine; memory and TLB are handles to the same world.
#[derive(Clone, Debug)]
pub(crate) struct Fake(pub(crate) Rc<RefCell<World>>);

impl Fake {
    pub(crate) fn new() -> Self {
        Self(Rc::new(RefCell::new(World {
            tables: BTreeMap::new(),
            next: 0x1_0000_0000,
            quota: usize::MAX,
            events: vec![],
            walked: None,
            probes: vec![],
            leaves: BTreeMap::new(),
            walks: vec![],
            reads: 0,
            writes: 0,
        })))
    }

    /// Lets CPUs run on `tree`.
    pub(crate) fn run(&self, tree: &crate::Stage2) {
        let shift = tree.geometry().start().shift();
        self.0.borrow_mut().walked = Some((tree.root(), shift));
    }

    /// Sets what speculating CPUs look up.
    pub(crate) fn probe(&self, probes: &[u64]) {
        let mut world = self.0.borrow_mut();
        world.probes = probes.iter().copied().map(Ipa::new).collect();
        world.speculate();
    }

    pub(crate) fn tables(&self) -> usize {
        self.0.borrow().tables.len()
    }

    pub(crate) fn take_events(&self) -> Vec<Event> {
        core::mem::take(&mut self.0.borrow_mut().events)
    }

    pub(crate) fn reset_counts(&self) {
        let mut world = self.0.borrow_mut();
        (world.reads, world.writes) = (0, 0);
    }

    /// Does what a CPU does for a guest's access: TLB first, then the tables.
    pub(crate) fn access(&self, ipa: Ipa) -> Option<Cached> {
        self.0.borrow_mut().access(ipa)
    }
}

impl World {
    fn access(&mut self, ipa: Ipa) -> Option<Cached> {
        if let Some(leaf) = self.leaves.get(&ipa.page().get()) {
            return Some(*leaf);
        }
        // The lowest table that is cached for the address, else the root.
        let cached = self
            .walks
            .iter()
            .filter(|(span, _)| span.contains(ipa))
            .min_by_key(|(span, _)| span.size());
        let (mut table, mut shift) = match cached {
            Some((span, table)) => (*table, span.size().trailing_zeros() - 9),
            None => self.walked?,
        };
        loop {
            let (entries, _) = self
                .tables
                .get(&table)
                .unwrap_or_else(|| panic!("a CPU walks table {table}, which has been freed"));
            let index = (ipa.get() >> shift) as usize & (entries.len() - 1);
            let raw = entries[index];
            let start = ipa.get() >> shift << shift;
            let size = 1 << shift;
            match (raw & 3, shift) {
                (3, 12) | (1, 21 | 30) => {
                    let leaf = Cached { start, size, raw };
                    self.leaves.insert(ipa.page().get(), leaf);
                    return Some(leaf);
                }
                (3, _) => {
                    table = Pa::new(raw & 0xffff_ffff_f000);
                    let span = IpaRange::new(Ipa::new(start), size).unwrap();
                    self.walks.push((span, table));
                    shift -= 9;
                }
                _ => return None,
            }
        }
    }

    /// Walks from the root without any TLB.
    fn fresh(&self, ipa: Ipa) -> Option<Cached> {
        let (mut table, mut shift) = self.walked?;
        loop {
            let (entries, _) = &self.tables[&table];
            let raw = entries[(ipa.get() >> shift) as usize & (entries.len() - 1)];
            let start = ipa.get() >> shift << shift;
            let size = 1 << shift;
            match (raw & 3, shift) {
                (3, 12) | (1, 21 | 30) => return Some(Cached { start, size, raw }),
                (3, _) => (table, shift) = (Pa::new(raw & 0xffff_ffff_f000), shift - 9),
                _ => return None,
            }
        }
    }

    fn speculate(&mut self) {
        for ipa in self.probes.clone() {
            let _ = self.access(ipa);
        }
    }

    /// Break-before-make: nothing in the TLB may overlap what the tables now say in another size,
    /// place or memory type.
    fn check_conflicts(&self) {
        for (ipa, leaf) in &self.leaves {
            let Some(now) = self.fresh(Ipa::new(*ipa)) else {
                continue;
            };
            assert!(
                now.size == leaf.size && (now.raw ^ leaf.raw) & !MAY_CHANGE == 0,
                "break-before-make violated at {ipa:#x}: {leaf:x?} in a TLB, {now:x?} in a table"
            );
        }
    }

    /// After a completed edit no TLB may hold anything that the tables don't say.
    pub(crate) fn check_coherent(&self) {
        for (ipa, leaf) in &self.leaves {
            let now = self.fresh(Ipa::new(*ipa));
            assert_eq!(Some(*leaf), now, "a stale translation is in a TLB");
        }
        for (span, table) in &self.walks {
            assert!(
                self.tables.contains_key(table),
                "a walk of {span} goes into a freed table"
            );
        }
    }
}

impl TableMemory for Fake {
    fn read(&self, table: Pa, index: usize) -> u64 {
        let mut world = self.0.borrow_mut();
        world.reads += 1;
        world.tables[&table].0[index]
    }

    fn write(&mut self, table: Pa, index: usize, descriptor: u64) {
        let mut world = self.0.borrow_mut();
        world.writes += 1;
        let old = {
            let (entries, _) = world.tables.get_mut(&table).expect("writes a freed table");
            core::mem::replace(&mut entries[index], descriptor)
        };
        if old & 1 != 0 && descriptor & 1 != 0 {
            assert_eq!(
                (old ^ descriptor) & !MAY_CHANGE,
                0,
                "a valid descriptor became another valid one"
            );
        }
        world.events.push(Event::Write {
            table,
            index,
            new: descriptor,
        });
        world.check_conflicts();
        world.speculate();
    }

    fn allocate(&mut self, order: u32) -> Option<Pa> {
        let mut world = self.0.borrow_mut();
        world.quota = world.quota.checked_sub(1)?;
        let size = 0x1000 << order;
        // Addresses are never used twice, so that what is stale stands out.
        let table = world.next.next_multiple_of(size);
        world.next = table + size;
        world
            .tables
            .insert(Pa::new(table), (vec![0; 512 << order], order));
        Some(Pa::new(table))
    }

    fn free(&mut self, table: Pa, order: u32) {
        let mut world = self.0.borrow_mut();
        let (_, made) = world.tables.remove(&table).expect("freed twice");
        assert_eq!(made, order);
        world.quota = world.quota.saturating_add(1);
        world.events.push(Event::Free(table));
        assert!(
            !world.walks.iter().any(|(_, walked)| *walked == table),
            "table {table} is freed while a walk of it is in a TLB"
        );
    }
}

impl Tlb for Fake {
    fn invalidate(&mut self, invalidation: Invalidation) {
        let mut world = self.0.borrow_mut();
        world.events.push(Event::Invalidate(invalidation));
        match invalidation {
            Invalidation::Range { vmid, range } => {
                assert_eq!(vmid, VMID);
                assert!(range.is_aligned(addr::PAGE_SIZE));
                let hit = |start: u64, size: u64| {
                    range.overlaps(IpaRange::new(Ipa::new(start), size).unwrap())
                };
                world.leaves.retain(|page, _| !hit(*page, addr::PAGE_SIZE));
                world
                    .walks
                    .retain(|(span, _)| !hit(span.start().get(), span.size()));
            }
            Invalidation::Vmid { .. } | Invalidation::All => {
                world.leaves.clear();
                world.walks.clear();
                if matches!(invalidation, Invalidation::Vmid { .. }) {
                    world.walked = None;
                }
            }
        }
        world.speculate();
    }
}
