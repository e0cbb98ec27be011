//! AArch32 code at EL0, where the CPU has it.

use crate::exceptions::{EC_UNKNOWN, UserEnd};
use crate::registers::read;
use crate::say;
use crate::stub::{self, Level, STUBS};

/// A register of the PL011 that reads 0xf0.
const UART_CELL_ID: u64 = 0x0900_0ff4;
/// SPSR_EL1 for T32 code at EL0 with all interrupts masked.
const THUMB: u64 = 0x1f0;

fn is_there() -> bool {
    let there = read!("id_aa64pfr0_el1") & 0xf == 2;
    if !there {
        say!("  no AArch32 at EL0");
    }
    there
}

#[track_caller]
fn expect(end: UserEnd, value: u64) {
    assert!(end.is_call(), "{end:x?}");
    assert_eq!(end.x0 & 0xffff_ffff, value, "{end:x?}");
}

/// Loads from a device by A32 and T32 instructions.
pub(crate) fn aarch32() {
    if !is_there() {
        return;
    }
    // ldr, ldrb, ldrsb r0, [r0]; ldrne r0, [r0] with Z = 0 and 1 (cmp r1, #0; cmp r1, r1).
    for (instruction, value) in [
        (0xe590_0000, 0xf0),
        (0xe5d0_0000, 0xf0),
        (0xe1d0_00d0, 0xffff_fff0),
    ] {
        stub::write(Level::Arm, core::iter::once(instruction));
        expect(stub::run_user(Level::Arm, 0, UART_CELL_ID), value);
    }
    let svc = 0xef00_0000;
    stub::write_words(&[0xe351_0000, 0x1590_0000, 0xe280_0001, svc]);
    expect(stub::run_user(Level::Arm, 0, UART_CELL_ID), 0xf1);
    stub::write_words(&[0xe151_0001, 0x1590_0000, 0xe280_0001, svc]);
    expect(
        stub::run_user(Level::Arm, 0, UART_CELL_ID),
        UART_CELL_ID + 1,
    );
    // T32, low halfword first: ldr r0, [r0]; adds r0, #1; svc.
    stub::write_words(&[0x3001_6800, 0xdf00]);
    expect(
        stub::run_user_at(stub::address(0), THUMB, UART_CELL_ID),
        0xf1,
    );
    // ldr.w r0, [r0]; adds r0, #1; svc.
    stub::write_words(&[0x0000_f8d0, 0xdf00_3001]);
    expect(
        stub::run_user_at(stub::address(0), THUMB, UART_CELL_ID),
        0xf1,
    );
    // cmp r1, r1; ite eq; ldreq r0, [r0]; movne r0, #0; adds r0, #1; svc: the block must go on
    // behind the load that was emulated.
    stub::write_words(&[0xbf0c_4289, 0x2000_6800, 0xdf00_3001]);
    expect(
        stub::run_user_at(stub::address(0), THUMB, UART_CELL_ID),
        0xf1,
    );
    // The same with `ldr.w` and four slots: ittee eq; ldreq.w; addeq r0, #1; movne r0, #0 twice.
    stub::write_words(&[0xbf07_4289, 0x0000_f8d0, 0x2000_3001, 0xdf00_2000]);
    expect(
        stub::run_user_at(stub::address(0), THUMB, UART_CELL_ID),
        0xf1,
    );
}

/// MRC and MCR with every encoding of CP14 and CP15: each works, or is UNDEFINED or trapped at EL1.
pub(crate) fn aarch32_traps() {
    if !is_there() {
        return;
    }
    let (mut worked, mut undefined, mut trapped) = (0, 0, 0);
    // Bit 20: MRC. The coprocessor is in bits 11 to 8.
    for form in [0xee10_0f10_u32, 0xee00_0f10, 0xee10_0e10, 0xee00_0e10] {
        for batch in 0..(1 << 14) / STUBS as u32 {
            let first = batch * STUBS as u32;
            let encodings = (first..first + STUBS as u32).map(|number| {
                form | (number >> 11) << 21
                    | (number >> 7 & 15) << 16
                    | (number >> 4 & 7) << 5
                    | number & 15
            });
            stub::write(Level::Arm, encodings.clone());
            for (index, instruction) in encodings.enumerate() {
                let end = stub::run_user(Level::Arm, index, 0);
                match end.caught.class() {
                    _ if end.is_call() => worked += 1,
                    EC_UNKNOWN => undefined += 1,
                    // WFI, CP15, CP14, FP: EL1's own controls.
                    0x01 | 0x03..=0x08 | 0x0c => trapped += 1,
                    class => panic!("{instruction:#x} gives exception class {class:#x}"),
                }
            }
        }
    }
    // MRRC and MCRR, LDC and STC.
    for form in [
        0xec50_0f00_u32,
        0xec40_0f00,
        0xec50_0e00,
        0xec40_0e00,
        0xed90_5e00,
        0xed80_5e00,
    ] {
        let encodings = (0..256u32).map(|number| form | number);
        stub::write(Level::Arm, encodings.clone());
        for (index, instruction) in encodings.enumerate() {
            let end = stub::run_user(Level::Arm, index, stub::address(0));
            match end.caught.class() {
                _ if end.is_call() => worked += 1,
                EC_UNKNOWN => undefined += 1,
                0x01 | 0x03..=0x08 | 0x0c | 0x24 => trapped += 1,
                class => panic!("{instruction:#x} gives exception class {class:#x}"),
            }
        }
    }
    say!("  {worked} worked, {undefined} undefined, {trapped} refused with a class of their own");
}
