//! The registers of the vCPU that is loaded on this CPU, and EL2's controls over it.

use crate::cpu::{ThisCpu, this};
use crate::sysreg::{self, isb};
use core::arch::global_asm;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use machine::{
    El1Registers, ExceptionContext, ExceptionRecord, FpRegisters, LocalTlb, PhysicalTimer,
    TimerHardware, TimerRegisters, WaitTrap, World, WorldControl,
};

/// HCR_EL2.TWI: WFI of EL0 and EL1 is trapped.
const HCR_TWI: u64 = 1 << 13;
/// CPTR_EL2.TFP: FP/SIMD is trapped (E2H = 0).
const CPTR_TFP: u64 = 1 << 10;
/// CNTHCTL_EL2.ECV: CNTPOFF_EL2 applies.
const CNTHCTL_ECV: u64 = 1 << 12;

/// What EL2's control registers hold while a guest runs, decided once for all CPUs by
/// `id-registers`.
#[derive(Clone, Copy, Debug, Default)]
pub struct TrapRegisters {
    /// HCR_EL2, without TWI.
    pub hcr: u64,
    /// HCRX_EL2, where the CPU has it.
    pub hcrx: Option<u64>,
    /// CPTR_EL2 (E2H = 0), without TFP.
    pub cptr: u64,
    /// MDCR_EL2.
    pub mdcr: u64,
    /// HSTR_EL2.
    pub hstr: u64,
    /// CNTHCTL_EL2.
    pub cnthctl: u64,
    /// Whether the CPU has the registers of pointer authentication keys.
    pub pointer_authentication: bool,
    /// Whether the CPU has VDISR_EL2.
    pub deferred_errors: bool,
    /// HFGRTR_EL2, HFGWTR_EL2, HFGITR_EL2, HDFGRTR_EL2, HDFGWTR_EL2, where the CPU has FEAT_FGT.
    pub fine_grained: Option<[u64; 5]>,
    /// One value for HFGRTR2_EL2, HFGWTR2_EL2, HFGITR2_EL2, HDFGRTR2_EL2 and HDFGWTR2_EL2, where the
    /// CPU has FEAT_FGT2.
    pub fine_grained_2: Option<u64>,
    /// MPAM2_EL2, where the CPU has FEAT_MPAM.
    pub mpam: Option<u64>,
}

static HCR: AtomicU64 = AtomicU64::new(0);
static CPTR: AtomicU64 = AtomicU64::new(0);
static HAS_PAC: AtomicBool = AtomicBool::new(false);
static HAS_RAS: AtomicBool = AtomicBool::new(false);
static HAS_ECV: AtomicBool = AtomicBool::new(false);

/// Tells whether the CPUs have FEAT_PAuth.
pub(crate) fn has_pointer_authentication() -> bool {
    HAS_PAC.load(Ordering::Relaxed)
}

/// Reads the key that `boot.rs` has set for EL2's return addresses.
pub(crate) fn signing_key() -> [u64; 2] {
    [
        sysreg::read!("S3_0_C2_C1_0"), // APIAKeyLo_EL1
        sysreg::read!("S3_0_C2_C1_1"), // APIAKeyHi_EL1
    ]
}

/// Sets the trap controls of the CPU that runs the call; every CPU is given the same.
pub(crate) fn set_traps(traps: &TrapRegisters) {
    // Until a vCPU is loaded, EL1's tables are empty and its interrupts off.
    sysreg::write!("vttbr_el2", crate::memory::empty_root());
    sysreg::write!("S3_4_C12_C11_0", 0); // ICH_HCR_EL2
    isb();
    HCR.store(traps.hcr, Ordering::Relaxed);
    CPTR.store(traps.cptr, Ordering::Relaxed);
    sysreg::write!("hcr_el2", traps.hcr);
    sysreg::write!("cptr_el2", traps.cptr | CPTR_TFP);
    sysreg::write!("mdcr_el2", traps.mdcr);
    sysreg::write!("hstr_el2", traps.hstr);
    if let Some(hcrx) = traps.hcrx {
        sysreg::write!("S3_4_C1_C2_2", hcrx);
    }
    if let Some([read, write, instruction, debug_read, debug_write]) = traps.fine_grained {
        sysreg::write!("S3_4_C1_C1_4", read);
        sysreg::write!("S3_4_C1_C1_5", write);
        sysreg::write!("S3_4_C1_C1_6", instruction);
        sysreg::write!("S3_4_C3_C1_4", debug_read);
        sysreg::write!("S3_4_C3_C1_5", debug_write);
    }
    if let Some(value) = traps.fine_grained_2 {
        sysreg::write!("S3_4_C3_C1_2", value);
        sysreg::write!("S3_4_C3_C1_3", value);
        sysreg::write!("S3_4_C3_C1_7", value);
        sysreg::write!("S3_4_C3_C1_0", value);
        sysreg::write!("S3_4_C3_C1_1", value);
    }
    if let Some(value) = traps.mpam {
        sysreg::write!("S3_4_C10_C5_0", value);
    }
    HAS_ECV.store(traps.cnthctl & CNTHCTL_ECV != 0, Ordering::Relaxed);
    sysreg::write!("cnthctl_el2", traps.cnthctl);
    HAS_RAS.store(traps.deferred_errors, Ordering::Relaxed);
    HAS_PAC.store(traps.pointer_authentication, Ordering::Relaxed);
    // The OS lock is the guest's to model; the CPU's own stays open, or single steps never come.
    sysreg::write!("oslar_el1", 0);
    sysreg::write!("vpidr_el2", sysreg::read!("midr_el1"));
    isb();
}

// Two at a time, so that the compiler can move two to and from memory at once.
macro_rules! el1_registers {
    ($($first:ident, $second:ident;)*) => {
        fn save_common(registers: &mut El1Registers) {
            $((registers.$first, registers.$second) =
                sysreg::read_two!(stringify!($first), stringify!($second));)*
        }

        fn load_common(registers: &El1Registers) {
            $(sysreg::write_two!(
                stringify!($first), registers.$first,
                stringify!($second), registers.$second
            );)*
        }
    };
}

// In the order of the structure.
el1_registers!(
    sp_el0, sp_el1;
    elr_el1, spsr_el1;
    sctlr_el1, cpacr_el1;
    ttbr0_el1, ttbr1_el1;
    tcr_el1, esr_el1;
    far_el1, afsr0_el1;
    afsr1_el1, mair_el1;
    amair_el1, vbar_el1;
    contextidr_el1, tpidr_el0;
    tpidrro_el0, tpidr_el1;
    par_el1, csselr_el1;
    cntkctl_el1, mdscr_el1;
);

macro_rules! pac_keys {
    ($($index:literal => $name:literal),* $(,)?) => {
        fn save_keys(keys: &mut [u64; 10]) {
            $(keys[$index] = sysreg::read!($name);)*
        }

        fn load_keys(keys: &[u64; 10]) {
            $(sysreg::write!($name, keys[$index]);)*
        }
    };
}

// APIAKey, halves 0 and 1, is EL2's here; the guest's lies in `PerCpu`. The names need an
// architecture extension; the encodings don't.
pac_keys!(
    2 => "S3_0_C2_C1_2", 3 => "S3_0_C2_C1_3", // APIBKey
    4 => "S3_0_C2_C2_0", 5 => "S3_0_C2_C2_1", // APDAKey
    6 => "S3_0_C2_C2_2", 7 => "S3_0_C2_C2_3", // APDBKey
    8 => "S3_0_C2_C3_0", 9 => "S3_0_C2_C3_1", // APGAKey
);

impl World for ThisCpu {
    fn exception_context(&self) -> ExceptionContext {
        ExceptionContext {
            sctlr_el1: sysreg::read!("sctlr_el1"),
            vbar_el1: sysreg::read!("vbar_el1"),
        }
    }

    fn record_exception(&mut self, record: &ExceptionRecord) {
        sysreg::write!("elr_el1", record.elr_el1);
        sysreg::write!("spsr_el1", record.spsr_el1);
        sysreg::write!("esr_el1", record.esr_el1);
        if let Some(far) = record.far_el1 {
            sysreg::write!("far_el1", far);
        }
    }

    fn set_monitor_control(&mut self, value: u64) {
        sysreg::write!("mdscr_el1", value);
        isb();
    }

    fn save_el1(&mut self, registers: &mut El1Registers) {
        save_common(registers);
        if HAS_PAC.load(Ordering::Relaxed) {
            save_keys(&mut registers.pac_keys);
            for (value, half) in registers.pac_keys.iter_mut().zip(&this().guest_key) {
                *value = half.load(Ordering::Relaxed);
            }
        }
    }

    fn load_el1(&mut self, registers: &El1Registers) {
        load_common(registers);
        if HAS_PAC.load(Ordering::Relaxed) {
            load_keys(&registers.pac_keys);
            for (value, half) in registers.pac_keys.iter().zip(&this().guest_key) {
                half.store(*value, Ordering::Relaxed);
            }
        }
    }

    fn enter(&mut self, control: &WorldControl) {
        sysreg::write!("vtcr_el2", control.vtcr);
        sysreg::write!(
            "vttbr_el2",
            control.stage2_root.get() | u64::from(control.vmid) << 48
        );
        // MPIDR_EL1: bit 31 is RES1, the uniprocessor bit is clear.
        sysreg::write!("vmpidr_el2", control.affinity.get() | 1 << 31);
        sysreg::write!("cntvoff_el2", control.counter_offset);
        if HAS_ECV.load(Ordering::Relaxed) {
            sysreg::write!("S3_4_C14_C0_6", control.counter_offset);
        }
        self.set_wait_trap(control.wfi);
        // A guest's DISR_EL1 is this register (HCR_EL2.AMO), and nothing traps it. RAS is hidden, so
        // there is nothing to keep: the next guest finds 0.
        if HAS_RAS.load(Ordering::Relaxed) {
            sysreg::write!("S3_4_C12_C1_1", 0); // VDISR_EL2
        }
        sysreg::write!("cptr_el2", CPTR.load(Ordering::Relaxed) | CPTR_TFP);
        isb();
        if control.tlb == LocalTlb::Drop {
            // SAFETY: drops this CPU's entries of the VMID just loaded, and its instruction cache:
            // no mapping of EL2 is concerned.
            unsafe {
                core::arch::asm!(
                    "tlbi vmalle1",
                    "ic iallu",
                    "dsb nsh",
                    "isb",
                    options(nostack)
                );
            }
        }
    }

    fn set_wait_trap(&mut self, wfi: WaitTrap) {
        let twi = match wfi {
            WaitTrap::Native => 0,
            WaitTrap::Trapped => HCR_TWI,
        };
        sysreg::write!("hcr_el2", HCR.load(Ordering::Relaxed) | twi);
    }

    fn load_fp(&mut self, registers: &FpRegisters) {
        sysreg::write!("cptr_el2", CPTR.load(Ordering::Relaxed));
        isb();
        // SAFETY: FP/SIMD is not trapped any more, and EL2's own code never uses it (soft-float
        // target), so only the guest's values are replaced.
        unsafe { bk_fp_load(registers) };
    }

    fn save_fp(&mut self, registers: &mut FpRegisters) {
        // SAFETY: the caller has loaded FP/SIMD on this CPU, so it is not trapped.
        unsafe { bk_fp_save(registers) };
        sysreg::write!("cptr_el2", CPTR.load(Ordering::Relaxed) | CPTR_TFP);
        isb();
    }
}

impl TimerHardware for ThisCpu {
    fn physical_timer(&self) -> PhysicalTimer {
        if HAS_ECV.load(Ordering::Relaxed) {
            PhysicalTimer::Native
        } else {
            PhysicalTimer::Trapped
        }
    }

    fn save_timers(&mut self) -> TimerRegisters {
        let mut registers = TimerRegisters {
            cntv_ctl: sysreg::read!("cntv_ctl_el0"),
            cntv_cval: sysreg::read!("cntv_cval_el0"),
            ..TimerRegisters::default()
        };
        sysreg::write!("cntv_ctl_el0", 0);
        if HAS_ECV.load(Ordering::Relaxed) {
            registers.cntp_ctl = sysreg::read!("cntp_ctl_el0");
            registers.cntp_cval = sysreg::read!("cntp_cval_el0");
            sysreg::write!("cntp_ctl_el0", 0);
        }
        isb();
        registers
    }

    fn load_timers(&mut self, registers: &TimerRegisters) {
        sysreg::write!("cntv_cval_el0", registers.cntv_cval);
        sysreg::write!("cntv_ctl_el0", registers.cntv_ctl);
        if HAS_ECV.load(Ordering::Relaxed) {
            sysreg::write!("cntp_cval_el0", registers.cntp_cval);
            sysreg::write!("cntp_ctl_el0", registers.cntp_ctl);
        }
        isb();
    }
}

unsafe extern "C" {
    fn bk_fp_load(registers: *const FpRegisters);
    fn bk_fp_save(registers: *mut FpRegisters);
}

// x0: `FpRegisters`. Clobbers x0 to x2, and (load) all of FP/SIMD.
global_asm!(
    r#"
    .macro bk_fp_all, instruction
    \instruction    q0, q1, [x0, #0]
    \instruction    q2, q3, [x0, #32]
    \instruction    q4, q5, [x0, #64]
    \instruction    q6, q7, [x0, #96]
    \instruction    q8, q9, [x0, #128]
    \instruction    q10, q11, [x0, #160]
    \instruction    q12, q13, [x0, #192]
    \instruction    q14, q15, [x0, #224]
    \instruction    q16, q17, [x0, #256]
    \instruction    q18, q19, [x0, #288]
    \instruction    q20, q21, [x0, #320]
    \instruction    q22, q23, [x0, #352]
    \instruction    q24, q25, [x0, #384]
    \instruction    q26, q27, [x0, #416]
    \instruction    q28, q29, [x0, #448]
    \instruction    q30, q31, [x0, #480]
    .endm

    .text
    .arch_extension fp
    .arch_extension simd
    .balign 16
bk_fp_save:
    bti     c
    bk_fp_all stp
    mrs     x1, fpcr
    mrs     x2, fpsr
    add     x0, x0, #512
    stp     x1, x2, [x0]
    ret

    .balign 16
bk_fp_load:
    bti     c
    add     x1, x0, #512
    ldp     x1, x2, [x1]
    msr     fpcr, x1
    msr     fpsr, x2
    bk_fp_all ldp
    ret
    .arch_extension nosimd
    .arch_extension nofp
    "#
);

const _: () = assert!(core::mem::offset_of!(FpRegisters, fpcr) == 512);
const _: () = assert!(core::mem::offset_of!(FpRegisters, fpsr) == 520);
