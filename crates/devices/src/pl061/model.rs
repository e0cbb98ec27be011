//! What the PL061 does.

use super::registers::{Location, Register};
use device_model::{
    AccessPolicy, Device, GuestError, Host, Identification, Level, LineEffect, Migrate, Properties,
    RegisterDevice, Wire, Wires, primecell,
};

/// How long [`Pl061::press`] holds the key, in nanoseconds: long enough for any debouncing.
pub const PRESS: u64 = 100_000_000;

/// What is fixed when the device is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Properties)]
pub struct Config {
    /// The pin that the key pulls up.
    #[property(min = 0, max = 7)]
    pub key: u8,
}

impl Default for Config {
    fn default() -> Self {
        // As QEMU's `virt` machine has its power button.
        Self { key: 3 }
    }
}

/// What the guest sees change. Bit n is about pin n.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Migrate)]
#[migrate(version = 1)]
pub struct State {
    /// The levels that the outside drives.
    pub inputs: u8,
    /// What was written to GPIODATA while the pin was an output.
    pub outputs: u8,
    /// GPIODIR.
    pub direction: u8,
    /// GPIOIS.
    pub sense: u8,
    /// GPIOIBE.
    pub both_edges: u8,
    /// GPIOIEV.
    pub event: u8,
    /// GPIOIE.
    pub mask: u8,
    /// The edges that were seen and not cleared.
    pub edges: u8,
    /// GPIOAFSEL.
    pub hardware_control: u8,
    /// Whether the key is down.
    pub pressed: bool,
}

/// A PL061.
#[derive(Clone, Debug, Default, PartialEq, Eq, Device)]
#[device(kind = "pl061")]
pub struct Pl061 {
    config: Config,
    state: State,
    /// When the key goes up, in nanoseconds of [`Host::now`]. Begins anew after a pause.
    release: Option<u64>,
}

impl RegisterDevice for Pl061 {
    type Register = Location;
    const POLICY: &'static AccessPolicy = &AccessPolicy::WORD_REGISTERS;
    const WIRES: Wires = Wires {
        interrupt: Wire::Present,
        bytes: Wire::Absent,
        clock: Wire::Present,
    };
    const IDENTIFICATION: Option<&'static Identification> = Some(&primecell(0x61, 0, 0));

    fn read_register<H: Host>(&mut self, host: &mut H, location: Location) -> (u32, LineEffect) {
        let value = match location {
            Location::Data { pins } => self.state.levels() & pins,
            Location::Register(register) => self.value(host, register),
        };
        (u32::from(value), LineEffect::Unchanged)
    }

    fn write_register<H: Host>(
        &mut self,
        host: &mut H,
        location: Location,
        value: u32,
    ) -> LineEffect {
        // Each register has one bit a pin.
        let [value, ..] = value.to_le_bytes();
        let state = &mut self.state;
        match location {
            Location::Data { pins } => {
                let written = pins & state.direction;
                state.outputs = (state.outputs & !written) | (value & written);
            }
            Location::Register(register) => self.set(host, register, value),
        }
        LineEffect::MayHaveChanged
    }

    fn level(&self) -> Level {
        Level::from(self.state.raw() & self.state.mask != 0)
    }

    fn reset<H: Host>(&mut self, host: &mut H) {
        // What the outside drives stays; a key that is down is let go.
        let inputs = self.state.inputs & !self.key();
        self.state = State {
            inputs,
            ..State::default()
        };
        self.release = None;
        host.cancel_timer();
    }

    fn resume<H: Host>(&mut self, host: &mut H) {
        if self.state.pressed {
            self.hold_key(host);
        }
    }

    fn timer_expired<H: Host>(&mut self, host: &mut H) {
        match self.release {
            Some(release) if host.now() >= release => {
                self.release = None;
                self.state.pressed = false;
                self.drive(self.key(), Level::Low);
            }
            // Called too early: ask again.
            Some(release) => host.arm_timer(release),
            None => {}
        }
    }
}

impl Pl061 {
    /// Presses the key; it goes up by itself after [`PRESS`]. Pressing it again meanwhile begins
    /// that time anew.
    pub fn press<H: Host>(&mut self, host: &mut H) {
        self.state.pressed = true;
        self.drive(self.key(), Level::High);
        self.hold_key(host);
    }

    /// Drives a pin from outside; pins above 7 do not exist. To be called through
    /// [`device_model::Slot::poke`], which brings the interrupt to where it belongs.
    pub fn set_input(&mut self, pin: u8, level: Level) {
        self.drive(bit(pin), level);
    }

    fn hold_key<H: Host>(&mut self, host: &mut H) {
        let release = host.now().saturating_add(PRESS);
        self.release = Some(release);
        host.arm_timer(release);
    }

    fn key(&self) -> u8 {
        bit(self.config.key)
    }

    /// Drives the pins of a mask, and notes the edges that the guest wants to know of.
    fn drive(&mut self, pins: u8, level: Level) {
        let state = &mut self.state;
        let before = state.inputs;
        state.inputs = match level {
            Level::High => before | pins,
            Level::Low => before & !pins,
        };
        let changed = (before ^ state.inputs) & !state.direction & !state.sense;
        let rising = changed & state.inputs;
        let wanted = state.both_edges | (rising & state.event) | (!rising & !state.event);
        state.edges |= changed & wanted;
    }

    fn value<H: Host>(&self, host: &mut H, register: Register) -> u8 {
        let state = &self.state;
        match register {
            Register::Direction => state.direction,
            Register::Sense => state.sense,
            Register::BothEdges => state.both_edges,
            Register::Event => state.event,
            Register::InterruptMask => state.mask,
            Register::RawInterrupts => state.raw(),
            Register::MaskedInterrupts => state.raw() & state.mask,
            Register::InterruptClear => {
                host.guest_error(GuestError::WriteOnly, register.offset());
                0
            }
            Register::HardwareControl => state.hardware_control,
        }
    }

    fn set<H: Host>(&mut self, host: &mut H, register: Register, value: u8) {
        let state = &mut self.state;
        match register {
            Register::Direction => state.direction = value,
            Register::Sense => state.sense = value,
            Register::BothEdges => state.both_edges = value,
            Register::Event => state.event = value,
            Register::InterruptMask => state.mask = value,
            Register::InterruptClear => state.edges &= !value,
            Register::HardwareControl => {
                state.hardware_control = value;
                if value != 0 {
                    host.guest_error(GuestError::Unimplemented, register.offset());
                }
            }
            Register::RawInterrupts | Register::MaskedInterrupts => {
                host.guest_error(GuestError::ReadOnly, register.offset());
            }
        }
    }
}

impl State {
    /// Returns the levels of the pins.
    const fn levels(&self) -> u8 {
        (self.outputs & self.direction) | (self.inputs & !self.direction)
    }

    /// Returns GPIORIS: edges are kept until they are cleared, levels last as long as they do
    /// (DDI0190B, 3.3.6 to 3.3.8).
    const fn raw(&self) -> u8 {
        let at_level = !(self.levels() ^ self.event);
        (self.edges & !self.sense) | (at_level & self.sense)
    }
}

/// Returns the bit of a pin; 0 if there is no such pin.
const fn bit(pin: u8) -> u8 {
    if pin < 8 { 1 << pin } else { 0 }
}
