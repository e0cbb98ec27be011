//! A software model of the GICv3 for virtual machines.

#![no_std]
