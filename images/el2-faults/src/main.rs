//! Provokes faults of EL2 itself: what the hypervisor's own image can't do without a back door.
//!
//! It is `arch` with a role that does nothing. The machine's command line names the fault
//! (`-append fault=write-code`); the second CPU commits it, on its own stack. The machine must stop
//! with a post-mortem. It is built for tests only.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod faults;
#[cfg(target_os = "none")]
mod memory_functions;
#[cfg(target_os = "none")]
mod wiring;

/// The image runs on bare metal only; elsewhere there is nothing to do.
#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("this program is an image for tests: see `cargo xtask test`");
}
