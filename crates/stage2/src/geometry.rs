//! The shape of a tree: address sizes, starting level, concatenated root (Arm ARM, D8.2).

use crate::descriptor::{AttributeFormat, Level};
use crate::vmid::VmidWidth;
use addr::{Ipa, IpaRange, Pa};
use core::fmt;

/// The address sizes of a tree and what follows from them.
///
/// A walk starts at the lowest level that up to 16 concatenated tables can serve: fewer levels to
/// walk, and the only start that is legal for every implemented physical address size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    ipa_bits: u32,
    pa_bits: u32,
    start: Level,
    root_order: u32,
    format: AttributeFormat,
}

/// Why address sizes make no geometry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GeometryError {
    /// The guest's address size is below 32 or above 48 bits, or above the machine's.
    IpaBits {
        /// The bits that were asked for.
        ipa_bits: u32,
        /// The machine's physical address bits.
        pa_bits: u32,
    },
    /// The physical address size is none that a CPU can have.
    PaBits {
        /// The bits that were given.
        pa_bits: u32,
    },
    /// ID_AA64MMFR0_EL1.PARange holds a reserved value.
    PaRange {
        /// The field.
        field: u64,
    },
}

impl fmt::Display for GeometryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::IpaBits { ipa_bits, pa_bits } => write!(
                f,
                "guest addresses of {ipa_bits} bits on a machine of {pa_bits}: not 32 to 48"
            ),
            Self::PaBits { pa_bits } => write!(f, "no CPU has {pa_bits} physical address bits"),
            Self::PaRange { field } => write!(f, "PARange {field} is reserved"),
        }
    }
}

impl core::error::Error for GeometryError {}

impl Geometry {
    /// Makes the geometry for guest addresses of `ipa_bits` bits on a machine with `pa_bits`
    /// physical address bits (32, 36, 40, 42, 44 or 48).
    ///
    /// # Errors
    /// [`GeometryError`] unless 32 <= `ipa_bits` <= `pa_bits` <= 48.
    pub const fn new(ipa_bits: u32, pa_bits: u32) -> Result<Self, GeometryError> {
        if ps_field(pa_bits).is_none() {
            return Err(GeometryError::PaBits { pa_bits });
        }
        if ipa_bits < 32 || ipa_bits > pa_bits {
            return Err(GeometryError::IpaBits { ipa_bits, pa_bits });
        }
        let start = match ipa_bits {
            32..=34 => Level::L2,
            35..=43 => Level::L1,
            _ => Level::L0,
        };
        // A table resolves 9 bits; each bit more doubles the tables of the root.
        let resolved = ipa_bits.saturating_sub(start.shift());
        Ok(Self {
            ipa_bits,
            pa_bits,
            start,
            root_order: resolved.saturating_sub(9),
            format: AttributeFormat::Combined,
        })
    }

    /// Makes the largest geometry that a CPU with this ID_AA64MMFR0_EL1.PARange can walk: 48 bits
    /// even where it has 52, since those need FEAT_LPA2.
    ///
    /// # Errors
    /// [`GeometryError::PaRange`] for a reserved value.
    pub const fn from_pa_range(field: u64) -> Result<Self, GeometryError> {
        let bits = match field {
            0 => 32,
            1 => 36,
            2 => 40,
            3 => 42,
            4 => 44,
            5..=7 => 48,
            _ => return Err(GeometryError::PaRange { field }),
        };
        Self::new(bits, bits)
    }

    /// Returns the same geometry with another encoding of memory types.
    #[must_use]
    pub const fn with_format(mut self, format: AttributeFormat) -> Self {
        self.format = format;
        self
    }

    /// Returns how memory types are encoded; HCR_EL2.FWB must agree.
    #[must_use]
    pub const fn format(self) -> AttributeFormat {
        self.format
    }

    /// Returns the size of guest addresses in bits.
    #[must_use]
    pub const fn ipa_bits(self) -> u32 {
        self.ipa_bits
    }

    /// Returns the size of physical addresses in bits.
    #[must_use]
    pub const fn pa_bits(self) -> u32 {
        self.pa_bits
    }

    /// Returns the level at which a walk starts.
    #[must_use]
    pub const fn start(self) -> Level {
        self.start
    }

    /// Returns the order of the root for [`machine::TableMemory::allocate`]: it is
    /// `1 << root_order` tables.
    #[must_use]
    pub const fn root_order(self) -> u32 {
        self.root_order
    }

    /// Returns the number of descriptors in the root.
    #[must_use]
    pub const fn root_entries(self) -> usize {
        512_usize.wrapping_shl(self.root_order)
    }

    /// Tells whether `ipa` is an address at all: below the size that T0SZ sets.
    #[must_use]
    pub const fn contains(self, ipa: Ipa) -> bool {
        ipa.get().wrapping_shr(self.ipa_bits) == 0
    }

    /// Tells whether all of `range` lies below the size that T0SZ sets.
    #[must_use]
    pub fn contains_range(self, range: IpaRange) -> bool {
        range.end().get() <= 1_u64.wrapping_shl(self.ipa_bits)
    }

    /// Tells whether `pa` is a physical address that the machine has wires for.
    #[must_use]
    pub const fn contains_output(self, pa: Pa) -> bool {
        pa.get().wrapping_shr(self.pa_bits) == 0
    }

    /// Returns the index that a walk for `ipa` uses at `level`: 9 bits, at the start what is left.
    #[must_use]
    pub const fn index(self, level: Level, ipa: Ipa) -> usize {
        let page_table = ipa.get().wrapping_shr(level.shift());
        let entries = if level as u8 == self.start as u8 {
            self.root_entries()
        } else {
            512
        };
        // At most 13 bits: two bytes.
        let [low, high, ..] = page_table.to_le_bytes();
        let low = u16::from_le_bytes([low, high]);
        low as usize & entries.wrapping_sub(1)
    }

    /// Returns VTCR_EL2 for the tree (Arm ARM, D24.2.203): T0SZ, SL0, inner shareable write-back
    /// walks, the 4 KiB granule, PS and VS. HA and HD stay 0: no hardware update of descriptors.
    #[must_use]
    pub const fn vtcr(self, width: VmidWidth) -> u64 {
        let t0sz = 64_u64.saturating_sub(self.ipa_bits as u64);
        let sl0 = match self.start {
            Level::L0 => 2_u64,
            Level::L1 => 1,
            // The start is never level 3.
            Level::L2 | Level::L3 => 0,
        };
        let ps = match ps_field(self.pa_bits) {
            Some(field) => field,
            None => 0,
        };
        let vs = match width {
            VmidWidth::Eight => 0_u64,
            VmidWidth::Sixteen => 1,
        };
        const RES1: u64 = 1 << 31;
        const SH0_INNER: u64 = 0b11 << 12;
        const ORGN0_WRITE_BACK: u64 = 0b01 << 10;
        const IRGN0_WRITE_BACK: u64 = 0b01 << 8;
        RES1 | vs << 19
            | ps << 16
            | SH0_INNER
            | ORGN0_WRITE_BACK
            | IRGN0_WRITE_BACK
            | sl0 << 6
            | t0sz
    }
}

/// Encodes a physical address size as VTCR_EL2.PS; `None` if no CPU has it.
const fn ps_field(pa_bits: u32) -> Option<u64> {
    match pa_bits {
        32 => Some(0),
        36 => Some(1),
        40 => Some(2),
        42 => Some(3),
        44 => Some(4),
        48 => Some(5),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_level_and_root_follow_the_ipa_size() {
        let shape = |ipa_bits| {
            let geometry = Geometry::new(ipa_bits, 48).unwrap();
            (geometry.start(), 1 << geometry.root_order())
        };
        assert_eq!(shape(32), (Level::L2, 4));
        assert_eq!(shape(34), (Level::L2, 16));
        assert_eq!(shape(35), (Level::L1, 1));
        assert_eq!(shape(39), (Level::L1, 1));
        assert_eq!(shape(40), (Level::L1, 2));
        assert_eq!(shape(42), (Level::L1, 8));
        assert_eq!(shape(43), (Level::L1, 16));
        assert_eq!(shape(44), (Level::L0, 1));
        assert_eq!(shape(48), (Level::L0, 1));
    }

    #[test]
    fn sizes_that_no_machine_has_are_refused() {
        assert_eq!(
            Geometry::new(31, 48),
            Err(GeometryError::IpaBits {
                ipa_bits: 31,
                pa_bits: 48
            })
        );
        assert_eq!(
            Geometry::new(41, 40),
            Err(GeometryError::IpaBits {
                ipa_bits: 41,
                pa_bits: 40
            })
        );
        assert_eq!(
            Geometry::new(40, 52),
            Err(GeometryError::PaBits { pa_bits: 52 })
        );
        assert_eq!(
            Geometry::from_pa_range(8),
            Err(GeometryError::PaRange { field: 8 })
        );
        for (field, bits) in (0..).zip([32, 36, 40, 42, 44, 48]) {
            assert_eq!(Geometry::from_pa_range(field).unwrap().ipa_bits(), bits);
        }
        // FEAT_LPA's 52 bits are not used.
        assert_eq!(Geometry::from_pa_range(6).unwrap().pa_bits(), 48);
    }

    #[test]
    fn vtcr_fields_are_where_the_architecture_wants_them() {
        // 40 bits: T0SZ 24, SL0 1 (start at level 1), PS 2.
        let vtcr = Geometry::new(40, 40).unwrap().vtcr(VmidWidth::Eight);
        assert_eq!(vtcr, 0x8002_3558);
        // 44 bits: T0SZ 20, SL0 2, PS 4, 16-bit VMIDs.
        let vtcr = Geometry::new(44, 44).unwrap().vtcr(VmidWidth::Sixteen);
        assert_eq!(vtcr, 0x800c_3594);
        // 32 bits of a 48-bit machine: T0SZ 32, SL0 0, PS 5.
        let vtcr = Geometry::new(32, 48).unwrap().vtcr(VmidWidth::Eight);
        assert_eq!(vtcr, 0x8005_3520);
    }

    #[test]
    fn a2_addresses_beyond_t0sz_are_no_addresses() {
        for ipa_bits in 32..=48 {
            let geometry = Geometry::new(ipa_bits, 48).unwrap();
            let size = 1_u64 << ipa_bits;
            assert!(geometry.contains(Ipa::new(size - 1)));
            assert!(!geometry.contains(Ipa::new(size)));
            assert!(!geometry.contains(Ipa::new(u64::MAX)));
            let whole = IpaRange::new(Ipa::new(0), size).unwrap();
            assert!(geometry.contains_range(whole));
            let beyond = IpaRange::new(Ipa::new(0), size + 1).unwrap();
            assert!(!geometry.contains_range(beyond));
        }
    }

    #[test]
    fn the_root_index_spans_all_concatenated_tables() {
        let geometry = Geometry::new(40, 40).unwrap();
        let last = Ipa::new((1 << 40) - 1);
        assert_eq!(geometry.index(Level::L1, last), 1023);
        assert_eq!(geometry.index(Level::L2, last), 511);
        assert_eq!(geometry.index(Level::L3, last), 511);
        let geometry = Geometry::new(34, 40).unwrap();
        assert_eq!(geometry.index(Level::L2, Ipa::new((1 << 34) - 1)), 8191);
        assert_eq!(geometry.root_entries(), 8192);
    }
}
