//! Loads and stores of every width at any address.

use crate::attempt::{at, attempt};
use crate::exceptions::{Caught, EC_DATA_ABORT, EC_INSTRUCTION_ABORT, FSC_EXTERNAL};
use core::arch::asm;

/// DFSC: an alignment fault.
pub(crate) const FSC_ALIGNMENT: u64 = 0x21;

/// The size of an access in bytes: 1, 2, 4 and 8.
pub(crate) const WIDTHS: [u64; 4] = [1, 2, 4, 8];

/// Loads `width` bytes.
pub(crate) fn load(address: u64, width: u64) -> Result<u64, Caught> {
    at(address);
    let mut value = 0;
    macro_rules! load {
        ($text:literal) => {
            // SAFETY: a load into a declared register; what it may fault on is caught.
            attempt(|| unsafe {
                asm!($text, inout(reg) value, in(reg) address, options(nostack, readonly));
            })
        };
    }
    let caught = match width {
        1 => load!("ldrb {0:w}, [{1}]"),
        2 => load!("ldrh {0:w}, [{1}]"),
        4 => load!("ldr {0:w}, [{1}]"),
        _ => load!("ldr {0}, [{1}]"),
    };
    caught.map_or(Ok(value), Err)
}

/// Stores `width` bytes. The address is a device's, or leads nowhere.
pub(crate) fn store(address: u64, width: u64, value: u64) -> Result<(), Caught> {
    // Bit 62 tells stores from loads in the report.
    at(address | 1 << 62);
    macro_rules! store {
        ($text:literal) => {
            // SAFETY: callers pass addresses at which this guest has no memory that it relies on.
            attempt(|| unsafe { asm!($text, in(reg) value, in(reg) address, options(nostack)) })
        };
    }
    let caught = match width {
        1 => store!("strb {0:w}, [{1}]"),
        2 => store!("strh {0:w}, [{1}]"),
        4 => store!("str {0:w}, [{1}]"),
        _ => store!("str {0}, [{1}]"),
    };
    caught.map_or(Ok(()), Err)
}

/// Fetches an instruction.
pub(crate) fn fetch(address: u64) -> Option<Caught> {
    at(address);
    // SAFETY: callers pass addresses where nothing can be fetched; the handler returns to x30, as a
    // callee would.
    attempt(|| unsafe { asm!("blr {0}", in(reg) address, clobber_abi("C"), options(nostack)) })
}

/// Checks that an access gave an external abort and nothing else.
#[track_caller]
pub(crate) fn expect_external<T: core::fmt::Debug>(outcome: Result<T, Caught>, address: u64) {
    match outcome {
        Ok(value) => panic!("{address:#x} can be accessed: {value:x?}"),
        Err(caught) => {
            assert_eq!(
                caught.class(),
                EC_DATA_ABORT,
                "at {address:#x}: {caught:x?}"
            );
            assert_eq!(
                caught.fault_status(),
                FSC_EXTERNAL,
                "at {address:#x}: {caught:x?}"
            );
            assert_eq!(caught.far, address, "FAR_EL1: {caught:x?}");
        }
    }
}

/// Checks that a fetch gave an abort.
#[track_caller]
pub(crate) fn expect_no_code(outcome: Option<Caught>, address: u64) {
    let Some(caught) = outcome else {
        panic!("{address:#x} was executed");
    };
    assert_eq!(
        caught.class(),
        EC_INSTRUCTION_ABORT,
        "at {address:#x}: {caught:x?}"
    );
}

/// Checks that an access to a device was carried out or refused, as the architecture has it.
#[track_caller]
pub(crate) fn expect_device<T>(outcome: &Result<T, Caught>, address: u64) {
    if let Err(caught) = outcome {
        assert_eq!(
            caught.class(),
            EC_DATA_ABORT,
            "at {address:#x}: {caught:x?}"
        );
        let status = caught.fault_status();
        assert!(
            status == FSC_EXTERNAL || status == FSC_ALIGNMENT,
            "at {address:#x}: {caught:x?}"
        );
    }
}
