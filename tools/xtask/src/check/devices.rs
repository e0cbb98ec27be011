//! The status of the device models, told from the evidence in the tree, as `docs/devices.md` shows
//! it.

use super::Findings;
use crate::paths;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};

const PAGE: &str = "docs/devices.md";
const BEGIN: &str = "<!-- status: written by `cargo xtask check --accept` -->\n";
const END: &str = "<!-- end of status -->\n";

/// What the tree says of one device.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Device {
    /// Its folder under `crates/devices/src`.
    name: String,
    /// What it is: the first sentence of its documentation.
    title: String,
    /// The common suite of save, restore and reset has an entry of its.
    in_suite: Evidence,
    /// A fuzz target has its name.
    fuzzed: Evidence,
    /// It is compared with QEMU's model, operation by operation.
    compared: Evidence,
    /// A machine description can name it, or a driver finds it in a virtio slot.
    in_vms: Evidence,
}

/// Whether there is evidence for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Evidence {
    Found,
    Missing,
}

impl Evidence {
    fn of(found: bool) -> Self {
        if found { Self::Found } else { Self::Missing }
    }

    fn cell(self) -> &'static str {
        match self {
            Self::Found => "yes",
            Self::Missing => "–",
        }
    }
}

impl Device {
    /// Says what one may rely on.
    fn status(&self) -> &'static str {
        use Evidence::{Found, Missing};
        match (self.in_vms, self.in_suite, self.fuzzed, self.compared) {
            (Found, Found, Found, Found) => "complete",
            (Found, Found, Found, Missing) => "stable",
            (Missing, _, _, _) | (_, Missing, _, _) | (_, _, Missing, _) => "proof of concept",
        }
    }
}

/// Compares the page with the evidence.
pub(crate) fn check() -> Result<Findings> {
    let (devices, page) = read()?;
    let mut findings = Findings::default();
    if replace(&page, &table(&devices))? != page {
        findings.violations.push(format!(
            "{PAGE} does not show the devices as they are; run `cargo xtask check --accept`"
        ));
    }
    findings.notes.push(format!("{} devices", devices.len()));
    Ok(findings)
}

/// Writes the evidence into the page.
pub(crate) fn write() -> Result<()> {
    let (devices, page) = read()?;
    let new = replace(&page, &table(&devices))?;
    fs::write(paths::workspace_root().join(PAGE), new)?;
    Ok(())
}

fn read() -> Result<(Vec<Device>, String)> {
    let root = paths::workspace_root();
    let devices = devices(&root)?;
    let page = fs::read_to_string(root.join(PAGE)).context(PAGE)?;
    Ok((devices, page))
}

/// Looks at each folder of the models.
fn devices(root: &Path) -> Result<Vec<Device>> {
    let source = root.join("crates/devices/src");
    let suite = text(&source.join("tests.rs"))?;
    let kinds = text(&source.join("device.rs"))?;
    let mut devices = Vec::new();
    for entry in fs::read_dir(&source)? {
        let folder = entry?.path();
        let module = folder.join("mod.rs");
        if !module.is_file() {
            continue;
        }
        let Some(name) = folder.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        devices.push(Device {
            name: name.to_owned(),
            title: title(&text(&module)?),
            in_suite: Evidence::of(suite.contains(&format!("    {name}: "))),
            fuzzed: Evidence::of(fuzzed(root, name)?),
            compared: Evidence::of(
                root.join(format!("tools/device-board/src/diff/subjects/{name}.rs"))
                    .is_file(),
            ),
            in_vms: Evidence::of(kinds.contains(&format!("    {}(", variant(name)))),
        });
    }
    devices.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(devices)
}

/// Tells whether a fuzz target has the device's name.
fn fuzzed(root: &Path, name: &str) -> Result<bool> {
    let mut found = false;
    for entry in fs::read_dir(root.join("fuzz/libfuzzer"))? {
        let file = entry?.file_name();
        let target = file.to_string_lossy();
        found |= target == format!("{name}.rs") || target == format!("{name}_stream.rs");
    }
    Ok(found)
}

fn text(path: &PathBuf) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Returns the first sentence of a module's documentation.
fn title(module: &str) -> String {
    let lines = module.lines().map_while(|line| line.strip_prefix("//!"));
    let paragraph: Vec<&str> = lines
        .map(str::trim)
        .take_while(|line| !line.is_empty())
        .collect();
    let paragraph = paragraph.join(" ");
    let sentence = paragraph.split_once(": ").map_or_else(
        || paragraph.trim_end_matches('.').to_owned(),
        |(before, _)| before.to_owned(),
    );
    sentence.trim_start_matches("The ").to_owned()
}

/// Returns `virtio_blk` as `VirtioBlk`.
fn variant(name: &str) -> String {
    name.split('_')
        .map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            first.to_uppercase() + rest
        })
        .collect()
}

fn table(devices: &[Device]) -> String {
    let mut table = String::from(
        "| device | what | status | suite | fuzzed | compared with QEMU | in VMs |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for device in devices {
        table += &format!(
            "| `{}` | {} | {} | {} | {} | {} | {} |\n",
            device.name,
            device.title,
            device.status(),
            device.in_suite.cell(),
            device.fuzzed.cell(),
            device.compared.cell(),
            device.in_vms.cell(),
        );
    }
    table
}

/// Puts the table into the page, between its marks.
fn replace(page: &str, table: &str) -> Result<String> {
    let Some((before, rest)) = page.split_once(BEGIN) else {
        bail!("{PAGE} has no line {BEGIN:?}");
    };
    let Some((_, after)) = rest.split_once(END) else {
        bail!("{PAGE} has no line {END:?}");
    };
    Ok(format!("{before}{BEGIN}{table}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(evidence: [Evidence; 4]) -> Device {
        let [in_vms, in_suite, fuzzed, compared] = evidence;
        Device {
            name: "pl999".to_owned(),
            title: "a device".to_owned(),
            in_suite,
            fuzzed,
            compared,
            in_vms,
        }
    }

    #[test]
    fn the_status_follows_from_the_evidence() {
        use Evidence::{Found, Missing};
        for (evidence, expected) in [
            ([Found, Found, Found, Found], "complete"),
            ([Found, Found, Found, Missing], "stable"),
            ([Missing, Found, Found, Found], "proof of concept"),
            ([Found, Missing, Found, Found], "proof of concept"),
            ([Found, Found, Missing, Found], "proof of concept"),
        ] {
            assert_eq!(device(evidence).status(), expected);
        }
    }

    #[test]
    fn the_table_stands_between_its_marks() {
        let page = format!("# Devices\n{BEGIN}old\n{END}rest\n");
        let table = table(&[device([Evidence::Found; 4])]);
        let new = replace(&page, &table).unwrap();
        assert!(new.starts_with("# Devices\n"), "{new}");
        assert!(
            new.contains("| `pl999` | a device | complete | yes |"),
            "{new}"
        );
        assert!(new.ends_with("rest\n") && !new.contains("old"), "{new}");
        assert_eq!(replace(&new, &table).unwrap(), new);
        assert!(replace("no marks", &table).is_err());
    }

    #[test]
    fn titles_and_variants_are_read_from_names_and_text() {
        let module = "//! The PrimeCell GPIO, PL061 (DDI0190B): eight\n//! pins.\n//!\n//! More.\n";
        assert_eq!(title(module), "PrimeCell GPIO, PL061 (DDI0190B)");
        assert_eq!(title("//! The event timers.\nmod x;\n"), "event timers");
        assert_eq!(variant("virtio_blk"), "VirtioBlk");
        assert_eq!(variant("pl011"), "Pl011");
    }

    #[test]
    fn this_trees_devices_are_found() {
        let devices = devices(&paths::workspace_root()).unwrap();
        let pl011 = devices
            .iter()
            .find(|device| device.name == "pl011")
            .unwrap();
        assert_eq!(pl011.status(), "complete");
        let hpet = devices.iter().find(|device| device.name == "hpet").unwrap();
        assert_eq!(hpet.status(), "proof of concept");
    }
}
