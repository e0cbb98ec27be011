//! What can be wrong with a description, and where. The texts are what users see.

use crate::key::Key;
use crate::limits;
use addr::VmId;
use alloc::string::String;
use archive::ArchiveError;
use core::fmt;
use fdt::FdtError;
use guest_image::{ImageError, LayoutError, map};

/// A place in a description and what is wrong there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestError {
    /// Where it is.
    pub place: Place,
    /// What it is.
    pub problem: Problem,
}

/// A place in a description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The description as a whole.
    Whole,
    /// One VM.
    Vm(VmId),
    /// One key of one VM.
    Key(VmId, Key),
}

impl Place {
    /// Says that `problem` is here.
    #[must_use]
    pub fn error(self, problem: Problem) -> ManifestError {
        ManifestError {
            place: self,
            problem,
        }
    }
}

/// What is wrong. As text it reads on behind the name of the place: ` = 700: ...` or `: ...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The manifest is larger than [`limits::MAX_MANIFEST_BYTES`].
    ManifestTooLarge {
        /// Its size in bytes.
        bytes: usize,
    },
    /// The manifest is no device tree.
    Tree(FdtError),
    /// The archive is no archive.
    Archive(ArchiveError),
    /// The archive has no manifest.
    NoManifest,
    /// The device tree is no manifest, or one of another version.
    WrongCompatible {
        /// Its `compatible`.
        found: String,
    },
    /// A node or property is none of those that can stand there.
    Unknown {
        /// Its name.
        name: String,
        /// The names that can stand there.
        known: &'static str,
    },
    /// A node or property is there twice.
    Twice {
        /// Its name.
        name: String,
    },
    /// A node or property must be there.
    Missing {
        /// Its name.
        name: &'static str,
    },
    /// A property's value has the wrong form.
    WrongForm {
        /// The property's name.
        name: &'static str,
        /// The length of the value in bytes.
        length: usize,
        /// What would be right.
        expected: &'static str,
    },
    /// There is no VM.
    NoVms,
    /// There are more VMs than [`limits::MAX_VMS`].
    TooManyVms {
        /// How many have been counted.
        count: usize,
    },
    /// A VM's name breaks the rules.
    BadName {
        /// The name.
        name: String,
    },
    /// Two VMs have the same name.
    DuplicateName {
        /// The name.
        name: String,
        /// The other VM.
        first: VmId,
    },
    /// A VM has no vCPUs, or more than [`limits::MAX_VCPUS`].
    BadVcpuCount {
        /// How many.
        vcpus: u64,
    },
    /// All VMs together have too many vCPUs.
    TooManyVcpus {
        /// How many up to this VM.
        total: u32,
    },
    /// The size of memory is not a multiple of 2 MB, or 0.
    UnalignedMemory {
        /// The size in bytes.
        bytes: u64,
    },
    /// Memory goes beyond the guest-physical address space.
    MemoryBeyondIpa {
        /// The size in bytes.
        bytes: u64,
        /// Bits of a guest-physical address.
        ipa_bits: u8,
    },
    /// All VMs together have more memory than the machine.
    TooLittleRam {
        /// This VM's memory in bytes.
        bytes: u64,
        /// All memory up to this VM in bytes.
        total: u64,
        /// What the machine has for VMs, in bytes.
        available: u64,
    },
    /// The command line is too long.
    LongCmdline {
        /// Its length in bytes.
        length: usize,
    },
    /// The command line has something other than printable ASCII in it.
    BadCmdline {
        /// The first such character.
        character: char,
    },
    /// The archive has no such file.
    MissingFile {
        /// The name of the entry.
        file: String,
    },
    /// A kernel's header is wrong.
    Image {
        /// The name of the entry.
        file: String,
        /// What is wrong.
        error: ImageError,
    },
    /// The files do not fit in the VM's memory.
    Layout {
        /// The name of the entry.
        file: String,
        /// What does not fit.
        error: LayoutError,
    },
    /// The number of pins is not the number of vCPUs.
    PinCount {
        /// How many pins.
        pins: usize,
        /// How many vCPUs.
        vcpus: u16,
    },
    /// A vCPU is pinned to a CPU that the machine does not have.
    AbsentCpu {
        /// The number of the CPU.
        cpu: u64,
        /// How many CPUs the machine has.
        cpus: u16,
    },
    /// There is no such device.
    UnknownDevice {
        /// The name.
        name: String,
    },
    /// A device is there twice.
    DuplicateDevice {
        /// The name.
        name: &'static str,
    },
    /// There are more devices than a VM can have.
    TooManyDevices {
        /// How many.
        count: usize,
    },
    /// There are more virtio devices than slots with an interrupt.
    TooManyVirtio {
        /// How many.
        count: usize,
        /// How many there may be.
        most: usize,
    },
    /// The image of a disk is empty.
    EmptyDisk {
        /// Its entry in the archive.
        file: String,
    },
    /// The number of shared peripheral interrupts is impossible.
    BadSpiCount {
        /// How many.
        spis: u64,
    },
    /// A warm reset can't mean this.
    UnknownWarmReset {
        /// The name.
        name: String,
    },
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Place::Whole => write!(f, "machine description{}", self.problem),
            Place::Vm(vm) => write!(f, "machine description, vm {vm}{}", self.problem),
            Place::Key(vm, key) => {
                write!(f, "machine description, vm {vm}, {key}{}", self.problem)
            }
        }
    }
}

impl fmt::Display for Problem {
    // One arm for each variant: a table of texts, kept in one piece.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ManifestTooLarge { bytes } => write!(
                f,
                ": the manifest has {bytes} bytes; {} at most",
                limits::MAX_MANIFEST_BYTES
            ),
            Self::Tree(error) => write!(f, ": the manifest is not a device tree: {error}"),
            Self::Archive(error) => write!(f, ": {error}"),
            Self::NoManifest => write!(
                f,
                ": the archive has no file {}; pack it with the host tool",
                crate::FILE_NAME
            ),
            Self::WrongCompatible { found } => write!(
                f,
                ": the manifest's compatible is {found:?}; this version reads {:?}",
                crate::COMPATIBLE
            ),
            Self::Unknown { name, known } => {
                write!(f, ": unknown key {name:?}; known are {known}")
            }
            Self::Twice { name } => write!(f, ": {name:?} is there twice; once is right"),
            Self::Missing { name } => write!(f, ": {name} is missing"),
            Self::WrongForm {
                name,
                length,
                expected,
            } => write!(
                f,
                ": {name} is a value of {length} bytes; must be {expected}"
            ),
            Self::NoVms => write!(f, ": there is no VM; describe at least one"),
            Self::TooManyVms { count } => {
                write!(f, ": {count} VMs; {} at most", limits::MAX_VMS)
            }
            Self::BadName { name } => write!(
                f,
                " = {name:?}: not a name; use 1 to {} of a-z, 0-9 and -",
                limits::MAX_NAME
            ),
            Self::DuplicateName { name, first } => write!(
                f,
                " = {name:?}: vm {first} has that name already; each VM needs its own"
            ),
            Self::BadVcpuCount { vcpus } => write!(
                f,
                " = {vcpus}: impossible number of vCPUs; use 1 to {}",
                limits::MAX_VCPUS
            ),
            Self::TooManyVcpus { total } => write!(
                f,
                ": {total} vCPUs in all VMs up to this one; {} at most",
                limits::MAX_TOTAL_VCPUS
            ),
            Self::PinCount { pins, vcpus } => write!(
                f,
                ": {pins} CPUs for {vcpus} vCPUs; name one for each, or leave the key out"
            ),
            Self::AbsentCpu { cpu, cpus } => write!(
                f,
                " = {cpu}: the machine has no such CPU; use 0 to {}",
                cpus.saturating_sub(1)
            ),
            Self::UnknownDevice { name } => {
                write!(
                    f,
                    " = {name:?}: no such device; there are pl011, pvpanic, pl031, pl061, virtio-blk, \
                     virtio-rng and virtio-console"
                )
            }
            Self::DuplicateDevice { name } => {
                write!(f, " = {name:?}: the device is there twice; once is right")
            }
            Self::TooManyDevices { count } => write!(
                f,
                ": {count} devices are too many; give at most {}",
                limits::MAX_DEVICES
            ),
            Self::TooManyVirtio { count, most } => write!(
                f,
                ": there is room for {most} virtio devices with this number of interrupts, not for \
                 {count}"
            ),
            Self::EmptyDisk { file } => write!(f, " = {file:?}: the image of a disk is empty"),
            Self::BadSpiCount { spis } => write!(
                f,
                " = {spis}: impossible number of interrupts; use a multiple of 32 from {} to 960, \
                 or {}",
                limits::MIN_SPIS,
                limits::MAX_SPIS
            ),
            Self::UnknownWarmReset { name } => {
                write!(f, " = {name:?}: no such meaning; there are reset and crash")
            }
            Self::UnalignedMemory { bytes } => write!(
                f,
                " = {}: not a multiple of 2M; use {} or {}",
                Bytes(*bytes),
                Bytes(lower_granule(*bytes)),
                Bytes(lower_granule(*bytes).saturating_add(limits::MEMORY_GRANULE))
            ),
            Self::MemoryBeyondIpa { bytes, ipa_bits } => write!(
                f,
                " = {}: goes beyond guest addresses of {ipa_bits} bits; {} at most",
                Bytes(*bytes),
                Bytes(most_memory(*ipa_bits))
            ),
            Self::TooLittleRam {
                bytes,
                total,
                available,
            } => write!(
                f,
                " = {}: the VMs up to this one need {} and the machine has {} for them; give less",
                Bytes(*bytes),
                Bytes(*total),
                Bytes(*available)
            ),
            Self::LongCmdline { length } => write!(
                f,
                ": the command line has {length} bytes; {} at most",
                limits::MAX_CMDLINE
            ),
            Self::BadCmdline { character } => write!(
                f,
                ": {character:?} in the command line; only printable ASCII can be passed"
            ),
            Self::MissingFile { file } => {
                write!(f, " = {file:?}: there is no such file in the archive")
            }
            Self::Image { file, error } => write!(f, " = {file:?}: {error}"),
            Self::Layout { file, error } => write!(f, " = {file:?}: {error}"),
        }
    }
}

impl core::error::Error for ManifestError {}

/// Returns the most memory in bytes that guest-physical addresses of `ipa_bits` leave room for.
pub(crate) fn most_memory(ipa_bits: u8) -> u64 {
    1_u64
        .checked_shl(u32::from(ipa_bits))
        .unwrap_or(u64::MAX)
        .saturating_sub(map::RAM_BASE.get())
}

/// Rounds down to a size that memory can have, but not to 0.
fn lower_granule(bytes: u64) -> u64 {
    addr::align_down(bytes, limits::MEMORY_GRANULE).max(limits::MEMORY_GRANULE)
}

/// A number of bytes as a user would write it.
pub(crate) struct Bytes(pub(crate) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (shift, unit) in [(30, 'G'), (20, 'M'), (10, 'K')] {
            let whole = self.0 >> shift;
            if whole != 0 && whole << shift == self.0 {
                return write!(f, "{whole}{unit}");
            }
        }
        write!(f, "{}", self.0)
    }
}
