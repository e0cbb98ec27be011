//! CPUs' power, and calls to the firmware.

use crate::cpu::ThisCpu;
use core::arch::asm;
use core::sync::atomic::{AtomicBool, Ordering};
use machine::{CpuPower, SecureCall, SmcccResult};

/// PSCI function identifiers (DEN0022, 5.1).
const CPU_ON: u64 = 0xc400_0003;
const SYSTEM_OFF: u64 = 0x8400_0008;

/// Whether the firmware is called by HVC, as where a machine has no EL3 and emulates PSCI.
static BY_HVC: AtomicBool = AtomicBool::new(false);

/// The instruction that reaches the firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// SMC: the usual one.
    Smc,
    /// HVC.
    Hvc,
}

pub(crate) fn set_firmware(firmware: Firmware) {
    BY_HVC.store(firmware == Firmware::Hvc, Ordering::Relaxed);
}

macro_rules! call {
    ($instruction:literal, $x:ident) => {
        // SAFETY: the firmware keeps to the SMC Calling Convention: it changes x0 to x17 at most.
        // The calls made here have no memory operands but the entry point of a CPU.
        unsafe {
            asm!(
                $instruction,
                inout("x0") $x[0], inout("x1") $x[1], inout("x2") $x[2], inout("x3") $x[3],
                inout("x4") $x[4], inout("x5") $x[5], inout("x6") $x[6], inout("x7") $x[7],
                inout("x8") $x[8], inout("x9") $x[9], inout("x10") $x[10], inout("x11") $x[11],
                inout("x12") $x[12], inout("x13") $x[13], inout("x14") $x[14], inout("x15") $x[15],
                inout("x16") $x[16], inout("x17") $x[17],
                options(nostack)
            )
        }
    };
}

impl SecureCall for ThisCpu {
    fn call(&mut self, arguments: &[u64; 18]) -> SmcccResult {
        let mut x = *arguments;
        if BY_HVC.load(Ordering::Relaxed) {
            call!("hvc #0", x);
        } else {
            call!("smc #0", x);
        }
        SmcccResult(x)
    }
}

impl ThisCpu {
    fn psci(&mut self, function: u64, arguments: [u64; 3]) -> i64 {
        let mut x = [0; 18];
        x[0] = function;
        x[1..4].copy_from_slice(&arguments);
        self.call(&x).0[0].cast_signed()
    }
}

impl CpuPower for ThisCpu {
    fn wait_for_interrupt(&mut self) {
        // SAFETY: sleeps; an interrupt that is pending wakes the CPU although it is masked.
        unsafe { asm!("dsb sy", "wfi", options(nostack, preserves_flags)) };
    }

    fn system_off(&mut self) {
        self.psci(SYSTEM_OFF, [0; 3]);
    }
}

/// Starts a CPU at the image's secondary entry.
///
/// # Errors
/// The negative PSCI error code.
pub(crate) fn cpu_on(hardware: &mut ThisCpu, mpidr: u64, entry: u64, data: u64) -> Result<(), i64> {
    match hardware.psci(CPU_ON, [mpidr, entry, data]) {
        0 => Ok(()),
        code => Err(code),
    }
}
