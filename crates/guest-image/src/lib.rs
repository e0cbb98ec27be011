//! Guest kernel formats and where a guest's boot files go in its memory.

#![no_std]
