//! Finds a VM's files in the archive and places them in its memory.

use crate::error::{ManifestError, Place, Problem};
use crate::key::Key;
use crate::{Description, DiskAccess, KernelFormat, VmDescription, from_dtb, limits};
use addr::VmId;
use alloc::string::String;
use alloc::vec::Vec;
use archive::{Archive, Entry};
use guest_image::{
    KernelPlacement, Layout, LayoutError, LayoutRequest, MAX_DTB_BYTES, layout, parse_image,
};

/// Checks the archive that `bytes` begin with, and reads the manifest in it.
///
/// # Errors
/// [`ManifestError`] if the bytes are no archive, it has no file [`crate::FILE_NAME`], or
/// [`from_dtb`] refuses that.
pub fn open(bytes: &[u8]) -> Result<(Archive<'_>, Description), ManifestError> {
    let whole = |problem| Place::Whole.error(problem);
    let archive = Archive::parse(bytes).map_err(|error| whole(Problem::Archive(error)))?;
    let manifest = archive
        .find(crate::FILE_NAME)
        .ok_or_else(|| whole(Problem::NoManifest))?;
    Ok((archive, from_dtb(manifest.data)?))
}

/// What is copied into a VM's memory before it starts, and where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootFiles<'a> {
    /// The kernel; its bytes go to [`Layout::kernel`].
    pub kernel: Entry<'a>,
    /// The initial file system; its bytes go to [`Layout::initrd`].
    pub initrd: Option<Entry<'a>>,
    /// Where everything goes.
    pub layout: Layout,
    /// The images of the disks, in the order of [`VmDescription::disks`]: not copied into the VM's
    /// memory, but read from where they are.
    pub disks: Vec<Entry<'a>>,
}

/// Returns how much memory the VM needs beside its own, for what it writes to its disks: whole
/// blocks.
#[must_use]
pub fn disk_memory(description: &VmDescription, files: &BootFiles<'_>) -> u64 {
    let disks = description.disks().zip(&files.disks);
    disks
        .filter(|(disk, _)| disk.access == DiskAccess::ReadWrite)
        .map(|(_, entry)| addr::align_up(size(entry), limits::MEMORY_GRANULE).unwrap_or(u64::MAX))
        .fold(0, u64::saturating_add)
}

/// Finds the files of `description`, the VM number `vm`, and places them.
///
/// # Errors
/// [`ManifestError`] if a file is missing, the kernel's header is wrong, or the files do not fit in
/// the VM's memory; none of these after [`crate::validate`].
pub fn boot_files<'a>(
    vm: VmId,
    description: &VmDescription,
    archive: &Archive<'a>,
) -> Result<BootFiles<'a>, ManifestError> {
    let find = |key, name: &String| {
        archive
            .find(name)
            .ok_or_else(|| Place::Key(vm, key).error(Problem::MissingFile { file: name.clone() }))
    };
    let file = &description.kernel.file;
    let kernel = find(Key::Kernel, file)?;
    let initrd = description
        .initrd
        .as_ref()
        .map(|name| find(Key::Initrd, name))
        .transpose()?;
    let placement = match description.kernel.format {
        KernelFormat::Image => {
            let header = parse_image(kernel.data).map_err(|error| {
                let file = file.clone();
                Place::Key(vm, Key::Kernel).error(Problem::Image { file, error })
            })?;
            KernelPlacement::Image(header)
        }
        KernelFormat::Flat => KernelPlacement::Flat,
        KernelFormat::Raw {
            load,
            entry,
            memory_size,
        } => KernelPlacement::Fixed {
            load,
            entry,
            memory_size,
        },
    };
    let ram = description.ram().map_err(|_| {
        let bytes = description.memory;
        Place::Key(vm, Key::Memory).error(Problem::UnalignedMemory { bytes })
    })?;
    let request = LayoutRequest {
        ram,
        kernel: placement,
        kernel_bytes: size(&kernel),
        initrd_bytes: initrd.as_ref().map_or(0, size),
        dtb_max: MAX_DTB_BYTES,
    };
    let layout = layout(&request).map_err(|error| layout_error(vm, description, error))?;
    let mut disks = Vec::new();
    for disk in description.disks() {
        let entry = find(Key::Devices, &disk.image)?;
        if entry.data.is_empty() {
            let file = disk.image.clone();
            return Err(Place::Key(vm, Key::Devices).error(Problem::EmptyDisk { file }));
        }
        disks.push(entry);
    }
    Ok(BootFiles {
        kernel,
        initrd,
        layout,
        disks,
    })
}

fn size(entry: &Entry<'_>) -> u64 {
    u64::try_from(entry.data.len()).unwrap_or(u64::MAX)
}

/// Blames the key whose change would help.
fn layout_error(vm: VmId, description: &VmDescription, error: LayoutError) -> ManifestError {
    let (key, file) = match error {
        LayoutError::NoRoomForInitrd { .. } => (Key::Initrd, description.initrd.clone()),
        LayoutError::EmptyKernel
        | LayoutError::KernelOutside { .. }
        | LayoutError::EntryOutside { .. }
        | LayoutError::DtbSize { .. }
        | LayoutError::NoRoomForDtb { .. } => (Key::Kernel, Some(description.kernel.file.clone())),
    };
    let file = file.unwrap_or_default();
    Place::Key(vm, key).error(Problem::Layout { file, error })
}
