//! Measures a Linux kernel's boot from both of its ends, on the bare machine and in a VM alike.
//!
//! The same program stands before the kernel, in one file with it, and is that kernel's first
//! process:
//!
//! - The loader enters it as the kernel. It prints the device tree, so that another machine can be
//!   given the very same, writes the virtual counter over `entry=0000000000000000` in the kernel's
//!   command line, and jumps to the kernel.
//! - As `/init`, its first instruction reads the counter again. The kernel passes what it does not
//!   know of its command line on as environment, so the first reading is found there; the difference
//!   is printed, and the machine turned off.
//!
//! ```text
//! ruler: tree ADDRESS BYTES
//! ruler: data HEXADECIMAL
//! ruler: boot TICKS
//! ```
//!
//! Between the first reading and the kernel's first instruction stand some 200 instructions.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod before;
#[cfg(target_os = "none")]
mod process;

/// Does nothing: the program is for the bare-metal target.
#[cfg(not(target_os = "none"))]
fn main() {}

/// What precedes the counter in the kernel's command line, and in the process's environment.
#[cfg(target_os = "none")]
const MARK: &[u8] = b"entry=";

/// How many hexadecimal digits follow [`MARK`].
#[cfg(target_os = "none")]
const DIGITS: usize = 16;

// The header of an arm64 `Image` (Linux, Documentation/arch/arm64/booting.rst), whose first word is
// the first instruction of the process. A loader puts the device tree's address into x0; Linux
// clears it for a process.
#[cfg(target_os = "none")]
core::arch::global_asm!(
    ".pushsection .text.entry, \"ax\"",
    ".global entry",
    "entry:",
    "    mrs x1, cntvct_el0",
    "    b 0f",
    "    .quad 0x180000", // text_offset: from the start of memory to the link address
    "    .quad image_size", // whoever appends the kernel adds what that takes
    "    .quad 0x2",      // flags: little-endian, 4 KiB pages, near the start of memory
    "    .quad 0, 0, 0",
    "    .ascii \"ARM\\x64\"",
    "    .word 0",
    "0:  mov x29, xzr",
    "    mov x30, xzr",
    "    cbz x0, 1f",
    "    msr daifset, #0xf",
    "    msr spsel, #1",
    "    adrp x1, stack_end",
    "    add x1, x1, :lo12:stack_end",
    "    mov sp, x1",
    "    b before_kernel",
    "1:  mov x0, sp",
    "    b first_process",
    ".popsection",
);

#[cfg(target_os = "none")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // Nothing here panics; a time limit outside would show it.
    loop {
        core::hint::spin_loop();
    }
}
