//! Calls to PSCI (DEN0022).

use core::arch::asm;

const CPU_ON: u64 = 0xc400_0003;
const SYSTEM_OFF: u64 = 0x8400_0008;

/// Turns CPU 1 on; it enters at `secondary_entry`.
pub(crate) fn start_other() {
    unsafe extern "C" {
        static secondary_entry: u8;
    }
    let entry = (&raw const secondary_entry).addr() as u64;
    let result = call(CPU_ON, [1, entry, 1]);
    assert!(result == 0, "CPU_ON: {result}");
}

/// Turns the VM off.
pub(crate) fn system_off() -> ! {
    call(SYSTEM_OFF, [0; 3]);
    loop {
        core::hint::spin_loop();
    }
}

fn call(function: u64, arguments: [u64; 3]) -> i64 {
    let [first, second, third] = arguments;
    let result: i64;
    // SAFETY: an SMCCC call changes x0 to x17 at most (DEN0028, 2.6), and neither of the two above
    // writes this CPU's memory.
    unsafe {
        asm!(
            "hvc #0",
            inlateout("x0") function => result,
            inlateout("x1") first => _,
            inlateout("x2") second => _,
            inlateout("x3") third => _,
            clobber_abi("C"),
            options(nostack),
        );
    }
    result
}
