//! What a queue has in the legacy interface only (virtio 1.3, 4.2.4).

use crate::queue::{Setup, SetupError};

/// Where the driver has put a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LegacyQueue {
    /// QueueAlign.
    pub(super) align: u32,
    /// QueuePFN.
    pub(super) page: u32,
}

impl LegacyQueue {
    /// Computes the three areas of a queue of `size` descriptors: one after the other, the used ring
    /// at the next multiple of the alignment (2.7.2).
    pub(super) fn setup(self, size: u16, page_size: u32) -> Result<Setup, SetupError> {
        // Cannot wrap: two numbers of 32 bits, then less than 2²⁰.
        let descriptors = u64::from(self.page).saturating_mul(u64::from(page_size));
        let count = u64::from(size);
        let driver = descriptors.saturating_add(count.saturating_mul(16));
        let driver_end = driver
            .saturating_add(count.saturating_mul(2))
            .saturating_add(6);
        let align = u64::from(self.align);
        let device = addr::align_up(driver_end, align)
            .filter(|_| self.align.is_power_of_two() && page_size != 0)
            .ok_or(SetupError::Unaligned {
                address: descriptors,
            })?;
        Ok(Setup {
            size,
            descriptors,
            driver,
            device,
        })
    }
}
