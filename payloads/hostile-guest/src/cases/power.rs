//! Group D: PSCI (DEN0022).

use crate::attempt::{at, attempt};
use crate::machine::{affinity, cpu_count};
use crate::psci::{self, ALREADY_ON, INVALID_PARAMETERS, SUCCESS};
use crate::say;
use crate::{gic, smp, timer};
use core::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

const CPU_SUSPEND: [u64; 2] = [0x8400_0001, 0xc400_0001];
const CPU_ON_32: u64 = 0x8400_0003;
const SYSTEM_SUSPEND: u64 = 0xc400_000e;
const ON_PENDING: i64 = -5;
const DENIED: i64 = -3;
const INVALID_ADDRESS: i64 = -9;

fn call(function: u64, arguments: [u64; 3]) -> i64 {
    let mut result = 0;
    at(function);
    let caught = attempt(|| result = psci::call(function, arguments));
    assert!(caught.is_none(), "function {function:#x}: {caught:x?}");
    result
}

/// Turns on what can't be turned on, or not there.
pub(crate) fn cpu_on() {
    let entry = smp::entry_address();
    for affinity in [
        0x00ff_ff00,
        3,
        8,
        1 << 8,
        1 << 16,
        1 << 24,
        1 << 31,
        1 << 32,
        1 << 40,
        u64::MAX,
    ] {
        if affinity < cpu_count() as u64 {
            continue;
        }
        let result = call(psci::CPU_ON, [affinity, entry, 0]);
        assert_eq!(result, INVALID_PARAMETERS, "CPU_ON of {affinity:#x}");
    }
    assert_eq!(
        call(psci::CPU_ON, [affinity(0), entry, 0]),
        ALREADY_ON,
        "CPU_ON of itself"
    );
    for bad in [
        0,
        0x0800_0000,
        0x0900_0000,
        0x3fff_fffc,
        0x4400_0000,
        0x8000_0000,
        entry | 1,
        entry | 2,
        entry | 3,
        entry | 1 << 40,
        entry | 1 << 47,
        entry | 1 << 63,
        u64::MAX,
        u64::MAX - 3,
    ] {
        let result = call(psci::CPU_ON, [affinity(1), bad, 0]);
        assert_eq!(result, INVALID_ADDRESS, "CPU_ON at {bad:#x}");
        let info = call(psci::AFFINITY_INFO, [affinity(1), 0, 0]);
        assert_eq!(info, psci::AFFINITY_OFF, "after CPU_ON at {bad:#x}");
    }
    // With the 32-bit function the upper halves count for nothing.
    let result = call(CPU_ON_32, [0xdead_0000_0000_0000 | affinity(0), entry, 0]);
    assert_eq!(result, ALREADY_ON, "CPU_ON, 32-bit, of itself");
}

/// Turned on by each of the two that race, and how often.
static WON: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];
static GO: AtomicU64 = AtomicU64::new(0);
static ODD: AtomicI64 = AtomicI64::new(0);
static RAN: AtomicU64 = AtomicU64::new(0);
const ROUNDS: u64 = 100;

/// Two turn on the third at the same time: one succeeds.
pub(crate) fn race() {
    GO.store(0, Ordering::SeqCst);
    RAN.store(0, Ordering::SeqCst);
    for won in &WON {
        won.store(0, Ordering::SeqCst);
    }
    smp::prepare(2, |_| {
        RAN.store(RAN.load(Ordering::SeqCst) + 1, Ordering::SeqCst)
    });
    smp::start(1, |_| {
        for round in 1..=ROUNDS {
            while GO.load(Ordering::SeqCst) < round {
                core::hint::spin_loop();
            }
            turn_on_third(1);
        }
    });
    for round in 1..=ROUNDS {
        GO.store(round, Ordering::SeqCst);
        turn_on_third(0);
        let both = timer::wait_until(20_000, || {
            WON[0].load(Ordering::SeqCst) + WON[1].load(Ordering::SeqCst) >= round
                && psci::call(psci::AFFINITY_INFO, [affinity(2), 0, 0]) == psci::AFFINITY_OFF
        });
        assert!(both, "round {round}: nobody turned it on, or it stays on");
    }
    smp::join(1);
    let odd = ODD.load(Ordering::SeqCst);
    assert_eq!(odd, 0, "CPU_ON returned {odd}");
    let (won, ran) = (
        WON[0].load(Ordering::SeqCst) + WON[1].load(Ordering::SeqCst),
        RAN.load(Ordering::SeqCst),
    );
    assert_eq!(won, ran, "successes and starts");
    say!("  {won} successes, {ran} starts");
}

fn turn_on_third(own: usize) {
    match psci::call(psci::CPU_ON, [affinity(2), smp::entry_address(), 2]) {
        SUCCESS => WON[own].store(WON[own].load(Ordering::SeqCst) + 1, Ordering::SeqCst),
        ALREADY_ON | ON_PENDING => {}
        odd => ODD.store(odd, Ordering::SeqCst),
    }
}

/// Turns a vCPU on and off, again and again.
pub(crate) fn on_and_off() {
    for _ in 0..200 {
        smp::start(1, |_| ());
        smp::join(1);
    }
}

static STAY: AtomicBool = AtomicBool::new(false);

/// Suspends with arguments that make no sense.
pub(crate) fn suspend() {
    const TIMER: u32 = timer::VIRTUAL_TIMER;
    gic::set_up(&[TIMER], |_| timer::disarm_virtual());
    let entry = smp::entry_address();
    // A pending interrupt ends a suspend at once, so that the ones that are accepted return.
    let mut answers = [0u32; 3];
    for bit in 0..32u64 {
        for function in CPU_SUSPEND {
            timer::arm_virtual(0);
            // Power down with entries in no memory; bit 16 in the original format, 30 in the extended.
            let state = 1 << bit;
            let result = call(function, [state, 0x3, 0]);
            match result {
                SUCCESS => answers[0] += 1,
                INVALID_PARAMETERS => answers[1] += 1,
                INVALID_ADDRESS => answers[2] += 1,
                other => panic!("CPU_SUSPEND, state {state:#x}: {other}"),
            }
        }
    }
    timer::disarm_virtual();
    say!(
        "  CPU_SUSPEND: {} stood by, {} bad states, {} bad entries",
        answers[0],
        answers[1],
        answers[2]
    );
    assert!(answers[2] > 0, "no state was a power-down");
    for bad in [0, 0x0900_0000, 0x4400_0000, entry | 2, u64::MAX] {
        let result = call(SYSTEM_SUSPEND, [bad, 0, 0]);
        assert_eq!(result, INVALID_ADDRESS, "SYSTEM_SUSPEND to {bad:#x}");
    }
    STAY.store(true, Ordering::SeqCst);
    smp::start(1, |_| {
        while STAY.load(Ordering::SeqCst) {
            core::hint::spin_loop();
        }
    });
    let result = call(SYSTEM_SUSPEND, [entry, 0, 0]);
    STAY.store(false, Ordering::SeqCst);
    smp::join(1);
    assert_eq!(result, DENIED, "SYSTEM_SUSPEND beside a vCPU that is on");
    super::interrupts::check_usable();
}

/// Asks for a vCPU's state while that changes.
pub(crate) fn affinity_info() {
    let mut seen = [0u32; 3];
    for _ in 0..200 {
        smp::start(1, |_| ());
        loop {
            match call(psci::AFFINITY_INFO, [affinity(1), 0, 0]) {
                state @ 0..=2 => seen[state as usize] += 1,
                other => panic!("AFFINITY_INFO returned {other}"),
            }
            if seen[1] > 0 && call(psci::AFFINITY_INFO, [affinity(1), 0, 0]) == psci::AFFINITY_OFF {
                break;
            }
        }
        smp::join(1);
    }
    for (affinity, level) in [
        (0, 1),
        (0, 4),
        (0, u64::MAX),
        (0xff, 0),
        (1 << 63, 0),
        (u64::MAX, 0),
    ] {
        let result = call(psci::AFFINITY_INFO, [affinity, level, 0]);
        assert_eq!(
            result, INVALID_PARAMETERS,
            "AFFINITY_INFO of {affinity:#x} at level {level}"
        );
    }
    say!("  on {}, off {}, pending {}", seen[0], seen[1], seen[2]);
}

/// Starts all others, which stay in a loop.
fn start_all() {
    STAY.store(true, Ordering::SeqCst);
    for cpu in 1..cpu_count() {
        smp::start(cpu, |_| {
            while STAY.load(Ordering::SeqCst) {
                core::hint::spin_loop();
            }
        });
    }
}

/// Resets the VM while all vCPUs run.
pub(crate) fn reset() {
    start_all();
    psci::system_reset();
}

/// Turns the VM off while all vCPUs run.
pub(crate) fn off() {
    start_all();
    psci::system_off();
}

/// Turns the last vCPU off.
pub(crate) fn cpu_off() {
    psci::cpu_off();
}
