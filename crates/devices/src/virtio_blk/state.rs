//! What the block device is made of, and what it remembers.

use super::request::{ID_BYTES, Outcome};
use device_model::Migrate;

/// Whether the driver may write to the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// It may.
    #[default]
    ReadWrite,
    /// It may not.
    ReadOnly,
}

/// Whether a completed write lasts at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Migrate)]
pub enum Cache {
    /// It does.
    WriteThrough = 0,
    /// It does once a flush has completed.
    #[default]
    WriteBack = 1,
}

/// What is fixed when the device is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Size of the disk in bytes; what is left over from whole sectors is not seen.
    pub bytes: u64,
    /// The block size that the driver is told, in bytes: a power of 2 of 512 or more.
    pub block_size: u32,
    /// Whether the driver may write.
    pub access: Access,
    /// Number of queues.
    pub queues: u16,
    /// What GET_ID gives: ASCII, ended by a 0 unless it is full.
    pub id: [u8; ID_BYTES],
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bytes: 0,
            block_size: 512,
            access: Access::ReadWrite,
            queues: 1,
            id: *b"bulkhead\0\0\0\0\0\0\0\0\0\0\0\0",
        }
    }
}

/// What the guest sees change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Migrate)]
#[migrate(version = 1)]
pub struct State {
    /// How writes are cached. Survives no reset.
    pub cache: Cache,
}

/// A request in work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) job: Job,
    /// How many bytes of the answer precede the status.
    pub(super) room: u32,
}

/// What is left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Job {
    /// Disk to guest, from this byte on.
    Read {
        offset: u64,
    },
    /// Guest to disk, from this byte on.
    Write {
        offset: u64,
    },
    Flush,
    GetId,
    /// The ranges that have not been read yet.
    Ranges(RangeKind),
    /// What is left of a range, in bytes.
    Clear {
        kind: RangeKind,
        offset: u64,
        bytes: u64,
    },
    Done(Outcome),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RangeKind {
    Discard,
    Zero,
}
