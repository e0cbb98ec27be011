//! A software model of the GICv3 (IHI0069) for virtual machines, without ITS and LPIs.
//!
//! One Security state (GICD_CTLR.DS = 1), affinity routing always on (ARE = 1), groups 0 and 1, 32
//! priorities. Nothing here touches a physical distributor: the only hardware is the virtual CPU
//! interface of the vCPU that runs the call ([`machine::VirtualCpuInterface`]).
//!
//! # Who owns what
//! - [`Distributor`]: one for a VM, behind the VM's interrupt lock, which the caller owns. It holds
//!   the SPIs and answers the GICD frame.
//! - [`VcpuInterrupts`]: one for a vCPU, moved with it to the CPU that runs it; no other CPU touches
//!   it. It holds SGIs, PPIs, the shadow of the list registers and, at rest, the saved CPU
//!   interface, and answers the vCPU's own GICR frames.
//!
//! An interrupt in a list register is *in flight*: the guest acknowledges and ends it without an
//! exit, and what stands in the model about it is as old as the last look. Before an answer depends
//! on it, the owner of the list register looks; to change it, the owner takes it back and
//! gives it out again. [`VcpuInterrupts::deliver`] does what others asked for of both. A vCPU that is not
//! running has nothing in flight, so that its state and the distributor's are all there is: that is
//! what a snapshot compares and saves.
//!
//! # Bounded work
//! A guest decides how many interrupts are pending, active, routed and written at once. No call looks at
//! each of them to choose: priorities are kept so that the highest of 32 interrupts is found at once
//! (`priority`), and which interrupts are a vCPU's own is a word for each bank (`recipients`). The tests
//! in `work` count rounds of loops. Only a write to one register, of up to 32 interrupts, and turning a
//! vCPU off, which moves its 1-of-N interrupts, do something for each.
//!
//! # What a caller does
//! | when | call | lock |
//! |---|---|---|
//! | guest reads or writes GICD | [`VcpuInterrupts::read_distributor`], [`VcpuInterrupts::write_distributor`] | yes |
//! | guest reads or writes GICR | [`RedistributorRegion::locate`], then [`VcpuInterrupts::read_redistributor`], [`VcpuInterrupts::write_redistributor`] of the frame's owner | no |
//! | guest writes ICC_SGI*R | [`sgi::decode`], then each target's mailbox; the sender itself: [`VcpuInterrupts::pend_sgis`] | no |
//! | virtual timer | [`VcpuInterrupts::inject_hardware_ppi`] | no |
//! | after any of the last two | [`VcpuInterrupts::deliver_private`]; if it wants the distributor, [`VcpuInterrupts::deliver`] | no |
//! | device line | [`Distributor::set_line`] | yes |
//! | kicked | [`VcpuInterrupts::pend_sgis`] with the mailbox, [`VcpuInterrupts::deliver`] | yes |
//! | maintenance interrupt | [`VcpuInterrupts::maintain`] | yes |
//! | switch in, out | [`VcpuInterrupts::load`], [`VcpuInterrupts::save`] | yes |
//! | may a waiting vCPU sleep? | [`VcpuInterrupts::has_deliverable`] | yes |
//!
//! [`Effects`] are applied after the lock is released.

#![no_std]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::cast_possible_truncation
    )
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod bank;
mod bits;
mod cpu_interface;
mod delivery;
mod distributor;
mod effects;
mod list_registers;
mod priority;
mod private;
mod rebuild;
mod recipients;
mod redistributor;
mod registers;
mod routing;
pub mod sgi;
mod switch;
mod vcpu;
mod word;
#[cfg(test)]
mod work;

pub use bank::Bank;
pub use cpu_interface::CpuInterface;
pub use distributor::{Config, ConfigError, Distributor, DistributorRead, Level, Participation};
pub use effects::{Effects, MAX_VCPUS, PrivateSet, VcpuSet};
pub use list_registers::{ListRegister, MAX_LIST_REGISTERS};
pub use private::PrivateDelivery;
pub use redistributor::{Frame, REDISTRIBUTOR_STRIDE, RedistributorRegion, Written};
pub use sgi::{SgiGroup, SgiRegister, SgiRequest, SgiTargets};
pub use vcpu::VcpuInterrupts;
