//! A bare-metal guest that measures what exits cost.
//!
//! The kernel's command line names what is measured and how often, such as
//! `bench=single iterations=1000`. The guest prints a line per result, with the ticks that all
//! iterations took together, loop included, and turns itself off:
//!
//! ```text
//! bench: row NAME TICKS ITERATIONS
//! ```
//!
//! With a counter of 1 GHz and a clock that follows the instructions one tick is one instruction
//! (QEMU: `-cpu cortex-a72,cntfrq=1000000000 -icount shift=0,sleep=off`). What is measured is
//! written in assembly, so that no compiler changes the guest's share. Before each row comes an HVC
//! with the row's number as its immediate, which marks the place in a trace; `marks=off` leaves them
//! out. It runs with the MMU off at EL1, where memory begins at 1 GiB, and finds console and
//! interrupt controller in the device tree, so that it runs on QEMU itself and above others too.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod boot;
#[cfg(target_os = "none")]
mod console;
#[cfg(target_os = "none")]
mod gic;
#[cfg(target_os = "none")]
mod measure;
#[cfg(target_os = "none")]
mod pair;
#[cfg(target_os = "none")]
mod psci;
#[cfg(target_os = "none")]
mod registers;
#[cfg(target_os = "none")]
mod single;
#[cfg(target_os = "none")]
mod sweep;
#[cfg(target_os = "none")]
mod switch;

/// Does nothing: the guest is for the bare-metal target.
#[cfg(not(target_os = "none"))]
fn main() {}
