//! Registers of the HPET (1.0a, 2.3). All have 64 bits; 32-bit accesses reach either half.

use device_model::{NoRegister, bit_fields};

/// What an offset, a multiple of 8, means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    /// General capabilities and ID.
    Capabilities,
    /// General configuration.
    Config,
    /// General interrupt status.
    Status,
    /// Main counter value.
    Counter,
    /// A register of a timer.
    Timer(usize, TimerRegister),
}

/// A register that each timer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerRegister {
    /// Configuration and capabilities.
    Config,
    /// Comparator value.
    Comparator,
    /// FSB interrupt route.
    FsbRoute,
}

/// Where the timers begin, and how far they are apart.
const TIMERS: u64 = 0x100;
const STRIDE: u64 = 0x20;

impl TryFrom<u64> for Location {
    type Error = NoRegister;

    fn try_from(offset: u64) -> Result<Self, NoRegister> {
        let none = NoRegister { offset };
        if let Some(within) = offset.checked_sub(TIMERS) {
            let register = match within & (STRIDE - 1) {
                0x00 => TimerRegister::Config,
                0x08 => TimerRegister::Comparator,
                0x10 => TimerRegister::FsbRoute,
                _ => return Err(none),
            };
            let index = usize::try_from(within / STRIDE).map_err(|_| none)?;
            return Ok(Self::Timer(index, register));
        }
        match offset {
            0x000 => Ok(Self::Capabilities),
            0x010 => Ok(Self::Config),
            0x020 => Ok(Self::Status),
            0x0f0 => Ok(Self::Counter),
            _ => Err(none),
        }
    }
}

/// GCAP_ID (2.3.4).
#[bit_fields(u64)]
pub struct Capabilities {
    /// REV_ID, which is not 0.
    #[bits(0..=7)]
    pub revision: u8,
    /// NUM_TIM_CAP, the number of the last timer.
    #[bits(8..=12)]
    pub last_timer: u8,
    /// COUNT_SIZE_CAP: the main counter has 64 bits.
    #[bits(13)]
    pub wide: bool,
    /// LEG_RT_CAP: legacy replacement is possible.
    #[bits(15)]
    pub legacy: bool,
    /// VENDOR_ID.
    #[bits(16..=31)]
    pub vendor: u16,
    /// COUNTER_CLK_PERIOD, in femtoseconds.
    #[bits(32..=63)]
    pub period: u32,
}

/// GEN_CONF (2.3.5).
#[bit_fields(u64)]
pub struct GeneralConfig {
    /// ENABLE_CNF: the main counter runs, and timers interrupt.
    #[bits(0)]
    pub enabled: bool,
    /// LEG_RT_CNF: timers 0 and 1 replace the PIT and the RTC.
    #[bits(1)]
    pub legacy: bool,
}

/// Tn_CONF_CAP (2.3.8), the part that software writes; capabilities come from the configuration.
#[bit_fields(u64)]
pub struct TimerConfig {
    /// INT_TYPE_CNF: by level, otherwise by edge.
    #[bits(1)]
    pub level: bool,
    /// INT_ENB_CNF.
    #[bits(2)]
    pub enabled: bool,
    /// TYPE_CNF: periodic.
    #[bits(3)]
    pub periodic: bool,
    /// VAL_SET_CNF: the next write of the comparator sets a periodic timer's accumulator too.
    #[bits(6)]
    pub set_accumulator: bool,
    /// 32MODE_CNF: only the low 32 bits count.
    #[bits(8)]
    pub narrow: bool,
    /// INT_ROUTE_CNF, the input of the I/O APIC.
    #[bits(9..=13)]
    pub route: u8,
    /// FSB_EN_CNF: a message instead of a line.
    #[bits(14)]
    pub fsb: bool,
}

/// The capabilities in Tn_CONF_CAP: periodic, 64 bits, FSB delivery (2.3.8).
pub(crate) const TIMER_CAPABILITIES: u64 = 1 << 4 | 1 << 5 | 1 << 15;
