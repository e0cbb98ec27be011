//! What made a vCPU leave its guest, as typed values, and what is done to a guest in answer.
//!
//! [`decode`] turns the syndrome registers into an [`Exit`]; [`DeviceAccess::recognize`] is its short
//! form for the most frequent exit. [`MmioAccess`] completes a load or a
//! store, [`advance`] steps over an instruction that was carried out for the guest, and
//! [`Exception::take`] computes what the guest's registers become when it gets an exception.
//!
//! Nothing here reads a register, and no instruction of a guest's is ever fetched: what the syndrome
//! doesn't say is not guessed.

#![no_std]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::cast_possible_truncation
    )
)]

mod advance;
mod describe;
mod esr;
mod exit;
mod fault;
mod inject;
mod mmio;
mod pstate;
mod sysreg;

pub use advance::{Advanced, advance};
pub use esr::{Esr, ExceptionClass, InstructionLength};
pub use exit::{
    Direction, Exit, ExitRegisters, InstructionAbort, SysRegAccess, Wait, WaitKind, decode,
};
pub use fault::{CacheMaintenance, DataAbort, FaultStatus, Level, Stage1Walk};
pub use inject::{Exception, ExceptionEntry, GuestContext};
pub use mmio::{DeviceAccess, Extension, MmioAccess, Ordering, RegisterWidth};
pub use pstate::{ExceptionLevel, Pstate, Source};
pub use sysreg::SysRegId;
