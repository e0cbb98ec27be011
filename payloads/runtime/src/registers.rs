//! Access to system registers.

/// Reads a system register of the CPU that runs this.
#[macro_export]
macro_rules! read {
    ($name:literal) => {{
        let value: u64;
        // SAFETY: reading one of the registers named here changes no memory and no state that the
        // compiler knows of, and the guest runs at EL1, where they exist.
        unsafe {
            core::arch::asm!(concat!("mrs {}, ", $name), out(reg) value, options(nostack));
        }
        value
    }};
}

/// Writes a system register of the CPU that runs this, and waits until that has taken effect.
#[macro_export]
macro_rules! write {
    ($name:literal, $value:expr) => {{
        let value: u64 = $value;
        // SAFETY: the registers named here control interrupts, timers, vectors and FP/SIMD, none of
        // which the compiler relies on; memory is unaffected, as the MMU stays off.
        unsafe {
            core::arch::asm!(
                concat!("msr ", $name, ", {}"),
                "isb",
                in(reg) value,
                options(nostack),
            );
        }
    }};
}

pub use crate::{read, write};
