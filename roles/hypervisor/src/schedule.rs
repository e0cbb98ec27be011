//! Which vCPU runs, and the switch from one to another.
//!
//! A vCPU leaves its CPU in this order: its registers are saved, it is put into its place, its life
//! cycle says so, and only then does it stand in a run queue, or is its mailbox looked into once
//! more. So whoever finds it ready finds it complete.

use crate::cpu::{Cpu, Intent};
use crate::vcpu::{Fp, Vcpu};
use crate::vm::{Home, Place, Vm};
use addr::{VcpuId, VcpuIndex};
use alloc::boxed::Box;
use alloc::sync::Arc;
use bulkhead_core::Post;
use bulkhead_core::vcpu_state::VcpuEdge;
use bulkhead_core::vm_state::VmState;
use core::sync::atomic::Ordering;
use machine::{
    Active, Frame, Hardware, LocalTlb, PhysicalTimer, TimerRegisters, WaitTrap, WorldControl,
};
use vtimer::{Deadline, HardwareTimer, InterruptState, TimerKind};

/// A vCPU's VM and its place there.
#[derive(Clone, Copy)]
struct Seat {
    vm: &'static Arc<Vm>,
    place: &'static Place,
    index: VcpuIndex,
}

impl Cpu {
    /// Lets others have the CPU, if there are any.
    pub(crate) fn preempt<H: Hardware>(&mut self, hw: &mut H, frame: &mut Box<Frame>) {
        if !self.somebody_waits() {
            self.start_slice(hw);
            self.arm_timer(hw);
            return;
        }
        if let Some((seat, _)) = self.unload(hw, frame)
            && seat.place.life.take(VcpuEdge::Preempt).is_ok()
        {
            self.hypervisor.enqueue(hw, seat.vm, seat.index);
        }
        self.run_next(hw, frame);
    }

    /// Lets the vCPU sleep until something is posted to it.
    pub(crate) fn sleep<H: Hardware>(&mut self, hw: &mut H, frame: &mut Box<Frame>) {
        if self.has_interrupt(hw) {
            return;
        }
        let Some((seat, wake)) = self.unload(hw, frame) else {
            return;
        };
        self.park(hw, seat, wake);
        self.run_next(hw, frame);
    }

    /// Tells whether the vCPU has an interrupt that keeps it from sleeping.
    fn has_interrupt<H: Hardware>(&mut self, hw: &H) -> bool {
        self.current.as_mut().is_some_and(|vcpu| {
            let distributor = &vcpu.vm.gic.lock().distributor;
            vcpu.interrupts.has_deliverable_now(distributor, hw)
        })
    }

    /// Lets the vCPU sleep such that it goes on at an entry point, as after a reset.
    pub(crate) fn suspend<H: Hardware>(
        &mut self,
        hw: &mut H,
        frame: &mut Box<Frame>,
        entry: u64,
        context: u64,
    ) {
        // Asked before its CPU interface is reset, which closes it.
        let awake = self.has_interrupt(hw);
        let Some((seat, wake)) = self.unload(hw, frame) else {
            return;
        };
        if let Some(vcpu) = seat.place.vcpu.lock().as_mut() {
            // The timers go on: they are what wakes it.
            let timers = vcpu.timers;
            vcpu.start_at(entry, context);
            vcpu.timers = timers;
        }
        if !awake {
            self.park(hw, seat, wake);
        } else if seat.place.life.take(VcpuEdge::Preempt).is_ok() {
            self.hypervisor.enqueue(hw, seat.vm, seat.index);
        }
        self.run_next(hw, frame);
    }

    /// Switches the vCPU off.
    pub(crate) fn retire<H: Hardware>(&mut self, hw: &mut H, frame: &mut Box<Frame>) {
        if let Some((seat, _)) = self.unload(hw, frame) {
            self.hypervisor.switch_off(hw, seat.vm, seat.index);
        }
        self.run_next(hw, frame);
    }

    /// Puts a vCPU that lies in its place to sleep until `wake` at the latest.
    #[inline]
    fn park<H: Hardware>(&mut self, hw: &mut H, seat: Seat, wake: Deadline) {
        let Seat { vm, place, index } = seat;
        if let Deadline::At(ticks) = wake {
            self.deadlines.set(VcpuId { vm: vm.id, index }, ticks);
        }
        if place.life.take(VcpuEdge::Wait).is_err() {
            return;
        }
        let posted = !place.mailbox.is_empty() || wake == Deadline::Reached;
        if posted && place.life.take(VcpuEdge::Wake).is_ok() {
            self.hypervisor.enqueue(hw, vm, index);
        }
    }

    /// Takes the vCPU off this CPU and puts it into its place. Also returns when its timers want it
    /// back.
    fn unload<H: Hardware>(
        &mut self,
        hw: &mut H,
        frame: &mut Box<Frame>,
    ) -> Option<(Seat, Deadline)> {
        let mut vcpu = self.current.take()?;
        let seat = self.seat(vcpu.id)?;
        let Seat { vm, place, .. } = seat;
        core::mem::swap(frame, &mut vcpu.frame);
        hw.save_el1(&mut vcpu.registers.el1);
        if vcpu.fp == Fp::Loaded {
            hw.save_fp(&mut vcpu.registers.fp);
            vcpu.fp = Fp::Saved;
        }
        let timers = hw.save_timers();
        let effects = vcpu.interrupts.save(&mut vm.gic.lock().distributor, hw);
        self.save_timers(hw, &mut vcpu, &timers);
        for id in vcpu.interrupts.linked_physical().iter() {
            hw.set_private_active(id, Active::No);
        }
        let wake = vcpu.timers.wake_deadline(hw.now());
        *place.vcpu.lock() = Some(vcpu);
        self.hypervisor.apply(hw, vm, &effects);
        Some((seat, wake))
    }

    /// Finds a vCPU's VM and place.
    fn seat(&self, id: VcpuId) -> Option<Seat> {
        let vm = self.hypervisor.vm(id.vm)?;
        let place = vm.place(id.index)?;
        Some(Seat {
            vm,
            place,
            index: id.index,
        })
    }

    /// Keeps what the hardware's timers held, so that the vCPU wakes for them.
    fn save_timers<H: Hardware>(&self, hw: &mut H, vcpu: &mut Vcpu, timers: &TimerRegisters) {
        let lines = self.hypervisor.interrupts;
        let linked = vcpu.interrupts.linked_physical();
        let state = |id| {
            if linked.contains(id) {
                InterruptState::Active
            } else {
                InterruptState::Inactive
            }
        };
        let virtual_timer = HardwareTimer {
            control: timers.cntv_ctl,
            compare: timers.cntv_cval,
            interrupt: state(lines.virtual_timer),
        };
        // The active interrupts are cleared together by the caller.
        let _ = vcpu.timers.switch_out(TimerKind::Virtual, virtual_timer);
        if hw.physical_timer() == PhysicalTimer::Native {
            let physical_timer = HardwareTimer {
                control: timers.cntp_ctl,
                compare: timers.cntp_cval,
                interrupt: state(lines.physical_timer),
            };
            let _ = vcpu.timers.switch_out(TimerKind::Physical, physical_timer);
        }
    }

    /// Finds the next vCPU and loads it; its registers are in `frame` afterwards. Sleeps while there
    /// is none.
    #[inline]
    pub(crate) fn run_next<H: Hardware>(&mut self, hw: &mut H, frame: &mut Box<Frame>) {
        while self.hypervisor.is_loader(self.id) || !self.run_one(hw, frame) {
            if self.run_or_wait(hw, frame) {
                return;
            }
        }
    }

    /// Carries out a step of a load that waits, and then runs a vCPU, or waits for one. Tells whether
    /// one runs.
    #[cold]
    fn run_or_wait<H: Hardware>(&mut self, hw: &mut H, frame: &mut Box<Frame>) -> bool {
        if !self.hypervisor.is_loader(self.id) {
            self.idle(hw);
            return false;
        }
        self.hypervisor.load_step(hw);
        if self.run_one(hw, frame) {
            return true;
        }
        // EL2's timer is armed for a sleep only.
        let now = hw.now();
        self.wake_due(hw, now);
        self.nobodys_interrupt(hw);
        false
    }

    /// Takes vCPUs out of the queue until one runs; `false` if none is left.
    fn run_one<H: Hardware>(&mut self, hw: &mut H, frame: &mut Box<Frame>) -> bool {
        loop {
            // Told first, asked second: whoever enqueues after the look into the queue sees the flag
            // and kicks.
            self.set_unlimited(true);
            let Some(next) = self.hypervisor.scheduler.lock().next(self.id) else {
                return false;
            };
            let Some((vcpu, seat)) = self.dispatch(hw, next.vcpu) else {
                continue;
            };
            // While a load waits, its next step needs a time slice's end.
            let others = next.others != 0 || self.hypervisor.is_loader(self.id);
            self.limit_slice(hw, others);
            self.load(hw, frame, vcpu, seat);
            if self.intent == Intent::Continue {
                return true;
            }
            // A post that came meanwhile says that its VM stops. Nothing has run that could ask for
            // anything else: that would be a leftover.
            if core::mem::take(&mut self.intent) != Intent::SwitchOff {
                return true;
            }
            if let Some((seat, _)) = self.unload(hw, frame) {
                self.hypervisor.switch_off(hw, seat.vm, seat.index);
            }
        }
    }

    fn idle<H: Hardware>(&mut self, hw: &mut H) {
        let now = hw.now();
        self.wake_due(hw, now);
        if self.flush_at.take().is_some() {
            self.hypervisor.flush_lines(hw);
        }
        let earliest = [self.deadlines.earliest(), self.device_timers.earliest()];
        hw.set_deadline(earliest.into_iter().flatten().min());
        hw.wait_for_interrupt();
        self.nobodys_interrupt(hw);
    }

    /// Takes an interrupt while no vCPU is loaded.
    pub(crate) fn nobodys_interrupt<H: Hardware>(&mut self, hw: &mut H) {
        self.physical_interrupt(hw);
        // A tick asks for a yield when a slice has ended, and here there is nobody to yield. Left as
        // it is, the next vCPU would be taken for one that is to stop.
        self.intent = Intent::Continue;
    }

    /// Takes a vCPU out of its place to run it; `None` if it shall stop instead.
    #[inline]
    fn dispatch<H: Hardware>(&mut self, hw: &mut H, id: VcpuId) -> Option<(Box<Vcpu>, Seat)> {
        let seat = self.seat(id)?;
        let Seat { vm, place, index } = seat;
        place.life.take(VcpuEdge::Dispatch).ok()?;
        place.cpu.store(self.id.get(), Ordering::SeqCst);
        self.deadlines.clear(id);
        if !vm.life.is(VmState::Running) {
            let _ = place.mailbox.take();
            self.hypervisor.switch_off(hw, vm, index);
            return None;
        }
        let vcpu = place.vcpu.lock().take()?;
        Some((vcpu, seat))
    }

    /// Puts a vCPU on this CPU.
    #[inline]
    fn load<H: Hardware>(
        &mut self,
        hw: &mut H,
        frame: &mut Box<Frame>,
        mut vcpu: Box<Vcpu>,
        seat: Seat,
    ) {
        let Seat { vm, place, .. } = seat;
        core::mem::swap(frame, &mut vcpu.frame);
        hw.load_el1(&vcpu.registers.el1);
        let control = self.world(hw, seat, &vcpu);
        hw.enter(&control);
        hw.set_monitor_control(vcpu.debug.hardware_monitor_control());
        for id in vcpu.interrupts.linked_physical().iter() {
            hw.set_private_active(id, Active::Yes);
        }
        self.load_timers(hw, &mut vcpu);
        // What was posted, and the emulated timer's level, come to the list registers with the rest.
        let posts = self.take_posts(&mut vcpu, place);
        if hw.physical_timer() == PhysicalTimer::Trapped {
            vcpu.update_physical_timer(hw.now());
        }
        let effects = vcpu.interrupts.load(&mut vm.gic.lock().distributor, hw);
        self.current = Some(vcpu);
        self.hypervisor.apply(hw, vm, &effects);
        if posts.contains(Post::Redistributor) {
            self.serve_remote(hw);
        }
        self.arm_timer(hw);
    }

    fn load_timers<H: Hardware>(&self, hw: &mut H, vcpu: &mut Vcpu) {
        let now = hw.now();
        // An interrupt whose timer no longer asks for it is taken back; the timer's level rules.
        for (id, kind) in [
            (guest_dtb::VIRTUAL_TIMER, TimerKind::Virtual),
            (guest_dtb::PHYSICAL_TIMER, TimerKind::Physical),
        ] {
            if vcpu.interrupts.pending_hardware().contains(id)
                && !vcpu.timers.is_asserted(kind, now)
            {
                let owed = vcpu.interrupts.withdraw_hardware_ppi(id);
                for id in owed.iter() {
                    hw.set_private_active(id, Active::No);
                }
            }
        }
        let virtual_timer = vcpu.timers.switch_in(TimerKind::Virtual);
        let physical_timer = vcpu.timers.switch_in(TimerKind::Physical);
        hw.load_timers(&TimerRegisters {
            cntv_ctl: virtual_timer.control,
            cntv_cval: virtual_timer.compare,
            cntp_ctl: physical_timer.control,
            cntp_cval: physical_timer.compare,
        });
    }

    /// Decides what EL2's registers hold while the vCPU runs here.
    fn world<H: Hardware>(&mut self, hw: &mut H, seat: Seat, vcpu: &Vcpu) -> WorldControl {
        let Seat { vm, place, .. } = seat;
        let current = self.hypervisor.vmids.activate(self.id, &vm.vmid);
        let vmid = current.unwrap_or_else(|| {
            let mut allocator = self.hypervisor.vmid_allocator.lock();
            // The CPU exists, which is all that can go wrong.
            allocator
                .activate(&self.hypervisor.vmids, self.id, &vm.vmid, hw)
                .unwrap_or(0)
        });
        let mut tlb = LocalTlb::Keep;
        if let Some(last) = self.last.get_mut(usize::from(vm.id.get())) {
            if last.is_some_and(|last| last != vcpu.id.index) {
                tlb = LocalTlb::Drop;
            }
            *last = Some(vcpu.id.index);
        }
        let alone = matches!(place.home, Home::Alone(_));
        WorldControl {
            stage2_root: vm.stage2_root,
            vmid,
            vtcr: self.hypervisor.vtcr,
            affinity: vcpu.affinity(),
            counter_offset: vm.counter_offset(),
            wfi: if alone {
                WaitTrap::Native
            } else {
                WaitTrap::Trapped
            },
            tlb,
        }
    }
}
