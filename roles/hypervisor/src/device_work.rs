//! What devices do outside of accesses: they move data between guest memory and what stands behind
//! them.
//!
//! An access only asks for work. The CPU that served it lets the device work right after, under the
//! device's lock, and applies what came of it. A device does as much as one exit may take; if some is
//! left, the CPU comes back for it by its timer, so that its guest and interrupts have their turn.

use crate::boot::random_bytes;
use crate::cpu::Cpu;
use crate::disk::Store;
use crate::shared::Hypervisor;
use crate::vm::Vm;
use addr::{Ipa, Pa};
use device_model::{Disk, DiskError, Effects, Entropy, MemoryFault, SpareMemory, WorkRequest};
use devices::virtio_blk::image::Layers;
use machine::Hardware;

/// How long a device that has more to do waits, as a part of a second: 2 µs, enough for the guest to
/// take an interrupt.
const PAUSE: u64 = 500_000;

impl Cpu {
    /// Lets a device work, if `effects` say that it wants to. The caller holds no lock.
    pub(crate) fn work<H: Hardware>(
        &mut self,
        hw: &mut H,
        vm: &Vm,
        place: usize,
        effects: &Effects,
    ) {
        if effects.work == WorkRequest::Unchanged {
            return;
        }
        let done = self.hypervisor.device_work(hw, vm, place);
        self.settle(hw, vm, place, &done);
        self.work_later(hw, vm, place, &done);
    }

    /// Comes back to let a device work, if `effects` say that it wants to.
    pub(crate) fn work_later<H: Hardware>(
        &mut self,
        hw: &mut H,
        vm: &Vm,
        place: usize,
        effects: &Effects,
    ) {
        if effects.work == WorkRequest::Wanted {
            let at = hw.now().saturating_add(hw.frequency() / PAUSE);
            self.device_timers.set_work(vm.id, place, at);
            self.arm_timer(hw);
        }
    }
}

impl Hypervisor {
    /// Lets a device do a piece of its work; returns what came of it, to be applied.
    fn device_work<H: Hardware>(&self, hw: &mut H, vm: &Vm, place: usize) -> Effects {
        let mut effects = Effects::new(self.moment(hw));
        if let Some(attached) = vm.devices.get(place) {
            let mut reach = Reach {
                hypervisor: self,
                hw,
                vm,
                store: attached.store.as_ref(),
            };
            attached.slot.lock().work(&mut effects, &mut reach);
        }
        effects
    }
}

/// What one device of a VM reaches: its VM's memory, its store, random numbers.
struct Reach<'a, H: Hardware> {
    hypervisor: &'a Hypervisor,
    hw: &'a mut H,
    vm: &'a Vm,
    store: Option<&'a Store>,
}

impl<H: Hardware> Reach<'_, H> {
    /// Finds the first piece of a range of guest memory: where it lies, and how many bytes it has.
    fn piece(&self, address: Ipa, done: u64, size: u64) -> Result<(Pa, u64), MemoryFault> {
        let fault = || MemoryFault::new(address, usize::try_from(size).unwrap_or(usize::MAX));
        let at = address.get().checked_add(done).ok_or_else(fault)?;
        let (pa, left) = self.vm.translate(Ipa::new(at)).ok_or_else(fault)?;
        Ok((pa, left.min(size.saturating_sub(done))))
    }

    /// Copies between guest memory and something else, piece by piece: `copy` is told where the
    /// piece lies, how far it is from the start, and how many bytes it may move, and returns how
    /// many it has moved.
    fn pieces(
        &mut self,
        address: Ipa,
        size: u64,
        mut copy: impl FnMut(&mut H, Pa, u64, u64) -> Result<u64, DiskError>,
    ) -> Result<(), DiskError> {
        let mut done = 0;
        while done < size {
            let (pa, length) = self.piece(address, done, size)?;
            let copied = copy(self.hw, pa, done, length)?;
            done = done.saturating_add(copied.max(1));
        }
        Ok(())
    }

    fn store(&self) -> Result<&Store, DiskError> {
        self.store.ok_or(DiskError::Absent)
    }
}

impl<H: Hardware> device_model::GuestMemory for Reach<'_, H> {
    fn read_memory(&mut self, address: Ipa, buffer: &mut [u8]) -> Result<(), MemoryFault> {
        let fault = MemoryFault::new(address, buffer.len());
        let size = u64::try_from(buffer.len()).unwrap_or(u64::MAX);
        let mut rest = buffer;
        let mut done = 0;
        while !rest.is_empty() {
            let (pa, length) = self.piece(address, done, size)?;
            let count = usize::try_from(length).unwrap_or(usize::MAX);
            let (part, later) = rest.split_at_mut_checked(count).ok_or(fault)?;
            machine::GuestMemory::read(self.hw, pa, part).map_err(|_| fault)?;
            rest = later;
            done = done.saturating_add(length);
        }
        Ok(())
    }

    fn write_memory(&mut self, address: Ipa, bytes: &[u8]) -> Result<(), MemoryFault> {
        let fault = MemoryFault::new(address, bytes.len());
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let mut rest = bytes;
        let mut done = 0;
        while !rest.is_empty() {
            let (pa, length) = self.piece(address, done, size)?;
            let count = usize::try_from(length).unwrap_or(usize::MAX);
            let (part, later) = rest.split_at_checked(count).ok_or(fault)?;
            machine::GuestMemory::write(self.hw, pa, part).map_err(|_| fault)?;
            rest = later;
            done = done.saturating_add(length);
        }
        Ok(())
    }
}

impl<H: Hardware> Disk for Reach<'_, H> {
    fn read_disk(&mut self, offset: u64, target: Ipa, size: u64) -> Result<(), DiskError> {
        let store = self.store.ok_or(DiskError::Absent)?;
        match &store.changes {
            None => {
                store.check(offset, size)?;
                self.image_to_guest(offset, target, size)
            }
            Some(changes) => changes.lock().read(self, offset, target, size),
        }
    }

    fn write_disk(&mut self, offset: u64, source: Ipa, size: u64) -> Result<(), DiskError> {
        let store = self.store.ok_or(DiskError::Absent)?;
        let changes = store.changes.as_ref().ok_or(DiskError::ReadOnly)?;
        changes.lock().write(self, offset, source, size)
    }

    fn zero_disk(&mut self, offset: u64, size: u64) -> Result<(), DiskError> {
        let store = self.store.ok_or(DiskError::Absent)?;
        let changes = store.changes.as_ref().ok_or(DiskError::ReadOnly)?;
        changes.lock().zero(self, offset, size)
    }

    fn discard_disk(&mut self, offset: u64, size: u64) -> Result<(), DiskError> {
        let store = self.store.ok_or(DiskError::Absent)?;
        let changes = store.changes.as_ref().ok_or(DiskError::ReadOnly)?;
        changes.lock().discard(offset, size)
    }

    fn flush_disk(&mut self) -> Result<(), DiskError> {
        // Memory keeps what was written as long as the machine runs, and no longer, flushed or not.
        self.store().map(|_| ())
    }
}

impl<H: Hardware> Layers for Reach<'_, H> {
    fn image_to_guest(&mut self, offset: u64, target: Ipa, size: u64) -> Result<(), DiskError> {
        let image = self.store.ok_or(DiskError::Absent)?.image;
        self.pieces(target, size, |hw, pa, done, length| {
            let part = part(image, offset.saturating_add(done), length)?;
            machine::GuestMemory::write(hw, pa, part).map_err(|_| DiskError::Failed)?;
            Ok(length)
        })
    }

    fn overlay_to_guest(&mut self, offset: u64, target: Ipa, size: u64) -> Result<(), DiskError> {
        let store = self.store.ok_or(DiskError::Absent)?;
        self.pieces(target, size, |hw, pa, done, length| {
            let (from, left) = store.overlay(offset.saturating_add(done))?;
            let length = length.min(left);
            hw.copy(pa, from, length).map_err(|_| DiskError::Failed)?;
            Ok(length)
        })
    }

    fn guest_to_overlay(&mut self, offset: u64, source: Ipa, size: u64) -> Result<(), DiskError> {
        let store = self.store.ok_or(DiskError::Absent)?;
        self.pieces(source, size, |hw, pa, done, length| {
            let (to, left) = store.overlay(offset.saturating_add(done))?;
            let length = length.min(left);
            hw.copy(to, pa, length).map_err(|_| DiskError::Failed)?;
            Ok(length)
        })
    }

    fn image_to_overlay(&mut self, offset: u64, size: u64) -> Result<(), DiskError> {
        let store = self.store.ok_or(DiskError::Absent)?;
        store.pieces(offset, size, |at, pa, length| {
            let part = part(store.image, at, length)?;
            machine::GuestMemory::write(self.hw, pa, part).map_err(|_| DiskError::Failed)
        })
    }

    fn zero_overlay(&mut self, offset: u64, size: u64) -> Result<(), DiskError> {
        let store = self.store.ok_or(DiskError::Absent)?;
        store.pieces(offset, size, |_, pa, length| {
            let range = addr::PaRange::new(pa, length).map_err(|_| DiskError::Failed)?;
            self.hw.zero(range).map_err(|_| DiskError::Failed)
        })
    }
}

impl<H: Hardware> Entropy for Reach<'_, H> {
    fn entropy(&mut self, buffer: &mut [u8]) -> usize {
        random_bytes(self.hypervisor, self.hw, buffer)
    }
}

// Memory that a guest gives back stays its own.
impl<H: Hardware> SpareMemory for Reach<'_, H> {}

/// Returns a part of an image.
fn part(image: &'static [u8], offset: u64, size: u64) -> Result<&'static [u8], DiskError> {
    let beyond = DiskError::Beyond { offset, size };
    let start = usize::try_from(offset).map_err(|_| beyond)?;
    let length = usize::try_from(size).map_err(|_| beyond)?;
    image
        .get(start..)
        .and_then(|rest| rest.get(..length))
        .ok_or(beyond)
}
