//! The generic timers of a vCPU (Arm ARM, D12.2): plain state and decisions, no registers.
//!
//! - The **virtual timer** is the hardware's while the vCPU is loaded. [`Timers::switch_out`] takes
//!   it over when the vCPU leaves its CPU, [`Timers::switch_in`] says what to put back.
//! - The **physical timer** is treated in the same way where the CPU can offset it (FEAT_ECV).
//!   Otherwise it is emulated: EL2 traps its registers (CNTHCTL_EL2.EL1PCEN and EL1PCTEN clear).
//!
//! Time goes in as `now`, the machine's physical counter in ticks. A [`Deadline`] in the past does
//! not exist: a timer that has fired is [`Deadline::Reached`] and arms nothing, so that a guest
//! that sets its compare value to the past again and again never interrupts EL2 by it.

#![no_std]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

mod deadline;
mod timer;
mod timers;

pub use deadline::Deadline;
pub use timer::{Timer, TimerRegister};
pub use timers::{HardwareTimer, InterruptState, SwitchIn, SwitchOut, TimerKind, Timers};
