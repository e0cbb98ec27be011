//! The whole hypervisor on a fake machine: guests do anything that makes an exit.

use crate::input::Input;
use addr::{CpuId, IntId, Pa, PaRange};
use archive::Writer;
use hypervisor::{BootInput, Cpu, Hypervisor, Interrupts, boot};
use id_registers::HostIdRegisters;
use machine::{Conduit, ExitHandler, Frame, Next, PhysicalTimer, Syndrome};
use machine_fakes::FakeMachine;
use manifest::{
    Description, Device, Kernel, KernelFormat, Pinning, VmDescription, WarmReset, to_dtb,
};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::OnceLock;

const KICK: IntId = IntId::new(15);
const MAINTENANCE: IntId = IntId::new(25);
const HYPERVISOR_TIMER: IntId = IntId::new(26);
const VIRTUAL_TIMER: IntId = IntId::new(27);
const PHYSICAL_TIMER: IntId = IntId::new(30);
const CONSOLE: IntId = IntId::new(33);

const RAM_START: u64 = 0x8000_0000;
const GUEST_RAM: u64 = 0x4000_0000;
const VM_MEMORY: u64 = 4 << 20;

const LR_PENDING: u64 = 1 << 62;
const LR_ACTIVE: u64 = 1 << 63;
const LR_HW: u64 = 1 << 61;

/// Most changes to hardware that one exit may make.
const MOST_CALLS: usize = 2_000;

/// Runs a stream of exits on a machine that the first byte chooses.
///
/// # Panics
/// If the hypervisor panics, does too much in one exit, misuses the interrupt controller, or never
/// comes to rest.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mut system = System::new(&SYSTEMS[input.below(SYSTEMS.len())], &mut input);
    for cpu in 0..system.cpus.len() {
        system.first(cpu);
    }
    system.settle();
    for _ in 0..400 {
        if input.is_empty() || system.is_off() {
            break;
        }
        system.step(&mut input);
    }
    system.settle();
    system.release();
}

/// A machine and its VMs.
struct Shape {
    cpus: u16,
    /// The vCPUs of each VM, and what a warm reset means to it.
    vms: &'static [(u16, WarmReset)],
    archive: OnceLock<Vec<u8>>,
}

static SYSTEMS: [Shape; 4] = [
    shape(2, &[(2, WarmReset::Reset)]),
    shape(1, &[(2, WarmReset::Crash), (1, WarmReset::Reset)]),
    shape(2, &[(3, WarmReset::Reset), (1, WarmReset::Crash)]),
    shape(1, &[(1, WarmReset::Crash)]),
];

const fn shape(cpus: u16, vms: &'static [(u16, WarmReset)]) -> Shape {
    Shape {
        cpus,
        vms,
        archive: OnceLock::new(),
    }
}

impl Shape {
    fn archive(&'static self) -> &'static [u8] {
        self.archive.get_or_init(|| {
            let vm = |(index, (vcpus, warm_reset)): (usize, &(u16, WarmReset))| VmDescription {
                name: format!("vm{index}"),
                vcpus: *vcpus,
                memory: VM_MEMORY,
                kernel: Kernel {
                    file: "kernel".into(),
                    format: KernelFormat::Flat,
                },
                initrd: None,
                cmdline: String::new(),
                pinning: Pinning::Floating,
                devices: vec![Device::Pl011, Device::Pvpanic, Device::Pl031],
                spis: 64,
                warm_reset: *warm_reset,
            };
            let vms = self.vms.iter().enumerate().map(vm).collect();
            let mut writer = Writer::new();
            let made = writer
                .file(manifest::FILE_NAME, 0o644, &to_dtb(&Description { vms }))
                .and_then(|()| writer.file("kernel", 0o644, &[0xd5; 64]));
            assert_eq!(made, Ok(()));
            writer.finish()
        })
    }
}

/// What the sleep of a CPU unwinds with.
struct Asleep;

thread_local! {
    /// How often a CPU may still sleep before the stream goes on elsewhere.
    static SLEEPS: Cell<u32> = const { Cell::new(0) };
}

fn sleep() {
    let left = SLEEPS.get();
    if left == 0 {
        resume_unwind(Box::new(Asleep));
    }
    SLEEPS.set(left - 1);
}

struct System {
    hypervisor: &'static Hypervisor,
    cpus: Vec<Cpu>,
    machines: Vec<FakeMachine>,
    #[expect(clippy::vec_box, reason = "the role swaps the boxes")]
    frames: Vec<Box<Frame>>,
    idle: Vec<bool>,
}

impl System {
    fn new(shape: &'static Shape, input: &mut Input<'_>) -> Self {
        let settings = input.byte();
        let mut first = FakeMachine::new(CpuId::new(0));
        if settings & 1 != 0 {
            first.timers.physical_timer = PhysicalTimer::Native;
        }
        let count = shape.vms.len() as u64;
        let ram = VM_MEMORY * count + (1 << 20);
        let ram = PaRange::new(Pa::new(RAM_START), ram).expect("a constant");
        first.memory.borrow_mut().add(ram);
        let mut machines = vec![first];
        for cpu in 1..shape.cpus {
            let mut other = machines[0].sibling(CpuId::new(cpu));
            other.timers.physical_timer = machines[0].timers.physical_timer;
            machines.push(other);
        }
        for machine in &mut machines {
            machine.power.on_wait = Some(sleep);
            machine.clock.now = 1_000_000;
            machine.interface.count = [4, 1, 2, 16][usize::from(settings >> 1 & 3)];
        }
        let seed = [7; 48];
        let hypervisor: &'static Hypervisor = boot(
            &mut machines[0],
            &BootInput {
                archive: shape.archive(),
                ram: &[ram],
                reserved: &[],
                cpus: usize::from(shape.cpus),
                host: &HostIdRegisters::from_fn(|_| 0x1111_1111_1111_1112),
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
                seed: if settings & 8 == 0 { &seed } else { &[] },
                epoch: 0,
            },
        )
        .expect("a valid archive");
        Self {
            hypervisor,
            cpus: (0..shape.cpus)
                .map(|cpu| *Cpu::new(CpuId::new(cpu), hypervisor))
                .collect(),
            frames: machines.iter().map(|_| Box::default()).collect(),
            idle: vec![true; machines.len()],
            machines,
        }
    }

    /// Gives the machine's memory back: real ones run for ever, but thousands of streams do not fit.
    fn release(self) {
        let Self {
            hypervisor, cpus, ..
        } = self;
        drop(cpus);
        hypervisor.release_vcpus();
        let leaked = core::ptr::from_ref(hypervisor).cast_mut();
        // SAFETY: `boot` made it with `Box::leak`, once for each system. The CPUs, which alone had
        // copies of the reference, are gone, and this one is not used again.
        #[expect(unsafe_code, reason = "there is no other way back from `Box::leak`")]
        drop(unsafe { Box::from_raw(leaked) });
    }

    fn is_off(&self) -> bool {
        self.machines.iter().any(|machine| machine.power.off != 0)
    }

    /// Runs a handler on a CPU, which may end in its sleep.
    fn on(
        &mut self,
        cpu: usize,
        handler: impl FnOnce(&mut Cpu, &mut FakeMachine, &mut Box<Frame>),
    ) {
        let (role, machine) = (&mut self.cpus[cpu], &mut self.machines[cpu]);
        let frame = &mut self.frames[cpu];
        machine.calls.clear();
        let result = catch_unwind(AssertUnwindSafe(|| handler(role, machine, frame)));
        self.idle[cpu] = match result {
            Ok(()) => false,
            Err(payload) if payload.is::<Asleep>() => true,
            Err(payload) => resume_unwind(payload),
        };
        let calls = self.machines[cpu].calls.len();
        assert!(calls <= MOST_CALLS, "{calls} changes in one exit");
        for from in 0..self.machines.len() {
            self.machines[from].console.output.clear();
            self.machines[from].firmware.calls.clear();
            for to in core::mem::take(&mut self.machines[from].gic.kicks) {
                self.raise(to.index(), KICK);
            }
        }
        self.machines[0].memory.borrow_mut().published.clear();
        let gic = &self.machines[cpu].gic;
        for id in [KICK, MAINTENANCE, HYPERVISOR_TIMER, CONSOLE] {
            assert!(!gic.active.contains(&id), "CPU {cpu}: {id} stays active");
        }
        assert!(gic.running.is_empty(), "CPU {cpu}: {:?}", gic.running);
    }

    /// Lets a CPU look for a vCPU; it may sleep `SLEEPS` times.
    fn first(&mut self, cpu: usize) {
        self.on(cpu, |cpu, hw, frame| *frame = cpu.first(hw));
    }

    fn raise(&mut self, cpu: usize, id: IntId) {
        let machine = &mut self.machines[cpu];
        if !machine.gic.pending.contains(&id) && !machine.gic.active.contains(&id) {
            machine.gic.pending.push_back(id);
        }
    }

    /// Raises what the timers of a CPU ask for.
    fn raise_timers(&mut self, cpu: usize) {
        let machine = &self.machines[cpu];
        let now = machine.clock.now;
        let offset = machine
            .world
            .control
            .map_or(0, |world| world.counter_offset);
        let runs = !self.idle[cpu];
        let asserted = |control: u64, compare: u64| {
            runs && control & 3 == 1 && now.wrapping_sub(offset) >= compare
        };
        let timers = machine.timers.registers;
        let native = machine.timers.physical_timer == PhysicalTimer::Native;
        for (id, due) in [
            (
                HYPERVISOR_TIMER,
                machine.clock.deadline.is_some_and(|at| at <= now),
            ),
            (VIRTUAL_TIMER, asserted(timers.cntv_ctl, timers.cntv_cval)),
            (
                PHYSICAL_TIMER,
                native && asserted(timers.cntp_ctl, timers.cntp_cval),
            ),
        ] {
            if due {
                self.raise(cpu, id);
            } else {
                // Level-sensitive: what is not asserted any more is not pending.
                self.machines[cpu].gic.pending.retain(|other| *other != id);
            }
        }
    }

    /// Lets a CPU take one pending interrupt; tells whether there was one.
    fn interrupt(&mut self, cpu: usize) -> bool {
        self.raise_timers(cpu);
        if self.machines[cpu].gic.pending.is_empty() {
            return false;
        }
        if self.idle[cpu] {
            SLEEPS.set(1);
            self.first(cpu);
            SLEEPS.set(0);
        } else {
            self.on(cpu, |cpu, hw, frame| {
                if ExitHandler::interrupt(cpu, hw) == Next::Full {
                    cpu.full(hw, frame);
                }
            });
        }
        true
    }

    /// Lets all interrupts be taken; they must end.
    fn settle(&mut self) {
        let mut busy = 0;
        while self.interrupt_all() {
            busy += 1;
            if busy % 64 == 0 {
                // A VM may be loaded between the time slices of others.
                self.advance(1_000_000);
            }
            assert!(busy < 4_000, "the machine does not come to rest");
        }
    }

    /// Lets each CPU take one interrupt; tells whether any had one.
    fn interrupt_all(&mut self) -> bool {
        let taken = (0..self.cpus.len()).filter(|cpu| self.interrupt(*cpu));
        taken.count() != 0
    }

    fn advance(&mut self, ticks: u64) {
        for machine in &mut self.machines {
            // A counter of 64 bits does not wrap in the machine's life.
            let room = (u64::MAX >> 1).saturating_sub(machine.clock.now);
            let _ = machine.clock.advance(ticks.min(room));
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let operation = input.byte();
        let cpu = usize::from(operation >> 7) % self.cpus.len();
        match operation & 0x1f {
            0 => self.settle(),
            1 => {
                let id = input.of(&[KICK, MAINTENANCE, CONSOLE, HYPERVISOR_TIMER, IntId::new(77)]);
                self.raise(cpu, id);
            }
            2 => self.advance(input.value()),
            3 => {
                let typed = input.byte();
                self.machines[cpu].console.input.push_back(typed);
                self.raise(cpu, CONSOLE);
            }
            4..=6 => {
                self.interrupt(cpu);
            }
            // What follows a guest does.
            _ if self.idle[cpu] => {
                self.interrupt(cpu);
            }
            7..=12 => self.call(cpu, input),
            13..=19 => self.access(cpu, input),
            20..=23 => self.register(cpu, input),
            24 => self.trap(cpu, input),
            25 | 26 => {
                // WFI, WFE, WFIT and WFET.
                let kind = u64::from(input.byte() & 3);
                self.exit(cpu, 0x01 << 26 | 1 << 25 | kind, 0, 0);
            }
            27 => self.take_interrupts(cpu, input),
            28 => self.silent_registers(cpu, input),
            29 => self.general_registers(cpu, input),
            30 => self.exit(cpu, 0x07 << 26 | 1 << 25, 0, 0),
            _ => {
                if input.byte() == 0 {
                    let esr = input.value();
                    let syndrome = Syndrome {
                        esr,
                        ..Syndrome::default()
                    };
                    self.on(cpu, |cpu, hw, frame| cpu.system_error(hw, frame, &syndrome));
                }
            }
        }
    }

    /// HVC or SMC with any registers; function ids mostly of services that exist.
    fn call(&mut self, cpu: usize, input: &mut Input<'_>) {
        let id = match input.below(8) {
            0 => input.value(),
            1 => 0x8000_0000 | u64::from(input.half()),
            2 => 0x8400_0050 | u64::from(input.byte() & 0x4f) | u64::from(input.byte() & 1) << 30,
            3 => 0x8600_ff00 | u64::from(input.byte() & 3),
            _ => 0x8400_0000 | u64::from(input.byte() & 0x1f) | u64::from(input.byte() & 1) << 30,
        };
        let argument = |input: &mut Input<'_>| match input.below(4) {
            0 => input.value(),
            1 => u64::from(input.byte() & 3),
            2 => GUEST_RAM + u64::from(input.word()) % VM_MEMORY,
            _ => 0x8400_0000 | u64::from(input.byte() & 0x1f),
        };
        let x = &mut self.frames[cpu].x;
        x[0] = id;
        for register in &mut x[1..4] {
            *register = argument(input);
        }
        let kind = input.byte();
        let immediate = if kind & 0xf0 == 0xf0 { input.half() } else { 0 };
        let conduit = if kind & 1 == 0 {
            Conduit::Hvc { immediate }
        } else {
            Conduit::Smc { immediate }
        };
        self.on(cpu, |cpu, hw, frame| {
            if cpu.call(hw, frame, conduit) == Next::Full {
                cpu.full(hw, frame);
            }
        });
    }

    /// A data abort, mostly one that a device could answer.
    fn access(&mut self, cpu: usize, input: &mut Input<'_>) {
        let ipa = match input.below(8) {
            0 => input.value(),
            1 => GUEST_RAM + u64::from(input.word()) % VM_MEMORY,
            2 => 0x0900_0000 + u64::from(input.byte()),
            3 => 0x090d_0000 + u64::from(input.byte() & 3),
            4 => 0x0800_0000 + u64::from(input.half()),
            5 => 0x0800_0080 + 0x80 * u64::from(input.byte() & 7) + 4 * u64::from(input.byte() & 3),
            6 => 0x080a_0000 + u64::from(input.word() & 0x7_ffff),
            _ => {
                let frame = 0x080b_0000 + 0x2_0000 * u64::from(input.byte() & 3);
                frame + 0x80 + 0x80 * u64::from(input.byte() & 7)
            }
        };
        let flags = input.half();
        let odd = flags & 0xf000 == 0xf000;
        let esr = if odd {
            0x24 << 26 | u64::from(input.word()) & 0x3ff_ffff
        } else {
            let size = u64::from(flags & 3).min(2) << 22;
            let direction = u64::from(flags >> 2 & 1) << 6;
            let register = u64::from(flags >> 3 & 31) << 16;
            let extension = u64::from(flags >> 8 & 3) << 20 & 1 << 21;
            0x24 << 26 | 1 << 25 | 1 << 24 | size | direction | register | extension | 7
        };
        let register = usize::from(flags >> 3 & 31);
        if flags & 4 != 0 && register < 31 {
            self.frames[cpu].x[register] = input.value();
        }
        let hpfar = (ipa & 0xf_ffff_ffff_f000) >> 12 << 4;
        self.exit(cpu, esr, ipa | 0xffff << 48, hpfar);
    }

    /// MRS or MSR, mostly of registers that are trapped on purpose.
    fn register(&mut self, cpu: usize, input: &mut Input<'_>) {
        // op0, op1, CRn, CRm and op2 as they stand in the ISS.
        let iss = |op0: u64, op1: u64, n: u64, m: u64, op2: u64| {
            op0 << 20 | op2 << 17 | op1 << 14 | n << 10 | m << 1
        };
        let id = match input.below(8) {
            0 | 1 => u64::from(input.word()) & 0x3f_fc1e,
            2 => iss(3, 0, 12, 11, 5 + u64::from(input.byte() % 3)),
            3 => iss(3, 3, 14, 2, u64::from(input.byte() % 3)),
            4 => iss(
                3,
                0,
                0,
                u64::from(input.byte() & 7),
                u64::from(input.byte() & 7),
            ),
            5 => iss(
                2,
                0,
                u64::from(input.byte() & 1),
                u64::from(input.byte() & 15),
                2,
            ),
            6 => iss(
                3,
                3,
                9,
                12 + u64::from(input.byte() & 3),
                u64::from(input.byte() & 7),
            ),
            _ => iss(
                3,
                0,
                12,
                u64::from(input.byte() & 15),
                u64::from(input.byte() & 7),
            ),
        };
        let operand = input.byte();
        let register = usize::from(operand & 31);
        if register < 31 {
            self.frames[cpu].x[register] = input.value();
        }
        let read = u64::from(operand >> 7);
        let esr = 0x18 << 26 | 1 << 25 | id | (register as u64) << 5 | read;
        self.exit(cpu, esr, 0, 0);
    }

    /// Any other synchronous exit: the vectors pass all of them on but calls.
    fn trap(&mut self, cpu: usize, input: &mut Input<'_>) {
        let class = u64::from(input.byte() & 0x3f);
        let esr = class << 26 | u64::from(input.word()) & 0x3ff_ffff;
        let far = input.value();
        let hpfar = input.value() & 0xfff_ffff_fff0;
        self.exit(cpu, esr, far, hpfar);
    }

    fn exit(&mut self, cpu: usize, esr: u64, far: u64, hpfar: u64) {
        let syndrome = Syndrome { esr, far, hpfar };
        self.on(cpu, |cpu, hw, frame| cpu.trap(hw, frame, &syndrome));
    }

    /// The guest acknowledges what is pending and ends what is active.
    fn take_interrupts(&mut self, cpu: usize, input: &mut Input<'_>) {
        let machine = &mut self.machines[cpu];
        let count = machine.interface.count;
        let both = input.flag();
        for register in &mut machine.interface.list_registers[..count] {
            if *register & LR_ACTIVE != 0 {
                *register &= !LR_ACTIVE;
                if *register & LR_HW != 0 {
                    let physical = u32::try_from(*register >> 32 & 0x3ff).expect("10 bits");
                    machine.gic.active.remove(&IntId::new(physical));
                }
            } else if *register & LR_PENDING != 0 && both {
                *register = *register & !LR_PENDING | LR_ACTIVE;
            }
        }
    }

    /// The guest writes registers that don't trap.
    fn silent_registers(&mut self, cpu: usize, input: &mut Input<'_>) {
        let machine = &mut self.machines[cpu];
        let value = input.value();
        let timers = &mut machine.timers.registers;
        match input.below(8) {
            0 => timers.cntv_ctl = value & 3,
            1 => timers.cntv_cval = value,
            2 => timers.cntp_ctl = value & 3,
            3 => timers.cntp_cval = value,
            4 => machine.interface.machine_control = input.word(),
            5 => machine.interface.machine_control = 0xff << 24 | 3,
            6 => machine.world.el1.vbar_el1 = value & !0x7ff,
            _ => machine.world.el1.sctlr_el1 = value,
        }
    }

    fn general_registers(&mut self, cpu: usize, input: &mut Input<'_>) {
        let value = input.value();
        let frame = &mut self.frames[cpu];
        match input.below(4) {
            0 => frame.pc = value,
            // AArch64, EL0 or EL1: what hardware lets a guest have.
            1 => frame.pstate = value & 0xf000_03c0 | [0, 4, 5][input.below(3)],
            _ => frame.x[usize::from(input.byte()) % 31] = value,
        }
    }
}

/// Makes streams in which everything occurs on each machine.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    // CPU_ON of vCPU 1, then every operation with quiet arguments.
    let cpu_on = [7, 4, 3, 1, 1, 1, 2, 0, 0, 8, 0, 1, 7, 0, 0];
    (0..8)
        .map(|system: u8| {
            let mut bytes = vec![system, system];
            bytes.extend(cpu_on);
            for operation in 0..64_u8 {
                let cpu = (operation & 1) << 7;
                bytes.extend([
                    (operation % 31) | cpu,
                    operation & 7,
                    operation,
                    3,
                    4,
                    5,
                    0,
                    0,
                ]);
            }
            bytes
        })
        .collect()
}
