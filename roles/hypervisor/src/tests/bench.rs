//! A whole machine for tests: the role on fake CPUs, driven exit by exit.
//!
//! A CPU that finds nothing to run sleeps in a loop; the bench unwinds out of it, and takes the CPU
//! up again when an interrupt is pending there. Nothing runs by itself: [`Bench::settle`] lets all
//! pending interrupts be taken, and tests of races take them one by one instead.

use crate::boot::{BootInput, boot};
use crate::cpu::{Cpu, Intent};
use crate::shared::{Hypervisor, Interrupts};
use crate::vm::Vm;
use addr::{CpuId, IntId, Ipa, Pa, PaRange, VcpuId, VcpuIndex, VmId, Width};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use archive::Writer;
use bulkhead_core::vcpu_state::VcpuState;
use bulkhead_core::vm_state::VmState;
use id_registers::HostIdRegisters;
use machine::{Conduit, ExitHandler, Frame, Next, Short, Syndrome};
use machine_fakes::FakeMachine;
use manifest::{Description, Device, Kernel, KernelFormat, Pinning, VmDescription, WarmReset};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use trap::SysRegId;

pub(super) const KICK: IntId = IntId::new(15);
pub(super) const MAINTENANCE: IntId = IntId::new(25);
pub(super) const HYPERVISOR_TIMER: IntId = IntId::new(26);
pub(super) const VIRTUAL_TIMER: IntId = IntId::new(27);
pub(super) const PHYSICAL_TIMER: IntId = IntId::new(30);
pub(super) const CONSOLE: IntId = IntId::new(33);

/// What every kernel begins with.
pub(super) const KERNEL_BYTES: [u8; 4] = [0xde, 0xad, 0xbe, 0xef];

const RAM_START: u64 = 0x4000_0000;
const VM_MEMORY: u64 = 4 << 20;
const LR_STATE: u64 = 0b11 << 62;
const LR_PENDING: u64 = 0b01 << 62;
const LR_ACTIVE: u64 = 0b10 << 62;
const LR_HW: u64 = 1 << 61;

/// What the sleep of a CPU unwinds with.
struct Asleep;

/// One VM of a bench.
#[derive(Clone, Debug)]
pub(super) struct Guest {
    pub(super) name: &'static str,
    pub(super) vcpus: u16,
    pub(super) pins: Option<Vec<u16>>,
    pub(super) warm_reset: WarmReset,
    pub(super) devices: Vec<Device>,
}

impl Guest {
    pub(super) fn new(name: &'static str, vcpus: u16) -> Self {
        Self {
            name,
            vcpus,
            pins: None,
            warm_reset: WarmReset::Reset,
            devices: vec![Device::Pl011, Device::Pvpanic, Device::Pl031],
        }
    }

    pub(super) fn device(mut self, device: Device) -> Self {
        self.devices.push(device);
        self
    }

    pub(super) fn pinned(mut self, cpus: &[u16]) -> Self {
        self.pins = Some(cpus.to_vec());
        self
    }

    pub(super) fn warm_reset(mut self, meaning: WarmReset) -> Self {
        self.warm_reset = meaning;
        self
    }
}

/// What came of an exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// Some guest goes on, perhaps another one.
    Back,
    /// The CPU sleeps.
    Idle,
}

/// What a guest's access to memory led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// It was carried out; what a load gave.
    Done(u64),
    /// The guest executes it again.
    Again,
    /// The guest took a synchronous external abort: ESR_EL1.
    Abort(u64),
    /// The vCPU does not run any more.
    Gone,
}

pub(super) struct Bench {
    pub(super) hypervisor: &'static Hypervisor,
    pub(super) cpus: Vec<Cpu>,
    pub(super) machines: Vec<FakeMachine>,
    #[expect(clippy::vec_box, reason = "the role swaps the boxes")]
    pub(super) frames: Vec<Box<Frame>>,
    pub(super) idle: Vec<bool>,
    /// Lets vCPUs have a physical timer of their own (FEAT_ECV), if set before the start.
    started: bool,
}

impl Bench {
    /// Boots a machine, loads all VMs and lets everything come to rest.
    pub(super) fn new(guests: &[Guest], cpus: u16) -> Self {
        let mut bench = Self::booted(guests, cpus);
        bench.start();
        bench
    }

    /// Boots a machine; no CPU has run yet.
    pub(super) fn booted(guests: &[Guest], cpus: u16) -> Self {
        let first = FakeMachine::new(CpuId::new(0));
        let count = u64::try_from(guests.len()).unwrap();
        let ram = PaRange::new(Pa::new(RAM_START), VM_MEMORY * (count + 1)).unwrap();
        first.memory.borrow_mut().add(ram);
        let mut machines = vec![first];
        for cpu in 1..cpus {
            machines.push(machines[0].sibling(CpuId::new(cpu)));
        }
        for machine in &mut machines {
            machine.power.on_wait = Some(|| resume_unwind(Box::new(Asleep)));
            machine.clock.now = 1_000_000;
        }
        let host = HostIdRegisters::from_fn(|_| 0x1111_1111_1111_1112);
        let hypervisor = boot(
            &mut machines[0],
            &BootInput {
                archive: archive(guests),
                ram: &[ram],
                reserved: &[],
                cpus: usize::from(cpus),
                host: &host,
                pa_range: 2,
                vmid_bits: 2,
                interrupts: Interrupts {
                    kick: KICK,
                    maintenance: MAINTENANCE,
                    hypervisor_timer: HYPERVISOR_TIMER,
                    virtual_timer: VIRTUAL_TIMER,
                    physical_timer: PHYSICAL_TIMER,
                    console: CONSOLE,
                },
                seed: &[7; 48],
                epoch: 0,
            },
        )
        .unwrap();
        Self {
            hypervisor,
            cpus: (0..cpus)
                .map(|cpu| *Cpu::new(CpuId::new(cpu), hypervisor))
                .collect(),
            frames: machines.iter().map(|_| Box::default()).collect(),
            idle: vec![false; machines.len()],
            machines,
            started: false,
        }
    }

    /// Lets all CPUs begin, the first one first.
    pub(super) fn start(&mut self) {
        self.started = true;
        for cpu in 0..self.cpus.len() {
            self.first(cpu);
        }
        self.settle();
    }

    pub(super) fn first(&mut self, cpu: usize) -> Came {
        self.started = true;
        self.on(cpu, |cpu, hw, frame| *frame = cpu.first(hw))
    }

    /// Runs a handler on a CPU; if it sleeps in there, the bench comes back.
    pub(super) fn on(
        &mut self,
        cpu: usize,
        handler: impl FnOnce(&mut Cpu, &mut FakeMachine, &mut Box<Frame>),
    ) -> Came {
        let (role, machine) = (&mut self.cpus[cpu], &mut self.machines[cpu]);
        let frame = &mut self.frames[cpu];
        let result = catch_unwind(AssertUnwindSafe(|| handler(role, machine, frame)));
        let came = match result {
            Ok(()) => Came::Back,
            Err(payload) if payload.is::<Asleep>() => Came::Idle,
            Err(payload) => resume_unwind(payload),
        };
        self.idle[cpu] = came == Came::Idle;
        assert_eq!(self.idle[cpu], self.cpus[cpu].current.is_none());
        if came == Came::Back {
            assert_eq!(
                self.cpus[cpu].intent,
                Intent::Continue,
                "all is carried out"
            );
        }
        self.send_kicks();
        came
    }

    /// Brings kicks to the CPUs that they are for.
    fn send_kicks(&mut self) {
        for from in 0..self.machines.len() {
            for to in core::mem::take(&mut self.machines[from].gic.kicks) {
                self.raise(to.index(), KICK);
            }
        }
    }

    /// Makes a physical interrupt pending at a CPU.
    pub(super) fn raise(&mut self, cpu: usize, id: IntId) {
        let pending = &mut self.machines[cpu].gic.pending;
        if !pending.contains(&id) {
            pending.push_back(id);
        }
    }

    /// Raises what the timers of a CPU ask for.
    pub(super) fn raise_timers(&mut self, cpu: usize) {
        let machine = &self.machines[cpu];
        let now = machine.clock.now;
        let due = machine.clock.deadline.is_some_and(|at| at <= now);
        let asserted = |control: u64, compare: u64, offset: u64| {
            control & 3 == 1 && now.wrapping_sub(offset) >= compare
        };
        let timers = machine.timers.registers;
        let offset = machine
            .world
            .control
            .map_or(0, |world| world.counter_offset);
        let runs = !self.idle[cpu];
        let virtual_due = runs && asserted(timers.cntv_ctl, timers.cntv_cval, offset);
        let native = machine.timers.physical_timer == machine::PhysicalTimer::Native;
        let physical_due = runs && native && asserted(timers.cntp_ctl, timers.cntp_cval, offset);
        for (id, due) in [
            (HYPERVISOR_TIMER, due),
            (VIRTUAL_TIMER, virtual_due),
            (PHYSICAL_TIMER, physical_due),
        ] {
            if due && !self.machines[cpu].gic.active.contains(&id) {
                self.raise(cpu, id);
            } else {
                // Level-sensitive: what is not asserted any more is not pending.
                self.machines[cpu].gic.pending.retain(|other| *other != id);
            }
        }
    }

    /// Lets a CPU take one pending interrupt; tells whether there was one.
    pub(super) fn interrupt(&mut self, cpu: usize) -> bool {
        self.raise_timers(cpu);
        if !self.started || self.machines[cpu].gic.pending.is_empty() {
            return false;
        }
        if self.idle[cpu] {
            self.on(cpu, |cpu, hw, frame| {
                // As `idle` goes on after its sleep.
                cpu.nobodys_interrupt(hw);
                cpu.run_next(hw, frame);
            });
        } else {
            self.on(cpu, |cpu, hw, frame| {
                if ExitHandler::interrupt(cpu, hw) == Next::Full {
                    cpu.full(hw, frame);
                }
            });
        }
        true
    }

    /// Lets all pending interrupts be taken, until there are none. While a VM is loaded between the
    /// time slices of others, time passes.
    pub(super) fn settle(&mut self) {
        for _ in 0..1000 {
            let mut quiet = true;
            for cpu in 0..self.cpus.len() {
                quiet &= !self.interrupt(cpu);
            }
            if quiet {
                let loading = &self.hypervisor.loading;
                if loading.load(core::sync::atomic::Ordering::SeqCst) == 0 {
                    return;
                }
                self.advance(1_000_000);
            }
        }
        panic!("the machine does not come to rest");
    }

    /// Lets time pass, for all CPUs alike.
    pub(super) fn advance(&mut self, ticks: u64) {
        for machine in &mut self.machines {
            let _ = machine.clock.advance(ticks);
        }
    }

    // What guests do.

    /// Makes a call with HVC; the result is in the frame if the vCPU still runs.
    pub(super) fn hvc(&mut self, cpu: usize, arguments: &[u64]) -> Came {
        self.conduit(cpu, Conduit::Hvc { immediate: 0 }, arguments)
    }

    pub(super) fn conduit(&mut self, cpu: usize, conduit: Conduit, arguments: &[u64]) -> Came {
        self.frames[cpu].x[..arguments.len()].copy_from_slice(arguments);
        self.on(cpu, |cpu, hw, frame| {
            if cpu.call(hw, frame, conduit) == Next::Full {
                cpu.full(hw, frame);
            }
        })
    }

    /// Makes a call that returns; gives x0.
    pub(super) fn call(&mut self, cpu: usize, arguments: &[u64]) -> i64 {
        assert_eq!(self.hvc(cpu, arguments), Came::Back);
        self.frames[cpu].x[0].cast_signed()
    }

    pub(super) fn trap(&mut self, cpu: usize, esr: u64, far: u64, hpfar: u64) -> Came {
        let syndrome = Syndrome { esr, far, hpfar };
        // As the vectors do: the short handlers are asked first, and the vector steps over.
        self.on(cpu, |cpu, hw, frame| {
            let register = match esr >> 26 {
                0x18 => esr >> 5 & 0x1f,
                0x24 if frame.pstate & 0x10 == 0 => esr >> 16 & 0x1f,
                _ => 19,
            };
            let short = match (register, esr >> 26) {
                (19..=28, _) => Short::Refused,
                (_, 0x18) => cpu.register(hw, frame, esr),
                (_, _) => cpu.access(hw, frame, &syndrome),
            };
            if short != Short::Refused {
                frame.pc = frame.pc.wrapping_add(4);
                frame.pstate &= !(3 << 10 | 1 << 21);
            }
            match short {
                Short::Done => {}
                Short::Refused => cpu.trap(hw, frame, &syndrome),
                Short::Full => cpu.full(hw, frame),
            }
        })
    }

    pub(super) fn system_error(&mut self, cpu: usize, esr: u64) -> Came {
        let syndrome = Syndrome {
            esr,
            ..Syndrome::default()
        };
        self.on(cpu, |cpu, hw, frame| cpu.system_error(hw, frame, &syndrome))
    }

    pub(super) fn wfi(&mut self, cpu: usize) -> Came {
        self.trap(cpu, 0x01 << 26 | 1 << 25, 0, 0)
    }

    pub(super) fn wfe(&mut self, cpu: usize) -> Came {
        self.trap(cpu, 0x01 << 26 | 1 << 25 | 1, 0, 0)
    }

    pub(super) fn floating_point(&mut self, cpu: usize) -> Came {
        self.trap(cpu, 0x07 << 26 | 1 << 25, 0, 0)
    }

    /// Loads from or stores to an address that stage 2 does not map, by x9.
    pub(super) fn access(
        &mut self,
        cpu: usize,
        ipa: u64,
        width: Width,
        write: Option<u64>,
    ) -> Access {
        const ISV: u64 = 1 << 24;
        const SF: u64 = 1 << 15;
        let size = u64::from(width.bytes().trailing_zeros()) << 22;
        let direction = u64::from(write.is_some()) << 6;
        let esr = 0x24 << 26 | 1 << 25 | ISV | size | 9 << 16 | SF | direction | 7;
        if let Some(value) = write {
            self.frames[cpu].x[9] = value;
        }
        self.abort(cpu, esr, ipa)
    }

    /// Takes a data abort with this syndrome at this guest-physical address.
    pub(super) fn abort(&mut self, cpu: usize, esr: u64, ipa: u64) -> Access {
        let before = self.running(cpu);
        let pc = self.frames[cpu].pc;
        self.machines[cpu].world.el1.esr_el1 = 0;
        let came = self.trap(cpu, esr, ipa | 0xffff << 48, ipa >> 12 << 4);
        if came == Came::Idle || self.running(cpu) != before {
            return Access::Gone;
        }
        let frame = &self.frames[cpu];
        let el1 = &self.machines[cpu].world.el1;
        match el1.esr_el1 {
            0 if frame.pc == pc => Access::Again,
            0 => {
                assert_eq!(frame.pc, pc + 4);
                Access::Done(frame.x[9])
            }
            esr => {
                assert_eq!((el1.elr_el1, frame.pc), (pc, el1.vbar_el1 + 0x200));
                Access::Abort(esr)
            }
        }
    }

    /// Stores a word; it must be carried out.
    pub(super) fn write(&mut self, cpu: usize, ipa: u64, value: u64) {
        let done = self.access(cpu, ipa, Width::Word, Some(value));
        assert!(matches!(done, Access::Done(_)), "{ipa:#x}: {done:?}");
    }

    /// Loads a word; it must be carried out.
    pub(super) fn read(&mut self, cpu: usize, ipa: u64) -> u64 {
        match self.access(cpu, ipa, Width::Word, None) {
            Access::Done(value) => value,
            other => panic!("{ipa:#x}: {other:?}"),
        }
    }

    /// Executes MRS x9 (`None`) or MSR from x9; the value of x9 afterwards, or `None` if the guest
    /// took an exception.
    pub(super) fn register(&mut self, cpu: usize, id: SysRegId, write: Option<u64>) -> Option<u64> {
        let field = |value: u8, shift: u32| u64::from(value) << shift;
        let iss = field(id.op0(), 20)
            | field(id.op2(), 17)
            | field(id.op1(), 14)
            | field(id.crn(), 10)
            | field(id.crm(), 1)
            | 9 << 5
            | u64::from(write.is_none());
        if let Some(value) = write {
            self.frames[cpu].x[9] = value;
        }
        let pc = self.frames[cpu].pc;
        assert_eq!(self.trap(cpu, 0x18 << 26 | 1 << 25 | iss, 0, 0), Came::Back);
        (self.frames[cpu].pc == pc + 4).then_some(self.frames[cpu].x[9])
    }

    /// Enables all that the tests of interrupts need, on the vCPU that the CPU runs: both groups at
    /// the distributor, the redistributor awake with all of its interrupts in group 1, and the CPU
    /// interface open.
    pub(super) fn enable_interrupts(&mut self, cpu: usize) {
        let index = u64::from(self.running(cpu).unwrap().index.get());
        let redistributor = 0x080a_0000 + index * 0x2_0000;
        self.write(cpu, 0x0800_0000, 0x13);
        self.write(cpu, redistributor + 0x14, 0);
        self.write(cpu, redistributor + 0x1_0080, 0xffff_ffff);
        self.write(cpu, redistributor + 0x1_0100, 0xffff_ffff);
        // VPMR is 0xff, VENG1 is 1.
        self.machines[cpu].interface.machine_control = 0xff << 24 | 1 << 1;
    }

    /// Sends an SGI by ICC_SGI1R_EL1.
    pub(super) fn send_sgi(&mut self, cpu: usize, id: u32, target: u16) {
        let value = u64::from(id) << 24 | 1 << target;
        let done = self.register(cpu, SysRegId::ICC_SGI1R_EL1, Some(value));
        assert!(done.is_some());
    }

    /// Lets the guest acknowledge its pending interrupts; they stay active.
    pub(super) fn acknowledge(&mut self, cpu: usize) -> Vec<u32> {
        let interface = &mut self.machines[cpu].interface;
        let count = interface.count;
        let mut taken = Vec::new();
        for register in &mut interface.list_registers[..count] {
            if *register & LR_STATE == LR_PENDING {
                *register = *register & !LR_STATE | LR_ACTIVE;
                taken.push(u32::try_from(*register & 0xffff_ffff).unwrap());
            }
        }
        taken.sort_unstable();
        taken
    }

    /// Lets the guest end its active interrupts, and the hardware deactivate those with HW.
    pub(super) fn end(&mut self, cpu: usize) {
        let machine = &mut self.machines[cpu];
        let count = machine.interface.count;
        for register in &mut machine.interface.list_registers[..count] {
            if *register & LR_ACTIVE != 0 {
                *register &= !LR_ACTIVE;
                if *register & LR_HW != 0 && *register & LR_STATE == 0 {
                    let physical = u32::try_from(*register >> 32 & 0x3ff).unwrap();
                    assert!(
                        machine.gic.active.remove(&IntId::new(physical)),
                        "{physical} is ended, so it was active"
                    );
                }
            }
        }
    }

    /// Lets the guest take and end its pending interrupts.
    pub(super) fn take_interrupts(&mut self, cpu: usize) -> Vec<u32> {
        let taken = self.acknowledge(cpu);
        self.end(cpu);
        taken
    }

    // What a test asks.

    pub(super) fn vm(&self, vm: u16) -> &'static Arc<Vm> {
        self.hypervisor.vm(VmId::new(vm)).unwrap()
    }

    pub(super) fn vm_state(&self, vm: u16) -> VmState {
        self.vm(vm).life.state().unwrap()
    }

    pub(super) fn state(&self, vm: u16, vcpu: u16) -> VcpuState {
        self.vm(vm).places[usize::from(vcpu)].life.state().unwrap()
    }

    pub(super) fn alive(&self, vm: u16) -> u32 {
        let alive = &self.vm(vm).alive;
        alive.load(core::sync::atomic::Ordering::SeqCst)
    }

    /// Returns the vCPU that a CPU runs.
    pub(super) fn running(&self, cpu: usize) -> Option<VcpuId> {
        self.cpus[cpu].current.as_ref().map(|vcpu| vcpu.id)
    }

    /// Returns the CPU that runs a vCPU.
    pub(super) fn cpu_of(&self, vm: u16, vcpu: u16) -> usize {
        let wanted = Some(id(vm, vcpu));
        (0..self.cpus.len())
            .find(|cpu| self.running(*cpu) == wanted)
            .unwrap_or_else(|| panic!("{wanted:?} does not run"))
    }

    /// Returns what all CPUs have written to the console since the last time.
    pub(super) fn output(&mut self) -> String {
        let mut all = Vec::new();
        for machine in &mut self.machines {
            all.append(&mut machine.console.output);
        }
        String::from_utf8(all).unwrap()
    }

    pub(super) fn machine_is_off(&self) -> bool {
        self.machines.iter().any(|machine| machine.power.off != 0)
    }

    /// Returns `size` bytes of a VM's memory.
    pub(super) fn guest_bytes(&self, vm: u16, ipa: Ipa, size: u64) -> Vec<u8> {
        let (pa, _) = self.vm(vm).translate(ipa).unwrap();
        let memory = self.machines[0].memory.borrow();
        memory.bytes(pa, size).unwrap().to_vec()
    }

    /// Turns a vCPU on from the one that a CPU runs, and lets everything come to rest.
    pub(super) fn cpu_on(&mut self, cpu: usize, target: u16) {
        let entry = self.entry(self.running(cpu).unwrap().vm.get());
        assert_eq!(
            self.call(cpu, &[0xc400_0003, u64::from(target), entry, 0]),
            0
        );
        self.settle();
    }

    pub(super) fn entry(&self, vm: u16) -> u64 {
        self.vm(vm).images.entry.get()
    }

    /// Checks what holds between any two exits.
    pub(super) fn check(&self) {
        let queues = format!("{:?}", *self.hypervisor.scheduler.lock());
        let mut live = 0;
        for vm in &self.hypervisor.vms {
            let mut on = 0;
            for (index, place) in (0..).zip(&vm.places) {
                let id = id(vm.id.get(), index);
                let state = place.life.state().unwrap();
                let lies = usize::from(place.vcpu.lock().is_some());
                let runs = (0..self.cpus.len())
                    .filter(|cpu| self.running(*cpu) == Some(id))
                    .count();
                let queued = queues.matches(&format!("{id:?}")).count();
                assert_eq!(lies + runs, 1, "{id} is in one place: {state:?}");
                assert_eq!(runs == 1, state == VcpuState::Running, "{id} {state:?}");
                assert_eq!(queued == 1, state == VcpuState::Ready, "{id} {state:?}");
                assert!(queued <= 1);
                on += u32::from(state != VcpuState::Off);
            }
            assert_eq!(on, vm.alive.load(core::sync::atomic::Ordering::SeqCst));
            let state = vm.life.state().unwrap();
            live += u32::from(!matches!(state, VmState::Off | VmState::Crashed));
        }
        let counted = self
            .hypervisor
            .live
            .load(core::sync::atomic::Ordering::SeqCst);
        assert_eq!(counted, live, "VMs that have not ended");
        for cpu in 0..self.cpus.len() {
            self.check_linked(cpu);
        }
    }

    /// Checks that the timers' physical interrupts are active for the vCPU that waits for them, and
    /// for nobody else.
    fn check_linked(&self, cpu: usize) {
        let gic = &self.machines[cpu].gic;
        let linked = self.cpus[cpu]
            .current
            .as_ref()
            .map(|vcpu| vcpu.interrupts.linked_physical())
            .unwrap_or_default();
        for id in [VIRTUAL_TIMER, PHYSICAL_TIMER] {
            if gic.active.contains(&id) {
                assert!(linked.contains(id), "CPU {cpu}: nobody ends {id}");
            } else if linked.contains(id) {
                let interface = &self.machines[cpu].interface;
                let number = u64::from(id.get());
                let held = interface.list_registers[..interface.count]
                    .iter()
                    .any(|value| {
                        value & LR_STATE != 0 && value & LR_HW != 0 && value >> 32 & 0x3ff == number
                    });
                assert!(!held, "CPU {cpu}: {id} is active for the guest only");
            }
        }
        for id in [KICK, MAINTENANCE, HYPERVISOR_TIMER, CONSOLE] {
            assert!(!gic.active.contains(&id), "CPU {cpu}: {id} stays active");
        }
        assert!(gic.running.is_empty(), "CPU {cpu}: {:?}", gic.running);
    }

    /// Checks what holds when everything has come to rest: nobody sleeps through what was posted or
    /// waits while a CPU is free, and nothing is half ended.
    pub(super) fn check_rest(&self) {
        self.check();
        let now = self.machines[0].clock.now;
        for vm in &self.hypervisor.vms {
            let state = vm.life.state().unwrap();
            let steady = matches!(state, VmState::Off | VmState::Running | VmState::Crashed);
            assert!(steady, "{}: {state:?}", vm.name);
            let runs = state == VmState::Running;
            assert_eq!(
                runs,
                vm.alive.load(core::sync::atomic::Ordering::SeqCst) != 0
            );
            for (index, place) in (0_u16..).zip(&vm.places) {
                if place.life.is(VcpuState::Waiting) {
                    let lying = place.vcpu.lock();
                    let vcpu = lying.as_ref().unwrap();
                    let gic = vm.gic.lock();
                    assert!(place.mailbox.is_empty(), "{index} sleeps with mail");
                    assert!(!vcpu.interrupts.has_deliverable(&gic.distributor));
                    assert_ne!(vcpu.timers.wake_deadline(now), vtimer::Deadline::Reached);
                }
            }
        }
        let off = self
            .hypervisor
            .live
            .load(core::sync::atomic::Ordering::SeqCst)
            == 0;
        assert_eq!(off, self.machine_is_off());
    }
}

pub(super) fn id(vm: u16, vcpu: u16) -> VcpuId {
    VcpuId {
        vm: VmId::new(vm),
        index: VcpuIndex::new(vcpu),
    }
}

/// The disk's name in the archive.
pub(super) const DISK: &str = "disk";

/// A disk of 1 MiB and 5 sectors.
pub(super) fn disk_image() -> Vec<u8> {
    let pattern = |place: u32| (place ^ place >> 9 ^ place >> 17).to_le_bytes()[0];
    (0..(2048 + 5) * 512).map(pattern).collect()
}

fn archive(guests: &[Guest]) -> &'static [u8] {
    let describe = |guest: &Guest| VmDescription {
        name: guest.name.into(),
        vcpus: guest.vcpus,
        memory: VM_MEMORY,
        kernel: Kernel {
            file: "kernel".into(),
            format: KernelFormat::Flat,
        },
        initrd: None,
        cmdline: "console=ttyAMA0".into(),
        pinning: match &guest.pins {
            None => Pinning::Floating,
            Some(cpus) => Pinning::Fixed(cpus.iter().copied().map(CpuId::new).collect()),
        },
        devices: guest.devices.clone(),
        spis: 64,
        warm_reset: guest.warm_reset,
    };
    let description = Description {
        vms: guests.iter().map(describe).collect(),
    };
    let mut kernel = vec![0; 0x1_1000];
    kernel[..4].copy_from_slice(&KERNEL_BYTES);
    let mut writer = Writer::new();
    let manifest = manifest::to_dtb(&description);
    writer.file(manifest::FILE_NAME, 0o644, &manifest).unwrap();
    writer.file("kernel", 0o644, &kernel).unwrap();
    writer.file(DISK, 0o644, &disk_image()).unwrap();
    Vec::leak(writer.finish())
}
