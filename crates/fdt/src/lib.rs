//! Flattened device trees (Devicetree Specification 0.4, chapter 5): one pass to read, one pass to
//! write.
//!
//! Reading is on the way from the boot loader to the first guest, so it is made for a single pass:
//! [`Tokens`] gives the structure block's tokens in their order, checks the grammar as it goes, and
//! allocates nothing. [`names!`] declares the property names that a reader or writer knows;
//! [`NameTable`] tells them apart by their offsets. A tree that is small can be checked as a whole
//! ([`Fdt::check`]) and then looked into by [`Node`]s.
//!
//! The bytes are an untrusted file: whatever they are, reading ends in time proportional to their
//! number, with what they say or an [`FdtError`].
//!
//! ```
//! fdt::names! {
//!     /// The names of this example.
//!     pub enum Name {
//!         /// What the node is.
//!         Compatible = "compatible",
//!         /// Its registers.
//!         Reg = "reg",
//!     }
//! }
//!
//! let mut writer = fdt::Writer::new(256);
//! writer.node("", |root| {
//!     root.text(Name::Compatible, "example");
//!     root.node_at("uart", 0x900_0000, |uart| {
//!         uart.numbers(Name::Reg, &[0x900_0000, 0x1000]);
//!     });
//! });
//! let blob = writer.finish();
//!
//! let root = fdt::Fdt::new(&blob)?.check()?;
//! let names: Vec<&[u8]> = root.children().map(|child| child.name()).collect();
//! assert_eq!(names, [b"uart@9000000"]);
//! # Ok::<(), fdt::FdtError>(())
//! ```

#![no_std]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        clippy::unwrap_used,
        clippy::panic
    )
)]

extern crate alloc;

mod error;
mod names;
mod node;
mod read;
mod write;

#[cfg(test)]
mod tests;

pub use error::{Block, FdtError};
pub use names::{NameTable, Names, layout};
pub use node::{Children, Node, Properties};
pub use read::{Fdt, Property, Token, Tokens};
pub use write::{NOP_TOKEN, PROPERTY_HEADER, Writer};

/// What a blob begins with.
const MAGIC: u32 = 0xd00d_feed;
/// The version of the format that is read and written: all since 2007.
const VERSION: u32 = 17;
/// The oldest version that what is written is compatible with.
const COMPATIBLE_VERSION: u32 = 16;
/// Size of the header in bytes.
const HEADER_SIZE: usize = 40;

const BEGIN_NODE: u32 = 1;
const END_NODE: u32 = 2;
const PROP: u32 = 3;
const NOP: u32 = 4;
const END: u32 = 9;
