//! Messages of the control queues (virtio 1.3, 5.3.6.2).

use device_model::{Migrate, plain_bits};

/// Size of a message in bytes; RESIZE and NAME have more behind it.
pub(crate) const MESSAGE_BYTES: usize = 8;

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Event {
    DeviceReady = 0,
    PortAdd = 1,
    PortReady = 3,
    ConsolePort = 4,
    Resize = 5,
    PortOpen = 6,
}

/// A message of the driver's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) port: u32,
    pub(crate) event: u16,
    pub(crate) value: u16,
}

impl Message {
    pub(crate) const fn from_bytes(bytes: [u8; MESSAGE_BYTES]) -> Self {
        let [p0, p1, p2, p3, e0, e1, v0, v1] = bytes;
        Self {
            port: u32::from_le_bytes([p0, p1, p2, p3]),
            event: u16::from_le_bytes([e0, e1]),
            value: u16::from_le_bytes([v0, v1]),
        }
    }

    pub(crate) const fn to_bytes(self) -> [u8; MESSAGE_BYTES] {
        let [p0, p1, p2, p3] = self.port.to_le_bytes();
        let [e0, e1] = self.event.to_le_bytes();
        let [v0, v1] = self.value.to_le_bytes();
        [p0, p1, p2, p3, e0, e1, v0, v1]
    }
}

bitflags::bitflags! {
    /// What the driver is still to be told of a port, in the order of the bits. However often the
    /// driver asks, there is one of each.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct News: u8 {
        /// It exists.
        const ADD = 1;
        /// It is a console.
        const CONSOLE = 2;
        /// The size of its window.
        const RESIZE = 4;
        /// Somebody listens on this side.
        const OPEN = 8;
    }
}

plain_bits!(News: u8);

impl News {
    /// Takes out the first one.
    pub(crate) fn first(self) -> Option<Self> {
        self.iter().next()
    }
}

/// What the guest sees of a port change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Migrate)]
#[migrate(version = 1)]
pub struct Port {
    /// What the driver is to be told.
    pub pending: News,
    /// Whether the guest has opened it.
    pub open: bool,
}
