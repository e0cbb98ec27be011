//! The machine as its device tree describes it.

#![no_std]
