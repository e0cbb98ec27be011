//! The state of devices as bytes, and back.
//!
//! A device's `State` derives [`macro@crate::Migrate`], which makes a separate plain struct of
//! numbers, `StateSnapshot`, with a version. Saving converts the state into it; restoring decodes
//! it, checks every number as untrusted, and must consume its whole input. Snapshots of older
//! versions restore: what they lack gets the default that the state declares.
//!
//! All numbers are little-endian, without padding. A snapshot begins with its version.

mod container;
mod plain;
mod wire;

pub use container::{ContainerReader, ContainerWriter, MAX_KIND};
pub use plain::{Invalid, Plain};
pub use wire::{Reader, Wire, Writer};

use crate::{Activity, WrongActivity};
use core::fmt;

/// A device whose state can be saved and restored. Made by [`macro@crate::Device`].
pub trait Migrate {
    /// Returns the name of the device's kind in snapshots: at most [`MAX_KIND`] bytes of ASCII.
    fn kind(&self) -> &'static str;

    /// Appends the state.
    fn save(&self, out: &mut Writer);

    /// Replaces the state, if all that is left of `input` is one valid state; otherwise nothing
    /// happens.
    ///
    /// # Errors
    /// [`RestoreError`] otherwise.
    fn restore(&mut self, input: &mut Reader<'_>) -> Result<(), RestoreError>;
}

/// Reads one value of type `T` that is all that is left of `input`.
///
/// # Errors
/// [`RestoreError`] if it is not.
pub fn restore_all<T: Plain>(input: &mut Reader<'_>) -> Result<T, RestoreError> {
    let wire = T::Wire::read(input)?;
    input.finish()?;
    T::from_wire(wire).map_err(RestoreError::Invalid)
}

/// Why bytes are not the state of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoreError {
    /// The input ends too early.
    Truncated {
        /// How many bytes more were needed, at least.
        missing: usize,
    },
    /// Something follows what was asked for.
    Trailing {
        /// How many bytes.
        bytes: usize,
    },
    /// More than the embedder wants to look at.
    TooLong {
        /// How many bytes there are.
        bytes: usize,
        /// How many there may be.
        limit: usize,
    },
    /// It does not begin like a snapshot.
    Magic,
    /// It was made by a newer program, or by none.
    Version {
        /// The version that it names.
        found: u16,
        /// The newest known version.
        newest: u16,
    },
    /// Its check sum is wrong.
    Checksum {
        /// What it says.
        found: u32,
        /// What it should say.
        expected: u32,
    },
    /// It is a snapshot of other devices.
    Kind {
        /// What the machine has there.
        expected: &'static str,
    },
    /// There are too many elements.
    Count {
        /// How many.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A value that the device can never have.
    Invalid(Invalid),
    /// The device is not paused.
    Activity(Activity),
}

impl From<WrongActivity> for RestoreError {
    fn from(error: WrongActivity) -> Self {
        Self::Activity(error.found)
    }
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { missing } => write!(f, "ends at least {missing} bytes too early"),
            Self::Trailing { bytes } => write!(f, "{bytes} bytes too many"),
            Self::TooLong { bytes, limit } => write!(f, "{bytes} bytes, of at most {limit}"),
            Self::Magic => f.write_str("no snapshot of devices"),
            Self::Version { found, newest } => {
                write!(f, "version {found}, of at most {newest}")
            }
            Self::Checksum { found, expected } => {
                write!(f, "check sum {found:#010x} instead of {expected:#010x}")
            }
            Self::Kind { expected } => write!(f, "another device where {expected} is"),
            Self::Count { found, limit } => write!(f, "{found} elements, of at most {limit}"),
            Self::Invalid(invalid) => invalid.fmt(f),
            Self::Activity(found) => WrongActivity { found: *found }.fmt(f),
        }
    }
}

impl core::error::Error for RestoreError {}

#[cfg(test)]
mod tests;
