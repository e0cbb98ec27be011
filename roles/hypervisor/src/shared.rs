//! What all CPUs share.

use crate::console::ConsoleState;
use crate::vm::{Home, Vm};
use addr::{CpuId, IntId, VcpuId, VcpuIndex, VmId};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bulkhead_core::vcpu_state::{VcpuEdge, VcpuState};
use bulkhead_core::{Affinity, Before, Found, Post, Scheduler};
use core::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicU64, Ordering};
use device_model::TimeBase;
use id_registers::{GuestFeatures, HostIdRegisters, TrapControls};
use lock::Lock;
use machine::Hardware;
use memory_owner::MemoryOwner;
use smccc_dispatch::Drbg;
use stage2::{VmidAllocator, VmidTable};
use vgic::Effects;

/// The INTIDs of the physical interrupts that the role handles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupts {
    /// The SGI by which CPUs kick each other.
    pub kick: IntId,
    /// The virtual CPU interface's maintenance interrupt.
    pub maintenance: IntId,
    /// EL2's own timer.
    pub hypervisor_timer: IntId,
    /// The guest's virtual timer.
    pub virtual_timer: IntId,
    /// The guest's physical timer.
    pub physical_timer: IntId,
    /// The operator's console.
    pub console: IntId,
}

/// What all CPUs share; lives as long as the machine runs.
pub struct Hypervisor {
    pub(crate) vms: Vec<Arc<Vm>>,
    pub(crate) scheduler: Lock<Scheduler>,
    pub(crate) vmids: VmidTable,
    pub(crate) vmid_allocator: Lock<VmidAllocator>,
    pub(crate) memory: Lock<MemoryOwner>,
    pub(crate) console: Lock<ConsoleState>,
    pub(crate) features: GuestFeatures,
    pub(crate) vtcr: u64,
    pub(crate) time_base: TimeBase,
    pub(crate) interrupts: Interrupts,
    /// For each CPU, whether it runs a vCPU without a time slice: it must be told who waits.
    pub(crate) unlimited: Vec<AtomicBool>,
    /// VMs that have not ended.
    pub(crate) live: AtomicU32,
    /// VMs that ended by a crash.
    pub(crate) crashed: AtomicU32,
    /// VMs whose load waits for a CPU's next step.
    pub(crate) loading: AtomicU32,
    /// The CPU that carries out all loads, or [`crate::load::NOBODY`].
    pub(crate) loader: AtomicU16,
    /// Random numbers for guests; `None` if the machine has no source of entropy.
    pub(crate) random: Lock<Option<Drbg>>,
    /// Physical interrupts that nobody expects.
    pub(crate) unexpected: AtomicU64,
}

impl Hypervisor {
    /// Computes the control registers of a CPU for its guests.
    #[must_use]
    pub fn trap_controls(&self, cpu: &HostIdRegisters) -> TrapControls {
        self.features.trap_controls(cpu)
    }

    /// Returns a VM.
    pub(crate) fn vm(&self, id: VmId) -> Option<&Arc<Vm>> {
        self.vms.get(usize::from(id.get()))
    }

    /// Returns how much memory nobody has, in bytes.
    #[must_use]
    pub fn unused_memory(&self) -> u64 {
        let memory = self.memory.lock();
        memory
            .free_pages()
            .saturating_add(memory.dirty_pages())
            .saturating_mul(addr::PAGE_SIZE)
    }

    /// Empties the places of all vCPUs, which hold their VMs and are held by them, so that a program
    /// that boots many machines can give a machine's memory back. Nothing runs afterwards.
    pub fn release_vcpus(&self) {
        for place in self.vms.iter().flat_map(|vm| &vm.places) {
            *place.vcpu.lock() = None;
        }
    }

    /// Leaves `post` for a vCPU and makes sure that it is looked at: one that waits becomes ready,
    /// one that runs is kicked.
    pub(crate) fn reach<H: Hardware>(&self, hw: &mut H, vm: &Vm, index: VcpuIndex, post: Post) {
        let Some(place) = vm.place(index) else { return };
        if place.mailbox.post(post) == Before::Empty {
            self.rouse(hw, vm, index);
        }
    }

    /// Makes a vCPU look into its mailbox.
    pub(crate) fn rouse<H: Hardware>(&self, hw: &mut H, vm: &Vm, index: VcpuIndex) {
        let Some(place) = vm.place(index) else { return };
        if place.life.take(VcpuEdge::Wake).is_ok() {
            self.enqueue(hw, vm, index);
        } else if place.life.is(VcpuState::Running) {
            hw.kick(place.cpu());
        }
    }

    /// Puts a vCPU that has just become ready into a run queue.
    pub(crate) fn enqueue<H: Hardware>(&self, hw: &mut H, vm: &Vm, index: VcpuIndex) {
        let Some(place) = vm.place(index) else { return };
        let affinity = match place.home {
            Home::Pinned(cpu) | Home::Alone(cpu) => Affinity::Pinned(cpu),
            Home::Floating => Affinity::Floating { last: place.cpu() },
        };
        let vcpu = VcpuId { vm: vm.id, index };
        let placed = self.scheduler.lock().enqueue(vcpu, affinity);
        match placed {
            Ok(placed) => {
                if placed.found == Found::Idle || self.is_unlimited(placed.cpu) {
                    hw.kick(placed.cpu);
                }
            }
            Err(error) => {
                self.log(hw, format_args!("{vcpu} is lost: {error}"));
            }
        }
    }

    fn is_unlimited(&self, cpu: CpuId) -> bool {
        self.unlimited
            .get(cpu.index())
            .is_some_and(|flag| flag.load(Ordering::SeqCst))
    }

    /// Carries out what a change of a VM's interrupt controller asks for. Called without its lock.
    #[inline]
    pub(crate) fn apply<H: Hardware>(&self, hw: &mut H, vm: &Vm, effects: &Effects) {
        if !effects.is_none() {
            self.carry_out(hw, vm, effects);
        }
    }

    #[cold]
    fn carry_out<H: Hardware>(&self, hw: &mut H, vm: &Vm, effects: &Effects) {
        for index in effects.kick.iter() {
            self.reach(hw, vm, index, Post::Shared);
        }
        for id in effects.deactivate.iter() {
            hw.deactivate(id);
        }
    }
}
