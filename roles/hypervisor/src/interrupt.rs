//! Physical interrupts.
//!
//! Each exit takes one; if more are pending, the next entry of the guest exits again at once.

use crate::cpu::{Cpu, Intent};
use crate::vcpu::Vcpu;
use crate::vm::Place;
use addr::{IntId, VcpuIndex};
use bulkhead_core::{Post, Posts};
use core::sync::atomic::Ordering;
use machine::{Hardware, Next, PhysicalInterrupt};
use vgic::{PrivateDelivery, PrivateSet};

/// How long a vCPU may run while others wait, as a part of a second: 1/200, which is 5 ms.
const SLICES_PER_SECOND: u64 = 200;

/// The same on the CPU that loads VMs: a step of a load takes some ten microseconds, so that beside a
/// busy vCPU 64 MiB are copied in a second.
const LOADER_SLICES_PER_SECOND: u64 = 2000;

impl Cpu {
    /// Takes one physical interrupt, while a guest runs. The guest's own timer, which comes again and
    /// again, takes the short way.
    #[inline(always)]
    pub(crate) fn interrupt_guest<H: Hardware>(&mut self, hw: &mut H) -> Next {
        let Some(interrupt) = hw.acknowledge() else {
            return Next::Resume;
        };
        hw.drop_priority(interrupt);
        if interrupt.id == self.hypervisor.interrupts.virtual_timer
            && let Some(vcpu) = &mut self.current
            && vcpu
                .interrupts
                .renew_hardware_ppi(guest_dtb::VIRTUAL_TIMER, interrupt.id, hw)
        {
            return Next::Resume;
        }
        self.handle_interrupt(hw, interrupt)
    }

    /// Takes one physical interrupt, while the CPU idles.
    pub(crate) fn physical_interrupt<H: Hardware>(&mut self, hw: &mut H) {
        if let Some(interrupt) = hw.acknowledge() {
            hw.drop_priority(interrupt);
            let _ = self.handle_interrupt(hw, interrupt);
        }
    }

    #[inline(never)]
    fn handle_interrupt<H: Hardware>(&mut self, hw: &mut H, interrupt: PhysicalInterrupt) -> Next {
        self.dispatch_interrupt(hw, interrupt);
        self.next()
    }

    #[inline]
    fn dispatch_interrupt<H: Hardware>(&mut self, hw: &mut H, interrupt: PhysicalInterrupt) {
        let lines = &self.hypervisor.interrupts;
        // A guest's timer stays active until the guest ends it.
        if interrupt.id == lines.virtual_timer {
            self.guest_timer(hw, guest_dtb::VIRTUAL_TIMER, interrupt.id);
            return;
        }
        if interrupt.id == lines.physical_timer {
            self.guest_timer(hw, guest_dtb::PHYSICAL_TIMER, interrupt.id);
            return;
        }
        hw.deactivate(interrupt.id);
        if interrupt.id == lines.kick {
            self.kicked(hw);
        } else if interrupt.id == lines.hypervisor_timer {
            self.tick(hw);
        } else if interrupt.id == lines.maintenance {
            self.maintain(hw);
        } else if interrupt.id == lines.console {
            self.typed(hw);
        } else {
            self.unexpected(interrupt);
        }
    }

    fn unexpected(&self, _interrupt: PhysicalInterrupt) {
        self.hypervisor.unexpected.fetch_add(1, Ordering::Relaxed);
    }

    /// Passes the interrupt of the loaded vCPU's own timer on to it.
    #[inline]
    fn guest_timer<H: Hardware>(&mut self, hw: &mut H, guest: IntId, physical: IntId) {
        let Some(vcpu) = &mut self.current else {
            // The timers of a parked vCPU are off; a late one is of nobody's.
            hw.deactivate(physical);
            return;
        };
        let owed = vcpu.interrupts.inject_hardware_ppi(guest, physical);
        deactivate_all(hw, owed);
        self.deliver_private(hw);
    }

    /// Brings private interrupts of the loaded vCPU to its list registers.
    #[inline]
    pub(crate) fn deliver_private<H: Hardware>(&mut self, hw: &mut H) {
        let Some(vcpu) = &mut self.current else {
            return;
        };
        if vcpu.interrupts.deliver_private(hw) == PrivateDelivery::NeedsDistributor {
            self.deliver(hw);
        }
    }

    /// Brings all interrupts of the loaded vCPU to its list registers.
    pub(crate) fn deliver<H: Hardware>(&mut self, hw: &mut H) {
        let Some(vcpu) = &mut self.current else {
            return;
        };
        let effects = vcpu
            .interrupts
            .deliver(&mut vcpu.vm.gic.lock().distributor, hw);
        self.hypervisor.apply(hw, &vcpu.vm, &effects);
    }

    fn maintain<H: Hardware>(&mut self, hw: &mut H) {
        let Some(vcpu) = &mut self.current else {
            return;
        };
        let effects = vcpu
            .interrupts
            .maintain(&mut vcpu.vm.gic.lock().distributor, hw);
        self.hypervisor.apply(hw, &vcpu.vm, &effects);
    }

    /// Looks at what others have left: in the vCPU's mailbox and in the run queue.
    pub(crate) fn kicked<H: Hardware>(&mut self, hw: &mut H) {
        self.look_into_mailbox(hw);
        if self.current.is_some() && self.slice_end.is_none() && self.somebody_waits() {
            self.slice_end = Some(self.end_of_slice(hw));
            self.set_unlimited(false);
            self.arm_timer(hw);
        }
    }

    pub(crate) fn somebody_waits(&self) -> bool {
        self.hypervisor.scheduler.lock().waiting(self.id) != 0 || self.hypervisor.is_loader(self.id)
    }

    pub(crate) fn set_unlimited(&self, unlimited: bool) {
        if let Some(flag) = self.hypervisor.unlimited.get(self.id.index()) {
            flag.store(unlimited, Ordering::SeqCst);
        }
    }

    /// Does what was posted to the loaded vCPU.
    pub(crate) fn look_into_mailbox<H: Hardware>(&mut self, hw: &mut H) {
        let Some(mut vcpu) = self.current.take() else {
            return;
        };
        let place = self
            .hypervisor
            .vm(vcpu.id.vm)
            .and_then(|vm| vm.place(vcpu.id.index));
        let posts = place.map_or_else(Posts::default, |place| self.take_posts(&mut vcpu, place));
        self.current = Some(vcpu);
        if posts.contains(Post::Redistributor) {
            self.serve_remote(hw);
        }
        if posts.contains(Post::Shared) {
            self.deliver(hw);
        } else if posts.sgis() != 0 {
            self.deliver_private(hw);
        }
    }

    /// Takes what was posted to a vCPU that this CPU has. What comes later comes with a kick.
    #[inline]
    pub(crate) fn take_posts(&mut self, vcpu: &mut Vcpu, place: &Place) -> Posts {
        let posts = place.mailbox.take();
        if posts.contains(Post::Stop) {
            self.intent = Intent::SwitchOff;
        }
        if posts.sgis() != 0 {
            vcpu.interrupts.pend_sgis(posts.sgis());
        }
        posts
    }

    /// Handles EL2's own timer: time slices, parked vCPUs, timers of devices, emulated timers, console
    /// lines.
    fn tick<H: Hardware>(&mut self, hw: &mut H) {
        let now = hw.now();
        self.wake_due(hw, now);
        if self.flush_at.is_some_and(|at| at <= now) {
            self.flush_at = None;
            self.hypervisor.flush_lines(hw);
        }
        self.update_physical_timer(hw);
        if self.slice_end.is_some_and(|end| end <= now) {
            self.slice_end = None;
            self.intent = Intent::Yield;
        }
        self.arm_timer(hw);
    }

    /// Wakes the parked vCPUs and calls the devices whose time has come.
    pub(crate) fn wake_due<H: Hardware>(&mut self, hw: &mut H, now: u64) {
        while let Some(due) = self.deadlines.take_due(now) {
            if let Some(vm) = self.hypervisor.vm(due.vm) {
                self.hypervisor.reach(hw, vm, due.index, Post::Timer);
            }
        }
        self.expire_device_timers(hw, now);
    }

    /// Brings the line of the loaded vCPU's emulated physical timer up to date.
    pub(crate) fn update_physical_timer<H: Hardware>(&mut self, hw: &mut H) {
        if hw.physical_timer() == machine::PhysicalTimer::Native {
            return;
        }
        let now = hw.now();
        let Some(vcpu) = &mut self.current else {
            return;
        };
        vcpu.update_physical_timer(now);
        self.deliver_private(hw);
    }

    /// Arms EL2's timer for whatever comes first.
    pub(crate) fn arm_timer<H: Hardware>(&mut self, hw: &mut H) {
        let emulated = match &self.current {
            Some(vcpu) if hw.physical_timer() == machine::PhysicalTimer::Trapped => {
                vcpu.timers.loaded_deadline(hw.now()).ticks()
            }
            Some(_) | None => None,
        };
        // The counter never gets to the last number, so it stands for no deadline: this is on the way
        // of each switch, and choices cost more than a minimum.
        let never = u64::MAX;
        let earliest = self
            .slice_end
            .unwrap_or(never)
            .min(self.deadlines.earliest().unwrap_or(never))
            .min(self.device_timers.earliest().unwrap_or(never))
            .min(self.flush_at.unwrap_or(never))
            .min(emulated.unwrap_or(never));
        hw.set_deadline((earliest != never).then_some(earliest));
    }

    /// Starts a time slice of the loaded vCPU.
    pub(crate) fn start_slice<H: Hardware>(&mut self, hw: &mut H) {
        // Told first, asked second: whoever enqueues afterwards sees the flag and kicks.
        self.set_unlimited(true);
        let others = self.somebody_waits();
        self.limit_slice(hw, others);
    }

    /// Limits the time slice if others wait; they were asked for after
    /// [`Cpu::set_unlimited`].
    pub(crate) fn limit_slice<H: Hardware>(&mut self, hw: &mut H, others: bool) {
        self.slice_end = if others {
            self.set_unlimited(false);
            Some(self.end_of_slice(hw))
        } else {
            None
        };
    }

    /// Returns when a slice that begins now ends.
    fn end_of_slice<H: Hardware>(&self, hw: &H) -> u64 {
        let rate = if self.hypervisor.is_loader(self.id) {
            LOADER_SLICES_PER_SECOND
        } else {
            SLICES_PER_SECOND
        };
        hw.now()
            .saturating_add(hw.frequency().checked_div(rate).unwrap_or(0))
    }

    /// Carries out the access that another vCPU has left at the loaded one's place.
    pub(crate) fn serve_remote<H: Hardware>(&mut self, hw: &mut H) {
        let Some(vcpu) = &mut self.current else {
            return;
        };
        let Some(place) = vcpu.vm.place(vcpu.id.index) else {
            return;
        };
        let Some(remote) = place.remote.lock().filter(|remote| remote.answer.is_none()) else {
            return;
        };
        let vm = vcpu.vm.clone();
        let answer = self.own_redistributor(hw, remote.access);
        if let Some(place) = vm.place(self.current_index())
            && let Some(waiting) = place.remote.lock().as_mut()
            && *waiting == remote
        {
            waiting.answer = Some(answer);
        }
    }

    fn current_index(&self) -> VcpuIndex {
        self.current
            .as_ref()
            .map_or(VcpuIndex::new(0), |vcpu| vcpu.id.index)
    }
}

/// Deactivates physical private interrupts.
pub(crate) fn deactivate_all<H: Hardware>(hw: &mut H, set: PrivateSet) {
    for id in set.iter() {
        hw.deactivate(id);
    }
}
