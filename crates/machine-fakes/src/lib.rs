//! A scripted fake machine for host tests.
//!
//! A [`FakeMachine`] is one CPU with plain public fields, one instance a test; nothing is
//! process-wide. [`FakeMachine::sibling`] makes another CPU of the same machine, which shares tables
//! and memory. What is done to the hardware is recorded in order in [`FakeMachine::calls`]; misuse
//! that hardware would not forgive fails the test by an assertion.

#![no_std]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a fake that overflows or misses an index fails the test, as it should"
)]

extern crate alloc;

mod call;
mod guest;
mod irq;
mod machine;
mod memory;
mod ring;
mod world;

pub use call::Call;
pub use guest::{FakeGuest, PageUse};
pub use irq::{FakeGic, FakeInterface};
pub use machine::{FakeClock, FakeConsole, FakeFirmware, FakeMachine, FakePower};
pub use memory::{FakeMemory, FakeTables};
pub use ring::{Buffer, FakeRing, Form, INDIRECT, NEXT, Used, WRITE};
pub use world::{FakeTimers, FakeWorld};
