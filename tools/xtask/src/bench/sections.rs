//! The image's size, by section.

use anyhow::{Context, Result};
use object::{Object, ObjectSection};
use std::path::Path;

/// Returns the sections that take memory, with their sizes in bytes.
pub(super) fn read(elf: &Path) -> Result<Vec<(String, u64)>> {
    let bytes = std::fs::read(elf).with_context(|| format!("cannot read {}", elf.display()))?;
    let file = object::File::parse(&*bytes).context("the image is no ELF")?;
    Ok(file
        .sections()
        .filter(|section| section.size() != 0 && section.address() != 0)
        .map(|section| (section.name().unwrap_or("?").to_owned(), section.size()))
        .collect())
}
