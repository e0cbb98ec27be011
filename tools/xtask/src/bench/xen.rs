//! Xen as its distribution ships it, under the same guest and the same clock.
//!
//! Nothing of it is fetched unless `--peer xen` asks for it. It boots without a domain of its own
//! (dom0less): the guest is described in the machine's device tree, and its console is the PL011 that
//! Xen emulates.

use super::guest::{self, Guest, Setup};
use super::lab::Lab;
use super::report::{Figures, Peer};
use crate::emulator::{Boot, Machine};
use crate::guests::lock_file::{LockFile, LockedPackage, sha256_of};
use crate::paths;
use crate::setup::{apt, lock};
use anyhow::{Context, Result, anyhow, ensure};
use dtoolkit::ToPropertyValue;
use dtoolkit::fdt::Fdt;
use dtoolkit::model::{DeviceTree, DeviceTreeNode, DeviceTreeProperty};
use std::path::PathBuf;

/// The suite that has it, and the package.
const SUITE: &str = "trixie";
const PACKAGE: &str = "xen-hypervisor-4.20-arm64";

/// Where the guest's kernel is put for Xen to find: above what the emulator loads, and aligned.
const MODULE_ADDRESS: u64 = 0x5000_0000;

/// The machine's memory: Xen takes some for itself.
const MEMORY_MIB: u64 = 1024;
/// The guest's memory in KiB.
const GUEST_KIB: u64 = 16 * 1024;

/// What Xen is told: its console, and not to clear memory first.
const BOOTARGS: &str = "console=dtuart dtuart=/pl011@9000000 conswitch=,x bootscrub=0";

/// What can't be measured, and why.
const MISSING: &[(&str, &str)] = &[
    (
        "sweep-gicd, sweep-gicr",
        "the guest gets an abort for registers that Xen does not model, such as GICD_ISPENDR1",
    ),
    (
        "compute-exits, entry, longest",
        "these are read from a trace of Bulkhead's own image",
    ),
    (
        "linux-full, linux-quiet",
        "a guest of Xen gets another device tree and another console",
    ),
];

/// Xen, ready to boot the guest.
struct Xen<'a> {
    lab: &'a Lab,
    image: PathBuf,
    version: String,
}

/// Fetches Xen where it is missing, and measures the guest above it.
pub(super) fn measure(lab: &Lab, guest: &Guest<'_>) -> Result<Peer> {
    let xen = Xen::new(lab)?;
    let mut figures = Figures::new();
    for setup in Setup::rows() {
        eprintln!("bench: {} under Xen {}", setup.what, xen.version);
        let machine = xen.machine(guest, &setup)?;
        let output = lab.output_until(&machine, |line| line.contains(guest::DONE))?;
        ensure!(
            output.contains(guest::DONE),
            "the guest did not finish `{}` under Xen:\n{output}",
            setup.what
        );
        figures.extend(guest::figures(&output)?);
    }
    Ok(Peer {
        name: format!("Xen {}", short(&xen.version)),
        description: format!(
            "{PACKAGE} {} of Debian, dom0less, its default scheduler (credit2: Debian builds none \
             that pins a vCPU alone)",
            xen.version
        ),
        figures,
        missing: MISSING
            .iter()
            .map(|(rows, reason)| ((*rows).to_owned(), (*reason).to_owned()))
            .collect(),
    })
}

/// Returns the upstream version's first two numbers.
fn short(version: &str) -> String {
    let numbers: Vec<&str> = version.split('.').take(2).collect();
    numbers.join(".")
}

impl<'a> Xen<'a> {
    fn new(lab: &'a Lab) -> Result<Self> {
        let (image, version) = fetch().with_context(|| format!("cannot fetch {PACKAGE}"))?;
        Ok(Self {
            lab,
            image,
            version,
        })
    }

    fn machine(&self, guest: &Guest<'_>, setup: &Setup) -> Result<Machine> {
        let tree = self.lab.path("machine.dtb");
        let boot = |tree: Option<PathBuf>| Boot::Peer {
            kernel: self.image.clone(),
            tree,
            files: vec![(guest.kernel().to_owned(), MODULE_ADDRESS)],
        };
        // The emulator writes the tree that the machine would get, and ends.
        let dump = format!("dumpdtb={}", tree.display());
        let blank = setup.machine(boot(None), MEMORY_MIB, &["-machine", &dump]);
        self.lab.output(&blank)?;
        let bytes = std::fs::read(&tree)
            .with_context(|| format!("the emulator left no {}", tree.display()))?;
        let module = std::fs::metadata(guest.kernel())?.len();
        let described = describe(&bytes, setup, module)?;
        let described = self.lab.write("xen.dtb", &described)?;
        Ok(setup.machine(boot(Some(described)), MEMORY_MIB, &[]))
    }
}

/// Adds to the machine's device tree what Xen is to do (Xen, docs/misc/arm/device-tree/booting.txt).
fn describe(tree: &[u8], setup: &Setup, module: u64) -> Result<Vec<u8>> {
    let tree = Fdt::new(tree).map_err(|error| anyhow!("the machine's device tree: {error}"))?;
    let mut tree = DeviceTree::from_fdt(&tree);
    let mut kernel = node(format!("module@{MODULE_ADDRESS:x}"));
    let kinds = ["multiboot,kernel", "multiboot,module"];
    set(&mut kernel, "compatible", kinds.as_slice());
    let place = [MODULE_ADDRESS, module].map(u64::to_be_bytes);
    set(&mut kernel, "reg", place.as_flattened());
    let bootargs = format!("{} marks=off", setup.cmdline());
    set(&mut kernel, "bootargs", bootargs);

    let mut domain = node("domU1");
    set(&mut domain, "compatible", "xen,domain");
    set(&mut domain, "#address-cells", 2u32);
    set(&mut domain, "#size-cells", 2u32);
    set(&mut domain, "memory", GUEST_KIB);
    set(&mut domain, "cpus", u32::from(setup.vcpus()));
    set(&mut domain, "vpl011", [0u8; 0]);
    domain.add_child(kernel);

    let chosen = tree
        .root
        .child_mut("chosen")
        .context("there is no /chosen")?;
    set(chosen, "xen,xen-bootargs", BOOTARGS);
    chosen.add_child(domain);
    Ok(tree.to_dtb())
}

fn node(name: impl Into<String>) -> DeviceTreeNode {
    DeviceTreeNode::new_unchecked(name)
}

fn set(node: &mut DeviceTreeNode, name: &str, value: impl ToPropertyValue) {
    node.add_property(DeviceTreeProperty::new_unchecked(name, value));
}

/// Returns Xen's image and version, from the cache if it is there.
fn fetch() -> Result<(PathBuf, String)> {
    let cache = paths::cache_dir()?;
    let folder = cache.join("peers").join(PACKAGE);
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    let _lock = lock::acquire(&folder, "xen")?;
    let image = folder.join("xen");
    if let Some(found) = LockFile::read(&folder)
        && image.is_file()
    {
        return Ok((image, found.release));
    }
    let own = apt::machine_architecture()?;
    let sources = [apt::debian_source(SUITE)?];
    let lists = apt::PrivateLists::open(
        &cache,
        &format!("peers-{SUITE}"),
        &sources,
        &format!("{own},arm64"),
    )?;
    let qualified = format!("{PACKAGE}:arm64");
    let version = lists.field(&qualified, "Version")?;
    eprintln!("fetching {PACKAGE} {version} of {SUITE}");
    let package = lists.download(&qualified, &folder)?;
    let tree = folder.join("tree");
    apt::unpack(&package, &tree)?;
    let name = PACKAGE.replace("-hypervisor", "");
    let unpacked = tree.join("boot").join(name);
    std::fs::copy(&unpacked, &image)
        .with_context(|| format!("{PACKAGE} holds no {}", unpacked.display()))?;
    std::fs::remove_dir_all(&tree)?;
    let file = package.file_name().unwrap_or_default();
    LockFile {
        release: version.clone(),
        packages: vec![LockedPackage {
            sha256: sha256_of(&package)?,
            file: file.to_string_lossy().into_owned(),
            name: PACKAGE.to_owned(),
            version: version.clone(),
        }],
        ..LockFile::default()
    }
    .write(&folder)?;
    Ok((image, version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dtoolkit::{Node, Property};

    #[test]
    fn the_guest_stands_in_the_tree_that_xen_gets() {
        let mut machine = DeviceTree::new();
        machine.root.add_child(node("chosen"));
        let described = describe(&machine.to_dtb(), &Setup::switch(8), 0x1234).unwrap();
        let tree = Fdt::new(&described).unwrap();
        let value = |path: &str, name: &str| {
            let node = tree.find_node(path).unwrap();
            node.property(name).unwrap().value().to_vec()
        };
        let domain = "/chosen/domU1";
        assert_eq!(value(domain, "cpus"), 2_u32.to_be_bytes());
        let module = format!("{domain}/module@50000000");
        assert_eq!(value(&module, "reg")[8..], 0x1234_u64.to_be_bytes());
        let bootargs = value(&module, "bootargs");
        assert_eq!(bootargs, b"bench=switch iterations=8 marks=off\0");
        assert!(describe(&DeviceTree::new().to_dtb(), &Setup::switch(8), 1).is_err());
    }

    #[test]
    fn the_version_is_cut_to_what_people_say() {
        assert_eq!(short("4.20.3+127-gc42374a105-0+deb13u1"), "4.20");
    }
}
