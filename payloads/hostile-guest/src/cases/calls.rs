//! Calls, and returns from exceptions.

use crate::attempt::{at, attempt};
use crate::exceptions::EC_UNKNOWN;
use crate::psci::{self, Conduit};
use crate::say;
use core::arch::asm;

/// Makes a call with all registers in view, and checks that it changes x0 to x3 at most, and not one
/// of them if it is not known.
#[track_caller]
fn call(conduit: Conduit, function: u64, arguments: [u64; 3]) -> Option<i64> {
    let mut registers = [0; 18];
    for (place, register) in registers.iter_mut().enumerate() {
        *register = 0xa5a5_0000_5a5a_0000 | place as u64;
    }
    registers[0] = function;
    registers[1..4].copy_from_slice(&arguments);
    let mut results = registers;
    at(function);
    let caught = attempt(|| results = psci::call_with_registers(conduit, registers));
    if let Some(caught) = caught {
        assert_eq!(
            caught.class(),
            EC_UNKNOWN,
            "function {function:#x}: {caught:x?}"
        );
        return None;
    }
    assert_eq!(
        registers[4..],
        results[4..],
        "x4 to x17 after function {function:#x}"
    );
    if results[0] as i64 == psci::NOT_SUPPORTED {
        assert_eq!(
            registers[1..4],
            results[1..4],
            "x1 to x3 after function {function:#x}"
        );
    }
    Some(results[0] as i64)
}

/// Functions that turn something off, or do not return.
fn is_fatal(function: u64) -> bool {
    let number = function & 0xffff;
    function >> 24 & 0x3f == 4 && matches!(number, 1 | 2 | 5 | 8 | 9 | 0xb..=0x12)
}

/// Calls functions that nobody has.
pub(crate) fn unknown() {
    for fast in [0, 1u64 << 31] {
        for wide in [0, 1u64 << 30] {
            for owner in 0..64u64 {
                for number in (0..0x40).chain(0xfff0..0x1_0000) {
                    let function = fast | wide | owner << 24 | number;
                    if is_fatal(function) {
                        continue;
                    }
                    let _ = call(Conduit::Hvc, function, [u64::MAX; 3]);
                    if number % 16 == 0 {
                        let _ = call(Conduit::Smc, function, [0; 3]);
                        let _ = call(Conduit::HvcReserved, function, [0; 3]);
                    }
                }
            }
        }
    }
    // Random numbers are at 0x50 to 0x53 (DEN0098).
    for number in (0x40..0x50).chain(0x54..0x1_0000_u64) {
        let result = call(Conduit::Hvc, 0x8400_0000 | number, [0; 3]);
        assert_eq!(result, Some(psci::NOT_SUPPORTED), "function {number:#x}");
    }
    let version = call(Conduit::Hvc, 0xdead_beef_0000_0000 | psci::VERSION, [0; 3]);
    assert!(
        version >= Some(0x1_0000),
        "with x0's upper half dirty: {version:x?}"
    );
}

/// SMCCC_VERSION, SMCCC_ARCH_FEATURES and the workarounds 1 to 4 (DEN0028, 7).
const VERSION: u64 = 0x8000_0000;
const FEATURES: u64 = 0x8000_0001;
const WORKAROUNDS: [u64; 4] = [0x8000_8000, 0x8000_7fff, 0x8000_3fff, 0x8000_0004];

/// A workaround that is offered can be called; one that is not, can't.
pub(crate) fn workarounds() {
    let version = call(Conduit::Hvc, VERSION, [0; 3]).unwrap_or(-1);
    assert!(version >= 0x1_0001, "SMCCC_VERSION is {version:#x}");
    for workaround in WORKAROUNDS {
        let offered = call(Conduit::Hvc, FEATURES, [workaround, 0, 0]).unwrap_or(-1);
        let result = call(Conduit::Hvc, workaround, [1, 0, 0]).unwrap_or(-1);
        say!("  {workaround:#x}: ARCH_FEATURES {offered}, the call {result}");
        if offered < 0 {
            assert_eq!(
                result,
                psci::NOT_SUPPORTED,
                "{workaround:#x} is not offered"
            );
        } else {
            assert!(result >= 0, "{workaround:#x} is offered");
        }
    }
    for function in [VERSION, FEATURES] {
        let known = call(Conduit::Hvc, FEATURES, [function, 0, 0]);
        assert_eq!(known, Some(0), "SMCCC_ARCH_FEATURES of {function:#x}");
    }
    for function in [0x8000_1234, 0xc000_0001, 0x8400_0000 | 0xfff, u64::MAX] {
        let known = call(Conduit::Hvc, FEATURES, [function, 0, 0]);
        assert_eq!(
            known,
            Some(psci::NOT_SUPPORTED),
            "SMCCC_ARCH_FEATURES of {function:#x}"
        );
    }
}

/// Returns to all modes: those that are not below EL1 or its own are illegal, and the next instruction
/// is an exception of the guest's own.
pub(crate) fn illegal_returns() {
    let mut illegal = 0;
    for mode in 0..32u64 {
        // EL0t, EL1t and EL1h, and AArch32 User are legal.
        if matches!(mode, 0 | 4 | 5 | 16) {
            continue;
        }
        // IL itself, and single step, on top of it.
        for more in [0, 1 << 20, 1 << 21, 0xf << 28] {
            at(mode | more);
            // SAFETY: returns to the next instruction; in an illegal state that is an exception,
            // which is caught and returns there. x9 is declared; the stack pointer is the same, as
            // an illegal return changes no exception level.
            let caught = attempt(|| unsafe {
                asm!(
                    "adr x9, 2f",
                    "msr elr_el1, x9",
                    "msr spsr_el1, {spsr}",
                    "isb",
                    "eret",
                    "2: nop",
                    spsr = in(reg) mode | more | 0x3c0,
                    out("x9") _,
                    options(nostack),
                );
            });
            let class = caught.map(crate::exceptions::Caught::class);
            assert_eq!(class, Some(0x0e), "mode {mode:#x}: {caught:x?}");
            illegal += 1;
        }
    }
    assert_eq!(crate::registers::read!("currentel"), 4, "still at EL1");
    say!("  {illegal} returns were illegal");
}
