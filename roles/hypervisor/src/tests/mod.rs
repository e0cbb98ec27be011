//! The whole role on a fake machine.

mod bench;
mod boot;
mod call;
mod clock;
mod console;
mod disk;
mod interrupt;
mod mmio;
mod power;
mod power_key;
mod random;
mod schedule;
mod stop;
mod sysreg;
mod warm_reset;
