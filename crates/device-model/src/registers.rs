//! Devices whose registers are named by an enum.

use crate::migrate::Migrate;
use crate::{
    AccessPolicy, GuestError, Host, Level, LineEffect, MmioDevice, NoRegister, Received, Wires,
};
use addr::Width;

/// Typed register offsets; derived.
pub trait Registers: Copy + TryFrom<u64, Error = NoRegister> + 'static {
    /// All registers, in the order of their declaration.
    const ALL: &'static [Self];

    /// Returns the offset in bytes.
    fn offset(self) -> u64;
}

/// What a PrimeCell says about itself at offsets 0xfe0 to 0xffc: PeriphID0 to 3, PCellID0 to 3.
pub type Identification = [u8; 8];

/// Returns the identification of a PrimeCell of Arm's.
#[must_use]
pub const fn primecell(part: u16, revision: u8, configuration: u8) -> Identification {
    let [low, high] = part.to_le_bytes();
    // Designer 0x41 has its low half in PeriphID1 and its high half in PeriphID2.
    [
        low,
        0x10 | (high & 0xf),
        (revision << 4) | 0x4,
        configuration,
        0x0d,
        0xf0,
        0x05,
        0xb1,
    ]
}

/// A device with 32-bit registers named by an enum. It gets [`MmioDevice`] from here.
pub trait RegisterDevice: Migrate {
    /// The registers; usually an enum that derives [`macro@crate::Registers`].
    type Register: Copy + TryFrom<u64, Error = NoRegister>;
    /// Which accesses the device takes: 32 bits, or narrower if that is all it has.
    const POLICY: &'static AccessPolicy;
    /// Which wires the device has.
    const WIRES: Wires;
    /// Its identification, if it is a PrimeCell.
    const IDENTIFICATION: Option<&'static Identification> = None;

    /// Reads a register.
    fn read_register<H: Host>(
        &mut self,
        host: &mut H,
        register: Self::Register,
    ) -> (u32, LineEffect);

    /// Writes a register.
    fn write_register<H: Host>(
        &mut self,
        host: &mut H,
        register: Self::Register,
        value: u32,
    ) -> LineEffect;

    /// See [`MmioDevice::level`].
    fn level(&self) -> Level;

    /// See [`MmioDevice::reset`].
    fn reset<H: Host>(&mut self, host: &mut H);

    /// See [`MmioDevice::exit_reset`].
    fn exit_reset<H: Host>(&mut self, host: &mut H) {
        let _ = host;
    }

    /// See [`MmioDevice::pause`].
    fn pause<H: Host>(&mut self, host: &mut H) {
        host.cancel_timer();
    }

    /// See [`MmioDevice::resume`].
    fn resume<H: Host>(&mut self, host: &mut H) {
        self.timer_expired(host);
    }

    /// See [`MmioDevice::receive`].
    fn receive<H: Host>(&mut self, host: &mut H, byte: u8) -> Received {
        let _ = (host, byte);
        Received::Refused
    }

    /// See [`MmioDevice::timer_expired`].
    fn timer_expired<H: Host>(&mut self, host: &mut H) {
        let _ = host;
    }
}

impl<H: Host, D: RegisterDevice> MmioDevice<H> for D {
    #[inline]
    fn access_policy(&self) -> &'static AccessPolicy {
        D::POLICY
    }

    fn wires(&self) -> Wires {
        D::WIRES
    }

    #[inline]
    fn read(
        &mut self,
        host: &mut H,
        offset: u64,
        _: Width,
    ) -> Result<(u64, LineEffect), NoRegister> {
        match D::Register::try_from(offset) {
            Ok(register) => {
                let (value, effect) = self.read_register(host, register);
                Ok((u64::from(value), effect))
            }
            Err(error) => match identification::<D>(offset) {
                Some(value) => Ok((u64::from(value), LineEffect::Unchanged)),
                None => Err(error),
            },
        }
    }

    #[inline]
    fn write(
        &mut self,
        host: &mut H,
        offset: u64,
        _: Width,
        value: u64,
    ) -> Result<LineEffect, NoRegister> {
        match D::Register::try_from(offset) {
            Ok(register) => {
                // The policy implements no more than 32 bits.
                let [b0, b1, b2, b3, ..] = value.to_le_bytes();
                let value = u32::from_le_bytes([b0, b1, b2, b3]);
                Ok(self.write_register(host, register, value))
            }
            Err(error) => match identification::<D>(offset) {
                Some(_) => {
                    host.guest_error(GuestError::ReadOnly, offset);
                    Ok(LineEffect::Unchanged)
                }
                None => Err(error),
            },
        }
    }

    fn level(&self) -> Level {
        RegisterDevice::level(self)
    }

    fn reset(&mut self, host: &mut H) {
        RegisterDevice::reset(self, host);
    }

    fn exit_reset(&mut self, host: &mut H) {
        RegisterDevice::exit_reset(self, host);
    }

    fn pause(&mut self, host: &mut H) {
        RegisterDevice::pause(self, host);
    }

    fn resume(&mut self, host: &mut H) {
        RegisterDevice::resume(self, host);
    }

    fn receive(&mut self, host: &mut H, byte: u8) -> Received {
        RegisterDevice::receive(self, host, byte)
    }

    fn timer_expired(&mut self, host: &mut H) {
        RegisterDevice::timer_expired(self, host);
    }
}

/// Returns the identification register at `offset`, if the device has one there.
fn identification<D: RegisterDevice>(offset: u64) -> Option<u8> {
    const FIRST: u64 = 0xfe0;
    let index = offset.checked_sub(FIRST)?;
    if index & 3 != 0 {
        return None;
    }
    let index = usize::try_from(index >> 2).ok()?;
    D::IDENTIFICATION?.get(index).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_primecell_names_its_part_and_designer() {
        assert_eq!(
            primecell(0x11, 1, 0),
            [0x11, 0x10, 0x14, 0, 0x0d, 0xf0, 0x05, 0xb1]
        );
    }
}
