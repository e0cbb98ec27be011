//! What a device reaches while it works: guest memory and what stands behind it.
//!
//! An access to a register never touches any of this. It asks for work ([`crate::Host::request_work`]), and
//! the embedder calls [`crate::MmioDevice::work`] with a [`Backend`] after the access, and again for
//! as long as the device asks.

use addr::Ipa;
use core::fmt;

/// Guest memory as a device reaches it: by guest-physical addresses, through copies.
///
/// Other CPUs write the same memory at any time, so a device copies what it has to check and looks
/// at the copy. An aligned access of 1, 2, 4 or 8 bytes is single-copy atomic. Accesses are not
/// ordered; a device puts a fence ([`core::sync::atomic::fence`]) where a protocol needs one.
pub trait GuestMemory {
    /// Copies `buffer.len()` bytes from `address` on.
    ///
    /// # Errors
    /// [`MemoryFault`] if not all of them are the guest's RAM; the buffer may have been written in
    /// part.
    fn read_memory(&mut self, address: Ipa, buffer: &mut [u8]) -> Result<(), MemoryFault>;

    /// Copies `bytes` to `address` on.
    ///
    /// # Errors
    /// [`MemoryFault`] if not all of them are the guest's RAM; the first ones may have been written.
    fn write_memory(&mut self, address: Ipa, bytes: &[u8]) -> Result<(), MemoryFault>;
}

/// Addresses that are not all the guest's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryFault {
    /// The first address.
    pub address: Ipa,
    /// How many bytes.
    pub length: usize,
}

impl MemoryFault {
    /// Makes the error of a copy of `length` bytes at `address`.
    #[must_use]
    pub const fn new(address: Ipa, length: usize) -> Self {
        Self { address, length }
    }
}

impl fmt::Display for MemoryFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} bytes at {} are not the guest's memory",
            self.length, self.address
        )
    }
}

impl core::error::Error for MemoryFault {}

/// The storage behind a block device. Offsets and sizes are in bytes and need no alignment; the
/// device has compared them with the size that it was made with, an implementation does so again.
///
/// Data moves between storage and guest memory in one copy, which the implementation makes. A back
/// end without storage leaves everything as it is.
pub trait Disk: GuestMemory {
    /// Copies `size` bytes at `offset` of the disk to guest memory at `target`.
    ///
    /// # Errors
    /// [`DiskError`]; part of the target may have been written.
    fn read_disk(&mut self, offset: u64, target: Ipa, size: u64) -> Result<(), DiskError> {
        let _ = (offset, target, size);
        Err(DiskError::Absent)
    }

    /// Copies `size` bytes of guest memory at `source` to `offset` of the disk.
    ///
    /// # Errors
    /// [`DiskError`]; part of the disk may have been written.
    fn write_disk(&mut self, offset: u64, source: Ipa, size: u64) -> Result<(), DiskError> {
        let _ = (offset, source, size);
        Err(DiskError::Absent)
    }

    /// Writes zeros over `size` bytes at `offset` of the disk.
    ///
    /// # Errors
    /// [`DiskError`]; part of the disk may have been written.
    fn zero_disk(&mut self, offset: u64, size: u64) -> Result<(), DiskError> {
        let _ = (offset, size);
        Err(DiskError::Absent)
    }

    /// Is told that nobody needs what stands in `size` bytes at `offset` of the disk.
    ///
    /// # Errors
    /// [`DiskError`] if the range is not the disk's.
    fn discard_disk(&mut self, offset: u64, size: u64) -> Result<(), DiskError> {
        let _ = (offset, size);
        Err(DiskError::Absent)
    }

    /// Makes what was written last.
    ///
    /// # Errors
    /// [`DiskError`] if it may be lost.
    fn flush_disk(&mut self) -> Result<(), DiskError> {
        Err(DiskError::Absent)
    }
}

/// Why storage did not do what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskError {
    /// There is no storage.
    Absent,
    /// The guest named memory that is not its own.
    Memory(MemoryFault),
    /// The range does not lie on the disk.
    Beyond {
        /// The offset in bytes.
        offset: u64,
        /// The size in bytes.
        size: u64,
    },
    /// The disk cannot be written.
    ReadOnly,
    /// The storage itself failed.
    Failed,
}

impl From<MemoryFault> for DiskError {
    fn from(fault: MemoryFault) -> Self {
        Self::Memory(fault)
    }
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("there is no storage"),
            Self::Memory(fault) => fault.fmt(f),
            Self::Beyond { offset, size } => {
                write!(f, "{size} bytes at {offset:#x} are not on the disk")
            }
            Self::ReadOnly => f.write_str("the disk cannot be written"),
            Self::Failed => f.write_str("the storage failed"),
        }
    }
}

impl core::error::Error for DiskError {}

/// A source of random numbers.
pub trait Entropy {
    /// Fills the first bytes of `buffer` with random numbers and returns how many; fewer than all,
    /// or none, if there are no more now. The work is in proportion to the buffer.
    fn entropy(&mut self, buffer: &mut [u8]) -> usize {
        let _ = buffer;
        0
    }
}

/// What happens to memory that a guest gives back or takes again: whole pages.
pub trait SpareMemory {
    /// Is told that the guest does not use `pages` pages of 4 KiB at `address` for now; what stands
    /// in them need not be kept.
    fn pages_unused(&mut self, address: Ipa, pages: u64) {
        let _ = (address, pages);
    }

    /// Is told that the guest uses the pages again.
    fn pages_used(&mut self, address: Ipa, pages: u64) {
        let _ = (address, pages);
    }
}

/// All that a device may reach while it works.
pub trait Backend: Disk + Entropy + SpareMemory {}

impl<T: Disk + Entropy + SpareMemory + ?Sized> Backend for T {}

/// Something behind a device has changed, and its guest is to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendChange {
    /// The disk has this many bytes now.
    DiskSize(u64),
    /// The console's window has another size, in characters.
    ConsoleSize {
        /// Characters in a line.
        columns: u16,
        /// Lines.
        rows: u16,
    },
    /// The guest is asked to give back this many pages of 4 KiB in all.
    BalloonTarget(u32),
}
