//! What the panic device does.

use super::registers::{Events, Register};
use addr::Width;
use device_model::{
    AccessPolicy, GuestError, GuestEvent, Host, Level, LineEffect, MmioDevice, NoRegister, Refused,
    Widths, Wire, Wires,
};

/// What is fixed when the device is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The events that the guest is told of, and that are passed on.
    pub events: Events,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            events: Events::all(),
        }
    }
}

/// What the guest sees change: nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State;

/// A panic device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pvpanic {
    config: Config,
    state: State,
}

static POLICY: AccessPolicy = AccessPolicy {
    // The device tree binding gives it two bytes; the second is no register.
    size: 2,
    valid: Widths::BYTE,
    implemented: Widths::BYTE,
    // A kernel that panics gets no abort on top.
    bad_width: Refused::Ignored,
    unaligned: Refused::Ignored,
    unknown: Refused::Ignored,
    beyond_end: Refused::Ignored,
};

impl<H: Host> MmioDevice<H> for Pvpanic {
    fn access_policy(&self) -> &'static AccessPolicy {
        &POLICY
    }

    fn wires(&self) -> Wires {
        Wires {
            interrupt: Wire::Absent,
            bytes: Wire::Absent,
            clock: Wire::Absent,
        }
    }

    fn read(&mut self, _: &mut H, offset: u64, _: Width) -> Result<(u64, LineEffect), NoRegister> {
        match Register::try_from(offset)? {
            Register::Events => Ok((u64::from(self.config.events.bits()), LineEffect::Unchanged)),
        }
    }

    fn write(
        &mut self,
        host: &mut H,
        offset: u64,
        _: Width,
        value: u64,
    ) -> Result<LineEffect, NoRegister> {
        match Register::try_from(offset)? {
            Register::Events => {
                let [bits, ..] = value.to_le_bytes();
                self.report(host, bits);
                Ok(LineEffect::Unchanged)
            }
        }
    }

    fn level(&self) -> Level {
        Level::Low
    }

    fn reset(&mut self, _: &mut H) {
        self.state = State;
    }
}

impl Pvpanic {
    /// Makes a panic device.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            state: State,
        }
    }

    /// Passes on what the guest reports. A panic outranks the start of a crash kernel.
    fn report<H: Host>(&self, host: &mut H, bits: u8) {
        let known = self.config.events;
        if bits & !known.bits() != 0 {
            host.guest_error(GuestError::ReservedBits, Register::Events.offset());
        }
        let events = Events::from_bits_truncate(bits).intersection(known);
        if events.contains(Events::PANICKED) {
            host.guest_event(GuestEvent::Panicked);
        } else if events.contains(Events::CRASH_LOADED) {
            host.guest_event(GuestEvent::CrashLoaded);
        }
    }
}
