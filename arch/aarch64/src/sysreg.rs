//! Reads and writes of system registers, each one instruction.

/// Reads a system register by the name or the `Sx_x_Cx_Cx_x` form that the assembler knows.
macro_rules! read {
    ($name:expr) => {{
        let value: u64;
        // SAFETY: reading this register has no side effect on memory, and it exists at EL2 on every
        // CPU that reaches this line.
        unsafe {
            core::arch::asm!(
                concat!("mrs {}, ", $name),
                out(reg) value,
                options(nomem, nostack, preserves_flags)
            );
        }
        value
    }};
}

/// Writes a system register. The caller says why the new value is sound where that is not plain
/// from the register's nature (a guest's register, a counter, an interrupt control).
macro_rules! write {
    ($name:expr, $value:expr) => {{
        let value: u64 = $value;
        // SAFETY: the register holds guest state, or controls traps, timers and interrupts. Those
        // that map EL2's own memory or say where its exceptions go (SCTLR_EL2, TCR_EL2, MAIR_EL2,
        // TTBR0_EL2, VBAR_EL2) are written by `boot.rs` alone. Two need a look at the caller:
        // HCR_EL2 must keep E2H and TGE clear, and TPIDR_EL2 points to an element of `CPUS`.
        unsafe {
            core::arch::asm!(
                concat!("msr ", $name, ", {}"),
                in(reg) value,
                options(nostack, preserves_flags)
            );
        }
    }};
}

/// Reads two system registers, as [`read`] does.
macro_rules! read_two {
    ($first:expr, $second:expr) => {{
        let first: u64;
        let second: u64;
        // SAFETY: as for one.
        unsafe {
            core::arch::asm!(
                concat!("mrs {}, ", $first),
                concat!("mrs {}, ", $second),
                out(reg) first,
                out(reg) second,
                options(nomem, nostack, preserves_flags)
            );
        }
        (first, second)
    }};
}

/// Writes two system registers, as [`write`] does.
macro_rules! write_two {
    ($first:expr, $first_value:expr, $second:expr, $second_value:expr) => {{
        let first: u64 = $first_value;
        let second: u64 = $second_value;
        // SAFETY: as for one.
        unsafe {
            core::arch::asm!(
                concat!("msr ", $first, ", {}"),
                concat!("msr ", $second, ", {}"),
                in(reg) first,
                in(reg) second,
                options(nostack, preserves_flags)
            );
        }
    }};
}

/// Synchronizes the context, so that earlier writes of system registers are in force.
#[inline]
pub(crate) fn isb() {
    // SAFETY: a barrier changes nothing but the order of effects.
    unsafe { core::arch::asm!("isb", options(nostack, preserves_flags)) }
}

/// Waits until all earlier memory accesses and TLB maintenance are complete for all observers.
#[inline]
pub(crate) fn dsb() {
    // SAFETY: a barrier changes nothing but the order of effects.
    unsafe { core::arch::asm!("dsb ish", options(nostack, preserves_flags)) }
}

pub(crate) use {read, read_two, write, write_two};
