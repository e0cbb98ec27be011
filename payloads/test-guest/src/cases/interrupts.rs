//! Interrupts and timers.

use crate::machine::{MAX_CPUS, cpu_count, this_cpu};
use crate::timer::{self, PHYSICAL_TIMER, VIRTUAL_TIMER};
use crate::{gic, smp};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const SGI: u32 = 1;
/// Longer than anything here should take, in milliseconds, on a host that is busy with other things.
const PATIENCE: u64 = 60_000;
/// How often a timer that repeats does so, in milliseconds.
const PERIOD: u64 = 10;

/// Interrupts that each CPU has taken; written by that CPU alone.
static TAKEN: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];
static STOP: AtomicBool = AtomicBool::new(false);

fn taken(cpu: usize) -> u64 {
    TAKEN[cpu].load(Ordering::SeqCst)
}

fn count() {
    let cpu = this_cpu();
    TAKEN[cpu].store(taken(cpu) + 1, Ordering::SeqCst);
}

fn await_taken(cpu: usize, number: u64) {
    let came = timer::wait_until(PATIENCE, || taken(cpu) >= number);
    assert!(came, "CPU {cpu} took {} of {number} interrupts", taken(cpu));
}

/// Sends SGIs to the CPU that sends them.
pub(crate) fn sgi_self() {
    gic::set_up(&[SGI], |interrupt| {
        assert_eq!(interrupt, SGI);
        count();
    });
    gic::send_sgi(SGI, 1);
    let pending = timer::wait_until(PATIENCE, || gic::highest_pending() == SGI);
    assert!(pending, "the SGI does not become pending");
    assert_eq!(taken(0), 0, "the SGI came although IRQs are masked");
    gic::unmask();
    await_taken(0, 1);
    for number in 2..100 {
        gic::send_sgi(SGI, 1);
        await_taken(0, number);
    }
    // One that is disabled, and CPUs that don't exist (abuse case E3).
    gic::send_sgi(SGI + 1, 1);
    gic::send_sgi(SGI, 0xff00);
    timer::spin(20);
    assert_eq!(taken(0), 99, "an SGI came that should not");
}

/// Sends SGIs to every other CPU and gets one back.
pub(crate) fn sgi_others() {
    assert!(cpu_count() >= 2, "this case needs two CPUs");
    gic::set_up(&[SGI], |_| count());
    gic::unmask();
    for cpu in 1..cpu_count() {
        let before = taken(0);
        smp::start(cpu, |cpu| {
            gic::set_up(&[SGI], |_| {
                count();
                gic::send_sgi(SGI, 1);
            });
            gic::unmask();
            // Ready: the first CPU counts this too.
            gic::send_sgi(SGI, 1);
            await_taken(cpu, 100);
            gic::mask();
        });
        await_taken(0, before + 1);
        for number in 1..=100 {
            let before = taken(0);
            gic::send_sgi(SGI, 1 << cpu);
            await_taken(cpu, number);
            await_taken(0, before + 1);
        }
        smp::join(cpu);
    }
}

/// Takes the interrupts of both of EL1's timers.
pub(crate) fn timer_irq() {
    gic::set_up(&[VIRTUAL_TIMER, PHYSICAL_TIMER], |interrupt| {
        match interrupt {
            VIRTUAL_TIMER => timer::disarm_virtual(),
            PHYSICAL_TIMER => timer::disarm_physical(),
            _ => panic!("interrupt {interrupt}"),
        }
        count();
    });
    gic::unmask();
    let start = timer::now();
    timer::arm_virtual(50);
    await_taken(0, 1);
    let elapsed = timer::now() - start;
    assert!(
        elapsed >= timer::ticks(50),
        "the virtual timer came early: {elapsed}"
    );
    timer::arm_physical(50);
    await_taken(0, 2);
    let elapsed = timer::now() - start;
    assert!(
        elapsed >= timer::ticks(100),
        "the physical timer came early: {elapsed}"
    );
    timer::spin(100);
    assert_eq!(taken(0), 2, "a timer that is off fires");
    for number in 3..103 {
        timer::arm_virtual(1);
        await_taken(0, number);
    }
}

/// Stays between acknowledging and ending a timer interrupt while another CPU's timer goes on: on one
/// physical CPU, the active state of the timer's interrupt must move with the vCPU.
pub(crate) fn timer_preempt() {
    assert!(cpu_count() >= 2, "this case needs two CPUs");
    gic::set_up(&[VIRTUAL_TIMER], |_| {
        timer::disarm_virtual();
        await_taken(1, taken(1) + 10);
        count();
    });
    smp::start(1, |cpu| {
        gic::set_up(&[VIRTUAL_TIMER], |_| {
            count();
            timer::arm_virtual(PERIOD);
        });
        gic::unmask();
        timer::arm_virtual(PERIOD);
        timer::wait_until(2 * PATIENCE, || STOP.load(Ordering::SeqCst));
        gic::mask();
        timer::disarm_virtual();
        assert!(taken(cpu) > 0);
    });
    await_taken(1, 3);
    gic::unmask();
    for number in 1..=5 {
        timer::arm_virtual(PERIOD);
        await_taken(0, number);
    }
    STOP.store(true, Ordering::SeqCst);
    smp::join(1);
}

/// Waits for interrupts, masked and unmasked.
pub(crate) fn wfi_wake() {
    gic::set_up(&[VIRTUAL_TIMER], |_| {
        timer::disarm_virtual();
        count();
    });
    let start = timer::now();
    timer::arm_virtual(100);
    while gic::highest_pending() != VIRTUAL_TIMER {
        wait_for_interrupt();
        assert!(
            timer::now() - start < timer::ticks(PATIENCE),
            "WFI does not wake"
        );
    }
    let elapsed = timer::now() - start;
    assert!(
        elapsed >= timer::ticks(100),
        "the timer came early: {elapsed}"
    );
    assert_eq!(
        taken(0),
        0,
        "the timer's interrupt came although IRQs are masked"
    );
    gic::unmask();
    await_taken(0, 1);
    for number in 2..20 {
        timer::arm_virtual(PERIOD);
        // IRQs are masked from looking to waiting, so that none slips in between.
        gic::mask();
        while taken(0) < number {
            wait_for_interrupt();
            gic::unmask();
            gic::mask();
        }
        gic::unmask();
    }
}

fn wait_for_interrupt() {
    // SAFETY: waits; wakes up at the latest when the timer fires.
    unsafe { core::arch::asm!("dsb sy", "wfi", options(nostack)) };
}
