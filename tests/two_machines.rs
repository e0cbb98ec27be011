//! Several VMs side by side: each console line says whose it is, and a crash stays with its VM.

use std::time::Duration;
use system_tests::{ANSWER, BOOT, OFF, Setup, Vm, is_native};

#[test]
fn both_boot_and_their_lines_are_marked() {
    if is_native() {
        return;
    }
    let vms = vec![Vm::linux("one").vcpus(2), Vm::linux("two").vcpus(2)];
    let mut console = Setup::new(2, vms).start("both_boot_and_their_lines_are_marked");
    console.expect("is up", BOOT);
    console.expect("is up", BOOT);
    let output = console.output();
    for mark in ["[one] guest: Linux", "[two] guest: Linux"] {
        assert!(output.contains(mark), "no {mark}");
    }
    // What is typed goes to the first VM, and to the second when that is off.
    console.marked_as("one");
    assert_eq!(console.command("nproc"), "2");
    console.type_line("exit");
    console.expect("bulkhead: VM one is off", ANSWER);
    console.marked_as("two");
    assert_eq!(console.command("nproc"), "2");
    console.type_line("exit");
    console.expect_orderly_end();
}

/// Runs a test guest that fails in its own way beside a Linux, which must not notice.
fn crash_beside_linux(test: &str, case: &str) {
    if is_native() {
        return;
    }
    let vms = vec![Vm::linux("linux").vcpus(2), Vm::test_guest("bad", case)];
    let mut console = Setup::new(2, vms).start(test);
    console.expect("is up", BOOT);
    console.marked_as("linux");
    console.command("true");
    assert!(
        console.output().contains("bulkhead: VM bad has crashed"),
        "no word of the crash"
    );
    console.watch(Duration::from_secs(10));
    assert_eq!(console.command("nproc"), "2");
    console.type_line("exit");
    let ending = console.expect_end(OFF);
    assert!(
        ending.errors.contains("1 of 2 VM(s) crashed"),
        "{}",
        ending.errors
    );
}

#[test]
fn a1_a_jump_to_nowhere_leaves_the_other_vm_running() {
    let test = "a1_a_jump_to_nowhere_leaves_the_other_vm_running";
    crash_beside_linux(test, "jump-unmapped");
}

#[test]
fn a1_a_load_from_nowhere_leaves_the_other_vm_running() {
    let test = "a1_a_load_from_nowhere_leaves_the_other_vm_running";
    crash_beside_linux(test, "access-outside-ram");
}

#[test]
fn i5_a_runaway_vm_on_the_same_cpu_leaves_the_other_running() {
    if is_native() {
        return;
    }
    let vms = vec![
        Vm::linux("linux").pinned(&[0]),
        Vm::test_guest("bad", "runaway").pinned(&[0]),
    ];
    let test = "i5_a_runaway_vm_on_the_same_cpu_leaves_the_other_running";
    let mut console = Setup::new(1, vms).start(test);
    console.expect("is up", 2 * BOOT);
    console.marked_as("linux");
    for _ in 0..5 {
        assert_eq!(console.command("nproc"), "1");
    }
    assert!(console.output().contains("[bad] test-guest: running away"));
}

#[test]
fn d4_a_reset_storm_stays_with_its_vm() {
    if is_native() {
        return;
    }
    let vms = vec![
        Vm::linux("linux").vcpus(2),
        Vm::test_guest("bad", "reset-loop"),
    ];
    let mut console = Setup::new(2, vms).start("d4_a_reset_storm_stays_with_its_vm");
    console.expect("is up", 2 * BOOT);
    console.marked_as("linux");
    assert_eq!(console.command("nproc"), "2");
    let resets = console
        .output()
        .matches("[bad] test-guest: about to reset")
        .count();
    assert!(resets > 2, "{resets} resets");
}

#[test]
fn sixteen_vms_run_side_by_side() {
    if is_native() {
        return;
    }
    let vms = (0..16)
        .map(|number| Vm::test_guest(&format!("vm-{number}"), "smp-hello").vcpus(2))
        .collect();
    let mut console = Setup::new(4, vms).start("sixteen_vms_run_side_by_side");
    console.expect("16 VM(s) ended in order, 0 crashed", BOOT);
    let output = console.output();
    for number in 0..16 {
        let line = format!("[vm-{number}] test-guest: smp-hello ok");
        assert!(output.contains(&line), "no {line}");
    }
    assert!(console.expect_end(OFF).status.success());
}
