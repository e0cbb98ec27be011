//! The device status (virtio 1.3, 2.1).

use bitflags::bitflags;

bitflags! {
    /// The device status field.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Status: u8 {
        /// The driver has found the device.
        const ACKNOWLEDGE = 1;
        /// The driver knows how to drive it.
        const DRIVER = 2;
        /// The driver is ready.
        const DRIVER_OK = 4;
        /// The features are agreed upon.
        const FEATURES_OK = 8;
        /// The device has met an error that only a reset mends.
        const DEVICE_NEEDS_RESET = 64;
        /// The driver has given up.
        const FAILED = 128;
        const _ = !0;
    }
}
