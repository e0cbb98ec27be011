//! Reads the TOML file: what the user has written, with the lines where it stands.

use crate::error::{PackError, SourcePlace};
use crate::size::parse_size;
use crate::value::{Document, Item, Located};
use addr::CpuId;
use manifest::{Device, DeviceName, DiskAccess, Key, WarmReset, limits, may_add};
use std::fs;
use std::path::{Path, PathBuf};
use toml::de::DeTable;

/// A machine description as it stands in a file, not yet compared with anything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The file's name, for messages.
    pub(crate) file: String,
    /// What paths in the file are relative to.
    pub(crate) folder: PathBuf,
    pub(crate) vms: Vec<SourceVm>,
}

/// A VM as it stands in a file; `None` where it says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SourceVm {
    /// The line where the VM begins.
    pub(crate) place: SourcePlace,
    pub(crate) name: Located<String>,
    pub(crate) memory: Located<u64>,
    pub(crate) kernel: Located<String>,
    pub(crate) initrd: Option<Located<String>>,
    pub(crate) cmdline: Option<Located<String>>,
    pub(crate) vcpus: Option<Located<u16>>,
    pub(crate) pinning: Option<Located<Vec<CpuId>>>,
    pub(crate) devices: Option<Located<Vec<SourceDevice>>>,
    pub(crate) spis: Option<Located<u16>>,
    pub(crate) warm_reset: Option<Located<WarmReset>>,
}

/// A device as it stands in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SourceDevice {
    /// One that has nothing but a name.
    Plain(Device),
    /// A disk.
    Disk {
        /// The path of its image.
        image: Located<String>,
        access: DiskAccess,
    },
}

impl SourceDevice {
    /// Returns the device as far as it is known; the image has no name in the archive yet.
    fn device(&self) -> Device {
        match self {
            Self::Plain(device) => device.clone(),
            Self::Disk { image, access } => Device::VirtioBlk(manifest::Disk {
                image: image.value.clone(),
                access: *access,
            }),
        }
    }
}

const KEYS: &str =
    "name, vcpus, memory, kernel, initrd, cmdline, pinning, devices, spis, warm-reset";

/// Reads the description in the file at `path`. Paths in it are relative to the file's folder.
///
/// # Errors
/// [`PackError`] if the file can't be read, is not TOML, or has an unknown, missing or malformed
/// key.
pub fn read_toml(path: &Path) -> Result<Source, PackError> {
    let file = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|error| {
        SourcePlace::File { file: file.clone() }.error(format!("can't be read: {error}"))
    })?;
    parse_toml(&file, &text, path.parent().unwrap_or(Path::new("")))
}

/// Reads the description in `text`, which messages call `file`. Paths in it are relative to
/// `folder`.
///
/// # Errors
/// As [`read_toml`].
pub fn parse_toml(file: &str, text: &str, folder: &Path) -> Result<Source, PackError> {
    let document = Document { file, text };
    let root = document.parse()?;
    let mut vms = Vec::new();
    for item in document.items(root.get_ref()) {
        match item.key {
            "version" if item.number() == Some(1) => {}
            "version" => return Err(item.error("unknown version; this tool reads version 1")),
            "vm" => vms = read_vms(&document, &item)?,
            _ => return Err(item.error("unknown key; known are version and vm ([[vm]])")),
        }
    }
    if vms.is_empty() {
        return Err(document
            .place(0)
            .error("there is no VM; write at least one [[vm]]"));
    }
    Ok(Source {
        file: file.to_owned(),
        folder: folder.to_owned(),
        vms,
    })
}

fn read_vms(document: &Document<'_>, item: &Item<'_>) -> Result<Vec<SourceVm>, PackError> {
    let form = "must be a list of tables; write [[vm]] before the keys of each VM";
    item.list(document, form)?
        .iter()
        .map(|vm| match vm.value.as_table() {
            Some(table) => read_vm(document, &vm.place, table),
            None => Err(vm.error(form)),
        })
        .collect()
}

fn read_vm(
    document: &Document<'_>,
    place: &SourcePlace,
    table: &DeTable<'_>,
) -> Result<SourceVm, PackError> {
    let mut name = None;
    let mut memory = None;
    let mut kernel = None;
    let mut initrd = None;
    let mut cmdline = None;
    let mut vcpus = None;
    let mut pinning = None;
    let mut devices = None;
    let mut spis = None;
    let mut warm_reset = None;
    for item in document.items(table) {
        let Some(key) = Key::from_name(item.key) else {
            return Err(item.error(&format!("unknown key; known are {KEYS}")));
        };
        match key {
            Key::Name => name = Some(item.string()?),
            Key::Memory => memory = Some(read_memory(&item)?),
            Key::Kernel => kernel = Some(item.string()?),
            Key::Initrd => initrd = Some(item.string()?),
            Key::Cmdline => cmdline = Some(item.string()?),
            Key::Vcpus => vcpus = Some(item.u16(&vcpus_problem())?),
            Key::Pinning => pinning = Some(read_pinning(document, &item)?),
            Key::Devices => devices = Some(read_devices(document, &item)?),
            Key::Spis => spis = Some(item.u16(SPIS_PROBLEM)?),
            Key::WarmReset => warm_reset = Some(read_warm_reset(&item)?),
        }
    }
    let missing = |key: Key, example: &str| {
        place.error(format!("this VM has no {key}; write for example {example}"))
    };
    Ok(SourceVm {
        place: place.clone(),
        name: name.ok_or_else(|| missing(Key::Name, "name = \"linux\""))?,
        memory: memory.ok_or_else(|| missing(Key::Memory, "memory = \"512M\""))?,
        kernel: kernel.ok_or_else(|| missing(Key::Kernel, "kernel = \"./Image\""))?,
        initrd,
        cmdline,
        vcpus,
        pinning,
        devices,
        spis,
        warm_reset,
    })
}

const SPIS_PROBLEM: &str =
    "impossible number of interrupts; use a multiple of 32 from 32 to 960, or 988";

fn vcpus_problem() -> String {
    format!("impossible number of vCPUs; use 1 to {}", limits::MAX_VCPUS)
}

fn read_memory(item: &Item<'_>) -> Result<Located<u64>, PackError> {
    let bytes = item
        .number()
        .or_else(|| item.value.as_str().and_then(parse_size));
    match bytes {
        Some(bytes) => Ok(item.located(bytes)),
        None => Err(item.error("not a size; write \"512M\", \"2G\" or a number of bytes")),
    }
}

fn read_pinning(
    document: &Document<'_>,
    item: &Item<'_>,
) -> Result<Located<Vec<CpuId>>, PackError> {
    let form = "must be a list with the number of one CPU for each vCPU, such as [0, 1]";
    let cpus: Result<_, _> = item
        .list(document, form)?
        .iter()
        .map(|cpu| Ok(CpuId::new(cpu.u16("not the number of a CPU")?.value)))
        .collect();
    Ok(item.located(cpus?))
}

fn read_warm_reset(item: &Item<'_>) -> Result<Located<WarmReset>, PackError> {
    match item.value.as_str().and_then(WarmReset::from_name) {
        Some(meaning) => Ok(item.located(meaning)),
        None => Err(item.error("no such meaning of a warm reset; use \"reset\" or \"crash\"")),
    }
}

fn read_devices(
    document: &Document<'_>,
    item: &Item<'_>,
) -> Result<Located<Vec<SourceDevice>>, PackError> {
    let form = "must be a list of names, such as [\"pl011\", \"pvpanic\"]";
    let mut devices: Vec<SourceDevice> = Vec::new();
    let mut earlier: Vec<Device> = Vec::new();
    for element in item.list(document, form)? {
        let device = read_device(document, &element)?;
        if !may_add(&earlier, device.device().name()) {
            return Err(element.error("the device is there twice; once is right"));
        }
        earlier.push(device.device());
        devices.push(device);
    }
    Ok(item.located(devices))
}

/// Reads a device: its name, or a table with the name and the device's own keys.
fn read_device(document: &Document<'_>, element: &Item<'_>) -> Result<SourceDevice, PackError> {
    let Some(table) = element.value.as_table() else {
        return finish_device(element, device_called(element)?, None, None);
    };
    let (mut name, mut image, mut access) = (None, None, None);
    for item in document.items(table) {
        match item.key {
            "name" => name = Some(device_called(&item)?),
            "image" => image = Some(item),
            "read-only" => access = Some(item),
            _ => {
                return Err(item.error(
                    "unknown key; a device has a name, and a disk (virtio-blk) image and read-only",
                ));
            }
        }
    }
    let Some(name) = name else {
        return Err(element.error("a device needs a name, such as { name = \"pl011\" }"));
    };
    finish_device(element, name, image, access)
}

fn finish_device(
    element: &Item<'_>,
    name: DeviceName,
    image: Option<Item<'_>>,
    access: Option<Item<'_>>,
) -> Result<SourceDevice, PackError> {
    if let Some(device) = Device::plain(name) {
        return match image.or(access) {
            Some(item) => Err(item.error("only a disk (virtio-blk) has this key")),
            None => Ok(SourceDevice::Plain(device)),
        };
    }
    let example = "a disk needs an image, such as { name = \"virtio-blk\", image = \"disk.img\" }";
    let image = image.ok_or_else(|| element.error(example))?.string()?;
    let access = match access.map(|item| (item.value.as_bool(), item)) {
        None | Some((Some(false), _)) => DiskAccess::ReadWrite,
        Some((Some(true), _)) => DiskAccess::ReadOnly,
        Some((None, item)) => return Err(item.error("must be true or false")),
    };
    Ok(SourceDevice::Disk { image, access })
}

fn device_called(item: &Item<'_>) -> Result<DeviceName, PackError> {
    let name = item.string()?.value;
    match DeviceName::from_name(&name) {
        Some(device) => Ok(device),
        None => Err(item.error(
            "no such device; there are pl011, pvpanic, pl031, pl061, virtio-blk, virtio-rng and \
             virtio-console",
        )),
    }
}
