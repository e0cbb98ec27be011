//! A chain of descriptors, copied into private memory and checked.

use super::QueueError;
use crate::turn::Work;
use addr::{Address, Ipa};
use alloc::vec::Vec;
use device_model::MemoryFault;

/// A buffer that a descriptor names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where it starts.
    pub address: Ipa,
    /// How many bytes it has.
    pub length: u32,
}

/// Who uses a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The device reads it.
    Readable,
    /// The device writes it.
    Writable,
}

/// The buffers of a chain: first those that the device reads, then those that it writes. The device
/// goes through each of both parts from the start, in pieces as large as it likes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    segments: Vec<Segment>,
    /// How many of the segments are readable.
    readable: usize,
    read: Cursor,
    write: Cursor,
}

/// How far a device has come in one part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cursor {
    /// The segment, counted from the first of the chain.
    segment: usize,
    /// How much of that segment is done, in bytes.
    offset: u32,
    /// How much of the part is done, in bytes.
    done: u32,
    /// How much there is in all, in bytes.
    total: u32,
}

impl Cursor {
    const fn left(&self) -> u32 {
        self.total.saturating_sub(self.done)
    }

    /// Returns the rest of the current segment, at most `most` bytes of it; skips empty segments.
    fn piece(&mut self, segments: &[Segment], most: u32) -> Option<Segment> {
        while let Some(segment) = segments.get(self.segment) {
            let left = segment.length.saturating_sub(self.offset);
            if left != 0 {
                return Some(Segment {
                    address: segment.address.checked_add(u64::from(self.offset))?,
                    length: left.min(most),
                });
            }
            self.segment = self.segment.saturating_add(1);
            self.offset = 0;
        }
        None
    }

    fn advance(&mut self, bytes: u32) {
        self.offset = self.offset.saturating_add(bytes);
        self.done = self.done.saturating_add(bytes);
    }
}

impl Chain {
    /// Makes an empty chain with room for `most` segments; never allocates afterwards.
    pub(super) fn with_capacity(most: u16) -> Self {
        Self {
            segments: Vec::with_capacity(usize::from(most)),
            readable: 0,
            read: Cursor::default(),
            write: Cursor::default(),
        }
    }

    pub(super) fn clear(&mut self) {
        self.segments.clear();
        self.readable = 0;
        self.read = Cursor::default();
        self.write = Cursor::default();
    }

    /// Adds a segment; the chain has at most `most`.
    pub(super) fn push(
        &mut self,
        address: u64,
        length: u32,
        access: Access,
        most: u16,
    ) -> Result<(), QueueError> {
        if self.segments.len() >= usize::from(most) {
            return Err(QueueError::ChainTooLong { most });
        }
        if address.checked_add(u64::from(length)).is_none() {
            return Err(QueueError::SegmentWraps { address, length });
        }
        let count = self.segments.len();
        let part = match access {
            Access::Readable if self.readable == count => {
                self.readable = count.saturating_add(1);
                self.write.segment = self.readable;
                &mut self.read
            }
            Access::Readable => return Err(QueueError::ReadableAfterWritable { address }),
            Access::Writable => &mut self.write,
        };
        part.total = part
            .total
            .checked_add(length)
            .ok_or(QueueError::TooManyBytes { address, length })?;
        self.segments.push(Segment {
            address: Ipa::new(address),
            length,
        });
        Ok(())
    }

    /// Returns how many bytes the driver has given, read or not.
    #[must_use]
    pub const fn readable(&self) -> u32 {
        self.read.total
    }

    /// Returns how many bytes the device may write, written or not.
    #[must_use]
    pub const fn writable(&self) -> u32 {
        self.write.total
    }

    /// Returns how many readable bytes are left.
    #[must_use]
    pub const fn unread(&self) -> u32 {
        self.read.left()
    }

    /// Returns how many writable bytes are left.
    #[must_use]
    pub const fn unwritten(&self) -> u32 {
        self.write.left()
    }

    /// Returns how many bytes have been written.
    #[must_use]
    pub const fn written(&self) -> u32 {
        self.write.done
    }

    /// Returns the next readable piece: at most `most` bytes in one run; `None` if all is read.
    pub fn next_readable(&mut self, most: u32) -> Option<Segment> {
        let part = self.segments.get(..self.readable)?;
        self.read.piece(part, most)
    }

    /// Goes `bytes` on in the readable part: at most what [`Chain::next_readable`] returned.
    pub fn skip_readable(&mut self, bytes: u32) {
        self.read.advance(bytes);
    }

    /// Returns the next writable piece: at most `most` bytes in one run; `None` if all is written.
    pub fn next_writable(&mut self, most: u32) -> Option<Segment> {
        self.write.piece(&self.segments, most)
    }

    /// Goes `bytes` on in the writable part: at most what [`Chain::next_writable`] returned.
    pub fn skip_writable(&mut self, bytes: u32) {
        self.write.advance(bytes);
    }

    /// Copies readable bytes into `buffer` and goes on; returns how many, fewer than all if there
    /// are no more. Meant for headers: `buffer` is small.
    ///
    /// # Errors
    /// [`MemoryFault`] if they are not the guest's RAM.
    pub fn read(&mut self, work: &mut Work<'_>, buffer: &mut [u8]) -> Result<usize, MemoryFault> {
        let mut done = 0_usize;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let Some(piece) = self.next_readable(u32::try_from(rest.len()).unwrap_or(u32::MAX))
            else {
                break;
            };
            let size = usize::try_from(piece.length).unwrap_or(0);
            let Some(part) = rest.get_mut(..size) else {
                break;
            };
            work.read(piece.address, part)?;
            self.skip_readable(piece.length);
            done = done.saturating_add(size);
        }
        Ok(done)
    }

    /// Copies `bytes` into the writable part and goes on; returns how many found room. Meant for
    /// small answers.
    ///
    /// # Errors
    /// [`MemoryFault`] if the buffers are not the guest's RAM.
    pub fn write(&mut self, work: &mut Work<'_>, bytes: &[u8]) -> Result<usize, MemoryFault> {
        let mut done = 0_usize;
        while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
            let Some(piece) = self.next_writable(u32::try_from(rest.len()).unwrap_or(u32::MAX))
            else {
                break;
            };
            let size = usize::try_from(piece.length).unwrap_or(0);
            let Some(part) = rest.get(..size) else {
                break;
            };
            work.write(piece.address, part)?;
            self.skip_writable(piece.length);
            done = done.saturating_add(size);
        }
        Ok(done)
    }

    /// Returns where the last writable byte lies; `None` if there is none.
    #[must_use]
    pub fn last_writable(&self) -> Option<Ipa> {
        let part = self.segments.get(self.readable..)?;
        let last = part.iter().rev().find(|segment| segment.length != 0)?;
        let distance = last.length.checked_sub(1)?;
        last.address.checked_add(u64::from(distance))
    }
}
