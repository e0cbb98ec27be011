//! The one unsafe island: boot, vectors, world switch, EL2 tables, physical GIC and timer, guest
//! memory access, per-CPU data. `SAFETY.md` argues why it is sound.
//!
//! It implements the traits of `machine` for `ThisCpu` and decides nothing. Elsewhere than on the
//! bare-metal target the crate is empty, so that the workspace builds on any host.

#![cfg_attr(target_os = "none", no_std)]
#![cfg(target_os = "none")]

extern crate alloc;

mod boot;
mod console;
mod cpu;
mod el2_table;
mod gic;
mod identification;
mod layout;
mod memory;
mod memory_functions;
mod panic;
mod power;
mod rtc;
mod setup;
mod sysreg;
mod timer;
mod tlb;
mod vectors;
mod world;

pub use cpu::{
    MAX_CPUS, ThisCpu, conduit, enter, enter_guest, enter_secondary, put_frame, take_frame,
};
pub use gic::{KICK, enable_spi};
pub use identification::{event_counter_control, id_register, main_id, revision_id};
pub use memory::{heap_in_use, tables_in_use};
pub use panic::give_up;
pub use power::Firmware;
pub use setup::{Boot, Resources, Started};
pub use world::TrapRegisters;
