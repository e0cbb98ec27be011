//! Who owns each page of the machine's memory.

#![no_std]
