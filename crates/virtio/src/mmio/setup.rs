//! How a driver takes a device into use: status, features, queues (virtio 1.3, 3.1 and 4.2.3).

use super::legacy::LegacyQueue;
use super::registers::Register;
use super::{Version, VirtioMmio};
use crate::bytes::{low_half, with_high_word, with_low_word};
use crate::queue::{Queue, Setup};
use crate::{Features, Status, VirtioDevice};
use device_model::{GuestError, Host};

impl<D: VirtioDevice> VirtioMmio<D> {
    /// Takes half of the features that the driver accepts. What was agreed upon stays (3.1.1).
    pub(super) fn accept_features<H: Host>(&mut self, host: &mut H, value: u32) {
        if self.state.status.contains(Status::FEATURES_OK) {
            host.guest_error(GuestError::Disabled, Register::DriverFeatures.offset());
            return;
        }
        let old = self.state.driver_features.bits();
        let new = match self.state.driver_features_select {
            0 => with_low_word(old, value),
            1 => with_high_word(old, value),
            _ => old,
        };
        let accepted = Features::from_bits_retain(new);
        self.state.driver_features = match self.config.version {
            // There is no way to refuse.
            Version::Legacy => accepted.intersection(self.offered()),
            Version::Modern => accepted,
        };
    }

    /// Takes a new status (2.1, 3.1.1).
    pub(super) fn set_status<H: Host>(&mut self, host: &mut H, value: u32) {
        let [bits, ..] = value.to_le_bytes();
        let old = self.state.status;
        // Only the device itself says that it needs a reset.
        let mut new = Status::from_bits_retain(bits)
            .difference(Status::DEVICE_NEEDS_RESET)
            .union(old.intersection(Status::DEVICE_NEEDS_RESET));
        if bits == 0 {
            self.reset_by_driver(host);
            return;
        }
        if self.config.version == Version::Modern {
            let newly = new.difference(old);
            if newly.contains(Status::FEATURES_OK) && !self.features_are_good() {
                new.remove(Status::FEATURES_OK);
            }
            if newly.contains(Status::DRIVER_OK) && !new.contains(Status::FEATURES_OK) {
                host.guest_error(GuestError::Disabled, Register::Status.offset());
                new.remove(Status::DRIVER_OK);
            }
        }
        self.state.status = new;
        if new.difference(old).contains(Status::DRIVER_OK) {
            self.device.start(self.state.driver_features);
        }
    }

    /// Tells whether the driver accepted only what was offered, and this specification.
    fn features_are_good(&self) -> bool {
        let accepted = self.state.driver_features;
        self.offered().contains(accepted) && accepted.contains(Features::VERSION_1)
    }

    pub(super) fn reset_by_driver<H: Host>(&mut self, host: &mut H) {
        self.state = self.state.after_reset();
        self.reset_queues();
        self.device.reset(host);
    }

    pub(super) fn reset_queues(&mut self) {
        for queue in &mut self.queues {
            queue.reset();
            let size = queue.max();
            if self.config.version == Version::Legacy
                && let Some(setup) = queue.setup_mut()
            {
                // A legacy driver need not choose a size.
                setup.size = size;
            }
        }
        self.legacy.fill(LegacyQueue::default());
    }

    /// Changes what the driver sets of the selected queue, unless it runs.
    pub(super) fn set_up<H: Host>(
        &mut self,
        host: &mut H,
        register: Register,
        change: impl FnOnce(&mut Setup),
    ) {
        match self.selected_mut().and_then(Queue::setup_mut) {
            Some(setup) => change(setup),
            None => host.guest_error(GuestError::Disabled, register.offset()),
        }
    }

    /// Starts or stops the selected queue.
    pub(super) fn start_or_stop<H: Host>(&mut self, host: &mut H, value: u32) {
        let features = self.state.driver_features;
        // A queue's form is not known before the features are.
        let allowed = self.state.status.contains(Status::FEATURES_OK);
        let Some(queue) = self.selected_mut() else {
            host.guest_error(GuestError::Disabled, Register::QueueReady.offset());
            return;
        };
        if value & 1 == 0 {
            queue.stop();
        } else if !queue.is_running() && (!allowed || queue.start(features).is_err()) {
            host.guest_error(GuestError::BadQueue, Register::QueueReady.offset());
        }
    }

    /// Starts or stops the selected queue of the legacy interface.
    pub(super) fn place_legacy_queue<H: Host>(&mut self, host: &mut H, page: u32) {
        let page_size = self.state.guest_page_size;
        let features = self.state.driver_features;
        let Some(legacy) = self.selected_legacy_mut() else {
            host.guest_error(GuestError::Disabled, Register::QueuePfn.offset());
            return;
        };
        legacy.page = page;
        let place = *legacy;
        let Some(queue) = self.selected_mut() else {
            return;
        };
        queue.stop();
        if page == 0 {
            return;
        }
        let size = queue.setup().size;
        let started = place.setup(size, page_size).and_then(|setup| {
            if let Some(old) = queue.setup_mut() {
                *old = setup;
            }
            queue.start(features)
        });
        if started.is_err() {
            if let Some(legacy) = self.selected_legacy_mut() {
                legacy.page = 0;
            }
            host.guest_error(GuestError::BadQueue, Register::QueuePfn.offset());
        }
    }

    /// Takes the driver's notification: no work is done here.
    pub(super) fn notify<H: Host>(&mut self, host: &mut H, value: u32) {
        let live = self.is_live();
        let queue = usize::from(low_half(value));
        match self.queues.get_mut(queue) {
            Some(queue) if live && value <= u32::from(u16::MAX) && queue.is_running() => {
                queue.attend();
            }
            Some(_) | None => {
                host.guest_error(GuestError::Disabled, Register::QueueNotify.offset());
            }
        }
        self.ask_for_work(host);
    }
}
