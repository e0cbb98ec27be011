//! A guest that panics is stopped, with a record of why.

use system_tests::{ANSWER, BOOT, OFF, Setup, Vm, is_native};

#[test]
fn a_kernel_panic_stops_the_vm_with_a_post_mortem() {
    let setup = Setup::new(2, vec![Vm::linux("linux").vcpus(2)]);
    let mut console = setup.start("a_kernel_panic_stops_the_vm_with_a_post_mortem");
    console.expect_shell(2, BOOT);
    console.allow("Kernel panic");
    console.allow("Internal error");
    console.allow("Unable to handle kernel");
    console.allow("BUG:");
    console.type_line("echo c > /proc/sysrq-trigger");
    console.expect("Kernel panic - not syncing", ANSWER);
    if is_native() {
        return;
    }
    console.expect("bulkhead: VM linux stops: ", ANSWER);
    console.expect("PC 0x", ANSWER);
    console.expect("bulkhead: VM linux has crashed", ANSWER);
    let ending = console.expect_end(OFF);
    assert!(!ending.status.success());
    assert!(
        ending.errors.contains("1 of 1 VM(s) crashed"),
        "{}",
        ending.errors
    );
}
