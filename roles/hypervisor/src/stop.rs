//! How VMs end: switched off, reset or crashed.

use crate::load::Load;
use crate::post_mortem;
use crate::shared::Hypervisor;
use crate::vm::Vm;
use addr::VcpuIndex;
use alloc::sync::Arc;
use bulkhead_core::Post;
use bulkhead_core::vcpu_state::VcpuEdge;
use bulkhead_core::vm_state::{VmEdge, VmState};
use core::fmt;
use core::sync::atomic::Ordering;
use machine::{Frame, Hardware, OwnMemory};

/// How a VM ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// By its own wish.
    Order,
    /// By a crash.
    Crash,
}

/// Why a VM can't go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Its kernel has panicked, as far as is known.
    Panic {
        /// How it told.
        sign: PanicSign,
    },
    /// It took an abort at its own abort handler: the architecture's answer can't be given.
    AbortInHandler {
        /// The address of the handler.
        vector: u64,
    },
    /// An SError that hit while it ran.
    SystemError {
        /// ESR_EL2.
        syndrome: u64,
    },
}

/// How a kernel tells that it has panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PanicSign {
    /// By the panic notifier: it says nothing else.
    Device,
    /// By a warm reset, which the VM's description takes for a panic.
    WarmReset,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panic {
                sign: PanicSign::Device,
            } => f.write_str("its kernel panicked"),
            // That it was no order to restart is the description's word, not ours.
            Self::Panic {
                sign: PanicSign::WarmReset,
            } => f.write_str("it asked for a warm reset, which counts as a kernel panic"),
            Self::AbortInHandler { vector } => {
                write!(
                    f,
                    "it cannot take an abort: its handler at {vector:#x} is no memory"
                )
            }
            Self::SystemError { syndrome } => write!(f, "system error, syndrome {syndrome:#x}"),
        }
    }
}

impl Hypervisor {
    /// Begins to end a VM by `edge`, one of those that leave Running; all its vCPUs stop where they
    /// run. Does nothing if it is ending already.
    pub(crate) fn stop<H: Hardware>(&self, hw: &mut H, vm: &Vm, edge: VmEdge) {
        if vm.life.take(edge).is_err() {
            return;
        }
        for index in (0..vm.vcpu_count()).map(VcpuIndex::new) {
            self.reach(hw, vm, index, Post::Stop);
        }
    }

    /// Stops a VM that can't go on, and says why.
    pub(crate) fn crash<H: Hardware>(
        &self,
        hw: &mut H,
        vm: &Vm,
        vcpu: VcpuIndex,
        frame: &Frame,
        cause: Cause,
    ) {
        if !vm.life.is(VmState::Running) {
            return;
        }
        post_mortem::print(self, hw, vm, vcpu, frame, cause);
        self.stop(hw, vm, VmEdge::Crash);
    }

    /// Counts a vCPU out that has just been switched off. The last one decides what becomes of the
    /// VM.
    pub(crate) fn vcpu_is_off<H: Hardware>(&self, hw: &mut H, vm: &Arc<Vm>) {
        if vm.alive.fetch_sub(1, Ordering::SeqCst) != 1 {
            return;
        }
        // Nobody is left who could turn a vCPU on.
        let _ = vm.life.take(VmEdge::PowerOff);
        match vm.life.state() {
            Ok(VmState::PoweringOff) => {
                let _ = vm.life.take(VmEdge::Stopped);
                self.log(hw, format_args!("VM {} is off", vm.name));
                self.report_own_memory(hw);
                self.ended(hw, End::Order);
            }
            Ok(VmState::Resetting) => {
                self.log(hw, format_args!("VM {} resets", vm.name));
                self.report_own_memory(hw);
                self.reset(hw, vm);
            }
            Ok(VmState::Crashing) => {
                let _ = vm.life.take(VmEdge::Kept);
                self.log(
                    hw,
                    format_args!("VM {} has crashed and stays stopped", vm.name),
                );
                self.report_own_memory(hw);
                self.ended(hw, End::Crash);
            }
            Ok(VmState::Off | VmState::Loading | VmState::Running | VmState::Crashed) => {}
            Err(error) => self.log(hw, format_args!("VM {}: {error}", vm.name)),
        }
    }

    /// Says how much memory the hypervisor uses: the same at each end of a VM, or something leaks.
    fn report_own_memory<H: Hardware>(&self, hw: &mut H) {
        let OwnMemory { heap, tables } = hw.own_memory();
        self.log(
            hw,
            format_args!("in use: {heap} bytes of heap, {tables} pages of tables"),
        );
    }

    /// Puts everything of a VM whose vCPUs are off into its first state, and loads it again.
    fn reset<H: Hardware>(&self, hw: &mut H, vm: &Arc<Vm>) {
        vm.gic.lock().distributor.reset();
        for (place, attached) in vm.devices.iter().enumerate() {
            let mut effects = device_model::Effects::new(self.moment(hw));
            attached.slot.lock().reset(&mut effects);
            // No vCPU runs, so nobody has to be told of the line.
            let _ = self.drive_line(vm, place, &effects);
        }
        for place in &vm.places {
            let _ = place.mailbox.take();
            *place.remote.lock() = None;
            if let Some(vcpu) = place.vcpu.lock().as_mut() {
                // At rest nothing physical is active on its behalf.
                let _ = vcpu.interrupts.reset();
            }
        }
        if vm.life.take(VmEdge::Reload).is_ok() {
            self.begin_load(vm, Load::again());
        }
    }

    /// Counts a VM that has ended; the last one ends the machine.
    pub(crate) fn ended<H: Hardware>(&self, hw: &mut H, end: End) {
        if end == End::Crash {
            self.crashed.fetch_add(1, Ordering::SeqCst);
        }
        if self.live.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.flush_lines(hw);
            self.machine_off(hw);
        }
    }

    /// Says how the VMs ended and turns the machine off.
    pub(crate) fn machine_off<H: Hardware>(&self, hw: &mut H) {
        let crashed = self.crashed.load(Ordering::SeqCst);
        let all = u32::try_from(self.vms.len()).unwrap_or(u32::MAX);
        let ordered = all.saturating_sub(crashed);
        self.log(
            hw,
            format_args!("machine off: {ordered} VM(s) ended in order, {crashed} crashed"),
        );
        hw.system_off();
    }

    /// Switches off a vCPU that a CPU is about to run or has just run, and that lies in its place
    /// again.
    pub(crate) fn switch_off<H: Hardware>(&self, hw: &mut H, vm: &Arc<Vm>, index: VcpuIndex) {
        let Some(place) = vm.place(index) else { return };
        {
            let mut gic = vm.gic.lock();
            let effects = gic
                .distributor
                .set_participation(index, vgic::Participation::No);
            drop(gic);
            self.apply(hw, vm, &effects);
        }
        match place.life.take(VcpuEdge::PowerOff) {
            Ok(()) => self.vcpu_is_off(hw, vm),
            Err(error) => self.log(hw, format_args!("vCPU {index} of VM {}: {error}", vm.name)),
        }
    }
}
