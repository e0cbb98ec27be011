//! What the transport does.

use super::legacy::LegacyQueue;
use super::registers::{CONFIGURATION, FRAME, MAGIC, Register};
use super::{Interrupts, State, VENDOR, Version};
use crate::bytes::{high_word, low_word, with_high_word, with_low_word};
use crate::device::{ConfigEffect, ConfigWrite, VirtioDevice};
use crate::queue::{Attention, Notification, Queue, QueueError};
use crate::turn::{Turn, Work};
use crate::{Features, Status};
use addr::Width;
use alloc::vec::Vec;
use device_model::{
    AccessPolicy, Backend, BackendChange, Endian, GuestError, Host, Level, LineEffect, MmioDevice,
    NoRegister, Received, Refused, Widths, Wire, Wires,
};

/// What is fixed when the transport is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Which interface the driver finds.
    pub version: Version,
    /// What the rings offer, of [`Features::RINGS`].
    pub rings: Features,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            version: Version::Modern,
            rings: Features::RINGS,
        }
    }
}

/// A device on the memory-mapped transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtioMmio<D> {
    pub(super) config: Config,
    pub(super) state: State,
    pub(super) queues: Vec<Queue>,
    /// What the legacy interface keeps of each queue.
    pub(super) legacy: Vec<LegacyQueue>,
    pub(super) device: D,
}

static POLICY: AccessPolicy = AccessPolicy {
    size: FRAME,
    // The configuration may be accessed with any width, the registers with 32 bits (4.2.2.2).
    valid: Widths::ANY,
    implemented: Widths::ANY,
    endian: Endian::Little,
    bad_width: Refused::Ignored,
    unaligned: Refused::Ignored,
    unknown: Refused::Ignored,
    beyond_end: Refused::Ignored,
};

impl<H: Host, D: VirtioDevice> MmioDevice<H> for VirtioMmio<D> {
    fn access_policy(&self) -> &'static AccessPolicy {
        &POLICY
    }

    fn wires(&self) -> Wires {
        Wires {
            interrupt: Wire::Present,
            bytes: self.device.byte_wire(),
            clock: self.device.clock_wire(),
        }
    }

    fn read(
        &mut self,
        host: &mut H,
        offset: u64,
        width: Width,
    ) -> Result<(u64, LineEffect), NoRegister> {
        let value = match offset.checked_sub(CONFIGURATION) {
            Some(place) => self.read_config(place),
            None => match self.register(host, offset, width)? {
                Some(register) => u64::from(self.read_register(host, register)),
                None => 0,
            },
        };
        Ok((value & width.mask(), LineEffect::Unchanged))
    }

    fn write(
        &mut self,
        host: &mut H,
        offset: u64,
        width: Width,
        value: u64,
    ) -> Result<LineEffect, NoRegister> {
        match offset.checked_sub(CONFIGURATION) {
            Some(place) => self.write_config(host, place, width, value),
            None => {
                if let Some(register) = self.register(host, offset, width)? {
                    self.write_register(host, register, low_word(value));
                }
            }
        }
        Ok(LineEffect::MayHaveChanged)
    }

    fn level(&self) -> Level {
        Level::from(!self.state.interrupts.is_empty())
    }

    fn reset(&mut self, host: &mut H) {
        self.reset_by_driver(host);
        self.state = State::default();
    }

    fn resume(&mut self, host: &mut H) {
        self.device.resume(&mut self.queues, host);
        self.ask_for_work(host);
    }

    fn receive(&mut self, host: &mut H, byte: u8) -> Received {
        if !self.is_live() {
            return Received::Refused;
        }
        let received = self.device.receive(&mut self.queues, byte);
        self.ask_for_work(host);
        received
    }

    fn timer_expired(&mut self, host: &mut H) {
        self.device.timer_expired(&mut self.queues, host);
        self.ask_for_work(host);
    }

    fn work(&mut self, host: &mut H, backend: &mut dyn Backend) {
        if !self.is_live() {
            return;
        }
        match self.take_turn(host, backend) {
            Ok(Notification::Wanted) => self.state.interrupts |= Interrupts::USED_BUFFER,
            Ok(Notification::NotWanted) => {}
            Err(error) => self.give_up(host, error),
        }
        self.ask_for_work(host);
    }

    fn backend_changed(&mut self, host: &mut H, change: BackendChange) {
        match self.device.backend_changed(&mut self.queues, change) {
            ConfigEffect::Unchanged => {}
            ConfigEffect::Changed => self.tell_of_config(),
        }
        self.ask_for_work(host);
    }
}

impl<D: VirtioDevice> VirtioMmio<D> {
    /// Puts a device on a transport. Takes all the memory that its queues will need.
    #[must_use]
    pub fn new(config: Config, device: D) -> Self {
        let queues: Vec<Queue> = device.queue_sizes().map(Queue::new).collect();
        let mut transport = Self {
            config,
            state: State::default(),
            legacy: Vec::from_iter(queues.iter().map(|_| LegacyQueue::default())),
            queues,
            device,
        };
        transport.reset_queues();
        transport
    }

    /// Returns the device, for its state.
    #[must_use]
    pub fn device(&self) -> &D {
        &self.device
    }

    /// Returns what the driver sees change, apart from the queues.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Returns what is fixed.
    #[must_use]
    pub fn config(&self) -> Config {
        self.config
    }

    /// Returns the features that the driver may accept.
    #[must_use]
    pub fn offered(&self) -> Features {
        let rings = self.config.rings.intersection(Features::RINGS);
        let all = self.device.features().union(rings);
        match self.config.version {
            Version::Legacy => all
                .difference(Features::RING_PACKED)
                .union(Features::ANY_LAYOUT)
                .intersection(Features::from_bits_retain(u64::from(u32::MAX))),
            Version::Modern => all.union(Features::VERSION_1),
        }
    }

    /// Tells whether the device may use its queues. A legacy driver may use them before it says that
    /// it is ready (3.1.2).
    pub(super) fn is_live(&self) -> bool {
        let status = self.state.status;
        if status.contains(Status::DEVICE_NEEDS_RESET) {
            return false;
        }
        match self.config.version {
            Version::Legacy => true,
            Version::Modern => status.contains(Status::DRIVER_OK),
        }
    }

    /// Finds a register; `None`, and counted, if it is not accessed with 32 bits.
    fn register<H: Host>(
        &self,
        host: &mut H,
        offset: u64,
        width: Width,
    ) -> Result<Option<Register>, NoRegister> {
        let register = Register::try_from(offset)?;
        let exists = match register {
            Register::GuestPageSize | Register::QueueAlign | Register::QueuePfn => {
                self.config.version == Version::Legacy
            }
            Register::QueueReady
            | Register::QueueDescriptorsLow
            | Register::QueueDescriptorsHigh
            | Register::QueueDriverLow
            | Register::QueueDriverHigh
            | Register::QueueDeviceLow
            | Register::QueueDeviceHigh
            | Register::SharedMemorySelect
            | Register::SharedMemoryLengthLow
            | Register::SharedMemoryLengthHigh
            | Register::SharedMemoryBaseLow
            | Register::SharedMemoryBaseHigh
            | Register::ConfigGeneration => self.config.version == Version::Modern,
            Register::Magic
            | Register::Version
            | Register::DeviceId
            | Register::VendorId
            | Register::DeviceFeatures
            | Register::DeviceFeaturesSelect
            | Register::DriverFeatures
            | Register::DriverFeaturesSelect
            | Register::QueueSelect
            | Register::QueueSizeMax
            | Register::QueueSize
            | Register::QueueNotify
            | Register::InterruptStatus
            | Register::InterruptAcknowledge
            | Register::Status => true,
        };
        if !exists {
            return Err(NoRegister { offset });
        }
        if width != Width::Word {
            host.guest_error(GuestError::BadWidth, offset);
            return Ok(None);
        }
        Ok(Some(register))
    }

    fn read_register<H: Host>(&self, host: &mut H, register: Register) -> u32 {
        match register {
            Register::Magic => MAGIC,
            Register::Version => match self.config.version {
                Version::Legacy => 1,
                Version::Modern => 2,
            },
            Register::DeviceId => self.device.id().0,
            Register::VendorId => VENDOR,
            Register::DeviceFeatures => {
                let offered = self.offered().bits();
                match self.state.device_features_select {
                    0 => low_word(offered),
                    1 => high_word(offered),
                    _ => 0,
                }
            }
            Register::QueueSizeMax => self.selected().map_or(0, |queue| u32::from(queue.max())),
            Register::QueuePfn => self.selected_legacy().map_or(0, |queue| queue.page),
            Register::QueueReady => self
                .selected()
                .map_or(0, |queue| u32::from(queue.is_running())),
            Register::InterruptStatus => self.state.interrupts.bits(),
            Register::Status => u32::from(self.state.status.bits()),
            Register::SharedMemoryLengthLow
            | Register::SharedMemoryLengthHigh
            | Register::SharedMemoryBaseLow
            | Register::SharedMemoryBaseHigh => u32::MAX,
            Register::ConfigGeneration => self.state.config_generation,
            Register::DeviceFeaturesSelect
            | Register::DriverFeatures
            | Register::DriverFeaturesSelect
            | Register::GuestPageSize
            | Register::QueueSelect
            | Register::QueueSize
            | Register::QueueAlign
            | Register::QueueNotify
            | Register::InterruptAcknowledge
            | Register::QueueDescriptorsLow
            | Register::QueueDescriptorsHigh
            | Register::QueueDriverLow
            | Register::QueueDriverHigh
            | Register::QueueDeviceLow
            | Register::QueueDeviceHigh
            | Register::SharedMemorySelect => {
                host.guest_error(GuestError::WriteOnly, register.offset());
                0
            }
        }
    }

    fn write_register<H: Host>(&mut self, host: &mut H, register: Register, value: u32) {
        match register {
            Register::DeviceFeaturesSelect => self.state.device_features_select = value,
            Register::DriverFeaturesSelect => self.state.driver_features_select = value,
            Register::DriverFeatures => self.accept_features(host, value),
            Register::GuestPageSize => self.state.guest_page_size = value,
            Register::QueueSelect => self.state.queue_select = value,
            Register::QueueSize => {
                // A size that does not fit in 16 bits is as wrong as 0.
                let size = u16::try_from(value).unwrap_or(0);
                self.set_up(host, register, |setup| setup.size = size);
            }
            Register::QueueAlign => {
                if let Some(queue) = self.selected_legacy_mut() {
                    queue.align = value;
                }
            }
            Register::QueuePfn => self.place_legacy_queue(host, value),
            Register::QueueReady => self.start_or_stop(host, value),
            Register::QueueNotify => self.notify(host, value),
            Register::InterruptAcknowledge => {
                let done = Interrupts::from_bits_truncate(value);
                self.state.interrupts = self.state.interrupts.difference(done);
            }
            Register::Status => self.set_status(host, value),
            Register::QueueDescriptorsLow => self.set_up(host, register, |setup| {
                setup.descriptors = with_low_word(setup.descriptors, value);
            }),
            Register::QueueDescriptorsHigh => self.set_up(host, register, |setup| {
                setup.descriptors = with_high_word(setup.descriptors, value);
            }),
            Register::QueueDriverLow => self.set_up(host, register, |setup| {
                setup.driver = with_low_word(setup.driver, value);
            }),
            Register::QueueDriverHigh => self.set_up(host, register, |setup| {
                setup.driver = with_high_word(setup.driver, value);
            }),
            Register::QueueDeviceLow => self.set_up(host, register, |setup| {
                setup.device = with_low_word(setup.device, value);
            }),
            Register::QueueDeviceHigh => self.set_up(host, register, |setup| {
                setup.device = with_high_word(setup.device, value);
            }),
            // There is no shared memory, whichever region is meant.
            Register::SharedMemorySelect => {}
            Register::Magic
            | Register::Version
            | Register::DeviceId
            | Register::VendorId
            | Register::DeviceFeatures
            | Register::QueueSizeMax
            | Register::InterruptStatus
            | Register::SharedMemoryLengthLow
            | Register::SharedMemoryLengthHigh
            | Register::SharedMemoryBaseLow
            | Register::SharedMemoryBaseHigh
            | Register::ConfigGeneration => {
                host.guest_error(GuestError::ReadOnly, register.offset());
            }
        }
    }

    pub(super) fn ask_for_work<H: Host>(&self, host: &mut H) {
        let due = |queue: &Queue| queue.attention() == Attention::Due;
        if self.is_live() && self.queues.iter().any(due) {
            host.request_work();
        }
    }

    /// Lets the device work on its queues, then shows the driver what it has done.
    fn take_turn<H: Host>(
        &mut self,
        host: &mut H,
        backend: &mut dyn Backend,
    ) -> Result<Notification, QueueError> {
        let mut turn = Turn::new(
            &mut self.queues,
            Work::new(backend),
            self.state.driver_features,
            usize::from(self.state.turn),
        );
        self.state.turn = self.state.turn.wrapping_add(1);
        self.device.work(&mut turn, host)?;
        turn.publish()
    }

    /// Stops for good: the driver has to reset the device (2.1.2).
    fn give_up<H: Host>(&mut self, host: &mut H, error: QueueError) {
        host.guest_error(GuestError::BadQueue, Register::QueueNotify.offset());
        self.state.status |= Status::DEVICE_NEEDS_RESET;
        self.state.broken = Some(error);
        for queue in &mut self.queues {
            queue.rest();
        }
        self.interrupt_for_config();
    }

    /// Tells the driver that its configuration has changed.
    fn tell_of_config(&mut self) {
        self.state.config_generation = self.state.config_generation.wrapping_add(1);
        self.interrupt_for_config();
    }

    fn interrupt_for_config(&mut self) {
        if !self.state.status.contains(Status::DRIVER_OK) {
            return;
        }
        self.state.interrupts |= match self.config.version {
            // Legacy drivers expect both (4.2.4).
            Version::Legacy => Interrupts::all(),
            Version::Modern => Interrupts::CONFIGURATION,
        };
    }

    fn read_config(&self, offset: u64) -> u64 {
        let mut bytes = [0; 8];
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        self.device.config().read(offset, &mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn write_config<H: Host>(&mut self, host: &mut H, offset: u64, width: Width, value: u64) {
        let bytes = value.to_le_bytes();
        let count = usize::try_from(width.bytes()).unwrap_or(bytes.len());
        let bytes = bytes.get(..count).unwrap_or(&bytes);
        let features = self.state.driver_features;
        match self.device.write_config(host, features, offset, bytes) {
            ConfigWrite::Accepted => {}
            ConfigWrite::Refused => {
                let place = CONFIGURATION.saturating_add(offset);
                host.guest_error(GuestError::ReadOnly, place);
            }
        }
    }

    fn selected_index(&self) -> usize {
        usize::try_from(self.state.queue_select).unwrap_or(usize::MAX)
    }

    fn selected(&self) -> Option<&Queue> {
        self.queues.get(self.selected_index())
    }

    pub(super) fn selected_mut(&mut self) -> Option<&mut Queue> {
        let index = self.selected_index();
        self.queues.get_mut(index)
    }

    fn selected_legacy(&self) -> Option<&LegacyQueue> {
        self.legacy.get(self.selected_index())
    }

    pub(super) fn selected_legacy_mut(&mut self) -> Option<&mut LegacyQueue> {
        let index = self.selected_index();
        self.legacy.get_mut(index)
    }
}
