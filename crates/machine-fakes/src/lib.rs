//! A scripted fake machine for host tests.

#![no_std]
