//! The header of an arm64 Linux `Image` (Linux, `Documentation/arch/arm64/booting.rst`, section 4).

use addr::PAGE_SIZE;
use core::fmt;

/// Where the magic number stands in the header, in bytes.
pub(crate) const IMAGE_MAGIC_OFFSET: usize = 56;

/// The magic number of the header.
pub(crate) const IMAGE_MAGIC: [u8; 4] = *b"ARM\x64";

/// Size of the header in bytes.
const HEADER_SIZE: usize = 64;

/// What the header of an `Image` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageHeader {
    /// Distance of the image from a 2 MB boundary, in bytes.
    pub text_offset: u64,
    /// Memory that the kernel takes from its first byte on, `.bss` included; never 0.
    pub image_size: u64,
    /// The translation granule that the kernel was built for.
    pub granule: GranuleSize,
    /// Where the kernel wants to be.
    pub placement: Placement,
}

/// The translation granule that a kernel was built for (flags, bits 2–1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GranuleSize {
    /// The header does not say.
    Unspecified,
    /// 4 KB pages.
    Kib4,
    /// 16 KB pages.
    Kib16,
    /// 64 KB pages.
    Kib64,
}

/// Where a kernel wants to be (flags, bit 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Near the start of memory, since it can't use memory below itself.
    NearStart,
    /// On any 2 MB boundary.
    Anywhere,
}

/// Why a file is not a bootable `Image`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageError {
    /// The file is shorter than the header.
    TooShort {
        /// Length of the file in bytes.
        length: usize,
    },
    /// The magic number is wrong.
    BadMagic {
        /// What stands in its place.
        found: [u8; 4],
    },
    /// The header does not say how much memory the kernel needs.
    NoImageSize,
    /// The offset from the 2 MB boundary is not a multiple of a page.
    UnalignedTextOffset {
        /// The offset in bytes.
        text_offset: u64,
    },
    /// The kernel is big-endian.
    BigEndian {
        /// The flags of the header.
        flags: u64,
    },
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TooShort { length } => write!(
                f,
                "the kernel has {length} bytes; the header of an arm64 Image alone has \
                 {HEADER_SIZE}"
            ),
            Self::BadMagic { found } => write!(
                f,
                "the kernel has {found:02x?} at byte {IMAGE_MAGIC_OFFSET}; an arm64 Image has \
                 {IMAGE_MAGIC:02x?} (\"ARM\\x64\") there"
            ),
            Self::NoImageSize => write!(
                f,
                "the kernel's header has image_size 0, so that its need of memory is unknown; \
                 Linux 3.17 or newer states it"
            ),
            Self::UnalignedTextOffset { text_offset } => write!(
                f,
                "the kernel's header has text_offset {text_offset:#x}; must be a multiple of \
                 {PAGE_SIZE:#x}"
            ),
            Self::BigEndian { flags } => write!(
                f,
                "the kernel's header has flags {flags:#x}, bit 0 of which means big-endian; only \
                 little-endian kernels can be started"
            ),
        }
    }
}

impl core::error::Error for ImageError {}

/// Reads the header that an arm64 `Image` begins with. Nothing is said about the code behind it,
/// and `image_size` is still an allegation: [`crate::layout`] compares it with the memory.
///
/// # Errors
/// [`ImageError`] if the file is too short, is something else, or can't be started.
pub fn parse_image(bytes: &[u8]) -> Result<ImageHeader, ImageError> {
    let header: &[u8; HEADER_SIZE] = bytes.first_chunk().ok_or(ImageError::TooShort {
        length: bytes.len(),
    })?;
    let found = field(header, IMAGE_MAGIC_OFFSET);
    if found != IMAGE_MAGIC {
        return Err(ImageError::BadMagic { found });
    }
    let text_offset = u64::from_le_bytes(field(header, 8));
    let image_size = u64::from_le_bytes(field(header, 16));
    let flags = u64::from_le_bytes(field(header, 24));
    if image_size == 0 {
        return Err(ImageError::NoImageSize);
    }
    if text_offset % PAGE_SIZE != 0 {
        return Err(ImageError::UnalignedTextOffset { text_offset });
    }
    if flags & 1 != 0 {
        return Err(ImageError::BigEndian { flags });
    }
    Ok(ImageHeader {
        text_offset,
        image_size,
        granule: match flags >> 1 & 3 {
            0 => GranuleSize::Unspecified,
            1 => GranuleSize::Kib4,
            2 => GranuleSize::Kib16,
            _ => GranuleSize::Kib64,
        },
        placement: match flags >> 3 & 1 {
            0 => Placement::NearStart,
            _ => Placement::Anywhere,
        },
    })
}

/// Copies `N` bytes at `offset` out of the header. All offsets are constants of this file.
fn field<const N: usize>(header: &[u8; HEADER_SIZE], offset: usize) -> [u8; N] {
    header
        .get(offset..)
        .and_then(|rest| rest.first_chunk())
        .copied()
        .unwrap_or([0; N])
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn image(text_offset: u64, image_size: u64, flags: u64) -> Vec<u8> {
        let mut bytes = Vec::from([0; 8]);
        for field in [text_offset, image_size, flags, 0, 0, 0] {
            bytes.extend(field.to_le_bytes());
        }
        bytes.extend(b"ARM\x64\0\0\0\0");
        bytes
    }

    #[test]
    fn the_header_of_a_debian_kernel_is_read() {
        // The values of Debian's 6.1 kernel for arm64.
        let header = parse_image(&image(0, 0x1ed_0000, 0xa)).unwrap();
        assert_eq!(
            header,
            ImageHeader {
                text_offset: 0,
                image_size: 0x1ed_0000,
                granule: GranuleSize::Kib4,
                placement: Placement::Anywhere,
            }
        );
        let old = parse_image(&image(0x80000, 1, 0)).unwrap();
        assert_eq!(old.text_offset, 0x80000);
        assert_eq!(old.granule, GranuleSize::Unspecified);
        assert_eq!(old.placement, Placement::NearStart);
        assert_eq!(
            parse_image(&image(0, 1, 4)).unwrap().granule,
            GranuleSize::Kib16
        );
        assert_eq!(
            parse_image(&image(0, 1, 6)).unwrap().granule,
            GranuleSize::Kib64
        );
    }

    #[test]
    fn h2_every_file_shorter_than_the_header_is_refused() {
        let bytes = image(0, 1, 0);
        for length in 0..bytes.len() {
            assert_eq!(
                parse_image(&bytes[..length]),
                Err(ImageError::TooShort { length })
            );
        }
    }

    #[test]
    fn h2_wrong_headers_are_refused() {
        assert_eq!(parse_image(&image(0, 0, 0)), Err(ImageError::NoImageSize));
        assert_eq!(
            parse_image(&image(1, 1, 0)),
            Err(ImageError::UnalignedTextOffset { text_offset: 1 })
        );
        assert_eq!(
            parse_image(&image(0, 1, 3)),
            Err(ImageError::BigEndian { flags: 3 })
        );
        for bit in 0..32 {
            let mut bytes = image(0, 1, 0);
            bytes[56 + bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(
                parse_image(&bytes),
                Err(ImageError::BadMagic { .. })
            ));
        }
    }

    #[test]
    fn h2_no_flipped_bit_causes_a_panic() {
        let bytes = image(0x80000, 0x100_0000, 0xa);
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let _ = parse_image(&bytes);
        }
    }
}
