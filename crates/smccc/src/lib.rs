//! SMC Calling Convention, PSCI and TRNG: decoding and fixed answers.
//!
//! [`simple_answer`] serves the calls whose answer never changes; [`dispatch`] decodes all others
//! into a [`Call`]. What needs state (turning vCPUs on, resetting) is decided by the role; what needs
//! only facts is answered here: [`ArchTruth::features`], [`psci_features`], [`trng_answer`],
//! [`vendor_answer`].
//!
//! Arguments are allegations: decoded, cut to the width of the convention, never checked against the
//! machine here.

#![no_std]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::cast_possible_truncation
    )
)]

mod answer;
mod arch;
mod dispatch;
mod drbg;
mod function;
mod psci;
mod simple;
mod trng;
mod vendor;

pub use answer::{Answer, SmcccError};
pub use arch::{ArchTruth, Mitigation, Workaround};
pub use dispatch::{Call, dispatch};
pub use drbg::{Drbg, ShortSeed};
pub use function::{Convention, FunctionId, Owner};
pub use psci::{
    AffinityState, PowerLevel, PowerState, PsciCall, PsciError, PsciFunction, psci_features,
};
pub use simple::{SIMPLE, simple_answer};
pub use trng::{Entropy, TrngCall, TrngError, trng_answer};
pub use vendor::{VendorCall, vendor_answer};
