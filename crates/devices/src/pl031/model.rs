//! What the PL031 does.

use super::registers::{BIT, Register};
use addr::Width;
use device_model::{
    AccessPolicy, GuestError, Host, Level, LineEffect, MmioDevice, NANOSECONDS_PER_SECOND,
    NoRegister, Refused, Widths, Wire, Wires,
};

/// What is fixed when the device is made: nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Config;

/// What the guest sees change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// What the guest's clock is ahead of the time of day, in seconds modulo 2³².
    pub offset: u32,
    /// RTCLR.
    pub load: u32,
    /// RTCMR.
    pub matching: u32,
    /// RTCIMSC, bit 0.
    pub mask: u32,
    /// RTCRIS, bit 0.
    pub raw: u32,
    /// When the clock reaches RTCMR, in nanoseconds of [`Host::now`]; `None` if it has, or if
    /// RTCMR was never written.
    pub alarm: Option<u64>,
}

/// A PL031.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pl031 {
    config: Config,
    state: State,
}

static POLICY: AccessPolicy = AccessPolicy {
    size: 0x1000,
    valid: Widths::UP_TO_WORD,
    implemented: Widths::WORD,
    bad_width: Refused::Fault,
    unaligned: Refused::Fault,
    unknown: Refused::Ignored,
    beyond_end: Refused::Fault,
};

impl<H: Host> MmioDevice<H> for Pl031 {
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
        _: Width,
    ) -> Result<(u64, LineEffect), NoRegister> {
        let register = Register::try_from(offset)?;
        self.catch_up(host);
        let value = self.read_register(host, register);
        Ok((u64::from(value), LineEffect::MayHaveChanged))
    }

    fn write(
        &mut self,
        host: &mut H,
        offset: u64,
        _: Width,
        value: u64,
    ) -> Result<LineEffect, NoRegister> {
        let register = Register::try_from(offset)?;
        self.catch_up(host);
        let [b0, b1, b2, b3, ..] = value.to_le_bytes();
        self.write_register(host, register, u32::from_le_bytes([b0, b1, b2, b3]));
        Ok(LineEffect::MayHaveChanged)
    }

    fn level(&self) -> Level {
        Level::from(self.masked() != 0)
    }

    fn reset(&mut self, host: &mut H) {
        // The time of day survives a reset: the clock has a battery.
        let offset = self.state.offset;
        self.state = State {
            offset,
            ..State::default()
        };
        host.cancel_timer();
    }

    fn timer_expired(&mut self, host: &mut H) {
        self.catch_up(host);
        if let Some(alarm) = self.state.alarm {
            // Called too early: ask again.
            host.arm_timer(alarm);
        }
    }
}

impl Pl031 {
    /// Makes a PL031 that shows the time of day.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            state: State::default(),
        }
    }

    /// Returns the state, for comparison and inspection.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Returns what is fixed.
    #[must_use]
    pub fn config(&self) -> Config {
        self.config
    }

    fn read_register<H: Host>(&self, host: &mut H, register: Register) -> u32 {
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
            Register::PeripheralId0 => 0x31,
            Register::PeripheralId1 => 0x10,
            Register::PeripheralId2 => 0x14,
            Register::PeripheralId3 => 0x00,
            Register::CellId0 => 0x0d,
            Register::CellId1 => 0xf0,
            Register::CellId2 => 0x05,
            Register::CellId3 => 0xb1,
        }
    }

    fn write_register<H: Host>(&mut self, host: &mut H, register: Register, value: u32) {
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
            Register::Data
            | Register::RawInterrupt
            | Register::MaskedInterrupt
            | Register::PeripheralId0
            | Register::PeripheralId1
            | Register::PeripheralId2
            | Register::PeripheralId3
            | Register::CellId0
            | Register::CellId1
            | Register::CellId2
            | Register::CellId3 => host.guest_error(GuestError::ReadOnly, register.offset()),
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
        let alarm = host.now().saturating_add(distance);
        self.state.alarm = Some(alarm);
        host.arm_timer(alarm);
    }

    /// Raises the interrupt if the time has come, so that the guest never sees the clock past the
    /// match without it.
    fn catch_up<H: Host>(&mut self, host: &mut H) {
        if self.state.alarm.is_some_and(|alarm| host.now() >= alarm) {
            self.state.alarm = None;
            self.state.raw = BIT;
        }
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
