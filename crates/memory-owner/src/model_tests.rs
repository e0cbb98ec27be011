//! Behavior of the whole, and random use of it against a plain map of pages.

use crate::*;
use addr::{Address, BLOCK_2M, PAGE_SIZE, Pa, PaRange, PartitionId, VmId};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::string::ToString;
use std::vec;
use std::vec::Vec;

const HYPERVISOR: Owner = Owner::Hypervisor;
const VM: Owner = Owner::Vm(VmId::new(1));
const OTHER: Owner = Owner::Vm(VmId::new(2));
const OVERHEAD: Owner = Owner::VmOverhead(VmId::new(1));
const PARTITION: Owner = Owner::Partition(PartitionId::new(0x8001));
const OWNERS: [Owner; 5] = [HYPERVISOR, VM, OTHER, OVERHEAD, PARTITION];
const RAM: u64 = 0x4000_0000;

fn range(start: u64, size: u64) -> PaRange {
    PaRange::new(Pa::new(start), size).unwrap()
}

fn accounts() -> Vec<Account> {
    OWNERS
        .iter()
        .map(|&owner| Account::new(owner, 1 << 20))
        .collect()
}

fn owner_of(ram: &[PaRange], contents: Contents) -> MemoryOwner {
    MemoryOwner::new(Setup {
        ram,
        reserved: &[],
        accounts: &accounts(),
        details: 8,
        contents,
    })
    .unwrap()
}

/// 64 MiB of clean RAM.
fn clean() -> MemoryOwner {
    owner_of(&[range(RAM, 64 << 20)], Contents::Zero)
}

fn zero_all(memory: &mut MemoryOwner) -> u64 {
    let mut bytes = 0;
    while let Some(job) = memory.next_to_zero() {
        assert!(job.range().size() <= ZERO_STEP && job.range().is_aligned(PAGE_SIZE));
        bytes += job.range().size();
        memory.zeroed(job);
    }
    bytes
}

fn release(memory: &mut MemoryOwner, by: Owner, range: PaRange) {
    let mut rest = Some(range);
    while let Some(range) = rest {
        rest = memory.release(by, range).unwrap();
    }
}

fn release_all(memory: &mut MemoryOwner, by: Owner) -> u64 {
    let mut sweep = Sweep::default();
    loop {
        if let SweepProgress::Done { on_loan } = memory.release_all(by, &mut sweep).unwrap() {
            return on_loan;
        }
    }
}

#[test]
fn a6_memory_of_a_dead_vm_is_not_handed_out_until_zeroed() {
    let mut memory = clean();
    while memory.allocate_blocks(VM, BLOCK_2M).is_ok() {}
    assert_eq!(memory.free_pages(), 0);
    assert_eq!(release_all(&mut memory, VM), 0);
    assert_eq!(
        memory.allocate_blocks(OTHER, BLOCK_2M),
        Err(AllocateError::NoMemory {
            free: 0,
            dirty: 32 * 512
        })
    );
    assert!(memory.allocate_pages(OVERHEAD, 0).is_err());
    assert_eq!(zero_all(&mut memory), 64 << 20);
    assert_eq!(
        memory.allocate_blocks(OTHER, 64 << 20),
        Ok(range(RAM, 64 << 20))
    );
}

#[test]
fn a6_ram_of_unknown_contents_is_zeroed_before_its_first_use() {
    let mut memory = owner_of(&[range(RAM, 4 << 20)], Contents::Unknown);
    assert!(memory.allocate_blocks(VM, BLOCK_2M).is_err());
    let mut expected = RAM;
    while memory.free_pages() == 0 {
        let job = memory.next_to_zero().unwrap();
        assert_eq!(job.range(), range(expected, ZERO_STEP));
        expected += ZERO_STEP;
        memory.zeroed(job);
    }
    assert_eq!(
        memory.allocate_blocks(VM, BLOCK_2M),
        Ok(range(RAM, BLOCK_2M))
    );
}

#[test]
fn a6_blocks_of_unknown_contents_go_to_those_only_who_may_see_them() {
    let mut memory = owner_of(&[range(RAM, 64 << 20)], Contents::Unknown);
    assert!(memory.claim_blocks(VM, BLOCK_2M).is_err());
    assert!(memory.claim_blocks(OVERHEAD, BLOCK_2M).is_err());
    assert_eq!(memory.state(Pa::new(RAM)), State::Dirty);
    for bytes in [0, 1, BLOCK_2M - 1] {
        let error = AllocateError::Size { bytes };
        assert_eq!(memory.claim_blocks(HYPERVISOR, bytes), Err(error));
    }
    let claimed = memory.claim_blocks(HYPERVISOR, 2 * BLOCK_2M).unwrap();
    assert_eq!(claimed, range(RAM, 2 * BLOCK_2M));
    assert_eq!(memory.state(Pa::new(RAM)), State::Owned(HYPERVISOR));
    assert_eq!(memory.give(HYPERVISOR, VM, claimed), Ok(None));
    assert_eq!(memory.account(VM).unwrap().pages, 1024);
    // The rest is zeroed as before, and none of what was claimed.
    assert_eq!(zero_all(&mut memory), 60 << 20);
    assert_eq!(memory.state(Pa::new(RAM)), State::Owned(VM));
}

#[test]
fn a6_a_block_that_is_being_zeroed_is_not_claimed() {
    let mut memory = owner_of(&[range(RAM, 3 * BLOCK_2M)], Contents::Unknown);
    let open = memory.next_to_zero().unwrap();
    let second = range(RAM + BLOCK_2M, BLOCK_2M);
    assert_eq!(memory.claim_blocks(HYPERVISOR, BLOCK_2M), Ok(second));
    memory.zeroed(open);
    // A part of it is zero now, and somebody will go on with the rest.
    let third = range(RAM + 2 * BLOCK_2M, BLOCK_2M);
    assert_eq!(memory.claim_blocks(HYPERVISOR, 3 * BLOCK_2M), Ok(third));
    assert!(memory.claim_blocks(HYPERVISOR, BLOCK_2M).is_err());
    assert_eq!(zero_all(&mut memory), BLOCK_2M - ZERO_STEP);
    let first = range(RAM, BLOCK_2M);
    assert_eq!(memory.claim_blocks(HYPERVISOR, BLOCK_2M), Ok(first));
}

#[test]
fn clean_and_dirty_blocks_are_claimed_in_one_run_and_used_ones_passed_over() {
    let mut memory = clean();
    let used = memory.allocate_blocks(VM, 2 * BLOCK_2M).unwrap();
    release(&mut memory, VM, range(RAM, BLOCK_2M + PAGE_SIZE));
    // Dirty, dirty in part, and clean from there on.
    assert_eq!(used, range(RAM, 2 * BLOCK_2M));
    let claimed = memory.claim_blocks(HYPERVISOR, 8 * BLOCK_2M).unwrap();
    assert_eq!(claimed, range(RAM, BLOCK_2M));
    let claimed = memory.claim_blocks(HYPERVISOR, 8 * BLOCK_2M).unwrap();
    assert_eq!(claimed, range(RAM + 2 * BLOCK_2M, 8 * BLOCK_2M));
    release(&mut memory, HYPERVISOR, range(RAM + 4 * BLOCK_2M, BLOCK_2M));
    let claimed = memory.claim_blocks(HYPERVISOR, 8 * BLOCK_2M).unwrap();
    assert_eq!(claimed, range(RAM + 4 * BLOCK_2M, BLOCK_2M));
}

#[test]
fn a6_only_one_cpu_zeroes_at_a_time() {
    let mut memory = owner_of(&[range(RAM, 4 << 20)], Contents::Unknown);
    let job = memory.next_to_zero().unwrap();
    assert_eq!(memory.next_to_zero(), None);
    memory.zeroed(job);
    assert!(memory.next_to_zero().is_some());
}

#[test]
fn a6_pages_released_beside_an_open_job_are_zeroed_too() {
    let mut memory = clean();
    let block = memory.allocate_blocks(VM, BLOCK_2M).unwrap();
    release(&mut memory, VM, range(RAM + 0x10_0000, ZERO_STEP));
    let job = memory.next_to_zero().unwrap();
    assert_eq!(job.range(), range(RAM + 0x10_0000, ZERO_STEP));
    // The rest of the block: all of it is dirty now, in one state.
    release(&mut memory, VM, range(RAM, 0x10_0000));
    let after = RAM + 0x10_0000 + ZERO_STEP;
    release(&mut memory, VM, range(after, block.end().get() - after));
    memory.zeroed(job);
    assert_eq!(memory.dirty_pages(), 512);
    assert_eq!(zero_all(&mut memory), BLOCK_2M);
    assert_eq!(memory.dirty_pages(), 0);
}

#[test]
fn a6_zeroing_never_leaves_its_block() {
    let mut memory = clean();
    memory.allocate_blocks(VM, 2 * BLOCK_2M).unwrap();
    release(&mut memory, VM, range(RAM, PAGE_SIZE));
    let job = memory.next_to_zero().unwrap();
    release(
        &mut memory,
        VM,
        range(RAM + PAGE_SIZE, BLOCK_2M - PAGE_SIZE),
    );
    memory.zeroed(job);
    assert_eq!(zero_all(&mut memory), BLOCK_2M - PAGE_SIZE);
    assert_eq!(memory.state(Pa::new(RAM + BLOCK_2M)), State::Owned(VM));
}

#[test]
fn i3_creating_and_destroying_leaks_nothing() {
    let mut memory = clean();
    for _ in 0..500 {
        let mut left = 24 << 20;
        while left > 0 {
            left -= memory.allocate_blocks(VM, left).unwrap().size();
        }
        let tables: Vec<_> = [0, 4, 1, 0]
            .iter()
            .map(|&order| memory.allocate_pages(OVERHEAD, order).unwrap())
            .collect();
        assert_eq!(memory.account(VM).unwrap().pages, 12 * 512);
        assert_eq!(memory.account(OVERHEAD).unwrap().pages, 1 + 16 + 2 + 1);
        for table in tables {
            release(&mut memory, OVERHEAD, table);
        }
        assert_eq!(release_all(&mut memory, VM), 0);
        zero_all(&mut memory);
        assert_eq!(memory.free_pages(), 32 * 512);
        assert_eq!(memory.dirty_pages(), 0);
        assert_eq!(memory.unused_details(), 8);
        for owner in OWNERS {
            assert_eq!(memory.account(owner).unwrap().pages, 0);
        }
    }
}

#[test]
fn i1_a_quota_limits_its_owner_alone() {
    let mut memory = MemoryOwner::new(Setup {
        ram: &[range(RAM, 8 << 20)],
        reserved: &[],
        accounts: &[Account::new(OVERHEAD, 3), Account::new(VM, 512)],
        details: 1,
        contents: Contents::Zero,
    })
    .unwrap();
    memory.allocate_pages(OVERHEAD, 1).unwrap();
    let quota = |owner, limit| AllocateError::Change(ChangeError::Quota { owner, limit });
    assert_eq!(memory.allocate_pages(OVERHEAD, 1), Err(quota(OVERHEAD, 3)));
    memory.allocate_pages(OVERHEAD, 0).unwrap();
    assert_eq!(memory.allocate_blocks(VM, 4 << 20), Err(quota(VM, 512)));
    memory.allocate_blocks(VM, 2 << 20).unwrap();
    assert_eq!(
        memory.allocate_blocks(OTHER, 2 << 20),
        Err(AllocateError::Change(ChangeError::UnknownOwner {
            owner: OTHER
        }))
    );
}

#[test]
fn pages_are_aligned_to_their_number() {
    let mut memory = clean();
    for order in [0, 4, 1, 3, 6, 0, 2, 5] {
        let range = memory.allocate_pages(OVERHEAD, order).unwrap();
        assert_eq!(range.size(), PAGE_SIZE << order);
        assert!(range.start().is_aligned(range.size()), "{range}");
    }
    assert_eq!(
        memory.allocate_pages(OVERHEAD, 7),
        Err(AllocateError::Order { order: 7 })
    );
    // All of it came from one block.
    assert_eq!(memory.unused_details(), 7);
}

#[test]
fn banks_holes_and_reserved_ranges_are_respected() {
    // Two banks in neighboring blocks, one of them starting in the middle of a page.
    let banks = [range(RAM + 0x30_0800, 0x10_0800), range(RAM, 0x20_3000)];
    let reserved = [
        (range(RAM + 0x1000, 0x1800), HYPERVISOR),
        (range(RAM + 0x2000, 0x1000), HYPERVISOR),
        (range(0, u64::MAX), Owner::Firmware),
    ];
    let setup = Setup {
        ram: &banks,
        reserved: &reserved[..2],
        accounts: &accounts(),
        details: 3,
        contents: Contents::Unknown,
    };
    let memory = MemoryOwner::new(setup).unwrap();
    assert_eq!(memory.state(Pa::new(RAM - 1)), State::Absent);
    assert_eq!(memory.state(Pa::new(RAM)), State::Dirty);
    assert_eq!(
        memory.state(Pa::new(RAM + 0x1000)),
        State::Owned(HYPERVISOR)
    );
    assert_eq!(
        memory.state(Pa::new(RAM + 0x2fff)),
        State::Owned(HYPERVISOR)
    );
    assert_eq!(memory.state(Pa::new(RAM + 0x3000)), State::Dirty);
    assert_eq!(memory.state(Pa::new(RAM + 0x20_2fff)), State::Dirty);
    assert_eq!(memory.state(Pa::new(RAM + 0x20_3000)), State::Absent);
    assert_eq!(memory.state(Pa::new(RAM + 0x30_0fff)), State::Absent);
    assert_eq!(memory.state(Pa::new(RAM + 0x30_1000)), State::Dirty);
    assert_eq!(memory.state(Pa::new(RAM + 0x40_0fff)), State::Dirty);
    assert_eq!(memory.state(Pa::new(RAM + 0x40_1000)), State::Absent);
    assert_eq!(memory.account(HYPERVISOR).unwrap().pages, 2);
    assert_eq!(memory.dirty_pages(), 0x203 + 0x100 - 2);

    // Two owners of one page, or one that nobody knows, are refused.
    let clash = MemoryOwner::new(Setup {
        reserved: &reserved,
        ..setup
    });
    assert_eq!(
        clash.unwrap_err(),
        SetupError::Reserved {
            range: reserved[2].0,
            error: ChangeError::Refused {
                pa: Pa::new(RAM + 0x1000),
                state: State::Owned(HYPERVISOR)
            }
        }
    );
    let unknown = MemoryOwner::new(Setup {
        reserved: &[(range(RAM, 1), Owner::Archive)],
        ..setup
    });
    assert!(matches!(
        unknown.unwrap_err(),
        SetupError::Reserved {
            error: ChangeError::UnknownOwner { .. },
            ..
        }
    ));
    let overlap = MemoryOwner::new(Setup {
        ram: &[banks[1], range(RAM + 0x20_2000, PAGE_SIZE)],
        ..setup
    });
    assert!(matches!(overlap.unwrap_err(), SetupError::Overlap { .. }));
}

#[test]
fn an_allocation_does_not_run_across_a_hole() {
    let banks = [range(RAM, 4 << 20), range(RAM + (8 << 20), 4 << 20)];
    let mut memory = owner_of(&banks, Contents::Zero);
    assert_eq!(memory.allocate_blocks(VM, 8 << 20), Ok(banks[0]));
    assert_eq!(memory.allocate_blocks(VM, 4 << 20), Ok(banks[1]));
    assert_eq!(
        memory.release(VM, range(RAM, 12 << 20)).unwrap_err(),
        ChangeError::Refused {
            pa: banks[0].end(),
            state: State::Absent
        }
    );
    assert_eq!(memory.account(VM).unwrap().pages, 2048);
}

#[test]
fn a_refused_step_changes_nothing() {
    let mut memory = clean();
    let mine = memory.allocate_pages(OVERHEAD, 3).unwrap();
    let beyond = range(mine.start().get(), mine.size() + PAGE_SIZE);
    let refused = ChangeError::Refused {
        pa: mine.end(),
        state: State::Free,
    };
    assert_eq!(memory.release(OVERHEAD, beyond), Err(refused));
    assert_eq!(memory.give(OVERHEAD, VM, beyond), Err(refused));
    assert_eq!(memory.account(OVERHEAD).unwrap().pages, 8);
    assert_eq!(
        memory.release(VM, mine),
        Err(ChangeError::Refused {
            pa: mine.start(),
            state: State::Owned(OVERHEAD)
        })
    );
    let odd = range(mine.start().get(), 0x800);
    assert_eq!(
        memory.release(OVERHEAD, odd),
        Err(ChangeError::Unaligned { range: odd })
    );
}

#[test]
fn what_is_lent_comes_back_only_when_nobody_holds_it() {
    let mut memory = clean();
    let block = memory.allocate_blocks(VM, BLOCK_2M).unwrap();
    let page = range(block.start().get() + 0x5000, PAGE_SIZE);
    let mut loan = Loan::new(LoanId::new(3), VM, LoanKind::Lend, &[PARTITION, OTHER]).unwrap();
    assert_eq!(
        memory.lend(OTHER, &loan, page),
        Err(ChangeError::NotLender { user: OTHER })
    );
    assert_eq!(memory.lend(VM, &loan, page), Ok(None));
    assert!(!memory.state(page.start()).is_accessible_to_owner(VM));
    loan.take(PARTITION).unwrap();
    // The owner can't take it, give it, release it or lend it again.
    assert_eq!(
        memory.reclaim(VM, &loan, page),
        Err(ChangeError::Held {
            borrower: PARTITION
        })
    );
    let second = Loan::new(LoanId::new(4), VM, LoanKind::Share, &[OTHER]).unwrap();
    assert!(memory.lend(VM, &second, page).is_err());
    assert!(memory.reclaim(VM, &second, page).is_err());
    assert!(memory.give(VM, OTHER, page).is_err());
    assert!(memory.release(VM, page).is_err());
    assert_eq!(release_all(&mut memory, VM), 1);
    loan.give_back(PARTITION).unwrap();
    assert_eq!(memory.reclaim(VM, &loan, page), Ok(None));
    assert_eq!(release_all(&mut memory, VM), 0);
    zero_all(&mut memory);
    assert_eq!(memory.unused_details(), 8);
}

#[test]
fn a_pool_of_details_that_is_used_up_refuses_and_recovers() {
    let mut memory = clean();
    memory.allocate_blocks(VM, 64 << 20).unwrap();
    for block in 0..8 {
        release(&mut memory, VM, range(RAM + block * BLOCK_2M, PAGE_SIZE));
    }
    let ninth = range(RAM + 8 * BLOCK_2M, PAGE_SIZE);
    assert_eq!(
        memory.release(VM, ninth),
        Err(ChangeError::NoDetail { pa: ninth.start() })
    );
    release(
        &mut memory,
        VM,
        range(RAM + PAGE_SIZE, BLOCK_2M - PAGE_SIZE),
    );
    release(&mut memory, VM, ninth);
    assert_eq!(release_all(&mut memory, VM), 0);
    assert_eq!(memory.unused_details(), 8);
    assert_eq!(memory.dirty_pages(), 32 * 512);
}

#[test]
fn i2_a_large_change_is_cut_into_steps() {
    let size = 4 << 30;
    let mut memory = owner_of(&[range(RAM, size)], Contents::Zero);
    let mut left = size;
    while left > 0 {
        let got = memory.allocate_blocks(VM, left).unwrap();
        assert!(got.size() <= ALLOCATION_STEP);
        left -= got.size();
    }
    let rest = memory.release(VM, range(RAM, size)).unwrap().unwrap();
    assert_eq!(rest.start().get() - RAM, 256 << 20);
    let mut sweep = Sweep::default();
    assert_eq!(memory.release_all(VM, &mut sweep), Ok(SweepProgress::More));
    assert!(memory.account(VM).unwrap().pages > 0);
}

#[derive(Clone, Debug)]
enum Op {
    Blocks(usize, u64),
    Pages(usize, u32),
    Release(usize, u64, u64),
    Give(usize, usize, u64, u64),
    Lend(usize, usize, u64, u64),
    Take(usize, usize),
    GiveBack(usize, usize),
    Reclaim(usize, usize, u64, u64),
    ReleaseAll(usize),
    Zero(usize),
    StartZero,
    FinishZero,
}

/// The pages that random tests use: three blocks, and a bank of one and a half after a hole.
const PAGES: u64 = 3 * 512;

fn banks() -> [PaRange; 2] {
    [
        range(RAM, 3 * BLOCK_2M),
        range(RAM + 4 * BLOCK_2M, BLOCK_2M + BLOCK_2M / 2),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let who = 0..OWNERS.len();
    let edges = prop_oneof![Just(0_u64), Just(512), Just(1024), Just(2048), 0..PAGES];
    let size = prop_oneof![Just(1_u64), Just(512), Just(1024), 1..600_u64];
    let w = || who.clone();
    let e = || edges.clone();
    let s = || size.clone();
    prop_oneof![
        3 => (w(), 1..4_u64).prop_map(|(o, n)| Op::Blocks(o, n)),
        2 => (w(), 0..7_u32).prop_map(|(o, n)| Op::Pages(o, n)),
        3 => (w(), e(), s()).prop_map(|(o, p, n)| Op::Release(o, p, n)),
        2 => (w(), w(), e(), s()).prop_map(|(o, t, p, n)| Op::Give(o, t, p, n)),
        3 => (w(), 0..2_usize, e(), s()).prop_map(|(o, l, p, n)| Op::Lend(o, l, p, n)),
        1 => (0..2_usize, w()).prop_map(|(l, o)| Op::Take(l, o)),
        1 => (0..2_usize, w()).prop_map(|(l, o)| Op::GiveBack(l, o)),
        3 => (w(), 0..2_usize, e(), s()).prop_map(|(o, l, p, n)| Op::Reclaim(o, l, p, n)),
        1 => w().prop_map(Op::ReleaseAll),
        3 => (1..80_usize).prop_map(Op::Zero),
        1 => Just(Op::StartZero),
        1 => Just(Op::FinishZero),
    ]
}

/// A map from page to state, the contents of each page, and what the crate is expected to do.
struct Model {
    pages: BTreeMap<Pa, State>,
    /// Pages that hold somebody's data.
    written: BTreeMap<Pa, bool>,
    loans: [Loan; 2],
    job: Option<ZeroJob>,
}

impl Model {
    fn new() -> Self {
        let pages: BTreeMap<_, _> = banks()
            .into_iter()
            .flat_map(|bank| {
                let pages = bank.size() / PAGE_SIZE;
                (0..pages).map(move |page| Pa::new(bank.start().get() + page * PAGE_SIZE))
            })
            .map(|pa| (pa, State::Dirty))
            .collect();
        let loan = |id, owner, kind| Loan::new(LoanId::new(id), owner, kind, &[PARTITION, OTHER]);
        Self {
            written: pages.keys().map(|pa| (*pa, true)).collect(),
            pages,
            loans: [
                loan(0, VM, LoanKind::Share).unwrap(),
                loan(1, VM, LoanKind::Lend).unwrap(),
            ],
            job: None,
        }
    }

    fn state(&self, pa: Pa) -> State {
        self.pages.get(&pa).copied().unwrap_or(State::Absent)
    }

    /// Runs `call` until the range is done, and applies `edge` to whatever it says it has changed.
    fn run(
        &mut self,
        whole: PaRange,
        edge: Edge,
        mut call: impl FnMut(&Self, PaRange) -> Result<Option<PaRange>, ChangeError>,
    ) {
        let mut rest = Some(whole);
        while let Some(range) = rest {
            match call(self, range) {
                Ok(left) => {
                    let end = left.map_or(range.end(), PaRange::start);
                    self.apply(PaRange::between(range.start(), end).unwrap(), edge);
                    rest = left;
                }
                Err(error) => {
                    if let ChangeError::Refused { pa, state } = error {
                        assert_eq!(self.state(pa), state);
                        assert_eq!(edge.apply(state), None);
                    }
                    return;
                }
            }
        }
    }

    fn apply(&mut self, range: PaRange, edge: Edge) {
        for page in 0..range.size() / PAGE_SIZE {
            let pa = Pa::new(range.start().get() + page * PAGE_SIZE);
            let new = edge.apply(self.state(pa)).expect("the edge starts here");
            self.pages.insert(pa, new);
            if let Edge::Allocate { .. } = edge {
                assert!(!self.written[&pa], "{pa} was handed out unzeroed");
                self.written.insert(pa, true);
            }
        }
    }

    fn finish_zero(&mut self, memory: &mut MemoryOwner) {
        if let Some(job) = self.job.take() {
            for page in 0..job.range().size() / PAGE_SIZE {
                let pa = Pa::new(job.range().start().get() + page * PAGE_SIZE);
                assert_eq!(self.state(pa), State::Dirty, "zeroing memory in use");
                self.written.insert(pa, false);
            }
            memory.zeroed(job);
            // Only pages that have been zeroed may have become free.
            for (pa, state) in &mut self.pages {
                if *state == State::Dirty && memory.state(*pa) == State::Free {
                    assert!(!self.written[pa], "{pa} became free unzeroed");
                    *state = State::Free;
                }
            }
        }
    }

    fn step(&mut self, memory: &mut MemoryOwner, op: &Op) {
        let span = |page: u64, pages: u64| range(RAM + page * PAGE_SIZE, pages * PAGE_SIZE);
        match *op {
            Op::Blocks(owner, blocks) => {
                let to = OWNERS[owner];
                if let Ok(range) = memory.allocate_blocks(to, blocks * BLOCK_2M) {
                    assert!(range.is_aligned(BLOCK_2M) && range.size() <= blocks * BLOCK_2M);
                    self.apply(range, Edge::Allocate { to });
                }
            }
            Op::Pages(owner, order) => {
                let to = OWNERS[owner];
                if let Ok(range) = memory.allocate_pages(to, order) {
                    assert_eq!(range.size(), PAGE_SIZE << order);
                    assert!(range.start().is_aligned(range.size()));
                    self.apply(range, Edge::Allocate { to });
                }
            }
            Op::Release(owner, page, pages) => {
                let by = OWNERS[owner];
                self.run(span(page, pages), Edge::Release { by }, |_, range| {
                    memory.release(by, range)
                });
            }
            Op::Give(owner, to, page, pages) => {
                let (by, to) = (OWNERS[owner], OWNERS[to]);
                self.run(span(page, pages), Edge::Give { by, to }, |_, range| {
                    memory.give(by, to, range)
                });
            }
            Op::Lend(owner, index, page, pages) => {
                let by = OWNERS[owner];
                let loan = self.loans[index].id();
                let edge = match self.loans[index].kind() {
                    LoanKind::Share => Edge::Share { by, loan },
                    LoanKind::Lend => Edge::Lend { by, loan },
                };
                self.run(span(page, pages), edge, |model, range| {
                    memory.lend(by, &model.loans[index], range)
                });
            }
            // Refusals are part of the game.
            Op::Take(index, owner) => {
                let _ = self.loans[index].take(OWNERS[owner]);
            }
            Op::GiveBack(index, owner) => {
                let _ = self.loans[index].give_back(OWNERS[owner]);
            }
            Op::Reclaim(owner, index, page, pages) => {
                let by = OWNERS[owner];
                let loan = self.loans[index].id();
                self.run(
                    span(page, pages),
                    Edge::Reclaim { by, loan },
                    |model, range| {
                        let result = memory.reclaim(by, &model.loans[index], range);
                        assert!(result.is_err() || model.loans[index].holder().is_none());
                        result
                    },
                );
            }
            Op::ReleaseAll(owner) => {
                let by = OWNERS[owner];
                release_all(memory, by);
                for state in self.pages.values_mut() {
                    if *state == State::Owned(by) {
                        *state = State::Dirty;
                    }
                }
            }
            Op::Zero(jobs) => {
                for _ in 0..jobs {
                    self.finish_zero(memory);
                    self.job = memory.next_to_zero();
                }
                self.finish_zero(memory);
            }
            Op::StartZero => {
                let job = memory.next_to_zero();
                assert!(job.is_none() || self.job.is_none(), "two jobs at a time");
                self.job = self.job.take().or(job);
            }
            Op::FinishZero => self.finish_zero(memory),
        }
    }

    fn compare(&self, memory: &MemoryOwner) {
        let count = |wanted: &dyn Fn(State) -> bool| {
            self.pages.values().filter(|state| wanted(**state)).count() as u64
        };
        for (pa, state) in &self.pages {
            assert_eq!(memory.state(*pa), *state, "at {pa}");
        }
        assert_eq!(memory.free_pages(), count(&|state| state == State::Free));
        assert_eq!(memory.dirty_pages(), count(&|state| state == State::Dirty));
        for owner in OWNERS {
            let account = memory.account(owner).unwrap();
            assert_eq!(account.pages, count(&|state| state.owner() == Some(owner)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 32,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn random_use_agrees_with_a_map_of_pages(ops in proptest::collection::vec(op(), 1..60)) {
        let mut memory = owner_of(&banks(), Contents::Unknown);
        let mut model = Model::new();
        model.step(&mut memory, &Op::Zero(64));
        for op in &ops {
            model.step(&mut memory, op);
            model.compare(&memory);
        }
        // The end: every loan comes back, everybody dies, and nothing has leaked.
        for index in 0..2 {
            for borrower in [PARTITION, OTHER] {
                let _ = model.loans[index].give_back(borrower);
            }
            for page in 0..PAGES * 2 {
                model.step(&mut memory, &Op::Reclaim(1, index, page, 1));
            }
        }
        for owner in 0..OWNERS.len() {
            model.step(&mut memory, &Op::ReleaseAll(owner));
        }
        model.step(&mut memory, &Op::Zero(PAGES as usize * 2));
        model.compare(&memory);
        prop_assert_eq!(memory.dirty_pages(), 0);
        prop_assert_eq!(memory.free_pages(), model.pages.len() as u64);
        // The block whose second half is no RAM keeps its detail.
        prop_assert_eq!(memory.unused_details(), 7);
    }
}

#[test]
fn only_whole_blocks_are_handed_out_as_blocks() {
    let mut memory = clean();
    for bytes in [0, PAGE_SIZE, BLOCK_2M + PAGE_SIZE] {
        let refused = Err(AllocateError::Size { bytes });
        assert_eq!(memory.allocate_blocks(VM, bytes), refused);
    }
    assert!(memory.allocate_blocks(VM, BLOCK_2M).is_ok());
}

#[test]
fn what_is_reserved_may_fill_an_account_and_no_more() {
    let reserve = |pages: u64| {
        MemoryOwner::new(Setup {
            ram: &[range(RAM, 8 << 20)],
            reserved: &[(range(RAM, pages * PAGE_SIZE), HYPERVISOR)],
            accounts: &[Account::new(HYPERVISOR, 3)],
            details: 1,
            contents: Contents::Unknown,
        })
        .map(|memory| memory.account(HYPERVISOR).unwrap().pages)
    };
    assert_eq!(reserve(3), Ok(3));
    for pages in [4, 5] {
        let range = range(RAM, pages * PAGE_SIZE);
        let (owner, limit) = (HYPERVISOR, 3);
        let error = ChangeError::Quota { owner, limit };
        assert_eq!(reserve(pages), Err(SetupError::Reserved { range, error }));
    }
}

#[test]
fn an_owner_has_access_to_what_it_did_not_lend() {
    let mut memory = clean();
    let block = memory.allocate_blocks(VM, BLOCK_2M).unwrap();
    let state = memory.state(block.start());
    assert!(state.is_accessible_to_owner(VM));
    assert!(!state.is_accessible_to_owner(OTHER));
    assert!(!State::Free.is_accessible_to_owner(VM));
}

#[test]
fn errors_name_what_was_wrong() {
    let at = range(0x1000, PAGE_SIZE);
    let (pa, owner) = (Pa::new(0x2000), OVERHEAD);
    let held = ChangeError::Held {
        borrower: PARTITION,
    };
    let texts = [
        (SetupError::NoRam.to_string(), "no RAM"),
        (SetupError::Overlap { bank: at }.to_string(), "0x1000"),
        (SetupError::Bank { bank: at }.to_string(), "0x1000"),
        (
            SetupError::TwoAccounts { owner }.to_string(),
            "vm1 overhead has two",
        ),
        (
            SetupError::Reserved {
                range: at,
                error: held,
            }
            .to_string(),
            "0x1000",
        ),
        (ChangeError::Unaligned { range: at }.to_string(), "0x1000"),
        (
            ChangeError::Refused {
                pa,
                state: State::Dirty,
            }
            .to_string(),
            "0x2000 is Dirty",
        ),
        (
            ChangeError::UnknownOwner { owner: VM }.to_string(),
            "vm1 has no",
        ),
        (
            ChangeError::Quota { owner, limit: 77 }.to_string(),
            "77 pages",
        ),
        (ChangeError::NoDetail { pa }.to_string(), "0x2000"),
        (held.to_string(), "partition 0x8001 still"),
        (
            ChangeError::NotLender { user: HYPERVISOR }.to_string(),
            "hypervisor has",
        ),
        (AllocateError::Size { bytes: 0x1001 }.to_string(), "0x1001"),
        (AllocateError::Order { order: 99 }.to_string(), "99"),
        (
            AllocateError::NoMemory { free: 5, dirty: 6 }.to_string(),
            "5 pages free, 6 dirty",
        ),
        (
            AllocateError::Change(held).to_string(),
            "partition 0x8001 still",
        ),
        (LoanError::NoBorrower.to_string(), "needs a borrower"),
        (
            LoanError::TooManyBorrowers { borrowers: 55 }.to_string(),
            "55",
        ),
        (
            LoanError::Duplicate { borrower: VM }.to_string(),
            "vm1 is named",
        ),
        (
            LoanError::OwnBorrower { owner: VM }.to_string(),
            "vm1 can't",
        ),
        (LoanError::NotBorrower { user: VM }.to_string(), "vm1 is no"),
        (
            LoanError::AlreadyHeld { borrower: VM }.to_string(),
            "vm1 holds",
        ),
        (
            LoanError::NotHeld { borrower: VM }.to_string(),
            "vm1 doesn't",
        ),
        (Owner::Firmware.to_string(), "firmware"),
        (Owner::Archive.to_string(), "archive"),
        (
            Owner::PartitionOverhead(PartitionId::new(0x8001)).to_string(),
            "partition 0x8001 overhead",
        ),
    ];
    for (text, part) in texts {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_step_covers_one_block_in_part_at_most() {
    let mut memory = clean();
    let blocks = memory.allocate_blocks(VM, 2 * BLOCK_2M).unwrap();
    let start = blocks.start().get();
    let across = range(start + PAGE_SIZE, BLOCK_2M);
    let rest = memory.release(VM, across).unwrap();
    assert_eq!(rest, Some(range(start + BLOCK_2M, PAGE_SIZE)));
}

#[test]
fn an_identifier_is_its_raw_value() {
    assert!(
        [0, 1, u16::MAX]
            .iter()
            .all(|raw| LoanId::new(*raw).get() == *raw)
    );
}

#[test]
fn banks_in_one_block_share_it_and_gaps_take_no_place() {
    let blocks = |ram: &[PaRange]| owner_of(ram, Contents::Zero).store.blocks();
    let apart = [range(RAM, 4 << 20), range(RAM + (1 << 30), 4 << 20)];
    assert_eq!(blocks(&apart), 4);
    let shared = [range(RAM, 3 << 20), range(RAM + (7 << 19), 1 << 19)];
    assert_eq!(blocks(&shared), 2);
}

#[test]
fn the_firmware_needs_no_account_and_may_have_one() {
    let with = |accounts: &[Account]| {
        MemoryOwner::new(Setup {
            ram: &[range(RAM, 4 << 20)],
            reserved: &[(range(RAM, PAGE_SIZE), Owner::Firmware)],
            accounts,
            details: 1,
            contents: Contents::Zero,
        })
        .map(|memory| memory.account(Owner::Firmware).unwrap().pages)
    };
    assert_eq!(with(&[]), Ok(1));
    assert_eq!(with(&[Account::new(Owner::Firmware, 1)]), Ok(1));
}

#[test]
fn a_block_of_dirty_pages_that_is_taken_in_part_is_zeroed_but_for_that() {
    let mut memory = MemoryOwner::new(Setup {
        ram: &[range(RAM, 4 << 20)],
        reserved: &[(range(RAM + PAGE_SIZE, PAGE_SIZE), HYPERVISOR)],
        accounts: &accounts(),
        details: 1,
        contents: Contents::Unknown,
    })
    .unwrap();
    assert_eq!(zero_all(&mut memory), (4 << 20) - PAGE_SIZE);
    assert_eq!((memory.free_pages(), memory.dirty_pages()), (1023, 0));
}
