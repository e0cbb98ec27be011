//! The device tree that a guest is given.

#![no_std]
