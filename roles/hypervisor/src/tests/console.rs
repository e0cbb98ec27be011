//! The operator's line.

use super::bench::*;
use addr::Width;
use alloc::string::String;

const DATA: u64 = 0x0900_0000;
const FLAGS: u64 = 0x0900_0018;
const LINE_CONTROL: u64 = 0x0900_002c;
const CONTROL: u64 = 0x0900_0030;
/// How long an unfinished line is held back: 100 ms.
const PATIENCE: u64 = 62_500_000 / 10;

fn two() -> Bench {
    let mut bench = Bench::new(&[Guest::new("alpha", 1), Guest::new("beta", 1)], 2);
    for vm in 0..2 {
        let cpu = bench.cpu_of(vm, 0);
        open(&mut bench, cpu);
    }
    let _ = bench.output();
    bench
}

/// Enables the UART of the VM that a CPU runs, with its receiver.
fn open(bench: &mut Bench, cpu: usize) {
    bench.write(cpu, CONTROL, 0x301);
}

fn say(bench: &mut Bench, cpu: usize, text: &str) {
    for byte in text.bytes() {
        let _ = bench.access(cpu, DATA, Width::Byte, Some(u64::from(byte)));
    }
}

fn typed(bench: &mut Bench, text: &str) {
    bench.machines[0].console.input.extend(text.bytes());
    bench.raise(0, CONSOLE);
    bench.settle();
}

/// Reads what the UART of the VM that a CPU runs has received.
fn received(bench: &mut Bench, cpu: usize) -> String {
    let mut text = String::new();
    while bench.read(cpu, FLAGS) & 1 << 4 == 0 {
        text.push(char::from(u8::try_from(bench.read(cpu, DATA)).unwrap()));
    }
    text
}

#[test]
fn the_bytes_of_a_single_vm_go_out_as_they_are() {
    let mut bench = Bench::new(&[Guest::new("alpha", 1)], 1);
    let _ = bench.output();
    say(&mut bench, 0, "a\r\nb\x1b[m");
    assert_eq!(bench.output(), "a\r\nb\x1b[m");
    bench.check_rest();
}

#[test]
fn lines_of_several_vms_carry_their_names() {
    let mut bench = two();
    let cpus = [bench.cpu_of(0, 0), bench.cpu_of(1, 0)];
    say(&mut bench, cpus[0], "hel");
    say(&mut bench, cpus[1], "good");
    say(&mut bench, cpus[0], "lo\r\n");
    assert_eq!(bench.output(), "[alpha] hello\r\n");
    say(&mut bench, cpus[1], "bye\n\n");
    assert_eq!(bench.output(), "[beta] goodbye\r\n[beta] \r\n");
    bench.check_rest();
}

#[test]
fn an_unfinished_line_goes_out_after_a_while() {
    let mut bench = two();
    let cpu = bench.cpu_of(1, 0);
    say(&mut bench, cpu, "login: ");
    bench.advance(PATIENCE - 1);
    bench.settle();
    assert_eq!(bench.output(), "");
    bench.advance(1);
    bench.settle();
    assert_eq!(bench.output(), "[beta] login: ");
    // The same line goes on without another mark, and ends when somebody else speaks.
    say(&mut bench, cpu, "root\npassword: ");
    bench.advance(PATIENCE);
    bench.settle();
    assert_eq!(bench.output(), "root\r\n[beta] password: ");
    // A CPU that goes to sleep does not wait for that.
    let cpu = bench.cpu_of(0, 0);
    say(&mut bench, cpu, "good night");
    let _ = bench.hvc(cpu, &[0x8400_0002]);
    assert!(
        bench
            .output()
            .starts_with("\r\n[alpha] good night\r\nbulkhead: ")
    );
    bench.check_rest();
}

#[test]
fn f12_a_line_without_an_end_is_cut() {
    let mut bench = two();
    let cpu = bench.cpu_of(0, 0);
    let long = "x".repeat(500);
    say(&mut bench, cpu, &long);
    say(&mut bench, cpu, "\n");
    let output = bench.output();
    assert!(output.lines().all(|line| line.len() <= 170));
    assert!(output.lines().all(|line| line.starts_with("[alpha] ")));
    assert_eq!(output.matches('x').count(), 500);
    bench.check_rest();
}

#[test]
fn what_is_typed_goes_to_the_first_vm() {
    let mut bench = two();
    let cpus = [bench.cpu_of(0, 0), bench.cpu_of(1, 0)];
    bench.write(cpus[0], LINE_CONTROL, 1 << 4);
    typed(&mut bench, "root\n");
    assert_eq!(received(&mut bench, cpus[0]), "root\n");
    assert_eq!(received(&mut bench, cpus[1]), "");
    // When that has ended, to the next one.
    let _ = bench.hvc(cpus[0], &[0x8400_0008]);
    bench.settle();
    bench.write(cpus[1], LINE_CONTROL, 1 << 4);
    typed(&mut bench, "beta's");
    assert_eq!(received(&mut bench, cpus[1]), "beta's");
    bench.check_rest();
}

#[test]
fn what_the_guest_has_no_room_for_waits() {
    let mut bench = two();
    let cpu = bench.cpu_of(0, 0);
    let text = "0123456789".repeat(20);
    typed(&mut bench, &text);
    assert_eq!(received(&mut bench, cpu), text, "one byte of room");
    // Nothing is typed into a UART that is off; it comes when that is on.
    bench.write(cpu, CONTROL, 0);
    typed(&mut bench, &text);
    open(&mut bench, cpu);
    assert_eq!(received(&mut bench, cpu), text);
    bench.check_rest();
}

#[test]
fn i1_only_so_much_typed_is_kept() {
    let mut bench = two();
    let cpu = bench.cpu_of(0, 0);
    for _ in 0..10 {
        typed(&mut bench, &"y".repeat(1000));
    }
    let got = received(&mut bench, cpu);
    assert!((1024..=1025).contains(&got.len()), "{}", got.len());
    bench.check_rest();
}

#[test]
fn what_was_typed_for_one_vm_is_never_anothers() {
    let mut bench = two();
    let cpus = [bench.cpu_of(0, 0), bench.cpu_of(1, 0)];
    typed(&mut bench, "secret");
    // The other VM makes room as best it can.
    bench.write(cpus[1], CONTROL, 0);
    open(&mut bench, cpus[1]);
    assert_eq!(received(&mut bench, cpus[1]), "");
    // Not even when the first one resets or ends.
    let _ = bench.hvc(cpus[0], &[0x8400_0009]);
    typed(&mut bench, "!");
    bench.write(cpus[1], CONTROL, 0);
    open(&mut bench, cpus[1]);
    assert_eq!(received(&mut bench, cpus[1]), "");
    bench.settle();
    let cpu = bench.cpu_of(0, 0);
    open(&mut bench, cpu);
    let got = received(&mut bench, cpu);
    assert!("secret!".ends_with(&got) && got.ends_with('!'), "{got:?}");
    bench.write(cpu, CONTROL, 0);
    typed(&mut bench, "more");
    let _ = bench.hvc(cpu, &[0x8400_0008]);
    bench.settle();
    typed(&mut bench, "for beta");
    let cpu = bench.cpu_of(1, 0);
    assert_eq!(received(&mut bench, cpu), "for beta");
    bench.check_rest();
}

#[test]
fn a_received_byte_interrupts_the_guest() {
    let mut bench = two();
    let cpu = bench.cpu_of(0, 0);
    bench.enable_interrupts(cpu);
    bench.write(cpu, 0x0800_0084, 1 << 1);
    bench.write(cpu, 0x0800_0104, 1 << 1);
    // UARTIMSC: receive and its timeout.
    bench.write(cpu, 0x0900_0038, 1 << 4 | 1 << 6);
    let _ = bench.wfi(cpu);
    typed(&mut bench, "k");
    let cpu = bench.cpu_of(0, 0);
    assert_eq!(bench.acknowledge(cpu), [33]);
    assert_eq!(received(&mut bench, cpu), "k");
    bench.end(cpu);
    bench.settle();
    assert!(bench.take_interrupts(cpu).is_empty(), "the wire is low");
    bench.check_rest();
}
