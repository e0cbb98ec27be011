//! What the HPET does.

use super::clock::Anchor;
use super::registers::{Capabilities, GeneralConfig, Location, TimerRegister};
use super::timer::{MAX_TIMERS, Match, RouteChoice, Timer};
use addr::Width;
use device_model::migrate::Invalid;
use device_model::{
    AccessPolicy, Device, GuestError, Host, Level, Levels, LineEffect, Migrate, MmioDevice, Model,
    NoRegister, Properties, Signal, Widths, Wire, Wires,
};

/// The I/O APIC's inputs of timers 0 and 1 under legacy replacement (2.3.5).
pub const LEGACY_LINES: [u8; 2] = [2, 8];

/// How far apart calls of the timer are at least, in nanoseconds: a guest that asks for a period of
/// one tick must not keep the host busy.
pub const MIN_INTERVAL: u64 = 10_000;

/// What is fixed when the device is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Properties)]
pub struct Config {
    /// How many timers there are.
    #[property(min = 3, max = 32)]
    pub timers: u8,
    /// How long a tick of the main counter is, in femtoseconds.
    #[property(min = 1_000_000, max = 100_000_000)]
    pub period: u32,
    /// The I/O APIC's inputs that timers may use, one bit each.
    pub routes: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            timers: 3,
            period: 10_000_000,
            routes: 0x00ff_0104,
        }
    }
}

/// What the guest sees change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Migrate)]
#[migrate(version = 1)]
pub struct State {
    /// GEN_CONF.
    pub config: GeneralConfig,
    /// GINTR_STA: the timers whose level is asserted.
    pub status: u32,
    /// The main counter when it was looked at last: what lies before has had its effect.
    pub counter: u64,
    /// The timers; those behind the last are as after reset.
    pub timers: [Timer; MAX_TIMERS],
}

/// An HPET.
#[derive(Clone, Debug, Default, PartialEq, Eq, Device)]
#[device(kind = "hpet", check = check)]
pub struct Hpet {
    config: Config,
    state: State,
    /// Ties the counter to time while it runs. Set anew after a pause, in which time stands still.
    anchor: Option<Anchor>,
}

/// Checks what is restored against the configuration.
fn check(config: &Config, state: &State) -> Result<(), Invalid> {
    let count = usize::from(config.timers);
    for (index, timer) in state.timers.iter().enumerate() {
        if index >= count && *timer != Timer::default() {
            return Err(Invalid::new("timers", u64::try_from(index).unwrap_or(0)));
        }
        let route = timer.config.route();
        if route != 0 && (config.routes >> route) & 1 == 0 {
            return Err(Invalid::new("route", u64::from(route)));
        }
    }
    Ok(())
}

static POLICY: AccessPolicy = AccessPolicy {
    valid: Widths::WORD.with(Width::Double),
    implemented: Widths::WORD.with(Width::Double),
    ..AccessPolicy::WORD_REGISTERS
};

impl Model for Hpet {
    fn model<H: Host>(&mut self) -> &mut dyn MmioDevice<H> {
        self
    }
}

impl<H: Host> MmioDevice<H> for Hpet {
    fn access_policy(&self) -> &'static AccessPolicy {
        &POLICY
    }

    fn wires(&self) -> Wires {
        Wires {
            interrupt: Wire::Present,
            bytes: Wire::Absent,
            clock: Wire::Present,
        }
    }

    fn read(
        &mut self,
        host: &mut H,
        offset: u64,
        width: Width,
    ) -> Result<(u64, LineEffect), NoRegister> {
        let (location, shift) = self.locate(offset)?;
        self.catch_up(host);
        let value = self.value(location) >> shift;
        Ok((value & width.mask(), LineEffect::MayHaveChanged))
    }

    fn write(
        &mut self,
        host: &mut H,
        offset: u64,
        width: Width,
        value: u64,
    ) -> Result<LineEffect, NoRegister> {
        let (location, shift) = self.locate(offset)?;
        self.catch_up(host);
        self.set(host, location, value << shift, width.mask() << shift);
        self.arm(host);
        Ok(LineEffect::MayHaveChanged)
    }

    fn level(&self) -> Level {
        Level::from(MmioDevice::<H>::levels(self).0 != 0)
    }

    fn levels(&self) -> Levels {
        if !self.state.config.enabled() {
            return Levels(0);
        }
        let asserted = |(index, timer): (usize, &Timer)| {
            let config = timer.config;
            let set = config.level() && config.enabled() && !config.fsb();
            let line = if set && self.state.status & bit(index) != 0 {
                1_u32.checked_shl(u32::from(self.line(index, timer)))
            } else {
                None
            };
            line.unwrap_or(0)
        };
        let timers = self.state.timers.iter().enumerate();
        Levels(timers.map(asserted).fold(0, |all, line| all | line))
    }

    fn reset(&mut self, host: &mut H) {
        self.state = State::default();
        self.anchor = None;
        host.cancel_timer();
    }

    fn pause(&mut self, host: &mut H) {
        self.catch_up(host);
        self.anchor = None;
        host.cancel_timer();
    }

    fn resume(&mut self, host: &mut H) {
        self.run(host);
        self.arm(host);
    }

    fn timer_expired(&mut self, host: &mut H) {
        self.catch_up(host);
        self.arm(host);
    }
}

impl Hpet {
    /// Returns what is at an offset, and by how many bits it lies below.
    fn locate(&self, offset: u64) -> Result<(Location, u32), NoRegister> {
        let location = Location::try_from(offset & !7).map_err(|_| NoRegister { offset })?;
        if let Location::Timer(index, _) = location
            && index >= usize::from(self.config.timers)
        {
            return Err(NoRegister { offset });
        }
        let shift = if offset & 4 == 0 { 0 } else { 32 };
        Ok((location, shift))
    }

    fn value(&self, location: Location) -> u64 {
        let state = &self.state;
        match location {
            Location::Capabilities => Capabilities::default()
                .with_revision(1)
                .with_last_timer(self.config.timers.saturating_sub(1))
                .with_wide(true)
                .with_legacy(true)
                .with_vendor(0x8086)
                .with_period(self.config.period)
                .bits(),
            Location::Config => state.config.bits(),
            Location::Status => u64::from(state.status),
            Location::Counter => state.counter,
            Location::Timer(index, register) => {
                let Some(timer) = state.timers.get(index) else {
                    return 0;
                };
                match register {
                    TimerRegister::Config => timer.config_register(self.config.routes),
                    TimerRegister::Comparator => timer.comparator,
                    TimerRegister::FsbRoute => timer.fsb,
                }
            }
        }
    }

    /// Writes the bits `mask` of a register.
    fn set<H: Host>(&mut self, host: &mut H, location: Location, value: u64, mask: u64) {
        let merged = (self.value(location) & !mask) | (value & mask);
        let state = &mut self.state;
        match location {
            Location::Capabilities => host.guest_error(GuestError::ReadOnly, 0),
            Location::Config => {
                state.config = GeneralConfig::from_bits_truncate(merged);
                self.run(host);
            }
            Location::Status => {
                let [b0, b1, b2, b3, ..] = (value & mask).to_le_bytes();
                state.status &= !u32::from_le_bytes([b0, b1, b2, b3]);
            }
            Location::Counter => {
                if state.config.enabled() {
                    // Only while it is halted (2.3.7).
                    host.guest_error(GuestError::ReadOnly, 0xf0);
                } else {
                    state.counter = merged;
                }
            }
            Location::Timer(index, register) => {
                let Some(timer) = state.timers.get_mut(index) else {
                    return;
                };
                match register {
                    TimerRegister::Config => match timer.set_config(merged, self.config.routes) {
                        RouteChoice::Possible => {}
                        RouteChoice::Impossible => {
                            host.guest_error(GuestError::Unimplemented, 0x100);
                        }
                    },
                    TimerRegister::Comparator => timer.set_comparator(value, mask),
                    TimerRegister::FsbRoute => timer.fsb = merged,
                }
            }
        }
    }

    /// Lets the counter run from its value now, or halts it.
    fn run<H: Host>(&mut self, host: &H) {
        if !self.state.config.enabled() {
            self.anchor = None;
        } else if self.anchor.is_none() {
            self.anchor = Some(Anchor {
                now: host.now(),
                value: self.state.counter,
            });
        }
    }

    /// Brings the counter to now, and lets the timers interrupt whose time has come: each once.
    fn catch_up<H: Host>(&mut self, host: &mut H) {
        let Some(anchor) = self.anchor else {
            return;
        };
        let before = self.state.counter;
        let now = anchor.value_at(host.now(), self.config.period);
        let passed = now.wrapping_sub(before);
        if passed == 0 {
            return;
        }
        self.state.counter = now;
        for index in 0..usize::from(self.config.timers) {
            let Some(timer) = self.state.timers.get_mut(index) else {
                return;
            };
            match timer.advance(before, passed) {
                Match::Reached => self.interrupt(host, index),
                Match::NotYet => {}
            }
        }
    }

    fn interrupt<H: Host>(&mut self, host: &mut H, index: usize) {
        let Some(timer) = self.state.timers.get(index) else {
            return;
        };
        let config = timer.config;
        if config.fsb() {
            if config.enabled() {
                let [d0, d1, d2, d3, ..] = timer.fsb.to_le_bytes();
                host.signal(Signal::Message {
                    address: timer.fsb >> 32,
                    data: u32::from_le_bytes([d0, d1, d2, d3]),
                });
            }
        } else if config.level() {
            // The status is set whether it interrupts or not.
            self.state.status |= bit(index);
        } else if config.enabled() {
            host.signal(Signal::Pulse(self.line(index, timer)));
        }
    }

    /// Returns the I/O APIC's input of a timer.
    fn line(&self, index: usize, timer: &Timer) -> u8 {
        let legacy = LEGACY_LINES
            .get(index)
            .filter(|_| self.state.config.legacy());
        legacy.copied().unwrap_or(timer.config.route())
    }

    /// Asks for a call when the next timer interrupts.
    fn arm<H: Host>(&self, host: &mut H) {
        let enabled = self.state.timers.iter().filter(|t| t.config.enabled());
        let next = enabled
            .map(|timer| timer.distance(self.state.counter))
            .min();
        match (self.anchor, next) {
            (Some(anchor), Some(distance)) => {
                let time = anchor.time_of(self.state.counter, distance, self.config.period);
                host.arm_timer(time.max(host.now().saturating_add(MIN_INTERVAL)));
            }
            (None, _) | (Some(_), None) => host.cancel_timer(),
        }
    }
}

/// Returns the bit of a timer in GINTR_STA.
fn bit(index: usize) -> u32 {
    u32::try_from(index)
        .ok()
        .and_then(|index| 1_u32.checked_shl(index))
        .unwrap_or(0)
}
