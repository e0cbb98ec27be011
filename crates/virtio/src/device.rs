//! What a kind of device adds to the transport.

use crate::Features;
use crate::queue::{Queue, QueueError};
use crate::turn::Turn;
use device_model::migrate::Migrate;
use device_model::{BackendChange, Host, Received, Wire};

/// The number of a kind of device (virtio 1.3, chapter 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceId(pub u32);

/// Most bytes of a device's configuration.
pub(crate) const CONFIG_BYTES: usize = 64;

/// A device's configuration as the driver reads it: little-endian fields, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfigSpace {
    bytes: [u8; CONFIG_BYTES],
    length: usize,
}

impl Default for ConfigSpace {
    fn default() -> Self {
        Self {
            bytes: [0; CONFIG_BYTES],
            length: 0,
        }
    }
}

impl ConfigSpace {
    /// Adds bytes at the end; what does not fit is left out.
    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        let end = self.length.saturating_add(bytes.len());
        if let Some(place) = self.bytes.get_mut(self.length..end) {
            place.copy_from_slice(bytes);
            self.length = end;
        }
        self
    }

    /// Adds a field of 8 bits.
    #[must_use]
    pub fn byte(self, value: u8) -> Self {
        self.bytes(&[value])
    }

    /// Adds a field of 16 bits.
    #[must_use]
    pub fn half(self, value: u16) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    /// Adds a field of 32 bits.
    #[must_use]
    pub fn word(self, value: u32) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    /// Adds a field of 64 bits.
    #[must_use]
    pub fn double(self, value: u64) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    /// Fills `buffer` from `offset` on; there are zeros behind the end.
    pub fn read(&self, offset: usize, buffer: &mut [u8]) {
        let there = self.bytes.get(..self.length).unwrap_or_default();
        let rest = there.get(offset..).unwrap_or_default();
        buffer.fill(0);
        for (byte, value) in buffer.iter_mut().zip(rest) {
            *byte = *value;
        }
    }
}

/// Whether the configuration that the driver reads has changed by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum ConfigEffect {
    /// It is what it was.
    Unchanged,
    /// It has changed: the driver is told.
    Changed,
}

/// What became of a driver's write to the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum ConfigWrite {
    /// The device took it.
    Accepted,
    /// The field cannot be written, or not with these features.
    Refused,
}

/// A kind of device. The transport owns its queues and calls it.
///
/// What is saved of a device is what it has beside its queues. A request in work is not: its chain
/// counts as not begun, and [`VirtioDevice::reset`] or a restore forgets it.
pub trait VirtioDevice: Migrate {
    /// Returns which kind it is.
    fn id(&self) -> DeviceId;

    /// Returns the device's own feature bits: those below 24 and from 50 on.
    fn features(&self) -> Features;

    /// Returns the largest size of each queue.
    fn queue_sizes(&self) -> impl Iterator<Item = u16>;

    /// Returns the configuration.
    fn config(&self) -> ConfigSpace {
        ConfigSpace::default()
    }

    /// Takes what the driver writes to the configuration, at most 8 bytes.
    fn write_config<H: Host>(
        &mut self,
        host: &mut H,
        features: Features,
        offset: u64,
        bytes: &[u8],
    ) -> ConfigWrite {
        let _ = (host, features, offset, bytes);
        ConfigWrite::Refused
    }

    /// Takes notice that the driver is ready and what was agreed upon.
    fn start(&mut self, features: Features) {
        let _ = features;
    }

    /// Forgets what it was doing; the queues are stopped. What is behind the device stays.
    fn reset<H: Host>(&mut self, host: &mut H);

    /// Works on the queues that have [`crate::queue::Attention::Due`], until nothing more can be
    /// done or the turn is spent.
    ///
    /// # Errors
    /// [`QueueError`] if a queue holds something that it must not: the device then needs a reset.
    fn work<H: Host>(&mut self, turn: &mut Turn<'_, '_>, host: &mut H) -> Result<(), QueueError>;

    /// Says whether the device has input and output by bytes.
    fn byte_wire(&self) -> Wire {
        Wire::Absent
    }

    /// Says whether the device has a timer.
    fn clock_wire(&self) -> Wire {
        Wire::Absent
    }

    /// Takes a byte of input.
    fn receive(&mut self, queues: &mut [Queue], byte: u8) -> Received {
        let _ = (queues, byte);
        Received::Refused
    }

    /// Takes notice of a change of what is behind the device.
    fn backend_changed(&mut self, queues: &mut [Queue], change: BackendChange) -> ConfigEffect {
        let _ = (queues, change);
        ConfigEffect::Unchanged
    }

    /// Goes on after a pause, from the state alone.
    fn resume<H: Host>(&mut self, queues: &mut [Queue], host: &mut H) {
        self.timer_expired(queues, host);
    }

    /// Looks at the time.
    fn timer_expired<H: Host>(&mut self, queues: &mut [Queue], host: &mut H) {
        let _ = (queues, host);
    }
}
