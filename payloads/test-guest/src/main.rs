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
//!
//! With the MMU off all data accesses are to Device memory, where exclusives need not work: CPUs
//! talk to each other by plain atomic loads and stores, each variable with one writer.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod boot;
#[cfg(target_os = "none")]
mod cases;
#[cfg(target_os = "none")]
mod console;
#[cfg(target_os = "none")]
mod exceptions;
#[cfg(target_os = "none")]
mod gic;
#[cfg(target_os = "none")]
mod machine;
#[cfg(target_os = "none")]
mod psci;
#[cfg(target_os = "none")]
mod registers;
#[cfg(target_os = "none")]
mod smp;
#[cfg(target_os = "none")]
mod timer;

/// Does nothing: the guest is for the bare-metal target.
#[cfg(not(target_os = "none"))]
fn main() {}
