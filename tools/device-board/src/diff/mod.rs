//! Compares the board with a stock QEMU: the same random commands to both, and the answers side by
//! side.
//!
//! A [`Subject`] is a device with a way to make up accesses that it finds interesting. What may
//! differ stands in its [`Choice`]s, each with its reason. The clock stands still, so that the
//! answers depend on the commands alone.

mod choice;
mod emulator;
mod operation;
mod random;
mod request;
mod ring;
mod run;
mod shrink;
mod subjects;
mod trace;

pub use choice::{Choice, Effect, Whose};
pub use emulator::{DISK_BYTES, Emulator, Programs, Response};
pub use operation::Operation;
pub use random::Random;
pub use request::Request;
pub use ring::{Form, Ring};
pub use run::{Difference, Outcome, Run, compare};
pub use shrink::shrink;
pub use subjects::{SUBJECTS, Shadow, Subject, Watch};
pub use trace::record;
