//! A bare-metal guest that checks, from the inside, what a VM may rely on.
//!
//! The kernel's command line names the case, such as `case=timer-irq`. The guest prints
//! `test-guest: CASE ok` or `test-guest: CASE FAILED: …` on its PL011 and turns itself off. It runs
//! with the MMU off at EL1, in the memory map of QEMU's `virt` machine, so that most cases also run
//! on QEMU itself:
//!
//! ```text
//! qemu-system-aarch64 -M virt,gic-version=3 -cpu max -smp 2 -m 256 -nographic -nic none \
//!     -kernel test-guest.bin -append case=timer-irq
//! ```

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod cases;

#[cfg(target_os = "none")]
use payload_runtime::{console, exceptions, gic, machine, psci, registers, smp, timer};

#[cfg(target_os = "none")]
payload_runtime::payload!(name: "test-guest", main: run);

/// Runs the case that the command line names.
#[cfg(target_os = "none")]
fn run(bootargs: &'static str) {
    let name = bootargs
        .split_whitespace()
        .find_map(|word| word.strip_prefix("case="))
        .unwrap_or("hello");
    let Some(case) = cases::find(name) else {
        panic!("there is no case {name:?}");
    };
    console::say!("{name} starts with {} CPUs", machine::cpu_count());
    case();
    console::say!("{name} ok");
}

/// Does nothing: the guest is for the bare-metal target.
#[cfg(not(target_os = "none"))]
fn main() {}
