//! Makes a memory image of an ELF file, so that nothing at boot has to read ELF.

use crate::files::MAX_UNPACKED_BYTES;
use addr::Ipa;
use manifest::KernelFormat;
use object::LittleEndian;
use object::elf::{EM_AARCH64, FileHeader64, PT_LOAD, ProgramHeader64};
use object::read::elf::{FileHeader, ProgramHeader};

/// What an ELF file puts into memory.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MemoryImage {
    pub(crate) bytes: Vec<u8>,
    /// Always [`KernelFormat::Raw`].
    pub(crate) format: KernelFormat,
}

/// One loadable segment.
#[derive(Clone, Copy)]
struct Segment<'a> {
    physical: u64,
    end: u64,
    data: &'a [u8],
}

/// Puts the loadable segments of an ELF file where their physical addresses say, relative to the
/// lowest. The part of the last segment that is in memory only is counted, not stored.
pub(crate) fn flatten(file: &[u8]) -> Result<MemoryImage, String> {
    let header = FileHeader64::<LittleEndian>::parse(file)
        .map_err(|error| format!("not a 64-bit ELF file: {error}"))?;
    let endian = header
        .endian()
        .map_err(|_| "a big-endian ELF file; only little-endian ones can be started".to_owned())?;
    let machine = header.e_machine(endian);
    if machine != EM_AARCH64 {
        return Err(format!(
            "an ELF file for machine {machine:?}; must be for AArch64 (183)"
        ));
    }
    let headers = header
        .program_headers(endian, file)
        .map_err(|error| format!("an ELF file with a wrong program header: {error}"))?;
    let loadable = headers
        .iter()
        .filter(|header| header.p_type(endian) == PT_LOAD && header.p_memsz(endian) != 0);
    let mut segments = loadable
        .clone()
        .map(|header| segment(header, endian, file))
        .collect::<Result<Vec<_>, _>>()?;
    segments.sort_by_key(|segment| segment.physical);
    let (bytes, load, memory_size) = join(&segments)?;
    let entry = header.e_entry(endian);
    let physical_entry = loadable
        .filter_map(|header| physical(header, endian, entry))
        .next()
        .ok_or_else(|| format!("an ELF file whose entry {entry:#x} lies in no segment"))?;
    Ok(MemoryImage {
        bytes,
        format: KernelFormat::Raw {
            load: Ipa::new(load),
            entry: Ipa::new(physical_entry),
            memory_size,
        },
    })
}

fn segment<'a>(
    header: &ProgramHeader64<LittleEndian>,
    endian: LittleEndian,
    file: &'a [u8],
) -> Result<Segment<'a>, String> {
    let physical = header.p_paddr(endian);
    let wrong = |what| format!("an ELF file whose segment at {physical:#x} {what}");
    let data = header
        .data(endian, file)
        .map_err(|()| wrong("lies beyond the end of the file"))?;
    let size = header.p_memsz(endian);
    if u64::try_from(data.len()).map_or(true, |stored| stored > size) {
        return Err(wrong("has more bytes in the file than in memory"));
    }
    let end = physical.checked_add(size);
    Ok(Segment {
        physical,
        end: end.ok_or_else(|| wrong("goes beyond 64 bits"))?,
        data,
    })
}

/// Joins sorted segments; returns bytes, first address, and size in memory.
fn join(segments: &[Segment<'_>]) -> Result<(Vec<u8>, u64, u64), String> {
    let Some(load) = segments.first().map(|segment| segment.physical) else {
        return Err("an ELF file without loadable segments".to_owned());
    };
    let mut bytes = Vec::new();
    let mut last_end = load;
    for segment in segments {
        let Segment {
            physical,
            end,
            data,
        } = *segment;
        if physical < last_end {
            return Err(format!(
                "an ELF file whose segments overlap at {physical:#x}"
            ));
        }
        let offset = usize::try_from(physical.saturating_sub(load)).unwrap_or(usize::MAX);
        if offset.saturating_add(data.len()) > MAX_UNPACKED_BYTES {
            return Err(format!(
                "an ELF file whose segments span more than {MAX_UNPACKED_BYTES} bytes from \
                 {load:#x} on; check the physical addresses"
            ));
        }
        if !data.is_empty() {
            bytes.resize(offset, 0);
            bytes.extend_from_slice(data);
        }
        last_end = end;
    }
    Ok((bytes, load, last_end.saturating_sub(load)))
}

/// Translates a virtual address with a segment that holds it.
fn physical(
    header: &ProgramHeader64<LittleEndian>,
    endian: LittleEndian,
    address: u64,
) -> Option<u64> {
    let offset = address.checked_sub(header.p_vaddr(endian))?;
    if offset >= header.p_memsz(endian) {
        return None;
    }
    header.p_paddr(endian).checked_add(offset)
}
