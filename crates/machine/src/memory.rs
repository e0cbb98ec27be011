//! Translation tables, TLBs and the memory of guests.

use addr::{Ipa, Pa, Range};
use core::fmt;

/// The memory that translation tables live in.
///
/// A table is 4096 bytes: 512 descriptors of 64 bits. A concatenated root (Arm ARM, D8.2.7) is up
/// to 16 tables that lie one after the other, and is addressed by its first one with an index of
/// 0 to 8191.
pub trait TableMemory {
    /// Reads descriptor `index` of the table at `table`.
    fn read(&self, table: Pa, index: usize) -> u64;

    /// Writes descriptor `index` of the table at `table`, such that a table walk that starts
    /// afterwards on any CPU sees it, and every earlier write (a `DSB ISHST` on hardware).
    fn write(&mut self, table: Pa, index: usize, descriptor: u64);

    /// Allocates `1 << order` consecutive tables, aligned to their total size, with all descriptors
    /// 0; `None` if there is no memory left within the quota.
    fn allocate(&mut self, order: u32) -> Option<Pa>;

    /// Gives back what [`TableMemory::allocate`] returned for the same `order`.
    fn free(&mut self, table: Pa, order: u32);
}

/// The memory that the hypervisor itself uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnMemory {
    /// Bytes of its heap, tables included.
    pub heap: usize,
    /// Tables that [`TableMemory::allocate`] has handed out, in pages.
    pub tables: usize,
}

/// Counts what the hypervisor itself uses: whatever guests do, it comes back to where it was.
pub trait Accounting {
    /// Returns how much memory is in use.
    fn own_memory(&self) -> OwnMemory;
}

/// What must leave the TLBs of all CPUs before a changed translation may be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalidation {
    /// Every stage 2 (and combined) entry of the range, at the VMID it was made for.
    Range {
        /// The VMID in VTTBR_EL2's field.
        vmid: u16,
        /// Guest-physical addresses, in whole pages.
        range: Range<Ipa>,
    },
    /// All entries of one VMID.
    Vmid {
        /// The VMID in VTTBR_EL2's field.
        vmid: u16,
    },
    /// All stage 1 and stage 2 entries of all VMIDs, on all CPUs: what a VMID rollover owes.
    All,
}

/// The TLBs of all CPUs.
pub trait Tlb {
    /// Carries out `invalidation` and waits until it is complete on every CPU of the inner
    /// shareable domain.
    fn invalidate(&mut self, invalidation: Invalidation);
}

/// Copies between EL2's own memory and memory that belongs to guests.
///
/// The caller has translated and checked the addresses: they are RAM, owned by the guest in
/// question, and stay so during the call. Guest memory is never a Rust reference: other vCPUs write
/// it at any time.
pub trait GuestMemory {
    /// Copies `buffer.len()` bytes from `address` on.
    ///
    /// # Errors
    /// [`GuestMemoryError`] if the range is not RAM of this machine.
    fn read(&self, address: Pa, buffer: &mut [u8]) -> Result<(), GuestMemoryError>;

    /// Copies `bytes` to `address` on.
    ///
    /// # Errors
    /// [`GuestMemoryError`] if the range is not RAM of this machine.
    fn write(&self, address: Pa, bytes: &[u8]) -> Result<(), GuestMemoryError>;

    /// Copies `size` bytes from `source` to `target`; the ranges don't overlap.
    ///
    /// # Errors
    /// [`GuestMemoryError`] if either range is not RAM of this machine.
    fn copy(&self, target: Pa, source: Pa, size: u64) -> Result<(), GuestMemoryError>;

    /// Writes zeros over the range, which guests whose caches are off find too.
    ///
    /// # Errors
    /// [`GuestMemoryError`] if the range is not RAM of this machine.
    fn zero(&self, range: Range<Pa>) -> Result<(), GuestMemoryError>;

    /// Makes what was written to the range visible to instruction fetches and to guests whose
    /// caches are off: cleans the data cache to the point of coherency and invalidates the
    /// instruction caches.
    fn publish(&self, range: Range<Pa>);
}

/// A physical range that is not RAM of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestMemoryError {
    /// The first address that was asked for.
    pub address: Pa,
    /// How many bytes were asked for.
    pub size: u64,
}

impl fmt::Display for GuestMemoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes at {} are not RAM", self.size, self.address)
    }
}

impl core::error::Error for GuestMemoryError {}
