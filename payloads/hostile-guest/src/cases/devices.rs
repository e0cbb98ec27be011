//! Group B: how devices are accessed.

use crate::access::{self, WIDTHS, expect_device};
use crate::attempt::{at, attempt};
use crate::exceptions::{Caught, EC_DATA_ABORT, FSC_EXTERNAL};
use crate::say;
use crate::{smp, stub, timer};
use core::arch::asm;
use core::sync::atomic::{AtomicBool, Ordering};

/// GICD_TYPER, which is read-only.
const GICD_TYPER: u64 = 0x0800_0004;
const UART: u64 = 0x0900_0000;
/// The first of the PL011's identification registers; they read 0x0d, 0xf0, 0x05, 0xb1.
const UART_CELL_ID: u64 = 0x0900_0ff0;
const PANIC: u64 = 0x0901_0000;

/// Reads each word of each device with each width.
pub(crate) fn widths() {
    for (frame, size) in [(UART, 0x1000), (0x0904_0000, 0x1000), (PANIC + 0x10, 0xff0)] {
        for offset in (0..size).step_by(4) {
            for width in WIDTHS {
                let address = frame + offset;
                expect_device(&access::load(address, width), address);
            }
        }
    }
    let own = 0x080a_0000;
    for offset in (0..0x1_0000).step_by(4) {
        for width in WIDTHS {
            for address in [0x0800_0000 + offset, own + offset, own + 0x1_0000 + offset] {
                expect_device(&access::load(address, width), address);
            }
        }
    }
}

/// Writes where nothing can be written.
pub(crate) fn reserved() {
    // All but data, and what makes the UART unusable: control, line, baud rate, interrupts.
    for offset in (0x4c..0x1000).step_by(4) {
        for width in WIDTHS {
            let address = UART + offset;
            expect_device(&access::store(address, width, u64::MAX), address);
        }
    }
    for offset in (0x10..0x1000).step_by(4) {
        let address = PANIC + offset;
        expect_device(&access::store(address, 4, u64::MAX), address);
        expect_device(&access::load(address, 4), address);
    }
    let before = access::load(GICD_TYPER, 4).expect("GICD_TYPER");
    for value in [0, u64::MAX] {
        expect_device(&access::store(GICD_TYPER, 4, value), GICD_TYPER);
    }
    assert_eq!(access::load(GICD_TYPER, 4).ok(), Some(before));
    // Between the registers: reads as zero (IHI0069, 12.8).
    for offset in [0x0c, 0x20, 0x3c, 0x60, 0x7c, 0x5ffc, 0xbffc] {
        assert_eq!(
            access::load(0x0800_0000 + offset, 4).ok(),
            Some(0),
            "{offset:#x}"
        );
    }
}

/// Loads of all signs and sizes, from a register that reads 0xf0.
pub(crate) fn extensions() {
    let cell_id = UART_CELL_ID + 4;
    macro_rules! instruction {
        ($text:literal, $expected:literal) => {
            let value: u64;
            // SAFETY: loads from the PL011's identification, which has no side effect.
            unsafe { asm!($text, out(reg) value, in(reg) cell_id, options(nostack)) };
            assert_eq!(value, $expected, "{}", $text);
        };
    }
    instruction!("ldr {0:w}, [{1}]", 0xf0);
    instruction!("ldrh {0:w}, [{1}]", 0xf0);
    instruction!("ldrb {0:w}, [{1}]", 0xf0);
    instruction!("ldrsw {0}, [{1}]", 0xf0);
    instruction!("ldrsh {0:w}, [{1}]", 0xf0);
    instruction!("ldrsh {0}, [{1}]", 0xf0);
    instruction!("ldrsb {0:w}, [{1}]", 0xffff_fff0);
    instruction!("ldrsb {0}, [{1}]", 0xffff_ffff_ffff_fff0);
    instruction!("mov {0}, #7\nldr wzr, [{1}]", 7);
    instruction!("mov {0}, #7\nldrsb xzr, [{1}]", 7);
    instruction!("mov {0}, #7\nldur wzr, [{1}]", 7);
}

/// Instructions whose syndrome does not say what they do.
pub(crate) fn no_syndrome() {
    macro_rules! instruction {
        ($($text:literal),* $(,)?) => {
            [$(
                // SAFETY: the accesses are to registers that are read-only or are refused; all
                // registers that are written are declared.
                ($text, attempt(|| unsafe {
                    asm!(
                        ".arch_extension lse",
                        $text,
                        inout("x0") GICD_TYPER & !15 => _,
                        out("x1") _, out("x2") _, out("x3") _, out("x4") _,
                        options(nostack),
                    );
                }))
            ),*]
        };
    }
    let outcomes = instruction![
        "ldp w1, w2, [x0]",
        "ldp x1, x2, [x0]",
        "ldpsw x1, x2, [x0]",
        "ldnp x1, x2, [x0]",
        "stp wzr, wzr, [x0, #8]",
        "stp xzr, xzr, [x0, #16]",
        "stnp xzr, xzr, [x0, #16]",
        "ldr w1, [x0], #4",
        "ldr w1, [x0, #8]!",
        "str wzr, [x0, #8]!",
        "ldp x1, x2, [x0], #16",
        "ldxr w1, [x0]",
        "ldaxr w1, [x0]",
        "ldxp x1, x2, [x0]",
        "ldaxp w1, w2, [x0]",
        "swp w1, w2, [x0]",
        "ldadd w1, w2, [x0]",
        "ldclral x1, x2, [x0]",
        "cas w1, w2, [x0]",
        "casp x0, x1, x2, x3, [x0]",
        "dc zva, x0",
        // LD64B and ST64B x8, [x0]: hidden, or refused.
        ".inst 0xf83fd008",
        ".inst 0xf83f9008",
        // STG and LDG: hidden, or refused.
        ".inst 0xd9200800",
        ".inst 0xd9600001",
    ];
    let mut refused = 0;
    for (text, caught) in outcomes {
        match caught {
            Some(caught) => {
                let class = caught.class();
                // Undefined, LD64B's own trap, or the abort.
                assert!(
                    class == EC_DATA_ABORT || class == 0 || class == 0x0a,
                    "{text}: {caught:x?}"
                );
                refused += 1;
            }
            // Without tags STG is a NOP.
            None => assert!(text.starts_with(".inst 0xd9"), "{text} was carried out"),
        }
    }
    say!("  {refused} instructions refused");
    // FP and SIMD registers can't be named by a syndrome either.
    crate::registers::write!("cpacr_el1", 3 << 20);
    for instruction in [
        0xbd40_0000_u32,
        0xfd40_0000,
        0x3dc0_0000,
        0x4c40_7000,
        0x3d00_0000,
    ] {
        stub::write(stub::Level::El1, core::iter::once(instruction));
        let (_, caught) = stub::run(0, GICD_TYPER & !15);
        let class = caught.map(Caught::class);
        assert_eq!(class, Some(EC_DATA_ABORT), "{instruction:#x}: {caught:x?}");
    }
}

/// An access that is refused leaves ELR at itself, and changes neither base nor target.
pub(crate) fn no_double_retire() {
    let nowhere = 0x0b00_0000_u64;
    for round in 0..100u64 {
        let (base, target, here): (u64, u64, u64);
        let caught = {
            let (mut b, mut t, mut h) = (nowhere, round, 0u64);
            at(nowhere);
            // SAFETY: a load that is refused; all registers are declared.
            let caught = attempt(|| unsafe {
                asm!(
                    "adr {2}, 2f",
                    "2: ldr {1}, [{0}], #8",
                    inout(reg) b, inout(reg) t, inout(reg) h,
                    options(nostack),
                );
            });
            (base, target, here) = (b, t, h);
            caught
        };
        let caught = caught.expect("the load is refused");
        assert_eq!(caught.elr, here, "{caught:x?}");
        assert_eq!(caught.fault_status(), FSC_EXTERNAL, "{caught:x?}");
        assert_eq!(
            (base, target),
            (nowhere, round),
            "changed by an access that was refused"
        );
    }
    // Carried out and refused ones in turn: none is carried out twice or left out.
    for _ in 0..100 {
        let mut steps = 0u64;
        let caught = attempt(|| {
            // SAFETY: loads from the UART's identification and from nowhere.
            unsafe {
                asm!(
                    "ldr {v:w}, [{d}]", "add {n}, {n}, #1",
                    "ldr {v:w}, [{x}]", "add {n}, {n}, #1",
                    "ldr {v:w}, [{d}]", "add {n}, {n}, #1",
                    v = out(reg) _, d = in(reg) UART_CELL_ID, x = in(reg) nowhere,
                    n = inout(reg) steps,
                    options(nostack),
                );
            }
        });
        assert!(caught.is_some());
        assert_eq!(steps, 3);
    }
}

static STOP: AtomicBool = AtomicBool::new(false);

/// A load from a device in the last word of a page, which another vCPU turns into other loads. What
/// comes back is that of one of them: nobody has looked at the instruction.
pub(crate) fn changed_code() {
    const LDR_W0: u32 = 0xb940_0000;
    const LDRSB_X0: u32 = 0x3980_0000;
    const NOP: u32 = 0xd503_201f;
    let (_, code) = stub::last_of_page(LDR_W0);
    STOP.store(false, Ordering::SeqCst);
    smp::start(1, |_| {
        let (load, _) = stub::last_of_page(LDR_W0);
        while !STOP.load(Ordering::SeqCst) {
            for instruction in [LDRSB_X0, NOP, LDR_W0] {
                load.store(instruction, Ordering::SeqCst);
                stub::synchronize();
            }
        }
    });
    let address = UART_CELL_ID + 4;
    let mut seen = [0u32; 3];
    for _ in 0..3000 {
        let (value, caught) = stub::run_at(code, address);
        assert!(caught.is_none(), "{caught:x?}");
        let place = [0xf0, 0xffff_ffff_ffff_fff0, address]
            .iter()
            .position(|it| *it == value);
        let Some(place) = place else {
            panic!("the load gave {value:#x}");
        };
        seen[place] += 1;
    }
    STOP.store(true, Ordering::SeqCst);
    smp::join(1);
    say!(
        "  loaded as a word {}, as a byte {}, not at all {}",
        seen[0],
        seen[1],
        seen[2]
    );
}

/// Prints much, in one line.
pub(crate) fn console_flood() {
    for index in 0..65536u64 {
        at(index);
        let byte = u64::from(b'a') + index % 26;
        let _ = access::store(UART, 4, byte);
    }
    let _ = access::store(UART, 4, b'\n'.into());
    timer::spin(1);
}
