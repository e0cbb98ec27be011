//! Places a guest's boot files in its memory.
//!
//! The kernel lies at the start of memory, the device tree in a 2 MB block of its own at the end,
//! and the initial file system right below the device tree. So the kernel has as much free memory
//! behind it as there can be, which matters to one that does not say how large its `.bss` is.

use crate::ImageHeader;
use addr::{Address, BLOCK_1G, BLOCK_2M, Ipa, IpaRange, PAGE_SIZE, align_down, align_up};
use core::fmt;

/// Largest device tree in bytes that Linux takes (`booting.rst`, section 2).
pub const MAX_DTB_BYTES: u64 = BLOCK_2M;

/// Distance of a flat binary from the start of memory, in bytes: what loaders have used for kernels
/// that do not say where they want to be.
const FLAT_OFFSET: u64 = 0x8_0000;

/// Kernel and initial file system must lie within this many bytes (`booting.rst`, section 3).
const INITRD_WINDOW: u64 = 32_u64.wrapping_mul(BLOCK_1G);

/// What is to be placed, and in which memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayoutRequest {
    /// The guest's memory.
    pub ram: IpaRange,
    /// How the kernel wants to be placed.
    pub kernel: KernelPlacement,
    /// Size of the kernel's file in bytes.
    pub kernel_bytes: u64,
    /// Size of the initial file system in bytes; 0 if there is none.
    pub initrd_bytes: u64,
    /// Most bytes that the device tree may take.
    pub dtb_max: u64,
}

/// How a kernel wants to be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelPlacement {
    /// As the header of its `Image` says.
    Image(ImageHeader),
    /// 512 KB above the start of memory, and entered there.
    Flat,
    /// At fixed addresses.
    Fixed {
        /// Where the first byte goes.
        load: Ipa,
        /// Where the kernel is entered.
        entry: Ipa,
        /// Memory that the kernel takes from its first byte on, in bytes, `.bss` included.
        memory_size: u64,
    },
}

/// Where everything goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Where the kernel's file goes.
    pub kernel: Ipa,
    /// Where the kernel is entered.
    pub entry: Ipa,
    /// Where the initial file system goes, to the byte; its start is page-aligned.
    pub initrd: Option<IpaRange>,
    /// Where the device tree may lie; the start is 2 MB aligned.
    pub dtb: IpaRange,
}

/// Why the files can't be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayoutError {
    /// The kernel's file has no bytes.
    EmptyKernel,
    /// The kernel does not lie in memory, or not all of it.
    KernelOutside {
        /// Where its first byte would be.
        start: u64,
        /// The memory that it takes, in bytes.
        size: u64,
        /// The guest's memory.
        ram: IpaRange,
    },
    /// The kernel's entry does not lie in its file.
    EntryOutside {
        /// The entry.
        entry: Ipa,
        /// Where the kernel's file goes.
        kernel: IpaRange,
    },
    /// The place for the device tree is empty or larger than [`MAX_DTB_BYTES`].
    DtbSize {
        /// Its size in bytes.
        size: u64,
    },
    /// There is no place for the device tree behind the kernel.
    NoRoomForDtb {
        /// Where the kernel ends.
        kernel_end: Ipa,
        /// The guest's memory.
        ram: IpaRange,
    },
    /// There is no place for the initial file system between kernel and device tree.
    NoRoomForInitrd {
        /// Its size in bytes.
        size: u64,
        /// How much there is, in bytes.
        free: u64,
    },
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::EmptyKernel => write!(f, "the kernel is an empty file"),
            Self::KernelOutside { start, size, ram } => write!(
                f,
                "the kernel takes {size:#x} bytes at {start:#x}, not all of them in the memory \
                 {ram}; give the VM more memory or another kernel"
            ),
            Self::EntryOutside { entry, kernel } => write!(
                f,
                "the kernel is entered at {entry}; must lie in its file, at {kernel}"
            ),
            Self::DtbSize { size } => write!(
                f,
                "{size} bytes for the device tree; 1 to {MAX_DTB_BYTES} are possible"
            ),
            Self::NoRoomForDtb { kernel_end, ram } => write!(
                f,
                "no 2 MB block for the device tree between the kernel's end at {kernel_end} and \
                 the end of the memory {ram}; give the VM more memory"
            ),
            Self::NoRoomForInitrd { size, free } => write!(
                f,
                "the initrd has {size} bytes and {free} are free between kernel and device tree; \
                 give the VM more memory"
            ),
        }
    }
}

impl core::error::Error for LayoutError {}

/// Places the files so that all lie in memory and none overlaps another.
///
/// # Errors
/// [`LayoutError`] says what does not fit.
pub fn layout(request: &LayoutRequest) -> Result<Layout, LayoutError> {
    let (kernel, entry) = place_kernel(request)?;
    let dtb = place_dtb(request, kernel)?;
    let initrd = place_initrd(request, kernel, dtb)?;
    Ok(Layout {
        kernel: kernel.start(),
        entry,
        initrd,
        dtb,
    })
}

/// Returns the memory that the kernel takes, `.bss` included, and its entry.
fn place_kernel(request: &LayoutRequest) -> Result<(IpaRange, Ipa), LayoutError> {
    let ram = request.ram;
    if request.kernel_bytes == 0 {
        return Err(LayoutError::EmptyKernel);
    }
    let (start, entry, memory_size) = match request.kernel {
        KernelPlacement::Image(header) => {
            let start = align_up(ram.start().get(), BLOCK_2M)
                .and_then(|base| base.checked_add(header.text_offset));
            (start, None, header.image_size)
        }
        KernelPlacement::Flat => (ram.start().get().checked_add(FLAT_OFFSET), None, 0),
        KernelPlacement::Fixed {
            load,
            entry,
            memory_size,
        } => (Some(load.get()), Some(entry), memory_size),
    };
    // A file longer than the memory that its header asks for is loaded whole nevertheless.
    let size = memory_size.max(request.kernel_bytes);
    let start = start.unwrap_or(u64::MAX);
    let outside = LayoutError::KernelOutside { start, size, ram };
    let kernel = IpaRange::new(Ipa::new(start), size).map_err(|_| outside)?;
    if !ram.contains_range(kernel) {
        return Err(outside);
    }
    let entry = entry.unwrap_or(kernel.start());
    let file = IpaRange::new(kernel.start(), request.kernel_bytes).map_err(|_| outside)?;
    if !file.contains(entry) {
        return Err(LayoutError::EntryOutside {
            entry,
            kernel: file,
        });
    }
    Ok((kernel, entry))
}

/// Returns the last 2 MB block of the memory that a loader may use, cut to the size asked for.
fn place_dtb(request: &LayoutRequest, kernel: IpaRange) -> Result<IpaRange, LayoutError> {
    let ram = request.ram;
    if request.dtb_max == 0 || request.dtb_max > MAX_DTB_BYTES {
        return Err(LayoutError::DtbSize {
            size: request.dtb_max,
        });
    }
    let no_room = LayoutError::NoRoomForDtb {
        kernel_end: kernel.end(),
        ram,
    };
    let window_end = align_down(ram.start().get(), BLOCK_1G).saturating_add(INITRD_WINDOW);
    let end = align_down(ram.end().get().min(window_end), BLOCK_2M);
    let start = end.checked_sub(BLOCK_2M).ok_or(no_room)?;
    if start < kernel.end().get() {
        return Err(no_room);
    }
    IpaRange::new(Ipa::new(start), request.dtb_max).map_err(|_| no_room)
}

/// Returns the pages right below the device tree.
fn place_initrd(
    request: &LayoutRequest,
    kernel: IpaRange,
    dtb: IpaRange,
) -> Result<Option<IpaRange>, LayoutError> {
    let size = request.initrd_bytes;
    if size == 0 {
        return Ok(None);
    }
    let no_room = LayoutError::NoRoomForInitrd {
        size,
        free: dtb.start().offset_from(kernel.end()).unwrap_or(0),
    };
    let start = dtb.start().checked_sub(size).ok_or(no_room)?;
    let start = Ipa::new(align_down(start.get(), PAGE_SIZE));
    if start < kernel.end() {
        return Err(no_room);
    }
    IpaRange::new(start, size).map(Some).map_err(|_| no_room)
}

#[cfg(test)]
mod tests;
