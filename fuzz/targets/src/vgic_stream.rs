//! The interrupt controller: what guests, devices and the scheduler do to it, without any manners.

use crate::input::Input;
use addr::{IntId, Mpidr, VcpuIndex, Width};
use interface::{FakeInterface, SPURIOUS};
use machine::VirtualCpuInterface;
use std::collections::BTreeSet;
use vgic::{
    Config, Distributor, DistributorRead, Effects, Level, ListRegister, Participation,
    PrivateDelivery, PrivateSet, RedistributorRegion, SgiRegister, VcpuInterrupts, VcpuSet, sgi,
};

#[path = "../../../crates/vgic/tests/common/mod.rs"]
#[allow(dead_code, missing_docs, reason = "the fake of vgic's own tests")]
mod interface;

const WIDTHS: [Width; 4] = [Width::Byte, Width::Half, Width::Word, Width::Double];
const TIMER: u32 = 27;
const PPI: u32 = 20;
const GICR_STRIDE: u64 = vgic::REDISTRIBUTOR_STRIDE;

/// How often one call may touch list registers: each of 16 a few times.
const MOST_REGISTER_USES: usize = 512;

/// Runs a stream of operations on a VM of 1 to 4 vCPUs.
///
/// # Panics
/// If an interrupt is in two list registers, a maintenance interrupt has no end, or one call does
/// too much.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mut vm = Vm::new(&mut input);
    for _ in 0..600 {
        if input.is_empty() {
            break;
        }
        vm.step(&mut input);
        vm.check();
    }
    vm.drain_all();
    vm.check();
}

struct Vm {
    distributor: Distributor,
    region: RedistributorRegion,
    vcpus: Vec<Vcpu>,
    kicked: VcpuSet,
}

struct Vcpu {
    state: VcpuInterrupts,
    hw: FakeInterface,
    resident: bool,
    /// Whether the timer's physical interrupt is active on its behalf.
    physical: bool,
    /// What the guest has acknowledged and not ended.
    running: Vec<u32>,
}

impl Vm {
    fn new(input: &mut Input<'_>) -> Self {
        let count = u16::from(input.byte() & 3) + 1;
        let spi_count = input.of(&[64, 32, 0, 96, 988]);
        let config = Config {
            spi_count,
            vcpu_count: count,
        };
        let mut vm = Self {
            distributor: Distributor::new(config).expect("a valid configuration"),
            region: RedistributorRegion::new(count),
            vcpus: Vec::new(),
            kicked: VcpuSet::EMPTY,
        };
        let registers = 1 + input.below(16);
        for index in 0..count {
            let mut hw = FakeInterface::new(registers);
            hw.guest_enables();
            let mut vcpu = Vcpu {
                state: VcpuInterrupts::new(VcpuIndex::new(index)),
                hw,
                resident: true,
                physical: false,
                running: Vec::new(),
            };
            assert!(vcpu.state.load(&mut vm.distributor, &mut vcpu.hw).is_none());
            vcpu.hw.guest_enables();
            vm.vcpus.push(vcpu);
        }
        if input.flag() {
            vm.enable_all();
        }
        vm
    }

    /// What a well-behaved guest does first.
    fn enable_all(&mut self) {
        self.write(0, 0, Width::Word, 3);
        for word in 1..3 {
            self.write(0, 0x80 + 4 * word, Width::Word, u64::MAX);
            self.write(0, 0x100 + 4 * word, Width::Word, u64::MAX);
        }
        for vcpu in 0..self.vcpus.len() {
            for offset in [0x1_0080, 0x1_0100] {
                self.write_private(vcpu, offset, Width::Word, u64::MAX);
            }
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let operation = input.byte();
        let vcpu = usize::from(operation >> 6) % self.vcpus.len();
        match operation & 0x3f {
            0..=7 => self.line(input),
            // What follows only a vCPU does that runs; another one is brought to its CPU.
            _ if !self.vcpus[vcpu].resident => self.load(vcpu, input),
            8..=13 => {
                let (offset, width) = distributor_place(input);
                self.read(vcpu, offset, width);
            }
            14..=23 => {
                let (offset, width) = distributor_place(input);
                let value = input.value();
                self.write(vcpu, offset, width, value);
            }
            24..=27 => {
                let (offset, width) = redistributor_place(input);
                self.read_private(vcpu, offset, width, input);
            }
            28..=33 => {
                let (offset, width) = redistributor_place(input);
                let value = input.value();
                self.write_private(vcpu, offset, width, value);
            }
            34..=37 => self.send(vcpu, input),
            38..=43 => self.acknowledge(vcpu),
            44..=48 => self.end(vcpu, input),
            49..=51 => self.timer(vcpu),
            52 | 53 => self.ppi_line(vcpu, input),
            54 => self.maintain(vcpu),
            55 | 56 => self.interface(vcpu, input),
            57 | 58 => self.save(vcpu),
            59 => self.participation(vcpu, input),
            60 => self.withdraw(vcpu, input),
            61 => self.reset(vcpu, input),
            _ => self.drain_all(),
        }
    }

    fn line(&mut self, input: &mut Input<'_>) {
        let id = IntId::new(interrupt(input));
        let level = if input.flag() {
            Level::High
        } else {
            Level::Low
        };
        let effects = self.distributor.set_line(id, level);
        self.apply(0, effects);
    }

    fn read(&mut self, vcpu: usize, offset: u64, width: Width) {
        for _ in 0..4 {
            let running = &mut self.vcpus[vcpu];
            running.hw.register_uses.set(0);
            let read = running.state.read_distributor(
                &mut self.distributor,
                offset,
                width,
                &mut running.hw,
            );
            match read {
                DistributorRead::Value(value) => {
                    assert_eq!(value & !width.mask(), 0, "GICD+{offset:#x}");
                    return;
                }
                DistributorRead::Again(effects) => {
                    self.apply(vcpu, effects);
                    self.drain_all();
                }
            }
        }
        panic!("the read of GICD+{offset:#x} never ends");
    }

    fn write(&mut self, vcpu: usize, offset: u64, width: Width, value: u64) {
        let effects = self.on(vcpu, |state, distributor, hw| {
            state.write_distributor(distributor, offset, width, value, hw)
        });
        self.apply(vcpu, effects);
    }

    fn read_private(&mut self, vcpu: usize, offset: u64, width: Width, input: &mut Input<'_>) {
        let place = if input.flag() {
            vcpu as u64 * GICR_STRIDE + offset
        } else {
            input.value()
        };
        let Some(frame) = self.region.locate(place) else {
            return;
        };
        assert!(frame.vcpu.index() < self.vcpus.len());
        if let Some(value) = self.region.read_constant(frame, width) {
            assert_eq!(value & !width.mask(), 0, "GICR+{offset:#x}");
        } else {
            // Carried out by its owner, or by the caller if the owner is at rest.
            let value = self.on(frame.vcpu.index(), |state, _, hw| {
                state.read_redistributor(frame.offset, width, hw)
            });
            assert_eq!(value & !width.mask(), 0, "GICR+{offset:#x}");
        }
    }

    fn write_private(&mut self, vcpu: usize, offset: u64, width: Width, value: u64) {
        let written = self.on(vcpu, |state, _, hw| {
            state.write_redistributor(offset, width, value, hw)
        });
        self.deactivate(vcpu, written.deactivate);
        self.finish(vcpu, written.delivery);
    }

    fn send(&mut self, vcpu: usize, input: &mut Input<'_>) {
        let register = input.of(&[SgiRegister::Sgi1, SgiRegister::Sgi0, SgiRegister::Asgi1]);
        let value = if input.flag() {
            u64::from(input.byte() & 0xf) << 24 | u64::from(input.byte())
        } else {
            input.value()
        };
        let request = sgi::decode(register, value);
        let count = self.vcpus.len();
        let sender = VcpuIndex::new(vcpu as u16);
        let targets: Vec<VcpuIndex> = request.targets(sender, count as u16).collect();
        assert!(targets.len() <= count);
        for target in targets {
            assert!(target.index() < count);
            self.vcpus[target.index()]
                .state
                .pend_sgis(request.mailbox_bit());
            self.deliver_private(target.index());
        }
    }

    fn acknowledge(&mut self, vcpu: usize) {
        let vcpu = &mut self.vcpus[vcpu];
        let id = vcpu.hw.acknowledge();
        if id != SPURIOUS {
            vcpu.running.push(id);
        }
    }

    fn end(&mut self, vcpu: usize, input: &mut Input<'_>) {
        let any = input.byte();
        let guest = &mut self.vcpus[vcpu];
        let id = match (any & 7, guest.running.pop()) {
            (0, _) | (_, None) => interrupt(input),
            (_, Some(id)) => id,
        };
        if any & 8 == 0 {
            guest.hw.eoi(id);
        } else if guest.hw.vmcr & (1 << 9) != 0 {
            guest.hw.deactivate(id);
        }
        self.collect(vcpu);
    }

    /// The timer fires, which it can't while its interrupt is active.
    fn timer(&mut self, vcpu: usize) {
        if self.vcpus[vcpu].physical {
            return;
        }
        self.vcpus[vcpu].physical = true;
        let timer = IntId::new(TIMER);
        let owed = self.vcpus[vcpu].state.inject_hardware_ppi(timer, timer);
        self.deactivate(vcpu, owed);
        self.deliver_private(vcpu);
    }

    fn ppi_line(&mut self, vcpu: usize, input: &mut Input<'_>) {
        let level = if input.flag() {
            Level::High
        } else {
            Level::Low
        };
        self.vcpus[vcpu].state.set_ppi_line(IntId::new(PPI), level);
        self.deliver_private(vcpu);
    }

    /// Takes maintenance interrupts while they are asserted; they must stop.
    fn maintain(&mut self, vcpu: usize) {
        self.collect(vcpu);
        for _ in 0..3 {
            let effects = self.on(vcpu, |state, distributor, hw| {
                state.maintain(distributor, hw)
            });
            self.apply(vcpu, effects);
            if self.vcpus[vcpu].hw.maintenance_status() == 0 {
                return;
            }
        }
        panic!("maintenance of vCPU {vcpu} without end");
    }

    /// The guest writes its own CPU interface, which does not exit.
    fn interface(&mut self, vcpu: usize, input: &mut Input<'_>) {
        // VPMR, VBPR0, VBPR1, VEOIM, VCBPR, VENG1, VENG0.
        const WRITABLE: u32 = 0xff << 24 | 7 << 21 | 7 << 18 | 1 << 9 | 1 << 4 | 3;
        self.vcpus[vcpu].hw.vmcr = input.word() & WRITABLE;
    }

    fn save(&mut self, vcpu: usize) {
        let effects = self.on(vcpu, |state, distributor, hw| state.save(distributor, hw));
        self.vcpus[vcpu].resident = false;
        assert_eq!(self.vcpus[vcpu].hw.in_use(), 0);
        self.collect(vcpu);
        self.apply(vcpu, effects);
    }

    fn load(&mut self, vcpu: usize, input: &mut Input<'_>) {
        let count = 1 + input.below(16);
        self.vcpus[vcpu].hw = FakeInterface::new(count);
        self.vcpus[vcpu].resident = true;
        let effects = self.on(vcpu, |state, distributor, hw| state.load(distributor, hw));
        self.apply(vcpu, effects);
    }

    fn participation(&mut self, vcpu: usize, input: &mut Input<'_>) {
        let participation = if input.flag() {
            Participation::Yes
        } else {
            Participation::No
        };
        let index = VcpuIndex::new(vcpu as u16);
        let effects = self.distributor.set_participation(index, participation);
        self.apply(vcpu, effects);
    }

    /// Takes a pending timer interrupt back, as is done when a vCPU is loaded.
    fn withdraw(&mut self, vcpu: usize, input: &mut Input<'_>) {
        self.save(vcpu);
        let owed = self.vcpus[vcpu]
            .state
            .withdraw_hardware_ppi(IntId::new(TIMER));
        self.deactivate(vcpu, owed);
        self.load(vcpu, input);
    }

    /// Resets one vCPU's CPU interface, or the whole VM.
    fn reset(&mut self, vcpu: usize, input: &mut Input<'_>) {
        self.save(vcpu);
        if input.byte() & 3 != 0 {
            self.vcpus[vcpu].state.reset_interface();
            return;
        }
        for index in 0..self.vcpus.len() {
            if self.vcpus[index].resident {
                self.save(index);
            }
            let owed = self.vcpus[index].state.reset();
            self.deactivate(index, owed);
            self.vcpus[index].running.clear();
            assert!(!self.vcpus[index].physical, "nobody ends the timer");
        }
        self.distributor.reset();
        self.kicked = VcpuSet::EMPTY;
    }

    fn deliver_private(&mut self, vcpu: usize) {
        let delivery = self.on(vcpu, |state, _, hw| state.deliver_private(hw));
        self.finish(vcpu, delivery);
    }

    fn finish(&mut self, vcpu: usize, delivery: PrivateDelivery) {
        if delivery == PrivateDelivery::NeedsDistributor {
            let effects = self.on(vcpu, |state, distributor, hw| {
                state.deliver(distributor, hw)
            });
            self.apply(vcpu, effects);
        }
    }

    /// Calls the model for a vCPU, and bounds what it does.
    fn on<T>(
        &mut self,
        vcpu: usize,
        call: impl FnOnce(&mut VcpuInterrupts, &mut Distributor, &mut FakeInterface) -> T,
    ) -> T {
        self.collect(vcpu);
        let owner = &mut self.vcpus[vcpu];
        owner.hw.register_uses.set(0);
        let result = call(&mut owner.state, &mut self.distributor, &mut owner.hw);
        let uses = owner.hw.register_uses.get();
        assert!(uses <= MOST_REGISTER_USES, "{uses} uses of list registers");
        result
    }

    fn apply(&mut self, source: usize, effects: Effects) {
        self.deactivate(source, effects.deactivate);
        self.kicked.extend(&effects.kick);
    }

    fn drain_all(&mut self) {
        for _ in 0..10 {
            for index in core::mem::take(&mut self.kicked).iter() {
                assert!(index.index() < self.vcpus.len(), "a kick for nobody");
                let effects = self.on(index.index(), |state, distributor, hw| {
                    state.deliver(distributor, hw)
                });
                self.apply(index.index(), effects);
            }
        }
        assert!(self.kicked.is_empty(), "kicks without end");
        self.check_routes();
    }

    /// Checks that what waits in list registers waits where the guest wants it, once everybody has
    /// looked. What is active stays where it was acknowledged.
    fn check_routes(&mut self) {
        const ROUTERS: u64 = 0x6000;
        const ANY: u64 = 1 << 31;
        for (index, vcpu) in self.vcpus.iter().enumerate() {
            for slot in 0..vcpu.hw.list_register_count() {
                let value = ListRegister::from_register(vcpu.hw.list_register(slot));
                let id = value.id();
                if !value.is_pending() || value.is_active() || !id.is_spi() {
                    continue;
                }
                let offset = ROUTERS + 8 * u64::from(id.get());
                let route = self.distributor.read(offset, Width::Double);
                let target = Mpidr::from_register(route).vcpu();
                let here = target.is_some_and(|target| target.index() == index);
                assert!(
                    here || route & ANY != 0,
                    "{id} waits at {index}, its route is {route:#x}"
                );
            }
        }
    }

    /// Takes note of what the guest's ends deactivated.
    fn collect(&mut self, vcpu: usize) {
        for id in core::mem::take(&mut self.vcpus[vcpu].hw.deactivated) {
            self.deactivate(vcpu, PrivateSet::from_bits(1 << id));
        }
    }

    fn deactivate(&mut self, vcpu: usize, set: PrivateSet) {
        for id in set.iter() {
            assert_eq!(id.get(), TIMER, "never activated");
            assert!(self.vcpus[vcpu].physical, "deactivated twice");
            self.vcpus[vcpu].physical = false;
        }
    }

    fn check(&mut self) {
        let mut shared = BTreeSet::new();
        for (index, vcpu) in self.vcpus.iter_mut().enumerate() {
            let mut own = BTreeSet::new();
            for slot in 0..vcpu.hw.list_register_count() {
                let value = ListRegister::from_register(vcpu.hw.list_register(slot));
                let id = value.id().get();
                if value.is_empty() {
                    continue;
                }
                assert!(id < 1020, "INTID {id}");
                assert!(own.insert(id), "INTID {id} is twice at vCPU {index}");
                assert!(id < 32 || shared.insert(id), "INTID {id} is at two vCPUs");
            }
            let linked = vcpu.state.linked_physical();
            assert_eq!(linked.bits() & !(1 << TIMER), 0);
            if vcpu.physical {
                assert!(linked.contains(IntId::new(TIMER)), "nobody ends the timer");
            }
            if !vcpu.resident {
                let _ = vcpu.state.has_deliverable(&self.distributor);
            }
        }
    }
}

fn interrupt(input: &mut Input<'_>) -> u32 {
    match input.below(4) {
        0 => u32::from(input.half()),
        1 => 32 + u32::from(input.byte()),
        _ => 32 + u32::from(input.byte() & 7),
    }
}

fn distributor_place(input: &mut Input<'_>) -> (u64, Width) {
    // ISENABLER and its like, IPRIORITYR, ICFGR, IROUTER, and everything else.
    let offset = match input.below(8) {
        0 => u64::from(input.half()),
        1 => input.value(),
        2 => u64::from(input.byte() & 0x7f),
        3 => 0x400 + u64::from(input.half() & 0x3ff),
        4 => 0x6100 + 8 * u64::from(input.byte() & 15) + u64::from(input.byte() & 4),
        5 => 0xc00 + 4 * u64::from(input.byte() & 15),
        _ => 0x80 + 0x80 * u64::from(input.byte() & 7) + 4 * u64::from(input.byte() & 3),
    };
    (offset, width(input))
}

fn redistributor_place(input: &mut Input<'_>) -> (u64, Width) {
    let offset = match input.below(6) {
        0 => u64::from(input.word()) % GICR_STRIDE,
        1 => u64::from(input.byte() & 0x7f),
        2 => 0x1_0400 + u64::from(input.byte() & 31),
        3 => 0x1_0c00 + 4 * u64::from(input.byte() & 1),
        _ => 0x1_0080 + 0x80 * u64::from(input.byte() & 7),
    };
    (offset, width(input))
}

fn width(input: &mut Input<'_>) -> Width {
    input.of(&[
        Width::Word,
        Width::Word,
        WIDTHS[0],
        WIDTHS[1],
        WIDTHS[3],
        Width::Word,
    ])
}

/// Makes streams in which every operation occurs.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    [(1, 3), (2, 1), (4, 15)]
        .iter()
        .map(|(vcpus, registers): &(u8, u8)| {
            let mut bytes = vec![vcpus - 1, 0, *registers, 1];
            for operation in 0..=255_u8 {
                bytes.extend([operation, 2, operation & 7, 2, 0, 0xff]);
            }
            bytes
        })
        .collect()
}
