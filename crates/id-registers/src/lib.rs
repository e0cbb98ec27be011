//! Which CPU features a guest sees, and what its ID registers say.
//!
//! The feature table ([`fields`]) is data: for each field of each ID register, what a guest is shown
//! and how EL2 makes what it isn't shown UNDEFINED. From it come the guest's ID registers
//! ([`GuestFeatures`]), the same on all its vCPUs, and each CPU's control registers
//! ([`TrapControls`]), so that the two can't disagree. What a table doesn't list reads as zero.
//!
//! [`sysreg_policy`] decides what becomes of a trapped access to any other register.

#![no_std]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::cast_possible_truncation
    )
)]

mod controls;
mod debug;
mod field;
mod guest;
mod host;
mod policy;
mod table;
mod table_aarch32;

pub use controls::{
    FineGrainedTraps, TrapControls, cnthctl, cptr, hcr, hcrx, hdfgrtr, hfgrtr, mdcr, mpam2,
};
pub use debug::{DebugState, OsLock};
pub use field::{Control, Field, Guard, Policy, Sign, fields, untrappable};
pub use guest::GuestFeatures;
pub use host::HostIdRegisters;
pub use policy::{DebugRegister, SgiRegister, SysRegAction, TimerRegister, sysreg_policy};
