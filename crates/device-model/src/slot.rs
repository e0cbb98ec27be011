//! A device with its end of the interrupt line: what the embedder puts under one lock.

use crate::{AccessFault, Host, Level, LineState, Model, Received, Wires, access};
use addr::Width;

/// A device and its interrupt line. Every method is one step under the device's lock; the line is
/// driven at the end of it.
#[derive(Clone, Debug)]
pub struct Slot<D> {
    device: D,
    line: LineState,
}

impl<D: Model> Slot<D> {
    /// Makes a slot of a device that has just been created: its line is low.
    pub fn new(device: D) -> Self {
        Self {
            device,
            line: LineState::default(),
        }
    }

    /// Reads `width` at `offset`; the value fits in the width.
    ///
    /// # Errors
    /// [`AccessFault`] if the device's policy says that the guest takes an external abort.
    pub fn read<H: Host>(
        &mut self,
        host: &mut H,
        offset: u64,
        width: Width,
    ) -> Result<u64, AccessFault> {
        access::read(self.device.model(), &mut self.line, host, offset, width)
    }

    /// Writes the low bits of `value` at `offset`.
    ///
    /// # Errors
    /// [`AccessFault`] if the device's policy says that the guest takes an external abort.
    pub fn write<H: Host>(
        &mut self,
        host: &mut H,
        offset: u64,
        width: Width,
        value: u64,
    ) -> Result<(), AccessFault> {
        access::write(
            self.device.model(),
            &mut self.line,
            host,
            offset,
            width,
            value,
        )
    }

    /// Delivers input until the device refuses; returns how many bytes it took.
    #[must_use = "the embedder keeps the bytes that the device did not take"]
    pub fn receive<H: Host>(&mut self, host: &mut H, bytes: &[u8]) -> usize {
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
        let device = self.device.model();
        device.timer_expired(host);
        access::drive(device, &mut self.line, host);
    }

    /// Puts the device into the state after its creation.
    pub fn reset<H: Host>(&mut self, host: &mut H) {
        let device = self.device.model();
        device.reset(host);
        access::drive(device, &mut self.line, host);
    }

    /// Returns the level that was driven last.
    #[must_use]
    pub fn level(&self) -> Level {
        self.line.level()
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
}
