//! Random streams of what guests, devices and the scheduler do, against a small reference model
//! that is written from the specification and knows nothing of list registers.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    clippy::panic
)]
#![allow(dead_code, reason = "each test crate uses a part of the fake")]

mod common;

use addr::{IntId, VcpuIndex, Width};
use common::{FakeInterface, SPURIOUS};
use machine::VirtualCpuInterface;
use proptest::prelude::*;
use std::collections::BTreeMap;
use vgic::{
    Config, Distributor, DistributorRead, Effects, Level, PrivateDelivery, SgiGroup,
    VcpuInterrupts, VcpuSet,
};

const VCPUS: usize = 3;
const TIMER: u32 = 27;
const PPI: u32 = 20;
const SGI_FRAME: u64 = 0x1_0000;
/// The interrupts that take part: 14, so that 16 list registers always suffice.
const PRIVATE: u32 = 0b1111 | 1 << PPI | 1 << TIMER;
const SPIS: [u32; 8] = [32, 33, 34, 35, 36, 37, 64, 95];

/// A register with one bit to an interrupt, and its offset.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Bits {
    Group,
    Enable,
    Disable,
    Pend,
    Unpend,
    Activate,
    Deactivate,
}

impl Bits {
    fn offset(self) -> u64 {
        match self {
            Self::Group => 0x080,
            Self::Enable => 0x100,
            Self::Disable => 0x180,
            Self::Pend => 0x200,
            Self::Unpend => 0x280,
            Self::Activate => 0x300,
            Self::Deactivate => 0x380,
        }
    }
}

#[derive(Clone, Debug)]
enum Op {
    Write(usize, Bits, u32, u32),
    Edge(usize, u32, u32),
    Priority(usize, u32, u8),
    Route(usize, u32, u16),
    Line(u32, bool),
    PpiLine(usize, bool),
    Sgi(usize, u32, bool),
    Timer(usize),
    Acknowledge(usize),
    End(usize),
    Control(usize, u32),
    Mask(usize, u8),
    Groups(usize, u32),
    Move(usize, usize),
    Save(usize),
    Maintenance(usize),
    Read(usize, u32),
}

#[derive(Clone, Debug, Default)]
struct Interrupt {
    latch: bool,
    line: bool,
    active: bool,
    enabled: bool,
    edge: bool,
    group1: bool,
    priority: u8,
    /// Acknowledged and not ended, in contrast to made active by a write.
    acknowledged: bool,
}

impl Interrupt {
    fn pending(&self) -> bool {
        self.latch || (self.line && !self.edge)
    }

    fn set_line(&mut self, high: bool) {
        self.latch |= high && self.edge && !self.line;
        self.line = high;
    }
}

/// One interrupt of the reference: private ones are those of a vCPU.
type Name = (usize, u32);

fn name(vcpu: usize, id: u32) -> Name {
    (if id < 32 { vcpu } else { 0 }, id)
}

#[derive(Default)]
struct Reference {
    interrupts: BTreeMap<Name, Interrupt>,
    routes: BTreeMap<u32, u16>,
    control: u32,
    masks: [u8; VCPUS],
    groups: [u32; VCPUS],
    running: [Vec<(u32, u8)>; VCPUS],
}

impl Reference {
    fn of(&mut self, vcpu: usize, id: u32) -> &mut Interrupt {
        self.interrupts.get_mut(&name(vcpu, id)).unwrap()
    }

    /// Returns the interrupts of highest priority that are signaled to a vCPU.
    fn signaled(&self, vcpu: usize) -> Vec<(u32, u32)> {
        let running = self.running[vcpu]
            .last()
            .map_or(0x100, |top| u32::from(top.1));
        let limit = running.min(u32::from(self.masks[vcpu]));
        let all: Vec<(u32, u32)> = (self.interrupts.iter())
            .filter(|((owner, id), _)| match self.routes.get(id) {
                Some(target) => usize::from(*target) == vcpu,
                None => *owner == vcpu,
            })
            .filter(|(_, i)| i.pending() && !i.active && i.enabled)
            .filter(|(_, i)| self.control & self.groups[vcpu] & (1 << u32::from(i.group1)) != 0)
            .map(|((_, id), i)| (*id, u32::from(i.priority)))
            .filter(|(_, priority)| *priority < limit)
            .collect();
        let best = all.iter().map(|(_, priority)| *priority).min();
        all.into_iter()
            .filter(|(_, priority)| Some(*priority) == best)
            .collect()
    }

    fn word(&self, vcpu: usize, word: u32, test: impl Fn(&Interrupt) -> bool) -> u32 {
        (0..32)
            .filter(|n| {
                let of = self.interrupts.get(&name(vcpu, word * 32 + n));
                of.is_some_and(&test)
            })
            .fold(0, |bits, n| bits | 1 << n)
    }

    fn write(&mut self, vcpu: usize, bits: Bits, word: u32, value: u32) {
        for n in 0..32 {
            let Some(i) = self.interrupts.get_mut(&name(vcpu, word * 32 + n)) else {
                continue;
            };
            let set = value & 1 << n != 0;
            match bits {
                Bits::Group => i.group1 = set,
                Bits::Enable => i.enabled |= set,
                Bits::Disable => i.enabled &= !set,
                Bits::Pend => i.latch |= set,
                Bits::Unpend => i.latch &= !set,
                Bits::Activate => i.active |= set,
                Bits::Deactivate => i.active &= !set,
            }
        }
    }
}

struct World {
    reference: Reference,
    distributor: Distributor,
    vcpus: Vec<(VcpuInterrupts, FakeInterface)>,
    resident: [bool; VCPUS],
    /// Whether the physical timer interrupt is active on each vCPU's behalf.
    physical: [bool; VCPUS],
    list_registers: usize,
    kicks: Kicks,
    /// The vCPUs whose kick is under way.
    kicked: VcpuSet,
}

/// When a kicked vCPU comes round to look.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kicks {
    AtOnce,
    Late,
}

impl World {
    fn new(list_registers: usize, kicks: Kicks) -> Self {
        let config = Config {
            spi_count: 64,
            vcpu_count: VCPUS as u16,
        };
        let mut reference = Reference {
            masks: [0xff; VCPUS],
            groups: [3; VCPUS],
            ..Reference::default()
        };
        for vcpu in 0..VCPUS {
            for id in (0..32).filter(|id| PRIVATE & 1 << id != 0) {
                let edge = id < 16;
                let interrupt = Interrupt {
                    edge,
                    ..Interrupt::default()
                };
                reference.interrupts.insert((vcpu, id), interrupt);
            }
        }
        for id in SPIS {
            reference.interrupts.insert((0, id), Interrupt::default());
            reference.routes.insert(id, 0);
        }
        let new = |index| {
            let vcpu = VcpuInterrupts::new(VcpuIndex::new(index));
            (vcpu, FakeInterface::new(list_registers))
        };
        let mut world = Self {
            reference,
            distributor: Distributor::new(config).unwrap(),
            vcpus: (0..VCPUS as u16).map(new).collect(),
            resident: [true; VCPUS],
            physical: [false; VCPUS],
            list_registers,
            kicks,
            kicked: VcpuSet::EMPTY,
        };
        for (vcpu, hw) in &mut world.vcpus {
            assert!(vcpu.load(&mut world.distributor, hw).is_none());
            hw.guest_enables();
        }
        // Most streams should have something to take.
        for vcpu in 0..VCPUS {
            world.step(&Op::Write(vcpu, Bits::Enable, 0, PRIVATE));
            world.step(&Op::Write(vcpu, Bits::Group, 0, PRIVATE & !0b10));
        }
        for word in 1..3 {
            world.step(&Op::Write(0, Bits::Enable, word, u32::MAX));
            world.step(&Op::Write(0, Bits::Group, word, !0b10));
        }
        world.step(&Op::Control(0, 3));
        world
    }

    fn apply(&mut self, source: usize, effects: Effects) {
        self.ended(source, effects.deactivate.bits());
        self.kicked.extend(&effects.kick);
        if self.kicks == Kicks::AtOnce {
            self.drain_all();
        }
    }

    fn drain_all(&mut self) {
        for _ in 0..10 {
            for index in self.kicked.iter() {
                self.drain(index.index());
            }
        }
        assert!(self.kicked.is_empty(), "kicks without end");
    }

    fn drain(&mut self, vcpu: usize) {
        let index = VcpuIndex::new(vcpu as u16);
        if self.kicked.contains(index) {
            self.kicked.remove(index);
            let (state, hw) = &mut self.vcpus[vcpu];
            let more = state.deliver(&mut self.distributor, hw);
            self.ended(vcpu, more.deactivate.bits());
            self.kicked.extend(&more.kick);
        }
    }

    fn ended(&mut self, vcpu: usize, deactivated: u32) {
        assert_eq!(deactivated & !(1 << TIMER), 0);
        if deactivated != 0 {
            assert!(self.physical[vcpu], "deactivated twice");
            self.physical[vcpu] = false;
        }
    }

    fn write(&mut self, vcpu: usize, offset: u64, width: Width, value: u64) {
        let (state, hw) = &mut self.vcpus[vcpu];
        let effects = state.write_distributor(&mut self.distributor, offset, width, value, hw);
        self.apply(vcpu, effects);
    }

    fn write_private(&mut self, vcpu: usize, offset: u64, width: Width, value: u64) {
        let (state, hw) = &mut self.vcpus[vcpu];
        let written = state.write_redistributor(SGI_FRAME + offset, width, value, hw);
        self.ended(vcpu, written.deactivate.bits());
        self.finish(vcpu, written.delivery);
    }

    fn deliver_private(&mut self, vcpu: usize) {
        let (state, hw) = &mut self.vcpus[vcpu];
        let delivery = state.deliver_private(hw);
        self.finish(vcpu, delivery);
    }

    fn finish(&mut self, vcpu: usize, delivery: PrivateDelivery) {
        if delivery == PrivateDelivery::NeedsDistributor {
            let (state, hw) = &mut self.vcpus[vcpu];
            let effects = state.deliver(&mut self.distributor, hw);
            self.apply(vcpu, effects);
        }
    }

    fn read(&mut self, vcpu: usize, offset: u64, word: u32) -> u32 {
        let offset = offset + 4 * u64::from(word);
        let (state, hw) = &mut self.vcpus[vcpu];
        if word == 0 {
            return state.read_redistributor(SGI_FRAME + offset, Width::Word, hw) as u32;
        }
        for _ in 0..3 {
            let (state, hw) = &mut self.vcpus[vcpu];
            match state.read_distributor(&mut self.distributor, offset, Width::Word, hw) {
                DistributorRead::Value(value) => return value as u32,
                DistributorRead::Again(effects) => {
                    self.apply(vcpu, effects);
                    self.drain_all();
                }
            }
        }
        panic!("the read of {offset:#x} never ends");
    }

    fn save(&mut self, vcpu: usize) {
        let (state, hw) = &mut self.vcpus[vcpu];
        let effects = state.save(&mut self.distributor, hw);
        assert_eq!(hw.in_use(), 0);
        self.resident[vcpu] = false;
        self.collect(vcpu);
        self.apply(vcpu, effects);
        let linked = self.vcpus[vcpu].0.linked_physical();
        assert_eq!(
            linked.bits() != 0,
            self.physical[vcpu],
            "physical active state"
        );
    }

    /// Takes note of what hardware deactivated.
    fn collect(&mut self, vcpu: usize) {
        for id in std::mem::take(&mut self.vcpus[vcpu].1.deactivated) {
            self.ended(vcpu, 1 << id);
        }
    }

    fn step(&mut self, op: &Op) {
        match *op {
            Op::Move(vcpu, list_registers) => {
                self.save(vcpu);
                self.vcpus[vcpu].1 =
                    FakeInterface::new(1 + list_registers % self.list_registers.min(16));
                if self.list_registers == 16 {
                    self.vcpus[vcpu].1 = FakeInterface::new(16);
                }
                let (state, hw) = &mut self.vcpus[vcpu];
                let effects = state.load(&mut self.distributor, hw);
                self.resident[vcpu] = true;
                self.apply(vcpu, effects);
            }
            Op::Line(id, high) => {
                self.reference.of(0, id).set_line(high);
                let level = if high { Level::High } else { Level::Low };
                let effects = self.distributor.set_line(IntId::new(id), level);
                self.apply(0, effects);
            }
            Op::PpiLine(vcpu, high) => {
                self.reference.of(vcpu, PPI).set_line(high);
                let level = if high { Level::High } else { Level::Low };
                self.vcpus[vcpu].0.set_ppi_line(IntId::new(PPI), level);
                self.deliver_private(vcpu);
            }
            Op::Sgi(vcpu, id, group1) => {
                let interrupt = self.reference.of(vcpu, id);
                interrupt.latch |= interrupt.group1 == group1;
                let group = if group1 {
                    SgiGroup::Group1
                } else {
                    SgiGroup::Group0
                };
                self.vcpus[vcpu].0.pend_sgi(IntId::new(id), group);
                self.deliver_private(vcpu);
            }
            // What follows only a vCPU does that runs.
            Op::Write(vcpu, ..)
            | Op::Edge(vcpu, ..)
            | Op::Priority(vcpu, ..)
            | Op::Route(vcpu, ..)
            | Op::Timer(vcpu)
            | Op::Acknowledge(vcpu)
            | Op::End(vcpu)
            | Op::Control(vcpu, _)
            | Op::Mask(vcpu, _)
            | Op::Groups(vcpu, _)
            | Op::Save(vcpu)
            | Op::Maintenance(vcpu)
            | Op::Read(vcpu, _) => {
                if self.resident[vcpu] {
                    self.step_running(vcpu, op);
                }
            }
        }
        for vcpu in 0..VCPUS {
            self.settle(vcpu);
        }
        for vcpu in 0..VCPUS {
            if self.kicked.is_empty() {
                self.compare(vcpu);
            }
        }
    }

    fn step_running(&mut self, vcpu: usize, op: &Op) {
        match *op {
            Op::Write(_, bits, word, value) => self.write_bits(vcpu, bits, word, value),
            Op::Edge(_, word, value) => self.write_edges(vcpu, word, value),
            Op::Priority(_, id, priority) => {
                self.reference.of(vcpu, id).priority = priority & 0xf8;
                let offset = 0x400 + u64::from(id);
                if id < 32 {
                    self.write_private(vcpu, offset, Width::Byte, u64::from(priority));
                } else {
                    self.write(vcpu, offset, Width::Byte, u64::from(priority));
                }
            }
            Op::Route(_, id, target) => {
                self.reference.routes.insert(id, target);
                let offset = 0x6000 + 8 * u64::from(id);
                self.write(vcpu, offset, Width::Double, u64::from(target));
            }
            Op::Timer(_) => {
                if !self.physical[vcpu] {
                    self.physical[vcpu] = true;
                    self.reference.of(vcpu, TIMER).latch = true;
                    let timer = IntId::new(TIMER);
                    let (state, _) = &mut self.vcpus[vcpu];
                    assert!(state.inject_hardware_ppi(timer, timer).is_empty());
                    self.deliver_private(vcpu);
                }
            }
            Op::Acknowledge(_) => {
                self.drain(vcpu);
                self.acknowledge(vcpu);
            }
            Op::End(_) => {
                // A write to ISACTIVER that races with the end may come after it.
                self.drain(vcpu);
                if let Some((id, _)) = self.reference.running[vcpu].pop() {
                    self.reference.of(vcpu, id).active = false;
                    self.reference.of(vcpu, id).acknowledged = false;
                    self.vcpus[vcpu].1.eoi(id);
                }
            }
            Op::Control(_, value) => {
                self.reference.control = value;
                self.write(vcpu, 0, Width::Word, u64::from(value));
            }
            Op::Mask(_, mask) => {
                self.reference.masks[vcpu] = mask & 0xf8;
                let vmcr = &mut self.vcpus[vcpu].1.vmcr;
                *vmcr = (*vmcr & 0xff_ffff) | u32::from(mask & 0xf8) << 24;
            }
            Op::Groups(_, groups) => {
                self.reference.groups[vcpu] = groups;
                let vmcr = &mut self.vcpus[vcpu].1.vmcr;
                *vmcr = (*vmcr & !3) | groups;
            }
            Op::Save(_) => self.save(vcpu),
            Op::Maintenance(_) => {
                let (state, hw) = &mut self.vcpus[vcpu];
                let effects = state.maintain(&mut self.distributor, hw);
                self.apply(vcpu, effects);
            }
            Op::Read(_, word) => {
                self.drain_all();
                let pending = self.reference.word(vcpu, word, Interrupt::pending);
                assert_eq!(self.read(vcpu, 0x200, word), pending, "ISPENDR{word}");
                let active = self.reference.word(vcpu, word, |i| i.active);
                assert_eq!(self.read(vcpu, 0x300, word), active, "ISACTIVER{word}");
                let enabled = self.reference.word(vcpu, word, |i| i.enabled);
                assert_eq!(self.read(vcpu, 0x180, word), enabled, "ICENABLER{word}");
            }
            Op::Move(..) | Op::Line(..) | Op::PpiLine(..) | Op::Sgi(..) => {}
        }
    }

    fn write_bits(&mut self, vcpu: usize, bits: Bits, word: u32, value: u32) {
        let exist = self.reference.word(vcpu, word, |_| true);
        let acknowledged = self.reference.word(vcpu, word, |i| i.acknowledged);
        let value = exist
            & match bits {
                // With too few list registers, hardware counts ends without saying whose; the
                // model then can't tell those of writes from those of acknowledges.
                Bits::Activate if self.list_registers < 16 => 0,
                // The guest would end what is not active.
                Bits::Deactivate => value & !acknowledged,
                _ => value,
            };
        self.reference.write(vcpu, bits, word, value);
        let offset = bits.offset() + 4 * u64::from(word);
        if word == 0 {
            self.write_private(vcpu, offset, Width::Word, u64::from(value));
        } else {
            self.write(vcpu, offset, Width::Word, u64::from(value));
        }
    }

    /// Writes ICFGR for the first 16 interrupts of a word, or of the PPIs.
    fn write_edges(&mut self, vcpu: usize, word: u32, value: u32) {
        let first = if word == 0 { 16 } else { word * 32 };
        for n in 0..16 {
            if let Some(i) = self.reference.interrupts.get_mut(&name(vcpu, first + n)) {
                i.edge = value & 2 << (2 * n) != 0;
            }
        }
        let offset = 0xc00 + u64::from(first / 4);
        if word == 0 {
            self.write_private(vcpu, offset, Width::Word, u64::from(value));
        } else {
            self.write(vcpu, offset, Width::Word, u64::from(value));
        }
    }

    fn acknowledge(&mut self, vcpu: usize) {
        let id = self.vcpus[vcpu].1.acknowledge();
        if id != SPURIOUS {
            let mine = self.reference.routes.get(&id).copied();
            assert!(mine.is_none_or(|target| usize::from(target) == vcpu));
            let interrupt = self.reference.of(vcpu, id);
            assert!(interrupt.pending() && interrupt.enabled && !interrupt.active);
            interrupt.latch = false;
            interrupt.active = true;
            interrupt.acknowledged = true;
            let priority = interrupt.priority;
            self.reference.running[vcpu].push((id, priority));
        }
    }

    /// Takes maintenance interrupts while they are asserted; they must stop.
    fn settle(&mut self, vcpu: usize) {
        self.collect(vcpu);
        if !self.resident[vcpu] {
            return;
        }
        for _ in 0..3 {
            if self.vcpus[vcpu].1.maintenance_status() == 0 {
                return;
            }
            let (state, hw) = &mut self.vcpus[vcpu];
            let effects = state.maintain(&mut self.distributor, hw);
            self.apply(vcpu, effects);
        }
        panic!("maintenance without end");
    }

    fn compare(&mut self, vcpu: usize) {
        let timer = self.reference.of(vcpu, TIMER);
        if self.physical[vcpu] {
            assert!(
                timer.pending() || timer.active,
                "an orphan physical interrupt"
            );
        }
        let signaled = self.reference.signaled(vcpu);
        if !self.resident[vcpu] {
            let wakes = self.vcpus[vcpu].0.has_deliverable(&self.distributor);
            assert_eq!(wakes, !signaled.is_empty(), "WFI of vCPU {vcpu}");
            return;
        }
        match self.vcpus[vcpu].1.signaled() {
            Some(seen) => assert!(signaled.contains(&seen), "{seen:?}, not of {signaled:?}"),
            None => assert_eq!(signaled, [], "not signaled to vCPU {vcpu}"),
        }
        // No interrupt is twice in list registers, of one vCPU or of several.
        for id in SPIS {
            assert!(self.vcpus.iter().filter(|(_, hw)| hw.holds(id)).count() <= 1);
        }
    }
}

fn op() -> impl Strategy<Value = Op> {
    let vcpu = || 0..VCPUS;
    let word = || 0..3u32;
    let spi = || prop::sample::select(&SPIS[..]);
    let bits = prop::sample::select(
        &[
            Bits::Group,
            Bits::Enable,
            Bits::Disable,
            Bits::Pend,
            Bits::Unpend,
            Bits::Activate,
            Bits::Deactivate,
        ][..],
    );
    let any_id = prop_oneof![0..4u32, Just(PPI), Just(TIMER), spi()];
    prop_oneof![
        4 => (vcpu(), bits, word(), any::<u32>(), any::<u32>())
            .prop_map(|(v, b, w, x, y)| Op::Write(v, b, w, x & y)),
        2 => (vcpu(), Just(Bits::Enable), word(), any::<u32>())
            .prop_map(|(v, b, w, x)| Op::Write(v, b, w, x)),
        1 => (vcpu(), word(), any::<u32>()).prop_map(|(v, w, x)| Op::Edge(v, w, x)),
        3 => (vcpu(), any_id, any::<u8>()).prop_map(|(v, i, p)| Op::Priority(v, i, p)),
        2 => (vcpu(), spi(), 0..VCPUS as u16 + 1).prop_map(|(v, i, t)| Op::Route(v, i, t)),
        6 => (spi(), any::<bool>()).prop_map(|(i, h)| Op::Line(i, h)),
        2 => (vcpu(), any::<bool>()).prop_map(|(v, h)| Op::PpiLine(v, h)),
        3 => (vcpu(), 0..4u32, any::<bool>()).prop_map(|(v, i, g)| Op::Sgi(v, i, g)),
        3 => vcpu().prop_map(Op::Timer),
        8 => vcpu().prop_map(Op::Acknowledge),
        6 => vcpu().prop_map(Op::End),
        1 => (vcpu(), 0..4u32).prop_map(|(v, c)| Op::Control(v, c)),
        1 => (vcpu(), any::<u8>()).prop_map(|(v, m)| Op::Mask(v, m | 0x80)),
        1 => (vcpu(), 0..4u32).prop_map(|(v, g)| Op::Groups(v, g)),
        2 => (vcpu(), 0..16usize).prop_map(|(v, n)| Op::Move(v, n)),
        1 => vcpu().prop_map(Op::Save),
        1 => vcpu().prop_map(Op::Maintenance),
        3 => (vcpu(), word()).prop_map(|(v, w)| Op::Read(v, w)),
    ]
}

fn run(list_registers: usize, kicks: Kicks, ops: &[Op]) {
    let mut world = World::new(list_registers, kicks);
    for op in ops {
        world.step(op);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn guests_see_what_the_specification_says(ops in prop::collection::vec(op(), 1..120)) {
        run(16, Kicks::AtOnce, &ops);
    }

    #[test]
    fn e5_few_list_registers_make_no_difference(
        list_registers in 1usize..5,
        ops in prop::collection::vec(op(), 1..120),
    ) {
        run(list_registers, Kicks::AtOnce, &ops);
    }

    #[test]
    fn late_kicks_end_in_the_same_state(
        list_registers in prop::sample::select(&[1usize, 2, 4, 16][..]),
        ops in prop::collection::vec(op(), 1..120),
    ) {
        run(list_registers, Kicks::Late, &ops);
    }
}
