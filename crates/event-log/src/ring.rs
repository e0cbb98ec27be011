//! The ring of one CPU.

use crate::{Record, UnknownKind, WORDS};
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

/// The last `N` records of one CPU; `N` is a power of two.
///
/// Only that CPU pushes, with exceptions masked; any number of others read. Records are numbered
/// from 0. The writer announces a number in `begun`, stores the words, and then counts the record in
/// `written`. A reader that finds, after copying the words, that the writer has not begun with the
/// record that will take the same place, has an intact copy.
pub struct Ring<const N: usize> {
    begun: AtomicU64,
    written: AtomicU64,
    slots: [[AtomicU64; WORDS]; N],
}

/// Why a record cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// It has not been written yet.
    NotWritten {
        /// The number asked for.
        number: u64,
    },
    /// A later record has taken its place, perhaps while it was read.
    Overwritten {
        /// The number asked for.
        number: u64,
    },
    /// The words are no record.
    Unknown(UnknownKind),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotWritten { number } => write!(f, "record {number} is not written yet"),
            Self::Overwritten { number } => write!(f, "record {number} was overwritten"),
            Self::Unknown(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ReadError {}

impl<const N: usize> Default for Ring<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> fmt::Debug for Ring<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ring({N} places, {} written)", self.written())
    }
}

impl<const N: usize> Ring<N> {
    const SIZE: u64 = {
        assert!(
            N.is_power_of_two(),
            "the number of places is a power of two"
        );
        N as u64
    };

    /// Makes an empty ring.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            begun: AtomicU64::new(0),
            written: AtomicU64::new(0),
            slots: [const { [const { AtomicU64::new(0) }; WORDS] }; N],
        }
    }

    /// Writes a record over the oldest one. To be called by the ring's own CPU only: of two writers
    /// at once, one loses its record.
    #[inline]
    pub fn push(&self, record: &Record) {
        // Nobody else stores here, so this is the value of our own last store.
        let number = self.written.load(Ordering::Relaxed);
        let next = number.wrapping_add(1);
        self.begun.store(next, Ordering::Relaxed);
        if let Some(slot) = self.slots.get(Self::index(number)) {
            // Release keeps each word behind `begun`: who sees a new word sees that it is new.
            for (word, value) in slot.iter().zip(record.to_words()) {
                word.store(value, Ordering::Release);
            }
        }
        self.written.store(next, Ordering::Release);
    }

    /// Returns how many records were written since the start.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Returns the number of the oldest record that may still be there.
    #[must_use]
    pub fn oldest(&self) -> u64 {
        self.written().saturating_sub(Self::SIZE)
    }

    /// Reads a record by its number.
    ///
    /// # Errors
    /// [`ReadError`] if it is not there, not there any more, or not a record.
    pub fn read(&self, number: u64) -> Result<Record, ReadError> {
        if number >= self.written() {
            return Err(ReadError::NotWritten { number });
        }
        let mut words = [0; WORDS];
        if let Some(slot) = self.slots.get(Self::index(number)) {
            for (copy, word) in words.iter_mut().zip(slot) {
                // Pairs with the Release in `push`.
                *copy = word.load(Ordering::Acquire);
            }
        }
        let begun = self.begun.load(Ordering::Relaxed);
        if begun.saturating_sub(number) > Self::SIZE {
            return Err(ReadError::Overwritten { number });
        }
        Record::from_words(words).map_err(ReadError::Unknown)
    }

    /// Returns a reader that starts with the oldest record.
    #[must_use]
    pub fn reader(&self) -> Reader<'_, N> {
        Reader {
            ring: self,
            next: self.oldest(),
        }
    }

    fn index(number: u64) -> usize {
        // Below N, so it always fits.
        usize::try_from(number & Self::SIZE.wrapping_sub(1)).unwrap_or(0)
    }
}

/// What a [`Reader`] finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A record.
    Record(Record),
    /// This many records were overwritten before they could be read.
    Lost(u64),
    /// A record that cannot be decoded.
    Unknown(UnknownKind),
}

/// Reads a ring in order, also while it is written. Ends at the last record that is there and goes
/// on when there are more.
#[derive(Clone, Debug)]
pub struct Reader<'a, const N: usize> {
    ring: &'a Ring<N>,
    next: u64,
}

impl<const N: usize> Reader<'_, N> {
    /// Returns the number of the record that comes next.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.next
    }
}

impl<const N: usize> Iterator for Reader<'_, N> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        match self.ring.read(self.next) {
            Ok(record) => {
                self.next = self.next.wrapping_add(1);
                Some(Entry::Record(record))
            }
            Err(ReadError::Unknown(error)) => {
                self.next = self.next.wrapping_add(1);
                Some(Entry::Unknown(error))
            }
            Err(ReadError::NotWritten { .. }) => None,
            Err(ReadError::Overwritten { .. }) => {
                let oldest = self.ring.oldest().max(self.next.wrapping_add(1));
                let lost = oldest.wrapping_sub(self.next);
                self.next = oldest;
                Some(Entry::Lost(lost))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;
    use addr::CpuId;
    use std::boxed::Box;
    use std::vec::Vec;

    /// A record whose words all follow from `number`.
    fn record(number: u64) -> Record {
        Record {
            ticks: number,
            kind: Kind::Mark,
            cpu: CpuId::new(number as u16),
            vcpu: None,
            payload: [number.wrapping_mul(3), !number],
        }
    }

    #[test]
    fn the_last_records_are_kept_in_order() {
        let ring = Ring::<8>::new();
        assert_eq!(ring.reader().next(), None);
        for number in 0..20 {
            ring.push(&record(number));
        }
        let entries: Vec<Entry> = ring.reader().collect();
        let expected: Vec<Entry> = (12..20).map(|n| Entry::Record(record(n))).collect();
        assert_eq!(entries, expected);
        assert_eq!(ring.read(11), Err(ReadError::Overwritten { number: 11 }));
        assert_eq!(ring.read(20), Err(ReadError::NotWritten { number: 20 }));
    }

    #[test]
    fn a_reader_goes_on_and_counts_what_it_missed() {
        let ring = Ring::<4>::new();
        ring.push(&record(0));
        let mut reader = ring.reader();
        assert_eq!(reader.next(), Some(Entry::Record(record(0))));
        assert_eq!(reader.next(), None);
        for number in 1..10 {
            ring.push(&record(number));
        }
        assert_eq!(reader.next(), Some(Entry::Lost(5)));
        assert_eq!(reader.next(), Some(Entry::Record(record(6))));
        assert_eq!(reader.position(), 7);
    }

    #[test]
    fn a_record_that_is_being_overwritten_is_not_returned() {
        let ring = Ring::<4>::new();
        for number in 0..4 {
            ring.push(&record(number));
        }
        assert_eq!(ring.read(0), Ok(record(0)));
        // The writer has begun with record 4 and changed half of the words.
        ring.begun.store(5, Ordering::Relaxed);
        ring.slots[0][0].store(4, Ordering::Relaxed);
        assert_eq!(ring.read(0), Err(ReadError::Overwritten { number: 0 }));
        assert_eq!(ring.read(1), Ok(record(1)));
        let mut reader = ring.reader();
        assert_eq!(reader.next(), Some(Entry::Lost(1)));
        assert_eq!(reader.next(), Some(Entry::Record(record(1))));
    }

    #[test]
    fn memory_that_is_no_log_is_told_apart() {
        let ring = Ring::<2>::new();
        ring.push(&record(0));
        ring.slots[0][1].store(0xeeee, Ordering::Relaxed);
        let unknown = UnknownKind { code: 0xeeee };
        assert_eq!(ring.reader().next(), Some(Entry::Unknown(unknown)));
    }

    #[test]
    fn concurrent_readers_never_see_a_torn_record() {
        const COUNT: u64 = 200_000;
        let ring: Box<Ring<8>> = Box::default();
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut reader = ring.reader();
                while reader.position() < COUNT {
                    let number = reader.position();
                    match reader.next() {
                        Some(Entry::Record(found)) => assert_eq!(found, record(number)),
                        Some(Entry::Lost(count)) => assert!(count > 0),
                        Some(Entry::Unknown(error)) => panic!("{error}"),
                        None => std::thread::yield_now(),
                    }
                }
            });
            for number in 0..COUNT {
                ring.push(&record(number));
            }
            reader.join().unwrap();
        });
    }
}
