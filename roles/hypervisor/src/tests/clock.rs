//! The guest's real-time clock: its alarm, and the time of day.

use super::bench::*;
use crate::epoch;
use addr::{CpuId, Width};
use bulkhead_core::vcpu_state::VcpuState;
use machine_fakes::FakeMachine;

const RTC: u64 = 0x0901_0000;
const DATA: u64 = RTC;
const MATCH: u64 = RTC + 4;
const MASK: u64 = RTC + 0x10;
const RAW: u64 = RTC + 0x14;
const CLEAR: u64 = RTC + 0x1c;
/// SPI 2.
const INTERRUPT: u32 = 34;
/// The fake machine's counter, in ticks of a second.
const SECOND: u64 = 62_500_000;
const SYSTEM_RESET: u64 = 0x8400_0009;

/// Opens the way of the clock's interrupt to vCPU 0 of the VM that `cpu` runs.
fn enable_alarm(bench: &mut Bench, cpu: usize) {
    bench.enable_interrupts(cpu);
    bench.write(cpu, 0x0800_0084, 1 << 2);
    bench.write(cpu, 0x0800_0104, 1 << 2);
    bench.write(cpu, MASK, 1);
}

fn set_alarm(bench: &mut Bench, cpu: usize, seconds: u64) {
    let now = bench.read(cpu, DATA);
    bench.write(cpu, MATCH, now + seconds);
}

#[test]
fn the_alarm_interrupts_a_vcpu_that_runs() {
    let mut bench = Bench::new(&[Guest::new("alpha", 1)], 1);
    enable_alarm(&mut bench, 0);
    set_alarm(&mut bench, 0, 2);
    bench.advance(SECOND);
    bench.settle();
    assert!(bench.take_interrupts(0).is_empty(), "too early");
    bench.advance(SECOND);
    bench.settle();
    assert_eq!(bench.acknowledge(0), [INTERRUPT]);
    assert_eq!(bench.read(0, RAW), 1);
    bench.write(0, CLEAR, 1);
    bench.end(0);
    bench.settle();
    assert!(bench.take_interrupts(0).is_empty(), "once");
    bench.check_rest();
}

#[test]
fn the_alarm_wakes_a_vcpu_that_sleeps() {
    let mut bench = Bench::new(&[Guest::new("alpha", 2)], 1);
    enable_alarm(&mut bench, 0);
    set_alarm(&mut bench, 0, 1);
    assert_eq!(bench.wfi(0), Came::Idle);
    assert_eq!(bench.state(0, 0), VcpuState::Waiting);
    assert!(bench.machines[0].clock.deadline.is_some());
    bench.advance(SECOND);
    bench.settle();
    assert_eq!(bench.running(0), Some(id(0, 0)));
    assert_eq!(bench.take_interrupts(0), [INTERRUPT]);
    bench.check();
}

#[test]
fn an_alarm_that_is_moved_or_passed_by_another_cpu_comes_once_and_in_time() {
    let mut bench = Bench::new(&[Guest::new("alpha", 2)], 2);
    enable_alarm(&mut bench, 0);
    bench.cpu_on(0, 1);
    let other = bench.cpu_of(0, 1);
    let first = bench.cpu_of(0, 0);
    set_alarm(&mut bench, first, 2);
    set_alarm(&mut bench, other, 5);
    bench.advance(3 * SECOND);
    bench.settle();
    assert!(
        bench.take_interrupts(first).is_empty(),
        "the first deadline is out of date"
    );
    bench.advance(2 * SECOND);
    bench.settle();
    assert_eq!(bench.acknowledge(first), [INTERRUPT]);
    bench.write(first, CLEAR, 1);
    bench.end(first);
    bench.settle();
    assert!(bench.take_interrupts(first).is_empty());
    for cpu in &bench.cpus {
        assert_eq!(cpu.device_timers.earliest(), None);
    }
    bench.check_rest();
}

#[test]
fn a_guest_that_sets_its_alarm_for_ever_holds_one_deadline() {
    let mut bench = Bench::new(&[Guest::new("alpha", 1)], 1);
    for seconds in 1..1000 {
        set_alarm(&mut bench, 0, seconds);
    }
    set_alarm(&mut bench, 0, 1);
    bench.advance(SECOND);
    bench.settle();
    assert_eq!(bench.cpus[0].device_timers.earliest(), None);
    assert_eq!(bench.read(0, RAW), 1);
    bench.check_rest();
}

#[test]
fn a_reset_disarms_the_alarm() {
    let mut bench = Bench::new(&[Guest::new("alpha", 1)], 1);
    enable_alarm(&mut bench, 0);
    set_alarm(&mut bench, 0, 1000);
    bench.hvc(0, &[SYSTEM_RESET]);
    bench.settle();
    let cpu = bench.cpu_of(0, 0);
    enable_alarm(&mut bench, cpu);
    bench.advance(1001 * SECOND);
    bench.settle();
    assert!(bench.take_interrupts(cpu).is_empty());
    assert_eq!(bench.read(cpu, RAW), 0);
    assert_eq!(bench.cpus[cpu].device_timers.earliest(), None);
    bench.check_rest();
}

#[test]
fn an_alarm_of_a_vm_that_is_off_is_dropped() {
    let guests = [Guest::new("alpha", 1), Guest::new("beta", 1)];
    let mut bench = Bench::new(&guests, 2);
    let cpu = bench.cpu_of(0, 0);
    enable_alarm(&mut bench, cpu);
    set_alarm(&mut bench, cpu, 1000);
    bench.hvc(cpu, &[0x8400_0008]);
    bench.settle();
    bench.advance(1001 * SECOND);
    bench.settle();
    assert_eq!(bench.cpus[cpu].device_timers.earliest(), None);
    assert_eq!(bench.state(0, 0), VcpuState::Off);
    for attached in &bench.vm(0).devices {
        let level = attached.slot.lock().level();
        assert_eq!(level, device_model::Level::Low, "its devices rest");
    }
    bench.check_rest();
}

#[test]
fn the_epoch_is_the_time_of_day_less_the_counter() {
    let mut machine = FakeMachine::new(CpuId::new(0));
    machine.clock.now = 3 * SECOND;
    assert_eq!(epoch(&machine, 1_800_000_000), 1_799_999_997_000_000_000);
    assert_eq!(epoch(&machine, u32::MAX), 4_294_967_292_000_000_000);
    assert_eq!(epoch(&machine, 2), 0, "the clock was never set");
}

#[test]
fn the_guest_reads_words_of_its_clock() {
    let mut bench = Bench::new(&[Guest::new("alpha", 1)], 1);
    let before = bench.read(0, DATA);
    bench.advance(7 * SECOND);
    assert_eq!(bench.read(0, DATA), before + 7);
    let wide = bench.access(0, DATA, Width::Double, None);
    assert!(matches!(wide, Access::Abort(_)), "{wide:?}");
    bench.check_rest();
}
