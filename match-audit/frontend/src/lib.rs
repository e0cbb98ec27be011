//! The adapter between rust-analyzer's crates and the neutral form of the audit.
//!
//! All that depends on rust-analyzer's interfaces, which change with every release, is in this
//! crate. It loads a Cargo workspace, finds every site in the bodies of its own crates, and
//! lowers types and patterns. What it cannot lower it lists.

#![forbid(unsafe_code)]

mod bodies;
mod collect;
mod conversions;
mod find;
mod load;
mod locate;
mod lower;
mod names;
mod place;
mod types;

pub use load::{Request, find_rust_src, load};
