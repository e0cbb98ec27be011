//! How much a description may ask for. What the machine itself has limits it further.

use addr::BLOCK_2M;

/// Most VMs.
pub const MAX_VMS: usize = 64;

/// Most vCPUs of one VM: the redistributors that the guest's memory map has room for.
pub const MAX_VCPUS: u16 = guest_image::map::MAX_VCPUS;

/// Most vCPUs of all VMs together.
pub const MAX_TOTAL_VCPUS: u32 = 1024;

/// Longest name of a VM in bytes.
pub const MAX_NAME: usize = 31;

/// Longest command line in bytes: Linux's `COMMAND_LINE_SIZE` of 2048 less the NUL.
pub const MAX_CMDLINE: usize = 2047;

/// Longest name of a file in the archive, in bytes.
pub const MAX_FILE_NAME: usize = 255;

/// A VM's memory is a multiple of this many bytes: of the blocks that stage 2 maps.
pub const MEMORY_GRANULE: u64 = BLOCK_2M;

/// Most devices of one VM: one of each kind, and disks in the slots for virtio devices.
pub const MAX_DEVICES: usize = 40;

/// Bits of a guest-physical address, where the machine does not allow fewer.
pub const MAX_IPA_BITS: u8 = 48;

/// Fewest shared peripheral interrupts of a VM.
pub const MIN_SPIS: u16 = 32;

/// Most shared peripheral interrupts of a VM (IHI0069, 2.2.1).
pub const MAX_SPIS: u16 = 988;

/// Shared peripheral interrupts of a VM that does not say how many: all that the guest's memory map
/// names.
pub const DEFAULT_SPIS: u16 = 64;

/// Largest manifest in bytes.
pub const MAX_MANIFEST_BYTES: usize = 1024 * 1024;

/// Tells whether a VM can have `spis` shared peripheral interrupts: a multiple of 32, since
/// GICD_TYPER.ITLinesNumber counts interrupts in steps of 32, or all there are.
#[must_use]
pub const fn is_spi_count(spis: u16) -> bool {
    spis >= MIN_SPIS && (spis == MAX_SPIS || (spis < MAX_SPIS && spis.is_multiple_of(32)))
}
