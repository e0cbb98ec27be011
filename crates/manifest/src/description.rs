//! What a description holds.

use addr::{CpuId, Ipa, IpaRange, RangeError};
use alloc::string::String;
use alloc::vec::Vec;
use guest_image::map;

/// A description of the whole machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// The VMs; a VM's place in the list is its [`addr::VmId`].
    pub vms: Vec<VmDescription>,
}

/// What one VM is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VmDescription {
    /// The name, unique in the machine: 1 to 31 of `a-z`, `0-9` and `-`.
    pub name: String,
    /// Number of vCPUs.
    pub vcpus: u16,
    /// Memory in bytes, from [`map::RAM_BASE`] on.
    pub memory: u64,
    /// The kernel.
    pub kernel: Kernel,
    /// Name of the initial file system's entry in the archive, if there is one.
    pub initrd: Option<String>,
    /// The kernel's command line.
    pub cmdline: String,
    /// Which CPUs run the vCPUs.
    pub pinning: Pinning,
    /// The devices, in the order of the description.
    pub devices: Vec<Device>,
    /// Number of shared peripheral interrupts of the VM's interrupt controller.
    pub spis: u16,
    /// What a warm reset means.
    pub warm_reset: WarmReset,
}

/// A VM's kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// Name of its entry in the archive.
    pub file: String,
    /// What the entry holds.
    pub format: KernelFormat,
}

/// What a kernel's entry in the archive holds. Compressed kernels and ELF files do not occur: the
/// host tool has unpacked them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelFormat {
    /// An arm64 Linux `Image`.
    Image,
    /// Machine code that is entered at its first byte, anywhere on a page boundary.
    Flat,
    /// A memory image with fixed addresses, made from an ELF file.
    Raw {
        /// Where its first byte goes.
        load: Ipa,
        /// Where it is entered.
        entry: Ipa,
        /// Memory that it takes, `.bss` included, in bytes.
        memory_size: u64,
    },
}

/// Which CPUs run a VM's vCPUs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Pinning {
    /// Any CPU runs any vCPU.
    #[default]
    Floating,
    /// The CPU at a vCPU's index runs it, and no other does.
    Fixed(Vec<CpuId>),
}

/// A device of a VM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Device {
    /// The console.
    Pl011,
    /// The panic notifier.
    Pvpanic,
    /// The real-time clock.
    Pl031,
    /// The GPIO controller with the power key, by which a VM is asked to shut down.
    Pl061,
    /// A disk. The only device that a VM may have several of.
    VirtioBlk(Disk),
    /// A source of random numbers.
    VirtioRng,
    /// A console in large pieces.
    VirtioConsole,
}

/// A disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Name of its image's entry in the archive.
    pub image: String,
    /// What the VM may do with it.
    pub access: DiskAccess,
}

/// What a VM may do with a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DiskAccess {
    /// Read and write. What it writes stands in memory of its own; the image stays as it is.
    #[default]
    ReadWrite,
    /// Read.
    ReadOnly,
}

/// The kind of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are those of `Device`")]
pub enum DeviceName {
    Pl011,
    Pvpanic,
    Pl031,
    Pl061,
    VirtioBlk,
    VirtioRng,
    VirtioConsole,
}

impl DeviceName {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::Pl011,
        Self::Pvpanic,
        Self::Pl031,
        Self::Pl061,
        Self::VirtioBlk,
        Self::VirtioRng,
        Self::VirtioConsole,
    ];

    /// Returns the name that stands in a description.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pl011 => "pl011",
            Self::Pvpanic => "pvpanic",
            Self::Pl031 => "pl031",
            Self::Pl061 => "pl061",
            Self::VirtioBlk => "virtio-blk",
            Self::VirtioRng => "virtio-rng",
            Self::VirtioConsole => "virtio-console",
        }
    }

    /// Finds the kind called `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|device| device.name() == name)
    }
}

impl Device {
    /// All devices that have nothing but a name.
    pub const PLAIN: [Self; 6] = [
        Self::Pl011,
        Self::Pvpanic,
        Self::Pl031,
        Self::Pl061,
        Self::VirtioRng,
        Self::VirtioConsole,
    ];

    /// Makes a device that has nothing but its name; `None` if this kind has more.
    #[must_use]
    pub const fn plain(name: DeviceName) -> Option<Self> {
        Some(match name {
            DeviceName::Pl011 => Self::Pl011,
            DeviceName::Pvpanic => Self::Pvpanic,
            DeviceName::Pl031 => Self::Pl031,
            DeviceName::Pl061 => Self::Pl061,
            DeviceName::VirtioRng => Self::VirtioRng,
            DeviceName::VirtioConsole => Self::VirtioConsole,
            DeviceName::VirtioBlk => return None,
        })
    }

    /// Returns the kind.
    #[must_use]
    pub const fn name(&self) -> DeviceName {
        match self {
            Self::Pl011 => DeviceName::Pl011,
            Self::Pvpanic => DeviceName::Pvpanic,
            Self::Pl031 => DeviceName::Pl031,
            Self::Pl061 => DeviceName::Pl061,
            Self::VirtioBlk(_) => DeviceName::VirtioBlk,
            Self::VirtioRng => DeviceName::VirtioRng,
            Self::VirtioConsole => DeviceName::VirtioConsole,
        }
    }

    /// Returns the disk, if it is one.
    #[must_use]
    pub const fn disk(&self) -> Option<&Disk> {
        match self {
            Self::VirtioBlk(disk) => Some(disk),
            Self::Pl011
            | Self::Pvpanic
            | Self::Pl031
            | Self::Pl061
            | Self::VirtioRng
            | Self::VirtioConsole => None,
        }
    }

    /// Tells whether the device takes one of the slots for virtio devices.
    #[must_use]
    pub const fn is_virtio(&self) -> bool {
        match self {
            Self::VirtioBlk(_) | Self::VirtioRng | Self::VirtioConsole => true,
            Self::Pl011 | Self::Pvpanic | Self::Pl031 | Self::Pl061 => false,
        }
    }
}

/// Tells whether a VM can have another device of this kind beside `others`.
#[must_use]
pub fn may_add(others: &[Device], name: DeviceName) -> bool {
    name == DeviceName::VirtioBlk || others.iter().all(|other| other.name() != name)
}

/// What it means when a VM asks for a warm reset (PSCI SYSTEM_RESET2 with SYSTEM_WARM_RESET, DEN0022
/// 5.1.11).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WarmReset {
    /// The VM is reset, as by SYSTEM_RESET.
    #[default]
    Reset,
    /// The VM has crashed: its kernel is set up to ask for a warm reset when it panics.
    Crash,
}

impl WarmReset {
    /// All meanings.
    pub const ALL: [Self; 2] = [Self::Reset, Self::Crash];

    /// Returns the name that stands in a description.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::Crash => "crash",
        }
    }

    /// Finds the meaning called `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|meaning| meaning.name() == name)
    }
}

/// Returns the devices of a VM that does not name any: the console alone.
#[must_use]
pub fn default_devices() -> Vec<Device> {
    Vec::from([Device::Pl011])
}

impl VmDescription {
    /// Returns the VM's memory as the guest sees it.
    ///
    /// # Errors
    /// [`RangeError`] if the description says 0 bytes or far too many; never after
    /// [`crate::validate`].
    pub fn ram(&self) -> Result<IpaRange, RangeError> {
        IpaRange::new(map::RAM_BASE, self.memory)
    }

    /// Returns the disks, in the order of the description.
    pub fn disks(&self) -> impl Iterator<Item = &Disk> {
        self.devices.iter().filter_map(Device::disk)
    }
}
