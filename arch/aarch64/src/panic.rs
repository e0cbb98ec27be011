//! What is printed when the hypervisor itself is at fault.

use crate::console::PanicConsole;
use crate::cpu::{self, this};
use crate::layout;
use core::fmt::Write;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicUsize, Ordering};
use machine::Frame;

/// Who reports: a CPU's index plus 1, or 0.
static REPORTER: AtomicUsize = AtomicUsize::new(0);

/// Tells whether this CPU shall report. Others that fail while one does stay silent; one that fails
/// in its own report ends the machine.
fn shall_report() -> bool {
    let me = this().index.load(Ordering::Relaxed) + 1;
    let before = REPORTER.compare_exchange(0, me, Ordering::AcqRel, Ordering::Acquire);
    if before == Err(me) {
        let _ = PanicConsole.write_str("\nbulkhead: the report failed too");
        finish(&mut PanicConsole);
    }
    before.is_ok()
}

/// How many return addresses a backtrace shows.
const DEPTH: usize = 24;

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let out = &mut PanicConsole;
    if shall_report() {
        let cpu = this().index.load(Ordering::Relaxed);
        let _ = writeln!(out, "\nbulkhead: PANIC on CPU {cpu}: {info}");
        backtrace(out, frame_pointer());
        finish(out);
    }
    halt()
}

/// Turns the machine off because it can't be used, and says why in one line.
pub fn give_up(reason: core::fmt::Arguments<'_>) -> ! {
    let out = &mut PanicConsole;
    if shall_report() {
        let _ = writeln!(out, "\nbulkhead: {reason}");
        finish(out);
    }
    halt()
}

const VECTORS: [&str; 8] = [
    "synchronous exception on SP_EL0",
    "IRQ on SP_EL0",
    "FIQ on SP_EL0",
    "SError on SP_EL0",
    "synchronous exception",
    "IRQ",
    "FIQ",
    "SError",
];

/// Reports an exception that EL2 took to itself. Called by `vectors.rs` on the emergency stack.
///
/// `frame` has the registers, with SP in its last word.
#[unsafe(no_mangle)]
extern "C" fn bk_fatal_exception(frame: &Frame, vector: usize, esr: u64, far: u64) -> ! {
    let out = &mut PanicConsole;
    if shall_report() {
        let cpu = this().index.load(Ordering::Relaxed);
        let kind = VECTORS.get(vector).copied().unwrap_or("exception");
        let _ = writeln!(out, "\nbulkhead: FATAL {kind} at EL2 on CPU {cpu}");
        let _ = writeln!(out, "  {}", trap::Esr::new(esr));
        let _ = writeln!(out, "  FAR {far:#018x}{}", place(far, cpu));
        let _ = writeln!(out, "  PC  {:#018x}  PSTATE {:#x}", frame.pc, frame.pstate);
        // The word after `pstate` holds SP here (`vectors.rs`).
        let _ = writeln!(out, "  SP  {:#018x}", frame.reserved);
        for (row, registers) in frame.x.chunks(3).enumerate() {
            for (column, value) in registers.iter().enumerate() {
                let _ = write!(out, "  x{:<2} {value:#018x}", row * 3 + column);
            }
            let _ = writeln!(out);
        }
        backtrace(out, frame.x[29]);
        finish(out);
    }
    halt()
}

fn place(address: u64, cpu: usize) -> &'static str {
    let guard = layout::stack_bottom(cpu) - 0x1000;
    if (guard..guard + 0x1000).contains(&address) {
        " (the guard page below this CPU's stack: stack overflow)"
    } else {
        ""
    }
}

/// Prints the return addresses from a chain of frame records, as far as it stays in this CPU's
/// stacks.
fn backtrace(out: &mut PanicConsole, frame_pointer: u64) {
    let _ = writeln!(out, "  backtrace (addresses in the image):");
    let mut pointer = frame_pointer;
    for _ in 0..DEPTH {
        if !in_stack(pointer) {
            return;
        }
        // SAFETY: `in_stack` says that the 16 bytes lie in a mapped stack, aligned.
        let [next, address] = unsafe { *(pointer as *const [u64; 2]) };
        // A signed return address has its code in the bits that no address uses.
        let address = address & layout::ADDRESS_BITS;
        let _ = writeln!(out, "    {address:#018x}");
        if next <= pointer {
            return;
        }
        pointer = next;
    }
}

fn in_stack(pointer: u64) -> bool {
    let cpu = this().index.load(Ordering::Relaxed);
    let stacks = [
        (layout::stack_bottom(cpu), layout::STACK_SIZE),
        (layout::emergency_bottom(cpu), layout::EMERGENCY_STACK_SIZE),
    ];
    let boot = crate::boot::boot_stack();
    let inside = |start: u64, size: u64| {
        (start..start + size - 15).contains(&pointer) && pointer.is_multiple_of(16)
    };
    crate::setup::stacks_are_mapped() && stacks.iter().any(|(start, size)| inside(*start, *size))
        || inside(boot.0, boot.1)
}

fn frame_pointer() -> u64 {
    let value: u64;
    // SAFETY: reads a general-purpose register.
    unsafe { core::arch::asm!("mov {}, x29", out(reg) value, options(nomem, nostack)) };
    value
}

fn finish(out: &mut PanicConsole) {
    let _ = writeln!(out, "bulkhead: machine off: the hypervisor failed");
    // SAFETY: this CPU never returns to its handler, so the token has no rival from now on.
    let mut hardware = unsafe { cpu::ThisCpu::new() };
    machine::CpuPower::system_off(&mut hardware);
}

fn halt() -> ! {
    loop {
        // SAFETY: waits; changes nothing.
        unsafe { core::arch::asm!("wfe", options(nomem, nostack)) };
    }
}
