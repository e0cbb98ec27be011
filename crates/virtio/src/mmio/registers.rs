//! Registers of the transport (virtio 1.3, 4.2.2 and 4.2.4).

use device_model::Registers;

/// The registers, all of 32 bits. What the device's kind adds lies behind them, at
/// [`CONFIGURATION`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Registers)]
pub enum Register {
    /// MagicValue.
    Magic = 0x000,
    /// Version.
    Version = 0x004,
    /// DeviceID.
    DeviceId = 0x008,
    /// VendorID.
    VendorId = 0x00c,
    /// DeviceFeatures: the half that is selected.
    DeviceFeatures = 0x010,
    /// DeviceFeaturesSel.
    DeviceFeaturesSelect = 0x014,
    /// DriverFeatures: the half that is selected.
    DriverFeatures = 0x020,
    /// DriverFeaturesSel.
    DriverFeaturesSelect = 0x024,
    /// GuestPageSize, legacy: what QueuePFN counts.
    GuestPageSize = 0x028,
    /// QueueSel.
    QueueSelect = 0x030,
    /// QueueSizeMax (QueueNumMax).
    QueueSizeMax = 0x034,
    /// QueueSize (QueueNum).
    QueueSize = 0x038,
    /// QueueAlign, legacy: the used ring's alignment.
    QueueAlign = 0x03c,
    /// QueuePFN, legacy: the page that the queue starts in; starts and stops the queue.
    QueuePfn = 0x040,
    /// QueueReady.
    QueueReady = 0x044,
    /// QueueNotify.
    QueueNotify = 0x050,
    /// InterruptStatus.
    InterruptStatus = 0x060,
    /// InterruptACK.
    InterruptAcknowledge = 0x064,
    /// Status.
    Status = 0x070,
    /// QueueDescLow.
    QueueDescriptorsLow = 0x080,
    /// QueueDescHigh.
    QueueDescriptorsHigh = 0x084,
    /// QueueDriverLow.
    QueueDriverLow = 0x090,
    /// QueueDriverHigh.
    QueueDriverHigh = 0x094,
    /// QueueDeviceLow.
    QueueDeviceLow = 0x0a0,
    /// QueueDeviceHigh.
    QueueDeviceHigh = 0x0a4,
    /// SHMSel: selects a region of shared memory, of which there is none.
    SharedMemorySelect = 0x0ac,
    /// SHMLenLow.
    SharedMemoryLengthLow = 0x0b0,
    /// SHMLenHigh.
    SharedMemoryLengthHigh = 0x0b4,
    /// SHMBaseLow.
    SharedMemoryBaseLow = 0x0b8,
    /// SHMBaseHigh.
    SharedMemoryBaseHigh = 0x0bc,
    /// ConfigGeneration.
    ConfigGeneration = 0x0fc,
}

/// Offset of the device's own configuration; it goes on to the end of the frame.
pub const CONFIGURATION: u64 = 0x100;

/// Size of the frame in bytes.
pub const FRAME: u64 = 0x200;

/// What MagicValue reads as: "virt".
pub(super) const MAGIC: u32 = u32::from_le_bytes(*b"virt");
