//! What was done to the machine.

use addr::{CpuId, IntId, Pa};
use machine::{Active, ExceptionRecord, Invalidation, TimerRegisters, WaitTrap, WorldControl};

/// One call that changed something. Calls that only read are not recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// A descriptor was written.
    WriteDescriptor {
        /// The table.
        table: Pa,
        /// The descriptor's place.
        index: usize,
        /// Its value.
        descriptor: u64,
    },
    /// Tables were allocated.
    AllocateTables {
        /// The first one; `None` if there was no room.
        table: Option<Pa>,
        /// The logarithm of their number.
        order: u32,
    },
    /// Tables were given back.
    FreeTables {
        /// The first one.
        table: Pa,
        /// The logarithm of their number.
        order: u32,
    },
    /// TLBs were invalidated.
    Invalidate(Invalidation),
    /// An interrupt was acknowledged.
    Acknowledge(IntId),
    /// The running priority was dropped.
    DropPriority(IntId),
    /// An interrupt was deactivated.
    Deactivate(IntId),
    /// A private interrupt was made active or inactive.
    SetPrivateActive(IntId, Active),
    /// Another CPU was kicked.
    Kick(CpuId),
    /// A list register was written.
    SetListRegister(usize, u64),
    /// EL2's timer was armed or disarmed.
    SetDeadline(Option<u64>),
    /// The vCPU's timers were saved and switched off.
    SaveTimers,
    /// The vCPU's timers were loaded.
    LoadTimers(TimerRegisters),
    /// The EL1 registers were saved.
    SaveEl1,
    /// The EL1 registers were loaded.
    LoadEl1,
    /// EL2's control registers were set for a vCPU.
    Enter(WorldControl),
    /// The trap of WFI was changed.
    SetWaitTrap(WaitTrap),
    /// FP/SIMD registers were loaded.
    LoadFp,
    /// FP/SIMD registers were saved.
    SaveFp,
    /// The vCPU's exception registers were written.
    RecordException(ExceptionRecord),
    /// MDSCR_EL1 was written.
    SetMonitorControl(u64),
    /// The CPU slept.
    WaitForInterrupt,
    /// The machine was turned off.
    SystemOff,
    /// The firmware was called; x0.
    SecureCall(u64),
}
