//! Accesses to devices: the GIC's frames and everything on the VM's bus.

use crate::cpu::{Cpu, Intent};
use crate::interrupt::deactivate_all;
use crate::shared::Hypervisor;
use crate::stop::{Cause, PanicSign};
use crate::vcpu::Vcpu;
use crate::vm::{Remote, RemoteAccess, Target, Vm};
use addr::{Ipa, VcpuIndex};
use bulkhead_core::Post;
use device_model::{Effects, GuestEvent, InputRoom, Moment};
use machine::{Frame, Hardware};
use trap::{Direction, MmioAccess};
use vgic::{DistributorRead, PrivateDelivery};

/// What came of an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is done: step over the instruction.
    Complete,
    /// The guest executes it again; the answer comes from another CPU.
    Again,
}

/// What a guest reported through a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// Nothing that matters to the hypervisor.
    Nothing,
    /// Its kernel has panicked.
    Panicked,
}

impl Cpu {
    /// Carries out a load or store that stage 2 refused; `None` if no device answers.
    #[inline]
    pub(crate) fn device_access<H: Hardware>(
        &mut self,
        hw: &mut H,
        frame: &mut Frame,
        ipa: Ipa,
        access: MmioAccess,
    ) -> Option<Outcome> {
        let vcpu = self.current.as_ref()?;
        let hit = vcpu.vm.bus.lookup(ipa, access.width).ok()?;
        match hit.target {
            Target::Distributor => self.distributor(hw, frame, hit.offset, access),
            Target::Redistributors => self.redistributor(hw, frame, hit.offset, access),
            Target::Device(place) => self.device(hw, frame, place, hit.offset, access),
        }
    }

    /// Carries out a load or store of a device on the VM's bus; `None` if none answers, or it is the
    /// interrupt controller.
    #[inline]
    pub(crate) fn board_access<H: Hardware>(
        &mut self,
        hw: &mut H,
        frame: &mut Frame,
        ipa: Ipa,
        access: MmioAccess,
    ) -> Option<()> {
        let vcpu = self.current.as_ref()?;
        let hit = vcpu.vm.bus.lookup(ipa, access.width).ok()?;
        match hit.target {
            Target::Device(place) => self
                .device(hw, frame, place, hit.offset, access)
                .map(|_| ()),
            Target::Distributor | Target::Redistributors => None,
        }
    }

    #[inline]
    fn distributor<H: Hardware>(
        &mut self,
        hw: &mut H,
        frame: &mut Frame,
        offset: u64,
        access: MmioAccess,
    ) -> Option<Outcome> {
        let vcpu = self.current.as_mut()?;
        let interrupts = &mut vcpu.interrupts;
        match access.direction {
            Direction::Read => {
                let read = {
                    let distributor = &mut vcpu.vm.gic.lock().distributor;
                    interrupts.read_distributor(distributor, offset, access.width, hw)
                };
                match read {
                    DistributorRead::Value(value) => {
                        frame.set_operand(access.register, access.loaded_value(value));
                        Some(Outcome::Complete)
                    }
                    DistributorRead::Again(effects) => {
                        self.hypervisor.apply(hw, &vcpu.vm, &effects);
                        Some(Outcome::Again)
                    }
                }
            }
            Direction::Write => {
                let value = access.stored_value(frame.operand(access.register));
                let effects = {
                    let distributor = &mut vcpu.vm.gic.lock().distributor;
                    interrupts.write_distributor(distributor, offset, access.width, value, hw)
                };
                self.hypervisor.apply(hw, &vcpu.vm, &effects);
                Some(Outcome::Complete)
            }
        }
    }

    #[inline]
    fn redistributor<H: Hardware>(
        &mut self,
        hw: &mut H,
        frame: &mut Frame,
        offset: u64,
        access: MmioAccess,
    ) -> Option<Outcome> {
        let vcpu = self.current.as_ref()?;
        let region = vcpu.vm.redistributors;
        let target = region.locate(offset)?;
        let write = match access.direction {
            Direction::Read => None,
            Direction::Write => Some(access.stored_value(frame.operand(access.register))),
        };
        if write.is_none()
            && let Some(value) = region.read_constant(target, access.width)
        {
            frame.set_operand(access.register, access.loaded_value(value));
            return Some(Outcome::Complete);
        }
        let request = RemoteAccess {
            offset: target.offset,
            width: access.width,
            write,
        };
        let answer = if target.vcpu == vcpu.id.index {
            Some(self.own_redistributor(hw, request))
        } else {
            self.remote_redistributor(hw, target.vcpu, request)
        };
        let Some(value) = answer else {
            return Some(Outcome::Again);
        };
        if write.is_none() {
            frame.set_operand(access.register, access.loaded_value(value));
        }
        Some(Outcome::Complete)
    }

    /// Accesses the loaded vCPU's own redistributor. A write gives 0.
    #[inline]
    pub(crate) fn own_redistributor<H: Hardware>(
        &mut self,
        hw: &mut H,
        access: RemoteAccess,
    ) -> u64 {
        let Some(vcpu) = &mut self.current else {
            return 0;
        };
        let Some(value) = access.write else {
            return vcpu
                .interrupts
                .read_redistributor(access.offset, access.width, hw);
        };
        let written = vcpu
            .interrupts
            .write_redistributor(access.offset, access.width, value, hw);
        deactivate_all(hw, written.deactivate);
        match written.delivery {
            PrivateDelivery::Done => {}
            PrivateDelivery::NeedsDistributor => self.deliver(hw),
        }
        0
    }

    /// Accesses another vCPU's redistributor: where it lies at rest, or by asking the CPU that runs
    /// it. `None` if the answer is not there yet.
    fn remote_redistributor<H: Hardware>(
        &mut self,
        hw: &mut H,
        target: VcpuIndex,
        access: RemoteAccess,
    ) -> Option<u64> {
        let vcpu = self.current.as_ref()?;
        let from = vcpu.id.index;
        let place = vcpu.vm.place(target)?;
        let mut remote = place.remote.lock();
        let own = remote.filter(|waiting| waiting.from == from && waiting.access == access);
        if let Some(answer) = own.and_then(|waiting| waiting.answer) {
            *remote = None;
            return Some(answer);
        }
        // What has no answer was not carried out, and is not while its owner rests.
        let resting = place
            .vcpu
            .lock()
            .as_mut()
            .map(|resting| access_resting(resting, access, hw));
        if resting.is_some() {
            if own.is_some() {
                *remote = None;
            }
        } else if remote.is_none_or(|waiting| waiting.from == from || waiting.answer.is_some()) {
            // Otherwise it is somebody else's turn. An answer that nobody has fetched is a leftover
            // of an instruction that was never finished.
            *remote = Some(Remote {
                from,
                access,
                answer: None,
            });
        }
        drop(remote);
        if resting.is_none() {
            self.hypervisor
                .reach(hw, &vcpu.vm, target, Post::Redistributor);
        } else if access.write.is_some() {
            // It may have something to do now.
            self.hypervisor.reach(hw, &vcpu.vm, target, Post::Shared);
        }
        resting
    }

    fn device<H: Hardware>(
        &mut self,
        hw: &mut H,
        frame: &mut Frame,
        place: usize,
        offset: u64,
        access: MmioAccess,
    ) -> Option<Outcome> {
        let hypervisor = self.hypervisor;
        let vm = hypervisor.vm(self.current.as_ref()?.id.vm)?;
        let attached = vm.devices.get(place)?;
        let mut effects = Effects::new(self.hypervisor.moment(hw));
        match access.direction {
            Direction::Read => {
                let value = attached
                    .slot
                    .lock()
                    .read(&mut effects, offset, access.width)
                    .ok()?;
                frame.set_operand(access.register, access.loaded_value(value));
            }
            Direction::Write => {
                let value = access.stored_value(frame.operand(access.register));
                attached
                    .slot
                    .lock()
                    .write(&mut effects, offset, access.width, value)
                    .ok()?;
            }
        }
        if !effects.is_none() {
            self.settle(hw, vm, place, &effects);
            self.work(hw, vm, place, &effects);
        }
        Some(Outcome::Complete)
    }

    /// Applies what a device recorded, after its lock was released.
    #[inline]
    pub(crate) fn settle<H: Hardware>(
        &mut self,
        hw: &mut H,
        vm: &Vm,
        place: usize,
        effects: &Effects,
    ) {
        if let Some(changed) = self.hypervisor.drive_line(vm, place, effects) {
            let own = self.current.as_mut().filter(|vcpu| vcpu.vm.id == vm.id);
            let changed = match own {
                Some(vcpu) => {
                    let distributor = &mut vm.gic.lock().distributor;
                    vcpu.interrupts.settle_effects(distributor, changed, hw)
                }
                None => changed,
            };
            self.hypervisor.apply(hw, vm, &changed);
        }
        if self.hypervisor.apply_device(hw, vm, place, effects) == Report::Panicked {
            // Guests report panics by an access, so it is the VM of the current vCPU.
            self.intent = Intent::Crash(Cause::Panic {
                sign: PanicSign::Device,
            });
        }
        if effects.input == InputRoom::Wanted {
            self.pass_on(hw, vm);
        }
        if let Some(request) = effects.timer {
            self.note_device_timer(vm.id, place, request);
            self.arm_timer(hw);
        }
        if !effects.transmitted.is_empty()
            && self.hypervisor.vms.len() > 1
            && self.flush_at.is_none()
        {
            let patience = hw.frequency() / crate::console::PATIENCE;
            self.flush_at = Some(hw.now().saturating_add(patience));
            self.arm_timer(hw);
        }
    }
}

/// Accesses the redistributor of a vCPU at rest. A write gives 0.
fn access_resting<H: Hardware>(vcpu: &mut Vcpu, access: RemoteAccess, hw: &mut H) -> u64 {
    let interrupts = &mut vcpu.interrupts;
    match access.write {
        None => interrupts.read_redistributor(access.offset, access.width, hw),
        Some(value) => {
            // Nothing physical is active here for a vCPU at rest, and it is delivered to when it is
            // loaded.
            let _ = interrupts.write_redistributor(access.offset, access.width, value, hw);
            0
        }
    }
}

impl Hypervisor {
    /// Reads the clock for a device.
    pub(crate) fn moment<H: Hardware>(&self, hw: &H) -> Moment {
        Moment {
            ticks: hw.now(),
            base: self.time_base,
        }
    }

    /// Tells a VM's distributor about a device's line. Returns what that asks for, if it changed.
    pub(crate) fn drive_line(
        &self,
        vm: &Vm,
        place: usize,
        effects: &Effects,
    ) -> Option<vgic::Effects> {
        let update = effects.line?;
        let interrupt = vm.devices.get(place)?.interrupt?;
        let mut gic = vm.gic.lock();
        let level = match gic.gates.get_mut(place)?.accept(update)? {
            device_model::Level::High => vgic::Level::High,
            device_model::Level::Low => vgic::Level::Low,
        };
        Some(gic.distributor.set_line(interrupt, level))
    }

    /// Applies all of what a device recorded but its line, which [`Hypervisor::drive_line`] is for.
    pub(crate) fn apply_device<H: Hardware>(
        &self,
        hw: &mut H,
        vm: &Vm,
        place: usize,
        effects: &Effects,
    ) -> Report {
        if !effects.transmitted.is_empty() {
            // The caller sees to it that unfinished lines are written out in time.
            let _ = self.guest_output(hw, vm, &effects.transmitted);
        }
        if let Some(attached) = vm.devices.get(place) {
            attached.counters.add(effects);
        }
        if effects.events.contains(&GuestEvent::Panicked) {
            Report::Panicked
        } else {
            Report::Nothing
        }
    }
}
