//! Which values does a Rust `match` take, arm by arm?
//!
//! The crate decides what the compiler decides about a match — is it exhaustive, which arms and
//! alternatives are of no use — and answers what the compiler does not say:
//!
//! - [`taken_sets`]: the exact set of values that each arm takes, and which of them it
//!   *swallows*, that is, takes through a wildcard without naming them;
//! - [`what_if`]: if an enum gained a variant, would this match stop compiling, or silently absorb
//!   it, and in which arm;
//! - [`Report::left_out`], [`ArmReport::reached`], [`ArmReport::omittable`]: what is accepted only
//!   because a type is empty, and what can be reached nonetheless, by what is known about the
//!   place;
//! - [`never`]: where never patterns would stand.
//!
//! Types are described by the caller through the trait [`Types`]; patterns carry no types of their
//! own. The problem is NP-hard, so each question has a work limit, and an answer that was cut
//! short says so.
//!
//! ```
//! use match_audit_usefulness::{
//!     Arm, EnumId, Match, Options, Pat, Shape, Types, Validity, Variant, Verdict, check, what_if,
//! };
//!
//! struct Program;
//! impl Types for Program {
//!     type Ty = &'static str;
//!     fn describe(&self, ty: &&'static str) -> Shape<&'static str> {
//!         match *ty {
//!             "Device" => Shape::sum(EnumId(0), (0..3).map(|_| Variant::new([]))),
//!             _ => Shape::Opaque,
//!         }
//!     }
//! }
//!
//! // match device { Device::A => …, _ => … }
//! let m = Match {
//!     scrutinee: "Device",
//!     validity: Validity::KnownValid,
//!     arms: vec![Arm::new(Pat::variant(0, [])), Arm::new(Pat::wild())],
//! };
//! let options = Options::default();
//! assert_eq!(check(&Program, &m, &options)?.verdict, Verdict::Exhaustive);
//! let answer = what_if(&Program, &m, EnumId(0), &options)?;
//! assert!(!answer.breaks);
//! assert_eq!(answer.absorbed_by, [1]);
//! # Ok::<(), match_audit_usefulness::Malformed>(())
//! ```

#![forbid(unsafe_code)]

mod compile;
mod constructor;
mod engine;
mod line;
mod matrix;
pub mod never;
mod pattern;
mod places;
mod sets;
mod slices;
mod table;
mod types;
mod verdict;
mod what_if;
mod witness;

pub use compile::{MAX_PATTERN_DEPTH, Malformed, Why};
pub use engine::EmptyArms;
pub use pattern::{Arm, Binding, Guard, Match, Pat, PatKind, Range, RangeEnd, Validity};
pub use sets::{ArmSet, Group, Sets, Swallowed, taken_sets};
pub use types::{ConstructorName, EnumId, EnumShape, Field, IntWidth, Shape, Sign, Types, Variant};
pub use verdict::{Alternative, ArmReport, Options, Report, Usefulness, Verdict, check};
pub use what_if::{Ghost, WhatIf, inspected_enums, what_if};
pub use witness::{Witness, WitnessKind};
