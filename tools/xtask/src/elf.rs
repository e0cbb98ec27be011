//! Turns an ELF into the raw binary that a boot loader copies to memory.

use anyhow::{Context, Result, bail, ensure};
use object::LittleEndian;
use object::elf::{EM_AARCH64, FileHeader64, PT_LOAD};
use object::read::elf::{FileHeader, ProgramHeader};

/// The largest raw binary that is believed; a gap of gigabytes is a mistake in a linker script.
const MAX_RAW_SIZE: u64 = 64 << 20;

/// Returns the bytes of an aarch64 ELF's loadable segments by physical address.
///
/// Gaps are zero-filled; memory after the last byte of the file (.bss) is left to the image. Fails
/// on anything but a 64-bit little-endian aarch64 ELF, on overlapping segments, on an entry point
/// elsewhere than at the first byte, and on more than 64 MiB.
pub(crate) fn to_raw(elf: &[u8]) -> Result<Vec<u8>> {
    let header = FileHeader64::<LittleEndian>::parse(elf).context("not a 64-bit ELF")?;
    let endian = header.endian().context("not a little-endian ELF")?;
    ensure!(
        header.e_machine(endian) == EM_AARCH64,
        "not an aarch64 ELF: machine {}",
        header.e_machine(endian)
    );
    let mut segments = Vec::new();
    for segment in header.program_headers(endian, elf)? {
        if segment.p_type(endian) != PT_LOAD || segment.p_filesz(endian) == 0 {
            continue;
        }
        let Ok(bytes) = segment.data(endian, elf) else {
            bail!("a segment lies outside the file");
        };
        segments.push(Segment {
            physical: segment.p_paddr(endian),
            virt: segment.p_vaddr(endian),
            bytes,
        });
    }
    segments.sort_by_key(|segment| segment.physical);
    let first = segments.first().context("the ELF loads nothing")?;
    ensure!(
        header.e_entry(endian) == first.virt,
        "the entry point {:#x} is not the first byte of the image ({:#x})",
        header.e_entry(endian),
        first.virt
    );
    lay_out(&segments)
}

/// Checks that a raw binary starts with the arm64 Linux `Image` header, which makes the emulator
/// hand over a device tree (Linux, Documentation/arch/arm64/booting.rst, "Call the kernel image").
pub(crate) fn check_image_header(raw: &[u8]) -> Result<()> {
    let magic = raw
        .get(56..60)
        .context("the image is shorter than its header")?;
    ensure!(
        magic == b"ARM\x64",
        "the image does not start with an arm64 Image header (magic at offset 56 is {magic:02x?})"
    );
    Ok(())
}

struct Segment<'a> {
    physical: u64,
    virt: u64,
    bytes: &'a [u8],
}

fn lay_out(segments: &[Segment<'_>]) -> Result<Vec<u8>> {
    let base = segments.first().map_or(0, |segment| segment.physical);
    let mut raw = Vec::new();
    for segment in segments {
        let offset = segment.physical - base;
        ensure!(
            offset.saturating_add(segment.bytes.len() as u64) <= MAX_RAW_SIZE,
            "the segment at {:#x} makes the image larger than {} MiB",
            segment.physical,
            MAX_RAW_SIZE >> 20
        );
        let offset = usize::try_from(offset)?;
        ensure!(
            offset >= raw.len(),
            "the segment at {:#x} overlaps the one before it",
            segment.physical
        );
        raw.resize(offset, 0);
        raw.extend_from_slice(segment.bytes);
    }
    Ok(raw)
}

#[cfg(test)]
mod tests {
    use super::*;
    use object::elf::{EM_X86_64, Machine};

    /// Builds an ELF of loadable segments: (virtual, physical, bytes, size in memory).
    fn elf(entry: u64, machine: Machine, segments: &[(u64, u64, &[u8], u64)]) -> Vec<u8> {
        let mut out = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        out.extend(2u16.to_le_bytes());
        out.extend(machine.0.to_le_bytes());
        out.extend(1u32.to_le_bytes());
        out.extend(entry.to_le_bytes());
        out.extend(64u64.to_le_bytes());
        out.extend(0u64.to_le_bytes());
        out.extend(0u32.to_le_bytes());
        for half in [64u16, 56, segments.len() as u16, 64, 0, 0] {
            out.extend(half.to_le_bytes());
        }
        let mut offset = 64 + 56 * segments.len() as u64;
        for (virt, physical, bytes, memory) in segments {
            out.extend(PT_LOAD.0.to_le_bytes());
            out.extend(5u32.to_le_bytes());
            for word in [offset, *virt, *physical, bytes.len() as u64, *memory, 1] {
                out.extend(word.to_le_bytes());
            }
            offset += bytes.len() as u64;
        }
        for (_, _, bytes, _) in segments {
            out.extend(*bytes);
        }
        out
    }

    #[test]
    fn segments_are_placed_by_physical_address_with_zeroed_gaps_and_no_bss() {
        let input = elf(
            0x1000,
            EM_AARCH64,
            &[
                (0x9000, 0x4000_0008, b"data", 0x1000),
                (0x1000, 0x4000_0000, b"text", 4),
            ],
        );
        assert_eq!(to_raw(&input).unwrap(), b"text\0\0\0\0data");
    }

    #[test]
    fn overlapping_segments_are_refused() {
        let input = elf(
            0,
            EM_AARCH64,
            &[(0, 0x1000, b"abcd", 4), (2, 0x1002, b"ef", 2)],
        );
        assert!(to_raw(&input).unwrap_err().to_string().contains("overlap"));
    }

    #[test]
    fn an_entry_point_elsewhere_is_refused() {
        let input = elf(4, EM_AARCH64, &[(0, 0x1000, b"abcdefgh", 8)]);
        assert!(to_raw(&input).unwrap_err().to_string().contains("entry"));
    }

    #[test]
    fn a_distant_segment_is_refused_instead_of_filling_memory() {
        let input = elf(
            0,
            EM_AARCH64,
            &[(0, 0, b"a", 1), (0, u64::MAX - 1, b"b", 1)],
        );
        assert!(to_raw(&input).unwrap_err().to_string().contains("64 MiB"));
    }

    #[test]
    fn other_machines_and_other_files_are_refused() {
        assert!(to_raw(&elf(0, EM_X86_64, &[(0, 0, b"a", 1)])).is_err());
        assert!(to_raw(b"MZ").is_err());
        assert!(to_raw(&elf(0, EM_AARCH64, &[])).is_err());
    }

    #[test]
    fn the_image_header_is_recognized_by_its_magic() {
        let mut raw = vec![0; 64];
        assert!(check_image_header(&raw).is_err());
        raw[56..60].copy_from_slice(b"ARM\x64");
        assert!(check_image_header(&raw).is_ok());
        assert!(check_image_header(&raw[..40]).is_err());
    }
}
