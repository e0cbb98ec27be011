//! The tests of the crate as one program, which builds faster than five.

mod common;
mod emptiness;
mod hostile;
mod limits;
mod model;
mod sets;
mod verdicts;
