//! VMIDs under random scheduling: no two VMs share a number at the same time, on any CPU or in any
//! TLB.

use crate::{VmidError, VmidSlot, VmidTable, VmidWidth};
use addr::CpuId;
use machine::{Invalidation, Tlb};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::vec;
use std::vec::Vec;

/// What each CPU's TLB holds under each number: entries of which VM.
#[derive(Debug)]
struct Tlbs {
    held: Vec<BTreeMap<u16, usize>>,
    /// Which VM each CPU runs, under which number.
    running: Vec<Option<(u16, usize)>>,
    log: Vec<Invalidation>,
}

impl Tlbs {
    fn new(cpus: usize) -> Self {
        Self {
            held: vec![BTreeMap::new(); cpus],
            running: vec![None; cpus],
            log: vec![],
        }
    }

    /// A CPU fetches entries for what it runs.
    fn fill(&mut self) {
        for (held, running) in self.held.iter_mut().zip(&self.running) {
            if let Some((vmid, vm)) = running {
                let old = held.insert(*vmid, *vm);
                assert!(
                    old.is_none_or(|old| old == *vm),
                    "VM {vm} uses translations of {old:?} under VMID {vmid}"
                );
            }
        }
    }
}

impl Tlb for Tlbs {
    fn invalidate(&mut self, invalidation: Invalidation) {
        self.log.push(invalidation);
        for held in &mut self.held {
            match invalidation {
                Invalidation::Range { .. } => {}
                Invalidation::Vmid { vmid } => drop(held.remove(&vmid)),
                Invalidation::All => held.clear(),
            }
        }
        // Whoever runs goes on filling its TLB.
        self.fill();
    }
}

fn cpu(index: usize) -> CpuId {
    CpuId::new(index as u16)
}

#[test]
fn a_current_vmid_needs_no_lock() {
    let (table, mut allocator) = VmidTable::new(VmidWidth::Sixteen, 2).unwrap();
    let mut tlb = Tlbs::new(2);
    let slot = VmidSlot::new();
    assert_eq!(slot.vmid(), None);
    assert!(!table.is_current(&slot));
    assert_eq!(table.activate(cpu(0), &slot), None);
    let vmid = allocator.activate(&table, cpu(0), &slot, &mut tlb).unwrap();
    assert_ne!(vmid, 0);
    assert!(table.is_current(&slot));
    assert_eq!(slot.vmid(), Some(vmid));
    assert_eq!(table.activate(cpu(1), &slot), Some(vmid));
    assert_eq!(table.activate(cpu(0), &slot), Some(vmid));
    assert_eq!(tlb.log, vec![Invalidation::Vmid { vmid }]);
    let nobody = CpuId::new(2);
    assert_eq!(table.activate(nobody, &slot), None);
    assert_eq!(
        allocator.activate(&table, nobody, &slot, &mut tlb),
        Err(VmidError::NoSuchCpu { cpu: nobody })
    );
}

#[test]
fn a_rollover_empties_all_tlbs_and_spares_what_runs() {
    for width in [VmidWidth::Eight, VmidWidth::Sixteen] {
        let (table, mut allocator) = VmidTable::new(width, 2).unwrap();
        let mut tlb = Tlbs::new(2);
        let pinned = VmidSlot::new();
        let kept = allocator
            .activate(&table, cpu(0), &pinned, &mut tlb)
            .unwrap();
        let slots: Vec<_> = (0..2 * width.numbers()).map(|_| VmidSlot::new()).collect();
        for slot in &slots {
            let vmid = allocator.activate(&table, cpu(1), slot, &mut tlb).unwrap();
            assert!(vmid != 0 && vmid != kept);
            assert!(usize::from(vmid) < width.numbers());
        }
        let all = tlb.log.iter().filter(|owed| **owed == Invalidation::All);
        assert_eq!(all.count(), 2);
        assert!(!table.is_current(&pinned) && !table.is_current(&slots[0]));
        // CPU 0 has not switched: it still runs the pinned VM. Another of its vCPUs gets the same.
        assert_eq!(table.activate(cpu(1), &pinned), None);
        assert_eq!(
            allocator.activate(&table, cpu(1), &pinned, &mut tlb),
            Ok(kept)
        );
        assert_eq!(pinned.vmid(), Some(kept));
    }
}

#[test]
fn there_are_more_numbers_than_cpus() {
    assert!(VmidTable::new(VmidWidth::Eight, 254).is_ok());
    assert_eq!(
        VmidTable::new(VmidWidth::Eight, 255).unwrap_err(),
        VmidError::TooManyCpus { cpus: 255 }
    );
    assert_eq!(VmidWidth::from_vmid_bits(0), VmidWidth::Eight);
    assert_eq!(VmidWidth::from_vmid_bits(2), VmidWidth::Sixteen);
    // All but two numbers are kept over every rollover.
    let (table, mut allocator) = VmidTable::new(VmidWidth::Eight, 254).unwrap();
    let mut tlb = Tlbs::new(254);
    let slots: Vec<_> = (0..700).map(|_| VmidSlot::new()).collect();
    for (index, slot) in slots.iter().enumerate() {
        let cpu = cpu(index % 254);
        allocator.activate(&table, cpu, slot, &mut tlb).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_two_vms_share_a_number(
        moves in proptest::collection::vec((0_usize..3, 0_usize..600, 0..8), 1..1500),
    ) {
        let (table, mut allocator) = VmidTable::new(VmidWidth::Eight, 3).unwrap();
        let slots: Vec<_> = (0..600).map(|_| VmidSlot::new()).collect();
        let mut tlb = Tlbs::new(3);
        for (index, vm, kind) in moves {
            // A few VMs run often, many seldom.
            let vm = if kind < 3 { vm % 4 } else { vm };
            if kind == 7 {
                tlb.running[index] = None;
                table.deactivate(cpu(index));
                continue;
            }
            let slot = &slots[vm];
            let vmid = match table.activate(cpu(index), slot) {
                Some(vmid) => vmid,
                None => allocator.activate(&table, cpu(index), slot, &mut tlb).unwrap(),
            };
            prop_assert_eq!(slot.vmid(), Some(vmid));
            tlb.running[index] = Some((vmid, vm));
            tlb.fill();
            for other in tlb.running.iter().flatten() {
                prop_assert_eq!(other.0 == vmid, other.1 == vm);
            }
        }
    }
}

#[test]
fn a_cpu_that_runs_no_vm_keeps_no_number_over_a_rollover() {
    for (stays, expected) in [(true, 2), (false, 1)] {
        let (table, mut allocator) = VmidTable::new(VmidWidth::Eight, 2).unwrap();
        let mut tlb = Tlbs::new(2);
        let first = VmidSlot::new();
        assert_eq!(allocator.activate(&table, cpu(1), &first, &mut tlb), Ok(1));
        if !stays {
            table.deactivate(cpu(1));
        }
        for number in 2..256 {
            let given = allocator.activate(&table, cpu(0), &VmidSlot::new(), &mut tlb);
            assert_eq!(given, Ok(number));
        }
        let given = allocator.activate(&table, cpu(0), &VmidSlot::new(), &mut tlb);
        assert_eq!(given, Ok(expected));
    }
}
