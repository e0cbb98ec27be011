//! The hypervisor's image: wiring of role and arch.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod wiring;

/// The image runs on bare metal only; elsewhere there is nothing to do.
#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("this program is the hypervisor's image: build it with `cargo xtask run`");
}
