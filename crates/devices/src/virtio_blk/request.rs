//! Requests of the block device (virtio 1.3, 5.2.6).

use virtio::Features;

/// Size of a sector in bytes: the unit of the protocol, whatever the disk's block size.
pub const SECTOR: u64 = 512;

/// Size of a request's header in bytes.
pub(crate) const HEADER_BYTES: usize = 16;

/// Size in bytes of a range to be discarded or zeroed.
pub(crate) const RANGE_BYTES: usize = 16;

/// Length of the answer to GET_ID in bytes.
pub const ID_BYTES: usize = 20;

/// VIRTIO_BLK_F_SEG_MAX.
pub(crate) const SEG_MAX: Features = Features::from_bits_retain(1 << 2);
/// VIRTIO_BLK_F_RO.
pub(crate) const RO: Features = Features::from_bits_retain(1 << 5);
/// VIRTIO_BLK_F_BLK_SIZE.
pub(crate) const BLK_SIZE: Features = Features::from_bits_retain(1 << 6);
/// VIRTIO_BLK_F_FLUSH.
pub(crate) const FLUSH: Features = Features::from_bits_retain(1 << 9);
/// VIRTIO_BLK_F_TOPOLOGY.
pub(crate) const TOPOLOGY: Features = Features::from_bits_retain(1 << 10);
/// VIRTIO_BLK_F_CONFIG_WCE.
pub(crate) const CONFIG_WCE: Features = Features::from_bits_retain(1 << 11);
/// VIRTIO_BLK_F_MQ.
pub(crate) const MQ: Features = Features::from_bits_retain(1 << 12);
/// VIRTIO_BLK_F_DISCARD.
pub(crate) const DISCARD: Features = Features::from_bits_retain(1 << 13);
/// VIRTIO_BLK_F_WRITE_ZEROES.
pub(crate) const WRITE_ZEROES: Features = Features::from_bits_retain(1 << 14);

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// VIRTIO_BLK_T_IN: read.
    In,
    /// VIRTIO_BLK_T_OUT: write.
    Out,
    /// VIRTIO_BLK_T_FLUSH.
    Flush,
    /// VIRTIO_BLK_T_GET_ID.
    GetId,
    /// VIRTIO_BLK_T_DISCARD.
    Discard,
    /// VIRTIO_BLK_T_WRITE_ZEROES.
    WriteZeroes,
    /// Another number.
    Unknown(u32),
}

impl From<u32> for RequestKind {
    fn from(number: u32) -> Self {
        match number {
            0 => Self::In,
            1 => Self::Out,
            4 => Self::Flush,
            8 => Self::GetId,
            11 => Self::Discard,
            13 => Self::WriteZeroes,
            other => Self::Unknown(other),
        }
    }
}

/// The start of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What is asked for.
    pub kind: RequestKind,
    /// The first sector.
    pub sector: u64,
}

impl Header {
    /// Splits a header into fields.
    #[must_use]
    pub fn from_bytes(bytes: [u8; HEADER_BYTES]) -> Self {
        let [t0, t1, t2, t3, _, _, _, _, s @ ..] = bytes;
        Self {
            kind: RequestKind::from(u32::from_le_bytes([t0, t1, t2, t3])),
            sector: u64::from_le_bytes(s),
        }
    }
}

/// A range to be discarded or zeroed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SectorRange {
    pub(crate) sector: u64,
    pub(crate) count: u32,
    pub(crate) flags: u32,
}

impl SectorRange {
    /// The driver does not need what a zeroed range occupied.
    pub(crate) const UNMAP: u32 = 1;

    pub(crate) fn from_bytes(bytes: [u8; RANGE_BYTES]) -> Self {
        let [s0, s1, s2, s3, s4, s5, s6, s7, n0, n1, n2, n3, f @ ..] = bytes;
        Self {
            sector: u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]),
            count: u32::from_le_bytes([n0, n1, n2, n3]),
            flags: u32::from_le_bytes(f),
        }
    }
}

/// What the driver finds in a request's last byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Outcome {
    /// VIRTIO_BLK_S_OK.
    Ok = 0,
    /// VIRTIO_BLK_S_IOERR.
    IoError = 1,
    /// VIRTIO_BLK_S_UNSUPP.
    Unsupported = 2,
}
