//! What a device may ask of the world around it.

use crate::LineUpdate;
use core::fmt;

/// The wires of a device: interrupt line, back end, clock and timer.
///
/// A device calls it while its lock is held, so an implementation only records ([`crate::Effects`])
/// or only computes; it never calls the device, never waits and never allocates.
pub trait Host {
    /// Drives an interrupt line. Called by [`crate::access`] after an access, never by a device.
    fn set_line(&mut self, update: LineUpdate);

    /// Sends an interrupt that has no level. An embedder without such interrupts leaves this as it
    /// is and makes no device that needs it.
    fn signal(&mut self, signal: Signal) {
        let _ = signal;
    }

    /// Sends a byte to the back end.
    fn transmit(&mut self, byte: u8);

    /// Returns how many bytes [`Host::transmit`] takes before the embedder has to pass them on.
    fn transmit_room(&self) -> usize;

    /// Asks for [`crate::MmioDevice::work`]: soon, and not before this call has returned.
    fn request_work(&mut self);

    /// Says that the device has room for input again.
    fn input_wanted(&mut self);

    /// Returns the time since some fixed moment, in nanoseconds; never goes back.
    fn now(&self) -> u64;

    /// Returns the time since 1970-01-01 00:00 UTC, in nanoseconds.
    fn wall_clock(&self) -> u64;

    /// Asks for [`crate::MmioDevice::timer_expired`] once [`Host::now`] reaches `deadline`, in
    /// nanoseconds. A device has one timer: a new deadline replaces the old one.
    fn arm_timer(&mut self, deadline: u64);

    /// Takes back what [`Host::arm_timer`] asked for.
    fn cancel_timer(&mut self);

    /// Counts something that a correct driver does not do, at `offset` in the device.
    fn guest_error(&mut self, error: GuestError, offset: u64);

    /// Reports what the guest says about itself.
    fn guest_event(&mut self, event: GuestEvent);
}

/// An interrupt that is an event, not a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// A pulse on the device's line of this number.
    Pulse(u8),
    /// A write of `data` to the interrupt controller's `address`.
    Message {
        /// Where, in the guest's physical addresses.
        address: u64,
        /// What.
        data: u32,
    },
}

macro_rules! guest_errors {
    ($($(#[$doc:meta])* $name:ident: $text:literal,)+) => {
        /// Something that a correct driver does not do, or that the model does not do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum GuestError {
            $($(#[$doc])* $name,)+
        }

        impl GuestError {
            /// All of them, in the order of [`GuestError::index`].
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Returns the place in [`GuestError::ALL`].
            #[must_use]
            pub const fn index(self) -> usize {
                self as usize
            }
        }

        impl fmt::Display for GuestError {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$name => $text,)+
                })
            }
        }
    };
}

guest_errors! {
    /// There is no register at the offset.
    UnknownOffset: "no register there",
    /// The registers may not be accessed with this width.
    BadWidth: "width not allowed",
    /// The offset is no multiple of the width.
    Unaligned: "unaligned",
    /// Part of the access lies behind the last register.
    BeyondEnd: "crosses the end of the registers",
    /// A narrow write does not start at the first byte of its register.
    PartialWrite: "write to the middle of a register",
    /// A write to a register that can only be read.
    ReadOnly: "write to a read-only register",
    /// A read of a register that can only be written.
    WriteOnly: "read of a write-only register",
    /// A write sets bits that must be zero.
    ReservedBits: "reserved bits set",
    /// A request to a part of the device that is switched off.
    Disabled: "use while disabled",
    /// Data for which there was no room.
    Overflow: "data dropped for lack of room",
    /// A queue that cannot be used, or that holds what it must not.
    BadQueue: "malformed queue",
    /// A request that makes no sense.
    BadRequest: "malformed request",
    /// A request for something that the model does not do.
    Unimplemented: "not implemented",
    /// An address of a transfer that is not the guest's memory.
    BadAddress: "address outside of guest memory",
    /// An access while the device is paused or halted: the embedder's mistake.
    NotRunning: "access to a device that is not running",
}

/// What a guest reports about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GuestEvent {
    /// The guest's kernel has panicked and stays so.
    Panicked,
    /// The guest's kernel has panicked and now runs its crash kernel.
    CrashLoaded,
}

impl fmt::Display for GuestEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Panicked => "the guest panicked",
            Self::CrashLoaded => "the guest panicked and runs its crash kernel",
        })
    }
}
