//! Registers of the PL061 (DDI0190B, chapter 3).

use device_model::{NoRegister, Registers};

/// The registers above GPIODATA (DDI0190B, 3.2). Bit n of each is about pin n.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Registers)]
pub enum Register {
    /// GPIODIR: the pin is an output.
    Direction = 0x400,
    /// GPIOIS: the pin interrupts by level, otherwise by edge.
    Sense = 0x404,
    /// GPIOIBE: both edges interrupt.
    BothEdges = 0x408,
    /// GPIOIEV: the rising edge or the high level interrupts, otherwise the falling or the low.
    Event = 0x40c,
    /// GPIOIE, interrupt mask.
    InterruptMask = 0x410,
    /// GPIORIS, interrupts before the mask.
    RawInterrupts = 0x414,
    /// GPIOMIS, interrupts after the mask.
    MaskedInterrupts = 0x418,
    /// GPIOIC, clears the interrupts of edges.
    InterruptClear = 0x41c,
    /// GPIOAFSEL: the pin is under hardware control.
    HardwareControl = 0x420,
}

/// What an offset means: GPIODATA takes 256 of them, one for each set of pins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    /// GPIODATA; only these pins are read or written (DDI0190B, 3.3.1).
    Data {
        /// Bits 9 to 2 of the offset.
        pins: u8,
    },
    /// Another register.
    Register(Register),
}

impl TryFrom<u64> for Location {
    type Error = NoRegister;

    #[inline]
    fn try_from(offset: u64) -> Result<Self, NoRegister> {
        if offset & 3 == 0
            && let Ok(pins) = u8::try_from(offset >> 2)
        {
            return Ok(Self::Data { pins });
        }
        Register::try_from(offset).map(Self::Register)
    }
}
