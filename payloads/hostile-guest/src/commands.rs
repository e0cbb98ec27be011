//! The commands.

use crate::cases::{self, Expected};
use crate::{access, attempt, gic, psci, timer};
use crate::{console, say};

/// The longest command, in bytes.
const LENGTH: usize = 80;

/// Carries out commands; does not return.
pub(crate) fn serve() -> ! {
    // UARTLCR_H and UARTCR (DDI0183, 3.3.7 and 3.3.8): FIFOs, and both directions on.
    access::store(0x0900_002c, 4, 0x70).expect("UARTLCR_H");
    access::store(0x0900_0030, 4, 0x301).expect("UARTCR");
    say!("ready");
    loop {
        let mut buffer = [0; LENGTH];
        let line = read_line(&mut buffer);
        match line.split_once(' ').unwrap_or((line, "")) {
            ("list", _) => list(),
            ("run", name) => run(name),
            ("reset", _) => psci::system_reset(),
            ("off", _) => psci::system_off(),
            _ => say!("unknown command {line:?}"),
        }
    }
}

fn read_line(buffer: &mut [u8; LENGTH]) -> &str {
    let mut length = 0;
    loop {
        let Some(byte) = console::get() else {
            doze();
            continue;
        };
        if byte == b'\n' {
            break;
        }
        if let Some(slot) = buffer.get_mut(length) {
            *slot = byte;
            length += 1;
        }
    }
    core::str::from_utf8(&buffer[..length]).unwrap_or("").trim()
}

/// Leaves the CPU to others for a moment.
fn doze() {
    gic::set_up(&[timer::VIRTUAL_TIMER], |_| ());
    timer::arm_virtual(20);
    // SAFETY: waits until the timer's interrupt is pending, which stays masked.
    unsafe { core::arch::asm!("wfi", options(nostack)) };
    timer::disarm_virtual();
}

fn list() {
    for case in cases::CASES {
        let expected = match case.expected {
            Expected::Answered => "answered",
            Expected::Stopped => "stopped",
            Expected::Off => "off",
            Expected::Reset => "reset",
        };
        say!(
            "case {} {} {} {}",
            case.name,
            expected,
            case.cpus,
            case.what
        );
    }
    say!("listed");
}

fn run(name: &str) {
    let Some(case) = cases::CASES.iter().find(|case| case.name == name) else {
        say!("unknown case {name:?}");
        return;
    };
    say!("begin {name}");
    attempt::start();
    (case.run)();
    let tally = attempt::tally();
    say!(
        "end {name}: {} attempts, longest {} at {:#x}",
        tally.count,
        tally.longest,
        tally.place
    );
}
