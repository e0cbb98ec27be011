//! Which devices a machine has, and where.

use super::{Attached, BoardDevice, Machine, Target};
use crate::backend::Storage;
use crate::options::{DeviceRequest, MachineKind, Options};
use addr::Ipa;
use anyhow::{Context, Result, bail};
use device_model::Slot;
use devices::{
    Device, Hpet, Pl011, Pl031, Pl061, Pvpanic, VirtioBlk, VirtioRng, hpet, pl011, pl031, pl061,
    pvpanic, virtio_blk, virtio_rng,
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
pub const DEVICES: [&str; 2] = ["virtio-blk-device", "virtio-rng-device"];

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
        for (device, slot) in options.devices.iter().zip((0..map::VIRTIO_SLOTS).rev()) {
            self.attach_virtio(options, device, slot)?;
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
            unknown => bail!("the board has no {unknown}"),
        };
        self.attach(&name, frame, device)?;
        if let Some(attached) = self.devices.last_mut() {
            attached.storage = storage;
        }
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
