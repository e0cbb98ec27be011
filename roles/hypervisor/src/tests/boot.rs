//! From the archive to running VMs.

use super::bench::*;
use bulkhead_core::vcpu_state::VcpuState;
use bulkhead_core::vm_state::VmState;

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
