//! Calls to PSCI (DEN0022), and calls with all registers in view.

use core::arch::{asm, global_asm};

/// PSCI_VERSION.
pub const VERSION: u64 = 0x8400_0000;
/// CPU_OFF.
pub const CPU_OFF: u64 = 0x8400_0002;
/// CPU_ON, 64-bit.
pub const CPU_ON: u64 = 0xc400_0003;
/// AFFINITY_INFO, 64-bit.
pub const AFFINITY_INFO: u64 = 0xc400_0004;
/// SYSTEM_OFF.
pub const SYSTEM_OFF: u64 = 0x8400_0008;
/// SYSTEM_RESET.
pub const SYSTEM_RESET: u64 = 0x8400_0009;
/// PSCI_FEATURES.
pub const FEATURES: u64 = 0x8400_000a;

/// Done.
pub const SUCCESS: i64 = 0;
/// There is no such function.
pub const NOT_SUPPORTED: i64 = -1;
/// An argument makes no sense.
pub const INVALID_PARAMETERS: i64 = -2;
/// The CPU is on.
pub const ALREADY_ON: i64 = -4;

/// AFFINITY_INFO: the CPU is on.
pub const AFFINITY_ON: i64 = 0;
/// AFFINITY_INFO: the CPU is off.
pub const AFFINITY_OFF: i64 = 1;

/// Calls the hypervisor with up to three arguments and returns x0.
pub fn call(function: u64, arguments: [u64; 3]) -> i64 {
    let [first, second, third] = arguments;
    let result: i64;
    // SAFETY: an SMCCC call changes x0 to x17 at most (DEN0028, 2.6); none of the functions called
    // here writes this CPU's memory.
    unsafe {
        asm!(
            "hvc #0",
            inlateout("x0") function => result,
            inlateout("x1") first => _,
            inlateout("x2") second => _,
            inlateout("x3") third => _,
            lateout("x4") _, lateout("x5") _, lateout("x6") _, lateout("x7") _,
            lateout("x8") _, lateout("x9") _, lateout("x10") _, lateout("x11") _,
            lateout("x12") _, lateout("x13") _, lateout("x14") _, lateout("x15") _,
            lateout("x16") _, lateout("x17") _,
            options(nostack),
        );
    }
    result
}

/// Turns the VM off.
pub fn system_off() -> ! {
    call(SYSTEM_OFF, [0; 3]);
    stay()
}

/// Resets the VM.
pub fn system_reset() -> ! {
    call(SYSTEM_RESET, [0; 3]);
    stay()
}

/// Turns the CPU that runs this off.
pub fn cpu_off() -> ! {
    call(CPU_OFF, [0; 3]);
    stay()
}

/// Does nothing for ever.
pub fn stay() -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// The instruction that a call is made with.
#[derive(Clone, Copy, Debug)]
pub enum Conduit {
    /// HVC #0.
    Hvc,
    /// HVC with another immediate, which SMCCC reserves.
    HvcReserved,
    /// SMC #0.
    Smc,
}

/// Makes a call with all of x0 to x17, and returns all of them.
pub fn call_with_registers(conduit: Conduit, mut registers: [u64; 18]) -> [u64; 18] {
    let call = match conduit {
        Conduit::Hvc => call_hvc,
        Conduit::HvcReserved => call_hvc_reserved,
        Conduit::Smc => call_smc,
    };
    // SAFETY: the functions below read and write the array and nothing else, and keep the
    // registers that the procedure call standard wants kept.
    unsafe { call(&mut registers) };
    registers
}

unsafe extern "C" {
    fn call_hvc(registers: &mut [u64; 18]);
    fn call_hvc_reserved(registers: &mut [u64; 18]);
    fn call_smc(registers: &mut [u64; 18]);
}

// Loads x0 to x17 from the array at x0, makes the call, stores x0 to x17 there. x19 holds the array
// meanwhile, as no SMCCC call changes it. Clobbers x0 to x17.
global_asm!(
    ".macro call_with_registers name, instruction:vararg",
    ".global \\name",
    "\\name:",
    "    stp x19, x30, [sp, #-16]!",
    "    mov x19, x0",
    "    ldp x16, x17, [x19, #128]",
    "    ldp x14, x15, [x19, #112]",
    "    ldp x12, x13, [x19, #96]",
    "    ldp x10, x11, [x19, #80]",
    "    ldp x8, x9, [x19, #64]",
    "    ldp x6, x7, [x19, #48]",
    "    ldp x4, x5, [x19, #32]",
    "    ldp x2, x3, [x19, #16]",
    "    ldp x0, x1, [x19]",
    "    \\instruction",
    "    stp x0, x1, [x19]",
    "    stp x2, x3, [x19, #16]",
    "    stp x4, x5, [x19, #32]",
    "    stp x6, x7, [x19, #48]",
    "    stp x8, x9, [x19, #64]",
    "    stp x10, x11, [x19, #80]",
    "    stp x12, x13, [x19, #96]",
    "    stp x14, x15, [x19, #112]",
    "    stp x16, x17, [x19, #128]",
    "    ldp x19, x30, [sp], #16",
    "    ret",
    ".endm",
    "call_with_registers call_hvc, hvc #0",
    "call_with_registers call_hvc_reserved, hvc #0x1234",
    // `smc` belongs to EL3, which the assembler thinks absent; the instruction is `smc #0`.
    "call_with_registers call_smc, .inst 0xd4000003",
);
