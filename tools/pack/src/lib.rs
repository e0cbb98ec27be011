//! Packs a machine description and the files it names into one archive, which the hypervisor is
//! given like an initial file system.
//!
//! [`read_toml`] reads the description, [`pack`] finds the files, unpacks compressed kernels and
//! ELF files, compiles the manifest, and checks the finished archive with the very code that reads
//! it at boot. Nothing is written: the caller gets bytes. Errors say where, what, and what would be
//! right: `linux.toml:5: vcpus = 700: impossible number of vCPUs; use 1 to 123`.

#![cfg_attr(
    test,
    allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)
)]

mod elf;
mod error;
mod files;
mod packing;
mod size;
mod source;
mod value;

pub use error::{PackError, SourcePlace};
pub use manifest::Machine;
pub use packing::{FileRole, Overrides, Packed, Resolver, pack};
pub use size::parse_size;
pub use source::{Source, parse_toml, read_toml};

#[cfg(test)]
mod tests;
