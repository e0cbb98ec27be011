//! All kinds of devices as one type.

use crate::{Pl011, Pl031, Pl061, Pvpanic, VirtioBalloon, VirtioBlk, VirtioConsole, VirtioRng};
use device_model::{Host, MmioDevice, Model};
use virtio::VirtioMmio;

/// A device of any kind. A new kind is a variant here and one arm in [`Model::model`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Device {
    /// A serial port.
    Pl011(Pl011),
    /// A real-time clock.
    Pl031(Pl031),
    /// Pins, one of them a power button.
    Pl061(Pl061),
    /// Where a guest reports its panic.
    Pvpanic(Pvpanic),
    /// A memory balloon.
    VirtioBalloon(VirtioMmio<VirtioBalloon>),
    /// A console in large pieces.
    VirtioConsole(VirtioMmio<VirtioConsole>),
    /// A disk.
    VirtioBlk(VirtioMmio<VirtioBlk>),
    /// A source of random numbers.
    VirtioRng(VirtioMmio<VirtioRng>),
}

impl Model for Device {
    fn model<H: Host>(&mut self) -> &mut dyn MmioDevice<H> {
        match self {
            Self::Pl011(device) => device,
            Self::Pl031(device) => device,
            Self::Pl061(device) => device,
            Self::Pvpanic(device) => device,
            Self::VirtioBalloon(device) => device,
            Self::VirtioConsole(device) => device,
            Self::VirtioBlk(device) => device,
            Self::VirtioRng(device) => device,
        }
    }
}

/// Whether a device has a power key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerKey {
    /// It has, and the key is down for a moment.
    Pressed,
    /// It has none.
    Absent,
}

impl Device {
    /// Presses the power key, if the device has one: its guest is asked to shut down. To be called
    /// through [`device_model::Slot::poke`].
    pub fn press_power_key<H: Host>(&mut self, host: &mut H) -> PowerKey {
        match self {
            Self::Pl061(gpio) => {
                gpio.press(host);
                PowerKey::Pressed
            }
            Self::Pl011(_)
            | Self::Pl031(_)
            | Self::Pvpanic(_)
            | Self::VirtioBalloon(_)
            | Self::VirtioConsole(_)
            | Self::VirtioBlk(_)
            | Self::VirtioRng(_) => PowerKey::Absent,
        }
    }
}

impl From<Pl011> for Device {
    fn from(device: Pl011) -> Self {
        Self::Pl011(device)
    }
}

impl From<Pvpanic> for Device {
    fn from(device: Pvpanic) -> Self {
        Self::Pvpanic(device)
    }
}

impl From<Pl061> for Device {
    fn from(device: Pl061) -> Self {
        Self::Pl061(device)
    }
}

impl From<Pl031> for Device {
    fn from(device: Pl031) -> Self {
        Self::Pl031(device)
    }
}

impl From<VirtioMmio<VirtioBlk>> for Device {
    fn from(device: VirtioMmio<VirtioBlk>) -> Self {
        Self::VirtioBlk(device)
    }
}

impl From<VirtioMmio<VirtioRng>> for Device {
    fn from(device: VirtioMmio<VirtioRng>) -> Self {
        Self::VirtioRng(device)
    }
}

impl From<VirtioMmio<VirtioBalloon>> for Device {
    fn from(device: VirtioMmio<VirtioBalloon>) -> Self {
        Self::VirtioBalloon(device)
    }
}

impl From<VirtioMmio<VirtioConsole>> for Device {
    fn from(device: VirtioMmio<VirtioConsole>) -> Self {
        Self::VirtioConsole(device)
    }
}
