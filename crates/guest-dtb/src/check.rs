//! What must hold of a VM before it is worth describing.

use crate::{DeviceKind, GuestDevice, GuestMachine, MAX_BOOTARGS};
use addr::{IntId, IpaRange};
use alloc::vec::Vec;
use core::fmt;

/// Size in bytes of a redistributor: its RD and SGI frames (IHI0069, 12.10).
const REDISTRIBUTOR_SIZE: u64 = 128 * 1024;

/// Why a VM can't be described to its guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuestDtbError {
    /// There is no vCPU.
    NoVcpus,
    /// There is no memory.
    NoMemory,
    /// Two of memory, interrupt controller and devices share addresses.
    Overlap {
        /// The lower one.
        first: IpaRange,
        /// The upper one.
        second: IpaRange,
    },
    /// The redistributors' range has not 128 KiB for each vCPU.
    FewRedistributors {
        /// The range.
        range: IpaRange,
        /// How many vCPUs there are.
        vcpus: u16,
    },
    /// A device lacks its interrupt.
    MissingInterrupt {
        /// The device.
        device: GuestDevice,
    },
    /// A device that has no interrupt was given one, or one that is not an SPI.
    WrongInterrupt {
        /// The device, with that interrupt.
        device: GuestDevice,
    },
    /// Two devices have the same interrupt.
    SharedInterrupt {
        /// The interrupt.
        interrupt: IntId,
    },
    /// The command line is longer than [`MAX_BOOTARGS`].
    LongBootargs {
        /// Its length in bytes.
        length: usize,
    },
    /// The command line contains a NUL, which would end it.
    NulInBootargs {
        /// The NUL's place.
        position: usize,
    },
    /// The initial RAM disk does not lie in one bank of memory.
    InitrdOutsideMemory {
        /// Where it lies.
        range: IpaRange,
    },
}

impl fmt::Display for GuestDtbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoVcpus => f.write_str("a VM needs at least one vCPU"),
            Self::NoMemory => f.write_str("a VM needs at least one bank of memory"),
            Self::Overlap { first, second } => write!(f, "{first} and {second} overlap"),
            Self::FewRedistributors { range, vcpus } => write!(
                f,
                "the redistributors' range {range} has not 128 KiB for each of {vcpus} vCPUs"
            ),
            Self::MissingInterrupt { device } => {
                write!(f, "{:?} at {} needs an SPI", device.kind, device.range)
            }
            Self::WrongInterrupt { device } => write!(
                f,
                "{:?} at {} can't have interrupt {}",
                device.kind,
                device.range,
                device.interrupt.unwrap_or(IntId::SPURIOUS)
            ),
            Self::SharedInterrupt { interrupt } => {
                write!(f, "interrupt {interrupt} is given to two devices")
            }
            Self::LongBootargs { length } => write!(
                f,
                "the command line has {length} bytes; guests read at most {MAX_BOOTARGS}"
            ),
            Self::NulInBootargs { position } => {
                write!(f, "the command line has a NUL at byte {position}")
            }
            Self::InitrdOutsideMemory { range } => {
                write!(f, "the initial RAM disk {range} is not in the VM's memory")
            }
        }
    }
}

impl core::error::Error for GuestDtbError {}

/// Checks a VM's description.
pub(crate) fn check(machine: &GuestMachine<'_>) -> Result<(), GuestDtbError> {
    check_vcpus(machine)?;
    check_ranges(machine)?;
    check_interrupts(machine.devices)?;
    check_bootargs(machine.bootargs)?;
    match machine.initrd {
        Some(range) if !lies_in_memory(machine, range) => {
            Err(GuestDtbError::InitrdOutsideMemory { range })
        }
        Some(_) | None => Ok(()),
    }
}

/// Tells whether devices of this kind have an interrupt.
pub(crate) fn has_interrupt(kind: DeviceKind) -> bool {
    match kind {
        DeviceKind::Pl011 | DeviceKind::Pl031 | DeviceKind::Pl061 | DeviceKind::VirtioMmio => true,
        DeviceKind::Pvpanic => false,
    }
}

fn check_vcpus(machine: &GuestMachine<'_>) -> Result<(), GuestDtbError> {
    if machine.vcpus == 0 {
        return Err(GuestDtbError::NoVcpus);
    }
    let needed = u64::from(machine.vcpus).checked_mul(REDISTRIBUTOR_SIZE);
    if needed.is_none_or(|needed| needed > machine.redistributors.size()) {
        return Err(GuestDtbError::FewRedistributors {
            range: machine.redistributors,
            vcpus: machine.vcpus,
        });
    }
    Ok(())
}

fn check_ranges(machine: &GuestMachine<'_>) -> Result<(), GuestDtbError> {
    if machine.memory.is_empty() {
        return Err(GuestDtbError::NoMemory);
    }
    let mut ranges: Vec<IpaRange> = machine.memory.to_vec();
    ranges.extend([machine.distributor, machine.redistributors]);
    ranges.extend(machine.devices.iter().map(|device| device.range));
    ranges.sort_unstable();
    let pairs = ranges.iter().zip(ranges.iter().skip(1));
    for (first, second) in pairs {
        if first.overlaps(*second) {
            return Err(GuestDtbError::Overlap {
                first: *first,
                second: *second,
            });
        }
    }
    Ok(())
}

fn check_interrupts(devices: &[GuestDevice]) -> Result<(), GuestDtbError> {
    let mut used = Vec::new();
    for device in devices {
        let device = *device;
        match device.interrupt {
            Some(interrupt) if has_interrupt(device.kind) && interrupt.is_spi() => {
                used.push(interrupt);
            }
            Some(_) => return Err(GuestDtbError::WrongInterrupt { device }),
            None if has_interrupt(device.kind) => {
                return Err(GuestDtbError::MissingInterrupt { device });
            }
            None => {}
        }
    }
    used.sort_unstable();
    let mut pairs = used.iter().zip(used.iter().skip(1));
    match pairs.find(|(first, second)| first == second) {
        Some((interrupt, _)) => Err(GuestDtbError::SharedInterrupt {
            interrupt: *interrupt,
        }),
        None => Ok(()),
    }
}

fn check_bootargs(bootargs: &str) -> Result<(), GuestDtbError> {
    let length = bootargs.len();
    if length > MAX_BOOTARGS {
        return Err(GuestDtbError::LongBootargs { length });
    }
    match bootargs.bytes().position(|byte| byte == 0) {
        Some(position) => Err(GuestDtbError::NulInBootargs { position }),
        None => Ok(()),
    }
}

fn lies_in_memory(machine: &GuestMachine<'_>, range: IpaRange) -> bool {
    machine.memory.iter().any(|bank| bank.contains_range(range))
}
