//! The whole role on a fake machine.

mod bench;
mod boot;
mod call;
mod power;
mod stop;
mod warm_reset;
