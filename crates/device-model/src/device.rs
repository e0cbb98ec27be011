//! The interface of a device.

use crate::{
    AccessFault, AccessPolicy, Backend, BackendChange, Host, Level, Levels, LineState, Migrate,
    access,
};
use addr::Width;
use core::fmt;

/// Whether an access may have changed the level of the device's interrupt line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum LineEffect {
    /// The level is what it was.
    Unchanged,
    /// The level must be looked at again.
    MayHaveChanged,
}

impl LineEffect {
    /// Returns the effect of both accesses together.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unchanged, Self::Unchanged) => Self::Unchanged,
            (Self::MayHaveChanged, Self::Unchanged | Self::MayHaveChanged)
            | (Self::Unchanged, Self::MayHaveChanged) => Self::MayHaveChanged,
        }
    }
}

/// There is no register at this offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRegister {
    /// The offset in bytes.
    pub offset: u64,
}

impl fmt::Display for NoRegister {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no register at offset {:#x}", self.offset)
    }
}

impl core::error::Error for NoRegister {}

/// What a device did with a byte of input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Received {
    /// It is in the device.
    Accepted,
    /// It is not: there is no room, the receiver is off, or the device has no input. The embedder
    /// keeps the byte until [`Host::input_wanted`].
    Refused,
}

/// Whether a device has a wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// It has.
    Present,
    /// It has not.
    Absent,
}

/// Which wires a device has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wires {
    /// An interrupt line.
    pub interrupt: Wire,
    /// Bytes to and from a back end.
    pub bytes: Wire,
    /// The clock and a timer.
    pub clock: Wire,
}

/// A device as the bus sees it. It knows an offset and a width, never its address.
///
/// [`crate::access`] calls `read` and `write` only with an implemented width, an aligned offset and
/// within the size of [`AccessPolicy`], and drives the lines afterwards. The work of a call is
/// bounded by a constant.
///
/// Most devices implement [`crate::RegisterDevice`] instead, and get this from it.
///
/// # Reset
/// Three phases, each over all devices of a VM before the next begins, so that no device sees
/// another one's old outputs: [`MmioDevice::reset`] (enter) makes the state that after creation and
/// asks nothing of other devices; then the lines are driven (hold); [`MmioDevice::exit_reset`] may
/// ask the back end for input or start a timer (exit). [`crate::Slot`] runs them.
///
/// # Pause, resume, halt
/// The embedder stops all vCPUs first, then pauses each device. Between [`MmioDevice::pause`] and
/// [`MmioDevice::resume`] nothing is called but saving, restoring and reset. What `pause` takes
/// back from the host (a transfer in the back end, for example) `resume` asks for again, out of the
/// state alone, because that state may have been restored. A deadline that passed meanwhile expires
/// in `resume`. After a halt nothing is called any more; the back end is free.
pub trait MmioDevice<H: Host>: Migrate {
    /// Returns which accesses the device takes; always the same.
    fn access_policy(&self) -> &'static AccessPolicy;

    /// Returns which wires the device has.
    fn wires(&self) -> Wires;

    /// Reads a register; the value fits in `width`.
    ///
    /// # Errors
    /// [`NoRegister`] if there is none at `offset`; nothing has happened then.
    fn read(
        &mut self,
        host: &mut H,
        offset: u64,
        width: Width,
    ) -> Result<(u64, LineEffect), NoRegister>;

    /// Writes a register; bits of `value` above `width` are 0.
    ///
    /// # Errors
    /// [`NoRegister`] if there is none at `offset`; nothing has happened then.
    fn write(
        &mut self,
        host: &mut H,
        offset: u64,
        width: Width,
        value: u64,
    ) -> Result<LineEffect, NoRegister>;

    /// Returns the level that the interrupt line must have now.
    fn level(&self) -> Level;

    /// Returns the levels that the interrupt lines must have now, if the device has several.
    fn levels(&self) -> Levels {
        Levels::from(self.level())
    }

    /// Enters reset: puts the device into the state after its creation and cancels its timer. What
    /// survives a reset, such as the time of a clock with a battery, stays.
    fn reset(&mut self, host: &mut H);

    /// Leaves reset, after all devices have entered it and their lines were driven.
    fn exit_reset(&mut self, host: &mut H) {
        let _ = host;
    }

    /// Stops working until [`MmioDevice::resume`].
    fn pause(&mut self, host: &mut H) {
        host.cancel_timer();
    }

    /// Goes on from the state alone. A device with a timer looks at the time and arms it again.
    fn resume(&mut self, host: &mut H) {
        self.timer_expired(host);
    }

    /// Takes a byte of input from the back end.
    fn receive(&mut self, host: &mut H, byte: u8) -> Received {
        // A device without an input leaves this as it is.
        let _ = (host, byte);
        Received::Refused
    }

    /// Looks at the time, after the deadline of [`Host::arm_timer`] has passed, and arms the timer
    /// for the next one. May be called too early or too often.
    fn timer_expired(&mut self, host: &mut H) {
        let _ = host;
    }

    /// Does a piece of the work that [`Host::request_work`] asked for, bounded by a constant, and
    /// asks again if some is left. May be called too often.
    fn work(&mut self, host: &mut H, backend: &mut dyn Backend) {
        // A device that never asks leaves this as it is.
        let _ = (host, backend);
    }

    /// Takes notice of a change behind the device.
    fn backend_changed(&mut self, host: &mut H, change: BackendChange) {
        let _ = (host, change);
    }

    /// Serves a guest's read; see [`access::read`]. Not to be implemented: it stands here so that
    /// an access costs one virtual call, with the device's policy known behind it.
    ///
    /// # Errors
    /// [`AccessFault`] if the policy says so.
    fn guest_read(
        &mut self,
        lines: &mut LineState,
        host: &mut H,
        offset: u64,
        width: Width,
    ) -> Result<u64, AccessFault> {
        access::read(self, lines, host, offset, width)
    }

    /// Serves a guest's write; see [`MmioDevice::guest_read`].
    ///
    /// # Errors
    /// [`AccessFault`] if the policy says so.
    fn guest_write(
        &mut self,
        lines: &mut LineState,
        host: &mut H,
        offset: u64,
        width: Width,
        value: u64,
    ) -> Result<(), AccessFault> {
        access::write(self, lines, host, offset, width, value)
    }
}

/// A set of devices, such as an enum with one variant for each kind.
pub trait Model {
    /// Returns the device's interface. The only place that tells the kinds apart.
    fn model<H: Host>(&mut self) -> &mut dyn MmioDevice<H>;
}
