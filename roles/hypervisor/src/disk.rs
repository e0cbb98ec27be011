//! What stands behind a VM's disk: an image in the boot archive, and memory for what was written
//! over it.

use crate::vm::{Piece, find};
use addr::Pa;
use alloc::vec::Vec;
use device_model::DiskError;
use devices::virtio_blk::image::CopyOnWrite;
use lock::Lock;

/// The store of one disk.
pub(crate) struct Store {
    /// The image; mapped for reading for good.
    pub(crate) image: &'static [u8],
    /// Which pages stand in the overlay; `None` if the disk cannot be written. The lock is held
    /// under the device's, by nobody else.
    pub(crate) changes: Option<Lock<CopyOnWrite>>,
    /// The overlay: memory of the hypervisor's, by the offset on the disk.
    pub(crate) overlay: Vec<Piece>,
}

impl Store {
    /// Checks that a range lies on the disk.
    pub(crate) fn check(&self, offset: u64, size: u64) -> Result<(), DiskError> {
        let disk = u64::try_from(self.image.len()).unwrap_or(u64::MAX);
        match offset.checked_add(size) {
            Some(end) if end <= disk => Ok(()),
            Some(_) | None => Err(DiskError::Beyond { offset, size }),
        }
    }

    /// Returns where the overlay holds what is at `offset`, and how many bytes follow in one piece.
    pub(crate) fn overlay(&self, offset: u64) -> Result<(Pa, u64), DiskError> {
        find(&self.overlay, offset).ok_or(DiskError::Beyond { offset, size: 1 })
    }

    /// Goes through a range of the overlay piece by piece: `each` is told the offset on the disk,
    /// the address and the length.
    pub(crate) fn pieces(
        &self,
        offset: u64,
        size: u64,
        mut each: impl FnMut(u64, Pa, u64) -> Result<(), DiskError>,
    ) -> Result<(), DiskError> {
        let mut done = 0;
        while done < size {
            let at = offset.saturating_add(done);
            let (pa, left) = self.overlay(at)?;
            let length = left.min(size.saturating_sub(done));
            each(at, pa, length)?;
            done = done.saturating_add(length);
        }
        Ok(())
    }
}
