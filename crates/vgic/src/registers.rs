//! The register maps of the frames, as tables: which registers stand where, how many bits each
//! interrupt has there, and with which widths they may be accessed (IHI0069, 12.8 to 12.11).

use addr::Width;

/// A register with a fixed number of bits to an interrupt, in [`crate::Bank`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BankRegister {
    /// IGROUPR.
    Group,
    /// ISENABLER.
    SetEnable,
    /// ICENABLER.
    ClearEnable,
    /// ISPENDR.
    SetPending,
    /// ICPENDR.
    ClearPending,
    /// ISACTIVER.
    SetActive,
    /// ICACTIVER.
    ClearActive,
    /// IPRIORITYR.
    Priority,
    /// ICFGR.
    Configuration,
}

impl BankRegister {
    /// Tells whether the register shows or changes what the guest changes without an exit.
    #[inline]
    pub(crate) const fn shows_flight(self) -> bool {
        match self {
            Self::SetPending | Self::ClearPending | Self::SetActive | Self::ClearActive => true,
            Self::Group
            | Self::SetEnable
            | Self::ClearEnable
            | Self::Priority
            | Self::Configuration => false,
        }
    }
}

/// What stands at an offset of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Register {
    /// A register of the banks; `index` counts 32-bit words.
    Bank(BankRegister),
    /// GICD_IROUTER.
    Route,
    /// The single registers at the start of the frame.
    Control,
    /// The identification registers at its end.
    Identification,
    /// Registers of features that the model does not have: read as zero, writes ignored.
    Absent,
}

/// Some registers of the same kind, one after the other.
#[derive(Clone, Copy, Debug)]
struct Row {
    first: u32,
    /// The offset after the last one.
    end: u32,
    register: Register,
    /// The binary logarithm of the number of bits to an interrupt; of no meaning if the registers
    /// are not indexed by interrupts.
    log2_bits: u8,
    /// The widths that are allowed, a bit for each logarithm of a number of bytes.
    widths: u8,
}

const BYTE: u8 = 1;
const HALF: u8 = 2;
const WORD: u8 = 4;
const DOUBLE: u8 = 8;
const ANY: u8 = BYTE | HALF | WORD | DOUBLE;

const fn bank(first: u32, end: u32, register: BankRegister, bits: u32, widths: u8) -> Row {
    other(first, end, Register::Bank(register), bits, widths)
}

const fn other(first: u32, end: u32, register: Register, bits: u32, widths: u8) -> Row {
    let log2_bits = match bits {
        2 => 1,
        8 => 3,
        64 => 6,
        _ => 0,
    };
    Row {
        first,
        end,
        register,
        log2_bits,
        widths,
    }
}

use BankRegister as B;
use Register as R;

/// The distributor (IHI0069, table 12-25) and the redistributor's SGI frame (table 12-29), which
/// has the same registers for its one bank. Each row starts and ends at a multiple of 0x80 bytes.
const BANKED: [Row; 20] = [
    other(0x0000, 0x0080, R::Control, 0, HALF | WORD),
    bank(0x0080, 0x0100, B::Group, 1, WORD),
    bank(0x0100, 0x0180, B::SetEnable, 1, WORD),
    bank(0x0180, 0x0200, B::ClearEnable, 1, WORD),
    bank(0x0200, 0x0280, B::SetPending, 1, WORD),
    bank(0x0280, 0x0300, B::ClearPending, 1, WORD),
    bank(0x0300, 0x0380, B::SetActive, 1, WORD),
    bank(0x0380, 0x0400, B::ClearActive, 1, WORD),
    bank(0x0400, 0x0800, B::Priority, 8, BYTE | WORD),
    // ITARGETSR: RES0 under affinity routing.
    other(0x0800, 0x0c00, R::Absent, 8, BYTE | WORD),
    bank(0x0c00, 0x0d00, B::Configuration, 2, WORD),
    // IGRPMODR: RES0 with one Security state.
    other(0x0d00, 0x0d80, R::Absent, 1, WORD),
    // NSACR: RES0 with one Security state.
    other(0x0e00, 0x0f00, R::Absent, 2, WORD),
    // SGIR, CPENDSGIR, SPENDSGIR: RES0 under affinity routing.
    other(0x0f00, 0x0f80, R::Absent, 0, BYTE | WORD),
    // INMIR: there are no non-maskable interrupts.
    other(0x0f80, 0x1000, R::Absent, 1, WORD),
    // The extended SPI range, from IGROUPRnE to NSACRnE: there is none.
    other(0x1000, 0x3c00, R::Absent, 0, BYTE | WORD),
    other(0x6000, 0x8000, R::Route, 64, WORD | DOUBLE),
    // IROUTERnE.
    other(0x8000, 0xa000, R::Absent, 64, WORD | DOUBLE),
    // IMPLEMENTATION DEFINED.
    other(0xc000, 0xff80, R::Absent, 0, ANY),
    other(0xff80, 0x1_0000, R::Identification, 0, WORD),
];

/// The redistributor's RD frame (IHI0069, table 12-27).
const REDISTRIBUTOR: [Row; 3] = [
    other(0x0000, 0x0100, R::Control, 0, WORD | DOUBLE),
    other(0xc000, 0xff80, R::Absent, 0, ANY),
    other(0xff80, 0x1_0000, R::Identification, 0, WORD),
];

/// The unit in which the rows are looked up, in bytes.
const GRANULE_SHIFT: u32 = 7;
const NO_ROW: u8 = u8::MAX;

/// A frame of 64 KiB: its rows, and for each granule which row it belongs to.
#[derive(Debug)]
pub(crate) struct FrameMap<const ROWS: usize> {
    rows: [Row; ROWS],
    granules: [u8; 512],
}

/// The GICD frame, and the SGI frame of GICR.
pub(crate) static BANKED_FRAME: FrameMap<20> = FrameMap::new(BANKED);

/// The RD frame of GICR.
pub(crate) static REDISTRIBUTOR_FRAME: FrameMap<3> = FrameMap::new(REDISTRIBUTOR);

/// An access that the map allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    /// What it is to.
    pub(crate) register: Register,
    /// Where, in bytes from the start of the register's row.
    pub(crate) offset: u32,
    /// The number of the interrupt that the first bit of the *32-bit word* belongs to (of the
    /// 64-bit register, for routes).
    pub(crate) interrupt: u32,
    /// Which of the 32-bit words that a bank has of this register.
    pub(crate) sub: u32,
    /// How far left of the word's bit 0 the access starts, in bits.
    pub(crate) shift: u32,
    /// The width.
    pub(crate) width: Width,
}

impl Access {
    /// Cuts what the guest sees out of the 32-bit word.
    #[inline]
    pub(crate) const fn extract(self, word: u32) -> u64 {
        (word.wrapping_shr(self.shift) as u64) & mask_of(self.width)
    }

    /// Returns what a write puts in the 32-bit word, and the mask of the bits written.
    #[inline]
    pub(crate) fn insert(self, value: u64) -> (u32, u32) {
        let mask = low_word(mask_of(self.width)).wrapping_shl(self.shift);
        (low_word(value).wrapping_shl(self.shift), mask)
    }
}

/// Returns the binary logarithm of a width in bytes: [`Width`] lists the widths in that order.
#[inline]
const fn log2(width: Width) -> u32 {
    width as u32
}

/// Returns [`Width::mask`] without a choice.
#[inline]
const fn mask_of(width: Width) -> u64 {
    u64::MAX.wrapping_shr(64_u32.wrapping_sub(8_u32.wrapping_shl(log2(width))))
}

/// Returns the low half of a 64-bit value.
#[inline]
pub(crate) const fn low_word(value: u64) -> u32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

impl<const ROWS: usize> FrameMap<ROWS> {
    #[expect(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        reason = "runs at compile time, where a wrong index is a compile error"
    )]
    const fn new(rows: [Row; ROWS]) -> Self {
        let mut granules = [NO_ROW; 512];
        let mut row = 0;
        while row < rows.len() {
            assert!(rows[row].first & 0x7f == 0 && rows[row].end & 0x7f == 0);
            let mut granule = (rows[row].first >> GRANULE_SHIFT) as usize;
            while granule < (rows[row].end >> GRANULE_SHIFT) as usize {
                assert!(granules[granule] == NO_ROW);
                granules[granule] = row as u8;
                granule += 1;
            }
            row += 1;
        }
        Self { rows, granules }
    }

    /// Finds what an access is to; `None` if there is nothing, or the width is not allowed there, or
    /// the access is not aligned. The outcome is then read-as-zero, write-ignored.
    #[inline]
    pub(crate) fn find(&self, offset: u64, width: Width) -> Option<Access> {
        let granule = usize::try_from(offset >> GRANULE_SHIFT).ok()?;
        let row = self.rows.get(usize::from(*self.granules.get(granule)?))?;
        let log2_bytes = log2(width);
        let in_row = low_word(offset).wrapping_sub(row.first);
        let allowed = u32::from(row.widths).wrapping_shr(log2_bytes) & 1 != 0;
        if !allowed || in_row & !u32::MAX.wrapping_shl(log2_bytes) != 0 {
            return None;
        }
        let log2_bits = u32::from(row.log2_bits);
        let word = in_row >> 2;
        let interrupt = (word << 5).wrapping_shr(log2_bits);
        let sub = word & !u32::MAX.wrapping_shl(log2_bits);
        Some(Access {
            register: row.register,
            offset: in_row,
            interrupt,
            sub,
            shift: (in_row & 3).wrapping_mul(8),
            width,
        })
    }
}

/// Reads a peripheral or component identification register (IHI0069, 12.1.4): ArchRev 3 in PIDR2,
/// the other fields as Arm's own implementation has them.
#[inline(always)]
pub(crate) fn identification(offset: u32, part: u8) -> u32 {
    let value = match offset & !3 {
        // PIDR4: Arm's JEP106 continuation code.
        0xffd0 => 0x44,
        0xffe0 => part,
        0xffe4 => 0xb4,
        0xffe8 => 0x3b,
        0xfff0 => 0x0d,
        0xfff4 => 0xf0,
        0xfff8 => 0x05,
        0xfffc => 0xb1,
        _ => 0,
    };
    u32::from(value)
}

/// The offset of a frame's identification row.
pub(crate) const IDENTIFICATION: u32 = 0xff80;

/// GICD_IIDR and GICR_IIDR: product 'B', revision 0, no implementer's code.
pub(crate) const IMPLEMENTER: u32 = 0x4200_0000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_finds_each_register_and_its_interrupt() {
        let cases = [
            (0x084, Width::Word, R::Bank(B::Group), 32),
            (0x17c, Width::Word, R::Bank(B::SetEnable), 992),
            (0x421, Width::Byte, R::Bank(B::Priority), 32),
            (0x7f8, Width::Word, R::Bank(B::Priority), 1016),
            (0xc08, Width::Word, R::Bank(B::Configuration), 32),
            (0x6100, Width::Double, R::Route, 32),
            (0x7fdc, Width::Word, R::Route, 1019),
            (0x800, Width::Byte, R::Absent, 0),
        ];
        for (offset, width, register, interrupt) in cases {
            let access = BANKED_FRAME.find(offset, width).unwrap();
            assert_eq!(access.register, register, "{offset:#x}");
            assert_eq!(access.interrupt, interrupt, "{offset:#x}");
        }
    }

    #[test]
    fn widths_are_in_the_order_of_their_size() {
        for width in Width::ALL {
            assert_eq!(1 << log2(width), width.bytes());
            assert_eq!(mask_of(width), width.mask());
        }
    }

    #[test]
    fn b1_b2_forbidden_widths_and_unaligned_accesses_find_nothing() {
        for width in [Width::Byte, Width::Half, Width::Double] {
            assert_eq!(BANKED_FRAME.find(0x100, width), None);
        }
        assert_eq!(BANKED_FRAME.find(0x402, Width::Half), None);
        assert_eq!(BANKED_FRAME.find(0x102, Width::Word), None);
        assert_eq!(BANKED_FRAME.find(0x6104, Width::Double), None);
        assert_eq!(BANKED_FRAME.find(0x1_0000, Width::Word), None);
        assert_eq!(BANKED_FRAME.find(u64::MAX, Width::Byte), None);
        assert_eq!(BANKED_FRAME.find(0x4000, Width::Word), None);
    }
}
