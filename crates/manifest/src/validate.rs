//! Checks whether the machine can do what a description asks for.

use crate::error::{ManifestError, Place, Problem, most_memory};
use crate::key::Key;
use crate::{Description, Pinning, VmDescription, boot_files, disk_memory, limits, may_add};
use addr::VmId;
use archive::Archive;
use guest_image::map;

/// What the machine has. The host tool may not know; at boot everything is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// Number of CPUs.
    pub cpus: Option<u16>,
    /// Memory that VMs can be given, in bytes.
    pub ram_bytes: Option<u64>,
    /// Bits of a guest-physical address.
    pub ipa_bits: Option<u8>,
}

/// Checks that `machine` can run every VM of `description` with the files in `archive`.
///
/// # Errors
/// [`ManifestError`] for the first VM that breaks a limit, asks for what the machine lacks, names a
/// file that is missing or unsuitable, or has files that do not fit in its memory.
pub fn validate(
    description: &Description,
    machine: &Machine,
    archive: &Archive<'_>,
) -> Result<(), ManifestError> {
    let count = description.vms.len();
    if count == 0 {
        return Err(Place::Whole.error(Problem::NoVms));
    }
    if count > limits::MAX_VMS {
        return Err(Place::Whole.error(Problem::TooManyVms { count }));
    }
    let mut totals = Totals::default();
    for (number, vm) in (0..).zip(&description.vms) {
        let number = VmId::new(number);
        check_name(number, vm, description)?;
        check_vcpus(number, vm, machine)?;
        check_memory(number, vm, machine)?;
        check_cmdline(number, vm)?;
        check_devices(number, vm)?;
        let files = boot_files(number, vm, archive)?;
        totals.add(number, vm, disk_memory(vm, &files), machine)?;
    }
    Ok(())
}

fn check_name(
    number: VmId,
    vm: &VmDescription,
    description: &Description,
) -> Result<(), ManifestError> {
    let place = Place::Key(number, Key::Name);
    let name = &vm.name;
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || name.len() > limits::MAX_NAME || !name.bytes().all(allowed) {
        return Err(place.error(Problem::BadName { name: name.clone() }));
    }
    let mut earlier = (0..).zip(&description.vms).take(number.index());
    match earlier.find(|(_, other)| other.name == *name) {
        Some((first, _)) => Err(place.error(Problem::DuplicateName {
            name: name.clone(),
            first: VmId::new(first),
        })),
        None => Ok(()),
    }
}

fn check_vcpus(number: VmId, vm: &VmDescription, machine: &Machine) -> Result<(), ManifestError> {
    if vm.vcpus == 0 || vm.vcpus > limits::MAX_VCPUS {
        let vcpus = u64::from(vm.vcpus);
        return Err(Place::Key(number, Key::Vcpus).error(Problem::BadVcpuCount { vcpus }));
    }
    let place = Place::Key(number, Key::Pinning);
    let pins = match &vm.pinning {
        Pinning::Fixed(pins) => pins,
        Pinning::Floating => return Ok(()),
    };
    if pins.len() != usize::from(vm.vcpus) {
        let pins = pins.len();
        let vcpus = vm.vcpus;
        return Err(place.error(Problem::PinCount { pins, vcpus }));
    }
    let Some(cpus) = machine.cpus else {
        return Ok(());
    };
    match pins.iter().find(|cpu| cpu.get() >= cpus) {
        Some(cpu) => {
            let cpu = u64::from(cpu.get());
            Err(place.error(Problem::AbsentCpu { cpu, cpus }))
        }
        None => Ok(()),
    }
}

fn check_memory(number: VmId, vm: &VmDescription, machine: &Machine) -> Result<(), ManifestError> {
    let place = Place::Key(number, Key::Memory);
    let bytes = vm.memory;
    if bytes == 0 || !bytes.is_multiple_of(limits::MEMORY_GRANULE) {
        return Err(place.error(Problem::UnalignedMemory { bytes }));
    }
    let ipa_bits = machine.ipa_bits.unwrap_or(limits::MAX_IPA_BITS);
    if bytes > most_memory(ipa_bits) {
        return Err(place.error(Problem::MemoryBeyondIpa { bytes, ipa_bits }));
    }
    Ok(())
}

fn check_cmdline(number: VmId, vm: &VmDescription) -> Result<(), ManifestError> {
    let place = Place::Key(number, Key::Cmdline);
    let length = vm.cmdline.len();
    if length > limits::MAX_CMDLINE {
        return Err(place.error(Problem::LongCmdline { length }));
    }
    let printable = |character: &char| matches!(character, ' '..='~');
    match vm.cmdline.chars().find(|character| !printable(character)) {
        Some(character) => Err(place.error(Problem::BadCmdline { character })),
        None => Ok(()),
    }
}

fn check_devices(number: VmId, vm: &VmDescription) -> Result<(), ManifestError> {
    let place = Place::Key(number, Key::Devices);
    for (index, device) in vm.devices.iter().enumerate() {
        let earlier = vm.devices.get(..index).unwrap_or_default();
        if !may_add(earlier, device.name()) {
            let name = device.name().name();
            return Err(place.error(Problem::DuplicateDevice { name }));
        }
    }
    let count = vm.devices.len();
    if count > limits::MAX_DEVICES {
        return Err(place.error(Problem::TooManyDevices { count }));
    }
    let count = vm.devices.iter().filter(|it| it.is_virtio()).count();
    let interrupts = u32::from(vm.spis).saturating_sub(map::VIRTIO_FIRST_SPI);
    let most = usize::from(map::VIRTIO_SLOTS).min(usize::try_from(interrupts).unwrap_or(0));
    if count > most {
        return Err(place.error(Problem::TooManyVirtio { count, most }));
    }
    if !limits::is_spi_count(vm.spis) {
        let spis = u64::from(vm.spis);
        return Err(Place::Key(number, Key::Spis).error(Problem::BadSpiCount { spis }));
    }
    Ok(())
}

/// What the VMs so far need together.
#[derive(Default)]
struct Totals {
    vcpus: u32,
    memory: u64,
}

impl Totals {
    fn add(
        &mut self,
        number: VmId,
        vm: &VmDescription,
        disks: u64,
        machine: &Machine,
    ) -> Result<(), ManifestError> {
        self.vcpus = self.vcpus.saturating_add(u32::from(vm.vcpus));
        self.memory = self.memory.saturating_add(vm.memory).saturating_add(disks);
        if self.vcpus > limits::MAX_TOTAL_VCPUS {
            let total = self.vcpus;
            return Err(Place::Key(number, Key::Vcpus).error(Problem::TooManyVcpus { total }));
        }
        match machine.ram_bytes {
            Some(available) if self.memory > available => Err(Place::Key(number, Key::Memory)
                .error(Problem::TooLittleRam {
                    bytes: vm.memory,
                    total: self.memory,
                    available,
                })),
            Some(_) | None => Ok(()),
        }
    }
}
