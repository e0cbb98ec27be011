//! A disk that is an image and what was written over it.
//!
//! The image is never written. Each page of it is taken from the image until something is written
//! there; from then on it is taken from the *overlay*, memory as large as the image, whatever was in
//! it: a page is filled before it is first read. Which of them holds a page is all that is kept
//! here; the copies are made by whoever has the two ([`Layers`]).

use addr::{Ipa, PAGE_SIZE};
use alloc::vec::Vec;
use device_model::DiskError;

/// The two layers of a disk, and guest memory. Offsets are from the start of the disk; every range
/// lies on it, and is the image's or the overlay's as the name says.
pub trait Layers {
    /// Copies from the image to guest memory.
    ///
    /// # Errors
    /// [`DiskError`].
    fn image_to_guest(&mut self, offset: u64, target: Ipa, size: u64) -> Result<(), DiskError>;

    /// Copies from the overlay to guest memory.
    ///
    /// # Errors
    /// [`DiskError`].
    fn overlay_to_guest(&mut self, offset: u64, target: Ipa, size: u64) -> Result<(), DiskError>;

    /// Copies from guest memory to the overlay.
    ///
    /// # Errors
    /// [`DiskError`].
    fn guest_to_overlay(&mut self, offset: u64, source: Ipa, size: u64) -> Result<(), DiskError>;

    /// Copies from the image to the overlay.
    ///
    /// # Errors
    /// [`DiskError`].
    fn image_to_overlay(&mut self, offset: u64, size: u64) -> Result<(), DiskError>;

    /// Writes zeros to the overlay.
    ///
    /// # Errors
    /// [`DiskError`].
    fn zero_overlay(&mut self, offset: u64, size: u64) -> Result<(), DiskError>;
}

/// Which pages of a disk were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyOnWrite {
    /// Size of the disk and the image in bytes.
    size: u64,
    /// One bit a page.
    written: Vec<u64>,
}

/// Where a run of bytes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layer {
    Image,
    Overlay,
}

/// Pages that one word of marks stands for.
const WORD: u64 = 64;

impl CopyOnWrite {
    /// Makes a disk as its image is, of `size` bytes. Takes all the memory that it needs: one bit for
    /// each page.
    #[must_use]
    pub fn new(size: u64) -> Self {
        let words = size.div_ceil(PAGE_SIZE).div_ceil(WORD);
        let words = usize::try_from(words).unwrap_or(usize::MAX);
        Self {
            size,
            written: alloc::vec![0; words],
        }
    }

    /// Returns the size of the disk in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Copies `size` bytes at `offset` to guest memory at `target`.
    ///
    /// # Errors
    /// [`DiskError`] if they are not on the disk, or from `layers`.
    pub fn read(
        &self,
        layers: &mut dyn Layers,
        offset: u64,
        target: Ipa,
        size: u64,
    ) -> Result<(), DiskError> {
        let end = self.end(offset, size)?;
        let mut at = offset;
        while at < end {
            let (layer, length) = self.run(at, end);
            let to = Ipa::new(target.get().saturating_add(at.saturating_sub(offset)));
            match layer {
                Layer::Image => layers.image_to_guest(at, to, length)?,
                Layer::Overlay => layers.overlay_to_guest(at, to, length)?,
            }
            at = at.saturating_add(length);
        }
        Ok(())
    }

    /// Copies `size` bytes of guest memory at `source` to `offset`.
    ///
    /// # Errors
    /// [`DiskError`] if the range is not on the disk, or from `layers`.
    pub fn write(
        &mut self,
        layers: &mut dyn Layers,
        offset: u64,
        source: Ipa,
        size: u64,
    ) -> Result<(), DiskError> {
        self.claim(layers, offset, size)?;
        layers.guest_to_overlay(offset, source, size)
    }

    /// Writes zeros to `size` bytes at `offset`.
    ///
    /// # Errors
    /// [`DiskError`] if the range is not on the disk, or from `layers`.
    pub fn zero(
        &mut self,
        layers: &mut dyn Layers,
        offset: u64,
        size: u64,
    ) -> Result<(), DiskError> {
        self.claim(layers, offset, size)?;
        layers.zero_overlay(offset, size)
    }

    /// Checks a range that the driver does not need any more. What stands there is kept: there is
    /// nothing to be gained.
    ///
    /// # Errors
    /// [`DiskError`] if the range is not on the disk.
    pub fn discard(&self, offset: u64, size: u64) -> Result<(), DiskError> {
        self.end(offset, size).map(|_| ())
    }

    /// Makes the overlay hold every page of the range: a page that is not wholly in it is copied
    /// from the image first, also one of which the guest's memory then turns out to be missing.
    fn claim(&mut self, layers: &mut dyn Layers, offset: u64, size: u64) -> Result<(), DiskError> {
        let end = self.end(offset, size)?;
        if size == 0 {
            return Ok(());
        }
        let first = offset / PAGE_SIZE;
        let last = end.saturating_sub(1) / PAGE_SIZE;
        for page in first..=last {
            if self.is_written(page) {
                continue;
            }
            let start = page.saturating_mul(PAGE_SIZE);
            let length = PAGE_SIZE.min(self.size.saturating_sub(start));
            layers.image_to_overlay(start, length)?;
            self.mark(page);
        }
        Ok(())
    }

    /// Returns where the bytes from `at` on are, and how many of those before `end` are there too.
    fn run(&self, at: u64, end: u64) -> (Layer, u64) {
        let written = self.is_written(at / PAGE_SIZE);
        let mut page = (at / PAGE_SIZE).saturating_add(1);
        while page.saturating_mul(PAGE_SIZE) < end && self.is_written(page) == written {
            page = page.saturating_add(1);
        }
        let length = page.saturating_mul(PAGE_SIZE).min(end).saturating_sub(at);
        let layer = if written {
            Layer::Overlay
        } else {
            Layer::Image
        };
        (layer, length)
    }

    fn is_written(&self, page: u64) -> bool {
        self.word(page)
            .and_then(|index| self.written.get(index))
            .is_some_and(|word| word >> (page % WORD) & 1 != 0)
    }

    fn mark(&mut self, page: u64) {
        let word = self.word(page);
        if let Some(word) = word.and_then(|index| self.written.get_mut(index)) {
            *word |= 1 << (page % WORD);
        }
    }

    fn word(&self, page: u64) -> Option<usize> {
        usize::try_from(page / WORD).ok()
    }

    fn end(&self, offset: u64, size: u64) -> Result<u64, DiskError> {
        offset
            .checked_add(size)
            .filter(|end| *end <= self.size)
            .ok_or(DiskError::Beyond { offset, size })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use machine_fakes::FakeGuest;
    use proptest::prelude::*;
    use std::vec;

    /// 5 pages and a bit.
    const SIZE: usize = 5 * 4096 + 1000;
    const RAM: u64 = 0x4000_0000;

    struct Stack {
        image: Vec<u8>,
        overlay: Vec<u8>,
        guest: FakeGuest,
    }

    fn range(offset: u64, size: u64) -> core::ops::Range<usize> {
        let start = usize::try_from(offset).unwrap();
        start..start + usize::try_from(size).unwrap()
    }

    impl Layers for Stack {
        fn image_to_guest(&mut self, offset: u64, target: Ipa, size: u64) -> Result<(), DiskError> {
            self.guest
                .put(target.get(), &self.image[range(offset, size)]);
            Ok(())
        }

        fn overlay_to_guest(
            &mut self,
            offset: u64,
            target: Ipa,
            size: u64,
        ) -> Result<(), DiskError> {
            self.guest
                .put(target.get(), &self.overlay[range(offset, size)]);
            Ok(())
        }

        fn guest_to_overlay(
            &mut self,
            offset: u64,
            source: Ipa,
            size: u64,
        ) -> Result<(), DiskError> {
            let bytes = self.guest.bytes(source.get(), size as usize).to_vec();
            self.overlay[range(offset, size)].copy_from_slice(&bytes);
            Ok(())
        }

        fn image_to_overlay(&mut self, offset: u64, size: u64) -> Result<(), DiskError> {
            let range = range(offset, size);
            self.overlay[range.clone()].copy_from_slice(&self.image[range]);
            Ok(())
        }

        fn zero_overlay(&mut self, offset: u64, size: u64) -> Result<(), DiskError> {
            self.overlay[range(offset, size)].fill(0);
            Ok(())
        }
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Read,
        Write(u8),
        Zero,
    }

    fn steps() -> impl Strategy<Value = Vec<(Step, usize, usize)>> {
        let step = prop_oneof![
            Just(Step::Read),
            any::<u8>().prop_map(Step::Write),
            Just(Step::Zero)
        ];
        proptest::collection::vec((step, 0..SIZE + 100, 0..9000_usize), 1..40)
    }

    proptest! {
        #[test]
        fn it_is_a_disk_and_the_image_stays_as_it_is(steps in steps()) {
            let image: Vec<u8> = (0..SIZE).map(|place| (place / 7) as u8 | 1).collect();
            let mut plain = image.clone();
            let mut disk = CopyOnWrite::new(SIZE as u64);
            let mut stack = Stack {
                image: image.clone(),
                overlay: vec![0xdd; SIZE.next_multiple_of(4096)],
                guest: FakeGuest::new(RAM, 0x4000, 0),
            };
            for (step, offset, size) in steps {
                let fits = offset + size <= SIZE;
                let place = offset..(offset + size).min(SIZE).max(offset);
                let (offset, length) = (offset as u64, size as u64);
                let target = Ipa::new(RAM);
                let result = match step {
                    Step::Read => disk.read(&mut stack, offset, target, length),
                    Step::Write(byte) => {
                        stack.guest.put(RAM, &vec![byte; size]);
                        disk.write(&mut stack, offset, target, length)
                    }
                    Step::Zero => disk.zero(&mut stack, offset, length),
                };
                prop_assert_eq!(result.is_ok(), fits);
                if !fits {
                    continue;
                }
                match step {
                    Step::Read => {
                        prop_assert_eq!(stack.guest.bytes(RAM, size), &plain[place]);
                    }
                    Step::Write(byte) => plain[place].fill(byte),
                    Step::Zero => plain[place].fill(0),
                }
            }
            prop_assert_eq!(stack.image, image);
        }
    }

    #[test]
    fn ranges_off_the_disk_are_refused() {
        let disk = CopyOnWrite::new(4096);
        for (offset, size) in [
            (4097, 0),
            (4096, 1),
            (0, 4097),
            (u64::MAX, 1),
            (1, u64::MAX),
        ] {
            let error = DiskError::Beyond { offset, size };
            assert_eq!(disk.discard(offset, size), Err(error));
        }
        assert_eq!(disk.discard(0, 4096), Ok(()));
    }
}
