//! Debian's kernel on several vCPUs: interrupts, hotplug, load, and fewer CPUs than vCPUs.

use std::time::Duration;
use system_tests::{ANSWER, BOOT, Console, Setup, Vm, load_time};

fn boot(test: &str, cpus: u16, limit: Duration) -> Console {
    let setup = Setup::new(cpus, vec![Vm::linux("linux").vcpus(4)]).limit(limit);
    let mut console = setup.start(test);
    console.expect_shell(4, BOOT);
    console
}

/// Returns the counts of the line of /proc/interrupts that contains `name`, one for each CPU.
fn interrupts(console: &mut Console, name: &str) -> Vec<u64> {
    let table = console.command("cat /proc/interrupts");
    let line = table
        .lines()
        .find(|line| line.contains(name))
        .unwrap_or_else(|| panic!("no {name} in\n{table}"));
    line.split_whitespace()
        .skip(1)
        .map_while(|count| count.parse().ok())
        .collect()
}

/// Keeps every vCPU busy, and watches for complaints.
fn load(console: &mut Console) {
    console.command("for i in 1 2 3 4; do while :; do :; done & done");
    console.watch(load_time());
    console.command_within("kill $(jobs -p); true", ANSWER);
    assert_eq!(console.command("nproc"), "4");
}

#[test]
fn timer_and_ipis_reach_every_cpu() {
    let mut console = boot(
        "timer_and_ipis_reach_every_cpu",
        4,
        Duration::from_secs(300),
    );
    for name in [
        "arch_timer",
        "Function call interrupts",
        "Rescheduling interrupts",
    ] {
        let before = interrupts(&mut console, name);
        assert_eq!(before.len(), 4, "{name}: {before:?}");
        // Work that moves between CPUs and wakes others.
        console.command("for i in 1 2 3 4 5 6 7 8; do (seq 1 2000 | sort -n | tail -n 1 >/dev/null) & done; wait");
        let after = interrupts(&mut console, name);
        assert!(after.iter().all(|count| *count > 0), "{name}: {after:?}");
        assert!(
            before.iter().sum::<u64>() < after.iter().sum(),
            "{name} stands still"
        );
    }
}

#[test]
fn cpus_go_off_and_come_back() {
    let mut console = boot("cpus_go_off_and_come_back", 4, Duration::from_secs(300));
    for round in 0..3 {
        for cpu in 1..4 {
            let file = format!("/sys/devices/system/cpu/cpu{cpu}/online");
            console.command(&format!("echo 0 > {file}"));
            assert_eq!(
                console.command("nproc"),
                "3",
                "round {round}, CPU {cpu} off"
            );
            console.command(&format!("echo 1 > {file}"));
            assert_eq!(console.command("nproc"), "4", "round {round}, CPU {cpu} on");
        }
    }
    for cpu in 1..4 {
        console.command(&format!("echo 0 > /sys/devices/system/cpu/cpu{cpu}/online"));
    }
    assert_eq!(console.command("nproc"), "1");
    console.type_line("poweroff -f");
    console.expect_orderly_end();
}

#[test]
fn load_on_4_vcpus_of_4_cpus_causes_no_stall() {
    let limit = load_time() + Duration::from_secs(240);
    let mut console = boot("load_on_4_vcpus_of_4_cpus_causes_no_stall", 4, limit);
    load(&mut console);
}

#[test]
fn load_on_4_vcpus_of_2_cpus_causes_no_stall() {
    let limit = load_time() + Duration::from_secs(240);
    let mut console = boot("load_on_4_vcpus_of_2_cpus_causes_no_stall", 2, limit);
    load(&mut console);
}

#[test]
fn load_on_4_vcpus_of_1_cpu_causes_no_stall() {
    let limit = load_time() + Duration::from_secs(240);
    let mut console = boot("load_on_4_vcpus_of_1_cpu_causes_no_stall", 1, limit);
    load(&mut console);
}
