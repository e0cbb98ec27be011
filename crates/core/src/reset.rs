//! What a vCPU's registers hold when it starts.

/// SCTLR_EL1 with everything off: the bits that are RES1 in Armv8.0 (29, 28, 23, 22, 20, 11), which
/// is what a PSCI CPU_ON promises (DEN0022, 6.4.3: MMU and caches off, little endian).
pub const SCTLR_EL1: u64 = 0x30d0_0800;

/// PSTATE at a start: EL1 with its own stack pointer, all interrupts masked (DEN0022, 6.4.3).
pub const PSTATE: u64 = 0x3c5;
