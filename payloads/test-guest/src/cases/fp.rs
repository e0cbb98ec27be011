//! The FP/SIMD registers, which belong to a vCPU wherever it runs.

use crate::machine::cpu_count;
use crate::registers::{read, write};
use crate::{smp, timer};
use core::arch::global_asm;

/// CPACR_EL1.FPEN: no trap of FP/SIMD at EL1 and EL0.
const FPEN: u64 = 3 << 20;

/// Fills all registers on all CPUs at once, each with its own values, and looks for foreign ones
/// while the CPUs compete for time.
pub(crate) fn fp_registers() {
    for cpu in 1..cpu_count() {
        smp::start(cpu, keep_registers);
    }
    keep_registers(0);
    for cpu in 1..cpu_count() {
        smp::join(cpu);
    }
}

fn keep_registers(cpu: usize) {
    write!("cpacr_el1", FPEN);
    for round in 0..10 {
        let seed = (cpu as u64 + 1) << 32 | round << 16;
        // FPCR and FPSR by their encodings: the softfloat target does not know their names.
        // Rounding mode and flags: fields that every implementation has (Arm ARM, C5.2).
        let control = (cpu as u64 & 3) << 22;
        let status = round & 0x1f;
        write!("S3_3_C4_C4_0", control);
        write!("S3_3_C4_C4_1", status);
        // SAFETY: writes v0 to v31, which no code of this softfloat program uses.
        unsafe { fp_fill(seed) };
        timer::spin(50);
        // SAFETY: reads v0 to v31.
        let wrong = unsafe { fp_mismatches(seed) };
        assert_eq!(wrong, 0, "halves of v0 to v31 that changed on CPU {cpu}");
        assert_eq!(read!("S3_3_C4_C4_0"), control, "FPCR of CPU {cpu}");
        assert_eq!(read!("S3_3_C4_C4_1") & 0x1f, status, "FPSR of CPU {cpu}");
    }
}

unsafe extern "C" {
    fn fp_fill(seed: u64);
    fn fp_mismatches(seed: u64) -> u64;
}

// `fp_fill` puts x0 + n into the lower half of vn and its complement into the upper half; clobbers x1,
// x2 and v0 to v31. `fp_mismatches` returns in x0 how many halves are otherwise; clobbers x1 to x6.
global_asm!(
    ".arch_extension fp",
    ".arch_extension simd",
    ".global fp_fill",
    "fp_fill:",
    ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31",
    "    add x1, x0, #\\n",
    "    mvn x2, x1",
    "    fmov d\\n, x1",
    "    mov v\\n\\().d[1], x2",
    ".endr",
    "    ret",
    ".global fp_mismatches",
    "fp_mismatches:",
    "    mov x6, xzr",
    ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31",
    "    add x1, x0, #\\n",
    "    mvn x2, x1",
    "    fmov x3, d\\n",
    "    mov x4, v\\n\\().d[1]",
    "    cmp x1, x3",
    "    cinc x6, x6, ne",
    "    cmp x2, x4",
    "    cinc x6, x6, ne",
    ".endr",
    "    mov x0, x6",
    "    ret",
    ".arch_extension nosimd",
    ".arch_extension nofp",
);
