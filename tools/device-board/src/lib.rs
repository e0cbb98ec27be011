//! Bulkhead's devices on the host: on the address map of QEMU's machine `virt`, behind the protocol
//! that QEMU's own device tests speak.
//!
//! The program `bulkhead-system-arm` is started as QEMU would be, by libqtest, which takes the
//! architecture from the end of its name. It connects to the test's sockets and then does what it is
//! told: [`qtest`] is the protocol of accesses, clocks and interrupt lines, [`qmp`] the few commands
//! of QEMU's control protocol that tests need. [`machine`] is what answers; nothing happens between
//! two commands, and no CPU runs.
//!
//! [`diff`] drives the board and a stock QEMU with the same commands and compares the answers.

pub mod backend;
pub mod diff;
pub mod gic;
pub mod machine;
pub mod options;
pub mod plant;
pub mod qmp;
pub mod qtest;
pub mod ram;
pub mod server;
