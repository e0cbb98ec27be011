//! Kernel modules: finding them in a package, and the order in which they can be loaded.

use anyhow::{Context, Result};
use object::{Object, ObjectSection};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// All modules of a kernel, by the name that `depends=` uses.
#[derive(Debug)]
pub(crate) struct ModuleTree {
    files: BTreeMap<String, PathBuf>,
}

/// A module ready to be loaded.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Module {
    /// Its name, with underscores.
    pub(crate) name: String,
    /// The uncompressed ELF.
    pub(crate) bytes: Vec<u8>,
}

impl ModuleTree {
    /// Finds the modules below `lib/modules/RELEASE`.
    pub(crate) fn scan(root: &Path) -> Self {
        let mut files = BTreeMap::new();
        let mut folders = vec![root.to_path_buf()];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = std::fs::read_dir(&folder) else {
                continue;
            };
            for entry in entries.flatten() {
                let path = entry.path();
                let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
                if is_folder {
                    folders.push(path);
                } else if let Some(name) = module_name(&entry.file_name().to_string_lossy()) {
                    files.insert(name, path);
                }
            }
        }
        ModuleTree { files }
    }

    /// Returns the wanted modules and what they depend on, each after its dependencies.
    ///
    /// A wanted module that the kernel does not have as a module is left out: it may be built in.
    pub(crate) fn load_order(&self, wanted: &[String]) -> Result<Vec<Module>> {
        let mut order: Vec<Module> = Vec::new();
        for name in wanted {
            self.visit(&normalize(name), &mut Vec::new(), &mut order)?;
        }
        Ok(order)
    }

    fn visit(&self, name: &str, path: &mut Vec<String>, order: &mut Vec<Module>) -> Result<()> {
        let seen = order.iter().any(|module| module.name == name)
            || path.iter().any(|ancestor| ancestor == name);
        let Some(file) = self.files.get(name).filter(|_| !seen) else {
            return Ok(());
        };
        let bytes = read_module(file)?;
        path.push(name.to_owned());
        for dependency in dependencies(&bytes)
            .with_context(|| format!("cannot read the module {}", file.display()))?
        {
            self.visit(&dependency, path, order)?;
        }
        path.pop();
        order.push(Module {
            name: name.to_owned(),
            bytes,
        });
        Ok(())
    }
}

fn module_name(file: &str) -> Option<String> {
    let stem = file
        .strip_suffix(".ko")
        .or_else(|| file.strip_suffix(".ko.xz"))?;
    Some(normalize(stem))
}

/// Module names treat `-` and `_` alike (modprobe(8)).
fn normalize(name: &str) -> String {
    name.replace('-', "_")
}

fn read_module(file: &Path) -> Result<Vec<u8>> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    if file.extension().is_none_or(|extension| extension != "xz") {
        return Ok(bytes);
    }
    let mut plain = Vec::new();
    lzma_rs::xz_decompress(&mut bytes.as_slice(), &mut plain)
        .map_err(|error| anyhow::anyhow!("cannot decompress {}: {error:?}", file.display()))?;
    Ok(plain)
}

/// Reads `depends=` of a module's `.modinfo` section.
fn dependencies(module: &[u8]) -> Result<Vec<String>> {
    let elf = object::File::parse(module).context("not an ELF")?;
    let Some(section) = elf.section_by_name(".modinfo") else {
        return Ok(Vec::new());
    };
    let text = String::from_utf8_lossy(section.data()?).into_owned();
    Ok(parse_depends(&text))
}

fn parse_depends(modinfo: &str) -> Vec<String> {
    modinfo
        .split('\0')
        .find_map(|entry| entry.strip_prefix("depends="))
        .map(|names| {
            names
                .split(',')
                .filter(|name| !name.is_empty())
                .map(normalize)
                .collect()
        })
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn module_files_are_told_by_their_suffix() {
        assert_eq!(
            module_name("pvpanic-mmio.ko").as_deref(),
            Some("pvpanic_mmio")
        );
        assert_eq!(
            module_name("virtio_blk.ko.xz").as_deref(),
            Some("virtio_blk")
        );
        assert_eq!(module_name("modules.order"), None);
    }

    #[test]
    fn dependencies_are_names_between_commas() {
        let modinfo = "license=GPL\0depends=virtio,virtio-ring\0name=virtio_mmio\0";
        assert_eq!(parse_depends(modinfo), ["virtio", "virtio_ring"]);
        assert!(parse_depends("depends=\0").is_empty());
        assert!(parse_depends("license=GPL\0").is_empty());
    }

    #[test]
    fn a_module_that_the_kernel_lacks_is_left_out() {
        let tree = ModuleTree {
            files: BTreeMap::new(),
        };
        assert!(tree.load_order(&["pvpanic".to_owned()]).unwrap().is_empty());
    }
}
