//! Registers of the PL031 (DDI0224C, chapter 3).

use device_model::register_offsets;

register_offsets! {
    /// The registers (DDI0224C, 3.2).
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
        /// RTCPeriphID0.
        PeripheralId0 = 0xfe0,
        /// RTCPeriphID1.
        PeripheralId1 = 0xfe4,
        /// RTCPeriphID2.
        PeripheralId2 = 0xfe8,
        /// RTCPeriphID3.
        PeripheralId3 = 0xfec,
        /// RTCPCellID0.
        CellId0 = 0xff0,
        /// RTCPCellID1.
        CellId1 = 0xff4,
        /// RTCPCellID2.
        CellId2 = 0xff8,
        /// RTCPCellID3.
        CellId3 = 0xffc,
    }
}

/// The only bit of RTCCR, RTCIMSC, RTCRIS, RTCMIS and RTCICR.
pub(crate) const BIT: u32 = 1;
