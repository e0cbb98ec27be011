//! Which devices a machine has, and where.

use super::{Attached, BoardDevice, Machine, Target};
use crate::backend::Storage;
use crate::options::{DeviceRequest, MachineKind, Options};
use addr::Ipa;
use anyhow::{Context, Result, bail, ensure};
use device_model::Slot;
use devices::{
    Device, Hpet, Pl011, Pl031, Pl061, Pvpanic, VirtioBalloon, VirtioBlk, VirtioConsole, VirtioRng,
    hpet, pl011, pl031, pl061, pvpanic, virtio_balloon, virtio_blk, virtio_console, virtio_rng,
};
use guest_image::map::{self, Frame};
use virtio::{VirtioMmio, mmio};

/// Where a PC has its event timers.
const HPET: Frame = Frame {
    base: Ipa::new(0xfed0_0000),
    size: 0x400,
    interrupt: None,
};

/// The devices that `-device` knows.
pub const DEVICES: [&str; 6] = [
    "virtio-balloon-device",
    "virtio-blk-device",
    "virtio-rng-device",
    "virtio-serial-device",
    CONSOLE_PORT,
    SERIAL_PORT,
];

/// What `-device` puts on a virtio-serial-device, not into a slot.
const CONSOLE_PORT: &str = "virtconsole";
const SERIAL_PORT: &str = "virtserialport";

impl Machine {
    /// Attaches everything that the options ask for.
    pub(super) fn assemble(&mut self, options: &Options) -> Result<()> {
        match options.machine {
            MachineKind::Virt => self.attach_virt(options.cpus)?,
            MachineKind::Pc => {
                let hpet = Hpet::new(hpet::Config::default());
                self.attach("hpet", HPET, BoardDevice::Hpet(Box::new(hpet)))?;
            }
        }
        let (ports, devices): (Vec<_>, Vec<_>) = options
            .devices
            .iter()
            .partition(|device| is_port(&device.kind));
        for (device, slot) in devices.into_iter().zip((0..map::VIRTIO_SLOTS).rev()) {
            self.attach_virtio(options, device, slot)?;
        }
        for port in ports {
            self.add_port(&port.kind, &port.property("id").unwrap_or_default())?;
        }
        Ok(())
    }

    /// Puts everything where QEMU's machine `virt` has it.
    fn attach_virt(&mut self, cpus: u16) -> Result<()> {
        let redistributors =
            map::redistributors(cpus).context("no room for so many redistributors")?;
        let bus = &mut self.bus;
        bus.attach(map::GICD.base, map::GICD.size, Target::Distributor)?;
        bus.attach(
            redistributors.start(),
            redistributors.size(),
            Target::Redistributors,
        )?;
        self.attach("pl011", map::PL011, Pl011::new(pl011::Config::default()))?;
        self.attach("pl031", map::PL031, Pl031::new(pl031::Config))?;
        self.attach("pl061", map::PL061, Pl061::new(pl061::Config::default()))?;
        self.attach(
            "pvpanic",
            map::PVPANIC,
            Pvpanic::new(pvpanic::Config::default()),
        )
    }

    /// Puts a virtio device into a slot, as `-device` asks.
    fn attach_virtio(
        &mut self,
        options: &Options,
        request: &DeviceRequest,
        slot: u16,
    ) -> Result<()> {
        let frame = map::virtio(slot).context("there are no more slots")?;
        let name = format!("virtio-mmio.{slot}");
        let config = mmio::Config {
            version: options.virtio,
            ..mmio::Config::default()
        };
        let mut storage = None;
        let device: Device = match request.kind.as_str() {
            "virtio-blk-device" => {
                let id = request.property("drive")?;
                let drive = options.drives.iter().find(|(name, _)| *name == id);
                let (_, file) = drive.with_context(|| format!("there is no drive {id}"))?;
                let disk = Storage::open(file)?;
                let bytes = disk.bytes();
                storage = Some((id, disk));
                let blk = VirtioBlk::new(virtio_blk::Config {
                    bytes,
                    ..virtio_blk::Config::default()
                });
                VirtioMmio::new(config, blk).into()
            }
            "virtio-rng-device" => {
                VirtioMmio::new(config, VirtioRng::new(virtio_rng::Config)).into()
            }
            "virtio-balloon-device" => {
                let balloon = VirtioBalloon::new(virtio_balloon::Config::default());
                VirtioMmio::new(config, balloon).into()
            }
            "virtio-serial-device" => {
                self.free_ports += virtio_console::MOST_PORTS;
                let console = VirtioConsole::new(virtio_console::Config {
                    ports: virtio_console::MOST_PORTS as u8,
                    ..virtio_console::Config::default()
                });
                VirtioMmio::new(config, console).into()
            }
            unknown => bail!("the board has no {unknown}"),
        };
        self.attach(&name, frame, device)?;
        if let Some(attached) = self.devices.last_mut() {
            attached.storage = storage;
        }
        Ok(())
    }

    /// Connects something to a port of a virtio-serial-device. The device has all its ports from the
    /// start and its guest sees no difference: nothing comes from there.
    ///
    /// # Errors
    /// If it is no port, or all are taken.
    pub fn add_port(&mut self, kind: &str, name: &str) -> Result<()> {
        ensure!(is_port(kind), "{kind} cannot be added");
        let free = self.free_ports.checked_sub(1);
        self.free_ports = free.context("there is no free port")?;
        self.ports.push(name.to_owned());
        Ok(())
    }

    /// Takes away what was connected to a port.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn remove_port(&mut self, name: &str) -> Result<()> {
        let place = self.ports.iter().position(|port| port == name);
        self.ports
            .remove(place.with_context(|| format!("there is no device {name}"))?);
        self.free_ports += 1;
        Ok(())
    }

    fn attach(&mut self, name: &str, frame: Frame, device: impl Into<BoardDevice>) -> Result<()> {
        let place = self.devices.len();
        self.bus
            .attach(frame.base, frame.size, Target::Slot(place))?;
        self.devices.push(Attached {
            name: name.to_owned(),
            slot: Slot::new(device.into()),
            interrupt: frame.interrupt,
            storage: None,
            deadline: None,
        });
        Ok(())
    }
}

fn is_port(kind: &str) -> bool {
    kind == CONSOLE_PORT || kind == SERIAL_PORT
}
