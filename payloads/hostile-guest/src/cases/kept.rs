//! Exits that must not change registers: a hypervisor that saves only some of them for some exits can
//! lose the others.

use crate::attempt::{at, attempt};
use core::arch::global_asm;

/// A register of the PL011 that reads 0xf0, and one that can be written to no effect.
const UART_CELL_ID: u64 = 0x0900_0ff4;
/// GICD_TYPER, which is read-only.
const GICD_TYPER: u64 = 0x0800_0004;
const NO_FUNCTION: u64 = 0x8400_fff0;

/// Returns how many of x1 to x30 the instruction changed, but for x5, which it may.
type Probe = unsafe extern "C" fn(x0: u64) -> u64;

macro_rules! probes {
    ($(($name:ident, $instruction:literal, $x0:expr)),* $(,)?) => {
        unsafe extern "C" {
            $(fn $name(x0: u64) -> u64;)*
        }

        const PROBES: &[(&str, Probe, u64)] = &[$(($instruction, $name, $x0)),*];

        // x0: the instruction's address or function. Fills x1 to x30, runs the instruction, counts
        // in x0 what has changed. Keeps what the procedure call standard wants kept.
        global_asm!(
            ".macro hostile_kept name, instruction:vararg",
            ".global \\name",
            "\\name:",
            "    stp x29, x30, [sp, #-96]!",
            "    stp x19, x20, [sp, #16]",
            "    stp x21, x22, [sp, #32]",
            "    stp x23, x24, [sp, #48]",
            "    stp x25, x26, [sp, #64]",
            "    stp x27, x28, [sp, #80]",
            ".irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30",
            "    mov x\\n, #(0x1000 + \\n)",
            "    movk x\\n, #0xa5a5, lsl #48",
            ".endr",
            "    \\instruction",
            "    sub sp, sp, #256",
            "    stp x0, x1, [sp]",
            "    stp x2, x3, [sp, #16]",
            "    stp x4, x5, [sp, #32]",
            "    stp x6, x7, [sp, #48]",
            "    stp x8, x9, [sp, #64]",
            "    stp x10, x11, [sp, #80]",
            "    stp x12, x13, [sp, #96]",
            "    stp x14, x15, [sp, #112]",
            "    stp x16, x17, [sp, #128]",
            "    stp x18, x19, [sp, #144]",
            "    stp x20, x21, [sp, #160]",
            "    stp x22, x23, [sp, #176]",
            "    stp x24, x25, [sp, #192]",
            "    stp x26, x27, [sp, #208]",
            "    stp x28, x29, [sp, #224]",
            "    str x30, [sp, #240]",
            "    mov x0, xzr",
            ".irp n, 1,2,3,4,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30",
            "    ldr x1, [sp, #(8 * \\n)]",
            "    mov x2, #(0x1000 + \\n)",
            "    movk x2, #0xa5a5, lsl #48",
            "    cmp x1, x2",
            "    cinc x0, x0, ne",
            ".endr",
            "    add sp, sp, #256",
            "    ldp x19, x20, [sp, #16]",
            "    ldp x21, x22, [sp, #32]",
            "    ldp x23, x24, [sp, #48]",
            "    ldp x25, x26, [sp, #64]",
            "    ldp x27, x28, [sp, #80]",
            "    ldp x29, x30, [sp], #96",
            "    ret",
            ".endm",
            $(concat!("hostile_kept ", stringify!($name), ", ", $instruction),)*
        );
    };
}

probes![
    (kept_load, "ldr w5, [x0]", UART_CELL_ID),
    (kept_load_gic, "ldr w5, [x0]", GICD_TYPER),
    (kept_load_nowhere, "ldr w5, [x0]", 0x0b00_0000),
    (kept_store, "str w5, [x0]", UART_CELL_ID),
    (kept_store_gic, "str w5, [x0]", GICD_TYPER),
    (kept_byte, "ldrsb x5, [x0]", UART_CELL_ID),
    (kept_call, "hvc #0", NO_FUNCTION),
    (kept_version, "hvc #0", 0x8400_0000),
    (kept_affinity, "hvc #0", 0xc400_0004),
    (kept_call_reserved, "hvc #0x123", NO_FUNCTION),
    (kept_smc, ".inst 0xd4000003", NO_FUNCTION),
    (kept_id, "mrs x5, id_aa64pfr0_el1", 0),
    (kept_undefined, "mrs x5, hcr_el2", 0),
    (kept_debug, "msr osdlr_el1, x5", 0),
    (kept_timer, "mrs x5, cntp_ctl_el0", 0),
    (kept_set_way, "dc cisw, xzr", 0),
    (kept_wfe, "wfe", 0),
    (kept_yield, "yield", 0),
    (kept_sgi, "msr icc_sgi1r_el1, xzr", 0),
];

/// Checks all registers around each kind of exit.
pub(crate) fn registers() {
    for (number, (instruction, probe, x0)) in (0..).zip(PROBES) {
        at(number);
        for _ in 0..20 {
            let mut changed = 0;
            let _ = attempt(|| {
                // SAFETY: the functions above keep what a callee must keep, and write no memory but
                // their stack.
                changed = unsafe { probe(*x0) };
            });
            assert_eq!(changed, 0, "registers that `{instruction}` changed");
        }
    }
}

macro_rules! through {
    ($($register:literal),*) => {
        [$({
            let value: u64;
            // SAFETY: a load from the PL011's identification; what it goes through is put back.
            unsafe {
                core::arch::asm!(
                    concat!("mov x2, x", $register),
                    concat!("ldr w", $register, ", [x0]"),
                    concat!("mov x1, x", $register),
                    concat!("mov x", $register, ", x2"),
                    inlateout("x0") UART_CELL_ID => _,
                    lateout("x1") value,
                    lateout("x2") _,
                    options(nostack),
                );
            }
            let id: u64;
            // SAFETY: reads an ID register; what it goes through is put back.
            unsafe {
                core::arch::asm!(
                    concat!("mov x2, x", $register),
                    concat!("mrs x", $register, ", id_aa64mmfr0_el1"),
                    concat!("mov x1, x", $register),
                    concat!("mov x", $register, ", x2"),
                    lateout("x1") id,
                    lateout("x2") _,
                    options(nostack),
                );
            }
            (value, id)
        }),*]
    };
}

/// Loads and reads through each register in turn.
pub(crate) fn operands() {
    let all = through![
        "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17", "18",
        "19", "20", "21", "22", "23", "24", "25", "26", "27", "28", "29", "30"
    ];
    let id = crate::registers::read!("id_aa64mmfr0_el1");
    for (number, (value, read)) in (3..).zip(all) {
        assert_eq!(value, 0xf0, "ldr w{number}");
        assert_eq!(read, id, "mrs x{number}");
    }
}
