//! Group E: interrupts that an operating system would not ask for.

use crate::attempt::{at, attempt};
use crate::gic::{self, GICD_BASE, SGI_FRAME};
use crate::machine::{MAX_CPUS, cpu_count, this_cpu};
use crate::registers::{read, write};
use crate::say;
use crate::timer::{self, PHYSICAL_TIMER, VIRTUAL_TIMER};
use crate::{psci, smp};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const SGI: u32 = 3;
/// Longer than anything here should take, in milliseconds.
const PATIENCE: u64 = 20_000;

/// SPIs from here on, which no device has, are pended by hand.
const FIRST_SPI: u32 = 40;
/// What an acknowledge returns when nothing is pending (IHI0069, 2.2.1).
const SPURIOUS: u32 = 1023;

const GICD_CTLR: usize = GICD_BASE;
const ENABLE_ALL: u32 = 1 << 4 | 1 << 1 | 1;
const IGROUPR: usize = 0x0080;
const ISENABLER: usize = 0x0100;
const ICENABLER: usize = 0x0180;
const ISPENDR: usize = 0x0200;
const ICPENDR: usize = 0x0280;
const ISACTIVER: usize = 0x0300;
const ICACTIVER: usize = 0x0380;
const IPRIORITYR: usize = 0x0400;
const ICFGR: usize = 0x0c00;
const IROUTER: usize = 0x6000;

/// Interrupts that each CPU has taken; written by that CPU alone.
static TAKEN: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];
static STOP: AtomicBool = AtomicBool::new(false);

fn taken(cpu: usize) -> u64 {
    TAKEN[cpu].load(Ordering::SeqCst)
}

fn count() -> u64 {
    let cpu = this_cpu();
    let number = taken(cpu) + 1;
    TAKEN[cpu].store(number, Ordering::SeqCst);
    number
}

fn await_taken(cpu: usize, number: u64) {
    let came = timer::wait_until(PATIENCE, || taken(cpu) >= number);
    assert!(came, "CPU {cpu} took {} of {number} interrupts", taken(cpu));
}

fn forget() {
    for taken in &TAKEN {
        taken.store(0, Ordering::SeqCst);
    }
}

/// Puts the distributor's and this CPU's interrupts into their first state.
fn quiet() {
    gic::mask();
    timer::disarm_virtual();
    timer::disarm_physical();
    let frame = gic::redistributor() + SGI_FRAME;
    for register in [ICENABLER, ICPENDR, ICACTIVER] {
        gic::set(frame + register, u32::MAX);
        for word in 1..32 {
            gic::set(GICD_BASE + register + word * 4, u32::MAX);
        }
    }
    for word in 1..32 {
        gic::set(GICD_BASE + IGROUPR + word * 4, u32::MAX);
    }
    gic::set(frame + ICFGR + 4, 0);
    // Priorities that stand from before: nobody is active any more, so drop them one by one.
    for _ in 0..32 {
        write!("icc_eoir1_el1", u64::from(SPURIOUS) - 4);
    }
}

/// Checks that the interrupt controller works after what was done to it: an SGI and a timer come.
pub(crate) fn check_usable() {
    quiet();
    forget();
    gic::set_up(&[SGI, VIRTUAL_TIMER], |interrupt| {
        if interrupt == VIRTUAL_TIMER {
            timer::disarm_virtual();
        }
        count();
    });
    gic::unmask();
    gic::send_sgi(SGI, 1);
    await_taken(0, 1);
    timer::arm_virtual(1);
    await_taken(0, 2);
    gic::mask();
}

/// Writes SGI registers with everything that is reserved, and absent affinities.
pub(crate) fn reserved_fields() {
    quiet();
    gic::set_up(&[], |_| ());
    let mut value = 0x1234_5678_9abc_def1_u64;
    for round in 0..4000u64 {
        value ^= value << 13;
        value ^= value >> 7;
        value ^= value << 17;
        let value = if round < 64 { 1 << round } else { value };
        at(value);
        let caught = attempt(|| write!("icc_sgi1r_el1", value));
        assert!(caught.is_none(), "{value:#x}: {caught:x?}");
        let caught = attempt(|| write!("icc_sgi0r_el1", value));
        assert!(caught.is_none(), "{value:#x}: {caught:x?}");
        let caught = attempt(|| write!("icc_asgi1r_el1", value));
        assert!(caught.is_none(), "{value:#x}: {caught:x?}");
    }
    check_usable();
}

/// Sends SGIs to vCPUs that are absent or off, and to all of them from all of them.
pub(crate) fn absent_targets() {
    quiet();
    forget();
    gic::set_up(&[SGI], |_| {
        count();
    });
    for targets in [0xfff8, 0xffff, 0] {
        for affinity in [0u64, 1 << 16, 0xff << 32, 0xff << 48, 0xf << 44] {
            let _ = attempt(|| {
                write!(
                    "icc_sgi1r_el1",
                    u64::from(SGI) << 24 | u64::from(targets & 0xfffe_u16) | affinity
                );
            });
        }
    }
    STOP.store(false, Ordering::SeqCst);
    for cpu in 1..cpu_count() {
        smp::start(cpu, |cpu| {
            gic::set_up(&[SGI], |_| {
                count();
            });
            gic::unmask();
            while !STOP.load(Ordering::SeqCst) {
                gic::send_sgi(SGI, 0xffff);
                if taken(cpu) > 1_000_000 {
                    break;
                }
            }
            gic::mask();
        });
    }
    gic::unmask();
    for _ in 0..3000 {
        // To all but itself, and to all by list.
        let _ = attempt(|| write!("icc_sgi1r_el1", u64::from(SGI) << 24 | 1 << 40));
        let _ = attempt(|| gic::send_sgi(SGI, 0xffff));
    }
    await_taken(0, 10);
    STOP.store(true, Ordering::SeqCst);
    for cpu in 1..cpu_count() {
        smp::join(cpu);
    }
    gic::mask();
    check_usable();
}

/// Sets up the SPIs of one register word: enabled, edge, to this CPU, each with a priority.
fn set_up_spis(priority: impl Fn(u32) -> u8) {
    quiet();
    forget();
    gic::set_up(&[], |_| ());
    gic::set(GICD_CTLR, ENABLE_ALL);
    for spi in 32..64 {
        let register = GICD_BASE + IPRIORITYR + spi as usize;
        crate::access::store(register as u64, 1, priority(spi).into()).expect("GICD_IPRIORITYR");
        let route = GICD_BASE + IROUTER + 8 * spi as usize;
        crate::access::store(route as u64, 8, read!("mpidr_el1") & 0xff_00ff_ffff)
            .expect("GICD_IROUTER");
    }
    for word in [8, 12] {
        gic::set(GICD_BASE + ICFGR + word, 0xaaaa_aaaa);
    }
}

fn spi_register(register: usize) -> usize {
    GICD_BASE + register + 4
}

fn acknowledge() -> u32 {
    read!("icc_iar1_el1") as u32 & 0xff_ffff
}

/// Disables, clears and pends an interrupt while it is active.
pub(crate) fn disable_active() {
    set_up_spis(|_| 0x80);
    let bit = 1 << (FIRST_SPI - 32);
    for round in 0..200u32 {
        gic::set(spi_register(ISENABLER), bit);
        gic::set(spi_register(ISPENDR), bit);
        assert_eq!(acknowledge(), FIRST_SPI, "round {round}");
        at(round.into());
        let steps: [(usize, u32); 6] = [
            (ICENABLER, bit),
            (ISPENDR, bit),
            (ICPENDR, bit),
            (ISENABLER, bit),
            (ICACTIVER, if round % 2 == 0 { bit } else { 0 }),
            (ISACTIVER, if round % 3 == 0 { bit } else { 0 }),
        ];
        for (register, value) in steps {
            let _ = attempt(|| gic::set(spi_register(register), value));
        }
        write!("icc_eoir1_el1", u64::from(FIRST_SPI));
        // Whatever was left active is so no longer.
        gic::set(spi_register(ICACTIVER), bit);
        assert_eq!(acknowledge(), SPURIOUS, "round {round}: it came twice");
        // And in the order of the race: pended and cleared before it is taken.
        gic::set(spi_register(ISPENDR), bit);
        gic::set(spi_register(ICPENDR), bit);
        assert_eq!(
            acknowledge(),
            SPURIOUS,
            "round {round}: it came although cleared"
        );
    }
    check_usable();
}

/// Has 24 interrupts pending at once, more active at once than there are list registers, and ends them
/// in the wrong order.
pub(crate) fn many_active() {
    set_up_spis(|spi| 0xf8 - 8 * (spi - 32) as u8);
    let all: u32 = 0xffff_ff00;
    gic::set(spi_register(ISENABLER), all);
    for round in 0..20 {
        at(round);
        let _ = attempt(|| gic::set(spi_register(ISPENDR), all));
        // All at once, each ended before the next: every one comes once, the most urgent first.
        let mut last = 64;
        for _ in 0..24 {
            let interrupt = acknowledge();
            assert!(
                (FIRST_SPI..last).contains(&interrupt),
                "{interrupt} after {last}"
            );
            last = interrupt;
            write!("icc_eoir1_el1", u64::from(interrupt));
        }
        assert_eq!(acknowledge(), SPURIOUS, "more came than were pended");
    }
    // One above the other: each is pended while the one below is active.
    let mut nested = 0;
    for spi in FIRST_SPI..60 {
        let _ = attempt(|| gic::set(spi_register(ISPENDR), 1 << (spi - 32)));
        let interrupt = acknowledge();
        if interrupt == SPURIOUS {
            break;
        }
        assert_eq!(interrupt, spi);
        nested += 1;
    }
    assert!(nested >= 8, "only {nested} could be nested");
    // Ended from the bottom, and some that were never acknowledged or do not exist.
    for odd in [33, 1019, 1020, 1023, 8191, 8192, 0xff_ffff] {
        let _ = attempt(|| write!("icc_dir_el1", odd));
    }
    for spi in FIRST_SPI..FIRST_SPI + nested {
        let _ = attempt(|| write!("icc_eoir1_el1", u64::from(spi)));
    }
    for odd in [33u64, 63, 1019, 8191, 8192, 0xff_ffff] {
        let _ = attempt(|| write!("icc_eoir1_el1", odd));
    }
    assert_eq!(
        read!("icc_rpr_el1") & 0xff,
        0xff,
        "priorities are still active"
    );
    // Ended in the wrong order an interrupt may stay active, which is UNPREDICTABLE (IHI0069,
    // 12.2.11); the guest can clear it all the same.
    let left = gic::get(spi_register(ISACTIVER)).count_ones();
    gic::set(spi_register(ICACTIVER), u32::MAX);
    let active = gic::get(spi_register(ISACTIVER));
    assert_eq!(active, 0, "interrupts are still active");
    say!("  24 pending at once, {nested} active at once, {left} left active by wrong ends");
    check_usable();
}

/// Uses the maintenance interrupt's number, which is the guest's own as any other.
pub(crate) fn maintenance() {
    const MAINTENANCE: u32 = 25;
    quiet();
    forget();
    for private in 16..32 {
        forget();
        gic::set_up(&[private], |_| {
            count();
        });
        let frame = gic::redistributor() + SGI_FRAME;
        gic::unmask();
        for _ in 0..50 {
            at(private.into());
            let _ = attempt(|| gic::set(frame + ISPENDR, 1 << private));
        }
        // Level-sensitive ones that are pended by hand stay so until they are taken.
        timer::wait_until(5, || taken(0) > 0);
        gic::mask();
        if private == MAINTENANCE {
            say!("  INTID {MAINTENANCE} was taken {} times", taken(0));
        }
        quiet();
    }
    check_usable();
}

/// Has the UART's line high and never does what would lower it.
pub(crate) fn level() {
    const UART_SPI: u32 = 33;
    const UART_MASK: u64 = 0x0900_0038;
    const UART_RAW: u64 = 0x0900_003c;
    set_up_spis(|_| 0x80);
    // The receive time-out never happens; transmit does, as soon as a byte is out.
    crate::access::store(UART_MASK, 4, 1 << 5).expect("UARTIMSC");
    say!("  raises the line");
    let raw = crate::access::load(UART_RAW, 4).expect("UARTRIS");
    if raw & 1 << 5 == 0 {
        say!("  the line stays low");
    }
    gic::set(GICD_BASE + ICFGR + 8, 0);
    gic::set_up(&[], |interrupt| {
        assert_eq!(interrupt, UART_SPI);
        if count() >= 20_000 {
            crate::access::store(UART_MASK, 4, 0).expect("UARTIMSC");
        }
    });
    gic::set(spi_register(ISENABLER), 1 << (UART_SPI - 32));
    gic::unmask();
    await_taken(0, 20_000);
    gic::mask();
    say!("  taken {} times", taken(0));
    check_usable();
}

/// Has both timers fire at once, for ever.
pub(crate) fn timer_past() {
    quiet();
    for (timer, private) in [("virtual", VIRTUAL_TIMER), ("physical", PHYSICAL_TIMER)] {
        forget();
        gic::set_up(&[private], |interrupt| {
            let ended = count() >= 10_000;
            let control = u64::from(!ended);
            if interrupt == VIRTUAL_TIMER {
                write!("cntv_cval_el0", 0);
                write!("cntv_ctl_el0", control);
            } else {
                write!("cntp_cval_el0", 0);
                write!("cntp_ctl_el0", control);
            }
        });
        if private == VIRTUAL_TIMER {
            write!("cntv_cval_el0", 0);
            let _ = attempt(|| write!("cntv_ctl_el0", 1));
        } else {
            write!("cntp_cval_el0", 0);
            let _ = attempt(|| write!("cntp_ctl_el0", 1));
        }
        gic::unmask();
        await_taken(0, 10_000);
        gic::mask();
        say!("  the {timer} timer fired {} times", taken(0));
    }
    // Values at the ends of what can be compared.
    for value in [0, 1, u64::MAX, 1 << 63, (1 << 63) - 1] {
        at(value);
        let _ = attempt(|| write!("cntp_cval_el0", value));
        let _ = attempt(|| write!("cntp_tval_el0", value));
        let _ = attempt(|| write!("cntv_cval_el0", value));
        let _ = attempt(|| write!("cntp_ctl_el0", 3));
        let _ = attempt(|| write!("cntp_ctl_el0", 1));
        let _ = attempt(|| write!("cntp_ctl_el0", 0));
    }
    let _ = psci::call(psci::VERSION, [0; 3]);
    check_usable();
}

/// Has all SPIs active, or all pending, with those that come last the most urgent: what the hypervisor
/// has to choose from is as much as can be, in the worst order.
pub(crate) fn worst_choice() {
    for (set, clear) in [(ISACTIVER, ICACTIVER), (ISPENDR, ICPENDR)] {
        quiet();
        gic::set_up(&[], |_| ());
        gic::set(GICD_CTLR, ENABLE_ALL);
        let words = (gic::get(GICD_BASE + 4) & 0x1f) as usize + 1;
        for word in 1..words {
            let priority = 0xf8 - 8 * word as u32;
            for four in 0..8 {
                let register = GICD_BASE + IPRIORITYR + word * 32 + four * 4;
                gic::set(register, priority * 0x0101_0101);
            }
            gic::set(GICD_BASE + ISENABLER + word * 4, u32::MAX);
            // All to this CPU: others' would not be looked at.
            for spi in word * 32..(word * 32 + 32).min(1020) {
                let route = (GICD_BASE + IROUTER + 8 * spi) as u64;
                let _ = crate::access::store(route, 8, read!("mpidr_el1") & 0xff_00ff_ffff);
            }
        }
        for word in 1..words {
            at((set + word * 4) as u64);
            let _ = attempt(|| gic::set(GICD_BASE + set + word * 4, u32::MAX));
        }
        // Each of these has the hypervisor choose anew: acknowledged ones, ended ones, ones that
        // were never acknowledged.
        for round in 0..40u64 {
            at((set as u64) << 16 | round);
            let mut interrupt = SPURIOUS;
            let _ = attempt(|| interrupt = acknowledge());
            let _ = attempt(|| write!("icc_eoir1_el1", u64::from(interrupt)));
            for odd in 0..31 {
                let _ = attempt(|| write!("icc_eoir1_el1", 32 + odd));
            }
            let _ = attempt(|| gic::set(GICD_BASE + set + 4, u32::MAX));
            let _ = attempt(|| gic::set(GICD_BASE + clear + 4, 1 << (round % 32)));
            let _ = attempt(|| {
                read!("icc_hppir1_el1");
            });
        }
    }
    check_usable();
}
