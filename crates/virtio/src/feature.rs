//! Feature bits that belong to no device (virtio 1.3, chapter 6).

use bitflags::bitflags;

bitflags! {
    /// Feature bits. Those below 24 and from 50 on belong to the kind of device.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Features: u64 {
        /// VIRTIO_F_NOTIFY_ON_EMPTY, legacy (6.3): not offered.
        const NOTIFY_ON_EMPTY = 1 << 24;
        /// VIRTIO_F_ANY_LAYOUT, legacy (6.3): messages may be framed at will.
        const ANY_LAYOUT = 1 << 27;
        /// VIRTIO_F_INDIRECT_DESC: tables of descriptors outside the ring.
        const INDIRECT_DESC = 1 << 28;
        /// VIRTIO_F_EVENT_IDX: notifications at an index.
        const EVENT_IDX = 1 << 29;
        /// VIRTIO_F_VERSION_1: the specification, not what was before it.
        const VERSION_1 = 1 << 32;
        /// VIRTIO_F_ACCESS_PLATFORM: the device's view of memory may differ from the driver's.
        const ACCESS_PLATFORM = 1 << 33;
        /// VIRTIO_F_RING_PACKED: packed rings.
        const RING_PACKED = 1 << 34;
        /// All other bits are a device's own.
        const _ = !0;
    }
}

impl Features {
    /// What the rings of this crate can do.
    pub const RINGS: Self = Self::INDIRECT_DESC
        .union(Self::EVENT_IDX)
        .union(Self::RING_PACKED);
}
