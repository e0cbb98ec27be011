//! Which vCPU runs, what moves with it, and what wakes it.

use super::bench::*;
use alloc::vec::Vec;
use bulkhead_core::vcpu_state::VcpuState;
use machine::{Active, PhysicalTimer, WaitTrap};
use machine_fakes::Call;

/// A time slice: 5 ms at the fake machine's frequency.
const SLICE: u64 = 62_500_000 / 200;

/// Makes two VMs with one vCPU each on one CPU, which runs the first one.
fn shared_cpu() -> Bench {
    let mut bench = Bench::new(&[Guest::new("alpha", 1), Guest::new("beta", 1)], 1);
    while bench.running(0) != Some(id(0, 0)) {
        let _ = bench.wfe(0);
    }
    let _ = bench.machines[0].take_calls();
    bench
}

/// Lets time pass until another vCPU has the CPU.
fn end_slice(bench: &mut Bench) {
    let before = bench.running(0);
    bench.advance(SLICE);
    bench.settle();
    assert_ne!(bench.running(0), before, "the slice is over");
}

#[test]
fn two_vcpus_share_a_cpu_by_time_slices() {
    let mut bench = shared_cpu();
    for round in 0..6 {
        assert_eq!(bench.running(0), Some(id(round % 2, 0)));
        bench.advance(SLICE / 2);
        bench.settle();
        assert_eq!(bench.running(0), Some(id(round % 2, 0)), "half a slice");
        bench.advance(SLICE / 2 + 1);
        bench.settle();
        bench.check_rest();
    }
}

#[test]
fn a_vcpu_that_is_alone_is_not_interrupted_once_its_vm_is_loaded() {
    let bench = Bench::new(&[Guest::new("alpha", 1)], 1);
    assert_eq!(bench.running(0), Some(id(0, 0)));
    assert_eq!(bench.machines[0].clock.deadline, None);
}

#[test]
fn a_switch_moves_all_registers() {
    let mut bench = shared_cpu();
    for (round, mark) in [(0_u16, 0x1111_u64), (1, 0x2222)] {
        assert_eq!(bench.running(0), Some(id(round, 0)));
        bench.frames[0].x = [mark; 31];
        bench.frames[0].pc = mark << 2;
        let el1 = &mut bench.machines[0].world.el1;
        (el1.ttbr0_el1, el1.tpidr_el0, el1.pac_keys) = (mark, mark, [mark; 10]);
        let timers = &mut bench.machines[0].timers.registers;
        (timers.cntv_ctl, timers.cntv_cval) = (1, u64::MAX - mark);
        end_slice(&mut bench);
    }
    for mark in [0x1111, 0x2222] {
        assert_eq!(bench.frames[0].x, [mark; 31]);
        assert_eq!(bench.frames[0].pc, mark << 2);
        let el1 = bench.machines[0].world.el1;
        assert_eq!((el1.ttbr0_el1, el1.tpidr_el0), (mark, mark));
        assert_eq!(el1.pac_keys, [mark; 10]);
        let timers = bench.machines[0].timers.registers;
        assert_eq!((timers.cntv_ctl, timers.cntv_cval), (1, u64::MAX - mark));
        end_slice(&mut bench);
    }
    let worlds: Vec<_> = bench.machines[0]
        .take_calls()
        .into_iter()
        .filter_map(|call| match call {
            Call::Enter(world) => Some((world.stage2_root, world.vmid)),
            _ => None,
        })
        .collect();
    assert!(worlds.len() >= 4);
    for pair in worlds.windows(2) {
        assert_ne!(pair[0].0, pair[1].0, "each VM has its own tables");
        assert_ne!(pair[0].1, pair[1].1, "and its own VMID");
    }
}

#[test]
fn c5_fp_registers_are_loaded_at_the_first_use_and_never_leak() {
    let mut bench = shared_cpu();
    // The first VM uses them, the second does not at first.
    assert_eq!(bench.floating_point(0), Came::Back);
    assert_eq!(bench.machines[0].world.fp.q, [0; 32]);
    bench.machines[0].world.fp.q = [0x005e_c2e7; 32];
    let _ = bench.machines[0].take_calls();
    end_slice(&mut bench);
    let calls = bench.machines[0].take_calls();
    assert_eq!(
        calls.iter().filter(|call| **call == Call::SaveFp).count(),
        1
    );
    end_slice(&mut bench);
    end_slice(&mut bench);
    let calls = bench.machines[0].take_calls();
    let moved = |call: &&Call| matches!(call, Call::LoadFp | Call::SaveFp);
    assert_eq!(calls.iter().filter(moved).count(), 0, "nobody used them");
    // Now the second does, and finds its own.
    assert_eq!(bench.running(0), Some(id(1, 0)));
    assert_eq!(bench.floating_point(0), Came::Back);
    assert_eq!(bench.machines[0].world.fp.q, [0; 32]);
    bench.machines[0].world.fp.q = [2; 32];
    end_slice(&mut bench);
    assert_eq!(bench.floating_point(0), Came::Back);
    assert_eq!(bench.machines[0].world.fp.q, [0x005e_c2e7; 32]);
    // A vCPU that starts anew starts with zeros.
    let _ = bench.hvc(0, &[0x8400_0009]);
    bench.settle();
    while bench.running(0) != Some(id(0, 0)) {
        end_slice(&mut bench);
    }
    assert_eq!(bench.floating_point(0), Came::Back);
    assert_eq!(bench.machines[0].world.fp.q, [0; 32]);
    bench.check_rest();
}

#[test]
fn an_active_timer_interrupt_moves_with_its_vcpu() {
    let mut bench = shared_cpu();
    bench.enable_interrupts(0);
    let timers = &mut bench.machines[0].timers.registers;
    (timers.cntv_ctl, timers.cntv_cval) = (1, 0);
    bench.settle();
    assert_eq!(bench.acknowledge(0), [27]);
    assert!(bench.machines[0].gic.active.contains(&VIRTUAL_TIMER));
    let _ = bench.machines[0].take_calls();
    end_slice(&mut bench);
    assert!(!bench.machines[0].gic.active.contains(&VIRTUAL_TIMER));
    let gone = Call::SetPrivateActive(VIRTUAL_TIMER, Active::No);
    assert!(bench.machines[0].take_calls().contains(&gone));
    bench.check_rest();
    // The other VM's own timer is not silenced.
    bench.enable_interrupts(0);
    let timers = &mut bench.machines[0].timers.registers;
    (timers.cntv_ctl, timers.cntv_cval) = (1, 0);
    bench.settle();
    assert_eq!(bench.take_interrupts(0), [27]);
    bench.machines[0].timers.registers.cntv_ctl = 0;
    let _ = bench.machines[0].take_calls();
    end_slice(&mut bench);
    assert_eq!(bench.running(0), Some(id(0, 0)));
    let back = Call::SetPrivateActive(VIRTUAL_TIMER, Active::Yes);
    let calls = bench.machines[0].take_calls();
    let activated = calls.iter().position(|call| *call == back);
    let loaded = calls
        .iter()
        .position(|call| matches!(call, Call::LoadTimers(_)));
    assert!(
        activated.unwrap() < loaded.unwrap(),
        "before the timer counts"
    );
    bench.machines[0].timers.registers.cntv_ctl = 0;
    bench.end(0);
    assert!(!bench.machines[0].gic.active.contains(&VIRTUAL_TIMER));
    bench.settle();
    bench.check_rest();
}

#[test]
fn a_timer_interrupt_whose_timer_was_stopped_is_taken_back() {
    let mut bench = shared_cpu();
    bench.enable_interrupts(0);
    // Masked at the CPU interface, so that it stays pending.
    bench.machines[0].interface.machine_control = 0;
    let timers = &mut bench.machines[0].timers.registers;
    (timers.cntv_ctl, timers.cntv_cval) = (1, 0);
    bench.settle();
    bench.machines[0].timers.registers.cntv_ctl = 0;
    end_slice(&mut bench);
    end_slice(&mut bench);
    assert_eq!(bench.running(0), Some(id(0, 0)));
    bench.machines[0].interface.machine_control = 0xff << 24 | 1 << 1;
    assert!(bench.take_interrupts(0).is_empty());
    assert!(!bench.machines[0].gic.active.contains(&VIRTUAL_TIMER));
    bench.check_rest();
}

#[test]
fn a_sleeping_vcpu_wakes_for_its_virtual_timer() {
    let mut bench = Bench::new(&[Guest::new("alpha", 2)], 1);
    bench.enable_interrupts(0);
    let start = bench.vm(0).counter_offset();
    let now = bench.machines[0].clock.now;
    let timers = &mut bench.machines[0].timers.registers;
    (timers.cntv_ctl, timers.cntv_cval) = (1, now - start + 1_000);
    assert_eq!(bench.wfi(0), Came::Idle);
    assert_eq!(bench.state(0, 0), VcpuState::Waiting);
    assert_eq!(bench.machines[0].clock.deadline, Some(now + 1_000));
    bench.advance(999);
    bench.settle();
    assert_eq!(bench.state(0, 0), VcpuState::Waiting);
    bench.check_rest();
    bench.advance(1);
    bench.settle();
    assert_eq!(bench.running(0), Some(id(0, 0)));
    assert_eq!(bench.take_interrupts(0), [27]);
    bench.check();
}

#[test]
fn e11_the_physical_timer_is_emulated_awake_and_asleep() {
    let mut bench = Bench::new(&[Guest::new("alpha", 2)], 1);
    bench.enable_interrupts(0);
    let (control, value) = (trap::SysRegId::CNTP_CTL_EL0, trap::SysRegId::CNTP_TVAL_EL0);
    let _ = bench.register(0, value, Some(500));
    let _ = bench.register(0, control, Some(1));
    bench.advance(499);
    bench.settle();
    assert!(bench.take_interrupts(0).is_empty());
    bench.advance(1);
    bench.settle();
    assert_eq!(bench.acknowledge(0), [30]);
    assert_eq!(bench.register(0, control, None), Some(0b101));
    // The handler sets it anew, which lowers the line.
    let _ = bench.register(0, value, Some(500));
    assert_eq!(bench.register(0, control, None), Some(0b001));
    bench.end(0);
    assert_eq!(bench.wfi(0), Came::Idle);
    bench.advance(500);
    bench.settle();
    assert_eq!(bench.running(0), Some(id(0, 0)));
    assert_eq!(bench.acknowledge(0), [30]);
    let _ = bench.register(0, control, Some(0));
    bench.end(0);
    bench.settle();
    bench.check_rest();
}

#[test]
fn a_physical_timer_of_the_cpus_own_moves_too() {
    let guests = [Guest::new("alpha", 1), Guest::new("beta", 1)];
    let mut bench = Bench::booted(&guests, 1);
    bench.machines[0].timers.physical_timer = PhysicalTimer::Native;
    bench.start();
    while bench.running(0) != Some(id(0, 0)) {
        let _ = bench.wfe(0);
    }
    bench.enable_interrupts(0);
    let timers = &mut bench.machines[0].timers.registers;
    (timers.cntp_ctl, timers.cntp_cval) = (1, 0);
    bench.settle();
    assert_eq!(bench.acknowledge(0), [30]);
    end_slice(&mut bench);
    assert!(!bench.machines[0].gic.active.contains(&PHYSICAL_TIMER));
    assert_eq!(bench.machines[0].timers.registers.cntp_ctl, 0);
    end_slice(&mut bench);
    assert!(bench.machines[0].gic.active.contains(&PHYSICAL_TIMER));
    assert_eq!(bench.machines[0].timers.registers.cntp_ctl, 1);
    bench.machines[0].timers.registers.cntp_ctl = 0;
    bench.end(0);
    bench.check_rest();
}

#[test]
fn wfi_with_an_interrupt_pending_does_not_sleep() {
    let mut bench = Bench::new(&[Guest::new("alpha", 1)], 1);
    bench.enable_interrupts(0);
    bench.send_sgi(0, 1, 0);
    let pc = bench.frames[0].pc;
    assert_eq!(bench.wfi(0), Came::Back);
    assert_eq!(bench.frames[0].pc, pc + 4);
    assert_eq!(bench.running(0), Some(id(0, 0)));
    let _ = bench.take_interrupts(0);
    // One that its priority mask holds back does not keep it awake.
    bench.machines[0].interface.machine_control = 1 << 1;
    bench.send_sgi(0, 1, 0);
    assert_eq!(bench.wfi(0), Came::Idle);
    bench.settle();
    bench.check_rest();
}

#[test]
fn an_sgi_and_an_spi_wake_a_sleeping_vcpu() {
    for by_sgi in [true, false] {
        let mut bench = Bench::new(&[Guest::new("alpha", 2)], 2);
        bench.enable_interrupts(0);
        bench.cpu_on(0, 1);
        let other = bench.cpu_of(0, 1);
        bench.enable_interrupts(other);
        assert_eq!(bench.wfi(other), Came::Idle);
        if by_sgi {
            bench.send_sgi(0, 9, 1);
        } else {
            bench.write(0, 0x0800_0084, 1 << 8);
            bench.write(0, 0x0800_0104, 1 << 8);
            let route = bench.access(0, 0x0800_6140, addr::Width::Double, Some(1));
            assert!(matches!(route, Access::Done(_)));
            bench.write(0, 0x0800_0204, 1 << 8);
        }
        assert!(bench.machines[other].gic.pending.contains(&KICK));
        bench.settle();
        assert_eq!(bench.running(other), Some(id(0, 1)));
        assert_eq!(bench.take_interrupts(other), [if by_sgi { 9 } else { 40 }]);
        bench.check_rest();
    }
}

#[test]
fn a_wake_up_between_the_look_and_the_sleep_is_not_lost() {
    let mut bench = Bench::new(&[Guest::new("alpha", 2)], 2);
    bench.enable_interrupts(0);
    bench.cpu_on(0, 1);
    let other = bench.cpu_of(0, 1);
    bench.enable_interrupts(other);
    // The post is in the mailbox, the kick was not taken yet.
    bench.send_sgi(0, 9, 1);
    let _ = bench.wfi(other);
    bench.settle();
    assert_eq!(bench.state(0, 1), VcpuState::Running);
    assert_eq!(bench.take_interrupts(other), [9]);
    bench.check_rest();
}

#[test]
fn i5_wfe_gives_the_cpu_to_those_who_wait() {
    let mut bench = shared_cpu();
    for round in 1..20 {
        assert_eq!(bench.wfe(0), Came::Back);
        assert_eq!(bench.running(0), Some(id(round % 2, 0)));
    }
    bench.check_rest();
}

#[test]
fn a_vcpu_that_is_alone_waits_in_its_guest_and_one_that_shares_does_not() {
    let bench = Bench::new(&[Guest::new("alpha", 2)], 2);
    let cpu = bench.cpu_of(0, 0);
    assert_eq!(
        bench.machines[cpu].world.control.unwrap().wfi,
        WaitTrap::Native
    );
    let bench = Bench::new(&[Guest::new("alpha", 2)], 1);
    assert_eq!(
        bench.machines[0].world.control.unwrap().wfi,
        WaitTrap::Trapped
    );
}

#[test]
fn pinned_vcpus_stay_on_their_cpus() {
    let guests = [
        Guest::new("alpha", 2).pinned(&[1, 1]),
        Guest::new("beta", 1).pinned(&[0]),
    ];
    let mut bench = Bench::new(&guests, 2);
    assert_eq!(bench.cpu_of(0, 0), 1);
    assert_eq!(bench.cpu_of(1, 0), 0);
    bench.cpu_on(1, 1);
    for round in 0..6 {
        let expected = if round % 2 == 0 { 0 } else { 1 };
        assert_eq!(bench.running(1), Some(id(0, expected)));
        assert_eq!(bench.running(0), Some(id(1, 0)));
        bench.advance(SLICE + 1);
        bench.settle();
    }
    // The other CPU does not help.
    let _ = bench.wfi(0);
    bench.settle();
    assert_eq!(bench.running(0), None);
    bench.check_rest();
}

#[test]
fn a_floating_vcpu_goes_to_an_idle_cpu() {
    let mut bench = Bench::new(&[Guest::new("alpha", 3)], 2);
    bench.cpu_on(0, 1);
    bench.cpu_on(0, 2);
    assert_eq!(bench.state(0, 2), VcpuState::Ready);
    let _ = bench.wfi(1);
    bench.settle();
    assert_eq!(bench.running(1), Some(id(0, 2)));
    bench.check_rest();
}

#[test]
fn another_vcpu_of_the_vm_on_a_cpu_finds_the_tlb_clean() {
    let mut bench = Bench::new(&[Guest::new("alpha", 2)], 1);
    bench.cpu_on(0, 1);
    let _ = bench.machines[0].take_calls();
    for _ in 0..3 {
        end_slice(&mut bench);
        let calls = bench.machines[0].take_calls();
        let dropped = calls
            .iter()
            .any(|call| matches!(call, Call::Enter(world) if world.tlb == machine::LocalTlb::Drop));
        assert!(dropped);
    }
}
