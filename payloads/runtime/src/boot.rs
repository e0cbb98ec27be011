//! Where CPUs enter, and the way to the payload.

use crate::console::say;
use crate::{exceptions, machine, psci, smp};
use core::arch::global_asm;
use core::panic::PanicInfo;

/// Size of a CPU's stack in bytes, as the linker script has it.
const STACK_SIZE: usize = 0x4000;

// `entry` is where the loader enters the first CPU, with the device tree's address in x0. It starts
// with a header that makes this an arm64 `Image` (Linux, Documentation/arch/arm64/booting.rst) for
// loaders that look for one; as a flat binary it runs just as well.
// `secondary_entry` is where PSCI CPU_ON enters the others, with their index in x0. Both take the
// stack of their index and go to Rust with x0 as it was. Clobbers x1, x2 and sp.
global_asm!(
    ".pushsection .text.entry, \"ax\"",
    ".global entry",
    "entry:",
    "    b 0f",
    "    .word 0",
    "    .quad 0x80000",            // text_offset: from the start of memory to the link address
    "    .quad image_size",
    "    .quad 0x2",                // flags: little-endian, 4 KiB pages, near the start of memory
    "    .quad 0, 0, 0",
    "    .ascii \"ARM\\x64\"",
    "    .word 0",
    "0:  mov x1, xzr",
    "    adr x2, first_main",
    "    b 1f",
    ".global secondary_entry",
    "secondary_entry:",
    "    mov x1, x0",
    "    adr x2, secondary_main",
    "1:  msr daifset, #0xf",
    "    msr spsel, #1",
    "    msr tpidr_el1, x1",
    "    add x1, x1, #1",
    "    mov x3, #{stack_size}",
    "    mul x1, x1, x3",
    "    adrp x3, stacks",
    "    add x3, x3, :lo12:stacks",
    "    add sp, x3, x1",
    "    mov x29, xzr",
    "    mov x30, xzr",
    "    br x2",
    ".popsection",
    stack_size = const STACK_SIZE,
);

/// Runs the payload on the first CPU.
#[unsafe(no_mangle)]
extern "C" fn first_main(tree: *const u8) -> ! {
    exceptions::install();
    // SAFETY: the boot protocol has the loader pass the tree's address; nothing writes there.
    let bootargs = match unsafe { machine::discover(tree) } {
        Ok(bootargs) => bootargs,
        Err(reason) => panic!("no usable device tree: {reason}"),
    };
    unsafe extern "Rust" {
        safe fn payload_main(bootargs: &'static str);
    }
    payload_main(bootargs);
    psci::system_off()
}

/// Runs what [`smp::start`] asked for, on another CPU.
#[unsafe(no_mangle)]
extern "C" fn secondary_main(index: usize) -> ! {
    exceptions::install();
    smp::run(index);
    psci::cpu_off()
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    match info.location() {
        Some(place) => say!(
            "FAILED: {} ({}:{})",
            info.message(),
            place.file(),
            place.line()
        ),
        None => say!("FAILED: {}", info.message()),
    }
    psci::system_off()
}
