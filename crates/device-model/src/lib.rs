//! The device framework: devices, bus, registers, effects.

#![no_std]
