//! The role of a type-1 hypervisor at NS-EL2.
//!
//! | file | what |
//! |---|---|
//! | `boot` | from the archive to VMs that are ready to be loaded |
//! | `load` | a VM's images into its memory, in bounded steps |
//! | `cpu` | what each CPU keeps, and what the vectors call |
//! | `call` | hypercalls; `power`: those of PSCI |
//! | `interrupt` | physical interrupts |
//! | `exception` | everything else that leaves a guest; `mmio` and `sysreg` its two large parts |
//! | `schedule` | which vCPU runs, and the switch |
//! | `device_work` | devices that move data: guest memory, disks, random numbers; `device_timer` their timers |
//! | `stop` | how VMs end; `post_mortem` what is said about it |
//! | `console` | the operator's line |
//!
//! # Lock order
//! Most code holds one lock at a time. Where two are held, the one that stands higher is taken
//! first:
//! 1. an access that waits for a vCPU (`vm::Place::remote`)
//! 2. a vCPU's place (`vm::Place::vcpu`)
//! 3. a device (`vm::Vm::devices`)
//! 4. a VM's interrupt controller (`vm::Vm::gic`)
//! 5. a VM's stage 2 tables, a VM's load
//! 6. the VMID allocator, the memory's owners, the run queues
//! 7. the console
//!
//! No lock is held while another CPU is kicked. A device's lock is held while it copies its guest's
//! memory, which takes a bounded time (`device_work`); no other lock is held during a copy, but for a
//! disk's, which is taken under its device's by that device alone.

#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod boot;
mod call;
mod console;
mod cpu;
mod device_timer;
mod device_work;
mod disk;
mod exception;
mod interrupt;
mod load;
mod mmio;
mod post_mortem;
mod power;
mod schedule;
mod shared;
mod short_way;
mod stop;
mod sysreg;
mod vcpu;
mod vm;

pub use boot::{BootError, BootInput, boot};
pub use cpu::Cpu;
pub use device_timer::epoch;
pub use shared::{Hypervisor, Interrupts};

#[cfg(test)]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that misses an index or overflows fails, as it should"
)]
mod tests;
