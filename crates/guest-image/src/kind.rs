//! Recognises what a kernel file is by its first bytes.

use crate::header::{IMAGE_MAGIC, IMAGE_MAGIC_OFFSET};

/// What a kernel file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelKind {
    /// An arm64 Linux `Image`: machine code behind a header of 64 bytes.
    Image,
    /// Something compressed with gzip, for example `Image.gz`.
    Gzip,
    /// An ELF file, of whatever machine.
    Elf,
    /// An EFI application that unpacks a compressed Linux kernel (`vmlinuz.efi`); it runs only
    /// under EFI firmware.
    EfiZboot,
    /// Anything else: machine code that is entered at its first byte.
    Flat,
}

/// Recognises a kernel file by its content. Total: what has no known mark is a flat binary.
#[must_use]
pub fn recognise(bytes: &[u8]) -> KernelKind {
    let mark = |offset: usize, mark: &[u8]| {
        bytes
            .get(offset..)
            .is_some_and(|rest| rest.starts_with(mark))
    };
    if mark(IMAGE_MAGIC_OFFSET, &IMAGE_MAGIC) {
        KernelKind::Image
    } else if mark(0, &[0x1f, 0x8b]) {
        KernelKind::Gzip
    } else if mark(0, b"\x7fELF") {
        KernelKind::Elf
    } else if mark(0, b"MZ") && mark(4, b"zimg") {
        KernelKind::EfiZboot
    } else {
        KernelKind::Flat
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn each_kind_has_its_mark() {
        let mut image = vec![0; 64];
        image[56..60].copy_from_slice(b"ARM\x64");
        assert_eq!(recognise(&image), KernelKind::Image);
        image[0..2].copy_from_slice(b"MZ");
        assert_eq!(recognise(&image), KernelKind::Image, "an EFI stub too");
        assert_eq!(recognise(&[0x1f, 0x8b, 8]), KernelKind::Gzip);
        assert_eq!(recognise(b"\x7fELF\x02\x01"), KernelKind::Elf);
        assert_eq!(recognise(b"MZ\0\0zimg...."), KernelKind::EfiZboot);
    }

    #[test]
    fn h2_whatever_is_too_short_for_a_mark_is_flat() {
        for bytes in [&b""[..], b"\x1f", b"\x7fEL", b"MZ\0\0zim"] {
            assert_eq!(recognise(bytes), KernelKind::Flat);
        }
        let mut image = vec![0; 60];
        image[56..60].copy_from_slice(b"ARM\x64");
        assert_eq!(recognise(&image), KernelKind::Image);
        assert_eq!(recognise(&image[..59]), KernelKind::Flat);
    }
}
