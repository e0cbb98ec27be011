//! One bounded piece of a device's work.

use crate::Features;
use crate::queue::{Notification, Queue, QueueError};
use addr::Ipa;
use device_model::{Backend, DiskError, MemoryFault};

/// What one call may cost, in bytes of copying: 13 instructions move 64 bytes, so that this is some
/// 17,000 instructions, of 20,000 that a guest may ask for at a time.
const BUDGET: u32 = 80 * 1024;

/// What any access to guest memory costs beside its bytes, in bytes of copying: it is translated,
/// checked and shown in a window.
const PER_ACCESS: u32 = 768;

/// What a write to a disk costs beside twice its bytes: it may have to fill the pages that it begins
/// and ends in, and every other one, before it overwrites them.
const PER_WRITE: u64 = 2 * 4096;

/// How many bytes of a disk are discarded at the cost of copying one: only marks change.
const DISCARDED_PER_BYTE: u64 = 64;

/// What a random byte costs, in bytes of copying.
const PER_RANDOM_BYTE: u32 = 512;

/// One call of a device's work: its queues, and what it may spend.
pub struct Turn<'a, 'b> {
    queues: &'a mut [Queue],
    work: Work<'b>,
    features: Features,
    /// The queue that is served first.
    first: usize,
}

impl<'a, 'b> Turn<'a, 'b> {
    /// Starts a call with what the driver and the device have agreed upon. Queue `first` modulo the
    /// number of queues is served first.
    pub fn new(queues: &'a mut [Queue], work: Work<'b>, features: Features, first: usize) -> Self {
        let first = first.checked_rem(queues.len()).unwrap_or(0);
        Self {
            queues,
            work,
            features,
            first,
        }
    }

    /// Returns a queue, and what may be spent on it; `None` if there is no such queue.
    pub fn queue(&mut self, index: usize) -> Option<(&mut Queue, &mut Work<'b>)> {
        Some((self.queues.get_mut(index)?, &mut self.work))
    }

    /// Returns all queues in an order that changes from turn to turn, so that one that is never
    /// empty does not starve the others.
    pub fn order(&self) -> impl Iterator<Item = usize> + use<> {
        let count = self.queues.len();
        let first = self.first;
        (first..count).chain(0..first)
    }

    /// Shows the driver what was completed in this call; tells whether it wants an interrupt.
    pub(crate) fn publish(&mut self) -> Result<Notification, QueueError> {
        let mut notification = Notification::NotWanted;
        for queue in self.queues.iter_mut() {
            match queue.publish(&mut self.work)? {
                Notification::Wanted => notification = Notification::Wanted,
                Notification::NotWanted => {}
            }
        }
        Ok(notification)
    }

    /// Returns the features that were agreed upon.
    #[must_use]
    pub const fn features(&self) -> Features {
        self.features
    }
}

/// What a device reaches during one call, and pays for: guest memory and what stands behind it.
pub struct Work<'a> {
    backend: &'a mut dyn Backend,
    /// What may still be spent, in bytes of copying.
    left: u32,
}

impl<'a> Work<'a> {
    /// Starts with the budget of one call.
    pub fn new(backend: &'a mut dyn Backend) -> Self {
        Self {
            backend,
            left: BUDGET,
        }
    }

    /// Tells whether nothing more may be done in this call. The last access may have cost more than
    /// there was: what it may cost is limited where it is made.
    #[must_use]
    pub const fn is_spent(&self) -> bool {
        self.left == 0
    }

    /// Returns how many bytes of data may be moved now: at most `wanted`, at least 1 if that is not
    /// 0 and the budget is not spent.
    #[must_use]
    pub fn allowance(&self, wanted: u32) -> u32 {
        wanted.min(self.left)
    }

    /// Returns how many bytes may be written to a disk now: at most `wanted`, at least 1 if that is
    /// not 0 and the budget is not spent.
    #[must_use]
    pub const fn write_allowance(&self, wanted: u32) -> u32 {
        let half = self.left.div_ceil(2);
        if wanted < half { wanted } else { half }
    }

    fn spend_write(&mut self, bytes: u64) {
        self.spend_long(bytes.saturating_mul(2).saturating_add(PER_WRITE));
    }

    fn spend(&mut self, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.left = self.left.saturating_sub(bytes).saturating_sub(PER_ACCESS);
    }

    fn spend_long(&mut self, bytes: u64) {
        self.spend(usize::try_from(bytes).unwrap_or(usize::MAX));
    }

    /// Copies from guest memory.
    ///
    /// # Errors
    /// [`MemoryFault`] if it is not the guest's RAM.
    pub fn read(&mut self, address: Ipa, buffer: &mut [u8]) -> Result<(), MemoryFault> {
        self.spend(buffer.len());
        self.backend.read_memory(address, buffer)
    }

    /// Copies to guest memory.
    ///
    /// # Errors
    /// [`MemoryFault`] if it is not the guest's RAM.
    pub fn write(&mut self, address: Ipa, bytes: &[u8]) -> Result<(), MemoryFault> {
        self.spend(bytes.len());
        self.backend.write_memory(address, bytes)
    }

    /// Copies from the disk to guest memory.
    ///
    /// # Errors
    /// As [`device_model::Disk::read_disk`].
    pub fn read_disk(&mut self, offset: u64, target: Ipa, size: u64) -> Result<(), DiskError> {
        self.spend_long(size);
        self.backend.read_disk(offset, target, size)
    }

    /// Copies from guest memory to the disk.
    ///
    /// # Errors
    /// As [`device_model::Disk::write_disk`].
    pub fn write_disk(&mut self, offset: u64, source: Ipa, size: u64) -> Result<(), DiskError> {
        self.spend_write(size);
        self.backend.write_disk(offset, source, size)
    }

    /// Writes zeros to the disk.
    ///
    /// # Errors
    /// As [`device_model::Disk::zero_disk`].
    pub fn zero_disk(&mut self, offset: u64, size: u64) -> Result<(), DiskError> {
        self.spend_write(size);
        self.backend.zero_disk(offset, size)
    }

    /// Returns how many bytes of the disk may be discarded now: at most `wanted`.
    #[must_use]
    pub fn discard_allowance(&self, wanted: u64) -> u64 {
        wanted.min(u64::from(self.left).saturating_mul(DISCARDED_PER_BYTE))
    }

    /// Tells the disk what is not needed.
    ///
    /// # Errors
    /// As [`device_model::Disk::discard_disk`].
    pub fn discard_disk(&mut self, offset: u64, size: u64) -> Result<(), DiskError> {
        self.spend_long(size.checked_div(DISCARDED_PER_BYTE).unwrap_or(0));
        self.backend.discard_disk(offset, size)
    }

    /// Makes the disk's content last.
    ///
    /// # Errors
    /// As [`device_model::Disk::flush_disk`].
    pub fn flush_disk(&mut self) -> Result<(), DiskError> {
        self.spend(0);
        self.backend.flush_disk()
    }

    /// Returns how many random bytes may be asked for: at most `wanted`.
    #[must_use]
    pub fn entropy_allowance(&self, wanted: u32) -> u32 {
        wanted.min(self.left.div_ceil(PER_RANDOM_BYTE))
    }

    /// Fills the start of `buffer` with random bytes and returns how many.
    pub fn entropy(&mut self, buffer: &mut [u8]) -> usize {
        let bytes = u64::try_from(buffer.len()).unwrap_or(u64::MAX);
        self.spend_long(bytes.saturating_mul(u64::from(PER_RANDOM_BYTE)));
        self.backend.entropy(buffer).min(buffer.len())
    }

    /// Says that pages of guest memory are not used for now.
    pub fn pages_unused(&mut self, address: Ipa, pages: u64) {
        self.spend(0);
        self.backend.pages_unused(address, pages);
    }

    /// Says that pages of guest memory are used again.
    pub fn pages_used(&mut self, address: Ipa, pages: u64) {
        self.spend(0);
        self.backend.pages_used(address, pages);
    }
}
