//! Group A: addresses that are not the guest's memory.

use crate::access::{self, WIDTHS, expect_external, expect_no_code};
use crate::attempt::{at, attempt};
use crate::exceptions::{EC_DATA_ABORT, EC_INSTRUCTION_ABORT};
use crate::registers::{read, write};
use crate::say;
use core::arch::asm;

/// The VM's RAM: 64 MiB.
const RAM: core::ops::Range<u64> = 0x4000_0000..0x4400_0000;
/// The devices' part of the address space: not a single 2 MiB of it is free of them here.
const DEVICES: core::ops::Range<u64> = 0x0800_0000..0x0a00_0000;
const STEP: u64 = 2 << 20;
/// Past all of the machine's RAM.
const LIMIT: u64 = 0x1_0000_0000;

/// Accesses each 2 MiB up to 4 GiB, where the hypervisor and the other VMs lie physically.
pub(crate) fn outside_ram() {
    for address in (0..LIMIT).step_by(STEP as usize) {
        if RAM.contains(&address) || DEVICES.contains(&address) {
            continue;
        }
        for width in WIDTHS {
            expect_external(access::load(address, width), address);
            expect_external(access::store(address, width, u64::MAX), address);
        }
        expect_no_code(access::fetch(address), address);
    }
    for address in [RAM.end, RAM.start - 8, RAM.end + 0x1000, DEVICES.end - 8] {
        expect_external(access::load(address, 8), address);
    }
}

/// Accesses RAM and devices through addresses that differ in bits that stage 2 does not translate.
pub(crate) fn high_addresses() {
    let marker = 0x1122_3344_5566_7788_u64;
    let place = (&raw const marker).addr() as u64;
    for bit in 32..64 {
        for low in [place, 0x0800_0000, 0x0900_0018] {
            let address = low | 1 << bit;
            match access::load(address, 8) {
                // Without address tagging at stage 1's off state, bits 63 to 56 count too.
                Ok(value) => panic!("{address:#x} is an alias: {value:#x}"),
                Err(caught) => {
                    assert_eq!(
                        caught.class(),
                        EC_DATA_ABORT,
                        "at {address:#x}: {caught:x?}"
                    );
                }
            }
            if let Some(caught) = access::fetch(address & !3) {
                assert_eq!(
                    caught.class(),
                    EC_INSTRUCTION_ABORT,
                    "at {address:#x}: {caught:x?}"
                );
            } else {
                panic!("{address:#x} was executed");
            }
        }
    }
}

/// Fetches from devices, which a guest may map executable.
pub(crate) fn code_in_devices() {
    for address in [
        0x0800_0000,
        0x0801_0000,
        0x080a_0000,
        0x0900_0000,
        0x0901_0000,
    ] {
        expect_no_code(access::fetch(address), address);
    }
}

/// Cleans and invalidates by set and way, for all values of level, way and set that fit.
pub(crate) fn set_way() {
    macro_rules! operation {
        ($text:literal, $operand:expr) => {
            // SAFETY: maintenance without effect on what memory holds: cleaning writes back, and
            // a guest's invalidation by set and way must not lose anybody's data.
            attempt(|| unsafe { asm!($text, in(reg) $operand, options(nostack)) })
        };
    }
    for level in 0..8u64 {
        for way in 0..64u64 {
            for set in (0..4096u64).step_by(64) {
                let operand = way << 26 | set << 6 | level << 1;
                at(operand);
                let outcomes = [
                    operation!("dc isw, {}", operand),
                    operation!("dc csw, {}", operand),
                    operation!("dc cisw, {}", operand),
                ];
                assert!(
                    outcomes.iter().all(Option::is_none),
                    "{operand:#x}: {outcomes:x?}"
                );
            }
        }
    }
    for operand in [u64::MAX, 1 << 63, 0xffff_ffff] {
        let caught = operation!("dc cisw, {}", operand);
        assert!(caught.is_none(), "{operand:#x}: {caught:x?}");
    }
}

/// Loads from no memory when no exception can be taken.
pub(crate) fn no_handler() {
    say!("loading from nowhere");
    write!("vbar_el1", LIMIT);
    // SAFETY: a load; the register that takes its value is declared.
    unsafe { asm!("ldr {0}, [{0}]", inout(reg) LIMIT => _, options(nostack)) };
}

/// Branches to no memory when no exception can be taken.
pub(crate) fn jump() {
    say!("jumping to nowhere from {:#x}", read!("currentel"));
    write!("vbar_el1", LIMIT);
    // SAFETY: does not return; whatever happens happens to this VM alone.
    unsafe { asm!("br {}", in(reg) LIMIT, options(noreturn)) };
}
