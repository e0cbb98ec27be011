//! A VM's images into its memory, in bounded steps.
//!
//! A load is carried out a step at a time by whichever CPU looks for work, between the vCPUs that it
//! runs, so that no CPU stays in EL2 for long. The steps need no lock: the load is taken out of its
//! VM while a step runs.

use crate::boot::random_seed;
use crate::shared::Hypervisor;
use crate::vm::Vm;
use addr::{Address, BLOCK_2M, CpuId, Ipa, IpaRange, Pa, PaRange, VcpuIndex};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bulkhead_core::vcpu_state::VcpuEdge;
use bulkhead_core::vm_state::VmEdge;
use core::fmt;
use core::sync::atomic::Ordering;
use guest_dtb::{GuestTree, Seeds};
use machine::{GuestMemory, GuestMemoryError, Hardware};
use memory_owner::{ChangeError, Owner};

/// The most bytes that one step copies: what fits in the bound on a stay in EL2.
const COPY_STEP: u64 = 0x8000;

/// The most bytes that one step zeroes, within the same bound. Blocks are made of whole steps.
const ZERO_STEP: u64 = 0x4_0000;

/// The loader's number while there is none.
pub(crate) const NOBODY: u16 = u16::MAX;

/// What is loaded, and where to: what a reset needs again.
pub(crate) struct Images {
    pub(crate) copies: Vec<Copy>,
    pub(crate) device_tree: IpaRange,
    pub(crate) tree: GuestTree,
    pub(crate) entry: Ipa,
}

/// A piece of the boot archive and its place in the VM.
#[derive(Clone, Copy)]
pub(crate) struct Copy {
    pub(crate) source: &'static [u8],
    pub(crate) target: Ipa,
}

/// How far a load has come.
pub(crate) enum Load {
    /// Memory that the VM gets for the first time is zeroed: the piece, and bytes of it.
    Zero { piece: usize, done: u64 },
    /// Images are copied: the image, and bytes of it.
    Copy { copy: usize, done: u64 },
}

impl Load {
    /// Begins the first load of a VM.
    pub(crate) fn first() -> Self {
        Self::Zero { piece: 0, done: 0 }
    }

    /// Begins a load after a reset: the VM's memory is its own.
    pub(crate) fn again() -> Self {
        Self::Copy { copy: 0, done: 0 }
    }
}

/// Why a VM could not be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LoadError {
    Outside { ipa: Ipa },
    Memory(GuestMemoryError),
    Owner(ChangeError),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outside { ipa } => write!(f, "{ipa} is outside the VM's memory"),
            Self::Memory(error) => error.fmt(f),
            Self::Owner(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for LoadError {}

/// Whether a load goes on.
enum Progress {
    More,
    Finished,
}

impl Hypervisor {
    /// Asks for a VM to be loaded and started. Its life cycle stands in Loading.
    pub(crate) fn begin_load(&self, vm: &Vm, load: Load) {
        // Counted first: whoever finds it must not count to below zero.
        self.loading.fetch_add(1, Ordering::SeqCst);
        *vm.load.lock() = Some(load);
    }

    /// Tells whether a load waits for this CPU's next step. The first CPU that asks becomes the one
    /// that carries out all loads, until none is left.
    pub(crate) fn is_loader(&self, cpu: CpuId) -> bool {
        if self.loading.load(Ordering::SeqCst) == 0 {
            return false;
        }
        match self
            .loader
            .compare_exchange(NOBODY, cpu.get(), Ordering::SeqCst, Ordering::SeqCst)
        {
            Ok(_) => true,
            Err(loader) => loader == cpu.get(),
        }
    }

    fn load_is_over(&self) {
        if self.loading.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.loader.store(NOBODY, Ordering::SeqCst);
        }
    }

    /// Carries out one step of some load; called by the CPU that [`Hypervisor::is_loader`] names.
    pub(crate) fn load_step<H: Hardware>(&self, hw: &mut H) {
        for vm in &self.vms {
            let Some(mut load) = vm.load.lock().take() else {
                continue;
            };
            match self.step(hw, vm, &mut load) {
                Ok(Progress::More) => *vm.load.lock() = Some(load),
                Ok(Progress::Finished) => {
                    self.load_is_over();
                    self.start(hw, vm);
                }
                Err(error) => {
                    self.load_is_over();
                    self.log(hw, format_args!("VM {} cannot be loaded: {error}", vm.name));
                    let _ = vm.life.take(VmEdge::LoadFailed);
                    self.ended(hw, crate::stop::End::Crash);
                }
            }
            return;
        }
    }

    fn step<H: Hardware>(
        &self,
        hw: &mut H,
        vm: &Vm,
        load: &mut Load,
    ) -> Result<Progress, LoadError> {
        match *load {
            Load::Zero { piece, done } => *load = self.zero_step(hw, vm, piece, done)?,
            Load::Copy { copy, done } => {
                let Some(image) = vm.images.copies.get(copy) else {
                    self.write_device_tree(hw, vm)?;
                    return Ok(Progress::Finished);
                };
                let rest = usize::try_from(done).ok();
                let rest = rest.and_then(|done| image.source.get(done..));
                let rest = rest.unwrap_or_default();
                let most = usize::try_from(COPY_STEP).unwrap_or(0);
                let part = rest.get(..most).unwrap_or(rest);
                *load = if part.is_empty() {
                    let copy = copy.saturating_add(1);
                    Load::Copy { copy, done: 0 }
                } else {
                    let target = Ipa::new(image.target.get().saturating_add(done));
                    let written = write_guest(hw, vm, target, part)?;
                    let done = done.saturating_add(written);
                    Load::Copy { copy, done }
                };
            }
        }
        Ok(Progress::More)
    }

    /// Zeroes a part of a VM's memory, and gives each block to the VM as soon as it is zero. A
    /// function of its own in the image too: the bench counts zeroing apart.
    #[inline(never)]
    fn zero_step<H: Hardware>(
        &self,
        hw: &mut H,
        vm: &Vm,
        index: usize,
        done: u64,
    ) -> Result<Load, LoadError> {
        let Some(piece) = vm.memory.get(index) else {
            return Ok(Load::again());
        };
        let outside = LoadError::Outside {
            ipa: Ipa::new(piece.start),
        };
        let range = |start: u64, size| {
            PaRange::new(Pa::new(piece.pa.get().saturating_add(start)), size).map_err(|_| outside)
        };
        let size = ZERO_STEP.min(piece.size.saturating_sub(done));
        hw.zero(range(done, size)?).map_err(LoadError::Memory)?;
        let done = done.saturating_add(size);
        if done.is_multiple_of(BLOCK_2M) {
            let block = range(done.saturating_sub(BLOCK_2M), BLOCK_2M)?;
            let to = Owner::Vm(vm.id);
            // A block is one step.
            self.memory
                .lock()
                .give(Owner::Hypervisor, to, block)
                .map_err(LoadError::Owner)?;
        }
        Ok(if done < piece.size {
            Load::Zero { piece: index, done }
        } else {
            let piece = index.saturating_add(1);
            Load::Zero { piece, done: 0 }
        })
    }

    /// Writes the device tree, with seeds of this start.
    fn write_device_tree<H: Hardware>(&self, hw: &mut H, vm: &Vm) -> Result<(), LoadError> {
        let images = &vm.images;
        let start = images.device_tree.start();
        write_all(hw, vm, start, images.tree.bytes())?;
        let seeds = self.seeds();
        for patch in images.tree.patches(seeds.as_ref()) {
            let offset = u64::try_from(patch.offset).unwrap_or(u64::MAX);
            let at = Ipa::new(start.get().saturating_add(offset));
            write_all(hw, vm, at, patch.bytes)?;
        }
        Ok(())
    }

    /// Draws random numbers; `None` if the machine has none.
    fn seeds(&self) -> Option<Seeds> {
        let mut seeds = Seeds {
            random: [0; _],
            kaslr: [0; _],
        };
        random_seed(self, &mut seeds.random)?;
        random_seed(self, &mut seeds.kaslr)?;
        Some(seeds)
    }

    /// Starts the first vCPU of a VM that has been loaded.
    fn start<H: Hardware>(&self, hw: &mut H, vm: &Arc<Vm>) {
        let index = VcpuIndex::new(0);
        let Some(place) = vm.place(index) else { return };
        if vm.life.take(VmEdge::Start).is_err() || place.life.take(VcpuEdge::PowerOn).is_err() {
            return;
        }
        vm.offset.store(hw.now(), Ordering::Relaxed);
        vm.alive.fetch_add(1, Ordering::SeqCst);
        if let Some(vcpu) = place.vcpu.lock().as_mut() {
            vcpu.start_at(vm.images.entry.get(), vm.images.device_tree.start().get());
        }
        // Nothing can be pending yet that another vCPU would have to hear of.
        let _ = vm
            .gic
            .lock()
            .distributor
            .set_participation(index, vgic::Participation::Yes);
        if place.life.take(VcpuEdge::Prepared).is_ok() {
            self.enqueue(hw, vm, index);
        }
    }
}

/// Writes a few bytes to a VM's memory.
fn write_all<H: Hardware>(hw: &mut H, vm: &Vm, ipa: Ipa, bytes: &[u8]) -> Result<(), LoadError> {
    let mut done = 0;
    while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
        let offset = u64::try_from(done).unwrap_or(u64::MAX);
        let at = Ipa::new(ipa.get().saturating_add(offset));
        let written = write_guest(hw, vm, at, rest)?;
        done = done.saturating_add(usize::try_from(written).unwrap_or(usize::MAX));
    }
    Ok(())
}

/// Writes to a VM's memory, at most to the end of the piece that holds `ipa`; returns how many bytes.
fn write_guest<H: Hardware>(hw: &mut H, vm: &Vm, ipa: Ipa, bytes: &[u8]) -> Result<u64, LoadError> {
    let (pa, left) = vm.translate(ipa).ok_or(LoadError::Outside { ipa })?;
    let wanted = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let size = wanted.min(left);
    let part = usize::try_from(size).unwrap_or(0);
    GuestMemory::write(hw, pa, bytes.get(..part).unwrap_or(bytes)).map_err(LoadError::Memory)?;
    publish(hw, pa, size);
    Ok(size)
}

fn publish<H: Hardware>(hw: &mut H, pa: Pa, size: u64) {
    if let Ok(range) = PaRange::new(pa.page(), size.saturating_add(pa.page_offset())) {
        hw.publish(range);
    }
}
