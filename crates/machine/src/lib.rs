//! What the core needs of the hardware, as small traits.
//!
//! `arch` implements them over registers and memory, `machine-fakes` over plain fields, one
//! instance a test. Roles are generic over them and monomorphised, so that the seam costs nothing
//! on the exit path. A trait here moves values; it decides nothing.

#![no_std]

extern crate alloc;

mod console;
mod exit;
mod irq;
mod memory;
mod power;
mod random;
mod registers;
mod time;
mod world;

pub use console::Console;
pub use exit::{Conduit, ExitHandler, Next, Short, Syndrome};
pub use irq::{Active, IrqHardware, PhysicalInterrupt, VirtualCpuInterface};
pub use memory::{
    Accounting, GuestMemory, GuestMemoryError, Invalidation, OwnMemory, TableMemory, Tlb,
};
pub use power::{CpuPower, SecureCall, SmcccResult};
pub use random::{Random, Randomness};
pub use registers::{El1Registers, FpRegisters, Frame, VcpuRegisters};
pub use time::{Clock, PhysicalTimer, TimerHardware, TimerRegisters};
pub use world::{ExceptionContext, ExceptionRecord, LocalTlb, WaitTrap, World, WorldControl};

/// Everything that the core needs of the CPU that runs it, in one bound.
pub trait Hardware:
    World
    + IrqHardware
    + VirtualCpuInterface
    + Clock
    + TimerHardware
    + CpuPower
    + Tlb
    + TableMemory
    + Accounting
    + GuestMemory
    + SecureCall
    + Randomness
    + Console
{
}

impl<T> Hardware for T where
    T: World
        + IrqHardware
        + VirtualCpuInterface
        + Clock
        + TimerHardware
        + CpuPower
        + Tlb
        + TableMemory
        + Accounting
        + GuestMemory
        + SecureCall
        + Randomness
        + Console
{
}
