//! What the switch reads of a frame: addresses and tag (IEEE 802.3, 3.2; 802.1Q, 9).

use core::fmt;

/// The most bytes of a frame that the switch looks at: two addresses and a tag.
pub const HEADER_SIZE: usize = 16;

/// Two addresses and the type.
const LEAST_FRAME: usize = 14;
/// The type that says that a tag follows (802.1Q, 9.6).
const TAG_TYPE: u16 = 0x8100;

/// A station's address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddress([u8; 6]);

impl MacAddress {
    /// Makes an address from its bytes, in the order of the wire.
    #[must_use]
    pub const fn new(bytes: [u8; 6]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes, in the order of the wire.
    #[must_use]
    pub const fn bytes(self) -> [u8; 6] {
        self.0
    }

    /// Tells whether it names a group of stations; the broadcast address is one.
    #[must_use]
    pub const fn is_group(self) -> bool {
        let [first, ..] = self.0;
        first & 1 != 0
    }

    /// Tells whether it is one of those that a bridge never forwards (802.1Q, 8.6.3):
    /// 01-80-C2-00-00-00 to 01-80-C2-00-00-0F.
    #[must_use]
    pub const fn is_link_local(self) -> bool {
        matches!(self.0, [0x01, 0x80, 0xc2, 0x00, 0x00, 0x00..=0x0f])
    }

    /// Tells whether a station can have it: it is no group's, and not 0.
    #[must_use]
    pub const fn is_station(self) -> bool {
        !self.is_group() && !matches!(self.0, [0, 0, 0, 0, 0, 0])
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, last] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{last:02x}")
    }
}

impl fmt::Debug for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A VLAN: 1 to 4094.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VlanId(u16);

impl VlanId {
    /// The VLAN of ports that say nothing else (802.1Q, table 9-2).
    pub const DEFAULT: Self = Self(1);

    /// Makes a VLAN; `None` for 0, 4095 and above, which name none.
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        match number {
            1..=4094 => Some(Self(number)),
            _ => None,
        }
    }

    /// Returns its number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for VlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The tag control information of a tagged frame (802.1Q, 9.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag(u16);

impl Tag {
    /// Makes the tag of a VLAN with the priority of `self`.
    #[must_use]
    pub const fn with_vlan(self, vlan: VlanId) -> Self {
        Self(self.0 & 0xf000 | vlan.0)
    }

    /// Makes a tag from its 16 bits.
    #[must_use]
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// Returns its 16 bits, which stand big-endian in the frame.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Returns the number of the VLAN: 0 means none, only a priority.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0 & 0xfff
    }
}

/// Why a frame is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// It is shorter than its header, or than what was shown of it.
    Short {
        /// How long it is said to be, in bytes.
        length: usize,
    },
    /// Its source is a group, or 0.
    Source {
        /// The source.
        source: MacAddress,
    },
    /// Its tag names a VLAN that there is not.
    Vlan {
        /// The number.
        number: u16,
    },
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short { length } => write!(f, "a frame of {length} bytes"),
            Self::Source { source } => write!(f, "a frame from {source}, which is no station"),
            Self::Vlan { number } => write!(f, "a frame of the VLAN {number}"),
        }
    }
}

impl core::error::Error for FrameError {}

/// The header of a frame, read once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) destination: MacAddress,
    pub(crate) source: MacAddress,
    pub(crate) tag: Option<Tag>,
}

impl Header {
    /// Reads a header from the first bytes of a frame that is `length` bytes long.
    pub(crate) fn read(start: &[u8], length: usize) -> Result<Self, FrameError> {
        let short = FrameError::Short { length };
        if length < LEAST_FRAME || start.len() > length {
            return Err(short);
        }
        let (destination, rest) = start.split_first_chunk::<6>().ok_or(short)?;
        let (source, rest) = rest.split_first_chunk::<6>().ok_or(short)?;
        let (kind, rest) = rest.split_first_chunk::<2>().ok_or(short)?;
        let source = MacAddress(*source);
        if !source.is_station() {
            return Err(FrameError::Source { source });
        }
        let tag = if u16::from_be_bytes(*kind) == TAG_TYPE {
            let (control, _) = rest.split_first_chunk::<2>().ok_or(short)?;
            Some(Tag(u16::from_be_bytes(*control)))
        } else {
            None
        };
        if let Some(tag) = tag
            && tag.number() == 0xfff
        {
            return Err(FrameError::Vlan {
                number: tag.number(),
            });
        }
        Ok(Self {
            destination: MacAddress(*destination),
            source,
            tag,
        })
    }
}
