//! The whole role on a fake machine.

mod bench;
mod boot;
mod call;
mod power;
mod schedule;
mod stop;
mod warm_reset;
