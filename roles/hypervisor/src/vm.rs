//! A VM: what its vCPUs and its devices share.

use crate::disk::Store;
use crate::load::{Images, Load};
use crate::vcpu::Vcpu;
use addr::{CpuId, IntId, Ipa, Pa, VcpuIndex, VmId, Width};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use bulkhead_core::Mailbox;
use bulkhead_core::vcpu_state::VcpuLife;
use bulkhead_core::vm_state::VmLife;
use core::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};
use device_model::{Bus, Counters, LineGate, Slot};
use devices::Device;
use lock::Lock;
use manifest::WarmReset;
use stage2::{Stage2, VmidSlot};
use vgic::{Distributor, RedistributorRegion};

/// What an address of a VM's device map leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The distributor's frame.
    Distributor,
    /// The redistributors' frames.
    Redistributors,
    /// The device at this place of [`Vm::devices`].
    Device(usize),
}

/// A device, its interrupt and its place in the VM.
pub(crate) struct Attached {
    pub(crate) slot: Lock<Slot<Device>>,
    pub(crate) interrupt: Option<IntId>,
    pub(crate) counters: Counters,
    /// What stands behind it, if it is a disk.
    pub(crate) store: Option<Store>,
}

/// The interrupt controller that a VM's vCPUs share.
pub(crate) struct Gic {
    pub(crate) distributor: Distributor,
    /// The controller's end of each device's line, by the device's place.
    pub(crate) gates: Vec<LineGate>,
}

/// Where a vCPU may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    /// On one CPU, with others.
    Pinned(CpuId),
    /// On one CPU, where nobody else runs: it waits in the guest.
    Alone(CpuId),
    /// Anywhere.
    Floating,
}

/// An access to a redistributor whose vCPU runs on another CPU: its owner carries it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Remote {
    pub(crate) from: VcpuIndex,
    pub(crate) access: RemoteAccess,
    /// The result, once the owner has been there.
    pub(crate) answer: Option<u64>,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RemoteAccess {
    pub(crate) offset: u64,
    pub(crate) width: Width,
    /// The value of a write; `None` for a read.
    pub(crate) write: Option<u64>,
}

/// The place of a vCPU in its VM: where it lies when no CPU has it, and how it is reached.
pub(crate) struct Place {
    pub(crate) life: VcpuLife,
    pub(crate) mailbox: Mailbox,
    pub(crate) home: Home,
    /// The CPU that runs it or ran it last.
    pub(crate) cpu: AtomicU16,
    /// The vCPU, unless a CPU has it.
    pub(crate) vcpu: Lock<Option<Box<Vcpu>>>,
    pub(crate) remote: Lock<Option<Remote>>,
}

impl Place {
    /// Returns the CPU that runs the vCPU, or ran it last.
    pub(crate) fn cpu(&self) -> CpuId {
        // In step with the mailbox: who posts reads this after, who dispatches wrote it before.
        CpuId::new(self.cpu.load(Ordering::SeqCst))
    }
}

/// Where a piece of a VM's memory, or of something else that is made of blocks, lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The place in the whole: a guest-physical address, or an offset on a disk.
    pub(crate) start: u64,
    pub(crate) pa: Pa,
    pub(crate) size: u64,
}

/// Returns where `place` lies, and how many bytes follow it in one piece; `None` if no piece holds
/// it.
pub(crate) fn find(pieces: &[Piece], place: u64) -> Option<(Pa, u64)> {
    pieces.iter().find_map(|piece| {
        let offset = place.checked_sub(piece.start)?;
        let left = piece.size.checked_sub(offset).filter(|left| *left != 0)?;
        Some((Pa::new(piece.pa.get().checked_add(offset)?), left))
    })
}

/// A VM.
pub(crate) struct Vm {
    pub(crate) id: VmId,
    pub(crate) name: String,
    pub(crate) life: VmLife,
    pub(crate) places: Vec<Place>,
    /// vCPUs that are not off.
    pub(crate) alive: AtomicU32,
    pub(crate) gic: Lock<Gic>,
    pub(crate) redistributors: RedistributorRegion,
    pub(crate) bus: Bus<Target>,
    pub(crate) devices: Vec<Attached>,
    /// The place of the device that is the console, if there is one.
    pub(crate) console: Option<usize>,
    pub(crate) stage2: Lock<Stage2>,
    pub(crate) stage2_root: Pa,
    pub(crate) vmid: VmidSlot,
    pub(crate) memory: Vec<Piece>,
    pub(crate) images: Images,
    pub(crate) load: Lock<Option<Load>>,
    /// What the guest's counter lags behind the machine's, in ticks.
    pub(crate) offset: AtomicU64,
    /// What a warm reset means.
    pub(crate) warm_reset: WarmReset,
}

impl Vm {
    /// Returns what the guest's counters lag behind the machine's, in ticks.
    pub(crate) fn counter_offset(&self) -> u64 {
        self.offset.load(Ordering::Relaxed)
    }

    /// Returns the place of a vCPU.
    pub(crate) fn place(&self, index: VcpuIndex) -> Option<&Place> {
        self.places.get(index.index())
    }

    /// Returns the number of vCPUs.
    pub(crate) fn vcpu_count(&self) -> u16 {
        u16::try_from(self.places.len()).unwrap_or(u16::MAX)
    }

    /// Returns where guest memory lies, and how many bytes follow it in one piece; `None` outside
    /// the VM's memory.
    pub(crate) fn translate(&self, ipa: Ipa) -> Option<(Pa, u64)> {
        find(&self.memory, ipa.get())
    }
}
