//! Registers of the PL031 (DDI0224C, chapter 3).

use device_model::Registers;

/// The registers (DDI0224C, 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Registers)]
pub enum Register {
    /// RTCDR, the time in seconds.
    Data = 0x000,
    /// RTCMR, the time that interrupts.
    Match = 0x004,
    /// RTCLR, sets the time.
    Load = 0x008,
    /// RTCCR, control: bit 0 starts the clock.
    Control = 0x00c,
    /// RTCIMSC, interrupt mask.
    InterruptMask = 0x010,
    /// RTCRIS, the interrupt before the mask.
    RawInterrupt = 0x014,
    /// RTCMIS, the interrupt after the mask.
    MaskedInterrupt = 0x018,
    /// RTCICR, interrupt clear.
    InterruptClear = 0x01c,
}

/// The only bit of RTCCR, RTCIMSC, RTCRIS, RTCMIS and RTCICR.
pub(crate) const BIT: u32 = 1;
