//! What the driver sees of the transport change.

use crate::queue::QueueError;
use crate::{Features, Status};
use bitflags::bitflags;

bitflags! {
    /// InterruptStatus (4.2.2).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Interrupts: u32 {
        /// The device has used a buffer.
        const USED_BUFFER = 1;
        /// The configuration, or the device's status, has changed.
        const CONFIGURATION = 2;
    }
}

/// What the driver sees of the transport change, apart from the queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Status.
    pub status: Status,
    /// What the driver has accepted.
    pub driver_features: Features,
    /// DeviceFeaturesSel.
    pub device_features_select: u32,
    /// DriverFeaturesSel.
    pub driver_features_select: u32,
    /// QueueSel.
    pub queue_select: u32,
    /// InterruptStatus.
    pub interrupts: Interrupts,
    /// ConfigGeneration.
    pub config_generation: u32,
    /// GuestPageSize: survives a reset by the driver.
    pub guest_page_size: u32,
    /// Which queue is served first, modulo their number.
    pub turn: u16,
    /// Why the device needs a reset, for the operator.
    pub broken: Option<QueueError>,
}

impl State {
    /// Returns the state after the driver's reset. The generation goes on, so that a driver that was
    /// reading notices.
    pub(super) fn after_reset(self) -> Self {
        Self {
            guest_page_size: self.guest_page_size,
            config_generation: self.config_generation,
            turn: self.turn,
            ..Self::default()
        }
    }
}
