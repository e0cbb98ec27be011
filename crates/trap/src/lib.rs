//! What made a vCPU leave its guest, as typed values.

#![no_std]
