//! The device models.

#![no_std]
