//! How VMs end: switched off, reset, crashed.

use super::bench::*;
use addr::Width;
use alloc::vec::Vec;
use bulkhead_core::vcpu_state::VcpuState;
use bulkhead_core::vm_state::VmState;
use machine_fakes::FakeMemory;

const CPU_OFF: u64 = 0x8400_0002;
const CPU_ON: u64 = 0xc400_0003;
const SYSTEM_OFF: u64 = 0x8400_0008;
const SYSTEM_RESET: u64 = 0x8400_0009;
const PVPANIC: u64 = 0x090d_0000;

/// A way to end a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Off,
    Reset,
    Panic,
    SystemError,
    AbortInHandler,
}

impl Way {
    const ALL: [Self; 5] = [
        Self::Off,
        Self::Reset,
        Self::Panic,
        Self::SystemError,
        Self::AbortInHandler,
    ];

    fn take(self, bench: &mut Bench, cpu: usize) {
        match self {
            Self::Off => drop(bench.hvc(cpu, &[SYSTEM_OFF])),
            Self::Reset => drop(bench.hvc(cpu, &[SYSTEM_RESET])),
            Self::Panic => {
                let gone = bench.access(cpu, PVPANIC, Width::Byte, Some(1));
                assert_eq!(gone, Access::Gone);
            }
            Self::SystemError => drop(bench.system_error(cpu, 0x2f << 26 | 0x11)),
            Self::AbortInHandler => {
                bench.machines[cpu].world.el1.vbar_el1 = 0xdead_0000;
                bench.frames[cpu].pc = 0xdead_0200;
                let _ = bench.trap(cpu, 0x20 << 26 | 1 << 25 | 7, 0xdead_0200, 0xdead0 << 4);
            }
        }
    }

    fn state(self) -> VmState {
        match self {
            Self::Off => VmState::Off,
            Self::Reset => VmState::Running,
            Self::Panic | Self::SystemError | Self::AbortInHandler => VmState::Crashed,
        }
    }
}

/// Makes a VM whose vCPUs stand in every state: 0 and 1 run, 2 is ready, 3 waits, 4 is off.
fn in_every_state(others: &[Guest]) -> Bench {
    let mut guests = Vec::from([Guest::new("alpha", 5)]);
    guests.extend_from_slice(others);
    let mut bench = Bench::new(&guests, 2);
    for cpu in 0..2 {
        // The others' vCPUs sleep.
        while bench.running(cpu).is_some_and(|id| id.vm.get() != 0) {
            let _ = bench.wfi(cpu);
        }
    }
    let first = bench.cpu_of(0, 0);
    bench.cpu_on(first, 3);
    assert_eq!(bench.wfi(1 - first), Came::Idle);
    bench.cpu_on(first, 1);
    bench.cpu_on(first, 2);
    let states: Vec<_> = (0..5).map(|vcpu| bench.state(0, vcpu)).collect();
    assert_eq!(
        states,
        [
            VcpuState::Running,
            VcpuState::Running,
            VcpuState::Ready,
            VcpuState::Waiting,
            VcpuState::Off
        ]
    );
    bench.check_rest();
    let _ = bench.output();
    bench
}

#[test]
fn d4_a_vm_ends_whatever_its_vcpus_do() {
    for way in Way::ALL {
        for from in [0, 1] {
            let mut bench = in_every_state(&[]);
            let cpu = bench.cpu_of(0, from);
            way.take(&mut bench, cpu);
            bench.check();
            bench.settle();
            bench.check_rest();
            assert_eq!(bench.vm_state(0), way.state(), "{way:?}");
            let output = bench.output();
            let (alive, end) = match way {
                Way::Reset => (1, "bulkhead: VM alpha resets"),
                Way::Off => (
                    0,
                    "bulkhead: machine off: 1 VM(s) ended in order, 0 crashed",
                ),
                Way::Panic | Way::SystemError | Way::AbortInHandler => (
                    0,
                    "bulkhead: machine off: 0 VM(s) ended in order, 1 crashed",
                ),
            };
            assert_eq!(bench.alive(0), alive, "{way:?}");
            assert_eq!(output.matches(end).count(), 1, "{output}");
        }
    }
}

#[test]
fn d4_the_end_of_a_vm_leaves_the_other_one_running() {
    for way in Way::ALL {
        let mut bench = in_every_state(&[Guest::new("beta", 2)]);
        let cpu = bench.cpu_of(0, 0);
        let before = bench.guest_bytes(1, bench.vm(1).images.entry, 0x1000);
        way.take(&mut bench, cpu);
        bench.settle();
        bench.check_rest();
        assert_eq!(bench.vm_state(0), way.state());
        assert_eq!(bench.vm_state(1), VmState::Running);
        assert_eq!(bench.state(1, 0), VcpuState::Waiting);
        assert!(!bench.machine_is_off());
        let after = bench.guest_bytes(1, bench.vm(1).images.entry, 0x1000);
        assert_eq!(before, after);
    }
}

#[test]
fn the_machine_is_off_when_the_last_vm_has_ended() {
    let mut bench = Bench::new(&[Guest::new("alpha", 1), Guest::new("beta", 1)], 2);
    let _ = bench.output();
    let cpu = bench.cpu_of(0, 0);
    Way::Panic.take(&mut bench, cpu);
    bench.settle();
    assert!(!bench.machine_is_off());
    let cpu = bench.cpu_of(1, 0);
    Way::Off.take(&mut bench, cpu);
    bench.settle();
    bench.check_rest();
    let end = "bulkhead: machine off: 1 VM(s) ended in order, 1 crashed\r\n";
    assert!(bench.output().ends_with(end));
}

#[test]
fn a_crash_says_why_and_where() {
    for (way, why) in [
        (Way::Panic, "VM alpha stops: its kernel panicked"),
        (
            Way::SystemError,
            "VM alpha stops: system error, syndrome 0xbc000011",
        ),
        (
            Way::AbortInHandler,
            "VM alpha stops: it cannot take an abort: its handler at 0xdead0200 is no memory",
        ),
    ] {
        let mut bench = Bench::new(&[Guest::new("alpha", 1)], 1);
        let _ = bench.output();
        for (value, register) in (0x1000..).zip(&mut bench.frames[0].x) {
            *register = value;
        }
        bench.frames[0].pc = 0x4000_5678;
        let el1 = &mut bench.machines[0].world.el1;
        el1.elr_el1 = 0x4000_4444;
        el1.far_el1 = 0xbad_0bad;
        el1.sp_el1 = 0x4000_8880;
        way.take(&mut bench, 0);
        let output = bench.output();
        let mut lines = output.lines();
        assert_eq!(lines.next(), Some(&*alloc::format!("bulkhead: {why}")));
        for part in [
            "vCPU 0  PC 0x00000000",
            "x18 0x0000000000001012",
            "x30 0x000000000000101e  SP_EL1 0x0000000040008880",
            "ELR_EL1 0x0000000040004444",
            "FAR_EL1 0x000000000bad0bad",
            "VM alpha has crashed and stays stopped",
        ] {
            assert!(output.contains(part), "{part}:\n{output}");
        }
        assert!(lines.all(|line| line.starts_with("bulkhead: ")));
    }
}

#[test]
fn a_reset_loads_the_vm_again_and_starts_its_first_vcpu() {
    let mut bench = in_every_state(&[]);
    let first = bench.cpu_of(0, 0);
    bench.enable_interrupts(first);
    bench.access(first, 0x0900_0030, Width::Word, Some(0x301));
    bench.machines[first].timers.registers.cntv_ctl = 1;
    let entry = bench.vm(0).images.entry;
    let (pa, _) = bench.vm(0).translate(entry).unwrap();
    let spoil = |bench: &mut Bench| {
        let memory = &bench.machines[0].memory;
        memory.borrow_mut().bytes_mut(pa, 4).unwrap().fill(0xee);
    };
    spoil(&mut bench);
    bench.advance(777);
    let _ = bench.hvc(first, &[SYSTEM_RESET]);
    bench.settle();
    bench.check_rest();
    assert_eq!(bench.guest_bytes(0, entry, 4), KERNEL_BYTES);
    let cpu = bench.cpu_of(0, 0);
    assert_eq!(bench.frames[cpu].pc, entry.get());
    assert_eq!(bench.machines[cpu].timers.registers.cntv_ctl, 0);
    let counter = bench.register(cpu, trap::SysRegId::CNTPCT_EL0, None);
    assert_eq!(counter, Some(0), "the counter begins anew");
    assert_eq!(bench.read(cpu, 0x0800_0000), 0x50, "GICD_CTLR is reset");
    assert_eq!(bench.read(cpu, 0x080b_0080), 0, "GICR_IGROUPR0 is reset");
    assert_eq!(bench.read(cpu, 0x0900_0030), 0x300, "UARTCR is reset");
    // No order to stop is left over from the time before.
    for vcpu in 1..5 {
        let cpu = bench.cpu_of(0, 0);
        bench.cpu_on(cpu, vcpu);
        assert_ne!(bench.state(0, vcpu), VcpuState::Off, "{vcpu}");
    }
    assert_eq!(bench.alive(0), 5);
    bench.check_rest();
}

#[test]
fn d4_a_storm_of_resets_is_survived() {
    let mut bench = Bench::new(&[Guest::new("alpha", 2), Guest::new("beta", 1)], 2);
    for _ in 0..50 {
        let cpu = bench.cpu_of(0, 0);
        let _ = bench.hvc(cpu, &[CPU_ON, 1, bench.entry(0), 0]);
        if let Some(cpu) = (0..2).find(|cpu| bench.running(*cpu) == Some(id(0, 0))) {
            let _ = bench.hvc(cpu, &[SYSTEM_RESET]);
        }
        bench.check();
        bench.settle();
        bench.check_rest();
        // Time slices pass, until the first vCPU has its turn.
        for _ in 0..4 {
            if (0..2).any(|cpu| bench.running(cpu) == Some(id(0, 0))) {
                break;
            }
            bench.advance(1_000_000);
            bench.settle();
        }
    }
    assert_eq!(bench.vm_state(1), VmState::Running);
}

#[test]
fn d2_a_vcpu_that_is_turned_on_while_its_vm_ends_ends_too() {
    for way in [SYSTEM_OFF, SYSTEM_RESET] {
        let mut bench = Bench::new(&[Guest::new("alpha", 3)], 3);
        bench.cpu_on(0, 1);
        let other = bench.cpu_of(0, 1);
        assert_eq!(bench.hvc(0, &[way]), Came::Idle);
        // The kick is on its way; the other vCPU is faster.
        let entry = bench.entry(0);
        assert_eq!(bench.call(other, &[CPU_ON, 2, entry, 0]), 0);
        assert_eq!(bench.call(other, &[CPU_ON, 0, entry, 0]), 0);
        bench.check();
        bench.settle();
        bench.check_rest();
        let alive = u32::from(way == SYSTEM_RESET);
        assert_eq!(bench.alive(0), alive);
        if way == SYSTEM_RESET {
            let cpu = bench.cpu_of(0, 0);
            bench.cpu_on(cpu, 2);
            bench.cpu_on(cpu, 1);
            assert_eq!(bench.alive(0), 3, "nothing is left in the mailboxes");
        }
        bench.check_rest();
    }
}

#[test]
fn two_vcpus_that_end_their_vm_at_once_end_it_once() {
    for (first, second) in [
        (Way::Off, Way::Reset),
        (Way::Reset, Way::Off),
        (Way::Panic, Way::Reset),
        (Way::Off, Way::Panic),
    ] {
        let mut bench = Bench::new(&[Guest::new("alpha", 2)], 2);
        bench.cpu_on(0, 1);
        first.take(&mut bench, 0);
        let _ = bench.output();
        second.take(&mut bench, 1);
        assert!(!bench.output().contains("stops:"), "it is ending already");
        bench.settle();
        bench.check_rest();
        assert_eq!(bench.vm_state(0), first.state(), "{first:?} {second:?}");
    }
}

#[test]
fn a_tick_during_a_load_switches_nobody_off() {
    let mut bench = Bench::new(&[Guest::new("alpha", 1), Guest::new("beta", 1)], 1);
    while bench.running(0) != Some(id(0, 0)) {
        let _ = bench.wfe(0);
    }
    assert_eq!(bench.hvc(0, &[SYSTEM_RESET]), Came::Back);
    assert_eq!(
        bench.running(0),
        Some(id(1, 0)),
        "between two steps of the load"
    );
    // Its slice is over just when it goes to sleep.
    bench.advance(1_000_000);
    bench.raise_timers(0);
    let _ = bench.wfi(0);
    bench.settle();
    bench.check_rest();
    assert_eq!(bench.vm_state(0), VmState::Running);
    assert_eq!(bench.running(0), Some(id(0, 0)));
}

#[test]
fn a_load_does_not_keep_a_sleeping_vcpu_from_waking() {
    let mut bench = Bench::new(&[Guest::new("alpha", 1), Guest::new("beta", 1)], 1);
    while bench.running(0) != Some(id(1, 0)) {
        let _ = bench.wfe(0);
    }
    let now = bench.machines[0].clock.now;
    let offset = bench.vm(1).counter_offset();
    let timers = &mut bench.machines[0].timers.registers;
    timers.cntv_ctl = 1;
    timers.cntv_cval = now - offset + 1_000;
    let _ = bench.wfi(0);
    assert_eq!(bench.state(1, 0), VcpuState::Waiting);
    bench.advance(1_000);
    let _ = bench.hvc(0, &[SYSTEM_RESET]);
    assert_eq!(
        bench.running(0),
        Some(id(1, 0)),
        "between two steps of the load"
    );
    bench.settle();
    bench.check_rest();
}

#[test]
fn a_vm_that_cannot_be_loaded_has_crashed() {
    let mut bench = Bench::booted(&[Guest::new("alpha", 1), Guest::new("beta", 1)], 2);
    *bench.machines[0].memory.borrow_mut() = FakeMemory::default();
    bench.start();
    bench.check_rest();
    let output = bench.output();
    for part in [
        "VM alpha cannot be loaded: ",
        "VM beta cannot be loaded: ",
        "machine off: 0 VM(s) ended in order, 2 crashed",
    ] {
        assert!(output.contains(part), "{part}: {output}");
    }
    let loading = &bench.hypervisor.loading;
    assert_eq!(loading.load(core::sync::atomic::Ordering::SeqCst), 0);
}

#[test]
fn a_vm_that_cannot_be_loaded_again_has_crashed() {
    let mut bench = Bench::new(&[Guest::new("alpha", 2)], 2);
    bench.cpu_on(0, 1);
    *bench.machines[0].memory.borrow_mut() = FakeMemory::default();
    let _ = bench.hvc(0, &[SYSTEM_RESET]);
    bench.settle();
    bench.check_rest();
    assert_eq!(bench.vm_state(0), VmState::Crashed);
}

#[test]
fn interrupts_to_a_vcpu_that_is_off_wait_for_it_but_not_through_a_reset() {
    let mut bench = Bench::new(&[Guest::new("alpha", 2)], 2);
    bench.enable_interrupts(0);
    bench.cpu_on(0, 1);
    let other = bench.cpu_of(0, 1);
    bench.enable_interrupts(other);
    assert_eq!(bench.hvc(other, &[CPU_OFF]), Came::Idle);
    bench.send_sgi(0, 5, 1);
    bench.settle();
    assert_eq!(bench.state(0, 1), VcpuState::Off);
    bench.cpu_on(0, 1);
    bench.machines[other].interface.machine_control = 0xff << 24 | 1 << 1;
    assert_eq!(bench.take_interrupts(other), [5]);

    assert_eq!(bench.hvc(other, &[CPU_OFF]), Came::Idle);
    bench.send_sgi(0, 6, 1);
    let _ = bench.hvc(0, &[SYSTEM_RESET]);
    bench.settle();
    let first = bench.cpu_of(0, 0);
    bench.enable_interrupts(first);
    bench.cpu_on(first, 1);
    let other = bench.cpu_of(0, 1);
    bench.enable_interrupts(other);
    assert!(bench.take_interrupts(other).is_empty());
    bench.check_rest();
}

#[test]
fn one_of_n_interrupts_go_to_vcpus_that_are_on() {
    /// Pends SPI 33 as 1-of-N and says which vCPU has it.
    fn pend(bench: &mut Bench, sender: usize) -> u16 {
        bench.write(sender, 0x0800_0204, 1 << 1);
        bench.settle();
        let mut takers = Vec::new();
        for cpu in 0..bench.cpus.len() {
            if bench.take_interrupts(cpu) == [33] {
                takers.push(bench.running(cpu).unwrap().index.get());
            }
        }
        assert_eq!(takers.len(), 1, "{takers:?}");
        // A read makes the holder look, and then it holds it no more.
        while bench.access(sender, 0x0800_0204, Width::Word, None) == Access::Again {
            bench.settle();
        }
        takers[0]
    }
    fn prepare(bench: &mut Bench, cpu: usize) {
        bench.enable_interrupts(cpu);
        bench.write(cpu, 0x0800_0084, 1 << 1);
        bench.write(cpu, 0x0800_0104, 1 << 1);
        // Edge-triggered, so that the UART's wire does not matter.
        bench.write(cpu, 0x0800_0c08, 1 << 3);
        let any = bench.access(cpu, 0x0800_6108, Width::Double, Some(1 << 31));
        assert!(matches!(any, Access::Done(_)));
    }
    let mut bench = Bench::new(&[Guest::new("alpha", 4)], 4);
    for _ in 0..2 {
        let first = bench.cpu_of(0, 0);
        prepare(&mut bench, first);
        for _ in 0..8 {
            assert_eq!(pend(&mut bench, first), 0);
        }
        bench.cpu_on(first, 2);
        let other = bench.cpu_of(0, 2);
        bench.enable_interrupts(other);
        let takers: Vec<_> = (0..4).map(|_| pend(&mut bench, first)).collect();
        assert!(takers.contains(&2) && takers.contains(&0), "{takers:?}");
        assert_eq!(bench.hvc(other, &[CPU_OFF]), Came::Idle);
        for _ in 0..4 {
            assert_eq!(pend(&mut bench, first), 0);
        }
        bench.check_rest();
        let _ = bench.hvc(first, &[SYSTEM_RESET]);
        bench.settle();
    }
}

#[test]
fn a_timer_interrupt_that_was_active_at_the_end_is_nobodys_afterwards() {
    for way in [Way::Off, Way::Reset, Way::Panic] {
        let mut bench = Bench::new(&[Guest::new("alpha", 2), Guest::new("beta", 1)], 2);
        let cpu = bench.cpu_of(0, 0);
        bench.enable_interrupts(cpu);
        let timers = &mut bench.machines[cpu].timers.registers;
        (timers.cntv_ctl, timers.cntv_cval) = (1, 0);
        bench.settle();
        assert_eq!(bench.acknowledge(cpu), [27]);
        assert!(bench.machines[cpu].gic.active.contains(&VIRTUAL_TIMER));
        way.take(&mut bench, cpu);
        bench.settle();
        bench.check_rest();
        for machine in &bench.machines {
            assert!(!machine.gic.active.contains(&VIRTUAL_TIMER), "{way:?}");
        }
    }
}
