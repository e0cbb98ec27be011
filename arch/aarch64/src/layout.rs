//! Where things lie in EL2's 48-bit virtual address space, and how addresses relate.
//!
//! | from | what |
//! |---|---|
//! | `0x8000_0000_0000` | the image, where it is linked |
//! | `0x9000_0000_0000` | hypervisor-owned RAM and read-only boot data, at physical address + this |
//! | `0xa000_0000_0000` | device registers, at physical address + this |
//! | `0xb000_0000_0000` | per-CPU stacks, 64 KiB apart, each between unmapped pages |
//! | `0xc000_0000_0000` | per-CPU windows into guest memory, 4 MiB a CPU |
//!
//! Guest memory has no mapping at EL2 but a window's.

/// Where the image is linked; the linker script has the same number.
pub(crate) const IMAGE: u64 = 0x8000_0000_0000;
/// Where hypervisor-owned memory is mapped.
pub(crate) const OWNED: u64 = 0x9000_0000_0000;
/// Where device registers are mapped.
pub(crate) const DEVICE: u64 = 0xa000_0000_0000;
/// Where the CPUs' stacks lie.
pub(crate) const STACKS: u64 = 0xb000_0000_0000;
/// Distance between the stacks of two CPUs, in bytes.
pub(crate) const STACK_STRIDE: u64 = 0x1_0000;
/// Size of the main stack of a CPU, in bytes.
pub(crate) const STACK_SIZE: u64 = 0x8000;
/// Size of the stack that a fatal exception uses, in bytes.
pub(crate) const EMERGENCY_STACK_SIZE: u64 = 0x4000;
/// Where the windows lie.
pub(crate) const WINDOWS: u64 = 0xc000_0000_0000;
/// Size of one window, in bytes: what one level 2 descriptor maps.
pub(crate) const WINDOW_SIZE: u64 = 0x20_0000;
/// Windows of one CPU: a source and a target.
pub(crate) const WINDOWS_PER_CPU: u64 = 2;

/// Returns the lowest address of a CPU's main stack: a page above its guard.
pub(crate) fn stack_bottom(cpu: usize) -> u64 {
    STACKS + cpu as u64 * STACK_STRIDE + 0x1000
}

/// Returns the lowest address of a CPU's emergency stack, a guard page above the main stack.
pub(crate) fn emergency_bottom(cpu: usize) -> u64 {
    stack_bottom(cpu) + STACK_SIZE + 0x1000
}

const _: () = assert!(0x1000 + STACK_SIZE + 0x1000 + EMERGENCY_STACK_SIZE <= STACK_STRIDE);

/// The bits that an address of EL2 uses (TCR_EL2.T0SZ = 16).
pub(crate) const ADDRESS_BITS: u64 = (1 << 48) - 1;
