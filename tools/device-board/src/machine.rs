//! The board: devices on an address map, their lines, and a clock that stands still unless it is
//! told to step.

use crate::backend::{Behind, Storage};
use crate::gic::Gic;
use crate::options::{DeviceRequest, MachineKind, Options};
use crate::plant::Plant;
use crate::ram::Ram;
use addr::{IntId, Ipa, Width};
use anyhow::{Context, Result, bail};
use device_model::{
    BackendChange, Bus, Effects, Host, Level, LineUpdate, MmioDevice, Model, Moment,
    NANOSECONDS_PER_SECOND, Slot, TimeBase, TimerRequest, WorkRequest,
};
use devices::{
    Device, Hpet, Pl011, Pl031, Pl061, Pvpanic, VirtioBlk, VirtioRng, hpet, pl011, pl031, pl061,
    pvpanic, virtio_blk, virtio_rng,
};
use guest_image::map::{self, Frame};
use virtio::{VirtioMmio, mmio};

/// The name of the interrupt controller, as an input of lines.
pub const GIC: &str = "gic";
/// The name of the distributor's registers.
pub const GICD: &str = "gicd";
/// The name of the redistributors' registers.
pub const GICR: &str = "gicr";

/// A change of a line that a test asked to be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The number of the line, as the test counts.
    pub line: u32,
    /// The new level.
    pub level: Level,
}

/// Which lines a test asked to be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interception {
    /// The output of a device: line 0.
    Output(usize),
    /// The SPIs that reach the interrupt controller, by their numbers.
    Inputs,
}

/// Who answers at an address.
#[derive(Clone, Copy, Debug)]
enum Target {
    Slot(usize),
    Distributor,
    Redistributors,
}

/// A device of a guest, or the one that only the board has.
#[derive(Debug)]
enum BoardDevice {
    Guest(Device),
    Hpet(Box<Hpet>),
}

impl Model for BoardDevice {
    fn model<H: Host>(&mut self) -> &mut dyn MmioDevice<H> {
        match self {
            Self::Guest(device) => device.model(),
            Self::Hpet(device) => device.as_mut(),
        }
    }
}

impl<D: Into<Device>> From<D> for BoardDevice {
    fn from(device: D) -> Self {
        Self::Guest(device.into())
    }
}

/// A device in its place.
#[derive(Debug)]
struct Attached {
    name: String,
    slot: Slot<BoardDevice>,
    interrupt: Option<IntId>,
    /// What stands behind a disk, with its name.
    storage: Option<(String, Storage)>,
    /// When the device wants to look at the time, in nanoseconds.
    deadline: Option<u64>,
}

/// The whole machine.
#[derive(Debug)]
pub struct Machine {
    ram: Ram,
    bus: Bus<Target>,
    devices: Vec<Attached>,
    gic: Gic,
    /// Nanoseconds since the machine was made.
    now: u64,
    /// Nanoseconds since 1970 when the machine was made.
    epoch: u64,
    interception: Option<Interception>,
    edges: Vec<Edge>,
    plant: Option<Plant>,
    /// Where the devices' random numbers go on.
    entropy: u64,
}

/// Where a PC has its event timers.
const HPET: Frame = Frame {
    base: Ipa::new(0xfed0_0000),
    size: 0x400,
    interrupt: None,
};

/// The devices that `-device` knows.
pub const VIRTIO_DEVICES: [&str; 2] = ["virtio-blk-device", "virtio-rng-device"];

/// Most pieces of work of a device after one access. A queue of any length is done in fewer.
const MOST_WORK: usize = 1 << 16;

impl Machine {
    /// Makes a machine as it is after power-on.
    ///
    /// # Errors
    /// If the options ask for what the board does not have.
    pub fn new(options: &Options) -> Result<Self> {
        let mut machine = Self {
            ram: Ram::new(options.memory),
            bus: Bus::default(),
            devices: Vec::new(),
            gic: Gic::new(options.cpus)?,
            now: 0,
            epoch: options.epoch.saturating_mul(NANOSECONDS_PER_SECOND),
            interception: None,
            edges: Vec::new(),
            plant: options.plant,
            entropy: 0x2545_f491_4f6c_dd1d,
        };
        match options.machine {
            MachineKind::Virt => machine.attach_virt(options.cpus)?,
            MachineKind::Pc => {
                let hpet = Hpet::new(hpet::Config::default());
                machine.attach("hpet", HPET, BoardDevice::Hpet(Box::new(hpet)))?;
            }
        }
        for (device, slot) in options.devices.iter().zip((0..map::VIRTIO_SLOTS).rev()) {
            machine.attach_virtio(options, device, slot)?;
        }
        Ok(machine)
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

    /// Gives a disk another size and tells its device.
    ///
    /// # Errors
    /// If there is no such disk, or it cannot have that size.
    pub fn resize_disk(&mut self, name: &str, bytes: u64) -> Result<()> {
        let place = self.devices.iter_mut().enumerate().find_map(|(place, it)| {
            let (_, storage) = it.storage.as_mut().filter(|(id, _)| id == name)?;
            Some((place, storage))
        });
        let (place, storage) = place.with_context(|| format!("there is no disk {name}"))?;
        storage.resize(bytes)?;
        let change = BackendChange::DiskSize(bytes);
        self.with(place, |slot, effects| slot.backend_changed(effects, change));
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

    /// Puts everything but the memory and the clock into the state after power-on.
    pub fn reset(&mut self) {
        self.gic.reset();
        for place in 0..self.devices.len() {
            self.with(place, |slot, effects| slot.reset(effects));
        }
    }

    /// Returns the changes of lines since the last call, in their order.
    pub fn take_edges(&mut self) -> Vec<Edge> {
        std::mem::take(&mut self.edges)
    }

    /// Reads one unit; what nobody answers reads as zero.
    pub fn read(&mut self, address: u64, width: Width) -> u64 {
        if let Some(bytes) = self.ram.get(address, length(width)) {
            return from_bytes(bytes);
        }
        let Ok(hit) = self.bus.lookup(Ipa::new(address), width) else {
            return 0;
        };
        let value = match hit.target {
            Target::Slot(place) => self
                .with(place, |slot, effects| slot.read(effects, hit.offset, width))
                .and_then(Result::ok)
                .unwrap_or(0),
            Target::Distributor => self.gic.read_distributor(hit.offset, width),
            Target::Redistributors => self.gic.read_redistributors(hit.offset, width),
        };
        match self.plant {
            Some(plant) => plant.read(self.name(hit.target), hit.offset, width, value),
            None => value,
        }
    }

    /// Writes one unit; where nobody answers, nothing happens.
    pub fn write(&mut self, address: u64, width: Width, value: u64) {
        if let Some(bytes) = self.ram.get_mut(address, length(width)) {
            let value = value.to_le_bytes();
            bytes.copy_from_slice(&value[..bytes.len()]);
            return;
        }
        let Ok(hit) = self.bus.lookup(Ipa::new(address), width) else {
            return;
        };
        let value = match self.plant {
            Some(plant) => plant.written(self.name(hit.target), hit.offset, value),
            None => value,
        };
        match hit.target {
            Target::Slot(place) => {
                self.with(place, |slot, effects| {
                    // An abort has nobody to go to.
                    let _ = slot.write(effects, hit.offset, width, value);
                });
            }
            Target::Distributor => self.gic.write_distributor(hit.offset, width, value),
            Target::Redistributors => self.gic.write_redistributors(hit.offset, width, value),
        }
    }

    /// Reads a run of bytes.
    pub fn read_bytes(&mut self, address: u64, count: usize) -> Vec<u8> {
        if let Some(bytes) = self.ram.get(address, count) {
            return bytes.to_vec();
        }
        (0..count as u64)
            .map(|offset| self.read(address.wrapping_add(offset), Width::Byte) as u8)
            .collect()
    }

    /// Writes a run of bytes.
    pub fn write_bytes(&mut self, address: u64, bytes: &[u8]) {
        if let Some(place) = self.ram.get_mut(address, bytes.len()) {
            place.copy_from_slice(bytes);
            return;
        }
        for (offset, byte) in (0u64..).zip(bytes) {
            self.write(address.wrapping_add(offset), Width::Byte, u64::from(*byte));
        }
    }

    /// Asks to be told of the changes of a device's line; `false` if there is no such device.
    pub fn intercept_output(&mut self, device: &str) -> bool {
        let place = self.devices.iter().position(|it| it.name == device);
        self.interception = place.map(Interception::Output).or(self.interception);
        place.is_some()
    }

    /// Asks to be told of the changes of the lines that reach the interrupt controller.
    pub fn intercept_inputs(&mut self) {
        self.interception = Some(Interception::Inputs);
    }

    /// Sets an input of a device, by QEMU's numbering; `false` if that has none.
    pub fn set_input(&mut self, device: &str, input: u32, level: Level) -> bool {
        if device == GIC {
            self.gic.set_input(input, level);
            return true;
        }
        let place = self.devices.iter().position(|it| it.name == device);
        let set = place.and_then(|place| {
            self.with(place, |slot, effects| {
                slot.poke(effects, |device, _| set_pin(device, input, level))
            })
        });
        set.unwrap_or(false)
    }

    /// Returns the time in nanoseconds.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.now
    }

    /// Returns when the next device wants to look at the time.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        self.devices.iter().filter_map(|it| it.deadline).min()
    }

    /// Moves the clock forward, stopping at each deadline on the way.
    pub fn advance_to(&mut self, target: u64) {
        while let Some(deadline) = self.next_deadline().filter(|time| *time <= target) {
            self.now = self.now.max(deadline);
            for place in 0..self.devices.len() {
                let due = self.devices[place]
                    .deadline
                    .is_some_and(|it| it <= self.now);
                if due {
                    self.devices[place].deadline = None;
                    self.with(place, |slot, effects| slot.timer_expired(effects));
                }
            }
        }
        self.now = self.now.max(target);
    }

    /// Does one thing with a device, and all the work that follows from it.
    fn with<R>(
        &mut self,
        place: usize,
        act: impl FnOnce(&mut Slot<BoardDevice>, &mut Effects) -> R,
    ) -> Option<R> {
        let attached = self.devices.get_mut(place)?;
        let mut effects = Effects::new(moment(self.now, self.epoch));
        let result = act(&mut attached.slot, &mut effects);
        for _ in 0..MOST_WORK {
            let wanted = effects.work;
            self.apply(place, &effects);
            if wanted == WorkRequest::Unchanged {
                break;
            }
            let attached = self.devices.get_mut(place)?;
            effects = Effects::new(moment(self.now, self.epoch));
            let mut behind = Behind {
                ram: &mut self.ram,
                storage: attached.storage.as_mut().map(|(_, storage)| storage),
                entropy: &mut self.entropy,
            };
            attached.slot.work(&mut effects, &mut behind);
        }
        Some(result)
    }

    /// Does what a device has recorded.
    fn apply(&mut self, place: usize, effects: &Effects) {
        let Some(attached) = self.devices.get_mut(place) else {
            return;
        };
        match effects.timer {
            Some(TimerRequest::Arm(deadline)) => attached.deadline = Some(deadline),
            Some(TimerRequest::Cancel) => attached.deadline = None,
            None => {}
        }
        if let Some(update) = effects.line {
            self.drive(place, update);
        }
    }

    fn drive(&mut self, place: usize, update: LineUpdate) {
        let interrupt = self.devices.get(place).and_then(|it| it.interrupt);
        if let Some(id) = interrupt {
            self.gic.set_spi(id, update.level);
        }
        let line = match self.interception {
            Some(Interception::Output(watched)) => (watched == place).then_some(0),
            Some(Interception::Inputs) => {
                interrupt.and_then(|id| id.get().checked_sub(IntId::FIRST_SPI))
            }
            None => None,
        };
        self.edges.extend(line.map(|line| Edge {
            line,
            level: update.level,
        }));
    }

    fn name(&self, target: Target) -> &str {
        match target {
            Target::Slot(place) => self.devices.get(place).map_or("", |it| &it.name),
            Target::Distributor => GICD,
            Target::Redistributors => GICR,
        }
    }
}

fn set_pin(device: &mut BoardDevice, input: u32, level: Level) -> bool {
    let (BoardDevice::Guest(Device::Pl061(pins)), Ok(pin)) = (device, u8::try_from(input)) else {
        return false;
    };
    pins.set_input(pin, level);
    true
}

fn moment(now: u64, epoch: u64) -> Moment {
    Moment {
        ticks: now,
        base: TimeBase {
            frequency: NANOSECONDS_PER_SECOND,
            epoch,
        },
    }
}

fn length(width: Width) -> usize {
    width.bytes() as usize
}

fn from_bytes(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |value, byte| value << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UART: u64 = map::PL011.base.get();
    const CLOCK: u64 = map::PL031.base.get();

    fn machine() -> Machine {
        Machine::new(&Options::default()).unwrap()
    }

    #[test]
    fn devices_answer_at_their_addresses_and_nothing_else_does() {
        let mut machine = machine();
        assert_eq!(machine.read(UART + 0xfe0, Width::Word), 0x11);
        assert_eq!(machine.read(CLOCK + 0xfe0, Width::Word), 0x31);
        assert_eq!(machine.read(0x0700_0000, Width::Double), 0);
        machine.write(0x4000_1000, Width::Double, 0x1122_3344_5566_7788);
        assert_eq!(machine.read(0x4000_1002, Width::Half), 0x5566);
    }

    #[test]
    fn a_device_s_line_reaches_the_interrupt_controller() {
        let mut machine = machine();
        machine.intercept_inputs();
        machine.write(UART + 0x38, Width::Word, 0x20);
        machine.write(UART, Width::Word, 0x41);
        let raised = Edge {
            line: 1,
            level: Level::High,
        };
        assert_eq!(machine.take_edges(), [raised]);
        let pending = map::GICD.base.get() + 0x204;
        assert_eq!(machine.read(pending, Width::Word), 1 << 1);
        machine.reset();
        assert_eq!(machine.take_edges().len(), 1);
        assert_eq!(machine.read(pending, Width::Word), 0);
    }

    #[test]
    fn the_alarm_rings_when_the_clock_is_stepped_past_it() {
        let mut machine = machine();
        let now = machine.read(CLOCK, Width::Word);
        machine.write(CLOCK + 0x10, Width::Word, 1);
        machine.write(CLOCK + 0x04, Width::Word, now + 2);
        assert!(machine.intercept_output("pl031"));
        let deadline = machine.next_deadline().unwrap();
        machine.advance_to(deadline - 1);
        assert_eq!(machine.take_edges(), []);
        machine.advance_to(deadline);
        assert_eq!(machine.take_edges().len(), 1);
        assert_eq!(machine.read(CLOCK, Width::Word), now + 2);
        assert_eq!(machine.next_deadline(), None);
    }
}
