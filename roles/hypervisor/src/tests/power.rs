//! PSCI for the vCPUs of a VM.

use super::bench::*;
use bulkhead_core::vcpu_state::{VcpuEdge, VcpuState};
use bulkhead_core::vm_state::VmState;
use machine::Frame;

const CPU_SUSPEND: u64 = 0xc400_0001;
const CPU_OFF: u64 = 0x8400_0002;
const CPU_ON: u64 = 0xc400_0003;
const AFFINITY_INFO: u64 = 0xc400_0004;
const SYSTEM_RESET2: u64 = 0xc400_0012;
const SYSTEM_SUSPEND: u64 = 0xc400_000e;
const NOT_SUPPORTED: i64 = -1;
const INVALID_PARAMETERS: i64 = -2;
const DENIED: i64 = -3;
const ALREADY_ON: i64 = -4;
const ON_PENDING: i64 = -5;
const INVALID_ADDRESS: i64 = -9;

/// Returns a state of CPU_SUSPEND that powers down.
fn power_down() -> u64 {
    let powers_down = |argument: &u32| {
        smccc_dispatch::PowerState::from_argument(*argument)
            .is_some_and(|state| state.level == smccc_dispatch::PowerLevel::PowerDown)
    };
    let state = (0..32).map(|bit| 1 << bit).find(powers_down);
    u64::from(state.unwrap())
}

fn bench() -> Bench {
    Bench::new(&[Guest::new("alpha", 3)], 3)
}

#[test]
fn d1_cpu_on_checks_target_and_entry() {
    let mut bench = bench();
    let entry = bench.entry(0);
    for (target, at, answer) in [
        (0, entry, ALREADY_ON),
        (3, entry, INVALID_PARAMETERS),
        (0x100, entry, INVALID_PARAMETERS),
        (1 << 32, entry, INVALID_PARAMETERS),
        (1 << 31, entry, INVALID_PARAMETERS),
        (u64::MAX, entry, INVALID_PARAMETERS),
        (1, entry + 2, INVALID_ADDRESS),
        (1, 0, INVALID_ADDRESS),
        (1, 0x0900_0000, INVALID_ADDRESS),
        (1, 0x4040_0000, INVALID_ADDRESS),
        (1, u64::MAX - 3, INVALID_ADDRESS),
    ] {
        let got = bench.call(0, &[CPU_ON, target, at, 0]);
        assert_eq!(got, answer, "target {target:#x}, entry {at:#x}");
        assert_eq!(bench.alive(0), 1);
    }
    bench.check_rest();
}

#[test]
fn cpu_on_starts_from_the_reset_state() {
    let mut bench = bench();
    let at = bench.entry(0) + 0x40;
    assert_eq!(bench.call(0, &[CPU_ON, 1, at, 0x1234]), 0);
    assert_eq!(bench.state(0, 1), VcpuState::Ready);
    assert_eq!(bench.call(0, &[AFFINITY_INFO, 1, 0]), 0, "on");
    bench.check();
    bench.settle();
    let cpu = bench.cpu_of(0, 1);
    assert_ne!(cpu, 0);
    let mut expected = Frame {
        pc: at,
        pstate: 0x3c5,
        ..Frame::default()
    };
    expected.x[0] = 0x1234;
    assert_eq!(*bench.frames[cpu], expected);
    let el1 = bench.machines[cpu].world.el1;
    assert_eq!(el1.sctlr_el1, 0x30d0_0800);
    assert_eq!((el1.vbar_el1, el1.ttbr0_el1, el1.tpidr_el1), (0, 0, 0));
    let world = bench.machines[cpu].world.control.unwrap();
    assert_eq!(world.affinity.get() & 0xff, 1);
    bench.check_rest();
}

#[test]
fn d2_only_one_of_two_cpu_ons_succeeds() {
    let mut bench = bench();
    let entry = bench.entry(0);
    bench.cpu_on(0, 1);
    let other = bench.cpu_of(0, 1);
    assert_eq!(bench.call(0, &[CPU_ON, 2, entry, 1]), 0);
    assert_eq!(bench.call(other, &[CPU_ON, 2, entry, 2]), ALREADY_ON);
    bench.settle();
    let started = bench.cpu_of(0, 2);
    assert_eq!(bench.frames[started].x[0], 1);
    assert_eq!(bench.alive(0), 3);
    bench.check_rest();
}

#[test]
fn d2_d6_while_another_cpu_prepares_a_vcpu_it_is_pending() {
    let mut bench = bench();
    let entry = bench.entry(0);
    let place = &bench.vm(0).places[1];
    place.life.take(VcpuEdge::PowerOn).unwrap();
    assert_eq!(bench.call(0, &[CPU_ON, 1, entry, 0]), ON_PENDING);
    assert_eq!(bench.call(0, &[AFFINITY_INFO, 1, 0]), 2);
    place.life.take(VcpuEdge::GiveUp).unwrap();
    assert_eq!(bench.call(0, &[AFFINITY_INFO, 1, 0]), 1);
    bench.check_rest();
}

#[test]
fn d6_affinity_info_follows_the_vcpu_and_checks_its_arguments() {
    let mut bench = bench();
    for (target, level, answer) in [
        (0, 0, 0),
        (1, 0, 1),
        (3, 0, INVALID_PARAMETERS),
        (1 << 40, 0, INVALID_PARAMETERS),
        (1 << 63, 0, INVALID_PARAMETERS),
        (0, 1, INVALID_PARAMETERS),
        (0, u64::MAX, INVALID_PARAMETERS),
    ] {
        let got = bench.call(0, &[AFFINITY_INFO, target, level]);
        assert_eq!(got, answer, "{target:#x} {level:#x}");
    }
    bench.cpu_on(0, 1);
    let other = bench.cpu_of(0, 1);
    assert_eq!(bench.call(0, &[AFFINITY_INFO, 1, 0]), 0);
    assert_eq!(bench.hvc(other, &[CPU_OFF]), Came::Idle);
    assert_eq!(bench.call(0, &[AFFINITY_INFO, 1, 0]), 1);
    bench.check_rest();
}

#[test]
fn a_vcpu_can_be_turned_off_and_on_again() {
    let mut bench = bench();
    for round in 1..4 {
        bench.cpu_on(0, 1);
        let cpu = bench.cpu_of(0, 1);
        bench.frames[cpu].x = [0x5555; 31];
        bench.machines[cpu].world.el1.tpidr_el1 = 0x5555;
        let _ = bench.register(cpu, trap::SysRegId::OSLAR_EL1, Some(0));
        let open = 0xff << 24 | 0b11;
        assert_eq!(bench.machines[cpu].interface.machine_control & open, 0);
        bench.machines[cpu].interface.machine_control = 0xff << 24 | 1 << 1;
        assert_eq!(bench.hvc(cpu, &[CPU_OFF]), Came::Idle, "round {round}");
        assert_eq!(bench.alive(0), 1);
        bench.check_rest();
    }
    bench.cpu_on(0, 1);
    let cpu = bench.cpu_of(0, 1);
    assert_eq!(bench.frames[cpu].x, [0; 31]);
    assert_eq!(bench.machines[cpu].world.el1.tpidr_el1, 0);
    let status = bench.register(cpu, trap::SysRegId::OSLSR_EL1, None);
    assert_eq!(status, Some(0b1010), "the OS lock is locked again");
}

#[test]
fn d3_cpu_off_of_the_last_vcpu_ends_the_vm() {
    let mut bench = bench();
    bench.cpu_on(0, 1);
    assert_eq!(bench.hvc(0, &[CPU_OFF]), Came::Idle);
    assert_eq!(bench.vm_state(0), VmState::Running);
    let cpu = bench.cpu_of(0, 1);
    let _ = bench.output();
    assert_eq!(bench.hvc(cpu, &[CPU_OFF]), Came::Idle);
    assert_eq!(bench.vm_state(0), VmState::Off);
    assert_eq!(
        bench.output(),
        "bulkhead: VM alpha is off\r\nbulkhead: in use: 0 bytes of heap, 0 pages of tables\r\n\
         bulkhead: machine off: 1 VM(s) ended in order, 0 crashed\r\n"
    );
    bench.settle();
    bench.check_rest();
}

#[test]
fn d4_reset2_knows_the_warm_reset_alone() {
    let mut bench = bench();
    for (kind, answer) in [
        (1, INVALID_PARAMETERS),
        (0x7fff_ffff, INVALID_PARAMETERS),
        (0x8000_0000, NOT_SUPPORTED),
        (0xffff_ffff, NOT_SUPPORTED),
    ] {
        assert_eq!(bench.call(0, &[SYSTEM_RESET2, kind]), answer, "{kind:#x}");
    }
    assert_eq!(bench.vm_state(0), VmState::Running);
    let _ = bench.hvc(0, &[SYSTEM_RESET2, 0]);
    assert!(bench.output().contains("VM alpha resets"));
    bench.settle();
    assert_eq!(bench.vm_state(0), VmState::Running);
    bench.check_rest();
}

#[test]
fn d5_suspend_checks_state_and_entry() {
    let mut bench = bench();
    let entry = bench.entry(0);
    for (state, at, answer) in [
        (1 << 31, entry, INVALID_PARAMETERS),
        (1 << 26, entry, INVALID_PARAMETERS),
        (power_down(), 0, INVALID_ADDRESS),
        (power_down(), entry + 1, INVALID_ADDRESS),
        (power_down(), 0x0800_0000, INVALID_ADDRESS),
    ] {
        let got = bench.call(0, &[CPU_SUSPEND, state, at, 0]);
        assert_eq!(got, answer, "state {state:#x}, entry {at:#x}");
    }
    assert_eq!(bench.call(0, &[SYSTEM_SUSPEND, 0, 0]), INVALID_ADDRESS);
    bench.cpu_on(0, 1);
    assert_eq!(bench.call(0, &[SYSTEM_SUSPEND, entry, 0]), DENIED);
    bench.check_rest();
}

#[test]
fn d5_standby_returns_with_success_after_a_wake_up() {
    let mut bench = bench();
    bench.enable_interrupts(0);
    bench.cpu_on(0, 1);
    let other = bench.cpu_of(0, 1);
    bench.frames[0].pc = 0x4000_1000;
    assert_eq!(bench.hvc(0, &[CPU_SUSPEND, 0, 0, 0]), Came::Idle);
    assert_eq!(bench.state(0, 0), VcpuState::Waiting);
    bench.send_sgi(other, 3, 0);
    bench.settle();
    let cpu = bench.cpu_of(0, 0);
    assert_eq!(bench.frames[cpu].x[0], 0);
    assert_eq!(bench.frames[cpu].pc, 0x4000_1000);
    assert_eq!(bench.take_interrupts(cpu), [3]);
    bench.check_rest();
}

#[test]
fn d5_power_down_resumes_at_the_entry_point_with_the_context() {
    for function in [CPU_SUSPEND, SYSTEM_SUSPEND] {
        let mut bench = bench();
        bench.enable_interrupts(0);
        let entry = bench.entry(0) + 0x80;
        bench.frames[0].x = [0x5555; 31];
        let timers = &mut bench.machines[0].timers.registers;
        (timers.cntv_ctl, timers.cntv_cval) = (1, 5_000);
        let came = if function == CPU_SUSPEND {
            bench.hvc(0, &[function, power_down(), entry, 0xc0])
        } else {
            bench.hvc(0, &[function, entry, 0xc0])
        };
        assert_eq!(came, Came::Idle);
        bench.check_rest();
        bench.advance(10_000);
        bench.settle();
        let cpu = bench.cpu_of(0, 0);
        assert_eq!(bench.frames[cpu].pc, entry);
        assert_eq!(bench.frames[cpu].x[0], 0xc0);
        assert_eq!(bench.frames[cpu].x[1..], [0; 30]);
        assert_eq!(bench.take_interrupts(cpu), [27], "its timer goes on");
        bench.check_rest();
    }
}

#[test]
fn secondary_vcpus_see_the_clock_of_the_first_one() {
    let mut bench = bench();
    bench.cpu_on(0, 1);
    let other = bench.cpu_of(0, 1);
    bench.advance(12_345);
    let counter = trap::SysRegId::CNTPCT_EL0;
    let first = bench.register(0, counter, None);
    assert_eq!(first, bench.register(other, counter, None));
    assert_eq!(first, Some(12_345), "the counter began at the VM's start");
}

#[test]
fn d5_power_down_with_an_interrupt_pending_resumes_at_once() {
    let mut bench = bench();
    bench.enable_interrupts(0);
    let entry = bench.entry(0) + 0x80;
    // Pending, and masked by PSTATE.I, as Linux enters its idle states.
    bench.send_sgi(0, 4, 0);
    assert_eq!(
        bench.hvc(0, &[CPU_SUSPEND, power_down(), entry, 7]),
        Came::Back
    );
    assert_eq!(bench.frames[0].pc, entry);
    assert_eq!(bench.frames[0].x[0], 7);
    bench.machines[0].interface.machine_control = 0xff << 24 | 1 << 1;
    bench.settle();
    assert_eq!(bench.take_interrupts(0), [4]);
    bench.check_rest();
}
