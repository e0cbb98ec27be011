//! What a guest sees of its interrupts, with a fake CPU interface in the place of hardware.
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
use vgic::{
    Config, Distributor, DistributorRead, Effects, Level, Participation, PrivateDelivery,
    RedistributorRegion, VcpuInterrupts, VcpuSet, sgi,
};

const SGI_FRAME: u64 = 0x1_0000;
const TIMER: IntId = IntId::new(27);

/// A VM whose vCPUs each have a CPU of their own; kicks are handled at once.
struct Machine {
    distributor: Distributor,
    vcpus: Vec<(VcpuInterrupts, FakeInterface)>,
    kicks: usize,
    deactivated: u32,
}

impl Machine {
    fn new(vcpus: u16, list_registers: usize) -> Self {
        let config = Config {
            spi_count: 988,
            vcpu_count: vcpus,
        };
        let mut machine = Self {
            distributor: Distributor::new(config).unwrap(),
            vcpus: (0..vcpus)
                .map(|index| {
                    let vcpu = VcpuInterrupts::new(VcpuIndex::new(index));
                    (vcpu, FakeInterface::new(list_registers))
                })
                .collect(),
            kicks: 0,
            deactivated: 0,
        };
        for (vcpu, hw) in &mut machine.vcpus {
            assert!(vcpu.load(&mut machine.distributor, hw).is_none());
            hw.guest_enables();
        }
        machine.write(0, 0x0, 3);
        for vcpu in 0..usize::from(vcpus) {
            machine.write_private(vcpu, 0x080, u32::MAX);
            machine.write_private(vcpu, 0x100, u32::MAX);
        }
        for word in 1..32 {
            machine.write(0, 0x080 + 4 * word, u32::MAX);
        }
        machine.kicks = 0;
        machine
    }

    fn apply(&mut self, effects: Effects) {
        let mut todo = effects.kick;
        self.deactivated |= effects.deactivate.bits();
        for _ in 0..10 {
            let now = std::mem::replace(&mut todo, VcpuSet::EMPTY);
            for index in now.iter() {
                self.kicks += 1;
                let (vcpu, hw) = &mut self.vcpus[index.index()];
                let more = vcpu.deliver(&mut self.distributor, hw);
                self.deactivated |= more.deactivate.bits();
                todo.extend(&more.kick);
            }
        }
        assert!(todo.is_empty(), "kicks without end");
    }

    fn write_wide(&mut self, vcpu: usize, offset: u64, width: Width, value: u64) {
        let (state, hw) = &mut self.vcpus[vcpu];
        let effects = state.write_distributor(&mut self.distributor, offset, width, value, hw);
        assert!(!effects.kick.contains(VcpuIndex::new(vcpu as u16)));
        self.apply(effects);
    }

    fn write(&mut self, vcpu: usize, offset: u64, value: u32) {
        self.write_wide(vcpu, offset, Width::Word, u64::from(value));
    }

    fn read(&mut self, vcpu: usize, offset: u64) -> u32 {
        for _ in 0..3 {
            let (state, hw) = &mut self.vcpus[vcpu];
            match state.read_distributor(&mut self.distributor, offset, Width::Word, hw) {
                DistributorRead::Value(value) => return value as u32,
                DistributorRead::Again(effects) => self.apply(effects),
            }
        }
        panic!("the read of {offset:#x} never ends");
    }

    fn finish(&mut self, vcpu: usize, delivery: PrivateDelivery) {
        if delivery == PrivateDelivery::NeedsDistributor {
            let (state, hw) = &mut self.vcpus[vcpu];
            let effects = state.deliver(&mut self.distributor, hw);
            self.apply(effects);
        }
    }

    fn write_private(&mut self, vcpu: usize, offset: u64, value: u32) {
        let (state, hw) = &mut self.vcpus[vcpu];
        let value = u64::from(value);
        let written = state.write_redistributor(SGI_FRAME + offset, Width::Word, value, hw);
        self.deactivated |= written.deactivate.bits();
        self.finish(vcpu, written.delivery);
    }

    fn read_private(&mut self, vcpu: usize, offset: u64) -> u32 {
        let (state, hw) = &mut self.vcpus[vcpu];
        state.read_redistributor(SGI_FRAME + offset, Width::Word, hw) as u32
    }

    fn priority(&mut self, vcpu: usize, id: u32, priority: u64) {
        let (state, hw) = &mut self.vcpus[vcpu];
        let offset = 0x400 + u64::from(id);
        if id < 32 {
            let written = state.write_redistributor(SGI_FRAME + offset, Width::Byte, priority, hw);
            self.finish(vcpu, written.delivery);
        } else {
            self.write_wide(vcpu, offset, Width::Byte, priority);
        }
    }

    fn line(&mut self, id: u32, level: Level) {
        let effects = self.distributor.set_line(IntId::new(id), level);
        self.apply(effects);
    }

    fn sgi(&mut self, vcpu: usize, id: u32) {
        let (state, hw) = &mut self.vcpus[vcpu];
        state.pend_sgi(IntId::new(id), vgic::SgiGroup::Group1);
        let delivery = state.deliver_private(hw);
        self.finish(vcpu, delivery);
    }

    fn timer(&mut self, vcpu: usize) {
        let (state, hw) = &mut self.vcpus[vcpu];
        assert!(state.inject_hardware_ppi(TIMER, TIMER).is_empty());
        let delivery = state.deliver_private(hw);
        self.finish(vcpu, delivery);
    }

    fn acknowledge(&mut self, vcpu: usize) -> u32 {
        let id = self.vcpus[vcpu].1.acknowledge();
        self.maintain(vcpu);
        id
    }

    fn eoi(&mut self, vcpu: usize, id: u32) {
        self.vcpus[vcpu].1.eoi(id);
        self.maintain(vcpu);
    }

    /// Takes maintenance interrupts while they are asserted; they must stop.
    fn maintain(&mut self, vcpu: usize) -> usize {
        for taken in 0..3 {
            if self.vcpus[vcpu].1.maintenance_status() == 0 {
                return taken;
            }
            let (state, hw) = &mut self.vcpus[vcpu];
            let effects = state.maintain(&mut self.distributor, hw);
            self.apply(effects);
        }
        panic!("maintenance without end");
    }

    fn save(&mut self, vcpu: usize) {
        let (state, hw) = &mut self.vcpus[vcpu];
        let effects = state.save(&mut self.distributor, hw);
        assert_eq!(hw.in_use(), 0);
        self.apply(effects);
    }

    fn load(&mut self, vcpu: usize) {
        let (state, hw) = &mut self.vcpus[vcpu];
        let effects = state.load(&mut self.distributor, hw);
        self.apply(effects);
    }
}

#[test]
fn an_edge_spi_is_taken_once() {
    let mut m = Machine::new(1, 4);
    m.write(0, 0xc08, 0b10); // INTID 32: edge
    m.write(0, 0x104, 1);
    m.line(32, Level::High);
    m.line(32, Level::Low);
    assert_eq!(m.read(0, 0x204), 1);
    assert_eq!(m.acknowledge(0), 32);
    assert_eq!((m.read(0, 0x204), m.read(0, 0x304)), (0, 1));
    m.eoi(0, 32);
    assert_eq!(m.read(0, 0x304), 0);
    assert_eq!(m.acknowledge(0), SPURIOUS);
}

#[test]
fn an_edge_while_active_comes_again_after_the_end() {
    let mut m = Machine::new(1, 4);
    m.write(0, 0xc08, 0b10);
    m.write(0, 0x104, 1);
    m.line(32, Level::High);
    assert_eq!(m.acknowledge(0), 32);
    m.line(32, Level::Low);
    m.line(32, Level::High);
    assert_eq!((m.read(0, 0x204), m.read(0, 0x304)), (1, 1));
    assert_eq!(m.acknowledge(0), SPURIOUS);
    m.eoi(0, 32);
    assert_eq!(m.acknowledge(0), 32);
}

#[test]
fn e10_a_level_spi_comes_back_until_its_line_falls_with_one_maintenance_each() {
    let mut m = Machine::new(1, 4);
    m.write(0, 0x104, 1);
    m.line(32, Level::High);
    for _ in 0..100 {
        assert_eq!(m.vcpus[0].1.acknowledge(), 32);
        m.vcpus[0].1.eoi(32);
        assert_eq!(m.maintain(0), 1);
    }
    assert_eq!(m.acknowledge(0), 32);
    m.line(32, Level::Low);
    m.eoi(0, 32);
    assert_eq!(m.acknowledge(0), SPURIOUS);
    assert_eq!(m.read(0, 0x204), 0);
}

#[test]
fn a_level_spi_whose_line_falls_before_the_acknowledge_is_gone() {
    let mut m = Machine::new(2, 4);
    m.write(0, 0x104, 1);
    m.line(32, Level::High);
    m.line(32, Level::Low);
    assert_eq!(m.acknowledge(0), SPURIOUS);
    // A write made it pending too: then it stays.
    m.write(0, 0x204, 1);
    m.line(32, Level::High);
    m.line(32, Level::Low);
    assert_eq!(m.acknowledge(0), 32);
}

#[test]
fn an_sgi_to_itself_needs_few_register_uses_and_no_lock() {
    let mut m = Machine::new(1, 4);
    for _ in 0..3 {
        let before = m.vcpus[0].1.register_uses.get();
        m.sgi(0, 5);
        assert!(m.vcpus[0].1.register_uses.get() - before <= 2);
        assert_eq!(m.acknowledge(0), 5);
        m.eoi(0, 5);
    }
    m.sgi(0, 5);
    assert_eq!(m.acknowledge(0), 5);
    m.sgi(0, 5);
    m.eoi(0, 5);
    assert_eq!(m.acknowledge(0), 5);
}

#[test]
fn an_sgi_of_the_wrong_group_is_dropped() {
    let mut m = Machine::new(1, 4);
    m.write_private(0, 0x080, !(1 << 3));
    m.sgi(0, 3);
    assert_eq!(m.acknowledge(0), SPURIOUS);
    let request = sgi::decode(sgi::SgiRegister::Sgi0, 3 << 24 | 1);
    m.vcpus[0].0.pend_sgis(request.mailbox_bit());
    let (state, hw) = &mut m.vcpus[0];
    assert_eq!(state.deliver_private(hw), PrivateDelivery::Done);
    assert_eq!(m.acknowledge(0), 3);
}

#[test]
fn the_guests_end_of_the_timer_ends_the_physical_one_without_maintenance() {
    let mut m = Machine::new(1, 4);
    for round in 1..5 {
        m.timer(0);
        assert_eq!(m.vcpus[0].0.linked_physical().bits(), 1 << 27);
        assert_eq!(m.vcpus[0].1.acknowledge(), 27);
        m.vcpus[0].1.eoi(27);
        assert_eq!(m.maintain(0), 0);
        assert_eq!(m.vcpus[0].1.deactivated.len(), round);
    }
    assert_eq!(m.deactivated, 0);
}

#[test]
fn e4_a_disabled_timer_stays_pending_and_its_physical_interrupt_spoken_for() {
    let mut m = Machine::new(1, 4);
    m.timer(0);
    m.write_private(0, 0x180, 1 << 27);
    assert_eq!(m.acknowledge(0), SPURIOUS);
    assert_eq!(m.vcpus[0].0.linked_physical().bits(), 1 << 27);
    assert_eq!(m.deactivated, 0);
    assert_eq!(m.read_private(0, 0x200), 1 << 27);
    m.write_private(0, 0x100, 1 << 27);
    assert_eq!(m.acknowledge(0), 27);
    m.eoi(0, 27);
    assert_eq!(m.vcpus[0].1.deactivated, [27]);
}

#[test]
fn e4_no_physical_interrupt_is_orphaned_when_the_guest_clears_the_virtual_one() {
    // Pending, cleared by ICPENDR.
    let mut m = Machine::new(1, 4);
    m.timer(0);
    m.write_private(0, 0x280, 1 << 27);
    assert_eq!(m.deactivated, 1 << 27);
    assert!(m.vcpus[0].0.linked_physical().is_empty());
    // Active, cleared by ICACTIVER.
    let mut m = Machine::new(1, 4);
    m.timer(0);
    assert_eq!(m.acknowledge(0), 27);
    m.write_private(0, 0x380, 1 << 27);
    assert_eq!(m.deactivated, 1 << 27);
    assert_eq!(m.read_private(0, 0x300), 0);
    // Pending, and its source gone while the guest had it disabled.
    let mut m = Machine::new(1, 4);
    m.write_private(0, 0x180, 1 << 27);
    m.timer(0);
    assert_eq!(m.vcpus[0].0.pending_hardware().bits(), 1 << 27);
    assert_eq!(m.vcpus[0].0.withdraw_hardware_ppi(TIMER).bits(), 1 << 27);
    m.write_private(0, 0x100, 1 << 27);
    assert_eq!(m.acknowledge(0), SPURIOUS);
}

#[test]
fn the_timer_pended_by_hand_while_active_comes_again() {
    let mut m = Machine::new(1, 4);
    m.timer(0);
    assert_eq!(m.acknowledge(0), 27);
    m.write_private(0, 0x200, 1 << 27);
    m.eoi(0, 27);
    assert!(m.vcpus[0].1.deactivated.is_empty());
    assert_eq!(m.acknowledge(0), 27);
    m.eoi(0, 27);
    assert_eq!(m.vcpus[0].1.deactivated, [27]);
    assert_eq!(m.acknowledge(0), SPURIOUS);
}

#[test]
fn the_timer_moves_with_its_vcpu_pending_or_active() {
    let mut m = Machine::new(1, 4);
    m.timer(0);
    m.save(0);
    assert_eq!(m.vcpus[0].0.linked_physical().bits(), 1 << 27);
    assert!(m.vcpus[0].0.has_deliverable(&m.distributor));
    m.vcpus[0].1 = FakeInterface::new(2);
    m.load(0);
    assert_eq!(m.acknowledge(0), 27);
    m.save(0);
    assert!(!m.vcpus[0].0.has_deliverable(&m.distributor));
    m.vcpus[0].1 = FakeInterface::new(16);
    m.load(0);
    m.eoi(0, 27);
    assert_eq!(m.vcpus[0].1.deactivated, [27]);
}

#[test]
fn e5_more_pending_than_list_registers_come_in_the_order_of_priority() {
    let mut m = Machine::new(1, 4);
    let ids: Vec<u32> = (40..60).chain([500, 1019]).collect();
    for (rank, id) in ids.iter().enumerate() {
        m.priority(0, *id, 0xf8 - 8 * rank as u64);
        m.write(0, 0xc00 + u64::from(id / 16 * 4), u32::MAX);
        m.write(0, 0x100 + u64::from(id / 32 * 4), u32::MAX);
    }
    for id in &ids {
        m.line(*id, Level::High);
    }
    for id in ids.iter().rev() {
        assert_eq!(m.acknowledge(0), *id);
        m.eoi(0, *id);
    }
    assert_eq!(m.acknowledge(0), SPURIOUS);
}

#[test]
fn e5_more_active_than_list_registers_nest_and_end() {
    for list_registers in [1, 2, 4, 16] {
        let mut m = Machine::new(1, list_registers);
        m.write(0, 0x104, u32::MAX);
        m.write(0, 0xc08, 0x5555_0000 << 1);
        // Each preempts the one before.
        for id in 32..62 {
            m.priority(0, id, u64::from(0xf0 - 8 * (id - 32)));
            m.line(id, Level::High);
            assert_eq!(m.acknowledge(0), id, "{list_registers} list registers");
        }
        assert_eq!(m.read(0, 0x304), 0x3fff_ffff);
        for id in (32..62).rev() {
            m.line(id, Level::Low);
            m.eoi(0, id);
            assert_eq!(
                m.read(0, 0x304) >> (id - 32),
                0,
                "{list_registers} list registers"
            );
        }
        assert_eq!(m.acknowledge(0), SPURIOUS);
        assert_eq!(m.vcpus[0].1.apr, [[0; 4]; 2]);
    }
}

#[test]
fn e5_ends_of_what_was_never_acknowledged_change_nothing_else() {
    let mut m = Machine::new(1, 4);
    m.write(0, 0x104, u32::MAX);
    m.line(40, Level::High);
    m.line(41, Level::High);
    for id in [0, 31, 32, 41, 999, 1019, 1020, 1023, 1024, 8192, u32::MAX] {
        m.eoi(0, id);
        m.vcpus[0].1.deactivate(id);
        m.maintain(0);
    }
    assert_eq!(m.read(0, 0x204), 0b11 << 8);
    assert_eq!(m.acknowledge(0), 40);
    // Out of order: 41 was not acknowledged, and drops the priority of 40.
    m.eoi(0, 41);
    assert_eq!(m.read(0, 0x304), 1 << 8);
    m.save(0);
    m.load(0);
    assert_eq!(m.read(0, 0x304), 1 << 8);
    m.write(0, 0x384, 1 << 8);
    assert_eq!(m.read(0, 0x304), 0);
}

#[test]
fn e6_spurious_maintenance_changes_nothing() {
    let mut m = Machine::new(1, 4);
    m.write(0, 0x104, u32::MAX);
    m.line(40, Level::High);
    m.timer(0);
    assert_eq!(m.acknowledge(0), 27);
    for _ in 0..50 {
        let (state, hw) = &mut m.vcpus[0];
        assert!(state.maintain(&mut m.distributor, hw).is_none());
    }
    m.eoi(0, 27);
    assert_eq!(m.acknowledge(0), 40);
    assert_eq!(m.vcpus[0].1.deactivated, [27]);
}

#[test]
fn e4_disabling_an_spi_that_another_vcpu_holds_waits_for_it() {
    let mut m = Machine::new(2, 4);
    m.write_wide(0, 0x6100, Width::Double, 1);
    m.write(0, 0x104, 1);
    m.line(32, Level::High);
    assert!(m.vcpus[1].1.holds(32));
    let (state, hw) = &mut m.vcpus[0];
    let effects = state.write_distributor(&mut m.distributor, 0x184, Width::Word, 1, hw);
    assert_eq!(m.distributor.read(0, Width::Word) >> 31, 1, "RWP");
    assert!(effects.kick.iter().eq([VcpuIndex::new(1)]));
    m.apply(effects);
    assert_eq!(m.distributor.read(0, Width::Word) >> 31, 0, "RWP");
    assert_eq!(m.acknowledge(1), SPURIOUS);
    assert_eq!(m.read(0, 0x204), 1);
    m.write(0, 0x104, 1);
    assert_eq!(m.acknowledge(1), 32);
    // Disabled while active: it still ends in the ordinary way.
    m.write(0, 0x184, 1);
    assert_eq!(m.read(0, 0x304), 1);
    m.line(32, Level::Low);
    m.eoi(1, 32);
    assert_eq!(m.read(0, 0x304), 0);
}

#[test]
fn e5_a_write_makes_an_spi_active_that_the_guest_then_deactivates() {
    let mut m = Machine::new(2, 4);
    m.vcpus[1].1.vmcr |= 1 << 9; // EOImode 1
    m.write_wide(0, 0x6100, Width::Double, 1);
    m.write(0, 0x304, 1);
    m.vcpus[1].1.deactivate(32);
    assert_eq!(m.read(0, 0x304), 0);
}

#[test]
fn e5_what_one_vcpu_holds_never_reaches_another_first() {
    let mut m = Machine::new(2, 4);
    m.write(0, 0xc08, 0b10); // 32 edge, 33 level
    m.write(0, 0x104, 0b11);
    m.write_wide(0, 0x6100, Width::Double, 1);
    m.line(32, Level::High);
    assert_eq!(m.acknowledge(1), 32);
    m.line(32, Level::Low);
    // Both vCPUs have something in this word; vCPU 0 looks first.
    let again = m.distributor.set_line(IntId::new(32), Level::High);
    let other = m.distributor.set_line(IntId::new(33), Level::High);
    m.apply(other);
    assert!(m.vcpus[0].1.holds(33) && !m.vcpus[0].1.holds(32));
    m.apply(again);
    m.eoi(1, 32);
    assert_eq!(m.acknowledge(1), 32);
}

#[test]
fn rwp_ends_when_the_holder_leaves_its_cpu() {
    let mut m = Machine::new(2, 4);
    m.write_wide(0, 0x6100, Width::Double, 1);
    m.write(0, 0x104, 1);
    m.line(32, Level::High);
    let _ = m.distributor.write(0x184, Width::Word, 1);
    assert_eq!(m.distributor.read(0, Width::Word) >> 31, 1);
    m.save(1);
    assert_eq!(m.distributor.read(0, Width::Word) >> 31, 0);
}

#[test]
fn what_another_vcpu_did_is_seen_after_it_was_asked_once() {
    let mut m = Machine::new(2, 4);
    m.write_wide(0, 0x6100, Width::Double, 1);
    m.write(0, 0x104, 1);
    m.line(32, Level::High);
    assert_eq!(m.vcpus[1].1.acknowledge(), 32);
    let (state, hw) = &mut m.vcpus[0];
    let first = state.read_distributor(&mut m.distributor, 0x304, Width::Word, hw);
    let DistributorRead::Again(effects) = first else {
        panic!("answered from an old view");
    };
    assert!(effects.kick.iter().eq([VcpuIndex::new(1)]));
    m.apply(effects);
    assert_eq!(m.read(0, 0x304), 1);
    assert!(m.vcpus[1].1.holds(32), "a look takes nothing away");
    m.kicks = 0;
    assert_eq!(m.read(1, 0x304), 1);
    assert_eq!(m.kicks, 0, "the holder itself asks nobody");
}

#[test]
fn a_new_route_moves_what_is_pending_and_leaves_what_is_active() {
    let mut m = Machine::new(2, 4);
    m.write(0, 0x104, 0b11);
    m.line(32, Level::High);
    assert!(m.vcpus[0].1.holds(32));
    m.write_wide(1, 0x6100, Width::Double, 1);
    assert!(!m.vcpus[0].1.holds(32));
    assert_eq!(m.acknowledge(1), 32);
    m.write_wide(0, 0x6100, Width::Double, 0);
    assert!(m.vcpus[1].1.holds(32) && !m.vcpus[0].1.holds(32));
    m.eoi(1, 32);
    assert_eq!(m.acknowledge(0), 32);
    // To nobody: it waits.
    m.write_wide(0, 0x6108, Width::Double, 0x200);
    m.line(33, Level::High);
    assert!(!m.vcpus[0].1.holds(33) && !m.vcpus[1].1.holds(33));
    m.write_wide(0, 0x6108, Width::Double, 1);
    assert!(m.vcpus[1].1.holds(33));
}

#[test]
fn an_edge_that_comes_again_while_active_goes_where_it_is_routed_now() {
    let mut m = Machine::new(2, 4);
    m.write(0, 0xc08, 0b10);
    m.write(0, 0x104, 1);
    m.line(32, Level::High);
    assert_eq!(m.acknowledge(0), 32);
    m.line(32, Level::Low);
    m.line(32, Level::High);
    m.write_wide(0, 0x6100, Width::Double, 1);
    m.eoi(0, 32);
    assert_eq!(m.acknowledge(0), SPURIOUS);
    assert_eq!(m.acknowledge(1), 32);
}

#[test]
fn an_edge_that_comes_again_while_active_has_its_new_priority() {
    let mut m = Machine::new(1, 4);
    m.write(0, 0xc08, 0b10);
    m.write(0, 0x104, 1);
    m.line(32, Level::High);
    assert_eq!(m.acknowledge(0), 32);
    m.priority(0, 32, 0x40);
    m.line(32, Level::Low);
    m.line(32, Level::High);
    m.eoi(0, 32);
    assert_eq!(m.vcpus[0].1.signaled(), Some((32, 0x40)));
}

#[test]
fn one_of_n_takes_turns_among_participants() {
    let mut m = Machine::new(4, 4);
    m.write(0, 0x104, u32::MAX);
    let effects = (m.distributor).set_participation(VcpuIndex::new(2), Participation::No);
    m.apply(effects);
    let mut taken = [0; 4];
    for id in 32..44 {
        m.write_wide(0, 0x6000 + 8 * id, Width::Double, 1 << 31);
        m.line(id as u32, Level::High);
        for (count, (_, hw)) in taken.iter_mut().zip(&m.vcpus) {
            *count += usize::from(hw.holds(id as u32));
        }
    }
    assert_eq!(taken, [4, 4, 0, 4]);
}

#[test]
fn one_of_n_goes_to_another_when_its_vcpu_is_turned_off() {
    let mut m = Machine::new(2, 4);
    m.write_wide(0, 0x6100, Width::Double, 1 << 31);
    m.write(0, 0x104, 1);
    m.line(32, Level::High);
    let first = usize::from(m.vcpus[1].1.holds(32));
    m.save(first);
    let off = VcpuIndex::new(first as u16);
    let effects = m.distributor.set_participation(off, Participation::No);
    m.apply(effects);
    assert_eq!(m.acknowledge(1 - first), 32);
}

#[test]
fn the_distributors_group_enable_stops_private_interrupts_of_all_vcpus() {
    let mut m = Machine::new(2, 4);
    m.sgi(1, 4);
    m.write(0, 0, 1);
    assert_eq!(m.acknowledge(1), SPURIOUS);
    m.sgi(1, 5);
    assert_eq!(m.acknowledge(1), SPURIOUS);
    m.write(0, 0, 3);
    assert_eq!(m.acknowledge(1), 4);
}

#[test]
fn a_disabled_groups_interrupts_do_not_keep_the_others_out() {
    let mut m = Machine::new(1, 2);
    m.write_private(0, 0x080, 0xffff_ff00);
    m.vcpus[0].1.vmcr &= !1; // the guest lets no group 0 through
    for id in 0..8 {
        m.vcpus[0]
            .0
            .pend_sgi(IntId::new(id), vgic::SgiGroup::Group0);
    }
    let (state, hw) = &mut m.vcpus[0];
    let delivery = state.deliver_private(hw);
    m.finish(0, delivery);
    m.maintain(0);
    m.sgi(0, 9);
    m.priority(0, 9, 0xf0);
    assert_eq!(m.acknowledge(0), 9);
    m.eoi(0, 9);
    m.vcpus[0].1.vmcr |= 1;
    m.maintain(0);
    for id in 0..8 {
        assert_eq!(m.acknowledge(0), id);
        m.eoi(0, id);
    }
}

#[test]
fn a_waiting_vcpu_wakes_for_what_passes_its_mask() {
    let mut m = Machine::new(1, 4);
    m.write(0, 0x104, 1);
    m.priority(0, 32, 0xa0);
    m.vcpus[0].1.vmcr = (m.vcpus[0].1.vmcr & 0xff_ffff) | 0xa0 << 24;
    m.save(0);
    assert!(!m.vcpus[0].0.has_deliverable(&m.distributor));
    m.line(32, Level::High);
    assert_eq!(m.kicks, 1, "the waiting vCPU is told");
    assert!(!m.vcpus[0].0.has_deliverable(&m.distributor), "masked");
    m.load(0);
    let (state, hw) = &mut m.vcpus[0];
    assert!(!state.has_deliverable_now(&m.distributor, hw));
    hw.vmcr |= 0xff << 24;
    assert!(state.has_deliverable_now(&m.distributor, hw));
    m.save(0);
    assert!(m.vcpus[0].0.has_deliverable(&m.distributor));
}

#[test]
fn rest_is_plain_state_that_a_switch_does_not_change() {
    let mut m = Machine::new(2, 4);
    m.write(0, 0x104, u32::MAX);
    m.line(33, Level::High);
    m.line(34, Level::High);
    m.timer(0);
    m.sgi(0, 2);
    assert_eq!(m.acknowledge(0), 2);
    m.save(0);
    m.save(1);
    let (vcpu, distributor) = (m.vcpus[0].0.clone(), m.distributor.clone());
    m.load(0);
    m.save(0);
    assert_eq!(m.vcpus[0].0, vcpu);
    assert_eq!(m.distributor, distributor);
}

#[test]
fn reset_speaks_for_no_physical_interrupt() {
    let mut m = Machine::new(1, 4);
    m.timer(0);
    m.save(0);
    assert_eq!(m.vcpus[0].0.reset().bits(), 1 << 27);
    m.distributor.reset();
    let fresh = Distributor::new(m.distributor.config()).unwrap();
    assert_eq!(m.distributor, fresh);
    m.load(0);
    assert_eq!(m.vcpus[0].1.in_use(), 0);
}

#[test]
fn message_based_spis_pend_and_unpend() {
    let mut m = Machine::new(1, 4);
    m.write(0, 0x108, 0b11);
    m.write(0, 0xc10, 0b10); // 64 edge, 65 level
    m.write(0, 0x40, 64);
    m.write_wide(0, 0x40, Width::Half, 65);
    assert_eq!(m.read(0, 0x208), 0b11);
    m.write(0, 0x48, 64);
    assert_eq!(m.read(0, 0x208), 0b10);
    m.write(0, 0x48, 65);
    assert_eq!(m.read(0, 0x208), 0);
    assert_eq!(m.acknowledge(0), SPURIOUS);
    m.write(0, 0x40, 0x1fff);
    m.write(0, 0x40, 31);
}

#[test]
fn the_region_names_each_vcpu_and_its_constants() {
    let region = RedistributorRegion::new(18);
    assert_eq!(region.size(), 18 * 0x2_0000);
    assert_eq!(region.locate(18 << 17), None);
    assert_eq!(region.locate(u64::MAX), None);
    let last = region.locate((17 << 17) + 8).unwrap();
    assert_eq!((last.vcpu, last.offset), (VcpuIndex::new(17), 8));
    let typer = region.read_constant(last, Width::Double).unwrap();
    assert_eq!(typer, 0x101 << 32 | 17 << 8 | 1 << 4);
    let high = region.locate((16 << 17) + 12).unwrap();
    assert_eq!(region.read_constant(high, Width::Word), Some(0x100));
    let pidr2 = region.locate(0xffe8).unwrap();
    assert_eq!(region.read_constant(pidr2, Width::Word), Some(0x3b));
    let enable = region.locate(0x1_0100).unwrap();
    assert_eq!(region.read_constant(enable, Width::Word), None);
    let waker = region.locate(0x14).unwrap();
    assert_eq!(region.read_constant(waker, Width::Word), None);
}

#[test]
fn the_waker_follows_the_guest() {
    let mut m = Machine::new(1, 4);
    let (state, hw) = &mut m.vcpus[0];
    assert_eq!(state.read_redistributor(0x14, Width::Word, hw), 6);
    let _ = state.write_redistributor(0x14, Width::Word, 0, hw);
    assert_eq!(state.read_redistributor(0x14, Width::Word, hw), 0);
    let _ = state.write_redistributor(0x14, Width::Word, u64::MAX, hw);
    assert_eq!(state.read_redistributor(0x14, Width::Word, hw), 6);
}

#[test]
fn the_timer_that_comes_again_beside_another_pending_one_keeps_its_physical_interrupt() {
    const PPI: IntId = IntId::new(20);
    const HARDWARE: u64 = 1 << 61;
    let mut m = Machine::new(1, 4);
    // A PPI that is edge-triggered, active and about to be pending once more.
    m.write_private(0, 0xc04, 2 << (2 * (PPI.get() - 16)));
    m.priority(0, PPI.get(), 0x80);
    let (state, hw) = &mut m.vcpus[0];
    state.set_ppi_line(PPI, Level::High);
    let _ = state.deliver_private(hw);
    assert_eq!(hw.acknowledge(), PPI.get());
    m.timer(0);
    assert_eq!(m.vcpus[0].1.acknowledge(), 27);
    m.vcpus[0].1.eoi(27);
    // Both, before anybody looks.
    let (state, hw) = &mut m.vcpus[0];
    state.set_ppi_line(PPI, Level::Low);
    state.set_ppi_line(PPI, Level::High);
    assert!(state.inject_hardware_ppi(TIMER, TIMER).is_empty());
    assert_eq!(state.deliver_private(hw), PrivateDelivery::Done);
    assert_ne!(hw.lr_of(27).unwrap() & HARDWARE, 0);
    assert_eq!(state.linked_physical().bits(), 1 << 27);
}

#[test]
fn active_interrupts_have_all_list_registers_while_nothing_is_pending() {
    let mut m = Machine::new(1, 4);
    m.write(0, 0x104, u32::MAX);
    m.write(0, 0x304, 0xf);
    assert_eq!(m.vcpus[0].1.in_use(), 4);
    assert_eq!(m.vcpus[0].1.control(), 1);
    // With one pending, the least urgent of them makes room for it.
    m.priority(0, 40, 0x20);
    m.line(40, Level::High);
    assert_eq!(m.vcpus[0].1.in_use(), 4);
    assert!(m.vcpus[0].1.holds(40));
    assert_ne!(m.vcpus[0].1.control() & 1 << 2, 0);
}

#[test]
fn only_what_is_tied_to_a_physical_interrupt_and_not_active_waits_for_its_timer() {
    let mut m = Machine::new(1, 4);
    m.sgi(0, 3);
    m.vcpus[0].0.set_ppi_line(IntId::new(20), Level::High);
    assert!(m.vcpus[0].0.pending_hardware().is_empty());
    m.timer(0);
    assert_eq!(m.vcpus[0].0.pending_hardware().bits(), 1 << 27);
    m.priority(0, 3, 0xf0);
    assert_eq!(m.acknowledge(0), 20);
    m.vcpus[0].0.set_ppi_line(IntId::new(20), Level::Low);
    m.eoi(0, 20);
    assert_eq!(m.acknowledge(0), 27);
    m.read_private(0, 0x300);
    assert!(m.vcpus[0].0.pending_hardware().is_empty());
}

#[test]
fn private_frames_end_after_their_first_bank_and_count_what_is_not_there() {
    let mut m = Machine::new(1, 4);
    m.write_private(0, 0x180, u32::MAX);
    m.write_private(0, 0x104, u32::MAX);
    assert_eq!(m.read_private(0, 0x100), 0);
    assert_eq!(m.read_private(0, 0x104), 0);
    let (state, hw) = &mut m.vcpus[0];
    assert_eq!(state.guest_errors(), 0);
    // A width and places that there are not, written and read.
    let _ = state.write_redistributor(SGI_FRAME + 0x100, Width::Byte, 1, hw);
    assert_eq!(state.guest_errors(), 1);
    assert_eq!(
        state.read_redistributor(SGI_FRAME + 0x100, Width::Double, hw),
        0
    );
    assert_eq!(state.guest_errors(), 2);
    let _ = state.write_redistributor(0x18, Width::Double, 1, hw);
    assert_eq!(state.guest_errors(), 3);
    let _ = state.write_redistributor(0x100, Width::Word, 1, hw);
    assert_eq!(state.guest_errors(), 4);
    assert_eq!(state.read_redistributor(0x24, Width::Word, hw), 0);
    assert_eq!(state.guest_errors(), 5);
    assert_eq!(state.read_redistributor(0x100, Width::Word, hw), 0);
    assert_eq!(state.guest_errors(), 6);
    // These are there.
    let _ = state.write_redistributor(0x40, Width::Double, 1, hw);
    let _ = state.write_redistributor(0x00, Width::Word, 1, hw);
    assert_eq!(state.read_redistributor(0x14, Width::Word, hw), 6);
    assert_eq!(state.guest_errors(), 6);
}

#[test]
fn all_active_priorities_of_a_cpu_move_with_the_vcpu() {
    let mut m = Machine::new(1, 4);
    let (state, hw) = &mut m.vcpus[0];
    hw.apr_count = 4;
    let apr = [[1, 2, 3, 4], [5, 6, 7, 8]];
    hw.apr = apr;
    let _ = state.save(&mut m.distributor, hw);
    assert_eq!(state.interface().active_priorities, apr);
    assert_eq!(state.interface().registers_per_group, 4);
    hw.apr = [[0; 4]; 2];
    let _ = state.load(&mut m.distributor, hw);
    assert_eq!(hw.apr, apr);
    // A CPU with fewer has its own.
    let _ = state.save(&mut m.distributor, hw);
    hw.apr_count = 2;
    hw.apr = [[0; 4]; 2];
    let _ = state.load(&mut m.distributor, hw);
    assert_eq!(hw.apr, [[1, 2, 0, 0], [5, 6, 0, 0]]);
    let _ = state.save(&mut m.distributor, hw);
    assert_eq!(state.interface().registers_per_group, 2);
}

#[test]
fn a_switch_carries_what_is_pending_active_and_finished() {
    // One SGI that the guest has finished with, one that is pending, one that is active; a PPI whose
    // line is high, and an SPI.
    for list_registers in [2, 16] {
        let mut m = Machine::new(1, list_registers);
        m.write(0, 0x104, u32::MAX);
        for (id, priority) in [(5, 0x10), (7, 0x40), (6, 0x80)] {
            m.priority(0, id, priority);
        }
        for id in [5, 6] {
            m.sgi(0, id);
        }
        assert_eq!(m.acknowledge(0), 5);
        m.eoi(0, 5);
        m.sgi(0, 7);
        m.save(0);
        m.load(0);
        assert_eq!(m.acknowledge(0), 7);
        m.save(0);
        assert!(!m.vcpus[0].0.has_deliverable(&m.distributor));
        m.load(0);
        m.eoi(0, 7);
        m.vcpus[0].0.set_ppi_line(IntId::new(20), Level::High);
        m.line(33, Level::High);
        m.save(0);
        assert!(m.vcpus[0].0.has_deliverable(&m.distributor));
        m.load(0);
        let mut taken: Vec<u32> = Vec::new();
        for _ in 0..3 {
            let id = m.acknowledge(0);
            taken.push(id);
            match id {
                20 => m.vcpus[0].0.set_ppi_line(IntId::new(20), Level::Low),
                33 => m.line(33, Level::Low),
                _ => {}
            }
            m.eoi(0, id);
        }
        taken.sort_unstable();
        assert_eq!(taken, [6, 20, 33], "{list_registers} list registers");
        assert_eq!(m.acknowledge(0), SPURIOUS);
    }
}

#[test]
fn a_finished_timer_is_forgotten_at_the_switch_and_a_new_one_is_not() {
    let mut m = Machine::new(1, 4);
    m.timer(0);
    assert_eq!(m.vcpus[0].1.acknowledge(), 27);
    m.vcpus[0].1.eoi(27);
    m.save(0);
    assert!(m.vcpus[0].0.linked_physical().is_empty());
    m.load(0);
    m.timer(0);
    assert_eq!(m.vcpus[0].1.acknowledge(), 27);
    m.vcpus[0].1.eoi(27);
    // It comes again just before the vCPU leaves.
    let (state, _) = &mut m.vcpus[0];
    assert!(state.inject_hardware_ppi(TIMER, TIMER).is_empty());
    m.save(0);
    assert_eq!(m.vcpus[0].0.linked_physical().bits(), 1 << 27);
    assert!(m.vcpus[0].0.has_deliverable(&m.distributor));
    m.load(0);
    assert_eq!(m.vcpus[0].1.acknowledge(), 27);
    m.vcpus[0].1.eoi(27);
    m.save(0);
    assert!(m.vcpus[0].0.linked_physical().is_empty());
    assert_eq!(m.deactivated, 0);
}

#[test]
fn a_timer_that_the_guest_calls_edge_triggered_stays_tied_over_a_switch() {
    const HARDWARE: u64 = 1 << 61;

    let mut m = Machine::new(1, 4);
    // GICR_ICFGR1.
    m.write_private(0, 0xc04, 2 << (2 * (27 - 16)));
    m.timer(0);
    m.save(0);
    m.load(0);
    assert_ne!(m.vcpus[0].1.lr_of(27).unwrap() & HARDWARE, 0);
    assert_eq!(m.vcpus[0].0.linked_physical().bits(), 1 << 27);
}

#[test]
fn one_of_n_waits_for_the_first_participant_while_there_is_none() {
    let mut m = Machine::new(2, 4);
    m.write(0, 0x104, u32::MAX);
    m.write_wide(0, 0x6000 + 8 * 40, Width::Double, 1 << 31);
    for index in 0..2 {
        let effects = m
            .distributor
            .set_participation(VcpuIndex::new(index), Participation::No);
        m.apply(effects);
    }
    m.line(40, Level::High);
    assert!(!m.vcpus.iter().any(|(_, hw)| hw.holds(40)));
    let effects = m
        .distributor
        .set_participation(VcpuIndex::new(1), Participation::Yes);
    m.apply(effects);
    assert!(m.vcpus[1].1.holds(40));
    // A second participant does not take it away.
    let effects = m
        .distributor
        .set_participation(VcpuIndex::new(0), Participation::Yes);
    assert!(effects.is_none());
}

#[test]
fn what_a_write_makes_active_keeps_the_rank_that_it_had_then() {
    const ACTIVE_GROUP1_LEVEL: u64 = 1 << 63 | 1 << 60 | 1 << 41;
    let mut m = Machine::new(1, 4);
    m.write(0, 0x084, !1);
    m.priority(0, 33, 0x48);
    m.write(0, 0x304, 0b11);
    let active = ACTIVE_GROUP1_LEVEL | 0x48 << 48 | 33;
    assert_eq!(m.vcpus[0].1.lr_of(33), Some(active));
    assert_eq!(m.vcpus[0].1.lr_of(32), Some(1 << 63 | 1 << 41 | 32));
    m.write(0, 0x084, 0);
    m.priority(0, 33, 0x10);
    assert_eq!(m.vcpus[0].1.lr_of(33), Some(active));
    // Of a private one it is the same.
    m.write_private(0, 0x080, !(1 << 21));
    m.priority(0, 20, 0x88);
    m.write_private(0, 0x300, 1 << 20 | 1 << 21);
    let active = ACTIVE_GROUP1_LEVEL | 0x88 << 48 | 20;
    assert_eq!(m.vcpus[0].1.lr_of(20), Some(active));
    m.write_private(0, 0x080, 0);
    assert_eq!(m.vcpus[0].1.lr_of(20), Some(active));
    assert_eq!(m.vcpus[0].1.lr_of(21), Some(1 << 63 | 1 << 41 | 21));
}

#[test]
fn an_spi_that_its_vcpu_has_finished_with_goes_elsewhere_after_the_switch() {
    let mut m = Machine::new(2, 4);
    m.write(0, 0x104, u32::MAX);
    m.write(0, 0xc08, 2);
    m.line(32, Level::High);
    assert_eq!(m.vcpus[0].1.acknowledge(), 32);
    m.vcpus[0].1.eoi(32);
    m.save(0);
    m.write_wide(1, 0x6000 + 8 * 32, Width::Double, 1);
    m.line(32, Level::Low);
    m.line(32, Level::High);
    assert_eq!(m.acknowledge(1), 32);
}
