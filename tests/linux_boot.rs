//! Debian's unmodified kernel boots, takes commands, resets and turns off.

use system_tests::{ANSWER, BOOT, Console, Setup, Vm};

fn boot(test: &str, cpus: u16, vcpus: u16) -> Console {
    let mut console = Setup::new(cpus, vec![Vm::linux("linux").vcpus(vcpus)]).start(test);
    console.expect_shell(vcpus, BOOT);
    console
}

fn boots_and_turns_off(test: &str, cpus: u16) {
    let mut console = boot(test, cpus, cpus);
    assert_eq!(console.command("nproc"), cpus.to_string());
    console.type_line("exit");
    console.expect_orderly_end();
}

#[test]
fn linux_boots_and_turns_off_on_1_cpu() {
    boots_and_turns_off("linux_boots_and_turns_off_on_1_cpu", 1);
}

#[test]
fn linux_boots_and_turns_off_on_2_cpus() {
    boots_and_turns_off("linux_boots_and_turns_off_on_2_cpus", 2);
}

#[test]
fn linux_boots_and_turns_off_on_4_cpus() {
    boots_and_turns_off("linux_boots_and_turns_off_on_4_cpus", 4);
}

#[test]
fn typed_commands_are_answered() {
    let mut console = boot("typed_commands_are_answered", 1, 1);
    assert_eq!(console.command("echo $((6 * 7))"), "42");
    // Longer than any FIFO on the way: flow control must hold back what is typed.
    let long = "0123456789".repeat(30);
    assert_eq!(console.command(&format!("echo {long} | wc -c")), "301");
    for number in 0..20 {
        assert_eq!(
            console.command(&format!("echo {number}")),
            number.to_string()
        );
    }
}

#[test]
fn output_is_not_lost() {
    let mut console = boot("output_is_not_lost", 1, 1);
    let lines = console.command("seq 1 3000");
    assert!(lines.lines().eq((1..=3000).map(|line| line.to_string())));
}

#[test]
fn time_passes_as_outside() {
    let mut console = boot("time_passes_as_outside", 1, 1);
    let start = std::time::Instant::now();
    console.command_within("sleep 10", ANSWER);
    let seconds = start.elapsed().as_secs();
    assert!((9..=15).contains(&seconds), "10 s took {seconds} s");
}

#[test]
fn linux_resets_into_a_fresh_boot() {
    if system_tests::is_native() {
        // The emulator is told to end at a reset of the machine itself.
        return;
    }
    let mut console = boot("linux_resets_into_a_fresh_boot", 2, 2);
    for _ in 0..2 {
        console.type_line("reboot -f");
        console.expect_shell(2, BOOT);
    }
    console.type_line("poweroff -f");
    console.expect_orderly_end();
}

#[test]
fn linux_knows_the_time_of_day() {
    let mut console = boot("linux_knows_the_time_of_day", 1, 1);
    let name = console.command("cat /sys/class/rtc/rtc0/name");
    assert!(name.starts_with("rtc-pl031"), "{name}");
    let guest: u64 = console
        .command("cat /sys/class/rtc/rtc0/since_epoch")
        .trim()
        .parse()
        .expect("the clock shows a number of seconds");
    let host = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("the host's clock is set")
        .as_secs();
    let difference = host.abs_diff(guest);
    assert!(difference <= 5, "guest {guest}, host {host}");
}
