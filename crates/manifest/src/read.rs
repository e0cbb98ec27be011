//! Reads a description from a device tree that anybody may have written.
//!
//! The work is bounded by the size of the manifest, which is bounded itself: a fixed number of
//! passes over each node and what is below it, no recursion. What is read is well-formed and within the limits on
//! numbers of things; whether it can be done is for [`crate::validate`] to say.

use crate::error::{ManifestError, Place, Problem};
use crate::key::{Key, tree};
use crate::limits;
use crate::{
    COMPATIBLE, Description, Device, DeviceName, Disk, DiskAccess, Kernel, KernelFormat, Pinning,
    VmDescription, WarmReset, may_add,
};
use addr::{CpuId, Ipa, VmId};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use fdt::{Fdt, Node};

/// Reads the description that [`crate::to_dtb`] has written.
///
/// # Errors
/// [`ManifestError`] names the node and the first thing that is wrong with it: bytes that are no
/// device tree, a node or property that is unknown, doubled, missing or malformed, or a number of
/// VMs, vCPUs or interrupts that no VM can have.
pub fn from_dtb(bytes: &[u8]) -> Result<Description, ManifestError> {
    let whole = |problem| Place::Whole.error(problem);
    if bytes.len() > limits::MAX_MANIFEST_BYTES {
        let bytes = bytes.len();
        return Err(whole(Problem::ManifestTooLarge { bytes }));
    }
    let root = Fdt::exact(bytes)
        .and_then(|fdt| fdt.check())
        .map_err(|error| whole(Problem::Tree(error)))?;
    let root = Reader::new(root, Place::Whole);
    // The version first: a later one may have other keys.
    let compatible = root.string(tree::COMPATIBLE)?;
    if compatible != COMPATIBLE {
        let found = compatible.to_string();
        return Err(whole(Problem::WrongCompatible { found }));
    }
    root.check(&[tree::COMPATIBLE], &[tree::VMS], "compatible, vms")?;
    let mut vms = Vec::new();
    let list = root.child(tree::VMS)?;
    if let Some((name, _)) = list.node.properties().next() {
        return Err(list.unknown(name, "vm@0, vm@1 and so on"));
    }
    for node in list.node.children() {
        if vms.len() == limits::MAX_VMS {
            let count = vms.len().saturating_add(1);
            return Err(whole(Problem::TooManyVms { count }));
        }
        vms.push(read_vm(node, vms.len())?);
    }
    Ok(Description { vms })
}

const VM_PROPERTIES: [&str; 8] = [
    Key::Name.name(),
    Key::Vcpus.name(),
    Key::Memory.name(),
    Key::Cmdline.name(),
    Key::Pinning.name(),
    Key::Spis.name(),
    Key::Initrd.name(),
    Key::WarmReset.name(),
];

fn read_vm(node: Node<'_>, index: usize) -> Result<VmDescription, ManifestError> {
    let vm = VmId::new(u16::try_from(index).unwrap_or(u16::MAX));
    let reader = Reader::new(node, Place::Vm(vm));
    let name = reader.node.name();
    if name != format!("{}@{index:x}", tree::VM).as_bytes() {
        return Err(reader.unknown(name, "vm@0, vm@1 and so on, in this order"));
    }
    reader.check(
        &VM_PROPERTIES,
        &[Key::Kernel.name(), Key::Devices.name()],
        "name, vcpus, memory, cmdline, pinning, spis, initrd, warm-reset, kernel, devices",
    )?;
    let vcpus = u64::from(reader.u32(Key::Vcpus.name())?);
    let spis = u64::from(reader.u32(Key::Spis.name())?);
    Ok(VmDescription {
        name: reader.string(Key::Name.name())?.to_string(),
        vcpus: u16::try_from(vcpus)
            .map_err(|_| Place::Key(vm, Key::Vcpus).error(Problem::BadVcpuCount { vcpus }))?,
        memory: reader.u64(Key::Memory.name())?,
        kernel: read_kernel(&reader.child(Key::Kernel.name())?.at(vm, Key::Kernel))?,
        initrd: reader
            .optional_string(Key::Initrd.name())?
            .map(String::from),
        cmdline: reader.string(Key::Cmdline.name())?.to_string(),
        pinning: read_pinning(&reader, vm)?,
        devices: read_devices(&reader.child(Key::Devices.name())?.at(vm, Key::Devices))?,
        spis: u16::try_from(spis)
            .map_err(|_| Place::Key(vm, Key::Spis).error(Problem::BadSpiCount { spis }))?,
        warm_reset: read_warm_reset(&reader, vm)?,
    })
}

fn read_kernel(kernel: &Reader<'_>) -> Result<Kernel, ManifestError> {
    let file = kernel.string(tree::FILE)?.to_string();
    let plain = &[tree::FILE, tree::FORMAT];
    let format = match kernel.string(tree::FORMAT)? {
        tree::FORMAT_IMAGE => {
            kernel.check(plain, &[], "file, format")?;
            KernelFormat::Image
        }
        tree::FORMAT_FLAT => {
            kernel.check(plain, &[], "file, format")?;
            KernelFormat::Flat
        }
        tree::FORMAT_RAW => {
            kernel.check(
                &[
                    tree::FILE,
                    tree::FORMAT,
                    tree::LOAD_ADDRESS,
                    tree::ENTRY,
                    tree::MEMORY_SIZE,
                ],
                &[],
                "file, format, load-address, entry, memory-size",
            )?;
            KernelFormat::Raw {
                load: Ipa::new(kernel.u64(tree::LOAD_ADDRESS)?),
                entry: Ipa::new(kernel.u64(tree::ENTRY)?),
                memory_size: kernel.u64(tree::MEMORY_SIZE)?,
            }
        }
        other => return Err(kernel.wrong_form(tree::FORMAT, other.len(), "image, flat or raw")),
    };
    Ok(Kernel { file, format })
}

fn read_pinning(reader: &Reader<'_>, vm: VmId) -> Result<Pinning, ManifestError> {
    let name = Key::Pinning.name();
    let Some(value) = reader.optional(name) else {
        return Ok(Pinning::Floating);
    };
    let (cells, rest) = value.as_chunks::<4>();
    if !rest.is_empty() || cells.len() > usize::from(limits::MAX_VCPUS) {
        return Err(reader.wrong_form(name, value.len(), "one 32-bit number for each vCPU"));
    }
    let cpu = |cell: &[u8; 4]| {
        let cpu = u32::from_be_bytes(*cell);
        u16::try_from(cpu).map(CpuId::new).map_err(|_| {
            Place::Key(vm, Key::Pinning).error(Problem::AbsentCpu {
                cpu: u64::from(cpu),
                cpus: u16::MAX,
            })
        })
    };
    let cpus: Result<Vec<_>, _> = cells.iter().map(cpu).collect();
    cpus.map(Pinning::Fixed)
}

fn read_warm_reset(reader: &Reader<'_>, vm: VmId) -> Result<WarmReset, ManifestError> {
    let Some(name) = reader.optional_string(Key::WarmReset.name())? else {
        return Ok(WarmReset::default());
    };
    WarmReset::from_name(name).ok_or_else(|| {
        let name = name.to_string();
        Place::Key(vm, Key::WarmReset).error(Problem::UnknownWarmReset { name })
    })
}

fn read_devices(reader: &Reader<'_>) -> Result<Vec<Device>, ManifestError> {
    let mut devices = Vec::new();
    if let Some((name, _)) = reader.node.properties().next() {
        return Err(reader.unknown(name, "the nodes of devices"));
    }
    for node in reader.node.children() {
        let device = read_device(&Reader::new(node, reader.place), &devices)?;
        devices.push(device);
    }
    Ok(devices)
}

fn read_device(reader: &Reader<'_>, earlier: &[Device]) -> Result<Device, ManifestError> {
    let unknown = || {
        let name = String::from_utf8_lossy(reader.node.name()).into_owned();
        reader.place.error(Problem::UnknownDevice { name })
    };
    let written = str::from_utf8(reader.node.name()).map_err(|_| unknown())?;
    let kind = written.split_once('@').map_or(written, |(kind, _)| kind);
    let name = DeviceName::from_name(kind).ok_or_else(unknown)?;
    // These two bound the list.
    if !may_add(earlier, name) {
        let name = name.name();
        return Err(reader.place.error(Problem::DuplicateDevice { name }));
    }
    if earlier.len() >= limits::MAX_DEVICES {
        let count = earlier.len().saturating_add(1);
        return Err(reader.place.error(Problem::TooManyDevices { count }));
    }
    if let Some(device) = Device::plain(name) {
        if written != name.name() {
            return Err(unknown());
        }
        reader.check(&[], &[], "none")?;
        return Ok(device);
    }
    let disks = earlier.iter().filter(|device| device.disk().is_some());
    if written != format!("{}@{:x}", name.name(), disks.count()) {
        return Err(unknown());
    }
    reader.check(&[tree::IMAGE, tree::READ_ONLY], &[], "image, read-only")?;
    let access = match reader.optional(tree::READ_ONLY) {
        None => DiskAccess::ReadWrite,
        Some([]) => DiskAccess::ReadOnly,
        Some(value) => return Err(reader.wrong_form(tree::READ_ONLY, value.len(), "no value")),
    };
    Ok(Device::VirtioBlk(Disk {
        image: reader.string(tree::IMAGE)?.to_string(),
        access,
    }))
}

/// A node, and the place that errors about it name.
struct Reader<'a> {
    node: Node<'a>,
    place: Place,
}

impl<'a> Reader<'a> {
    fn new(node: Node<'a>, place: Place) -> Self {
        Self { node, place }
    }

    fn at(self, vm: VmId, key: Key) -> Self {
        Self {
            place: Place::Key(vm, key),
            ..self
        }
    }

    /// Checks that the node has none but these properties and children, and none of them twice.
    fn check(
        &self,
        properties: &[&str],
        children: &[&str],
        known: &'static str,
    ) -> Result<(), ManifestError> {
        let mut seen = Vec::new();
        for (name, _) in self.node.properties() {
            self.check_name(name, properties, &mut seen, known)?;
        }
        seen.clear();
        for child in self.node.children() {
            self.check_name(child.name(), children, &mut seen, known)?;
        }
        Ok(())
    }

    /// Checks one name; `seen` never gets longer than `allowed`.
    fn check_name<'n>(
        &self,
        name: &[u8],
        allowed: &[&'n str],
        seen: &mut Vec<&'n str>,
        known: &'static str,
    ) -> Result<(), ManifestError> {
        let Some(name) = allowed.iter().find(|known| known.as_bytes() == name) else {
            return Err(self.unknown(name, known));
        };
        if seen.contains(name) {
            let name = String::from(*name);
            return Err(self.place.error(Problem::Twice { name }));
        }
        seen.push(name);
        Ok(())
    }

    fn unknown(&self, name: &[u8], known: &'static str) -> ManifestError {
        let name = String::from_utf8_lossy(name).into_owned();
        self.place.error(Problem::Unknown { name, known })
    }

    fn wrong_form(
        &self,
        name: &'static str,
        length: usize,
        expected: &'static str,
    ) -> ManifestError {
        self.place.error(Problem::WrongForm {
            name,
            length,
            expected,
        })
    }

    fn child(&self, name: &'static str) -> Result<Reader<'a>, ManifestError> {
        self.node
            .children()
            .find(|child| child.name() == name.as_bytes())
            .map(|node| Reader::new(node, self.place))
            .ok_or_else(|| self.place.error(Problem::Missing { name }))
    }

    fn optional(&self, name: &str) -> Option<&'a [u8]> {
        self.node
            .properties()
            .find(|(other, _)| *other == name.as_bytes())
            .map(|(_, value)| value)
    }

    fn required(&self, name: &'static str) -> Result<&'a [u8], ManifestError> {
        self.optional(name)
            .ok_or_else(|| self.place.error(Problem::Missing { name }))
    }

    fn u32(&self, name: &'static str) -> Result<u32, ManifestError> {
        let value = self.required(name)?;
        let bytes = value.try_into().map(u32::from_be_bytes);
        bytes.map_err(|_| self.wrong_form(name, value.len(), "one 32-bit number"))
    }

    fn u64(&self, name: &'static str) -> Result<u64, ManifestError> {
        let value = self.required(name)?;
        let bytes = value.try_into().map(u64::from_be_bytes);
        bytes.map_err(|_| self.wrong_form(name, value.len(), "one 64-bit number"))
    }

    fn string(&self, name: &'static str) -> Result<&'a str, ManifestError> {
        self.text(name, self.required(name)?)
    }

    fn optional_string(&self, name: &'static str) -> Result<Option<&'a str>, ManifestError> {
        self.optional(name)
            .map(|value| self.text(name, value))
            .transpose()
    }

    fn text(&self, name: &'static str, value: &'a [u8]) -> Result<&'a str, ManifestError> {
        match value.split_last() {
            Some((0, text)) if !text.contains(&0) => core::str::from_utf8(text).ok(),
            Some(_) | None => None,
        }
        .ok_or_else(|| self.wrong_form(name, value.len(), "UTF-8 text with one NUL, at its end"))
    }
}
