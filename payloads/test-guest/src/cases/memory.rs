//! Addresses that are not RAM.

use crate::console::say;
use crate::exceptions::{Caught, EC_DATA_ABORT, EC_INSTRUCTION_ABORT, FSC_EXTERNAL, catch};
use crate::registers::write;
use core::arch::asm;

/// An address in the device region at which QEMU's `virt` has nothing.
const NOWHERE_LOW: u64 = 0x0b00_0000;
/// An address above all RAM of a small VM.
const NOWHERE_HIGH: u64 = 0x3_0000_0000;

/// Registers of the PL011: its identification reads 0x0d, 0xf0, 0x05, 0xb1 (DDI0183, 3.3.15 on).
const PL011_CELL_ID: u64 = 0x0900_0ff0;
/// The distributor's GICD_TYPER, which is read-only.
const GICD_TYPER: u64 = 0x0800_0004;

/// Branches to an address that is not mapped, with vectors that are not mapped either: no exception
/// can be delivered, so that the VM must be stopped.
pub(crate) fn jump_unmapped() {
    say!("jumping to nowhere");
    write!("vbar_el1", NOWHERE_HIGH);
    // SAFETY: does not return; whatever happens happens to this VM alone.
    unsafe { asm!("br {}", in(reg) NOWHERE_HIGH, options(noreturn)) };
}

/// Loads from an address that is not mapped, with vectors that are not mapped either.
pub(crate) fn access_outside_ram() {
    say!("loading from nowhere");
    write!("vbar_el1", NOWHERE_HIGH);
    // SAFETY: a load; the register that takes its value is declared.
    unsafe { asm!("ldr {0}, [{0}]", inout(reg) NOWHERE_LOW => _, options(nostack)) };
}

/// Accesses and branches to addresses that are not mapped: each is a synchronous external abort.
pub(crate) fn access_outside_ram_handled() {
    for address in [NOWHERE_LOW, NOWHERE_LOW + 0xff8, NOWHERE_HIGH] {
        // SAFETY: a load from no memory of ours, into a declared register.
        let caught = catch(|| unsafe {
            asm!("ldr {0}, [{0}]", inout(reg) address => _, options(nostack));
        });
        expect_abort(caught, EC_DATA_ABORT, address);
        // SAFETY: a store to no memory of ours.
        let caught = catch(|| unsafe {
            asm!("strb {0:w}, [{0}]", in(reg) address, options(nostack));
        });
        expect_abort(caught, EC_DATA_ABORT, address);
        // SAFETY: the fetch fails, and the handler returns to x30, as a callee would. No other
        // register is changed.
        let caught = catch(|| unsafe {
            asm!("blr {0}", in(reg) address, out("x30") _, options(nostack));
        });
        expect_abort(caught, EC_INSTRUCTION_ABORT, address);
    }
}

/// Loads from a device by every instruction whose syndrome says what it does (abuse case B4).
pub(crate) fn mmio_loads() {
    let cell_id = PL011_CELL_ID + 4;
    let load = |what: &str, expected: u64, instruction: fn(u64) -> u64| {
        let value = instruction(cell_id);
        assert_eq!(value, expected, "{what}");
    };
    macro_rules! instruction {
        ($text:literal) => {
            |address| {
                let value: u64;
                // SAFETY: loads from the PL011's identification, which has no side effect.
                unsafe { asm!($text, out(reg) value, in(reg) address, options(nostack)) };
                value
            }
        };
    }
    load("ldr w", 0xf0, instruction!("ldr {0:w}, [{1}]"));
    load("ldrh w", 0xf0, instruction!("ldrh {0:w}, [{1}]"));
    load("ldrb w", 0xf0, instruction!("ldrb {0:w}, [{1}]"));
    load("ldrsw x", 0xf0, instruction!("ldrsw {0}, [{1}]"));
    load("ldrsh x", 0xf0, instruction!("ldrsh {0}, [{1}]"));
    load("ldrsb w", 0xffff_fff0, instruction!("ldrsb {0:w}, [{1}]"));
    load(
        "ldrsb x",
        0xffff_ffff_ffff_fff0,
        instruction!("ldrsb {0}, [{1}]"),
    );
    load("ldr wzr", 7, instruction!("mov {0}, #7\nldr wzr, [{1}]"));
}

/// Accesses a device by instructions whose syndrome does not say what they do: each is an abort, none
/// is carried out by guess (abuse case A8).
pub(crate) fn mmio_without_syndrome() {
    macro_rules! instruction {
        ($text:literal) => {
            // SAFETY: the accesses are to registers that are read-only or are refused; all
            // registers that are written are declared.
            ($text, catch(|| unsafe {
                asm!(
                    $text,
                    in("x0") GICD_TYPER & !15,
                    lateout("x0") _, out("x1") _, out("x2") _, out("x3") _,
                    options(nostack),
                );
            }))
        };
    }
    let outcomes = [
        instruction!("ldp w1, w2, [x0]"),
        instruction!("ldp x1, x2, [x0]"),
        instruction!("ldr w1, [x0], #4"),
        instruction!("ldr w1, [x0, #8]!"),
        instruction!("stp wzr, wzr, [x0, #8]"),
        instruction!("ldxr w1, [x0]"),
        instruction!("ldaxp w1, w2, [x0]"),
        instruction!("dc zva, x0"),
    ];
    for (text, caught) in outcomes {
        match caught {
            Some(caught) => assert_eq!(caught.class(), EC_DATA_ABORT, "{text}: {caught:x?}"),
            None => panic!("{text} was carried out"),
        }
    }
}

fn expect_abort(caught: Option<Caught>, class: u64, address: u64) {
    let Some(caught) = caught else {
        panic!("no abort at {address:#x}");
    };
    assert_eq!(caught.class(), class, "at {address:#x}: {caught:x?}");
    assert_eq!(
        caught.fault_status(),
        FSC_EXTERNAL,
        "at {address:#x}: {caught:x?}"
    );
    assert_eq!(caught.far, address, "FAR_EL1: {caught:x?}");
}
