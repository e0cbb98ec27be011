//! Guest memory and what stands behind a device, as a device reaches them.

use addr::Ipa;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;
use device_model::{Disk, DiskError, Entropy, GuestMemory, MemoryFault, SpareMemory};

/// A guest's RAM in one piece, a disk in memory, and a source of numbers that are not random.
#[derive(Clone, Debug, Default)]
pub struct FakeGuest {
    /// The first address of the RAM.
    pub base: u64,
    /// The RAM.
    pub memory: Vec<u8>,
    /// The disk.
    pub disk: Vec<u8>,
    /// How often the disk was flushed.
    pub flushes: usize,
    /// What was discarded: offsets in bytes.
    pub discarded: Vec<Range<u64>>,
    /// How many bytes of entropy are left.
    pub entropy_left: usize,
    /// Addresses that are overwritten with ones as soon as the device has read them: a driver that
    /// changes its mind.
    pub poisoned: Option<Range<u64>>,
    /// How many bytes were copied, of memory and disk.
    pub copied: u64,
    /// How many copies were made.
    pub copies: u64,
    /// What pages were given back and taken again: the first address, how many, and which.
    pub pages: Vec<(Ipa, u64, PageUse)>,
}

/// What became of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageUse {
    /// The guest does not use them.
    Unused,
    /// It uses them again.
    Used,
}

impl FakeGuest {
    /// Makes a guest with `size` bytes of zeros at `base`, a disk of `disk` bytes, each telling its
    /// place, and plenty of entropy.
    #[must_use]
    pub fn new(base: u64, size: usize, disk: usize) -> Self {
        let pattern = |place: usize| (place ^ (place >> 8) ^ (place >> 16)).to_le_bytes()[0];
        Self {
            base,
            memory: vec![0; size],
            disk: (0..disk).map(pattern).collect(),
            entropy_left: usize::MAX,
            ..Self::default()
        }
    }

    /// Returns `size` bytes of RAM from `address` on.
    ///
    /// # Panics
    /// If they are not RAM.
    #[must_use]
    pub fn bytes(&self, address: u64, size: usize) -> &[u8] {
        let place = self.place(Ipa::new(address), size);
        &self.memory[place.unwrap_or_default()]
    }

    /// Overwrites RAM from `address` on, as the guest does.
    ///
    /// # Panics
    /// If it is not RAM.
    pub fn put(&mut self, address: u64, bytes: &[u8]) {
        let place = self.place(Ipa::new(address), bytes.len());
        self.memory[place.unwrap_or_default()].copy_from_slice(bytes);
    }

    /// Reads 16 bits of RAM.
    #[must_use]
    pub fn half(&self, address: u64) -> u16 {
        let bytes = self.bytes(address, 2);
        u16::from_le_bytes([bytes[0], bytes[1]])
    }

    /// Reads 32 bits of RAM.
    #[must_use]
    pub fn word(&self, address: u64) -> u32 {
        let bytes = self.bytes(address, 4);
        u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
    }

    fn place(&self, address: Ipa, size: usize) -> Result<Range<usize>, MemoryFault> {
        let fault = MemoryFault::new(address, size);
        let start = address.get().checked_sub(self.base).ok_or(fault)?;
        let start = usize::try_from(start).map_err(|_| fault)?;
        let end = start.checked_add(size).ok_or(fault)?;
        (end <= self.memory.len())
            .then_some(start..end)
            .ok_or(fault)
    }

    fn disk_place(&self, offset: u64, size: u64) -> Result<Range<usize>, DiskError> {
        let error = DiskError::Beyond { offset, size };
        let start = usize::try_from(offset).map_err(|_| error)?;
        let size = usize::try_from(size).map_err(|_| error)?;
        let end = start.checked_add(size).ok_or(error)?;
        (end <= self.disk.len()).then_some(start..end).ok_or(error)
    }

    fn count(&mut self, size: usize) {
        self.copies += 1;
        self.copied += size as u64;
    }
}

impl GuestMemory for FakeGuest {
    fn read_memory(&mut self, address: Ipa, buffer: &mut [u8]) -> Result<(), MemoryFault> {
        self.count(buffer.len());
        let place = self.place(address, buffer.len())?;
        buffer.copy_from_slice(&self.memory[place.clone()]);
        if let Some(poisoned) = &self.poisoned {
            for index in place {
                if poisoned.contains(&(self.base + index as u64)) {
                    self.memory[index] = 0xff;
                }
            }
        }
        Ok(())
    }

    fn write_memory(&mut self, address: Ipa, bytes: &[u8]) -> Result<(), MemoryFault> {
        self.count(bytes.len());
        let place = self.place(address, bytes.len())?;
        self.memory[place].copy_from_slice(bytes);
        Ok(())
    }
}

impl Disk for FakeGuest {
    fn read_disk(&mut self, offset: u64, target: Ipa, size: u64) -> Result<(), DiskError> {
        let from = self.disk_place(offset, size)?;
        self.count(from.len());
        let to = self.place(target, from.len())?;
        self.memory[to].copy_from_slice(&self.disk[from]);
        Ok(())
    }

    fn write_disk(&mut self, offset: u64, source: Ipa, size: u64) -> Result<(), DiskError> {
        let to = self.disk_place(offset, size)?;
        self.count(to.len());
        let from = self.place(source, to.len())?;
        self.disk[to].copy_from_slice(&self.memory[from]);
        Ok(())
    }

    fn zero_disk(&mut self, offset: u64, size: u64) -> Result<(), DiskError> {
        let place = self.disk_place(offset, size)?;
        self.count(place.len());
        self.disk[place].fill(0);
        Ok(())
    }

    fn discard_disk(&mut self, offset: u64, size: u64) -> Result<(), DiskError> {
        self.disk_place(offset, size)?;
        self.discarded.push(offset..offset + size);
        Ok(())
    }

    fn flush_disk(&mut self) -> Result<(), DiskError> {
        self.flushes += 1;
        Ok(())
    }
}

impl Entropy for FakeGuest {
    fn entropy(&mut self, buffer: &mut [u8]) -> usize {
        let count = buffer.len().min(self.entropy_left);
        self.entropy_left -= count;
        for byte in &mut buffer[..count] {
            *byte = 0xe7;
        }
        count
    }
}

impl SpareMemory for FakeGuest {
    fn pages_unused(&mut self, address: Ipa, pages: u64) {
        self.pages.push((address, pages, PageUse::Unused));
    }

    fn pages_used(&mut self, address: Ipa, pages: u64) {
        self.pages.push((address, pages, PageUse::Used));
    }
}
