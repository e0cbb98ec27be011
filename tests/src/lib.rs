//! Whole systems in the emulator: what an operator sees on the console.
//!
//! A test says with a [`Setup`] what to boot, starts it, and then talks to its [`Console`]: it waits
//! for text, types, and looks at how the run ended. The run is that of `cargo xtask run`; each has a
//! time limit, is ended when the test is over, and leaves its log behind when the test failed.
//!
//! `cargo xtask test` sets these variables; without them, the tests build what they need:
//!
//! | variable | meaning |
//! |---|---|
//! | `BULKHEAD_XTASK` | the xtask program |
//! | `BULKHEAD_PAYLOADS` | the folder of `test-guest.bin` |
//! | `BULKHEAD_LOGS` | the folder for logs, else `target/system-test-logs` |
//! | `BULKHEAD_LONG` | if set, load runs for ten minutes and not for one |
//! | `BULKHEAD_NATIVE` | if set, the first VM boots on the bare machine: a check of the tests, never set by xtask |

mod console;
mod programs;
mod setup;

pub use console::{Console, Ending};
pub use programs::{log_folder, run_image};
pub use setup::{DiskAccess, Setup, Vm};

use std::time::Duration;

/// How long a boot of Linux may take, with both CPUs of a small host busy.
pub const BOOT: Duration = Duration::from_secs(120);

/// How long an answer to a command may take.
pub const ANSWER: Duration = Duration::from_secs(30);

/// How long the machine may take to turn itself off.
pub const OFF: Duration = Duration::from_secs(60);

/// Returns how long a load test runs its load.
#[must_use]
pub fn load_time() -> Duration {
    if std::env::var_os("BULKHEAD_LONG").is_some() {
        Duration::from_secs(600)
    } else {
        Duration::from_secs(60)
    }
}

/// Tells whether the tests run without the hypervisor, to check them.
#[must_use]
pub fn is_native() -> bool {
    std::env::var_os("BULKHEAD_NATIVE").is_some()
}
