//! Group C: every encoding of the system instructions (Arm ARM, C5.1.2): op0, op1, CRn, CRm and op2
//! are 16 bits, and L tells reads from writes.

use crate::exceptions::{Caught, EC_UNKNOWN};
use crate::registers::{read, write};
use crate::say;
use crate::stub::{self, Level, STUBS};
use core::arch::asm;
use core::sync::atomic::AtomicU64;

/// All fields 0, a write from x0.
const INSTRUCTION: u32 = 0xd500_0000;
const READ: u32 = 1 << 21;

const fn encode(op0: u32, op1: u32, crn: u32, crm: u32, op2: u32) -> u32 {
    op0 << 14 | op1 << 11 | crn << 7 | crm << 3 | op2
}

/// What is not executed or not written at EL1, as it would end this guest's own program: that says
/// nothing about the hypervisor.
const LEFT_OUT: [(u32, &str); 6] = [
    (
        encode(0, 3, 2, 0, 3),
        "WFI waits for ever, as no interrupt is enabled",
    ),
    (encode(0, 0, 4, 0, 5), "MSR SPSel takes the stack away"),
    (encode(3, 0, 4, 2, 0), "SPSel takes the stack away"),
    (
        encode(3, 0, 1, 0, 0),
        "SCTLR_EL1 turns the MMU on, without tables",
    ),
    (encode(3, 0, 12, 0, 0), "VBAR_EL1 takes the vectors away"),
    (
        encode(3, 0, 13, 0, 4),
        "TPIDR_EL1 is where this guest has the CPU's number",
    ),
];

/// Exception classes with which an access may be refused: unknown, WFx, FP and SIMD, system register,
/// SVE, SME, and for cache maintenance an abort from either level (DC ZVA on Device memory).
const REFUSED: [u64; 8] = [EC_UNKNOWN, 0x01, 0x07, 0x18, 0x19, 0x1d, 0x24, 0x25];

/// What address operands of cache and TLB maintenance point at.
#[repr(align(4096))]
struct Scratch([AtomicU64; 512]);

static SCRATCH: Scratch = Scratch([const { AtomicU64::new(0) }; 512]);

fn is_left_out(encoding: u32) -> bool {
    // The immediate of `MSR SPSel` is in CRm.
    let immediate = encode(0, 0, 0, 15, 0);
    LEFT_OUT.iter().any(|(left_out, _)| {
        let ignored = if left_out >> 14 == 0 && encoding >> 7 & 15 == 4 {
            immediate
        } else {
            0
        };
        (encoding ^ left_out) & !ignored == 0
    })
}

fn instruction(encoding: u32, direction: u32) -> u32 {
    // Hints, barriers and moves to PSTATE have no register.
    let register = if encoding >> 14 == 0 { 31 } else { 0 };
    INSTRUCTION | direction | encoding << 5 | register
}

fn batches() -> impl Iterator<Item = core::ops::Range<u32>> {
    let size = STUBS as u32;
    (0..(1 << 16) / size).map(move |batch| batch * size..(batch + 1) * size)
}

#[derive(Default)]
struct Count {
    worked: u32,
    undefined: u32,
    /// FP, SVE, SME, or the ID space (FEAT_IDST) say so with a class of their own.
    trapped: u32,
}

impl Count {
    #[track_caller]
    fn add(&mut self, encoding: u32, caught: Option<Caught>) {
        match caught.map(Caught::class) {
            None => self.worked += 1,
            Some(EC_UNKNOWN) => self.undefined += 1,
            Some(class) if REFUSED.contains(&class) => self.trapped += 1,
            Some(class) => panic!("encoding {encoding:#x} gives exception class {class:#x}"),
        }
    }
}

/// Reads and writes everything from EL1: each write is of ones, of zero, and of what was read.
pub(crate) fn sweep_el1() {
    let scratch = SCRATCH.0.as_ptr().addr() as u64;
    let mut old = [None; STUBS];
    let (mut reads, mut writes) = (Count::default(), Count::default());
    for batch in batches() {
        stub::write(Level::El1, batch.clone().map(|it| instruction(it, READ)));
        for (index, encoding) in batch.clone().enumerate() {
            crate::attempt::at(u64::from(instruction(encoding, READ)));
            let (value, caught) = stub::run(index, scratch);
            old[index] = caught.is_none().then_some(value);
            reads.add(encoding, caught);
        }
        stub::write(Level::El1, batch.clone().map(|it| instruction(it, 0)));
        for (index, encoding) in batch.enumerate() {
            if is_left_out(encoding) {
                continue;
            }
            crate::attempt::at(u64::from(instruction(encoding, 0)));
            let is_register = encoding >> 14 >= 2;
            let values = [u64::MAX, 0, old[index].unwrap_or(0)];
            let values = if is_register {
                &values[..]
            } else {
                &[scratch][..]
            };
            for value in values {
                let (_, caught) = stub::run(index, *value);
                writes.add(encoding, caught);
                // SAFETY: a write may have unmasked interrupts; masking changes nothing else.
                unsafe { asm!("msr daifset, #0xf", options(nostack)) };
            }
        }
    }
    report("read", &reads);
    report("write", &writes);
    for (_, reason) in LEFT_OUT {
        say!("  left out: {reason}");
    }
    assert!(reads.worked > 50 && writes.worked > 50, "too few registers");
}

/// Reads and writes everything from EL0.
pub(crate) fn sweep_el0() {
    let scratch = SCRATCH.0.as_ptr().addr() as u64;
    let (mut reads, mut writes) = (Count::default(), Count::default());
    for batch in batches() {
        for (direction, count) in [(READ, &mut reads), (0, &mut writes)] {
            stub::write(
                Level::El0,
                batch.clone().map(|it| instruction(it, direction)),
            );
            for (index, encoding) in batch.clone().enumerate() {
                let end = stub::run_user(Level::El0, index, scratch);
                count.add(encoding, (!end.is_call()).then_some(end.caught));
            }
        }
    }
    report("read", &reads);
    report("write", &writes);
}

fn report(what: &str, count: &Count) {
    say!(
        "  {what}: {} worked, {} undefined, {} refused with a class of their own",
        count.worked,
        count.undefined,
        count.trapped
    );
}

/// Registers that keep what is written, and must not keep it over a reset.
macro_rules! traces {
    ($work:ident) => {
        $work!(
            "tpidr_el0",
            "tpidrro_el0",
            "contextidr_el1",
            "cntkctl_el1",
            "mdscr_el1",
            "dbgbvr0_el1",
            "dbgbcr0_el1",
            "dbgwvr0_el1",
            "dbgwcr0_el1",
            "par_el1",
            "far_el1",
            "esr_el1",
            "elr_el1",
            "spsr_el1",
            "sp_el0",
            "ttbr0_el1",
            "ttbr1_el1",
            "tcr_el1",
            "mair_el1",
            "amair_el1",
            "afsr0_el1",
            "afsr1_el1",
            "cpacr_el1",
            "csselr_el1",
            "cntv_cval_el0",
            "cntv_ctl_el0",
            "cntp_cval_el0",
            "cntp_ctl_el0",
            "icc_pmr_el1",
            "icc_igrpen1_el1",
            "icc_igrpen0_el1",
            "icc_bpr1_el1",
            "S3_0_C2_C1_0",
            "S3_0_C2_C1_1",
            "S3_0_C2_C1_2",
            "S3_0_C2_C1_3",
            "S3_0_C2_C2_0",
            "S3_0_C2_C2_1",
            "S3_0_C2_C2_2",
            "S3_0_C2_C2_3",
            "S3_0_C2_C3_0",
            "S3_0_C2_C3_1"
        )
    };
}

/// What is written everywhere; no field of it turns anything on that would stop the program.
const PATTERN: u64 = 0x0000_5a5a_a5a0_5a50;

/// Fills registers, then resets.
pub(crate) fn leave_traces() {
    macro_rules! fill {
        ($($register:literal),*) => {
            $(let _ = crate::exceptions::catch(|| write!($register, PATTERN));)*
        };
    }
    traces!(fill);
    crate::psci::system_reset();
}

/// Looks for what [`leave_traces`] wrote, or anybody else: after a reset these read as some constant,
/// and never as the pattern.
pub(crate) fn no_traces() {
    let mut left = 0;
    macro_rules! look {
        ($($register:literal),*) => {
            $({
                let mut value = 0;
                let caught = crate::exceptions::catch(|| value = read!($register));
                // The exceptions that this guest has taken since are its own.
                let own = matches!($register, "esr_el1" | "elr_el1" | "spsr_el1" | "far_el1");
                if caught.is_none() && value != 0 && !own {
                    say!("  {} is {value:#x}", $register);
                    let kept = value & 0xffff_0000 == PATTERN & 0xffff_0000;
                    left += u32::from(kept);
                }
            })*
        };
    }
    traces!(look);
    assert_eq!(left, 0, "registers hold what was written before the reset");
}
