//! The timers of devices, and the time of day.
//!
//! The CPU on which a device asked for its timer keeps the deadline. If the device asks again on
//! another CPU, or takes its wish back there, the first CPU keeps a deadline that is out of date.
//! That does no harm: a device is told that its timer *may* have expired, and looks for itself.

use crate::cpu::Cpu;
use crate::shared::Hypervisor;
use addr::VmId;
use alloc::vec::Vec;
use bulkhead_core::vm_state::VmState;
use device_model::{Effects, Host, NANOSECONDS_PER_SECOND, TimeBase, TimerRequest};
use machine::{Clock, Hardware};

/// Computes the time of day when the counter was 0, in nanoseconds since 1970, from what a clock
/// shows now, in seconds since 1970. Saturates at 1970.
#[must_use]
pub fn epoch(clock: &impl Clock, seconds: u32) -> u64 {
    let base = TimeBase {
        frequency: clock.frequency(),
        epoch: 0,
    };
    u64::from(seconds)
        .saturating_mul(NANOSECONDS_PER_SECOND)
        .saturating_sub(base.nanoseconds(clock.now()))
}

/// When one device wants to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Armed {
    vm: VmId,
    /// The device's place in its VM.
    place: usize,
    /// In ticks.
    at: u64,
    purpose: Purpose,
}

/// What for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// Its timer.
    Timer,
    /// To go on with its work.
    Work,
}

/// The deadlines of one CPU: at most one of each purpose for each device of the machine.
pub(crate) struct DeviceTimers {
    armed: Vec<Armed>,
    /// How many there can be. Room for as many is taken at boot.
    capacity: usize,
}

impl DeviceTimers {
    /// Makes room for the devices of all VMs.
    pub(crate) fn new(hypervisor: &Hypervisor) -> Self {
        let devices: usize = hypervisor.vms.iter().map(|vm| vm.devices.len()).sum();
        let capacity = devices.saturating_mul(2);
        Self {
            armed: Vec::with_capacity(capacity),
            capacity,
        }
    }

    /// Returns the first deadline, in ticks.
    pub(crate) fn earliest(&self) -> Option<u64> {
        self.armed.iter().map(|armed| armed.at).min()
    }

    /// Sets when a device goes on with its work, in ticks.
    pub(crate) fn set_work(&mut self, vm: VmId, place: usize, at: u64) {
        self.set(vm, place, Purpose::Work, Some(at));
    }

    /// Sets a deadline of a device, in ticks, or takes it away.
    fn set(&mut self, vm: VmId, place: usize, purpose: Purpose, at: Option<u64>) {
        self.armed
            .retain(|armed| (armed.vm, armed.place, armed.purpose) != (vm, place, purpose));
        if let Some(at) = at
            && self.armed.len() < self.capacity
        {
            self.armed.push(Armed {
                vm,
                place,
                at,
                purpose,
            });
        }
    }

    /// Takes out a deadline that has come.
    fn take_due(&mut self, now: u64) -> Option<Armed> {
        let due = self.armed.iter().position(|armed| armed.at <= now)?;
        Some(self.armed.swap_remove(due))
    }
}

impl Cpu {
    /// Keeps what a device has asked of its timer; the caller arms EL2's.
    pub(crate) fn note_device_timer(&mut self, vm: VmId, place: usize, request: TimerRequest) {
        let at = match request {
            TimerRequest::Arm(nanoseconds) => Some(self.hypervisor.time_base.ticks(nanoseconds)),
            TimerRequest::Cancel => None,
        };
        self.device_timers.set(vm, place, Purpose::Timer, at);
    }

    /// Tells the devices whose time has come.
    pub(crate) fn expire_device_timers<H: Hardware>(&mut self, hw: &mut H, now: u64) {
        // A device that asks for a time in the past waits for the next call.
        for _ in 0..self.device_timers.capacity {
            let Some(due) = self.device_timers.take_due(now) else {
                return;
            };
            self.expire_device_timer(hw, due);
        }
    }

    fn expire_device_timer<H: Hardware>(&mut self, hw: &mut H, due: Armed) {
        let hypervisor = self.hypervisor;
        let Some(vm) = hypervisor.vm(due.vm) else {
            return;
        };
        // The devices of a VM that ends are reset before it runs again.
        if !vm.life.is(VmState::Running) {
            return;
        }
        let Some(attached) = vm.devices.get(due.place) else {
            return;
        };
        let mut effects = Effects::new(hypervisor.moment(hw));
        match due.purpose {
            Purpose::Timer => {
                attached.slot.lock().timer_expired(&mut effects);
                self.settle(hw, vm, due.place, &effects);
            }
            Purpose::Work => effects.request_work(),
        }
        self.work(hw, vm, due.place, &effects);
    }
}
