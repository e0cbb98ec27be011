//! A part of a larger disk, such as a partition: several VMs share one disk, and none of them
//! reaches beyond its own part.

use device_model::DiskError;

/// A part of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    start: u64,
    size: u64,
}

impl Window {
    /// Makes the part of `size` bytes from `start` on; `None` if it does not lie on a disk of `disk`
    /// bytes.
    #[must_use]
    pub fn new(start: u64, size: u64, disk: u64) -> Option<Self> {
        let end = start.checked_add(size)?;
        (end <= disk).then_some(Self { start, size })
    }

    /// Returns the size in bytes.
    #[must_use]
    pub const fn size(self) -> u64 {
        self.size
    }

    /// Returns where on the whole disk `size` bytes at `offset` of the part lie.
    ///
    /// # Errors
    /// [`DiskError::Beyond`] if they do not lie in the part.
    pub fn locate(self, offset: u64, size: u64) -> Result<u64, DiskError> {
        offset
            .checked_add(size)
            .filter(|end| *end <= self.size)
            .and_then(|_| self.start.checked_add(offset))
            .ok_or(DiskError::Beyond { offset, size })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn nothing_outside_the_part_is_reached(
            start in any::<u64>(), size in any::<u64>(), disk in any::<u64>(),
            offset in any::<u64>(), length in any::<u64>(),
        ) {
            // Half of the cases near the limits.
            let (start, size) = (start % 1000, size % 1000);
            let disk = disk % 2500;
            let (offset, length) = (offset % 1200, length % 1200);
            match Window::new(start, size, disk) {
                None => prop_assert!(start + size > disk),
                Some(window) => match window.locate(offset, length) {
                    Ok(at) => {
                        prop_assert!(at >= start && at + length <= start + size);
                        prop_assert_eq!(at, start + offset);
                    }
                    Err(error) => {
                        prop_assert_eq!(error, DiskError::Beyond { offset, size: length });
                        prop_assert!(offset + length > size);
                    }
                },
            }
        }
    }

    #[test]
    fn numbers_that_wrap_are_refused() {
        assert_eq!(Window::new(u64::MAX, 1, u64::MAX), None);
        let window = Window::new(0, 10, 10).unwrap();
        for (offset, size) in [(u64::MAX, 1), (1, u64::MAX), (11, 0)] {
            let error = DiskError::Beyond { offset, size };
            assert_eq!(window.locate(offset, size), Err(error));
        }
    }
}
