//! The state of a transport and its queues as it is saved.
//!
//! A chain in work is not saved: it counts as not begun, and what was done of a request is done
//! again. That changes nothing that a driver could see, which does not look at a chain before it
//! comes back.

use super::legacy::LegacyQueue;
use super::{Interrupts, State, VirtioMmio};
use crate::queue::{Attention, Queue, Setup};
use crate::{Features, Status, VirtioDevice};
use alloc::vec::Vec;
use device_model::migrate::{Invalid, Plain, Reader, RestoreError, Wire, Writer};
use device_model::{Migrate, plain_bits};

plain_bits!(Status: u8, Interrupts: u32, Features: u64);

#[derive(Clone, Debug, PartialEq, Eq, Migrate)]
#[migrate(version = 1)]
struct Transport {
    status: Status,
    driver_features: Features,
    device_features_select: u32,
    driver_features_select: u32,
    queue_select: u32,
    interrupts: Interrupts,
    config_generation: u32,
    guest_page_size: u32,
    queues: Vec<SavedQueue>,
}

#[derive(Clone, Debug, PartialEq, Eq, Migrate)]
#[migrate(version = 1)]
struct SavedQueue {
    size: u16,
    descriptors: u64,
    driver: u64,
    device: u64,
    /// The legacy interface's QueueAlign and QueuePFN.
    align: u32,
    page: u32,
    running: bool,
    /// Where the ring stands.
    position: u16,
    /// Whether the driver, or the back end, has said something.
    due: bool,
}

impl<D: VirtioDevice> Migrate for VirtioMmio<D> {
    fn kind(&self) -> &'static str {
        self.device.kind()
    }

    fn save(&self, out: &mut Writer) {
        let state = &self.state;
        let queues = self.queues.iter().zip(&self.legacy);
        let saved = Transport {
            status: state.status,
            driver_features: state.driver_features,
            device_features_select: state.device_features_select,
            driver_features_select: state.driver_features_select,
            queue_select: state.queue_select,
            interrupts: state.interrupts,
            config_generation: state.config_generation,
            guest_page_size: state.guest_page_size,
            queues: queues.map(|(queue, legacy)| save(queue, *legacy)).collect(),
        };
        saved.to_wire().write(out);
        self.device.save(out);
    }

    fn restore(&mut self, input: &mut Reader<'_>) -> Result<(), RestoreError> {
        let saved = Transport::from_wire(Wire::read(input)?).map_err(RestoreError::Invalid)?;
        // Before it is agreed on, a driver may have written anything.
        if saved.status.contains(Status::FEATURES_OK)
            && !self.offered().contains(saved.driver_features)
        {
            let value = saved.driver_features.bits();
            return Err(invalid("driver_features", value));
        }
        if saved.queues.len() != self.queues.len() {
            let count = u64::try_from(saved.queues.len()).unwrap_or(u64::MAX);
            return Err(invalid("queues", count));
        }
        let mut queues = Vec::with_capacity(self.queues.len());
        for (old, new) in self.queues.iter().zip(&saved.queues) {
            queues.push(restore(old.max(), new, saved.driver_features)?);
        }
        // All that is left belongs to the device, which changes nothing if it does not like it.
        self.device.restore(input)?;
        self.queues = queues;
        self.legacy = saved
            .queues
            .iter()
            .map(|queue| LegacyQueue {
                align: queue.align,
                page: queue.page,
            })
            .collect();
        self.state = State {
            status: saved.status,
            driver_features: saved.driver_features,
            device_features_select: saved.device_features_select,
            driver_features_select: saved.driver_features_select,
            queue_select: saved.queue_select,
            interrupts: saved.interrupts,
            config_generation: saved.config_generation,
            guest_page_size: saved.guest_page_size,
            turn: 0,
            broken: None,
        };
        Ok(())
    }
}

fn save(queue: &Queue, legacy: LegacyQueue) -> SavedQueue {
    let setup = queue.setup();
    SavedQueue {
        size: setup.size,
        descriptors: setup.descriptors,
        driver: setup.driver,
        device: setup.device,
        align: legacy.align,
        page: legacy.page,
        running: queue.is_running(),
        position: queue.position(),
        due: queue.attention() == Attention::Due,
    }
}

fn restore(max: u16, saved: &SavedQueue, features: Features) -> Result<Queue, RestoreError> {
    let mut queue = Queue::new(max);
    if let Some(setup) = queue.setup_mut() {
        *setup = Setup {
            size: saved.size,
            descriptors: saved.descriptors,
            driver: saved.driver,
            device: saved.device,
        };
    }
    if saved.running {
        queue
            .start_at(features, saved.position)
            .map_err(|_| invalid("queues", u64::from(saved.position)))?;
    } else if saved.due || saved.position != 0 {
        return Err(invalid("queues", u64::from(saved.position)));
    }
    if saved.due {
        queue.attend();
    }
    Ok(queue)
}

const fn invalid(field: &'static str, value: u64) -> RestoreError {
    RestoreError::Invalid(Invalid::new(field, value))
}
