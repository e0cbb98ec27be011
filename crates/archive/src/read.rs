//! Reads archives that anybody may have written.

use crate::format::{
    ALIGNMENT, EntryKind, FIELD_DIGITS, Field, HEADER_SIZE, MAGIC, MAX_ENTRIES, MAX_NAME,
    PADDING_NAME, TRAILER_NAME,
};
use addr::align_up;
use core::fmt;

/// An archive all of whose headers have been checked.
#[derive(Clone, Copy, Debug)]
pub struct Archive<'a> {
    bytes: &'a [u8],
}

/// One entry of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The name as it stands in the archive.
    pub name: &'a str,
    /// What the entry describes.
    pub kind: EntryKind,
    /// The contents.
    pub data: &'a [u8],
    /// Where the contents begin, in bytes from the archive's start.
    pub offset: usize,
}

/// Why bytes are not an archive. Each carries the offset of the faulty header from the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveError {
    /// The bytes end within a header, a name or data, or before the entry that ends the archive.
    Truncated {
        /// Offset of the header, in bytes.
        at: usize,
        /// Offset at which what is missing would have ended, in bytes.
        needed: u64,
        /// Length of the archive, in bytes.
        length: usize,
    },
    /// A header does not begin with `070701`.
    BadMagic {
        /// Offset of the header, in bytes.
        at: usize,
    },
    /// A field is not eight hexadecimal digits.
    BadNumber {
        /// Offset of the header, in bytes.
        at: usize,
        /// The name of the field.
        field: &'static str,
    },
    /// The length of a name is 0 or too large.
    BadNameLength {
        /// Offset of the header, in bytes.
        at: usize,
        /// The length, with its NUL, in bytes.
        length: u32,
    },
    /// A name is empty, not UTF-8, or has its NUL in the wrong place.
    BadName {
        /// Offset of the header, in bytes.
        at: usize,
    },
    /// The file type in a mode is none that an archive needs.
    BadKind {
        /// Offset of the header, in bytes.
        at: usize,
        /// The mode.
        mode: u32,
    },
    /// Two entries have the same name.
    Duplicate {
        /// Offset of the first header, in bytes.
        first: usize,
        /// Offset of the second header, in bytes.
        second: usize,
    },
    /// There are more entries than [`MAX_ENTRIES`].
    TooManyEntries {
        /// Offset of the first header too many, in bytes.
        at: usize,
    },
}

impl fmt::Display for ArchiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "archive, ")?;
        match *self {
            Self::Truncated { at, needed, length } => write!(
                f,
                "entry at byte {at}: cut off; {needed} bytes are needed and {length} are there"
            ),
            Self::BadMagic { at } => write!(
                f,
                "entry at byte {at}: no cpio header; it must begin with 070701 (cpio \"newc\")"
            ),
            Self::BadNumber { at, field } => write!(
                f,
                "entry at byte {at}: {field} must be eight hexadecimal digits"
            ),
            Self::BadNameLength { at, length } => write!(
                f,
                "entry at byte {at}: name of {length} bytes with its NUL; 2 to {} are possible",
                MAX_NAME.saturating_add(1)
            ),
            Self::BadName { at } => write!(
                f,
                "entry at byte {at}: the name must be UTF-8 with one NUL, at its end"
            ),
            Self::BadKind { at, mode } => write!(
                f,
                "entry at byte {at}: mode {mode:#o}; must be a file, directory, link or device"
            ),
            Self::Duplicate { first, second } => write!(
                f,
                "entry at byte {second}: has the same name as the one at byte {first}"
            ),
            Self::TooManyEntries { at } => {
                write!(f, "entry at byte {at}: more than {MAX_ENTRIES} entries")
            }
        }
    }
}

impl core::error::Error for ArchiveError {}

impl<'a> Archive<'a> {
    /// Checks every header of the archive that `bytes` begin with. What follows the archive's end,
    /// such as a loader's padding, is ignored.
    ///
    /// The work is bounded: at most [`MAX_ENTRIES`] headers, each name compared with all others.
    ///
    /// # Errors
    /// [`ArchiveError`] names the first entry that is wrong, and why.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ArchiveError> {
        let mut at = 0;
        for _ in 0..=MAX_ENTRIES {
            let raw = RawEntry::read(bytes, at)?;
            let Some(entry) = raw.entry else {
                return Ok(Self { bytes });
            };
            check_unique(bytes, at, entry.name)?;
            at = raw.next;
        }
        Err(ArchiveError::TooManyEntries { at })
    }

    /// Returns the entries in their order, without padding.
    #[must_use]
    pub fn entries(&self) -> Entries<'a> {
        Entries {
            bytes: self.bytes,
            at: 0,
        }
    }

    /// Finds the regular file called `name`.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Entry<'a>> {
        self.entries()
            .find(|entry| entry.name == name && entry.kind == EntryKind::File)
    }
}

/// Iterates over the entries of an [`Archive`].
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            // `parse` has seen every header up to the end, so that neither can fail before it.
            let raw = RawEntry::read(self.bytes, self.at).ok()?;
            let entry = raw.entry?;
            self.at = raw.next;
            if entry.name != PADDING_NAME {
                return Some(entry);
            }
        }
    }
}

/// An entry and where the next one begins.
struct RawEntry<'a> {
    /// `None` for the entry that ends the archive.
    entry: Option<Entry<'a>>,
    next: usize,
}

impl<'a> RawEntry<'a> {
    fn read(bytes: &'a [u8], at: usize) -> Result<Self, ArchiveError> {
        let header = Header::read(bytes, at)?;
        let name = header.name(bytes)?;
        let data_start = align_up(header.name_end(), ALIGNMENT).unwrap_or(u64::MAX);
        if name == TRAILER_NAME {
            return Ok(Self {
                entry: None,
                next: at,
            });
        }
        let data_end = data_start.saturating_add(u64::from(header.file_size));
        let data = slice(bytes, at, data_start, data_end)?;
        let kind = EntryKind::from_mode(header.mode).ok_or(ArchiveError::BadKind {
            at,
            mode: header.mode,
        })?;
        let next = align_up(data_end, ALIGNMENT).unwrap_or(u64::MAX);
        Ok(Self {
            entry: Some(Entry {
                name,
                kind,
                data,
                offset: to_offset(data_start),
            }),
            next: to_offset(next),
        })
    }
}

/// The fields of a header that matter.
struct Header {
    at: usize,
    mode: u32,
    file_size: u32,
    name_size: u32,
}

impl Header {
    fn read(bytes: &[u8], at: usize) -> Result<Self, ArchiveError> {
        let start = to_u64(at);
        let header = slice(bytes, at, start, start.saturating_add(to_u64(HEADER_SIZE)))?;
        let fields = header
            .strip_prefix(MAGIC)
            .ok_or(ArchiveError::BadMagic { at })?;
        let number = |field: Field| {
            number(fields, field).ok_or(ArchiveError::BadNumber {
                at,
                field: field.name(),
            })
        };
        Ok(Self {
            at,
            mode: number(Field::Mode)?,
            file_size: number(Field::FileSize)?,
            name_size: number(Field::NameSize)?,
        })
    }

    fn name_start(&self) -> u64 {
        to_u64(self.at).saturating_add(to_u64(HEADER_SIZE))
    }

    /// Returns where the name's NUL ends.
    fn name_end(&self) -> u64 {
        self.name_start().saturating_add(u64::from(self.name_size))
    }

    fn name<'a>(&self, bytes: &'a [u8]) -> Result<&'a str, ArchiveError> {
        let at = self.at;
        if self.name_size < 2 || u64::from(self.name_size) > to_u64(MAX_NAME).saturating_add(1) {
            return Err(ArchiveError::BadNameLength {
                at,
                length: self.name_size,
            });
        }
        let name = slice(bytes, at, self.name_start(), self.name_end())?;
        match name.split_last() {
            Some((0, name)) if !name.contains(&0) => {
                core::str::from_utf8(name).map_err(|_| ArchiveError::BadName { at })
            }
            Some(_) | None => Err(ArchiveError::BadName { at }),
        }
    }
}

/// Compares `name`, of the entry at `second`, with those before it.
fn check_unique(bytes: &[u8], second: usize, name: &str) -> Result<(), ArchiveError> {
    if name == PADDING_NAME {
        return Ok(());
    }
    let mut first = 0;
    while first < second {
        let raw = RawEntry::read(bytes, first)?;
        if raw.entry.is_some_and(|entry| entry.name == name) {
            return Err(ArchiveError::Duplicate { first, second });
        }
        first = raw.next;
    }
    Ok(())
}

/// Reads a field of eight hexadecimal digits of either case; nothing else, such as a sign.
fn number(fields: &[u8], field: Field) -> Option<u32> {
    let digits = fields.chunks_exact(FIELD_DIGITS).nth(field as usize)?;
    digits.iter().try_fold(0_u32, |value, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(value << 4 | digit)
    })
}

fn slice(bytes: &[u8], at: usize, start: u64, end: u64) -> Result<&[u8], ArchiveError> {
    let truncated = ArchiveError::Truncated {
        at,
        needed: end,
        length: bytes.len(),
    };
    let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
    let (start, end) = range.ok_or(truncated)?;
    bytes.get(start..end).ok_or(truncated)
}

fn to_u64(value: usize) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

/// Narrows an offset; one that does not fit lies beyond any slice and is refused there.
fn to_offset(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}
