//! Edits step by step, and random edits against a plain map of pages under a greedy TLB.

use crate::fakes::{Event, Fake, VMID, slot};
use crate::*;
use addr::{BLOCK_1G, BLOCK_2M, Ipa, IpaRange, PAGE_SIZE, Pa};
use machine::{Invalidation, TableMemory};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::string::ToString;
use std::vec;
use std::vec::Vec;

const GUEST_RAM: u64 = 0x4000_0000;
const HOST_RAM: u64 = 0x8_0000_0000;

fn range(start: u64, size: u64) -> IpaRange {
    IpaRange::new(Ipa::new(start), size).unwrap()
}

fn new_tree(fake: &Fake, bits: u32) -> Stage2 {
    let tree = Stage2::new(&mut fake.clone(), Geometry::new(bits, bits).unwrap()).unwrap();
    fake.run(&tree);
    tree
}

fn mapping(ipa: u64, size: u64, pa: u64, attributes: Attributes) -> Mapping {
    Mapping {
        range: range(ipa, size),
        pa: Pa::new(pa),
        attributes,
    }
}

/// Maps to the end, counting the steps.
fn map(fake: &Fake, tree: &mut Stage2, mapping: Mapping) -> Result<usize, EditError> {
    let mut rest = Some(mapping);
    let mut steps = 0;
    while let Some(mapping) = rest {
        rest = tree.map(&mut fake.clone(), mapping)?;
        steps += 1;
    }
    Ok(steps)
}

fn map_ram(fake: &Fake, tree: &mut Stage2, ipa: u64, size: u64) {
    let pa = HOST_RAM + ipa;
    map(fake, tree, mapping(ipa, size, pa, Attributes::RAM)).unwrap();
}

fn unmap(fake: &Fake, tree: &mut Stage2, range: IpaRange) -> Result<(), EditError> {
    let mut rest = Some(range);
    while let Some(range) = rest {
        let owed = tree.unmap(&mut fake.clone(), range)?;
        rest = owed.complete(&slot(), &mut fake.clone(), &mut fake.clone());
        fake.0.borrow().check_coherent();
    }
    Ok(())
}

fn protect(
    fake: &Fake,
    tree: &mut Stage2,
    range: IpaRange,
    permissions: Permissions,
) -> Result<(), EditError> {
    let mut rest = Some(range);
    while let Some(range) = rest {
        let owed = tree.protect(&mut fake.clone(), range, permissions)?;
        rest = owed.complete(&slot(), &mut fake.clone(), &mut fake.clone());
        fake.0.borrow().check_coherent();
    }
    Ok(())
}

fn complete(fake: &Fake, owed: PendingInvalidation<'_>) {
    let rest = owed.complete(&slot(), &mut fake.clone(), &mut fake.clone());
    assert_eq!(rest, None);
    fake.0.borrow().check_coherent();
}

fn destroy(fake: &Fake, tree: Stage2) -> usize {
    let mut teardown = tree.destroy(&slot(), &mut fake.clone());
    let mut steps = 1;
    while teardown.step(&mut fake.clone()) == TeardownProgress::More {
        steps += 1;
    }
    steps
}

fn level(fake: &Fake, tree: &Stage2, ipa: u64) -> Option<Level> {
    Some(tree.translate(fake, Ipa::new(ipa))?.level)
}

#[test]
fn the_largest_possible_blocks_are_used() {
    let fake = Fake::new();
    let mut tree = new_tree(&fake, 40);
    // From one page before 1 GiB to one page after 3 GiB + 2 MiB.
    let start = BLOCK_1G - PAGE_SIZE;
    map_ram(
        &fake,
        &mut tree,
        start,
        2 * BLOCK_1G + BLOCK_2M + 2 * PAGE_SIZE,
    );
    assert_eq!(level(&fake, &tree, start), Some(Level::L3));
    assert_eq!(level(&fake, &tree, BLOCK_1G), Some(Level::L1));
    assert_eq!(level(&fake, &tree, 3 * BLOCK_1G - 1), Some(Level::L1));
    assert_eq!(level(&fake, &tree, 3 * BLOCK_1G), Some(Level::L2));
    assert_eq!(
        level(&fake, &tree, 3 * BLOCK_1G + BLOCK_2M),
        Some(Level::L3)
    );
    assert_eq!(level(&fake, &tree, start - 1), None);
    let end = 3 * BLOCK_1G + BLOCK_2M + PAGE_SIZE;
    assert_eq!(level(&fake, &tree, end), None);
    // Root, and two tables on each side.
    assert_eq!(fake.tables(), 5);
}

#[test]
fn memory_that_is_not_aligned_alike_is_mapped_in_pages() {
    let fake = Fake::new();
    let mut tree = new_tree(&fake, 40);
    let pa = HOST_RAM + PAGE_SIZE;
    map(&fake, &mut tree, mapping(0, BLOCK_2M, pa, Attributes::RAM)).unwrap();
    let translation = tree.translate(&fake, Ipa::new(0x1234)).unwrap();
    assert_eq!(translation.level, Level::L3);
    assert_eq!(translation.pa, Pa::new(pa + 0x1234));
    assert_eq!(translation.contiguous_bytes, 0x1000 - 0x234);
}

#[test]
fn a_translation_reaches_to_the_end_of_its_leaf() {
    let fake = Fake::new();
    let mut tree = new_tree(&fake, 40);
    map_ram(&fake, &mut tree, GUEST_RAM, 512 << 20);
    let ipa = Ipa::new(GUEST_RAM + 5 * BLOCK_2M + 0x1234);
    let translation = tree.walk(&fake, ipa).unwrap();
    assert_eq!(translation.pa, Pa::new(HOST_RAM + ipa.get()));
    assert_eq!(translation.contiguous_bytes, BLOCK_2M - 0x1234);
    assert_eq!(translation.attributes, Attributes::RAM);
    assert_eq!(fake.access(ipa).unwrap().pa(ipa), translation.pa.get());
}

#[test]
fn a2_addresses_beyond_t0sz_reach_nothing() {
    for bits in [32, 36, 40, 42, 44, 48] {
        let fake = Fake::new();
        let mut tree = new_tree(&fake, bits);
        let size = 1_u64 << bits;
        map(
            &fake,
            &mut tree,
            mapping(0, PAGE_SIZE, 0x1000, Attributes::RAM),
        )
        .unwrap();
        let last = mapping(size - PAGE_SIZE, PAGE_SIZE, 0x2000, Attributes::RAM);
        map(&fake, &mut tree, last).unwrap();
        for ipa in [size, 1 << 63, u64::MAX, size | 0xfff] {
            let ipa = Ipa::new(ipa);
            assert_eq!(tree.walk(&fake, ipa), Err(WalkError::BeyondIpaSize { ipa }));
            assert_eq!(tree.translate(&fake, ipa), None);
        }
        for bad in [
            range(size, PAGE_SIZE),
            range(size - PAGE_SIZE, 2 * PAGE_SIZE),
        ] {
            let error = EditError::BeyondIpaSize { range: bad };
            let (start, length) = (bad.start().get(), bad.size());
            let request = mapping(start, length, 0, Attributes::RAM);
            assert_eq!(map(&fake, &mut tree, request), Err(error));
            assert_eq!(unmap(&fake, &mut tree, bad), Err(error));
            assert_eq!(
                protect(&fake, &mut tree, bad, Permissions::ReadOnly),
                Err(error)
            );
        }
        let ipa = Ipa::new(size - 1);
        assert_eq!(tree.translate(&fake, ipa).unwrap().pa, Pa::new(0x2fff));
        destroy(&fake, tree);
        assert_eq!(fake.tables(), 0);
    }
}

#[test]
fn a7_permissions_reach_descriptors_and_translations() {
    let fake = Fake::new();
    let mut tree = new_tree(&fake, 40);
    map_ram(&fake, &mut tree, 0, 4 * PAGE_SIZE);
    fake.probe(&[0, PAGE_SIZE, 2 * PAGE_SIZE]);
    protect(&fake, &mut tree, range(0, PAGE_SIZE), Permissions::ReadOnly).unwrap();
    let translation = tree.translate(&fake, Ipa::new(0)).unwrap();
    assert!(translation.permits(Access::Read));
    assert!(!translation.permits(Access::Write) && !translation.permits(Access::Execute));
    // S2AP = 0b01, XN = 0b10, as hardware sees it, also after a hit in the TLB.
    let raw = fake.access(Ipa::new(0)).unwrap().raw();
    assert_eq!((raw >> 6 & 3, raw >> 53 & 3), (0b01, 0b10));
    let raw = fake.access(Ipa::new(PAGE_SIZE)).unwrap().raw();
    assert_eq!((raw >> 6 & 3, raw >> 53 & 3), (0b11, 0b00));
}

#[test]
fn a11_a_split_breaks_invalidates_the_whole_block_and_makes() {
    let fake = Fake::new();
    let mut tree = new_tree(&fake, 40);
    map_ram(&fake, &mut tree, GUEST_RAM, BLOCK_2M);
    fake.probe(&[GUEST_RAM, GUEST_RAM + 0x5000, GUEST_RAM + BLOCK_2M - 1]);
    fake.take_events();
    let owed = tree
        .split(&mut fake.clone(), Ipa::new(GUEST_RAM + 0x5123))
        .unwrap();
    let block = range(GUEST_RAM, BLOCK_2M);
    assert_eq!(owed.range(), Some(block));
    let events = fake.take_events();
    let (Some(Event::Write { table: child, .. }), Some(break_)) = (events.first(), events.last())
    else {
        panic!("{events:?}")
    };
    // 512 pages where nobody looks, then the break.
    assert_eq!(events.len(), 513);
    let Event::Write {
        table,
        index,
        new: 0,
    } = *break_
    else {
        panic!("{break_:?}")
    };
    complete(&fake, owed);
    let make = child.get() | 3;
    assert_eq!(
        fake.take_events(),
        vec![
            Event::Invalidate(Invalidation::Range {
                vmid: VMID,
                range: block
            }),
            Event::Write {
                table,
                index,
                new: make
            }
        ]
    );
    for page in 0..512 {
        let ipa = Ipa::new(GUEST_RAM + page * PAGE_SIZE);
        let translation = tree.translate(&fake, ipa).unwrap();
        assert_eq!(translation.pa, Pa::new(HOST_RAM + ipa.get()));
        assert_eq!(translation.level, Level::L3);
    }
}

#[test]
fn a11_a_merge_breaks_invalidates_makes_and_then_frees() {
    let fake = Fake::new();
    let mut tree = new_tree(&fake, 40);
    map_ram(&fake, &mut tree, GUEST_RAM, BLOCK_2M);
    let before = fake.tables();
    let owed = tree.split(&mut fake.clone(), Ipa::new(GUEST_RAM)).unwrap();
    complete(&fake, owed);
    fake.probe(&[GUEST_RAM, GUEST_RAM + 0x5000, GUEST_RAM + BLOCK_2M - 1]);
    fake.take_events();
    let owed = tree
        .merge(&mut fake.clone(), Ipa::new(GUEST_RAM + 0x7000))
        .unwrap();
    complete(&fake, owed);
    let events = fake.take_events();
    let [
        Event::Write { new: 0, .. },
        Event::Invalidate(Invalidation::Range { range: all, .. }),
        Event::Write { .. },
        Event::Free(_),
    ] = events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!(all, range(GUEST_RAM, BLOCK_2M));
    assert_eq!(level(&fake, &tree, GUEST_RAM), Some(Level::L2));
    assert_eq!(fake.tables(), before);
}

#[test]
fn a11_what_is_not_one_block_is_not_merged() {
    let fake = Fake::new();
    let mut tree = new_tree(&fake, 40);
    let attributes = Attributes::RAM;
    // Unaligned memory.
    map(&fake, &mut tree, mapping(0, BLOCK_2M, 0x1000, attributes)).unwrap();
    let refused = |tree: &mut Stage2, ipa| match tree.merge(&mut fake.clone(), Ipa::new(ipa)) {
        Err(error) => error,
        Ok(_) => panic!("merged"),
    };
    let not = |ipa| EditError::NotMergeable { ipa: Ipa::new(ipa) };
    assert_eq!(refused(&mut tree, 0), not(0));
    // A hole, another attribute, another place.
    map_ram(&fake, &mut tree, BLOCK_2M, BLOCK_2M);
    let hole = range(BLOCK_2M + 3 * PAGE_SIZE, PAGE_SIZE);
    unmap(&fake, &mut tree, hole).unwrap();
    assert_eq!(refused(&mut tree, BLOCK_2M), not(hole.start().get()));
    let elsewhere = mapping(hole.start().get(), PAGE_SIZE, 0x7000, attributes);
    map(&fake, &mut tree, elsewhere).unwrap();
    assert_eq!(refused(&mut tree, BLOCK_2M), not(hole.start().get()));
    unmap(&fake, &mut tree, hole).unwrap();
    map_ram(&fake, &mut tree, hole.start().get(), PAGE_SIZE);
    protect(&fake, &mut tree, hole, Permissions::ReadOnly).unwrap();
    assert_eq!(refused(&mut tree, BLOCK_2M), not(hole.start().get()));
    protect(&fake, &mut tree, hole, Permissions::ReadWriteExecute).unwrap();
    complete(
        &fake,
        tree.merge(&mut fake.clone(), Ipa::new(BLOCK_2M)).unwrap(),
    );
    assert_eq!(level(&fake, &tree, hole.start().get()), Some(Level::L2));
    // Level 0 has no blocks: a tree that starts there keeps its 1 GiB blocks.
    let mut tall = new_tree(&fake, 48);
    map_ram(&fake, &mut tall, 0, BLOCK_1G);
    assert_eq!(refused(&mut tall, 0), not(BLOCK_1G));
}

#[test]
fn a11_unmapping_a_page_of_a_gigabyte_splits_twice_and_spares_the_rest() {
    let fake = Fake::new();
    let mut tree = new_tree(&fake, 40);
    map_ram(&fake, &mut tree, BLOCK_1G, BLOCK_1G);
    let page = BLOCK_1G + 7 * BLOCK_2M + 9 * PAGE_SIZE;
    fake.probe(&[BLOCK_1G, page - 1, page, page + PAGE_SIZE, 2 * BLOCK_1G - 1]);
    unmap(&fake, &mut tree, range(page, PAGE_SIZE)).unwrap();
    assert_eq!(level(&fake, &tree, page), None);
    assert_eq!(fake.access(Ipa::new(page)), None);
    assert_eq!(level(&fake, &tree, page - 1), Some(Level::L3));
    assert_eq!(level(&fake, &tree, page + PAGE_SIZE), Some(Level::L3));
    assert_eq!(level(&fake, &tree, BLOCK_1G), Some(Level::L2));
}

#[test]
fn a5_empty_tables_are_freed_only_after_the_invalidation() {
    let fake = Fake::new();
    let mut tree = new_tree(&fake, 48);
    map_ram(&fake, &mut tree, GUEST_RAM, 2 * PAGE_SIZE);
    assert_eq!(fake.tables(), 4);
    fake.probe(&[GUEST_RAM, GUEST_RAM + PAGE_SIZE]);
    fake.take_events();
    let whole = range(GUEST_RAM, 2 * PAGE_SIZE);
    let owed = tree.unmap(&mut fake.clone(), whole).unwrap();
    assert_eq!(owed.range(), Some(whole));
    assert!(
        !fake
            .take_events()
            .iter()
            .any(|event| matches!(event, Event::Free(_)))
    );
    complete(&fake, owed);
    let events = fake.take_events();
    assert!(matches!(
        events[..],
        [
            Event::Invalidate(_),
            Event::Free(_),
            Event::Free(_),
            Event::Free(_)
        ]
    ));
    assert_eq!(fake.tables(), 1);
}

#[test]
fn a5_a_table_that_never_mapped_anything_is_freed_only_after_an_invalidation() {
    let fake = Fake::new();
    let mut tree = new_tree(&fake, 40);
    fake.probe(&[GUEST_RAM]);
    // The level 2 table is made, the level 3 table can't be.
    fake.0.borrow_mut().quota = 1;
    let ipa = Ipa::new(GUEST_RAM);
    let page = mapping(GUEST_RAM, PAGE_SIZE, 0, Attributes::RAM);
    let error = EditError::NoTableMemory { ipa };
    assert_eq!(map(&fake, &mut tree, page), Err(error));
    assert_eq!(fake.tables(), 2);
    unmap(&fake, &mut tree, page.range).unwrap();
    assert_eq!(fake.tables(), 1);
}

#[test]
fn a5_an_edit_that_is_not_completed_blocks_all_others() {
    let fake = Fake::new();
    let mut tree = new_tree(&fake, 40);
    map_ram(&fake, &mut tree, 0, BLOCK_2M);
    fake.probe(&[0, PAGE_SIZE]);
    drop(tree.unmap(&mut fake.clone(), range(0, PAGE_SIZE)).unwrap());
    let page = mapping(BLOCK_2M, PAGE_SIZE, 0, Attributes::RAM);
    let owing = EditError::InvalidationOwed;
    assert_eq!(map(&fake, &mut tree, page), Err(owing));
    assert_eq!(unmap(&fake, &mut tree, page.range), Err(owing));
    assert!(tree.split(&mut fake.clone(), Ipa::new(0)).is_err());
    complete(&fake, tree.owed().unwrap());
    assert!(tree.owed().is_none());
    assert_eq!(map(&fake, &mut tree, page), Ok(1));
    // A tree that owes can still be destroyed: the split's table goes too.
    unmap(&fake, &mut tree, page.range).unwrap();
    map_ram(&fake, &mut tree, BLOCK_2M, BLOCK_2M);
    drop(tree.split(&mut fake.clone(), Ipa::new(BLOCK_2M)).unwrap());
    destroy(&fake, tree);
    assert_eq!(fake.tables(), 0);
}

#[test]
fn a_vm_that_never_ran_needs_no_invalidation() {
    let fake = Fake::new();
    let mut memory = fake.clone();
    let mut tree = Stage2::new(&mut memory, Geometry::new(40, 40).unwrap()).unwrap();
    map_ram(&fake, &mut tree, 0, PAGE_SIZE);
    let owed = tree.unmap(&mut memory, range(0, PAGE_SIZE)).unwrap();
    let rest = owed.complete(&VmidSlot::new(), &mut fake.clone(), &mut memory);
    assert_eq!(rest, None);
    let invalidated = |event: &Event| matches!(event, Event::Invalidate(_));
    assert!(!fake.take_events().iter().any(invalidated));
}

#[test]
fn edits_refuse_what_they_must() {
    let fake = Fake::new();
    let mut tree = new_tree(&fake, 40);
    map_ram(&fake, &mut tree, BLOCK_2M, PAGE_SIZE);
    let ipa = Ipa::new(BLOCK_2M);
    let attributes = Attributes::RAM;
    // What comes before is mapped; what is there stays.
    let over = mapping(BLOCK_2M - PAGE_SIZE, 3 * PAGE_SIZE, 0x9000, attributes);
    assert_eq!(
        map(&fake, &mut tree, over),
        Err(EditError::AlreadyMapped { ipa })
    );
    let before = tree.translate(&fake, over.range.start()).unwrap();
    assert_eq!(before.pa, Pa::new(0x9000));
    assert_eq!(
        tree.translate(&fake, ipa).unwrap().pa.get(),
        HOST_RAM + BLOCK_2M
    );
    map_ram(&fake, &mut tree, 2 * BLOCK_2M, BLOCK_2M);
    let inside = mapping(2 * BLOCK_2M + PAGE_SIZE, PAGE_SIZE, 0, attributes);
    let ipa = inside.range.start();
    assert_eq!(
        map(&fake, &mut tree, inside),
        Err(EditError::AlreadyMapped { ipa })
    );

    let unaligned = |address| Err(EditError::Unaligned { address });
    let odd = mapping(0x800, PAGE_SIZE, 0, attributes);
    assert_eq!(map(&fake, &mut tree, odd), unaligned(0x800));
    let odd = mapping(0, 0x800, 0, attributes);
    assert_eq!(map(&fake, &mut tree, odd), unaligned(0x800));
    let odd = mapping(0, PAGE_SIZE, 0x1008, attributes);
    assert_eq!(map(&fake, &mut tree, odd), unaligned(0x1008));
    let address = 1;
    assert_eq!(
        unmap(&fake, &mut tree, range(0, 1)),
        Err(EditError::Unaligned { address })
    );
    for pa in [1 << 40, (1 << 40) - PAGE_SIZE, !0xfff] {
        let beyond = mapping(0, 2 * PAGE_SIZE, pa, attributes);
        let pa = Pa::new(pa);
        assert_eq!(
            map(&fake, &mut tree, beyond),
            Err(EditError::BeyondPaSize { pa })
        );
    }
    let hole = Ipa::new(BLOCK_2M + PAGE_SIZE);
    let read_only = Permissions::ReadOnly;
    assert_eq!(
        protect(&fake, &mut tree, range(BLOCK_2M, 2 * PAGE_SIZE), read_only),
        Err(EditError::NotMapped { ipa: hole })
    );
    assert!(matches!(
        tree.split(&mut fake.clone(), hole),
        Err(EditError::NotMapped { ipa }) if ipa == hole
    ));
}

#[test]
fn i1_running_out_of_tables_leaves_a_whole_tree() {
    for quota in 0..8 {
        let fake = Fake::new();
        fake.0.borrow_mut().quota = quota;
        let mut memory = fake.clone();
        let Ok(mut tree) = Stage2::new(&mut memory, Geometry::new(48, 48).unwrap()) else {
            assert_eq!(quota, 0);
            continue;
        };
        fake.run(&tree);
        let start = BLOCK_2M - 2 * PAGE_SIZE;
        let request = mapping(start, 4 * PAGE_SIZE + BLOCK_2M, HOST_RAM, Attributes::RAM);
        match map(&fake, &mut tree, request) {
            Ok(_) => assert!(quota >= 6),
            Err(EditError::NoTableMemory { ipa }) => {
                for page in 0..4 {
                    let at = Ipa::new(start + page * PAGE_SIZE);
                    assert_eq!(tree.translate(&memory, at).is_some(), at < ipa, "{quota}");
                }
            }
            Err(other) => panic!("{other}"),
        }
        // Unmapping needs no memory, and finds tables that were left empty.
        unmap(&fake, &mut tree, request.range).unwrap();
        assert_eq!(fake.tables(), 1, "quota {quota}");
        // A block can't be split without memory; nothing happens to it.
        fake.0.borrow_mut().quota = 3;
        let made = map(&fake, &mut tree, mapping(0, BLOCK_2M, 0, Attributes::RAM));
        assert_eq!(made, Ok(1));
        fake.0.borrow_mut().quota = 0;
        let ipa = Ipa::new(0);
        assert_eq!(
            unmap(&fake, &mut tree, range(0, PAGE_SIZE)),
            Err(EditError::NoTableMemory { ipa })
        );
        assert_eq!(level(&fake, &tree, 0), Some(Level::L2));
        destroy(&fake, tree);
        assert_eq!(fake.tables(), 0);
    }
}

#[test]
fn i2_no_step_touches_more_than_its_share() {
    // Writes cost about 20 instructions, reads 6; the target is 20,000.
    let check = |fake: &Fake, what: &str| {
        let world = fake.0.borrow();
        let cost = world.writes * 20 + world.reads * 6;
        assert!(
            cost < 16_000,
            "{what}: {} writes, {} reads",
            world.writes,
            world.reads
        );
        drop(world);
        fake.reset_counts();
    };
    let fake = Fake::new();
    let mut tree = new_tree(&fake, 48);
    fake.reset_counts();
    // Three gigabytes of pages and blocks, then single pages far apart.
    let mut requests = vec![
        mapping(PAGE_SIZE, 8 * BLOCK_2M, HOST_RAM, Attributes::RAM),
        mapping(BLOCK_1G, BLOCK_1G, HOST_RAM + BLOCK_2M, Attributes::RAM),
    ];
    requests.extend(
        (0..200).map(|n| mapping((4 + 3 * n) * BLOCK_1G, PAGE_SIZE, HOST_RAM, Attributes::RAM)),
    );
    for request in requests {
        let mut rest = Some(request);
        while let Some(request) = rest {
            rest = tree.map(&mut fake.clone(), request).unwrap();
            check(&fake, "map");
        }
    }
    let whole = range(0, 1 << 48);
    let mut rest = Some(range(2 * PAGE_SIZE, BLOCK_1G + 5 * BLOCK_2M));
    while let Some(part) = rest {
        let part = part.intersection(range(0, 2 * PAGE_SIZE + 8 * BLOCK_2M - PAGE_SIZE));
        let Some(part) = part else { break };
        let owed = tree
            .protect(&mut fake.clone(), part, Permissions::ReadOnly)
            .unwrap();
        check(&fake, "protect");
        rest = owed.complete(&slot(), &mut fake.clone(), &mut fake.clone());
    }
    let mut rest = Some(whole);
    while let Some(part) = rest {
        let owed = tree.unmap(&mut fake.clone(), part).unwrap();
        check(&fake, "unmap");
        rest = owed.complete(&slot(), &mut fake.clone(), &mut fake.clone());
        fake.reset_counts();
    }
    assert_eq!(fake.tables(), 1);
    map_ram(&fake, &mut tree, PAGE_SIZE, 16 * BLOCK_2M);
    fake.reset_counts();
    let mut teardown = tree.destroy(&slot(), &mut fake.clone());
    while teardown.step(&mut fake.clone()) == TeardownProgress::More {
        check(&fake, "destroy");
    }
    assert_eq!(fake.tables(), 0);
}

#[test]
fn i3_creating_and_destroying_leaks_no_table() {
    let fake = Fake::new();
    for round in 0..50 {
        let mut tree = new_tree(&fake, [36, 40, 44, 48][round % 4]);
        map_ram(&fake, &mut tree, GUEST_RAM, 64 << 20);
        map_ram(&fake, &mut tree, GUEST_RAM - 5 * PAGE_SIZE, 5 * PAGE_SIZE);
        unmap(&fake, &mut tree, range(GUEST_RAM + BLOCK_2M, 3 * PAGE_SIZE)).unwrap();
        destroy(&fake, tree);
        assert_eq!(fake.tables(), 0);
    }
}

#[test]
fn destroying_invalidates_before_it_frees() {
    let fake = Fake::new();
    let mut tree = new_tree(&fake, 40);
    map_ram(&fake, &mut tree, 0, PAGE_SIZE);
    fake.probe(&[0]);
    fake.take_events();
    destroy(&fake, tree);
    let vmid = VMID;
    let events = fake.take_events();
    assert_eq!(events[0], Event::Invalidate(Invalidation::Vmid { vmid }));
    assert_eq!(events.len(), 4);
}

#[test]
fn vttbr_joins_root_and_vmid() {
    let fake = Fake::new();
    let tree = new_tree(&fake, 42);
    assert_eq!(tree.vttbr(0x12), 0x12 << 48 | tree.root().get());
    // Eight concatenated tables are aligned to their size.
    assert_eq!(tree.root().get() % 0x8000, 0);
}

#[derive(Clone, Debug)]
enum Op {
    Map(u64, u64, u64, usize),
    Unmap(u64, u64),
    Protect(u64, u64, usize),
    Split(u64),
    Merge(u64),
}

/// Random edits happen in four blocks around this gigabyte's end.
const BASE: u64 = BLOCK_1G - 2 * BLOCK_2M;
const PAGES: u64 = 4 * 512;
const PERMISSIONS: [Permissions; 4] = [
    Permissions::ReadOnly,
    Permissions::ReadWrite,
    Permissions::ReadExecute,
    Permissions::ReadWriteExecute,
];

fn op() -> impl Strategy<Value = Op> {
    let page = || prop_oneof![Just(0_u64), Just(512), Just(1024), Just(1536), 0..PAGES];
    let size = || prop_oneof![Just(1_u64), Just(512), Just(1024), Just(PAGES), 1..700_u64];
    // Memory that is aligned like the address, or is not.
    let shift = prop_oneof![3 => Just(0_u64), 1 => 0..4_u64];
    prop_oneof![
        4 => (page(), size(), shift, 0..4_usize).prop_map(|(p, n, s, k)| Op::Map(p, n, s, k)),
        3 => (page(), size()).prop_map(|(p, n)| Op::Unmap(p, n)),
        2 => (page(), size(), 0..4_usize).prop_map(|(p, n, k)| Op::Protect(p, n, k)),
        1 => page().prop_map(Op::Split),
        2 => page().prop_map(Op::Merge),
    ]
}

/// What each page of the universe is expected to be.
type Pages = BTreeMap<u64, (u64, Permissions)>;

fn apply(fake: &Fake, tree: &mut Stage2, pages: &mut Pages, op: &Op) {
    let at = |page: u64| BASE + page * PAGE_SIZE;
    let span = |page: u64, count: u64| page..(page + count).min(PAGES);
    match *op {
        Op::Map(page, count, shift, kind) => {
            let span = span(page, count);
            let pa = |page: u64| HOST_RAM + at(page) + shift * PAGE_SIZE;
            let size = (span.end - span.start) * PAGE_SIZE;
            let attributes = Attributes::new(MemoryKind::Normal, PERMISSIONS[kind]);
            let request = mapping(at(page), size, pa(page), attributes);
            let result = map(fake, tree, request);
            for page in span {
                if pages.contains_key(&page) {
                    let ipa = Ipa::new(at(page));
                    assert_eq!(result, Err(EditError::AlreadyMapped { ipa }));
                    return;
                }
                pages.insert(page, (pa(page), PERMISSIONS[kind]));
            }
            assert!(result.is_ok());
        }
        Op::Unmap(page, count) => {
            let span = span(page, count);
            let size = (span.end - span.start) * PAGE_SIZE;
            unmap(fake, tree, range(at(page), size)).unwrap();
            pages.retain(|page, _| !span.contains(page));
        }
        Op::Protect(page, count, kind) => {
            let span = span(page, count);
            let size = (span.end - span.start) * PAGE_SIZE;
            let result = protect(fake, tree, range(at(page), size), PERMISSIONS[kind]);
            for page in span {
                let Some((_, permissions)) = pages.get_mut(&page) else {
                    let ipa = Ipa::new(at(page));
                    assert_eq!(result, Err(EditError::NotMapped { ipa }));
                    return;
                };
                *permissions = PERMISSIONS[kind];
            }
            assert!(result.is_ok());
        }
        Op::Split(page) => match tree.split(&mut fake.clone(), Ipa::new(at(page) + 5)) {
            Ok(owed) => {
                assert!(pages.contains_key(&page));
                complete(fake, owed);
            }
            Err(_) => assert!(!pages.contains_key(&page)),
        },
        Op::Merge(page) => match tree.merge(&mut fake.clone(), Ipa::new(at(page))) {
            Ok(owed) => {
                complete(fake, owed);
                assert!(level(fake, tree, at(page)) < Some(Level::L3));
            }
            Err(error) => assert!(matches!(error, EditError::NotMergeable { .. })),
        },
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a11_random_edits_agree_with_a_map_of_pages_under_a_greedy_tlb(
        bits in prop::sample::select(vec![32_u32, 36, 40, 48]),
        ops in proptest::collection::vec(op(), 1..24),
        probes in proptest::collection::vec(0..PAGES, 4),
    ) {
        let fake = Fake::new();
        let geometry = Geometry::new(bits, 48).unwrap();
        let mut tree = Stage2::new(&mut fake.clone(), geometry).unwrap();
        fake.run(&tree);
        let mut pages = Pages::new();
        let mut probes: Vec<u64> = probes.iter().map(|page| BASE + page * PAGE_SIZE).collect();
        probes.extend((0..4).map(|block| BASE + block * BLOCK_2M));
        probes.push(BASE + BLOCK_2M - PAGE_SIZE);
        fake.probe(&probes);
        for op in &ops {
            apply(&fake, &mut tree, &mut pages, op);
            fake.0.borrow().check_coherent();
            for page in 0..PAGES {
                let ipa = Ipa::new(BASE + page * PAGE_SIZE);
                let got = tree
                    .translate(&fake, ipa)
                    .map(|translation| (translation.pa.get(), translation.attributes.permissions));
                prop_assert_eq!(got, pages.get(&page).copied(), "at {}", ipa);
            }
            for ipa in probes.iter().copied().map(Ipa::new) {
                let got = fake.access(ipa).map(|leaf| leaf.pa(ipa));
                prop_assert_eq!(got, tree.translate(&fake, ipa).map(|found| found.pa.get()));
            }
        }
        unmap(&fake, &mut tree, range(BASE, PAGES * PAGE_SIZE)).unwrap();
        prop_assert_eq!(fake.tables(), 1, "empty tables have stayed in the tree");
        destroy(&fake, tree);
        prop_assert_eq!(fake.tables(), 0);
    }
}

/// A reader of the crate documentation finds this: the whole life of a tree.
#[test]
fn the_life_of_a_tree() {
    let fake = Fake::new();
    let (mut memory, mut tlb) = (fake.clone(), fake.clone());
    let slot = slot();
    let geometry = Geometry::from_pa_range(2).unwrap();
    let mut tree = Stage2::new(&mut memory, geometry).unwrap();
    let mut rest = Some(mapping(GUEST_RAM, 512 << 20, HOST_RAM, Attributes::RAM));
    while let Some(mapping) = rest {
        rest = tree.map(&mut memory, mapping).unwrap();
    }
    let uart = mapping(0x900_0000, PAGE_SIZE, 0x900_0000, Attributes::DEVICE);
    assert_eq!(tree.map(&mut memory, uart), Ok(None));
    assert!(memory.read(tree.root(), 0) & 1 != 0);
    let mut rest = Some(range(GUEST_RAM, 512 << 20));
    while let Some(range) = rest {
        rest = tree
            .unmap(&mut memory, range)
            .unwrap()
            .complete(&slot, &mut tlb, &mut memory);
    }
    let mut teardown = tree.destroy(&slot, &mut tlb);
    while teardown.step(&mut memory) == TeardownProgress::More {}
    assert_eq!(fake.tables(), 0);
}

#[test]
fn rights_that_a_page_has_already_cost_nothing() {
    let fake = Fake::new();
    let mut tree = new_tree(&fake, 40);
    map_ram(&fake, &mut tree, GUEST_RAM, 4 * PAGE_SIZE);
    fake.take_events();
    let part = range(GUEST_RAM, 2 * PAGE_SIZE);
    let same = Attributes::RAM.permissions;
    protect(&fake, &mut tree, part, same).unwrap();
    assert_eq!(fake.take_events(), []);
}

#[test]
fn errors_name_what_was_wrong() {
    let ipa = Ipa::new(0x1000);
    let pa = Pa::new(0x2000);
    let at = range(0x3000, PAGE_SIZE);
    let cpu = addr::CpuId::new(7);
    let texts = [
        (EditError::AlreadyMapped { ipa }.to_string(), "0x1000"),
        (EditError::NotMapped { ipa }.to_string(), "0x1000"),
        (
            EditError::Unaligned { address: 0x1001 }.to_string(),
            "0x1001",
        ),
        (EditError::BeyondIpaSize { range: at }.to_string(), "0x3000"),
        (EditError::BeyondPaSize { pa }.to_string(), "0x2000"),
        (EditError::NoTableMemory { ipa }.to_string(), "0x1000"),
        (EditError::NotMergeable { ipa }.to_string(), "0x1000"),
        (EditError::InvalidationOwed.to_string(), "not completed"),
        (WalkError::BeyondIpaSize { ipa }.to_string(), "0x1000"),
        (
            WalkError::NotMapped {
                ipa,
                level: Level::L2,
            }
            .to_string(),
            "0x1000 is not mapped (L2)",
        ),
        (
            GeometryError::IpaBits {
                ipa_bits: 49,
                pa_bits: 48,
            }
            .to_string(),
            "49 bits on a machine of 48",
        ),
        (GeometryError::PaBits { pa_bits: 33 }.to_string(), "33"),
        (GeometryError::PaRange { field: 9 }.to_string(), "PARange 9"),
        (VmidError::TooManyCpus { cpus: 256 }.to_string(), "256 CPUs"),
        (VmidError::NoSuchCpu { cpu }.to_string(), "no CPU 7"),
    ];
    for (text, part) in texts {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_split_beyond_the_guest_s_addresses_is_refused() {
    let fake = Fake::new();
    let mut tree = new_tree(&fake, 40);
    let ipa = Ipa::new(1 << 40);
    let range = range(1 << 40, PAGE_SIZE);
    let refused = tree.split(&mut fake.clone(), ipa).err();
    assert_eq!(refused, Some(EditError::BeyondIpaSize { range }));
    let refused = tree.merge(&mut fake.clone(), ipa).err();
    assert_eq!(refused, Some(EditError::BeyondIpaSize { range }));
}

#[test]
fn a_step_of_a_teardown_looks_at_a_bounded_number_of_descriptors() {
    let fake = Fake::new();
    let mut tree = new_tree(&fake, 40);
    // Each of these takes a table of its own.
    for block in 0..16 {
        map_ram(&fake, &mut tree, GUEST_RAM + block * BLOCK_2M, PAGE_SIZE);
    }
    let mut teardown = tree.destroy(&slot(), &mut fake.clone());
    loop {
        fake.reset_counts();
        let progress = teardown.step(&mut fake.clone());
        let reads = fake.0.borrow().reads;
        assert!(
            reads <= STEP_DESCRIPTORS as usize + 8,
            "{reads} descriptors"
        );
        if progress == TeardownProgress::Done {
            return;
        }
    }
}
