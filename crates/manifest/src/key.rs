//! The keys of a VM: the same names in TOML, in the device tree and in error messages.

use core::fmt;

/// A key of a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// The VM's name.
    Name,
    /// The number of vCPUs.
    Vcpus,
    /// The size of memory.
    Memory,
    /// The kernel.
    Kernel,
    /// The initial file system.
    Initrd,
    /// The command line.
    Cmdline,
    /// The CPUs that run the vCPUs.
    Pinning,
    /// The devices.
    Devices,
    /// The number of shared peripheral interrupts.
    Spis,
    /// What a warm reset means.
    WarmReset,
}

impl Key {
    /// All keys.
    pub const ALL: [Self; 10] = [
        Self::Name,
        Self::Vcpus,
        Self::Memory,
        Self::Kernel,
        Self::Initrd,
        Self::Cmdline,
        Self::Pinning,
        Self::Devices,
        Self::Spis,
        Self::WarmReset,
    ];

    /// Returns the key as it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Vcpus => "vcpus",
            Self::Memory => "memory",
            Self::Kernel => "kernel",
            Self::Initrd => "initrd",
            Self::Cmdline => "cmdline",
            Self::Pinning => "pinning",
            Self::Devices => "devices",
            Self::Spis => "spis",
            Self::WarmReset => "warm-reset",
        }
    }

    /// Finds the key that is written `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.name() == name)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Names that stand in the device tree only.
pub(crate) mod tree {
    pub(crate) const COMPATIBLE: &str = "compatible";
    pub(crate) const VMS: &str = "vms";
    pub(crate) const VM: &str = "vm";
    pub(crate) const FILE: &str = "file";
    pub(crate) const FORMAT: &str = "format";
    pub(crate) const IMAGE: &str = "image";
    pub(crate) const READ_ONLY: &str = "read-only";
    pub(crate) const LOAD_ADDRESS: &str = "load-address";
    pub(crate) const ENTRY: &str = "entry";
    pub(crate) const MEMORY_SIZE: &str = "memory-size";
    pub(crate) const FORMAT_IMAGE: &str = "image";
    pub(crate) const FORMAT_FLAT: &str = "flat";
    pub(crate) const FORMAT_RAW: &str = "raw";
}
