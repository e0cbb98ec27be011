//! Finds the files of a description and packs everything into one archive.

use crate::error::{PackError, SourcePlace};
use crate::files::unpack_kernel;
use crate::size::parse_size;
use crate::source::{Source, SourceDevice, SourceVm};
use crate::value::Located;
use addr::BLOCK_2M;
use archive::Writer;
use manifest::{
    Description, Device, Disk, FILE_NAME, Kernel, KernelFormat, Key, Machine, ManifestError,
    Pinning, Place, Problem, VmDescription, WarmReset, default_devices, limits, to_dtb,
};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What replaces the file's values for its first VM, such as options of a command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// The kernel: a path relative to the current folder, or a symbolic name. The file's initial
    /// file system is dropped with its kernel, unless `initrd` is given too.
    pub kernel: Option<String>,
    /// The initial file system: a path relative to the current folder, or a symbolic name.
    pub initrd: Option<String>,
    /// The command line.
    pub cmdline: Option<String>,
    /// The number of vCPUs.
    pub vcpus: Option<u16>,
    /// The size of memory, such as `512M`.
    pub memory: Option<String>,
}

/// What a file is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileRole {
    /// A kernel.
    Kernel,
    /// An initial file system.
    Initrd,
    /// The image of a disk.
    Disk,
}

/// Finds the file that a symbolic name, one without `/` and `.`, stands for. The error says what is
/// wrong and what would be right.
pub type Resolver<'a> = dyn Fn(FileRole, &str) -> Result<PathBuf, String> + 'a;

/// A packed description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// What the archive's manifest says.
    pub description: Description,
    /// The archive.
    pub archive: Vec<u8>,
}

/// Packs the description `source`, changed by `overrides`, and its files, and checks that `machine`
/// can run the result.
///
/// # Errors
/// [`PackError`] names the line or the option that is wrong: a file that can't be found, read or
/// used as a kernel, or anything that [`manifest::validate`] refuses.
pub fn pack(
    source: &Source,
    overrides: &Overrides,
    resolver: &Resolver<'_>,
    machine: &Machine,
) -> Result<Packed, PackError> {
    let mut source = source.clone();
    let folder = source.folder.clone();
    if let Some(first) = source.vms.first_mut() {
        apply(overrides, first)?;
    }
    let mut files = Files::new(resolver, &folder);
    let mut vms = Vec::new();
    for vm in &source.vms {
        vms.push(describe(vm, &mut files)?);
    }
    let description = Description { vms };
    let archive = files.into_archive(&source, &description)?;
    // What boot will do: read everything back from the bytes.
    let checked = manifest::open(&archive).and_then(|(archive, description)| {
        manifest::validate(&description, machine, &archive)?;
        Ok(description)
    });
    match checked {
        Ok(description) => Ok(Packed {
            description,
            archive,
        }),
        Err(error) => Err(locate(&source, &error)),
    }
}

fn apply(overrides: &Overrides, vm: &mut SourceVm) -> Result<(), PackError> {
    let place = |key: Key| SourcePlace::Override { key: key.name() };
    let text = |key: Key, value: &String| Located {
        value: value.clone(),
        place: place(key),
    };
    if let Some(kernel) = &overrides.kernel {
        vm.kernel = text(Key::Kernel, kernel);
        vm.initrd = None;
    }
    if let Some(initrd) = &overrides.initrd {
        vm.initrd = Some(text(Key::Initrd, initrd));
    }
    if let Some(cmdline) = &overrides.cmdline {
        vm.cmdline = Some(text(Key::Cmdline, cmdline));
    }
    if let Some(vcpus) = overrides.vcpus {
        vm.vcpus = Some(Located {
            value: vcpus,
            place: place(Key::Vcpus),
        });
    }
    if let Some(memory) = &overrides.memory {
        let place = place(Key::Memory);
        let Some(value) = parse_size(memory) else {
            let problem = "not a size; write 512M, 2G or a number of bytes";
            return Err(place.error(format!("memory = {memory:?}: {problem}")));
        };
        vm.memory = Located { value, place };
    }
    Ok(())
}

fn describe(vm: &SourceVm, files: &mut Files<'_>) -> Result<VmDescription, PackError> {
    let kernel = files.kernel(&vm.kernel)?;
    let initrd = vm.initrd.as_ref().map(|initrd| files.initrd(initrd));
    Ok(VmDescription {
        name: vm.name.value.clone(),
        vcpus: vm.vcpus.as_ref().map_or(1, |vcpus| vcpus.value),
        memory: vm.memory.value,
        kernel,
        initrd: initrd.transpose()?,
        cmdline: vm
            .cmdline
            .as_ref()
            .map_or_else(String::new, |cmdline| cmdline.value.clone()),
        pinning: vm
            .pinning
            .as_ref()
            .map_or(Pinning::Floating, |cpus| Pinning::Fixed(cpus.value.clone())),
        devices: match &vm.devices {
            Some(devices) => {
                let devices = devices.value.iter();
                devices
                    .map(|it| files.device(it))
                    .collect::<Result<_, _>>()?
            }
            None => default_devices(),
        },
        spis: vm
            .spis
            .as_ref()
            .map_or(limits::DEFAULT_SPIS, |spis| spis.value),
        warm_reset: vm
            .warm_reset
            .as_ref()
            .map_or_else(WarmReset::default, |meaning| meaning.value),
    })
}

/// The files of the archive. One that several VMs use is stored once.
struct Files<'a> {
    resolver: &'a Resolver<'a>,
    folder: &'a Path,
    /// Names and formats of the kernels in the archive.
    kernels: BTreeMap<PathBuf, Kernel>,
    /// Names of the initial file systems in the archive.
    initrds: BTreeMap<PathBuf, String>,
    /// Names of the disks' images in the archive.
    disks: BTreeMap<PathBuf, String>,
    /// Name and bytes of all files, in the order of the archive.
    contents: Vec<(String, Vec<u8>)>,
}

impl<'a> Files<'a> {
    fn new(resolver: &'a Resolver<'a>, folder: &'a Path) -> Self {
        Self {
            resolver,
            folder,
            kernels: BTreeMap::new(),
            initrds: BTreeMap::new(),
            disks: BTreeMap::new(),
            contents: Vec::new(),
        }
    }

    fn kernel(&mut self, written: &Located<String>) -> Result<Kernel, PackError> {
        let path = self.path(FileRole::Kernel, written)?;
        if let Some(kernel) = self.kernels.get(&path) {
            return Ok(kernel.clone());
        }
        let bytes = read(Key::Kernel, written, &path)?;
        let (bytes, format): (Vec<u8>, KernelFormat) =
            unpack_kernel(bytes).map_err(|problem| file_error(Key::Kernel, written, &problem))?;
        let file = format!("kernel-{}", self.kernels.len());
        self.contents.push((file.clone(), bytes));
        let kernel = Kernel { file, format };
        self.kernels.insert(path, kernel.clone());
        Ok(kernel)
    }

    fn initrd(&mut self, written: &Located<String>) -> Result<String, PackError> {
        let path = self.path(FileRole::Initrd, written)?;
        if let Some(file) = self.initrds.get(&path) {
            return Ok(file.clone());
        }
        let bytes = read(Key::Initrd, written, &path)?;
        let file = format!("initrd-{}", self.initrds.len());
        self.contents.push((file.clone(), bytes));
        self.initrds.insert(path, file.clone());
        Ok(file)
    }

    fn device(&mut self, written: &SourceDevice) -> Result<Device, PackError> {
        match written {
            SourceDevice::Plain(device) => Ok(device.clone()),
            SourceDevice::Disk { image, access } => Ok(Device::VirtioBlk(Disk {
                image: self.disk(image)?,
                access: *access,
            })),
        }
    }

    fn disk(&mut self, written: &Located<String>) -> Result<String, PackError> {
        let path = self.path(FileRole::Disk, written)?;
        if let Some(file) = self.disks.get(&path) {
            return Ok(file.clone());
        }
        let bytes = read(Key::Devices, written, &path)?;
        if bytes.is_empty() {
            let problem = "the image of a disk is empty";
            return Err(file_error(Key::Devices, written, problem));
        }
        let file = format!("disk-{}", self.disks.len());
        self.contents.push((file.clone(), bytes));
        self.disks.insert(path, file.clone());
        Ok(file)
    }

    /// Finds the file that the user means.
    fn path(&self, role: FileRole, written: &Located<String>) -> Result<PathBuf, PackError> {
        let key = match role {
            FileRole::Kernel => Key::Kernel,
            FileRole::Initrd => Key::Initrd,
            FileRole::Disk => Key::Devices,
        };
        let name = &written.value;
        if name.is_empty() {
            return Err(file_error(
                key,
                written,
                "must be a path or a symbolic name",
            ));
        }
        if !name.contains(['/', '.']) {
            return (self.resolver)(role, name)
                .map_err(|problem| file_error(key, written, &problem));
        }
        Ok(match written.place {
            SourcePlace::Override { .. } => PathBuf::from(name),
            SourcePlace::File { .. } | SourcePlace::Line { .. } => self.folder.join(name),
        })
    }

    fn into_archive(
        self,
        source: &Source,
        description: &Description,
    ) -> Result<Vec<u8>, PackError> {
        const PERMISSIONS: u32 = 0o444;
        let mut writer = Writer::new();
        let mut written = writer.file(FILE_NAME, PERMISSIONS, &to_dtb(description));
        for (name, bytes) in &self.contents {
            // Block boundaries let the hypervisor map a file instead of copying it.
            written =
                written.and_then(|()| writer.aligned_file(name, PERMISSIONS, bytes, BLOCK_2M));
        }
        written.map_err(|error| whole(source).error(error.to_string()))?;
        Ok(writer.finish())
    }
}

fn read(key: Key, written: &Located<String>, path: &Path) -> Result<Vec<u8>, PackError> {
    fs::read(path).map_err(|error| {
        let problem = format!("{} can't be read: {error}", path.display());
        file_error(key, written, &problem)
    })
}

fn file_error(key: Key, written: &Located<String>, problem: &str) -> PackError {
    let name = &written.value;
    written.place.error(format!("{key} = {name:?}: {problem}"))
}

fn whole(source: &Source) -> SourcePlace {
    SourcePlace::File {
        file: source.file.clone(),
    }
}

/// Turns an error about the manifest into one about what the user has written.
fn locate(source: &Source, error: &ManifestError) -> PackError {
    let find = |number: addr::VmId| source.vms.get(number.index());
    let (vm, key) = match error.place {
        Place::Whole => return whole(source).error(trim(&error.problem.to_string())),
        Place::Vm(number) => (find(number), None),
        Place::Key(number, key) => (find(number), Some(key)),
    };
    let Some(vm) = vm else {
        return whole(source).error(error.to_string());
    };
    let Some(key) = key else {
        return vm.place.error(trim(&error.problem.to_string()));
    };
    // The manifest knows the names in the archive, the user those in the file.
    let written = match key {
        Key::Kernel => Some(&vm.kernel),
        Key::Initrd => vm.initrd.as_ref(),
        Key::Name
        | Key::Vcpus
        | Key::Memory
        | Key::Cmdline
        | Key::Pinning
        | Key::Devices
        | Key::Spis
        | Key::WarmReset => None,
    };
    match (&error.problem, written) {
        (Problem::Image { error, .. }, Some(written)) => {
            file_error(key, written, &error.to_string())
        }
        (Problem::Layout { error, .. }, Some(written)) => {
            file_error(key, written, &error.to_string())
        }
        // All other problems read well as they are, a new one too.
        (problem, _) => place_of(vm, key).error(format!("{key}{problem}")),
    }
}

/// Takes off what a problem begins with when it follows the name of a key.
fn trim(problem: &str) -> &str {
    problem.trim_start_matches(": ")
}

fn place_of(vm: &SourceVm, key: Key) -> &SourcePlace {
    let place = match key {
        Key::Name => Some(&vm.name.place),
        Key::Memory => Some(&vm.memory.place),
        Key::Kernel => Some(&vm.kernel.place),
        Key::Vcpus => vm.vcpus.as_ref().map(|vcpus| &vcpus.place),
        Key::Initrd => vm.initrd.as_ref().map(|initrd| &initrd.place),
        Key::Cmdline => vm.cmdline.as_ref().map(|cmdline| &cmdline.place),
        Key::Pinning => vm.pinning.as_ref().map(|pinning| &pinning.place),
        Key::Devices => vm.devices.as_ref().map(|devices| &devices.place),
        Key::Spis => vm.spis.as_ref().map(|spis| &spis.place),
        Key::WarmReset => vm.warm_reset.as_ref().map(|meaning| &meaning.place),
    };
    place.unwrap_or(&vm.place)
}
