//! What drivers do wrong with a queue.

use addr::Ipa;
use core::fmt;
use device_model::MemoryFault;

/// Why a queue cannot go on. The device sets DEVICE_NEEDS_RESET.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueError {
    /// The ring, or a table or buffer that it names, is not the guest's RAM.
    Memory(MemoryFault),
    /// The available index is further ahead than the queue is long.
    IndexJump {
        /// Where the device is.
        from: u16,
        /// What the driver wrote.
        to: u16,
    },
    /// There is no descriptor with this index.
    NoDescriptor {
        /// The index.
        index: u16,
    },
    /// The chain has more descriptors than allowed: a loop, or too many.
    ChainTooLong {
        /// How many are allowed.
        most: u16,
    },
    /// The chain wraps around, or is not wholly available.
    NotAvailable {
        /// The descriptor that is not.
        index: u16,
    },
    /// An indirect descriptor without the feature.
    IndirectNotNegotiated,
    /// An indirect descriptor in an indirect table.
    NestedIndirect,
    /// An indirect descriptor that says that the chain continues.
    IndirectWithNext,
    /// An indirect table whose size is 0, no multiple of 16, or too large.
    IndirectSize {
        /// The size in bytes.
        bytes: u32,
    },
    /// A buffer runs over the end of the address space.
    SegmentWraps {
        /// Where it starts.
        address: u64,
        /// How many bytes it has.
        length: u32,
    },
    /// The buffers have 4 GiB or more together.
    TooManyBytes {
        /// The first buffer that is too much.
        address: u64,
        /// How many bytes it has.
        length: u32,
    },
    /// A buffer to be read stands behind one to be written.
    ReadableAfterWritable {
        /// Where it starts.
        address: u64,
    },
    /// An address of the ring runs over the end of the address space.
    RingWraps {
        /// The start of the area.
        area: Ipa,
    },
}

impl From<MemoryFault> for QueueError {
    fn from(fault: MemoryFault) -> Self {
        Self::Memory(fault)
    }
}

impl fmt::Display for QueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(fault) => fault.fmt(f),
            Self::IndexJump { from, to } => {
                write!(f, "the available index jumps from {from} to {to}")
            }
            Self::NoDescriptor { index } => write!(f, "there is no descriptor {index}"),
            Self::ChainTooLong { most } => write!(f, "a chain of more than {most} descriptors"),
            Self::NotAvailable { index } => write!(f, "descriptor {index} is not available"),
            Self::IndirectNotNegotiated => f.write_str("indirect descriptors were not agreed upon"),
            Self::NestedIndirect => f.write_str("an indirect descriptor in an indirect table"),
            Self::IndirectWithNext => f.write_str("an indirect descriptor that has a next one"),
            Self::IndirectSize { bytes } => write!(f, "an indirect table of {bytes} bytes"),
            Self::SegmentWraps { address, length } => {
                write!(f, "a buffer of {length} bytes at {address:#x} wraps")
            }
            Self::TooManyBytes { address, length } => {
                write!(
                    f,
                    "{length} bytes at {address:#x} are too many for one chain"
                )
            }
            Self::ReadableAfterWritable { address } => {
                write!(
                    f,
                    "the buffer at {address:#x} is readable after writable ones"
                )
            }
            Self::RingWraps { area } => write!(f, "the ring's area at {area} wraps"),
        }
    }
}

impl core::error::Error for QueueError {}
