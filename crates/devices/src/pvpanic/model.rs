//! What the panic device does.

use super::registers::{Events, Register};
use device_model::{
    AccessPolicy, Device, GuestError, GuestEvent, Host, Level, LineEffect, Migrate, Refused,
    RegisterDevice, Widths, Wire, Wires,
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Migrate)]
#[migrate(version = 1)]
pub struct State;

/// A panic device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Device)]
#[device(kind = "pvpanic")]
pub struct Pvpanic {
    config: Config,
    state: State,
}

impl RegisterDevice for Pvpanic {
    type Register = Register;
    const POLICY: &'static AccessPolicy = &AccessPolicy {
        // The device tree binding gives it two bytes; the second is no register.
        size: 2,
        valid: Widths::BYTE,
        implemented: Widths::BYTE,
        // A kernel that panics gets no abort on top.
        bad_width: Refused::Ignored,
        unaligned: Refused::Ignored,
        beyond_end: Refused::Ignored,
        ..AccessPolicy::WORD_REGISTERS
    };
    const WIRES: Wires = Wires {
        interrupt: Wire::Absent,
        bytes: Wire::Absent,
        clock: Wire::Absent,
    };

    fn read_register<H: Host>(&mut self, _: &mut H, register: Register) -> (u32, LineEffect) {
        match register {
            Register::Events => (u32::from(self.config.events.bits()), LineEffect::Unchanged),
        }
    }

    fn write_register<H: Host>(
        &mut self,
        host: &mut H,
        register: Register,
        value: u32,
    ) -> LineEffect {
        match register {
            Register::Events => {
                let [bits, ..] = value.to_le_bytes();
                self.report(host, bits);
                LineEffect::Unchanged
            }
        }
    }

    fn level(&self) -> Level {
        Level::Low
    }

    fn reset<H: Host>(&mut self, _: &mut H) {
        self.state = State;
    }
}

impl Pvpanic {
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
