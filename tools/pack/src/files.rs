//! Loads kernels: what they are is told by their content, not by their name.

use crate::elf;
use flate2::read::GzDecoder;
use guest_image::{KernelKind, recognise};
use manifest::KernelFormat;
use std::io::Read;

/// Most bytes that a compressed kernel or an ELF file may become.
pub(crate) const MAX_UNPACKED_BYTES: usize = 512 * 1024 * 1024;

/// Turns the bytes of a kernel's file into those that go into the archive.
pub(crate) fn unpack_kernel(bytes: Vec<u8>) -> Result<(Vec<u8>, KernelFormat), String> {
    let bytes = match recognise(&bytes) {
        KernelKind::Gzip => gunzip(&bytes)?,
        KernelKind::Image | KernelKind::Elf | KernelKind::EfiZboot | KernelKind::Flat => bytes,
    };
    match recognise(&bytes) {
        KernelKind::Image => Ok((bytes, KernelFormat::Image)),
        KernelKind::Flat => Ok((bytes, KernelFormat::Flat)),
        KernelKind::Elf => elf::flatten(&bytes).map(|image| (image.bytes, image.format)),
        KernelKind::Gzip => Err("compressed twice; unpack it once".to_owned()),
        KernelKind::EfiZboot => Err(
            "a Linux kernel packed for EFI firmware (vmlinuz.efi); use the Image it was made from"
                .to_owned(),
        ),
    }
}

fn gunzip(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let limit = u64::try_from(MAX_UNPACKED_BYTES).unwrap_or(u64::MAX);
    let mut unpacked = Vec::new();
    GzDecoder::new(bytes)
        .take(limit.saturating_add(1))
        .read_to_end(&mut unpacked)
        .map_err(|error| format!("can't be unpacked with gzip: {error}"))?;
    if unpacked.len() > MAX_UNPACKED_BYTES {
        return Err(format!(
            "unpacks to more than {MAX_UNPACKED_BYTES} bytes; no kernel is so large"
        ));
    }
    Ok(unpacked)
}
