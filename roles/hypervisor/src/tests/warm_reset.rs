//! What a warm reset means, as the VM's description says.

use super::bench::*;
use bulkhead_core::vm_state::VmState;
use manifest::WarmReset;

const SYSTEM_RESET: u64 = 0x8400_0009;
const SYSTEM_RESET2: u64 = 0xc400_0012;

/// Two VMs with a CPU each; what a warm reset of the first means.
fn bench(meaning: WarmReset) -> Bench {
    let first = Guest::new("alpha", 1).warm_reset(meaning);
    let mut bench = Bench::new(&[first, Guest::new("beta", 1)], 2);
    // The CPU that loads the second VM runs the first one meanwhile, a slice at a time.
    for _ in 0..100 {
        bench.advance(10_000_000);
        bench.settle();
    }
    assert_eq!(bench.vm_state(1), VmState::Running);
    bench.output();
    bench
}

#[test]
fn a_warm_reset_that_stands_for_a_panic_stops_the_vm_and_keeps_it() {
    let mut bench = bench(WarmReset::Crash);
    let cpu = bench.cpu_of(0, 0);
    bench.frames[cpu].pc = 0x1234_5678;
    bench.hvc(cpu, &[SYSTEM_RESET2, 0]);
    bench.settle();
    assert_eq!(bench.vm_state(0), VmState::Crashed);
    let output = bench.output();
    for part in [
        "VM alpha stops: it asked for a warm reset, which counts as a kernel panic",
        "PC 0x0000000012345678",
        "VM alpha has crashed and stays stopped",
    ] {
        assert!(output.contains(part), "{part}: {output}");
    }
    assert_eq!(bench.vm_state(1), VmState::Running, "the other goes on");
    bench.check_rest();
}

#[test]
fn a_warm_reset_is_a_reset_otherwise() {
    let mut bench = bench(WarmReset::Reset);
    let cpu = bench.cpu_of(0, 0);
    bench.hvc(cpu, &[SYSTEM_RESET2, 0]);
    bench.settle();
    assert_eq!(bench.vm_state(0), VmState::Running);
    let output = bench.output();
    assert!(output.contains("VM alpha resets"), "{output}");
    assert!(!output.contains("stops: "), "{output}");
    bench.check_rest();
}

#[test]
fn an_ordinary_reset_never_counts_as_a_panic() {
    let mut bench = bench(WarmReset::Crash);
    let cpu = bench.cpu_of(0, 0);
    bench.hvc(cpu, &[SYSTEM_RESET]);
    bench.settle();
    assert_eq!(bench.vm_state(0), VmState::Running);
    let output = bench.output();
    assert!(output.contains("VM alpha resets"), "{output}");
    bench.check_rest();
}

#[test]
fn d4_other_types_of_reset_are_refused_whatever_a_warm_one_means() {
    for meaning in WarmReset::ALL {
        let mut bench = bench(meaning);
        let cpu = bench.cpu_of(0, 0);
        for (reset_type, answer) in [(1, -2), (0x7fff_ffff, -2), (0x8000_0000, -1)] {
            assert_eq!(bench.call(cpu, &[SYSTEM_RESET2, reset_type]), answer);
        }
        assert_eq!(bench.vm_state(0), VmState::Running);
    }
}
