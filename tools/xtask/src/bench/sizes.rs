//! The image's size, by section and by crate.

use crate::images::Image;
use crate::paths;
use addr2line::Loader;
use anyhow::{Context, Result, anyhow};
use object::{Object, ObjectSection};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Range;
use std::path::{Component, Path};

/// Crates that model devices.
const DEVICES: &[&str] = &["device-model", "devices", "virtio"];

/// Crates that describe, read or load what the machine and its guests are made of.
const LOADER: &[&str] = &[
    "archive",
    "board",
    "fdt",
    "guest-dtb",
    "guest-image",
    "manifest",
];

/// What code of the standard library counts as where nobody of ours called it inline.
const LIBRARY: &str = "Rust's library";

/// What the code of the core may take, in bytes.
const CORE: u64 = 92_000;

/// What the image's file may take.
const EVERYTHING: u64 = 384 << 10;

/// How large the image is.
#[derive(Debug, Serialize)]
pub(super) struct Sizes {
    /// The sections that take memory, and their bytes.
    sections: Vec<(String, u64)>,
    /// The file that is booted.
    file: u64,
    /// What its code consists of.
    code: Code,
}

/// What the image's code consists of, in bytes.
#[derive(Debug, Default, Serialize)]
struct Code {
    /// By crate: an instruction belongs to the function that it was written in, or inlined into if
    /// that is Rust's library's.
    crates: BTreeMap<String, u64>,
    /// All but the following.
    core: u64,
    /// Device models.
    devices: u64,
    /// Descriptions, formats, device trees.
    loader: u64,
    /// Functions of Rust's library that are not inlined: all call them.
    library: u64,
}

impl Sizes {
    /// Measures an image.
    pub(super) fn read(image: &Image) -> Result<Self> {
        let path = &image.elf;
        let bytes =
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let elf = object::File::parse(&*bytes).context("the image is no ELF")?;
        let text = elf.section_by_name(".text").context("there is no .text")?;
        let taken = elf
            .sections()
            .filter(|section| section.size() != 0 && section.address() != 0);
        let file = std::fs::metadata(&image.raw)
            .with_context(|| format!("cannot read {}", image.raw.display()))?;
        Ok(Self {
            sections: taken
                .map(|section| (section.name().unwrap_or("?").to_owned(), section.size()))
                .collect(),
            file: file.len(),
            code: by_crate(path, text.address()..text.address() + text.size())?,
        })
    }

    /// Returns everything for people.
    pub(super) fn table(&self) -> String {
        let mut out = String::new();
        for (name, size) in &self.sections {
            let _ = writeln!(out, "{name:<24} {size:>8} bytes");
        }
        let total: u64 = self.sections.iter().map(|(_, size)| size).sum();
        let _ = writeln!(out, "{:<24} {total:>8} bytes", "image in memory");
        let _ = writeln!(
            out,
            "{:<24} {:>8} bytes{}",
            "image file",
            self.file,
            missed(self.file, EVERYTHING)
        );
        let _ = writeln!(
            out,
            "\ncode by crate: an instruction counts where it was written; Rust's library where it \
             was inlined\n\n{:<24} {:>8} bytes{}\n{:<24} {:>8} bytes\n{:<24} {:>8} bytes\n{:<24} {:>8} bytes\n",
            "core: all but the next 3",
            self.code.core,
            missed(self.code.core, CORE),
            "device models",
            self.code.devices,
            "formats and device trees",
            self.code.loader,
            "Rust's library, called",
            self.code.library,
        );
        let mut crates: Vec<_> = self.code.crates.iter().collect();
        crates.sort_by_key(|(_, size)| std::cmp::Reverse(**size));
        for (name, size) in crates {
            let _ = writeln!(out, "  {name:<22} {size:>8}");
        }
        out
    }
}

/// Counts the code of each crate. Constants can't be told apart by crate.
fn by_crate(elf: &Path, text: Range<u64>) -> Result<Code> {
    let fail = |error: &dyn std::fmt::Display| anyhow!("the image's line table: {error}");
    let loader = Loader::new(elf).map_err(|error| fail(&error))?;
    let root = paths::workspace_root();
    let mut size = Code::default();
    for address in text.step_by(4) {
        let mut frames = loader.find_frames(address).map_err(|error| fail(&error))?;
        let mut owner = None;
        while let Some(frame) = frames.next().map_err(|error| fail(&error))? {
            let file = frame.location.and_then(|location| location.file);
            owner = file.and_then(|file| crate_of(Path::new(file), &root));
            if owner.is_some() {
                break;
            }
        }
        let owner = owner.unwrap_or_else(|| LIBRARY.to_owned());
        let part = match owner.as_str() {
            name if DEVICES.contains(&name) => &mut size.devices,
            name if LOADER.contains(&name) => &mut size.loader,
            LIBRARY => &mut size.library,
            _ => &mut size.core,
        };
        *part += 4;
        *size.crates.entry(owner).or_insert(0) += 4;
    }
    Ok(size)
}

/// Returns the crate that a source file belongs to; `None` for Rust's library.
fn crate_of(file: &Path, root: &Path) -> Option<String> {
    let names = |path: &Path| -> Vec<String> {
        let name = |part: Component<'_>| match part {
            Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
            _ => None,
        };
        path.components().filter_map(name).collect()
    };
    if file.is_relative() || file.starts_with(root) {
        // `crates/NAME/src/…`, and roles, arch and images alike.
        return names(file.strip_prefix(root).unwrap_or(file))
            .get(1)
            .cloned();
    }
    let names = names(file);
    let registry = names.iter().position(|name| name == "registry")?;
    // `registry/src/INDEX/NAME-VERSION/…`
    let package = names.get(registry + 3)?;
    Some(match package.rsplit_once('-') {
        Some((name, _)) => name.to_owned(),
        None => package.clone(),
    })
}

fn missed(bytes: u64, target: u64) -> String {
    if bytes > target {
        format!(", of {target}  MISSED")
    } else {
        format!(", of {target}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_names_its_crate_and_the_library_s_do_not() {
        let of = |file: &str| crate_of(Path::new(file), Path::new("/w"));
        assert_eq!(of("/w/crates/vgic/src/x.rs").as_deref(), Some("vgic"));
        assert_eq!(
            of("roles/hypervisor/src/x.rs").as_deref(),
            Some("hypervisor")
        );
        let registry = "/h/.cargo/registry/src/index-1/arm-gic-0.10.0/src/lib.rs";
        assert_eq!(of(registry).as_deref(), Some("arm-gic"));
        assert_eq!(of("/rustc/abc/library/core/src/fmt/mod.rs"), None);
    }
}
