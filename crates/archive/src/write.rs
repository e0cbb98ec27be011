//! Writes archives. The same calls always give the same bytes: inode numbers count up, and owner
//! and time are 0.

use crate::format::{ALIGNMENT, EntryKind, HEADER_SIZE, MAGIC, MAX_NAME, PADDING_NAME};
use crate::format::{FIELD_DIGITS, TRAILER_NAME};
use addr::align_up;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Builds an archive in memory, entry by entry.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
    names: BTreeSet<String>,
    last_inode: u32,
}

/// Which device a device node stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceNumber {
    /// A character device, such as 5:1 for `/dev/console`.
    Character {
        /// The major number.
        major: u32,
        /// The minor number.
        minor: u32,
    },
    /// A block device.
    Block {
        /// The major number.
        major: u32,
        /// The minor number.
        minor: u32,
    },
}

/// Why an entry could not be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// The name is empty, too long, contains NUL or is one of the format's own.
    BadName {
        /// The name.
        name: String,
    },
    /// There is an entry with this name already.
    Duplicate {
        /// The name.
        name: String,
    },
    /// The data is larger than the format's 32-bit field can say.
    TooBig {
        /// The name of the entry.
        name: String,
        /// The size of its data in bytes.
        size: usize,
    },
    /// The alignment is not a power of two of at least 4 bytes.
    BadAlignment {
        /// The alignment asked for, in bytes.
        alignment: u64,
    },
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadName { name } => write!(
                f,
                "archive entry {name:?}: not a usable name; it takes 1 to {MAX_NAME} bytes without \
                 NUL, and not {PADDING_NAME} or {TRAILER_NAME}"
            ),
            Self::Duplicate { name } => {
                write!(
                    f,
                    "archive entry {name:?}: there is one with this name already"
                )
            }
            Self::TooBig { name, size } => write!(
                f,
                "archive entry {name:?}: {size} bytes of data; the format allows {} at most",
                u32::MAX
            ),
            Self::BadAlignment { alignment } => write!(
                f,
                "alignment {alignment}: must be a power of two of at least {ALIGNMENT} bytes"
            ),
        }
    }
}

impl core::error::Error for WriteError {}

/// Everything about an entry except its name and data.
struct Attributes {
    mode: u32,
    links: u32,
    device: (u32, u32),
}

impl Writer {
    /// Starts an empty archive.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a directory with these permission bits (such as `0o755`). Parents must be added before
    /// what they hold; this is not checked, since Linux takes any order for the root.
    ///
    /// # Errors
    /// [`WriteError`] if the name is unusable or taken.
    pub fn directory(&mut self, name: &str, permissions: u32) -> Result<(), WriteError> {
        let attributes = Attributes::new(EntryKind::Directory, permissions);
        self.entry(name, &attributes, &[])
    }

    /// Adds a regular file with these permission bits (such as `0o644`).
    ///
    /// # Errors
    /// [`WriteError`] if the name is unusable or taken, or the data too big.
    pub fn file(&mut self, name: &str, permissions: u32, data: &[u8]) -> Result<(), WriteError> {
        let attributes = Attributes::new(EntryKind::File, permissions);
        self.entry(name, &attributes, data)
    }

    /// Adds a regular file whose data begins at a multiple of `alignment` bytes, a power of two,
    /// from the archive's start. If need be, an entry named [`PADDING_NAME`] goes before it.
    ///
    /// # Errors
    /// As [`Writer::file`], and [`WriteError::BadAlignment`].
    pub fn aligned_file(
        &mut self,
        name: &str,
        permissions: u32,
        data: &[u8],
        alignment: u64,
    ) -> Result<(), WriteError> {
        if !alignment.is_power_of_two() || alignment < ALIGNMENT {
            return Err(WriteError::BadAlignment { alignment });
        }
        self.check(name, data)?;
        self.pad_for(name, alignment)?;
        self.file(name, permissions, data)
    }

    /// Adds a symbolic link to `target`.
    ///
    /// # Errors
    /// [`WriteError`] if the name is unusable or taken.
    pub fn symlink(&mut self, name: &str, target: &str) -> Result<(), WriteError> {
        let attributes = Attributes::new(EntryKind::Symlink, 0o777);
        self.entry(name, &attributes, target.as_bytes())
    }

    /// Adds a device node with these permission bits (such as `0o600`).
    ///
    /// # Errors
    /// [`WriteError`] if the name is unusable or taken.
    pub fn device(
        &mut self,
        name: &str,
        permissions: u32,
        number: DeviceNumber,
    ) -> Result<(), WriteError> {
        let (kind, device) = match number {
            DeviceNumber::Character { major, minor } => {
                (EntryKind::CharacterDevice, (major, minor))
            }
            DeviceNumber::Block { major, minor } => (EntryKind::BlockDevice, (major, minor)),
        };
        let attributes = Attributes {
            device,
            ..Attributes::new(kind, permissions)
        };
        self.entry(name, &attributes, &[])
    }

    /// Ends the archive and returns its bytes.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        let attributes = Attributes {
            mode: 0,
            links: 1,
            device: (0, 0),
        };
        self.append(0, TRAILER_NAME, &attributes, &[]);
        self.bytes
    }

    /// Checks name and data, then appends the entry.
    fn entry(
        &mut self,
        name: &str,
        attributes: &Attributes,
        data: &[u8],
    ) -> Result<(), WriteError> {
        self.check(name, data)?;
        self.names.insert(String::from(name));
        let inode = self.next_inode();
        self.append(inode, name, attributes, data);
        Ok(())
    }

    fn check(&self, name: &str, data: &[u8]) -> Result<(), WriteError> {
        let reserved = name == PADDING_NAME || name == TRAILER_NAME;
        if name.is_empty() || name.len() > MAX_NAME || name.contains('\0') || reserved {
            return Err(WriteError::BadName { name: name.into() });
        }
        if self.names.contains(name) {
            return Err(WriteError::Duplicate { name: name.into() });
        }
        check_size(name, data.len())
    }

    /// Appends padding so that the data of an entry called `name` begins on the boundary.
    fn pad_for(&mut self, name: &str, alignment: u64) -> Result<(), WriteError> {
        let size_of_head = |name: &str| aligned(HEADER_SIZE.saturating_add(name.len()), 1);
        let here = self.bytes.len();
        let head = size_of_head(name);
        if is_multiple(here.saturating_add(head), alignment) {
            return Ok(());
        }
        let earliest = here
            .saturating_add(size_of_head(PADDING_NAME))
            .saturating_add(head);
        let size = round_up(earliest, alignment).saturating_sub(earliest);
        check_size(name, size)?;
        let inode = self.next_inode();
        let attributes = Attributes::new(EntryKind::File, 0o400);
        self.append(inode, PADDING_NAME, &attributes, &alloc::vec![0; size]);
        Ok(())
    }

    fn next_inode(&mut self) -> u32 {
        self.last_inode = self.last_inode.wrapping_add(1);
        self.last_inode
    }

    /// Appends header, name and data. The sizes have been checked to fit their fields.
    fn append(&mut self, inode: u32, name: &str, attributes: &Attributes, data: &[u8]) {
        let (device_major, device_minor) = attributes.device;
        let fields = [
            inode,
            attributes.mode,
            0, // owner
            0, // group
            attributes.links,
            0, // time of modification
            u32::try_from(data.len()).unwrap_or(u32::MAX),
            0, // major number of the file system that the entry came from
            0, // minor number of it
            device_major,
            device_minor,
            u32::try_from(name.len().saturating_add(1)).unwrap_or(u32::MAX),
            0, // checksum; not used by this variant of the format
        ];
        self.bytes.extend_from_slice(MAGIC);
        for field in fields {
            self.bytes.extend_from_slice(&digits(field));
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(data);
        self.pad();
    }

    fn pad(&mut self) {
        let size = round_up(self.bytes.len(), ALIGNMENT);
        self.bytes.resize(size, 0);
    }
}

impl Attributes {
    fn new(kind: EntryKind, permissions: u32) -> Self {
        Self {
            mode: kind.mode() | permissions & !EntryKind::MASK,
            // Linux takes 2 links of a regular file for a hard link.
            links: if kind == EntryKind::Directory { 2 } else { 1 },
            device: (0, 0),
        }
    }
}

fn check_size(name: &str, size: usize) -> Result<(), WriteError> {
    match u32::try_from(size) {
        Ok(_) => Ok(()),
        Err(_) => Err(WriteError::TooBig {
            name: name.into(),
            size,
        }),
    }
}

/// Returns `size` and `more` bytes, padded as the format pads a name.
fn aligned(size: usize, more: usize) -> usize {
    round_up(size.saturating_add(more), ALIGNMENT)
}

/// Rounds a length of bytes in memory up; such a length is far from wrapping.
fn round_up(size: usize, alignment: u64) -> usize {
    u64::try_from(size)
        .ok()
        .and_then(|size| align_up(size, alignment))
        .and_then(|size| usize::try_from(size).ok())
        .unwrap_or(size)
}

fn is_multiple(size: usize, alignment: u64) -> bool {
    round_up(size, alignment) == size
}

/// Gives the eight hexadecimal digits of a field.
fn digits(value: u32) -> [u8; FIELD_DIGITS] {
    let mut rest = value;
    let mut digits = [b'0'; FIELD_DIGITS];
    for digit in digits.iter_mut().rev() {
        let nibble = (rest & 0xf) as u8;
        *digit = match nibble {
            0..=9 => b'0'.wrapping_add(nibble),
            _ => b'A'.wrapping_sub(10).wrapping_add(nibble),
        };
        rest >>= 4;
    }
    digits
}
