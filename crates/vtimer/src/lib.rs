//! The generic timers of a vCPU.

#![no_std]
