//! vCPU and VM life cycles, scheduling and mailboxes.
//!
//! A vCPU is *moved* to the CPU that runs it; others reach it through its [`Mailbox`] alone. Who
//! posts looks at the vCPU's [life cycle](vcpu_state::VcpuState) afterwards: a waiting one is made
//! ready, a running one is kicked. Who parks a vCPU puts it into its place *before* the life cycle
//! says so, and looks into the mailbox once more *after*: one of the two always sees the other.
//! `tests/loom.rs` explores that.

#![cfg_attr(not(any(test, loom)), no_std)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

extern crate alloc;

mod deadlines;
pub mod life_cycle;
mod mailbox;
pub mod reset;
mod scheduler;
mod sync;
pub mod vcpu_state;
pub mod vm_state;

pub use deadlines::Deadlines;
pub use mailbox::{Before, Mailbox, Post, Posts};
pub use scheduler::{Affinity, Chosen, Found, Placement, Scheduler, SchedulerError};
