//! What bare-metal guests share: entry, vectors, console, PSCI, GIC, timer.
//!
//! A guest runs with the MMU off at EL1, in the memory map of QEMU's `virt` machine. It names itself
//! and its main function with `payload!`; the linker script is this crate's `link.ld`.
//!
//! With the MMU off all data accesses are to Device memory, where exclusives need not work: CPUs
//! talk to each other by plain atomic loads and stores, each variable with one writer.

#![cfg_attr(target_os = "none", no_std)]
#![cfg(target_os = "none")]

mod boot;
pub mod console;
pub mod exceptions;
pub mod gic;
pub mod machine;
pub mod psci;
pub mod registers;
pub mod smp;
pub mod timer;

/// Defines the guest's name, which starts each line that it prints, and its main function, which
/// gets the kernel's command line and runs on the first CPU. When it returns the VM is turned off.
#[macro_export]
macro_rules! payload {
    (name: $name:literal, main: $main:path) => {
        // SAFETY: the name is the one that the runtime calls, and no other function has it.
        #[unsafe(no_mangle)]
        extern "Rust" fn payload_name() -> &'static str {
            $name
        }

        // SAFETY: as above.
        #[unsafe(no_mangle)]
        extern "Rust" fn payload_main(bootargs: &'static str) {
            $main(bootargs);
        }
    };
}

/// Returns the guest's name.
#[must_use]
pub fn name() -> &'static str {
    unsafe extern "Rust" {
        safe fn payload_name() -> &'static str;
    }
    payload_name()
}
