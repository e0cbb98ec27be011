//! What the PL031 does.

use super::registers::{BIT, Register};
use device_model::{
    AccessPolicy, Device, GuestError, Host, Identification, Level, LineEffect, Migrate,
    NANOSECONDS_PER_SECOND, RegisterDevice, Wire, Wires, primecell,
};

/// What is fixed when the device is made: nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Config;

/// What the guest sees change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Migrate)]
#[migrate(version = 1)]
pub struct State {
    /// What the guest's clock is ahead of the time of day, in seconds modulo 2³².
    pub offset: u32,
    /// RTCLR.
    pub load: u32,
    /// RTCMR.
    pub matching: u32,
    /// RTCIMSC, bit 0.
    #[migrate(max = BIT)]
    pub mask: u32,
    /// RTCRIS, bit 0.
    #[migrate(max = BIT)]
    pub raw: u32,
    /// When the clock reaches RTCMR, in nanoseconds of [`Host::wall_clock`], so that it means the
    /// same on another machine; `None` if it has, or if RTCMR was never written.
    pub alarm: Option<u64>,
}

/// A PL031.
#[derive(Clone, Debug, Default, PartialEq, Eq, Device)]
#[device(kind = "pl031")]
pub struct Pl031 {
    config: Config,
    state: State,
}

impl RegisterDevice for Pl031 {
    type Register = Register;
    const POLICY: &'static AccessPolicy = &AccessPolicy::WORD_REGISTERS;
    const WIRES: Wires = Wires {
        interrupt: Wire::Present,
        bytes: Wire::Absent,
        clock: Wire::Present,
    };
    const IDENTIFICATION: Option<&'static Identification> = Some(&primecell(0x31, 1, 0));

    fn read_register<H: Host>(&mut self, host: &mut H, register: Register) -> (u32, LineEffect) {
        let effect = self.catch_up(host);
        (self.value(host, register), effect)
    }

    fn write_register<H: Host>(
        &mut self,
        host: &mut H,
        register: Register,
        value: u32,
    ) -> LineEffect {
        let _ = self.catch_up(host);
        self.set(host, register, value);
        LineEffect::MayHaveChanged
    }

    fn level(&self) -> Level {
        Level::from(self.masked() != 0)
    }

    fn reset<H: Host>(&mut self, host: &mut H) {
        // The time of day survives a reset: the clock has a battery.
        let offset = self.state.offset;
        self.state = State {
            offset,
            ..State::default()
        };
        host.cancel_timer();
    }

    fn timer_expired<H: Host>(&mut self, host: &mut H) {
        let _ = self.catch_up(host);
        // Called too early, or after a pause: ask again.
        self.arm(host);
    }
}

impl Pl031 {
    fn value<H: Host>(&self, host: &mut H, register: Register) -> u32 {
        let state = &self.state;
        match register {
            Register::Data => seconds(host).wrapping_add(state.offset),
            Register::Match => state.matching,
            Register::Load => state.load,
            // The clock always runs.
            Register::Control => BIT,
            Register::InterruptMask => state.mask,
            Register::RawInterrupt => state.raw,
            Register::MaskedInterrupt => self.masked(),
            Register::InterruptClear => {
                host.guest_error(GuestError::WriteOnly, register.offset());
                0
            }
        }
    }

    fn set<H: Host>(&mut self, host: &mut H, register: Register, value: u32) {
        let state = &mut self.state;
        match register {
            Register::Match => {
                state.matching = value;
                self.set_alarm(host);
            }
            Register::Load => {
                state.load = value;
                state.offset = value.wrapping_sub(seconds(host));
                self.set_alarm(host);
            }
            // Once started, the clock cannot be stopped (DDI0224C, 3.3.4).
            Register::Control => {}
            Register::InterruptMask => state.mask = value & BIT,
            Register::InterruptClear => state.raw &= !value,
            Register::Data | Register::RawInterrupt | Register::MaskedInterrupt => {
                host.guest_error(GuestError::ReadOnly, register.offset());
            }
        }
    }

    /// Finds when the clock next equals RTCMR; at once if it does now.
    fn set_alarm<H: Host>(&mut self, host: &mut H) {
        let wall = host.wall_clock();
        let shown = whole_seconds(wall).wrapping_add(self.state.offset);
        let ahead = u64::from(self.state.matching.wrapping_sub(shown));
        if ahead == 0 {
            self.state.raw = BIT;
            self.state.alarm = None;
            host.cancel_timer();
            return;
        }
        let into_second = wall.checked_rem(NANOSECONDS_PER_SECOND).unwrap_or(0);
        let distance = ahead
            .saturating_mul(NANOSECONDS_PER_SECOND)
            .saturating_sub(into_second);
        self.state.alarm = Some(wall.saturating_add(distance));
        self.arm(host);
    }

    /// Asks for a call when the clock reaches RTCMR.
    fn arm<H: Host>(&self, host: &mut H) {
        if let Some(alarm) = self.state.alarm {
            let distance = alarm.saturating_sub(host.wall_clock());
            host.arm_timer(host.now().saturating_add(distance));
        }
    }

    /// Raises the interrupt if the time has come, so that the guest never sees the clock past the
    /// match without it.
    fn catch_up<H: Host>(&mut self, host: &mut H) -> LineEffect {
        let alarm = self.state.alarm;
        if alarm.is_none_or(|alarm| host.wall_clock() < alarm) {
            return LineEffect::Unchanged;
        }
        self.state.alarm = None;
        self.state.raw = BIT;
        LineEffect::MayHaveChanged
    }

    const fn masked(&self) -> u32 {
        self.state.raw & self.state.mask
    }
}

fn seconds<H: Host>(host: &H) -> u32 {
    whole_seconds(host.wall_clock())
}

/// Returns the whole seconds modulo 2³².
fn whole_seconds(nanoseconds: u64) -> u32 {
    let seconds = nanoseconds.checked_div(NANOSECONDS_PER_SECOND).unwrap_or(0);
    let [b0, b1, b2, b3, ..] = seconds.to_le_bytes();
    u32::from_le_bytes([b0, b1, b2, b3])
}
