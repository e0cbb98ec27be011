//! From the archive to running VMs.

use super::bench::*;
use addr::Ipa;
use bulkhead_core::vcpu_state::VcpuState;
use bulkhead_core::vm_state::VmState;
use machine::GuestMemory;
use memory_owner::{Owner, State};

#[test]
fn a_vm_is_loaded_and_its_first_vcpu_started() {
    let mut bench = Bench::new(&[Guest::new("alpha", 2)], 2);
    assert_eq!(bench.vm_state(0), VmState::Running);
    assert_eq!(bench.state(0, 0), VcpuState::Running);
    assert_eq!(bench.state(0, 1), VcpuState::Off);
    let images = &bench.vm(0).images;
    let kernel = bench.guest_bytes(0, images.entry, 4);
    assert_eq!(kernel, KERNEL_BYTES);
    let tree = bench.guest_bytes(0, images.device_tree.start(), 4);
    assert_eq!(
        tree,
        [0xd0, 0x0d, 0xfe, 0xed],
        "the magic number of device trees"
    );
    let frame = &bench.frames[bench.cpu_of(0, 0)];
    assert_eq!(frame.pc, images.entry.get());
    assert_eq!(frame.x[0], images.device_tree.start().get());
    assert_eq!(frame.x[1..], [0; 30]);
    assert_eq!(frame.pstate, 0x3c5);
    let output = bench.output();
    let summary = "bulkhead: 1 VM(s) with 2 vCPU(s) on 2 CPU(s)";
    assert!(output.starts_with(summary), "{output}");
    assert_eq!(output.lines().count(), 1);
    bench.check_rest();
}

#[test]
fn a6_a_vm_finds_zeros_where_ram_had_other_contents() {
    let mut bench = Bench::booted(&[Guest::new("alpha", 1)], 1);
    let pieces = bench.vm(0).memory.clone();
    let before = alloc::vec![0xa5; 0x10_0000];
    for piece in &pieces {
        for offset in (0..piece.size).step_by(before.len()) {
            let at = addr::Pa::new(piece.pa.get() + offset);
            bench.machines[0].write(at, &before).unwrap();
        }
        // It has not been zeroed, so that no guest may own it.
        let state = bench.hypervisor.memory.lock().state(piece.pa);
        assert_eq!(state, State::Owned(Owner::Hypervisor));
    }
    bench.start();
    assert_eq!(bench.vm_state(0), VmState::Running);
    let images = &bench.vm(0).images;
    let kernel = &images.copies[0];
    let written = [
        (kernel.target.get(), kernel.source.len()),
        (images.device_tree.start().get(), images.tree.bytes().len()),
    ];
    for piece in &pieces {
        let state = bench.hypervisor.memory.lock().state(piece.pa);
        assert_eq!(state, State::Owned(Owner::Vm(addr::VmId::new(0))));
        let bytes = bench.guest_bytes(0, Ipa::new(piece.start), piece.size);
        let stray = (piece.start..).zip(bytes).find(|&(ipa, byte)| {
            let of_image = |&(start, size): &(u64, usize)| {
                ipa.checked_sub(start).is_some_and(|at| at < size as u64)
            };
            byte != 0 && !written.iter().any(of_image)
        });
        assert_eq!(stray, None);
    }
}

#[test]
fn i2_a_step_of_a_load_is_bounded() {
    let mut bench = Bench::booted(&[Guest::new("alpha", 1), Guest::new("beta", 1)], 1);
    let sizes = |bench: &Bench| {
        let memory = bench.machines[0].memory.borrow();
        let all = memory.zeroed.iter().chain(&memory.published);
        all.map(|range| range.size()).max()
    };
    assert_eq!(
        sizes(&bench),
        None,
        "nothing is zeroed before a CPU looks for work"
    );
    bench.start();
    assert_eq!(bench.vm_state(1), VmState::Running);
    // What is published ends within a page.
    assert_eq!(sizes(&bench), Some(0x4_0000));
}

#[test]
fn a_reset_zeroes_nothing_and_builds_no_device_tree() {
    let mut bench = Bench::new(&[Guest::new("alpha", 1)], 1);
    let zeroed = bench.machines[0].memory.borrow().zeroed.len();
    let tree = bench.vm(0).images.tree.bytes().as_ptr();
    bench.hvc(0, &[0x8400_0009]);
    bench.settle();
    assert_eq!(bench.vm_state(0), VmState::Running);
    assert_eq!(bench.machines[0].memory.borrow().zeroed.len(), zeroed);
    assert_eq!(bench.vm(0).images.tree.bytes().as_ptr(), tree);
    bench.check_rest();
}

#[test]
fn each_start_finds_other_seeds() {
    let mut bench = Bench::new(&[Guest::new("alpha", 1)], 1);
    let tree = |bench: &Bench| {
        let place = bench.vm(0).images.device_tree;
        let size = bench.vm(0).images.tree.bytes().len() as u64;
        bench.guest_bytes(0, place.start(), size)
    };
    let first = tree(&bench);
    bench.hvc(0, &[0x8400_0009]);
    bench.settle();
    let second = tree(&bench);
    let different = first.iter().zip(&second).filter(|(a, b)| a != b).count();
    assert!((30..=40).contains(&different), "{different} bytes of seeds");
    let template = bench.vm(0).images.tree.bytes();
    let different = first.iter().zip(template).filter(|(a, b)| a != b).count();
    assert!((30..=40).contains(&different), "{different} bytes of seeds");
}
