//! A bare-metal guest that attacks what it runs on.
//!
//! It takes commands on its console, a line each: `list` prints the cases, `run CASE` plays one,
//! `reset` and `off` call PSCI. A case is data (`cases::CASES`): its name, what it does, and how it
//! must end. While it plays it checks the answers from the inside; what it can't see, that others
//! go on unharmed, the test outside looks at, with the help of the guest's second mode
//! (`mode=heartbeat`), which hashes its own memory for ever and prints what it found.
//!
//! Each attempt at something is timed. Where the machine's clock counts instructions (QEMU's
//! `-icount shift=0`) the longest attempt is an upper bound of an exit's instructions.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod access;
#[cfg(target_os = "none")]
mod attempt;
#[cfg(target_os = "none")]
mod cases;
#[cfg(target_os = "none")]
mod commands;
#[cfg(target_os = "none")]
mod heartbeat;
#[cfg(target_os = "none")]
mod mmu;
#[cfg(target_os = "none")]
mod stub;

#[cfg(target_os = "none")]
use payload_runtime::{console, exceptions, gic, machine, psci, registers, smp, timer};

#[cfg(target_os = "none")]
/// Prints a line whose end is marked: it may be cut in two where several VMs share a console.
#[cfg(target_os = "none")]
macro_rules! say {
    ($($argument:tt)*) => {
        payload_runtime::say!("{};", format_args!($($argument)*))
    };
}

#[cfg(target_os = "none")]
pub(crate) use say;

#[cfg(target_os = "none")]
payload_runtime::payload!(name: "hostile-guest", main: run);

/// Serves the mode that the command line names.
#[cfg(target_os = "none")]
fn run(bootargs: &'static str) {
    if bootargs.split_whitespace().any(|it| it == "mode=heartbeat") {
        heartbeat::beat();
    }
    commands::serve();
}

/// Does nothing: the guest is for the bare-metal target.
#[cfg(not(target_os = "none"))]
fn main() {}
