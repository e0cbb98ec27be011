//! A descriptor's fields (virtio 1.3, 2.7.5 and 2.8.13). All are little-endian.

use bitflags::bitflags;

/// Size of a descriptor in bytes, in rings and in indirect tables.
pub(crate) const DESCRIPTOR_BYTES: u32 = 16;

bitflags! {
    /// The flags of a descriptor.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct DescriptorFlags: u16 {
        /// The chain continues.
        const NEXT = 1;
        /// The device writes the buffer, otherwise it reads it.
        const WRITE = 2;
        /// The buffer is a table of descriptors.
        const INDIRECT = 4;
        /// Packed rings: the driver's mark.
        const AVAIL = 1 << 7;
        /// Packed rings: the device's mark.
        const USED = 1 << 15;
        const _ = !0;
    }
}

/// A descriptor, copied out of guest memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Descriptor {
    pub(crate) address: u64,
    pub(crate) length: u32,
    /// Split rings: the flags. Packed rings: the buffer's identifier.
    half12: u16,
    /// Split rings: the next descriptor. Packed rings: the flags.
    half14: u16,
}

impl Descriptor {
    /// Splits the 16 bytes into fields.
    pub(crate) const fn from_bytes(bytes: [u8; 16]) -> Self {
        let [
            a0,
            a1,
            a2,
            a3,
            a4,
            a5,
            a6,
            a7,
            l0,
            l1,
            l2,
            l3,
            m0,
            m1,
            n0,
            n1,
        ] = bytes;
        Self {
            address: u64::from_le_bytes([a0, a1, a2, a3, a4, a5, a6, a7]),
            length: u32::from_le_bytes([l0, l1, l2, l3]),
            half12: u16::from_le_bytes([m0, m1]),
            half14: u16::from_le_bytes([n0, n1]),
        }
    }

    /// Returns the flags of a split ring's descriptor.
    pub(crate) const fn split_flags(self) -> DescriptorFlags {
        DescriptorFlags::from_bits_retain(self.half12)
    }

    /// Returns the index of the next descriptor of a split ring.
    pub(crate) const fn next(self) -> u16 {
        self.half14
    }

    /// Returns the flags of a packed ring's descriptor.
    pub(crate) const fn packed_flags(self) -> DescriptorFlags {
        DescriptorFlags::from_bits_retain(self.half14)
    }

    /// Returns the buffer's identifier in a packed ring.
    pub(crate) const fn id(self) -> u16 {
        self.half12
    }
}
