//! The test guest's cases: what a VM may rely on, checked from the inside.

use std::time::Duration;
use system_tests::{OFF, Setup, Vm, is_native};

/// How long a case may take.
const CASE: Duration = Duration::from_secs(90);

/// Runs a case, which must pass.
fn passes(case: &str, cpus: u16, vcpus: u16) {
    let test = format!("{case}_{vcpus}_on_{cpus}");
    // On the bare machine there are as many CPUs as vCPUs.
    let cpus = if is_native() { vcpus } else { cpus };
    let vm = Vm::test_guest("guest", case).vcpus(vcpus);
    let mut console = Setup::new(cpus, vec![vm]).start(&test);
    console.expect(&format!("test-guest: {case} ok"), CASE);
    console.expect_orderly_end();
}

/// Runs a case which must end with the VM being stopped.
fn is_stopped(case: &str, last_words: &str) {
    if is_native() {
        return;
    }
    let vm = Vm::test_guest("guest", case);
    let mut console = Setup::new(1, vec![vm]).start(case);
    console.expect(last_words, CASE);
    console.expect("bulkhead: VM guest stops: ", CASE);
    console.expect("bulkhead: VM guest has crashed", CASE);
    let ending = console.expect_end(OFF);
    assert!(
        ending.errors.contains("1 of 1 VM(s) crashed"),
        "{}",
        ending.errors
    );
}

macro_rules! cases {
    ($($test:ident: $case:literal, $vcpus:literal vCPUs on $cpus:literal;)*) => {
        $(
            #[test]
            fn $test() {
                passes($case, $cpus, $vcpus);
            }
        )*
    };
}

cases! {
    hello: "hello", 1 vCPUs on 1;
    smp_hello_on_4_cpus: "smp-hello", 4 vCPUs on 4;
    smp_hello_on_1_cpu: "smp-hello", 4 vCPUs on 1;
    psci_calls: "psci-calls", 1 vCPUs on 1;
    sgi_self: "sgi-self", 1 vCPUs on 1;
    sgi_others_on_2_cpus: "sgi-others", 4 vCPUs on 2;
    sgi_others_on_1_cpu: "sgi-others", 2 vCPUs on 1;
    timer_irq: "timer-irq", 1 vCPUs on 1;
    timer_preempt_on_1_cpu: "timer-preempt", 2 vCPUs on 1;
    timer_preempt_on_2_cpus: "timer-preempt", 2 vCPUs on 2;
    wfi_wake_alone: "wfi-wake", 1 vCPUs on 1;
    wfi_wake_beside_another: "wfi-wake", 2 vCPUs on 1;
    c5_fp_registers_on_1_cpu: "fp-registers", 4 vCPUs on 1;
    c5_fp_registers_on_2_cpus: "fp-registers", 4 vCPUs on 2;
    c2_undefined: "undefined", 1 vCPUs on 1;
    c1_system_register_reads: "sysreg-reads", 1 vCPUs on 1;
    a1_access_outside_ram_is_an_abort: "access-outside-ram-handled", 1 vCPUs on 1;
    b4_loads_from_a_device: "mmio-loads", 1 vCPUs on 1;
}

#[test]
fn c6_d1_psci_abuse() {
    // QEMU's own PSCI is laxer.
    if !is_native() {
        passes("psci-abuse", 1, 1);
    }
}

#[test]
fn a8_accesses_without_syndrome_are_aborts() {
    // Without a hypervisor nothing traps.
    if !is_native() {
        passes("mmio-without-syndrome", 1, 1);
    }
}

#[test]
fn a1_a_jump_to_nowhere_stops_the_vm() {
    is_stopped("jump-unmapped", "jumping to nowhere");
}

#[test]
fn a1_a_load_from_nowhere_stops_the_vm() {
    is_stopped("access-outside-ram", "loading from nowhere");
}

#[test]
fn d4_a_vm_resets_again_and_again() {
    if is_native() {
        return;
    }
    let vm = Vm::test_guest("guest", "reset-loop");
    let mut console = Setup::new(1, vec![vm]).start("d4_a_vm_resets_again_and_again");
    for _ in 0..20 {
        console.expect("about to reset", CASE);
    }
}
