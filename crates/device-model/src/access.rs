//! Adapts a guest's access to what a device implements, and drives the interrupt lines afterwards.
//!
//! - A width or alignment that the policy does not allow, an access across the end, or an offset
//!   without a register is counted, and ignored or faulted as the policy says.
//! - A narrower access than the device implements reads the register and takes the bytes asked for.
//!   As a write it must start at the register's first byte, and the other bytes are written as
//!   zero: there are no byte strobes.
//! - A wider access becomes several, lowest address first.

use crate::{AccessPolicy, GuestError, Host, LineEffect, LineState, MmioDevice, Refused};
use addr::{Width, align_down};
use core::fmt;

/// An access that the guest must take a synchronous external abort for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessFault {
    /// What was wrong.
    pub error: GuestError,
    /// Where in the device, in bytes.
    pub offset: u64,
    /// How wide the access was.
    pub width: Width,
}

impl fmt::Display for AccessFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "access of {} bytes at offset {:#x}: {}",
            self.width.bytes(),
            self.offset,
            self.error
        )
    }
}

impl core::error::Error for AccessFault {}

/// Reads `width` at `offset`; the value fits in the width.
///
/// # Errors
/// [`AccessFault`] if the device's policy says so.
#[inline]
pub fn read<H: Host, D: MmioDevice<H> + ?Sized>(
    device: &mut D,
    line: &mut LineState,
    host: &mut H,
    offset: u64,
    width: Width,
) -> Result<u64, AccessFault> {
    let policy = device.access_policy();
    // What nearly every access is comes first; if there is no register, nothing has happened.
    if policy.takes_as_it_is(offset, width)
        && let Ok((value, effect)) = device.read(host, offset, width)
    {
        if effect == LineEffect::MayHaveChanged {
            drive(device, line, host);
        }
        return Ok(policy.in_order(value & width.mask(), width));
    }
    read_adapted(device, line, host, offset, width)
}

/// Writes the low bits of `value` at `offset`.
///
/// # Errors
/// [`AccessFault`] if the device's policy says so.
#[inline]
pub fn write<H: Host, D: MmioDevice<H> + ?Sized>(
    device: &mut D,
    line: &mut LineState,
    host: &mut H,
    offset: u64,
    width: Width,
    value: u64,
) -> Result<(), AccessFault> {
    let value = value & width.mask();
    let policy = device.access_policy();
    if policy.takes_as_it_is(offset, width)
        && let Ok(effect) = device.write(host, offset, width, policy.in_order(value, width))
    {
        if effect == LineEffect::MayHaveChanged {
            drive(device, line, host);
        }
        return Ok(());
    }
    write_adapted(device, line, host, offset, width, value)
}

/// Reads in the way that the device implements, or refuses.
#[cold]
fn read_adapted<H: Host, D: MmioDevice<H> + ?Sized>(
    device: &mut D,
    line: &mut LineState,
    host: &mut H,
    offset: u64,
    width: Width,
) -> Result<u64, AccessFault> {
    let access = Access {
        policy: device.access_policy(),
        offset,
        width,
    };
    let (result, effect) = match access.adapt() {
        Ok(Adapted::Direct) => access.read_part(device, host, offset, width),
        Ok(Adapted::Narrow { start, container }) => {
            let shift = bit_shift(offset.wrapping_sub(start));
            let (result, effect) = access.read_part(device, host, start, container);
            (result.map(|value| (value >> shift) & width.mask()), effect)
        }
        Ok(Adapted::Wide { part }) => access.read_parts(device, host, part),
        Err(refusal) => (
            access.refuse(host, refusal).map(|()| 0),
            LineEffect::Unchanged,
        ),
    };
    if effect == LineEffect::MayHaveChanged {
        drive(device, line, host);
    }
    result
}

/// Writes in the way that the device implements, or refuses.
#[cold]
fn write_adapted<H: Host, D: MmioDevice<H> + ?Sized>(
    device: &mut D,
    line: &mut LineState,
    host: &mut H,
    offset: u64,
    width: Width,
    value: u64,
) -> Result<(), AccessFault> {
    let access = Access {
        policy: device.access_policy(),
        offset,
        width,
    };
    let (result, effect) = match access.adapt() {
        Ok(Adapted::Direct) => access.write_part(device, host, offset, width, value),
        Ok(Adapted::Narrow { start, container }) if start == offset => {
            access.write_part(device, host, start, container, value)
        }
        Ok(Adapted::Narrow { .. }) => {
            host.guest_error(GuestError::PartialWrite, offset);
            (Ok(()), LineEffect::Unchanged)
        }
        Ok(Adapted::Wide { part }) => access.write_parts(device, host, part, value),
        Err(refusal) => (access.refuse(host, refusal), LineEffect::Unchanged),
    };
    if effect == LineEffect::MayHaveChanged {
        drive(device, line, host);
    }
    result
}

/// Brings the interrupt lines to the levels that the device wants.
pub fn drive<H: Host, D: MmioDevice<H> + ?Sized>(device: &D, line: &mut LineState, host: &mut H) {
    let levels = device.levels();
    while let Some(update) = line.drive(levels) {
        host.set_line(update);
    }
}

/// A guest's access, before it is adapted.
#[derive(Clone, Copy)]
struct Access {
    policy: &'static AccessPolicy,
    offset: u64,
    width: Width,
}

/// How a device serves an access.
enum Adapted {
    /// As it is.
    Direct,
    /// As part of a wider register.
    Narrow { start: u64, container: Width },
    /// As several accesses of this width.
    Wide { part: Width },
}

/// Why an access is not served, and what the guest sees of that.
#[derive(Clone, Copy)]
struct Refusal {
    error: GuestError,
    outcome: Refused,
}

impl Access {
    fn adapt(&self) -> Result<Adapted, Refusal> {
        let Self {
            policy,
            offset,
            width,
        } = *self;
        let refuse = |error, outcome| Err(Refusal { error, outcome });
        if !policy.valid.contains(width) {
            return refuse(GuestError::BadWidth, policy.bad_width);
        }
        if !width.is_aligned(offset) {
            return refuse(GuestError::Unaligned, policy.unaligned);
        }
        if offset >= policy.size {
            return refuse(GuestError::UnknownOffset, policy.unknown);
        }
        if policy.size.wrapping_sub(offset) < width.bytes() {
            return refuse(GuestError::BeyondEnd, policy.beyond_end);
        }
        if policy.implemented.contains(width) {
            return Ok(Adapted::Direct);
        }
        if let Some(container) = policy.implemented.wider_than(width) {
            let start = align_down(offset, container.bytes());
            if policy.size.wrapping_sub(start) < container.bytes() {
                return refuse(GuestError::BeyondEnd, policy.beyond_end);
            }
            return Ok(Adapted::Narrow { start, container });
        }
        match policy.implemented.narrower_than(width) {
            Some(part) => Ok(Adapted::Wide { part }),
            None => refuse(GuestError::BadWidth, policy.bad_width),
        }
    }

    fn refuse<H: Host>(&self, host: &mut H, refusal: Refusal) -> Result<(), AccessFault> {
        host.guest_error(refusal.error, self.offset);
        match refusal.outcome {
            Refused::Ignored => Ok(()),
            Refused::Fault => Err(AccessFault {
                error: refusal.error,
                offset: self.offset,
                width: self.width,
            }),
        }
    }

    fn refuse_unknown<H: Host>(&self, host: &mut H) -> Result<(), AccessFault> {
        self.refuse(
            host,
            Refusal {
                error: GuestError::UnknownOffset,
                outcome: self.policy.unknown,
            },
        )
    }

    fn read_part<H: Host, D: MmioDevice<H> + ?Sized>(
        &self,
        device: &mut D,
        host: &mut H,
        offset: u64,
        width: Width,
    ) -> (Result<u64, AccessFault>, LineEffect) {
        match device.read(host, offset, width) {
            Ok((value, effect)) => (
                Ok(self.policy.in_order(value & width.mask(), width)),
                effect,
            ),
            Err(_) => (self.refuse_unknown(host).map(|()| 0), LineEffect::Unchanged),
        }
    }

    fn write_part<H: Host, D: MmioDevice<H> + ?Sized>(
        &self,
        device: &mut D,
        host: &mut H,
        offset: u64,
        width: Width,
        value: u64,
    ) -> (Result<(), AccessFault>, LineEffect) {
        match device.write(host, offset, width, self.policy.in_order(value, width)) {
            Ok(effect) => (Ok(()), effect),
            Err(_) => (self.refuse_unknown(host), LineEffect::Unchanged),
        }
    }

    fn read_parts<H: Host, D: MmioDevice<H> + ?Sized>(
        &self,
        device: &mut D,
        host: &mut H,
        part: Width,
    ) -> (Result<u64, AccessFault>, LineEffect) {
        let mut total = 0;
        let mut effects = LineEffect::Unchanged;
        for (distance, offset) in self.parts(part) {
            let (result, effect) = self.read_part(device, host, offset, part);
            effects = effects.and(effect);
            match result {
                Ok(value) => total |= value << bit_shift(distance),
                Err(fault) => return (Err(fault), effects),
            }
        }
        (Ok(total), effects)
    }

    fn write_parts<H: Host, D: MmioDevice<H> + ?Sized>(
        &self,
        device: &mut D,
        host: &mut H,
        part: Width,
        value: u64,
    ) -> (Result<(), AccessFault>, LineEffect) {
        let mut effects = LineEffect::Unchanged;
        for (distance, offset) in self.parts(part) {
            let piece = (value >> bit_shift(distance)) & part.mask();
            let (result, effect) = self.write_part(device, host, offset, part, piece);
            effects = effects.and(effect);
            if let Err(fault) = result {
                return (Err(fault), effects);
            }
        }
        (Ok(()), effects)
    }

    /// Returns the distance from the access's start, and the offset in the device, of each part of
    /// an access: at most 8, as an access has at most 8 bytes.
    fn parts(self, part: Width) -> impl Iterator<Item = (u64, u64)> {
        (0..8)
            .filter(move |distance| part.is_aligned(*distance))
            .take_while(move |distance| *distance < self.width.bytes())
            // `adapt` has checked that the whole access lies before the end.
            .map(move |distance| (distance, self.offset.wrapping_add(distance)))
    }
}

/// Returns the bits in `bytes` bytes; `bytes` is below 8.
const fn bit_shift(bytes: u64) -> u64 {
    (bytes & 7) << 3
}

#[cfg(test)]
mod tests;
