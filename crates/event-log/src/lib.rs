//! Fixed-size records of what the hypervisor did.

#![no_std]
