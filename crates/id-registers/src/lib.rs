//! Which CPU features a guest sees, and what its ID registers say.

#![no_std]
