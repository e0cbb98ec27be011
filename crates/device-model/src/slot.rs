//! A device with its end of the interrupt lines: what the embedder puts under one lock.

use crate::migrate::{Reader, RestoreError, Writer};
use crate::{
    AccessFault, Backend, BackendChange, Effects, GuestError, Host, Level, Levels, LineState,
    Model, Received, Wires, access,
};
use addr::Width;
use core::fmt;

/// A device and its interrupt lines. Every method is one step under the device's lock; the lines
/// are driven at the end of it.
#[derive(Clone, Debug)]
pub struct Slot<D> {
    device: D,
    line: LineState,
    activity: Activity,
}

/// Whether a device works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activity {
    /// It does.
    #[default]
    Running,
    /// Not until it is resumed; its state may be saved and restored.
    Paused,
    /// Never again.
    Halted,
}

/// One of the three phases of a reset, in order; see [`crate::MmioDevice`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetPhase {
    /// The state becomes that after creation.
    Enter,
    /// The lines get their levels.
    Hold,
    /// The device goes to work.
    Exit,
}

impl ResetPhase {
    /// All phases, in order.
    pub const ALL: [Self; 3] = [Self::Enter, Self::Hold, Self::Exit];
}

/// A step that a device cannot take now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongActivity {
    /// What it does instead.
    pub found: Activity,
}

impl fmt::Display for WrongActivity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.found {
            Activity::Running => "the device is running",
            Activity::Paused => "the device is paused",
            Activity::Halted => "the device is halted",
        })
    }
}

impl core::error::Error for WrongActivity {}

impl<D: Model> Slot<D> {
    /// Makes a slot of a device that has just been created: it runs, and its lines are low.
    pub fn new(device: D) -> Self {
        Self {
            device,
            line: LineState::default(),
            activity: Activity::Running,
        }
    }

    /// Reads `width` at `offset`; the value fits in the width.
    ///
    /// # Errors
    /// [`AccessFault`] if the device's policy says that the guest takes an external abort, or the
    /// device is not running.
    #[inline]
    pub fn read<H: Host>(
        &mut self,
        host: &mut H,
        offset: u64,
        width: Width,
    ) -> Result<u64, AccessFault> {
        self.must_run(host, offset, width)?;
        let device = self.device.model();
        device.guest_read(&mut self.line, host, offset, width)
    }

    /// Writes the low bits of `value` at `offset`.
    ///
    /// # Errors
    /// [`AccessFault`] if the device's policy says that the guest takes an external abort, or the
    /// device is not running.
    #[inline]
    pub fn write<H: Host>(
        &mut self,
        host: &mut H,
        offset: u64,
        width: Width,
        value: u64,
    ) -> Result<(), AccessFault> {
        self.must_run(host, offset, width)?;
        let device = self.device.model();
        device.guest_write(&mut self.line, host, offset, width, value)
    }

    /// Delivers input until the device refuses; returns how many bytes it took.
    #[must_use = "the embedder keeps the bytes that the device did not take"]
    pub fn receive<H: Host>(&mut self, host: &mut H, bytes: &[u8]) -> usize {
        if self.activity != Activity::Running {
            return 0;
        }
        let device = self.device.model();
        let accepted = bytes
            .iter()
            .take_while(|byte| device.receive(host, **byte) == Received::Accepted)
            .count();
        access::drive(device, &mut self.line, host);
        accepted
    }

    /// Tells the device that its timer may have expired.
    pub fn timer_expired<H: Host>(&mut self, host: &mut H) {
        if self.activity != Activity::Running {
            // `resume` looks at the time.
            return;
        }
        let device = self.device.model();
        device.timer_expired(host);
        access::drive(device, &mut self.line, host);
    }

    /// Lets the device do a piece of its work. Called after an access that asked for it, without
    /// delay; if this asks again, later.
    pub fn work<H: Host>(&mut self, host: &mut H, backend: &mut dyn Backend) {
        if self.activity != Activity::Running {
            // `resume` asks again.
            return;
        }
        let device = self.device.model();
        device.work(host, backend);
        access::drive(device, &mut self.line, host);
    }

    /// Tells the device that something behind it has changed.
    pub fn backend_changed<H: Host>(&mut self, host: &mut H, change: BackendChange) {
        let device = self.device.model();
        device.backend_changed(host, change);
        access::drive(device, &mut self.line, host);
    }

    /// Lets a back end do something to the device that is not a byte of input, such as pressing a
    /// button.
    pub fn poke<H: Host, R>(
        &mut self,
        host: &mut H,
        change: impl FnOnce(&mut D, &mut H) -> R,
    ) -> R {
        let result = change(&mut self.device, host);
        access::drive(self.device.model::<H>(), &mut self.line, host);
        result
    }

    /// Puts the device into the state after its creation: all phases, for a device alone.
    pub fn reset<H: Host>(&mut self, host: &mut H) {
        for phase in ResetPhase::ALL {
            self.reset_phase(host, phase);
        }
    }

    /// Takes one phase of a reset. A paused device stays paused, a halted one is left alone.
    pub fn reset_phase<H: Host>(&mut self, host: &mut H, phase: ResetPhase) {
        let device = self.device.model();
        match (phase, self.activity) {
            (ResetPhase::Enter, Activity::Running | Activity::Paused) => device.reset(host),
            (ResetPhase::Hold, Activity::Running | Activity::Paused) => {
                access::drive(device, &mut self.line, host);
            }
            (ResetPhase::Exit, Activity::Running) => {
                device.exit_reset(host);
                access::drive(device, &mut self.line, host);
            }
            // What it asked for now would be lost: `resume` asks.
            (ResetPhase::Exit, Activity::Paused)
            | (ResetPhase::Enter | ResetPhase::Hold | ResetPhase::Exit, Activity::Halted) => {}
        }
    }

    /// Stops the device until [`Slot::resume`]. The embedder has stopped the vCPUs.
    ///
    /// # Errors
    /// [`WrongActivity`] if it is not running.
    pub fn pause<H: Host>(&mut self, host: &mut H) -> Result<(), WrongActivity> {
        self.expect(Activity::Running)?;
        self.device.model().pause(host);
        self.activity = Activity::Paused;
        Ok(())
    }

    /// Lets the device go on from its state, which may have been restored.
    ///
    /// # Errors
    /// [`WrongActivity`] if it is not paused.
    pub fn resume<H: Host>(&mut self, host: &mut H) -> Result<(), WrongActivity> {
        self.expect(Activity::Paused)?;
        self.activity = Activity::Running;
        let device = self.device.model();
        device.resume(host);
        access::drive(device, &mut self.line, host);
        Ok(())
    }

    /// Stops the device for good; its back end is free.
    pub fn halt<H: Host>(&mut self, host: &mut H) {
        if self.activity == Activity::Running {
            self.device.model().pause(host);
        }
        self.activity = Activity::Halted;
    }

    /// Appends the state of the paused device.
    ///
    /// # Errors
    /// [`WrongActivity`] if it is not paused.
    pub fn save(&mut self, out: &mut Writer) -> Result<(), WrongActivity> {
        self.expect(Activity::Paused)?;
        self.device.model::<Effects>().save(out);
        Ok(())
    }

    /// Replaces the state of the paused device, if all of `input` is one valid state; otherwise
    /// nothing happens. [`Slot::resume`] then drives the lines.
    ///
    /// # Errors
    /// [`RestoreError`] otherwise.
    pub fn restore(&mut self, input: &[u8]) -> Result<(), RestoreError> {
        self.expect(Activity::Paused)?;
        let mut reader = Reader::new(input);
        self.device.model::<Effects>().restore(&mut reader)
    }

    /// Returns the name of the device's kind, as it stands in a snapshot.
    pub fn kind(&mut self) -> &'static str {
        self.device.model::<Effects>().kind()
    }

    /// Returns whether the device works.
    #[must_use]
    pub fn activity(&self) -> Activity {
        self.activity
    }

    /// Returns the level that was driven last on line 0.
    #[must_use]
    pub fn level(&self) -> Level {
        self.line.level()
    }

    /// Returns the levels that were driven last.
    #[must_use]
    pub fn levels(&self) -> Levels {
        self.line.levels()
    }

    /// Returns which wires the device has.
    #[must_use]
    pub fn wires<H: Host>(&mut self) -> Wires {
        self.device.model::<H>().wires()
    }

    /// Returns the device, for its state.
    #[must_use]
    pub fn device(&self) -> &D {
        &self.device
    }

    fn expect(&self, activity: Activity) -> Result<(), WrongActivity> {
        if self.activity == activity {
            Ok(())
        } else {
            Err(WrongActivity {
                found: self.activity,
            })
        }
    }

    #[inline]
    fn must_run<H: Host>(
        &self,
        host: &mut H,
        offset: u64,
        width: Width,
    ) -> Result<(), AccessFault> {
        if self.activity == Activity::Running {
            return Ok(());
        }
        let error = GuestError::NotRunning;
        host.guest_error(error, offset);
        Err(AccessFault {
            error,
            offset,
            width,
        })
    }
}
