//! From the archive to VMs that are ready to be loaded.

use crate::console::{ConsoleState, log};
use crate::disk::Store;
use crate::load::{Copy, Images, Load};
use crate::shared::{Hypervisor, Interrupts};
use crate::vcpu::Vcpu;
use crate::vm::{Attached, Gic, Home, Piece, Place, Target, Vm};
use addr::{CpuId, Ipa, IpaRange, PaRange, RangeError, VcpuId, VcpuIndex, VmId};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bulkhead_core::vcpu_state::{VcpuLife, VcpuState};
use bulkhead_core::vm_state::{VmEdge, VmLife, VmState};
use bulkhead_core::{Mailbox, Scheduler};
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicU64};
use device_model::{Bus, BusError, Counters, LineGate, Slot, TimeBase};
use devices::virtio_blk::image::CopyOnWrite;
use devices::{VirtioBlk, VirtioConsole, VirtioRng};
use guest_dtb::{DeviceKind, GuestDevice, GuestDtbError, GuestMachine};
use guest_image::map;
use id_registers::{GuestFeatures, HostIdRegisters};
use lock::Lock;
use machine::{Hardware, Random};
use manifest::{
    BootFiles, Description, Device, DiskAccess, Machine, ManifestError, Pinning, VmDescription,
};
use memory_owner::{Account, AllocateError, Contents, MemoryOwner, Owner, Setup, SetupError};
use smccc_dispatch::Drbg;
use stage2::{
    Attributes, EditError, Geometry, GeometryError, Mapping, MemoryKind, Permissions, Stage2,
    VmidError, VmidTable, VmidWidth,
};
use vgic::{Config, ConfigError, Distributor, RedistributorRegion};
use virtio::VirtioMmio;

/// Most queues of a disk; it has as many as its VM has vCPUs.
const MOST_DISK_QUEUES: u16 = 4;

/// What the image knows of the machine.
#[derive(Clone, Copy, Debug)]
pub struct BootInput<'a> {
    /// The boot archive.
    pub archive: &'static [u8],
    /// All RAM.
    pub ram: &'a [PaRange],
    /// RAM that is in use: the image, the device tree, the archive, firmware.
    pub reserved: &'a [(PaRange, Owner)],
    /// The number of CPUs.
    pub cpus: usize,
    /// What the CPUs have in common.
    pub host: &'a HostIdRegisters,
    /// Bits 3 to 0 of ID_AA64MMFR0_EL1: the size of physical addresses.
    pub pa_range: u64,
    /// Bits 7 to 4 of ID_AA64MMFR1_EL1: the size of VMIDs.
    pub vmid_bits: u64,
    /// The physical interrupts.
    pub interrupts: Interrupts,
    /// Random bytes from the firmware or the CPU; fewer than 32 are as good as none.
    pub seed: &'a [u8],
    /// The time of day when the counter was 0, in nanoseconds since 1970.
    pub epoch: u64,
}

/// Why the machine can't run what it was given.
#[derive(Debug)]
#[expect(
    missing_docs,
    reason = "each variant is the error of the part that refused"
)]
pub enum BootError {
    Manifest(ManifestError),
    Memory(SetupError),
    OutOfMemory { vm: VmId, error: AllocateError },
    Geometry(GeometryError),
    Vmid(VmidError),
    Stage2 { vm: VmId, error: EditError },
    Gic { vm: VmId, error: ConfigError },
    Bus { vm: VmId, error: BusError },
    DeviceTree { vm: VmId, error: GuestDtbError },
    DeviceTreeSize { vm: VmId, bytes: usize },
    Range(RangeError),
    NoSlot { vm: VmId },
}

impl fmt::Display for BootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manifest(error) => error.fmt(f),
            Self::Memory(error) => error.fmt(f),
            Self::OutOfMemory { vm, error } => write!(f, "VM number {vm}: {error}"),
            Self::Geometry(error) => error.fmt(f),
            Self::Vmid(error) => error.fmt(f),
            Self::Stage2 { vm, error } => write!(f, "VM number {vm}: {error}"),
            Self::Gic { vm, error } => write!(f, "VM number {vm}: {error}"),
            Self::Bus { vm, error } => write!(f, "VM number {vm}: {error}"),
            Self::DeviceTree { vm, error } => {
                write!(f, "VM number {vm}: no device tree can be made: {error}")
            }
            Self::DeviceTreeSize { vm, bytes } => write!(
                f,
                "VM number {vm}: the device tree has {bytes} bytes, which is too large for its place"
            ),
            Self::Range(error) => error.fmt(f),
            Self::NoSlot { vm } => write!(f, "VM number {vm}: too many virtio devices"),
        }
    }
}

impl core::error::Error for BootError {}

/// Reads the archive, checks what it asks for, makes the VMs, and asks for all of them to be loaded.
///
/// # Errors
/// [`BootError`]; then nothing runs.
pub fn boot<H: Hardware>(
    hw: &mut H,
    input: &BootInput<'_>,
) -> Result<&'static Hypervisor, BootError> {
    let (archive, description) = manifest::open(input.archive).map_err(BootError::Manifest)?;
    let geometry = Geometry::from_pa_range(input.pa_range).map_err(BootError::Geometry)?;
    let mut memory = take_stock(input, &description)?;
    let free = memory.free_pages().saturating_add(memory.dirty_pages());
    let machine = Machine {
        cpus: u16::try_from(input.cpus).ok(),
        ram_bytes: Some(free.saturating_mul(addr::PAGE_SIZE)),
        ipa_bits: u8::try_from(geometry.ipa_bits()).ok(),
    };
    manifest::validate(&description, &machine, &archive).map_err(BootError::Manifest)?;

    let width = VmidWidth::from_vmid_bits(input.vmid_bits);
    let (vmids, allocator) = VmidTable::new(width, input.cpus).map_err(BootError::Vmid)?;
    let homes = homes(&description, input.cpus);
    let mut vms = Vec::new();
    for (number, (vm, homes)) in (0..).zip(description.vms.iter().zip(&homes)) {
        let maker = Maker {
            id: VmId::new(number),
            description: vm,
            geometry,
            homes,
        };
        let files = manifest::boot_files(maker.id, vm, &archive).map_err(BootError::Manifest)?;
        vms.push(maker.make(hw, &mut memory, &files)?);
    }
    let count = u32::try_from(vms.len()).unwrap_or(u32::MAX);
    let vcpus = vms.iter().map(|vm| vm.places.len()).sum();
    let mut unlimited = Vec::new();
    unlimited.resize_with(input.cpus, || AtomicBool::new(false));
    let hypervisor: &'static Hypervisor = Box::leak(Box::new(Hypervisor {
        scheduler: Lock::new(Scheduler::new(input.cpus, vcpus)),
        vmids,
        vmid_allocator: Lock::new(allocator),
        memory: Lock::new(memory),
        console: Lock::new(ConsoleState::new(vms.len())),
        features: GuestFeatures::new(input.host, geometry.ipa_bits()),
        vtcr: geometry.vtcr(width),
        time_base: TimeBase {
            frequency: hw.frequency(),
            epoch: input.epoch,
        },
        interrupts: input.interrupts,
        unlimited,
        live: AtomicU32::new(count),
        crashed: AtomicU32::new(0),
        loading: AtomicU32::new(0),
        loader: AtomicU16::new(crate::load::NOBODY),
        random: Lock::new(Drbg::from_seed(input.seed).ok()),
        unexpected: AtomicU64::new(0),
        vms,
    }));
    for vm in &hypervisor.vms {
        if vm.life.take(VmEdge::Load).is_ok() {
            hypervisor.begin_load(vm, Load::first());
        }
    }
    let wants_random = |device: &Device| *device == Device::VirtioRng;
    if description
        .vms
        .iter()
        .any(|vm| vm.devices.iter().any(wants_random))
    {
        warn_of_random_numbers(hw, hypervisor);
    }
    let cpus = input.cpus;
    let left = hypervisor.unused_memory() >> 20;
    log(
        hw,
        format_args!(
            "{count} VM(s) with {vcpus} vCPU(s) on {cpus} CPU(s), {left} MiB of memory left"
        ),
    );
    Ok(hypervisor)
}

/// Fills `bytes` with random numbers; `None` if the machine has none.
pub(crate) fn random_seed(hypervisor: &Hypervisor, bytes: &mut [u8]) -> Option<()> {
    hypervisor.random.lock().as_mut()?.fill(bytes);
    Some(())
}

/// Fills the first of `bytes` with random numbers, of the CPU's own source, else of the generator
/// that the board has seeded; returns how many.
pub(crate) fn random_bytes<H: Hardware>(
    hypervisor: &Hypervisor,
    hw: &mut H,
    bytes: &mut [u8],
) -> usize {
    let mut done = 0_usize;
    for chunk in bytes.chunks_mut(8) {
        match hw.random() {
            Random::Bits(bits) => {
                for (byte, value) in chunk.iter_mut().zip(bits.to_le_bytes()) {
                    *byte = value;
                }
                done = done.saturating_add(chunk.len());
            }
            Random::Exhausted => return done,
            Random::Absent => {
                return random_seed(hypervisor, bytes).map_or(0, |()| bytes.len());
            }
        }
    }
    done
}

/// Says where the random numbers of virtio-rng come from, if that is not the CPU.
fn warn_of_random_numbers<H: Hardware>(hw: &mut H, hypervisor: &Hypervisor) {
    if hw.random() != Random::Absent {
        return;
    }
    let message = match *hypervisor.random.lock() {
        Some(_) => {
            "virtio-rng: the CPU has no random numbers, so they are made of the board's seed"
        }
        None => "virtio-rng: this machine has no source of random numbers, so guests get none",
    };
    log(hw, format_args!("{message}"));
}

fn take_stock(input: &BootInput<'_>, description: &Description) -> Result<MemoryOwner, BootError> {
    let mut accounts = Vec::from([
        Account::new(Owner::Hypervisor, u64::MAX),
        Account::new(Owner::Archive, u64::MAX),
    ]);
    for (number, vm) in (0..).zip(&description.vms) {
        let pages = vm.memory / addr::PAGE_SIZE;
        accounts.push(Account::new(Owner::Vm(VmId::new(number)), pages));
    }
    MemoryOwner::new(Setup {
        ram: input.ram,
        reserved: input.reserved,
        accounts: &accounts,
        details: 64,
        contents: Contents::Unknown,
    })
    .map_err(BootError::Memory)
}

/// Decides where each vCPU may run. If there are enough CPUs, each vCPU gets one of its own and
/// waits in its guest; otherwise those that aren't pinned float.
fn homes(description: &Description, cpus: usize) -> Vec<Vec<Home>> {
    let total: usize = description.vms.iter().map(|vm| usize::from(vm.vcpus)).sum();
    let pins = |vm: &VmDescription| match &vm.pinning {
        Pinning::Floating => Vec::new(),
        Pinning::Fixed(cpus) => cpus.clone(),
    };
    let mut taken: Vec<CpuId> = description.vms.iter().flat_map(pins).collect();
    let shared = |cpu: CpuId, taken: &[CpuId]| taken.iter().filter(|other| **other == cpu).count();
    let pinned_apart = taken.iter().all(|cpu| shared(*cpu, &taken) == 1);
    let enough = total <= cpus && pinned_apart;
    let mut homes = Vec::new();
    for vm in &description.vms {
        let pins = pins(vm);
        let mut places = Vec::new();
        for index in 0..usize::from(vm.vcpus) {
            let pinned = pins.get(index).copied();
            let free = (0..).map(CpuId::new).find(|cpu| shared(*cpu, &taken) == 0);
            places.push(match (pinned, free) {
                (Some(cpu), _) if enough => Home::Alone(cpu),
                (Some(cpu), _) => Home::Pinned(cpu),
                (None, Some(cpu)) if enough => {
                    taken.push(cpu);
                    Home::Alone(cpu)
                }
                (None, _) => Home::Floating,
            });
        }
        homes.push(places);
    }
    homes
}

/// What one VM is made from.
struct Maker<'a> {
    id: VmId,
    description: &'a VmDescription,
    geometry: Geometry,
    homes: &'a [Home],
}

impl Maker<'_> {
    fn make<H: Hardware>(
        &self,
        hw: &mut H,
        memory: &mut MemoryOwner,
        files: &BootFiles<'static>,
    ) -> Result<Arc<Vm>, BootError> {
        let vm = self.id;
        let ram = self.description.ram().map_err(BootError::Range)?;
        let pieces = self.allocate(memory, ram.start().get(), ram.size())?;
        let mut tree =
            Stage2::new(hw, self.geometry).map_err(|error| BootError::Stage2 { vm, error })?;
        for piece in &pieces {
            self.map(hw, &mut tree, piece)?;
        }
        let stores = self.stores(memory, files)?;
        let (devices, attached) = self.devices(stores)?;
        let bus = self.bus(&devices)?;
        let vcpu_count = self.description.vcpus;
        let config = Config {
            spi_count: self.description.spis,
            vcpu_count,
        };
        let mut distributor =
            Distributor::new(config).map_err(|error| BootError::Gic { vm, error })?;
        for index in (0..vcpu_count).map(VcpuIndex::new) {
            // All are off, so nobody has to hear of it.
            let _ = distributor.set_participation(index, vgic::Participation::No);
        }
        let mut gates = Vec::new();
        gates.resize_with(attached.len(), LineGate::default);
        let stage2_root = tree.root();
        let made = Arc::new(Vm {
            id: vm,
            name: self.description.name.clone(),
            life: VmLife::new(VmState::Off),
            places: self.homes.iter().map(|home| place(*home)).collect(),
            alive: AtomicU32::new(0),
            gic: Lock::new(Gic { distributor, gates }),
            redistributors: RedistributorRegion::new(vcpu_count),
            bus,
            console: self.console(),
            devices: attached,
            stage2: Lock::new(tree),
            stage2_root,
            vmid: stage2::VmidSlot::new(),
            memory: pieces,
            images: self.images(ram, files, &devices)?,
            load: Lock::new(None),
            offset: AtomicU64::new(0),
            warm_reset: self.description.warm_reset,
        });
        for (index, place) in (0..).zip(&made.places) {
            let id = VcpuId {
                vm,
                index: VcpuIndex::new(index),
            };
            *place.vcpu.lock() = Some(Box::new(Vcpu::new(id, made.clone())));
        }
        Ok(made)
    }

    /// Returns the place of the device that the operator types for.
    fn console(&self) -> Option<usize> {
        let place = |wanted: &Device| self.description.devices.iter().position(|it| it == wanted);
        place(&Device::Pl011).or_else(|| place(&Device::VirtioConsole))
    }

    /// Makes the stores of the VM's disks, in order. Overlays stay the hypervisor's: no guest sees them
    /// but by copies of what was put there, so that they need not be zeroed.
    fn stores(
        &self,
        memory: &mut MemoryOwner,
        files: &BootFiles<'static>,
    ) -> Result<Vec<Store>, BootError> {
        let mut stores = Vec::new();
        for (disk, entry) in self.description.disks().zip(&files.disks) {
            let size = u64::try_from(entry.data.len()).unwrap_or(u64::MAX);
            let (changes, overlay) = match disk.access {
                DiskAccess::ReadOnly => (None, Vec::new()),
                DiskAccess::ReadWrite => {
                    let blocks = addr::align_up(size, addr::BLOCK_2M).unwrap_or(u64::MAX);
                    let overlay = self.allocate(memory, 0, blocks)?;
                    (Some(Lock::new(CopyOnWrite::new(size))), overlay)
                }
            };
            stores.push(Store {
                image: entry.data,
                changes,
                overlay,
            });
        }
        Ok(stores)
    }

    /// Takes `size` bytes of memory, for what begins at `start`. It is the hypervisor's; a guest's own
    /// memory is zeroed and given to it before it is loaded.
    fn allocate(
        &self,
        memory: &mut MemoryOwner,
        start: u64,
        size: u64,
    ) -> Result<Vec<Piece>, BootError> {
        let vm = self.id;
        let mut pieces: Vec<Piece> = Vec::new();
        let mut done = 0;
        while done < size {
            let left = size.saturating_sub(done);
            let range = memory
                .claim_blocks(Owner::Hypervisor, left)
                .map_err(|error| BootError::OutOfMemory { vm, error })?;
            pieces.push(Piece {
                start: start.saturating_add(done),
                pa: range.start(),
                size: range.size(),
            });
            done = done.saturating_add(range.size());
        }
        Ok(join(pieces))
    }

    fn map<H: Hardware>(
        &self,
        hw: &mut H,
        tree: &mut Stage2,
        piece: &Piece,
    ) -> Result<(), BootError> {
        let range = IpaRange::new(Ipa::new(piece.start), piece.size).map_err(BootError::Range)?;
        let attributes = Attributes::new(MemoryKind::Normal, Permissions::ReadWriteExecute);
        let mut rest = Some(Mapping {
            range,
            pa: piece.pa,
            attributes,
        });
        while let Some(mapping) = rest {
            rest = tree
                .map(hw, mapping)
                .map_err(|error| BootError::Stage2 { vm: self.id, error })?;
        }
        Ok(())
    }

    /// Describes the devices to the guest, and makes their models. This is the one place that tells
    /// them apart by their names in the machine description.
    fn devices(&self, stores: Vec<Store>) -> Result<(Vec<GuestDevice>, Vec<Attached>), BootError> {
        let mut stores = stores.into_iter();
        let mut slots = (0..).map_while(map::virtio);
        let make = |device: &Device| {
            let mut virtio = || {
                let frame = slots.next().ok_or(BootError::NoSlot { vm: self.id })?;
                Ok((DeviceKind::VirtioMmio, frame))
            };
            let mut store = None;
            let transport = virtio::mmio::Config::default();
            let ((kind, frame), model) = match device {
                Device::Pl011 => (
                    (DeviceKind::Pl011, map::PL011),
                    devices::Pl011::new(devices::pl011::Config::default()).into(),
                ),
                Device::Pvpanic => (
                    (DeviceKind::Pvpanic, map::PVPANIC),
                    devices::Pvpanic::new(devices::pvpanic::Config::default()).into(),
                ),
                Device::Pl031 => (
                    (DeviceKind::Pl031, map::PL031),
                    devices::Pl031::new(devices::pl031::Config).into(),
                ),
                // The guest's device tree says which pin the key is on: that of the default.
                Device::Pl061 => (
                    (DeviceKind::Pl061, map::PL061),
                    devices::Pl061::new(devices::pl061::Config::default()).into(),
                ),
                Device::VirtioBlk(disk) => {
                    store = stores.next();
                    let device = VirtioBlk::new(self.disk_config(disk, store.as_ref()));
                    (virtio()?, VirtioMmio::new(transport, device).into())
                }
                Device::VirtioRng => {
                    let device = VirtioRng::new(devices::virtio_rng::Config);
                    (virtio()?, VirtioMmio::new(transport, device).into())
                }
                Device::VirtioConsole => {
                    let device = VirtioConsole::new(devices::virtio_console::Config::default());
                    (virtio()?, VirtioMmio::new(transport, device).into())
                }
            };
            let described = GuestDevice {
                kind,
                range: frame.range().map_err(BootError::Range)?,
                interrupt: frame.interrupt,
            };
            let attached = Attached {
                slot: Lock::new(Slot::new(model)),
                interrupt: frame.interrupt,
                counters: Counters::default(),
                store,
            };
            Ok((described, attached))
        };
        let made: Result<Vec<_>, BootError> = self.description.devices.iter().map(make).collect();
        Ok(made?.into_iter().unzip())
    }

    /// Says how a disk looks to the guest.
    fn disk_config(
        &self,
        disk: &manifest::Disk,
        store: Option<&Store>,
    ) -> devices::virtio_blk::Config {
        let mut id = [0; devices::virtio_blk::ID_BYTES];
        for (to, from) in id.iter_mut().zip(disk.image.bytes()) {
            *to = from;
        }
        devices::virtio_blk::Config {
            bytes: store.map_or(0, |store| {
                u64::try_from(store.image.len()).unwrap_or(u64::MAX)
            }),
            access: match disk.access {
                DiskAccess::ReadWrite => devices::virtio_blk::Access::ReadWrite,
                DiskAccess::ReadOnly => devices::virtio_blk::Access::ReadOnly,
            },
            queues: self.description.vcpus.min(MOST_DISK_QUEUES),
            id,
            ..devices::virtio_blk::Config::default()
        }
    }

    fn bus(&self, devices: &[GuestDevice]) -> Result<Bus<Target>, BootError> {
        let mut bus = Bus::default();
        let mut attach = |start: Ipa, size: u64, target| {
            bus.attach(start, size, target)
                .map_err(|error| BootError::Bus { vm: self.id, error })
        };
        attach(map::GICD.base, map::GICD.size, Target::Distributor)?;
        let region = RedistributorRegion::new(self.description.vcpus);
        attach(map::GICR_BASE, region.size(), Target::Redistributors)?;
        for (place, device) in devices.iter().enumerate() {
            attach(
                device.range.start(),
                device.range.size(),
                Target::Device(place),
            )?;
        }
        Ok(bus)
    }

    fn images(
        &self,
        ram: IpaRange,
        files: &BootFiles<'static>,
        devices: &[GuestDevice],
    ) -> Result<Images, BootError> {
        let mut copies = Vec::from([Copy {
            source: files.kernel.data,
            target: files.layout.kernel,
        }]);
        if let (Some(initrd), Some(range)) = (&files.initrd, files.layout.initrd) {
            copies.push(Copy {
                source: initrd.data,
                target: range.start(),
            });
        }
        let region = RedistributorRegion::new(self.description.vcpus);
        let tree = guest_dtb::build(&GuestMachine {
            vcpus: self.description.vcpus,
            memory: &[ram],
            distributor: map::GICD.range().map_err(BootError::Range)?,
            redistributors: IpaRange::new(map::GICR_BASE, region.size())
                .map_err(BootError::Range)?,
            devices,
            bootargs: &self.description.cmdline,
            initrd: files.layout.initrd,
        })
        .map_err(|error| BootError::DeviceTree { vm: self.id, error })?;
        let (bytes, place) = (tree.bytes().len(), files.layout.dtb);
        if u64::try_from(bytes).is_ok_and(|bytes| bytes > place.size()) {
            return Err(BootError::DeviceTreeSize { vm: self.id, bytes });
        }
        Ok(Images {
            copies,
            device_tree: place,
            tree,
            entry: files.layout.entry,
        })
    }
}

/// Joins pieces that lie one behind the other.
fn join(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut joined: Vec<Piece> = Vec::new();
    for piece in pieces {
        match joined.last_mut() {
            Some(last) if last.pa.get().checked_add(last.size) == Some(piece.pa.get()) => {
                last.size = last.size.saturating_add(piece.size);
            }
            Some(_) | None => joined.push(piece),
        }
    }
    joined
}

fn place(home: Home) -> Place {
    let cpu = match home {
        Home::Alone(cpu) | Home::Pinned(cpu) => cpu,
        Home::Floating => CpuId::new(0),
    };
    Place {
        life: VcpuLife::new(VcpuState::Off),
        mailbox: Mailbox::new(),
        home,
        cpu: AtomicU16::new(cpu.get()),
        vcpu: Lock::new(None),
        remote: Lock::new(None),
    }
}
