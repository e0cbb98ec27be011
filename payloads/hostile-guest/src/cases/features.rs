//! Group C: what the ID registers say.

use crate::attempt::at;
use crate::exceptions::{Caught, EC_UNKNOWN};
use crate::say;
use crate::stub::{self, Level};
use crate::{machine, smp};
use core::sync::atomic::{AtomicU64, Ordering};

/// `MSR …, X0`
const MSR: u32 = 0xd500_0000;

type Register = (u32, u32, u32, u32, u32);

const PFR0: Register = (3, 0, 0, 4, 0);
const PFR1: Register = (3, 0, 0, 4, 1);
const PFR2: Register = (3, 0, 0, 4, 2);
const DFR0: Register = (3, 0, 0, 5, 0);
const ISAR0: Register = (3, 0, 0, 6, 0);
const ISAR1: Register = (3, 0, 0, 6, 1);
const MMFR0: Register = (3, 0, 0, 7, 0);
const MMFR1: Register = (3, 0, 0, 7, 1);
const MMFR2: Register = (3, 0, 0, 7, 2);
const MMFR3: Register = (3, 0, 0, 7, 3);

/// A feature: the ID register, the field's lowest bit, its least value with the register, and the
/// register.
#[rustfmt::skip]
const FEATURES: &[(&str, Register, u32, u64, Register)] = &[
    ("SVE", PFR0, 32, 1, (3, 0, 1, 2, 0)),
    ("SME", PFR1, 24, 1, (3, 0, 1, 2, 6)),
    ("MTE", PFR1, 8, 2, (3, 0, 1, 0, 6)),
    ("RAS", PFR0, 28, 1, (3, 0, 5, 3, 0)),
    ("AMU", PFR0, 44, 1, (3, 3, 13, 2, 0)),
    ("PMU", DFR0, 8, 1, (3, 3, 9, 12, 0)),
    ("SPE", DFR0, 32, 1, (3, 0, 9, 9, 7)),
    ("TRBE", DFR0, 44, 1, (3, 0, 9, 11, 7)),
    ("trace unit", DFR0, 4, 1, (2, 1, 0, 8, 7)),
    ("trace filter", DFR0, 40, 1, (3, 0, 1, 2, 1)),
    ("BRBE", DFR0, 52, 1, (2, 1, 9, 0, 0)),
    ("LORegions", MMFR1, 16, 1, (3, 0, 10, 4, 7)),
    ("MPAM", PFR0, 40, 1, (3, 0, 10, 5, 0)),
    ("RNDR", ISAR0, 60, 1, (3, 3, 2, 4, 0)),
    ("GCS", PFR1, 44, 1, (3, 0, 2, 5, 0)),
    ("TCR2", MMFR3, 0, 1, (3, 0, 2, 0, 3)),
    ("SCTLR2", MMFR3, 4, 1, (3, 0, 1, 0, 3)),
    ("S1PIE", MMFR3, 8, 1, (3, 0, 10, 2, 3)),
    ("S1POE", MMFR3, 16, 1, (3, 0, 10, 2, 4)),
    ("AIE", MMFR3, 24, 1, (3, 0, 10, 2, 1)),
    ("NMI", PFR1, 36, 1, (3, 0, 4, 3, 0)),
    ("CSV2_2", PFR0, 56, 2, (3, 0, 13, 0, 7)),
    ("ECV", MMFR0, 60, 1, (3, 3, 14, 0, 5)),
    ("GIC", PFR0, 24, 1, (3, 0, 12, 12, 4)),
    ("DIT", PFR0, 48, 1, (3, 3, 4, 2, 5)),
    ("SSBS", PFR1, 4, 2, (3, 3, 4, 2, 6)),
    ("PAN", MMFR1, 20, 1, (3, 0, 4, 2, 3)),
    ("UAO", MMFR2, 4, 1, (3, 0, 4, 2, 4)),
    ("FPMR", PFR2, 32, 1, (3, 3, 4, 4, 2)),
    ("ST64BV0", ISAR1, 60, 3, (3, 0, 13, 0, 5)),
];

/// Features whose register can be read where they are hidden, as no control traps that; writes trap.
const READABLE: [&str; 1] = ["NMI"];

/// `L` in an instruction that accesses a system register: it reads.
const READ: u32 = 1 << 21;

/// Reads a register.
fn read(register: Register) -> (u64, Option<Caught>) {
    access(register, READ)
}

/// Reads a register, or writes zero.
fn access(register: Register, direction: u32) -> (u64, Option<Caught>) {
    let (op0, op1, crn, crm, op2) = register;
    let instruction =
        MSR | direction | (op0 & 3) << 19 | op1 << 16 | crn << 12 | crm << 8 | op2 << 5;
    stub::write(Level::El1, core::iter::once(instruction));
    at(instruction.into());
    stub::run(0, 0)
}

/// A feature's registers are there if, and only if, its ID field says so.
pub(crate) fn hidden() {
    // EL1's own controls let everything through.
    crate::registers::write!("cpacr_el1", 3 << 24 | 3 << 20 | 3 << 16);
    let mut wrong = 0;
    let mut present = 0;
    for (name, id, shift, least, register) in FEATURES {
        let (value, caught) = read(*id);
        assert!(caught.is_none(), "the ID register of {name}: {caught:x?}");
        let field = value >> shift & 0xf;
        // A field of all ones is an implementation-defined kind, which none of these registers is.
        let claimed = field >= *least && field != 0xf;
        let direction = if READABLE.contains(name) { 0 } else { READ };
        let (_, caught) = access(*register, direction);
        let works = match caught.map(Caught::class) {
            None => true,
            Some(EC_UNKNOWN) => false,
            Some(class) => panic!("{name} gives exception class {class:#x}"),
        };
        present += u32::from(works);
        if claimed != works {
            say!("  {name}: field {field:#x}, register works: {works}");
            wrong += 1;
        }
    }
    say!("  {present} of {} features are there", FEATURES.len());
    assert_eq!(wrong, 0, "ID registers and registers disagree");
}

/// CRm and op2 of the ID registers, then CTR_EL0, DCZID_EL0, CLIDR_EL1, CCSIDR_EL1 and GMID_EL1.
const COUNT: usize = 64 + 5;

static VALUES: [[AtomicU64; COUNT]; 2] = [const { [const { AtomicU64::new(0) }; COUNT] }; 2];

fn collect(cpu: usize) {
    let identification = (0..64).map(|number| (3, 0, 0, number / 8, number % 8));
    let caches = [
        (3, 3, 0, 0, 1),
        (3, 3, 0, 0, 7),
        (3, 1, 0, 0, 1),
        (3, 1, 0, 0, 0),
        (3, 1, 0, 0, 4),
    ];
    for (slot, register) in VALUES[cpu].iter().zip(identification.chain(caches)) {
        let (value, caught) = read(register);
        // MPIDR_EL1 is meant to differ.
        let value = if register == (3, 0, 0, 0, 5) {
            0
        } else {
            value
        };
        slot.store(
            if caught.is_some() { u64::MAX } else { value },
            Ordering::SeqCst,
        );
    }
}

/// All ID registers are the same on all vCPUs.
pub(crate) fn same_everywhere() {
    collect(0);
    for cpu in 1..machine::cpu_count() {
        smp::start(cpu, |_| collect(1));
        smp::join(cpu);
        for (number, (first, other)) in VALUES[0].iter().zip(&VALUES[1]).enumerate() {
            let (first, other) = (first.load(Ordering::SeqCst), other.load(Ordering::SeqCst));
            assert_eq!(first, other, "ID register number {number} of vCPU {cpu}");
        }
    }
}
