//! The tests of the crate as one program, which builds faster than five.

mod common;
mod emptiness;
mod hostile;
mod limits;
mod sets;
mod verdicts;
