//! A file of the states of several devices.
//!
//! | bytes | content |
//! |---|---|
//! | 8 | `BHDEV\r\n\x1a`: a transfer as text would break it |
//! | 2 | version of the container, 1 |
//! | 2 | how many devices |
//! | 4 | how many bytes the devices take |
//! | each device | 16 bytes of kind, padded with zeros; 4 bytes of length; the state |
//! | 4 | CRC-32 (IEEE 802.3) of all before |

use super::{Reader, RestoreError, Wire, Writer};
use alloc::vec::Vec;
use crc::{CRC_32_ISO_HDLC, Crc, NoTable};

/// How long the name of a kind of device may be, in bytes.
pub const MAX_KIND: usize = 16;

const MAGIC: [u8; 8] = *b"BHDEV\r\n\x1a";
const VERSION: u16 = 1;
/// Bit by bit: a snapshot is a few KiB, and taken rarely.
const CRC: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&CRC_32_ISO_HDLC);

/// Collects the states of devices.
#[derive(Clone, Debug)]
pub struct ContainerWriter {
    devices: Writer,
    count: u16,
    limit: usize,
}

impl ContainerWriter {
    /// Makes an empty container that may grow to `limit` bytes of states.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self {
            devices: Writer::new(limit),
            count: 0,
            limit,
        }
    }

    /// Appends the state of a device of this kind: what `save` writes.
    pub fn add(&mut self, kind: &str, save: impl FnOnce(&mut Writer)) {
        let mut state = Writer::new(self.limit);
        save(&mut state);
        let length = state.len();
        self.devices.put(&kind_bytes(kind));
        u32::try_from(length)
            .unwrap_or(u32::MAX)
            .write(&mut self.devices);
        // A state that is too long makes the whole too long, which `finish` says.
        self.devices.put(&state.finish().unwrap_or_default());
        if length > self.limit {
            self.limit = 0;
        }
        self.count = self.count.saturating_add(1);
    }

    /// Returns the file.
    ///
    /// # Errors
    /// [`RestoreError::TooLong`] if it is longer than the limit.
    pub fn finish(self) -> Result<Vec<u8>, RestoreError> {
        let bytes = self.devices.len();
        let limit = self.limit;
        let devices = self.devices.finish()?;
        let length = u32::try_from(bytes)
            .ok()
            .filter(|_| bytes <= limit)
            .ok_or(RestoreError::TooLong { bytes, limit })?;
        let mut out = Writer::new(usize::MAX);
        out.put(&MAGIC);
        VERSION.write(&mut out);
        self.count.write(&mut out);
        length.write(&mut out);
        out.put(&devices);
        let mut file = out.finish()?;
        let checksum = CRC.checksum(&file);
        file.extend_from_slice(&checksum.to_le_bytes());
        Ok(file)
    }
}

/// Takes the states of devices out of a file that nobody has checked.
#[derive(Clone, Debug)]
pub struct ContainerReader<'a> {
    devices: Reader<'a>,
    count: u16,
}

impl<'a> ContainerReader<'a> {
    /// Opens a file of at most `limit` bytes: checks magic, version, length and check sum.
    ///
    /// # Errors
    /// [`RestoreError`] if one of them is wrong.
    pub fn open(file: &'a [u8], limit: usize) -> Result<Self, RestoreError> {
        let bytes = file.len();
        if bytes > limit {
            return Err(RestoreError::TooLong { bytes, limit });
        }
        let mut input = Reader::new(file);
        if input.array()? != MAGIC {
            return Err(RestoreError::Magic);
        }
        let found = u16::read(&mut input)?;
        if found != VERSION {
            return Err(RestoreError::Version {
                found,
                newest: VERSION,
            });
        }
        let count = u16::read(&mut input)?;
        let length = usize::try_from(u32::read(&mut input)?).unwrap_or(usize::MAX);
        let devices = Reader::new(input.take(length)?);
        let found = u32::read(&mut input)?;
        input.finish()?;
        let checked = file.len().saturating_sub(size_of::<u32>());
        let expected = CRC.checksum(file.get(..checked).unwrap_or_default());
        if found != expected {
            return Err(RestoreError::Checksum { found, expected });
        }
        Ok(Self { devices, count })
    }

    /// Takes the state of the next device, which must be of this kind.
    ///
    /// # Errors
    /// [`RestoreError`] if there is none, or it is of another kind.
    pub fn next(&mut self, kind: &'static str) -> Result<&'a [u8], RestoreError> {
        let Some(left) = self.count.checked_sub(1) else {
            return Err(RestoreError::Kind { expected: kind });
        };
        if self.devices.array()? != kind_bytes(kind) {
            return Err(RestoreError::Kind { expected: kind });
        }
        self.count = left;
        let length = usize::try_from(u32::read(&mut self.devices)?).unwrap_or(usize::MAX);
        self.devices.take(length)
    }

    /// Checks that there is no further device.
    ///
    /// # Errors
    /// [`RestoreError`] otherwise.
    pub fn finish(&self) -> Result<(), RestoreError> {
        if self.count != 0 {
            return Err(RestoreError::Count {
                found: usize::from(self.count),
                limit: 0,
            });
        }
        self.devices.finish()
    }
}

/// Returns the name padded with zeros; what is too long is cut.
fn kind_bytes(kind: &str) -> [u8; MAX_KIND] {
    let mut bytes = [0; MAX_KIND];
    for (to, from) in bytes.iter_mut().zip(kind.bytes()) {
        *to = from;
    }
    bytes
}
