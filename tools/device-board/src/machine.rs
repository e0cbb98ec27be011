//! The board: devices on an address map, their lines, and a clock that stands still unless it is
//! told to step.

mod assembly;
#[cfg(test)]
mod tests;

use crate::backend::{Behind, Storage};
use crate::gic::Gic;
use crate::options::Options;
use crate::plant::Plant;
use crate::ram::Ram;
use addr::{IntId, Ipa, Width};
use anyhow::{Context, Result};
use device_model::{
    BackendChange, Bus, Effects, Host, Level, LineUpdate, MmioDevice, Model, Moment,
    NANOSECONDS_PER_SECOND, Slot, TimeBase, TimerRequest, WorkRequest,
};
use devices::{Device, Hpet};

pub use assembly::DEVICES;

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
    Guest(Box<Device>),
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
        Self::Guest(Box::new(device.into()))
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
    /// The names of what is connected to ports, and how many ports are free.
    ports: Vec<String>,
    free_ports: usize,
    /// Where the devices' random numbers go on.
    entropy: u64,
}

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
            ports: Vec::new(),
            free_ports: 0,
            entropy: 0x2545_f491_4f6c_dd1d,
        };
        machine.assemble(options)?;
        Ok(machine)
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
    let BoardDevice::Guest(device) = device else {
        return false;
    };
    let (Device::Pl061(pins), Ok(pin)) = (device.as_mut(), u8::try_from(input)) else {
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
