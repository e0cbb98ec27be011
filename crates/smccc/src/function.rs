//! Function identifiers (DEN0028, 2.5).

use core::fmt;

/// A function identifier: w0 of a call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct FunctionId(u32);

/// How wide a call's arguments and results are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Convention {
    /// w0 to w7; the registers' top halves mean nothing.
    Smc32,
    /// x0 to x7.
    Smc64,
}

/// Whose function it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// Arm architecture calls.
    Arch,
    /// CPU service calls.
    Cpu,
    /// Silicon provider.
    Sip,
    /// Device maker.
    Oem,
    /// Standard secure services: PSCI, TRNG, FF-A and others.
    Standard,
    /// Standard hypervisor services.
    StandardHypervisor,
    /// Services of this hypervisor.
    VendorHypervisor,
    /// Trusted applications.
    TrustedApplication,
    /// Trusted operating systems.
    TrustedOs,
    /// A range without an owner.
    Reserved(u8),
}

impl FunctionId {
    /// Takes an identifier from its value.
    #[must_use]
    pub const fn new(value: u32) -> Self {
        Self(value)
    }

    /// Takes an identifier from a register: its low half.
    #[must_use]
    pub const fn from_register(x: u64) -> Self {
        let [_, _, _, _, a, b, c, d] = x.to_be_bytes();
        Self(u32::from_be_bytes([a, b, c, d]))
    }

    /// Returns the value.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Tells whether it is a fast call; EL2 has no yielding ones.
    #[must_use]
    pub const fn is_fast(self) -> bool {
        self.0 & 1 << 31 != 0
    }

    /// Returns the convention: bit 30.
    #[must_use]
    pub const fn convention(self) -> Convention {
        if self.0 & 1 << 30 == 0 {
            Convention::Smc32
        } else {
            Convention::Smc64
        }
    }

    /// Returns the owner: bits 29–24.
    #[must_use]
    pub const fn owner(self) -> Owner {
        let [top, ..] = self.0.to_be_bytes();
        match top & 0x3f {
            0 => Owner::Arch,
            1 => Owner::Cpu,
            2 => Owner::Sip,
            3 => Owner::Oem,
            4 => Owner::Standard,
            5 => Owner::StandardHypervisor,
            6 => Owner::VendorHypervisor,
            0x30 | 0x31 => Owner::TrustedApplication,
            0x32..=0x3f => Owner::TrustedOs,
            other => Owner::Reserved(other),
        }
    }

    /// Returns the function's number in its owner's range: bits 15–0.
    #[must_use]
    pub const fn number(self) -> u16 {
        let [_, _, high, low] = self.0.to_be_bytes();
        u16::from_be_bytes([high, low])
    }
}

impl Convention {
    /// Cuts an argument to the convention's width.
    #[must_use]
    pub const fn argument(self, x: u64) -> u64 {
        match self {
            Self::Smc32 => x & 0xffff_ffff,
            Self::Smc64 => x,
        }
    }
}

impl fmt::Debug for FunctionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FunctionId({:#010x})", self.0)
    }
}

impl fmt::Display for FunctionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_comes_apart_into_its_fields() {
        let id = FunctionId::from_register(0xffff_ffff_c400_0003);
        assert_eq!(id.get(), 0xc400_0003);
        assert!(id.is_fast());
        assert_eq!(id.convention(), Convention::Smc64);
        assert_eq!(id.owner(), Owner::Standard);
        assert_eq!(id.number(), 3);
        assert!(!FunctionId::new(0x0400_0003).is_fast());
        assert_eq!(FunctionId::new(0xb200_0000).owner(), Owner::TrustedOs);
        assert_eq!(FunctionId::new(0x8700_0000).owner(), Owner::Reserved(7));
    }

    #[test]
    fn c6_arguments_of_32_bit_calls_lose_their_top_halves() {
        assert_eq!(Convention::Smc32.argument(u64::MAX), 0xffff_ffff);
        assert_eq!(Convention::Smc64.argument(u64::MAX), u64::MAX);
    }
}
