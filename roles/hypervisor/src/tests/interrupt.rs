//! Physical interrupts, and SGIs between vCPUs.

use super::bench::*;
use addr::IntId;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use trap::SysRegId;

fn bench() -> Bench {
    let mut bench = Bench::new(&[Guest::new("alpha", 3)], 3);
    bench.enable_interrupts(0);
    for vcpu in 1..3 {
        bench.cpu_on(0, vcpu);
        let cpu = bench.cpu_of(0, vcpu);
        bench.enable_interrupts(cpu);
    }
    bench
}

#[test]
fn an_sgi_goes_through_the_mailbox_and_a_kick() {
    let mut bench = bench();
    let other = bench.cpu_of(0, 2);
    bench.send_sgi(0, 3, 2);
    bench.send_sgi(0, 4, 2);
    assert!(!bench.vm(0).places[2].mailbox.is_empty());
    assert!(bench.machines[other].gic.pending.contains(&KICK));
    assert!(
        bench.take_interrupts(other).is_empty(),
        "not before the kick"
    );
    bench.settle();
    assert_eq!(bench.take_interrupts(other), [3, 4]);
    bench.check_rest();
}

#[test]
fn e2_e3_sgis_reach_those_who_are_there() {
    const IRM: u64 = 1 << 40;
    for (value, takers) in [
        (0b100, &[2][..]),
        (0b111, &[0, 1, 2]),
        (0b011, &[0, 1]),
        (IRM, &[1, 2]),
        (IRM | 0xffff, &[1, 2]),
        (0, &[]),
        // Absent ones: Aff0, Aff1, Aff2, Aff3, a range selector.
        (0xfff8, &[]),
        (0b1 | 1 << 16, &[]),
        (0b1 | 1 << 32, &[]),
        (0b1 | 1 << 48, &[]),
        (0b1 | 1 << 44, &[]),
    ] {
        let mut bench = bench();
        let sent = bench.register(0, SysRegId::ICC_SGI1R_EL1, Some(value | 5 << 24));
        assert!(sent.is_some());
        bench.settle();
        let got: Vec<u16> = (0..3)
            .filter(|vcpu| {
                let cpu = bench.cpu_of(0, *vcpu);
                bench.take_interrupts(cpu) == [5]
            })
            .collect();
        assert_eq!(got, takers, "{value:#x}");
        bench.check_rest();
    }
}

#[test]
fn an_sgi_of_the_other_group_is_dropped() {
    let mut bench = bench();
    for target in [0, 1] {
        let sent = bench.register(0, SysRegId::ICC_SGI0R_EL1, Some(5 << 24 | 1 << target));
        assert!(sent.is_some());
        bench.settle();
        let cpu = bench.cpu_of(0, target);
        assert!(bench.take_interrupts(cpu).is_empty());
    }
    bench.check_rest();
}

#[test]
fn e9_a_storm_of_sgis_is_one_interrupt() {
    let mut bench = bench();
    let other = bench.cpu_of(0, 1);
    for _ in 0..1000 {
        bench.send_sgi(0, 2, 1);
    }
    assert_eq!(bench.machines[other].gic.pending.len(), 1);
    bench.settle();
    assert_eq!(bench.take_interrupts(other), [2]);
    bench.settle();
    assert!(bench.take_interrupts(other).is_empty());
    bench.check_rest();
}

#[test]
fn e5_more_interrupts_than_list_registers_all_arrive() {
    let mut bench = bench();
    let other = bench.cpu_of(0, 1);
    for id in 0..16 {
        bench.send_sgi(0, id, 1);
    }
    bench.settle();
    let mut taken = Vec::new();
    for _ in 0..16 {
        taken.extend(bench.take_interrupts(other));
        // No list register is pending any more.
        bench.raise(other, MAINTENANCE);
        bench.settle();
    }
    taken.sort_unstable();
    assert_eq!(taken, (0..16).collect::<Vec<_>>());
    bench.check_rest();
}

#[test]
fn interrupts_of_nobody_are_counted_and_do_no_harm() {
    let mut bench = bench();
    let _ = bench.wfi(2);
    bench.settle();
    for cpu in 0..3 {
        for id in [40, 1019, 18, 7] {
            bench.raise(cpu, IntId::new(id));
            bench.settle();
        }
        // Without a cause: a kick, a tick, maintenance, the console.
        for id in [KICK, MAINTENANCE, CONSOLE] {
            bench.raise(cpu, id);
            bench.settle();
        }
    }
    assert_eq!(bench.hypervisor.unexpected.load(Ordering::Relaxed), 12);
    for machine in &bench.machines {
        assert!(machine.gic.active.is_empty());
    }
    bench.check_rest();
}

#[test]
fn a_timer_interrupt_on_an_idle_cpu_is_dropped() {
    let mut bench = Bench::new(&[Guest::new("alpha", 1)], 2);
    let idle = 1 - bench.cpu_of(0, 0);
    // Behind the bench's back: it was on its way when the vCPU left.
    bench.machines[idle].gic.pending.push_back(VIRTUAL_TIMER);
    let machine = &mut bench.machines[idle];
    bench.cpus[idle].nobodys_interrupt(machine);
    assert!(machine.gic.active.is_empty());
    bench.check_rest();
}
