//! Stage 2 descriptors of VMSAv8-64 with the 4 KiB granule (Arm ARM, D8.3).

use addr::{Address, BLOCK_1G, BLOCK_2M, PAGE_SIZE, Pa, align_down};

/// Descriptor bit 0: the entry takes part in translation.
const VALID: u64 = 1;
/// Descriptor bit 1: at levels 0 to 2 a table rather than a block, at level 3 a page.
const TABLE_OR_PAGE: u64 = 1 << 1;
/// MemAttr\[3:0\], bits 5 to 2.
const MEM_ATTR: u64 = 0xf << 2;
/// S2AP[0], bit 6: reads are permitted.
const S2AP_READ: u64 = 1 << 6;
/// S2AP[1], bit 7: writes are permitted.
const S2AP_WRITE: u64 = 1 << 7;
/// SH[1:0] = 0b11, bits 9 and 8: inner shareable.
const INNER_SHAREABLE: u64 = 0b11 << 8;
/// AF, bit 10. Always set: an access flag fault would only cost an exit.
const ACCESS_FLAG: u64 = 1 << 10;
/// The output or next-level table address, bits 47 to 12.
const ADDRESS: u64 = 0x0000_ffff_ffff_f000;
/// XN[1], bit 54. With XN[0] = 0 it forbids execution at EL1 and EL0, with and without FEAT_XNX.
const EXECUTE_NEVER: u64 = 1 << 54;
/// Ignored by hardware, bits 58 to 56. Bit 55 would be NS in the tables of the other worlds.
const SOFTWARE: u64 = 0b111 << 56;

/// A level of the translation table walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Each entry spans 512 GiB; tables only.
    L0,
    /// Each entry spans 1 GiB.
    L1,
    /// Each entry spans 2 MiB.
    L2,
    /// Each entry is a 4 KiB page.
    L3,
}

impl Level {
    /// Returns the lowest address bit that the level resolves.
    #[must_use]
    pub const fn shift(self) -> u32 {
        match self {
            Self::L0 => 39,
            Self::L1 => 30,
            Self::L2 => 21,
            Self::L3 => 12,
        }
    }

    /// Returns how many bytes one entry of the level spans.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        match self {
            Self::L0 => 512 * BLOCK_1G,
            Self::L1 => BLOCK_1G,
            Self::L2 => BLOCK_2M,
            Self::L3 => PAGE_SIZE,
        }
    }

    /// Returns the level below; `None` after level 3.
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        match self {
            Self::L0 => Some(Self::L1),
            Self::L1 => Some(Self::L2),
            Self::L2 => Some(Self::L3),
            Self::L3 => None,
        }
    }

    /// Tells whether an entry of the level may map memory itself, as a block or a page.
    #[must_use]
    pub const fn has_leaves(self) -> bool {
        match self {
            Self::L0 => false,
            Self::L1 | Self::L2 | Self::L3 => true,
        }
    }
}

/// What kind of memory a leaf maps, before it is combined with the guest's stage 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryKind {
    /// Normal memory, write-back cacheable and inner shareable. A stage 1 that is stricter wins.
    Normal,
    /// Normal memory, non-cacheable.
    NormalNonCacheable,
    /// Device-nGnRE: a guest's stage 1 may still make it nGnRnE.
    Device,
}

/// What a guest may do with a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permissions {
    /// Loads only.
    ReadOnly,
    /// Loads and stores.
    ReadWrite,
    /// Loads and instruction fetches.
    ReadExecute,
    /// Loads, stores and instruction fetches.
    ReadWriteExecute,
}

impl Permissions {
    /// Tells whether stores are permitted.
    #[must_use]
    pub const fn writable(self) -> bool {
        match self {
            Self::ReadWrite | Self::ReadWriteExecute => true,
            Self::ReadOnly | Self::ReadExecute => false,
        }
    }

    /// Tells whether instruction fetches are permitted.
    #[must_use]
    pub const fn executable(self) -> bool {
        match self {
            Self::ReadExecute | Self::ReadWriteExecute => true,
            Self::ReadOnly | Self::ReadWrite => false,
        }
    }

    const fn from_bits(bits: u64) -> Self {
        match (bits & S2AP_WRITE != 0, bits & EXECUTE_NEVER != 0) {
            (false, true) => Self::ReadOnly,
            (true, true) => Self::ReadWrite,
            (false, false) => Self::ReadExecute,
            (true, false) => Self::ReadWriteExecute,
        }
    }

    const fn bits(self) -> u64 {
        let write = if self.writable() { S2AP_WRITE } else { 0 };
        let never = if self.executable() { 0 } else { EXECUTE_NEVER };
        S2AP_READ | write | never
    }
}

/// Three bits of a leaf that hardware ignores, for the tree's user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Software(u8);

impl Software {
    /// Takes a value of 0 to 7; `None` beyond.
    #[must_use]
    pub const fn new(value: u8) -> Option<Self> {
        if value < 8 { Some(Self(value)) } else { None }
    }

    /// Returns the value, 0 to 7.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// Everything that a leaf says about its memory besides the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// The memory type.
    pub kind: MemoryKind,
    /// What the guest may do.
    pub permissions: Permissions,
    /// Bits that hardware ignores.
    pub software: Software,
}

impl Attributes {
    /// Makes attributes without software bits.
    #[must_use]
    pub const fn new(kind: MemoryKind, permissions: Permissions) -> Self {
        Self {
            kind,
            permissions,
            software: Software(0),
        }
    }

    /// Guest RAM: normal memory that the guest may read, write and execute.
    pub const RAM: Self = Self::new(MemoryKind::Normal, Permissions::ReadWriteExecute);

    /// A device's registers: no execution.
    pub const DEVICE: Self = Self::new(MemoryKind::Device, Permissions::ReadWrite);
}

/// How MemAttr\[3:0\] is read by the hardware: by HCR_EL2.FWB (Arm ARM, D8.6.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AttributeFormat {
    /// HCR_EL2.FWB = 0: stage 2 is combined with stage 1, the stricter wins.
    #[default]
    Combined,
    /// HCR_EL2.FWB = 1 (FEAT_S2FWB): Normal is write-back whatever stage 1 says.
    ForcedWriteBack,
}

impl AttributeFormat {
    const fn bits(self, kind: MemoryKind) -> u64 {
        let mem_attr = match (self, kind) {
            (Self::Combined, MemoryKind::Normal) => 0b1111,
            (Self::Combined, MemoryKind::NormalNonCacheable) => 0b0101,
            (Self::ForcedWriteBack, MemoryKind::Normal) => 0b0110,
            (Self::ForcedWriteBack, MemoryKind::NormalNonCacheable) => 0b0101,
            (Self::Combined | Self::ForcedWriteBack, MemoryKind::Device) => 0b0001,
        };
        let share = match kind {
            MemoryKind::Normal | MemoryKind::NormalNonCacheable => INNER_SHAREABLE,
            // Device memory is outer shareable, whatever SH says.
            MemoryKind::Device => 0,
        };
        mem_attr << 2 | share
    }

    /// Only what [`AttributeFormat::bits`] writes is ever read back; all else is as strict as can
    /// be.
    const fn kind(self, bits: u64) -> MemoryKind {
        match (self, (bits & MEM_ATTR) >> 2) {
            (Self::Combined, 0b1111) | (Self::ForcedWriteBack, 0b0110) => MemoryKind::Normal,
            (Self::Combined | Self::ForcedWriteBack, 0b0101) => MemoryKind::NormalNonCacheable,
            // If a variant is added to `AttributeFormat`, its encodings count as Device, the strictest
            // kind, until they are listed.
            _ => MemoryKind::Device,
        }
    }
}

/// A block or page: where the memory is and what it is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// The first physical address, aligned to what an entry of its level spans.
    pub pa: Pa,
    /// The attributes.
    pub attributes: Attributes,
}

/// A descriptor as it is understood at its level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Translation stops with a fault: bit 0 clear, or an encoding reserved at this level.
    Invalid,
    /// The next level's table.
    Table(Pa),
    /// A block, or a page at level 3.
    Leaf(Leaf),
}

/// A descriptor as it lies in a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Descriptor(u64);

impl Descriptor {
    /// An entry that faults.
    pub const INVALID: Self = Self(0);

    /// Takes a descriptor as it was read from a table.
    #[must_use]
    pub const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    /// Returns the descriptor as it is to be written.
    #[must_use]
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// Makes a descriptor that points to the next level's table.
    #[must_use]
    pub const fn table(table: Pa) -> Self {
        Self(table.get() & ADDRESS | TABLE_OR_PAGE | VALID)
    }

    /// Makes a block or page descriptor for `level`; the address is rounded down to what an entry
    /// spans. Level 0 has no leaves: [`Descriptor::INVALID`].
    #[must_use]
    pub const fn leaf(leaf: Leaf, level: Level, format: AttributeFormat) -> Self {
        let kind = match level {
            Level::L0 => return Self::INVALID,
            Level::L1 | Level::L2 => VALID,
            Level::L3 => VALID | TABLE_OR_PAGE,
        };
        let attributes = leaf.attributes;
        Self(
            align_down(leaf.pa.get(), level.bytes()) & ADDRESS
                | (attributes.software.0 as u64) << 56
                | attributes.permissions.bits()
                | format.bits(attributes.kind)
                | ACCESS_FLAG
                | kind,
        )
    }

    /// Reads the descriptor as hardware does at `level`.
    #[must_use]
    pub fn decode(self, level: Level, format: AttributeFormat) -> Entry {
        if self.0 & VALID == 0 {
            return Entry::Invalid;
        }
        let address = Pa::new(self.0 & ADDRESS);
        match (level, self.0 & TABLE_OR_PAGE != 0) {
            (Level::L0 | Level::L1 | Level::L2, true) => Entry::Table(address),
            (Level::L0, false) | (Level::L3, false) => Entry::Invalid,
            (Level::L1 | Level::L2, false) | (Level::L3, true) => Entry::Leaf(Leaf {
                pa: Address::new(align_down(address.get(), level.bytes())),
                attributes: self.attributes(format),
            }),
        }
    }

    fn attributes(self, format: AttributeFormat) -> Attributes {
        let [software, ..] = ((self.0 & SOFTWARE) >> 56).to_le_bytes();
        Attributes {
            kind: format.kind(self.0),
            permissions: Permissions::from_bits(self.0),
            software: Software(software),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMATS: [AttributeFormat; 2] =
        [AttributeFormat::Combined, AttributeFormat::ForcedWriteBack];
    const KINDS: [MemoryKind; 3] = [
        MemoryKind::Normal,
        MemoryKind::NormalNonCacheable,
        MemoryKind::Device,
    ];
    const PERMISSIONS: [Permissions; 4] = [
        Permissions::ReadOnly,
        Permissions::ReadWrite,
        Permissions::ReadExecute,
        Permissions::ReadWriteExecute,
    ];

    #[test]
    fn a7_every_attribute_survives_its_descriptor() {
        for format in FORMATS {
            for level in [Level::L1, Level::L2, Level::L3] {
                for kind in KINDS {
                    for permissions in PERMISSIONS {
                        for software in 0..8 {
                            let attributes = Attributes {
                                kind,
                                permissions,
                                software: Software::new(software).unwrap(),
                            };
                            let pa = Pa::new(0xabc0_0000_0000);
                            let leaf = Leaf { pa, attributes };
                            let descriptor = Descriptor::leaf(leaf, level, format);
                            assert_eq!(descriptor.decode(level, format), Entry::Leaf(leaf));
                        }
                    }
                }
            }
        }
        assert_eq!(Software::new(8), None);
        assert!((0..8).all(|value| Software::new(value).unwrap().get() == value));
    }

    #[test]
    fn level_0_maps_no_memory_itself() {
        // Without FEAT_LPA2, which these tables do not use.
        let leaves = [Level::L0, Level::L1, Level::L2, Level::L3].map(Level::has_leaves);
        assert_eq!(leaves, [false, true, true, true]);
    }

    #[test]
    fn bits_are_where_the_architecture_wants_them() {
        let leaf = |attributes| Leaf {
            pa: Pa::new(0x4020_0000),
            attributes,
        };
        let raw =
            |attributes, level, format| Descriptor::leaf(leaf(attributes), level, format).raw();
        // Page: AF, inner shareable, read and write, write-back.
        assert_eq!(
            raw(Attributes::RAM, Level::L3, AttributeFormat::Combined),
            0x4020_0000 | 1 << 10 | 3 << 8 | 3 << 6 | 0xf << 2 | 0b11
        );
        assert_eq!(
            raw(Attributes::RAM, Level::L2, AttributeFormat::ForcedWriteBack),
            0x4020_0000 | 1 << 10 | 3 << 8 | 3 << 6 | 0b0110 << 2 | 0b01
        );
        // Device: XN[1], not shareable, nGnRE.
        assert_eq!(
            raw(Attributes::DEVICE, Level::L2, AttributeFormat::Combined),
            1 << 54 | 0x4020_0000 | 1 << 10 | 3 << 6 | 1 << 2 | 0b01
        );
        assert_eq!(Descriptor::table(Pa::new(0x1000)).raw(), 0x1003);
    }

    #[test]
    fn a7_read_only_and_execute_never_are_encoded() {
        let raw = |permissions| {
            let attributes = Attributes::new(MemoryKind::Normal, permissions);
            let pa = Pa::new(0);
            Descriptor::leaf(
                Leaf { pa, attributes },
                Level::L3,
                AttributeFormat::Combined,
            )
            .raw()
        };
        assert_eq!(raw(Permissions::ReadOnly) >> 6 & 3, 0b01);
        assert_eq!(raw(Permissions::ReadWrite) >> 6 & 3, 0b11);
        assert_eq!(raw(Permissions::ReadOnly) >> 53 & 3, 0b10);
        assert_eq!(raw(Permissions::ReadExecute) >> 53 & 3, 0b00);
    }

    #[test]
    fn reserved_encodings_fault() {
        let format = AttributeFormat::Combined;
        assert_eq!(
            Descriptor::from_raw(0b01).decode(Level::L0, format),
            Entry::Invalid
        );
        assert_eq!(
            Descriptor::from_raw(0b01).decode(Level::L3, format),
            Entry::Invalid
        );
        assert_eq!(
            Descriptor::from_raw(0b10).decode(Level::L1, format),
            Entry::Invalid
        );
        let leaf = Leaf {
            pa: Pa::new(0),
            attributes: Attributes::RAM,
        };
        assert_eq!(
            Descriptor::leaf(leaf, Level::L0, format),
            Descriptor::INVALID
        );
    }
}
