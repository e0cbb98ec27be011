//! What is behind the devices: the guest's memory, disks, random numbers.

use crate::ram::Ram;
use addr::Ipa;
use anyhow::{Context, Result};
use device_model::{Disk, DiskError, Entropy, GuestMemory, MemoryFault, SpareMemory};
use std::fs::File;
use std::os::unix::fs::FileExt;

/// The name that asks for a disk of zeros that forgets what is written.
const NULL: &str = "null-co://";

/// The size of a disk that has no file, in bytes: QEMU's.
const NULL_BYTES: u64 = 1 << 30;

/// A disk.
#[derive(Debug)]
pub struct Storage {
    /// The file, if there is one.
    file: Option<File>,
    bytes: u64,
}

impl Storage {
    /// Opens what a `-drive` names.
    ///
    /// # Errors
    /// If the file cannot be opened for reading and writing.
    pub fn open(name: &str) -> Result<Self> {
        if name == NULL {
            return Ok(Self {
                file: None,
                bytes: NULL_BYTES,
            });
        }
        let file = File::options().read(true).write(true).open(name);
        let file = file.with_context(|| format!("cannot open the disk {name}"))?;
        let bytes = file.metadata()?.len();
        Ok(Self {
            file: Some(file),
            bytes,
        })
    }

    /// Returns the size in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Gives the disk another size.
    ///
    /// # Errors
    /// If the file cannot have it.
    pub fn resize(&mut self, bytes: u64) -> Result<()> {
        if let Some(file) = &self.file {
            file.set_len(bytes).context("cannot resize the disk")?;
        }
        self.bytes = bytes;
        Ok(())
    }

    fn check(&self, offset: u64, size: u64) -> Result<(), DiskError> {
        let end = offset.checked_add(size);
        if end.is_some_and(|end| end <= self.bytes) {
            Ok(())
        } else {
            Err(DiskError::Beyond { offset, size })
        }
    }

    fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), DiskError> {
        match &self.file {
            Some(file) => file.read_exact_at(into, offset).map_err(failed),
            None => {
                into.fill(0);
                Ok(())
            }
        }
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        match &self.file {
            Some(file) => file.write_all_at(bytes, offset).map_err(failed),
            None => Ok(()),
        }
    }
}

fn failed(_: std::io::Error) -> DiskError {
    DiskError::Failed
}

/// What one device reaches while it works.
#[derive(Debug)]
pub struct Behind<'a> {
    /// The machine's memory.
    pub ram: &'a mut Ram,
    /// The device's disk, if it has one.
    pub storage: Option<&'a mut Storage>,
    /// Where its random numbers go on.
    pub entropy: &'a mut u64,
}

impl Behind<'_> {
    fn storage(&mut self, offset: u64, size: u64) -> Result<&mut Storage, DiskError> {
        let storage = self.storage.as_deref_mut().ok_or(DiskError::Absent)?;
        storage.check(offset, size)?;
        Ok(storage)
    }
}

impl GuestMemory for Behind<'_> {
    fn read_memory(&mut self, address: Ipa, buffer: &mut [u8]) -> Result<(), MemoryFault> {
        let fault = MemoryFault::new(address, buffer.len());
        let bytes = self.ram.get(address.get(), buffer.len()).ok_or(fault)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn write_memory(&mut self, address: Ipa, bytes: &[u8]) -> Result<(), MemoryFault> {
        let fault = MemoryFault::new(address, bytes.len());
        let place = self.ram.get_mut(address.get(), bytes.len()).ok_or(fault)?;
        place.copy_from_slice(bytes);
        Ok(())
    }
}

impl Disk for Behind<'_> {
    fn read_disk(&mut self, offset: u64, target: Ipa, size: u64) -> Result<(), DiskError> {
        let length = size as usize;
        let storage = self.storage.as_deref().ok_or(DiskError::Absent)?;
        storage.check(offset, size)?;
        let place = self.ram.get_mut(target.get(), length);
        storage.read(offset, place.ok_or(MemoryFault::new(target, length))?)
    }

    fn write_disk(&mut self, offset: u64, source: Ipa, size: u64) -> Result<(), DiskError> {
        let length = size as usize;
        let storage = self.storage.as_deref().ok_or(DiskError::Absent)?;
        storage.check(offset, size)?;
        let bytes = self.ram.get(source.get(), length);
        storage.write(offset, bytes.ok_or(MemoryFault::new(source, length))?)
    }

    fn zero_disk(&mut self, offset: u64, size: u64) -> Result<(), DiskError> {
        let zeros = vec![0; size as usize];
        self.storage(offset, size)?.write(offset, &zeros)
    }

    fn discard_disk(&mut self, offset: u64, size: u64) -> Result<(), DiskError> {
        // The bytes are free to stay.
        self.storage(offset, size).map(|_| ())
    }

    fn flush_disk(&mut self) -> Result<(), DiskError> {
        let storage = self.storage(0, 0)?;
        let synced = storage.file.as_ref().map_or(Ok(()), File::sync_data);
        synced.map_err(failed)
    }
}

impl Entropy for Behind<'_> {
    /// The same numbers in every run: xorshift64.
    fn entropy(&mut self, buffer: &mut [u8]) -> usize {
        for byte in buffer.iter_mut() {
            let mut state = *self.entropy;
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *self.entropy = state;
            *byte = state as u8;
        }
        buffer.len()
    }
}

impl SpareMemory for Behind<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    fn behind<'a>(ram: &'a mut Ram, storage: &'a mut Storage, entropy: &'a mut u64) -> Behind<'a> {
        Behind {
            ram,
            storage: Some(storage),
            entropy,
        }
    }

    const RAM: Ipa = guest_image::map::RAM_BASE;

    #[test]
    fn a_file_is_a_disk() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(1024).unwrap();
        let (mut ram, mut entropy) = (Ram::new(4096), 1);
        let mut storage = Storage::open(file.path().to_str().unwrap()).unwrap();
        let mut behind = behind(&mut ram, &mut storage, &mut entropy);
        behind.write_memory(RAM, b"abcd").unwrap();
        behind.write_disk(1020, RAM, 4).unwrap();
        behind.read_disk(1018, RAM, 6).unwrap();
        let mut bytes = [1; 6];
        behind.read_memory(RAM, &mut bytes).unwrap();
        assert_eq!(&bytes, b"\0\0abcd");
        behind.zero_disk(1021, 2).unwrap();
        assert_eq!(&std::fs::read(file.path()).unwrap()[1020..], b"a\0\0d");
        for (offset, size) in [(1021, 4), (u64::MAX, 2)] {
            let beyond = Err(DiskError::Beyond { offset, size });
            assert_eq!(behind.read_disk(offset, RAM, size), beyond);
        }
        let outside = behind.write_disk(0, Ipa::new(0), 4);
        assert!(matches!(outside, Err(DiskError::Memory(_))));
        storage.resize(512).unwrap();
        assert_eq!(std::fs::metadata(file.path()).unwrap().len(), 512);
    }
}
