//! How much one call does at most: rounds of loops, counted, with everything arranged as badly as a
//! guest can.
//!
//! A round is some ten instructions, on the way to a list register some hundred; the tests of the whole
//! system count instructions. Each bound is about what was counted: what grows with the number of
//! interrupts, of which there are 1,020, is far beyond it.

use crate::{Config, Distributor, Effects, Level, MAX_VCPUS, Participation, VcpuInterrupts};
use addr::{IntId, VcpuIndex, Width};
use interface::FakeInterface;
use std::cell::Cell;

#[path = "../tests/common/mod.rs"]
#[allow(
    dead_code,
    missing_docs,
    reason = "the fake of the tests of the whole crate"
)]
mod interface;

std::thread_local! {
    static ROUNDS: Cell<u64> = const { Cell::new(0) };
}

/// Counts a round of a loop.
pub(crate) fn count() {
    ROUNDS.set(ROUNDS.get() + 1);
}

/// Returns how many rounds a call takes.
fn rounds<T>(call: impl FnOnce() -> T) -> u64 {
    ROUNDS.set(0);
    let _ = call();
    ROUNDS.get()
}

/// The registers with a bit to an interrupt.
const GROUP: u64 = 0x080;
const SET_ENABLE: u64 = 0x100;
const CLEAR_ENABLE: u64 = 0x180;
const SET_PENDING: u64 = 0x200;
const SET_ACTIVE: u64 = 0x300;
const CLEAR_ACTIVE: u64 = 0x380;
const PRIORITY: u64 = 0x400;
const CONFIGURATION: u64 = 0xc00;
const ROUTE: u64 = 0x6000;
const ANY: u64 = 1 << 31;
const LAST_SPI: u64 = 1019;

/// A VM with as many SPIs and vCPUs as can be, of which the first runs on a CPU with 16 list
/// registers.
struct Vm {
    distributor: Distributor,
    vcpu: VcpuInterrupts,
    hw: FakeInterface,
}

impl Vm {
    /// With all interrupts enabled; the later one comes, the more urgent it is.
    fn new() -> Self {
        let config = Config {
            spi_count: 988,
            vcpu_count: MAX_VCPUS,
        };
        let mut vm = Self {
            distributor: Distributor::new(config).unwrap(),
            vcpu: VcpuInterrupts::new(VcpuIndex::new(0)),
            hw: FakeInterface::new(16),
        };
        assert!(vm.vcpu.load(&mut vm.distributor, &mut vm.hw).is_none());
        vm.hw.guest_enables();
        vm.write(0, 3);
        for word in 0..32 {
            vm.everywhere(GROUP, word, u32::MAX);
            vm.everywhere(SET_ENABLE, word, u32::MAX);
        }
        for quarter in 0..256 {
            let priority = 0xf8 - 8 * (quarter as u32 >> 3);
            vm.everywhere(PRIORITY, quarter, priority * 0x0101_0101);
        }
        vm
    }

    fn write(&mut self, offset: u64, value: u32) -> u64 {
        let Self {
            distributor,
            vcpu,
            hw,
        } = self;
        rounds(|| vcpu.write_distributor(distributor, offset, Width::Word, value.into(), hw))
    }

    fn write_private(&mut self, offset: u64, value: u32) -> u64 {
        let Self { vcpu, hw, .. } = self;
        rounds(|| vcpu.write_redistributor(0x1_0000 + offset, Width::Word, value.into(), hw))
    }

    /// Writes word `index` of a register, in the frame that has it. Brings the list registers up to
    /// date after writes to either.
    fn everywhere(&mut self, register: u64, index: u64, value: u32) -> u64 {
        let private = match register {
            PRIORITY => index < 8,
            CONFIGURATION => index < 2,
            _ => index == 0,
        };
        if private {
            self.write_private(register + 4 * index, value) + self.deliver()
        } else {
            self.write(register + 4 * index, value)
        }
    }

    fn deliver(&mut self) -> u64 {
        let Self {
            distributor,
            vcpu,
            hw,
        } = self;
        rounds(|| vcpu.deliver(distributor, hw))
    }

    fn maintain(&mut self) -> u64 {
        let Self {
            distributor,
            vcpu,
            hw,
        } = self;
        rounds(|| vcpu.maintain(distributor, hw))
    }

    fn route_all(&mut self, route: u64) {
        for id in 32..=LAST_SPI {
            let _ = self.distributor.write(ROUTE + 8 * id, Width::Double, route);
        }
    }

    /// Makes the most of all writes of all ones, or of `value`, to a register with a bit to an
    /// interrupt.
    fn worst_write(&mut self, register: u64, value: u32) -> u64 {
        (0..32)
            .map(|word| self.everywhere(register, word, value))
            .max()
            .unwrap()
    }
}

#[test]
fn i2_choosing_from_all_pending_interrupts_takes_few_rounds() {
    let mut vm = Vm::new();
    assert!(vm.worst_write(SET_PENDING, u32::MAX) < 400);
    // Acknowledged, ended, and chosen anew.
    for _ in 0..40 {
        let id = vm.hw.acknowledge();
        vm.hw.eoi(id);
        assert!(vm.maintain() < 400);
    }
    // A configuration of equal priorities is no worse.
    for quarter in 0..256 {
        assert!(vm.everywhere(PRIORITY, quarter, 0) < 400, "{quarter}");
    }
}

#[test]
fn i2_choosing_from_all_active_interrupts_takes_few_rounds() {
    let mut vm = Vm::new();
    assert!(vm.worst_write(SET_ACTIVE, u32::MAX) < 400);
    assert!(vm.worst_write(SET_PENDING, u32::MAX) < 400);
    assert!(vm.worst_write(SET_ACTIVE, u32::MAX) < 400);
    for _ in 0..20 {
        // Ends of what has no list register are counted.
        for id in 32..63 {
            vm.hw.eoi(id);
        }
        assert!(vm.maintain() < 400);
    }
    assert!(vm.worst_write(CLEAR_ACTIVE, u32::MAX) < 400);
}

#[test]
fn i2_changes_of_many_interrupts_take_few_rounds() {
    let mut vm = Vm::new();
    vm.worst_write(SET_PENDING, u32::MAX);
    assert!(vm.worst_write(CLEAR_ENABLE, u32::MAX) < 400);
    assert!(vm.worst_write(SET_ENABLE, u32::MAX) < 400);
    assert!(vm.worst_write(GROUP, 0x5555_5555) < 400);
    for word in 0..64 {
        assert!(vm.everywhere(CONFIGURATION, word, u32::MAX) < 400, "{word}");
    }
    for groups in [0, 3, 1, 2, 3] {
        // Every vCPU is told: a round for each.
        assert!(vm.write(0, groups) < 400 + u64::from(MAX_VCPUS));
    }
}

#[test]
fn i2_switching_with_everything_pending_or_active_takes_few_rounds() {
    let mut vm = Vm::new();
    vm.worst_write(SET_PENDING, u32::MAX);
    for _ in 0..10 {
        vm.hw.acknowledge();
    }
    vm.worst_write(SET_ACTIVE, 0x5555_5555);
    let Vm {
        distributor,
        vcpu,
        hw,
    } = &mut vm;
    assert!(rounds(|| vcpu.has_deliverable_now(distributor, hw)) < 100);
    assert!(rounds(|| vcpu.save(distributor, hw)) < 100);
    assert!(rounds(|| vcpu.has_deliverable(distributor)) < 100);
    assert!(rounds(|| vcpu.load(distributor, hw)) < 400);
}

#[test]
fn a_switch_with_nothing_or_one_interrupt_takes_next_to_none() {
    let mut vm = Vm::new();
    for id in [None, Some(IntId::new(3))] {
        if let Some(id) = id {
            vm.vcpu.pend_sgi(id, crate::SgiGroup::Group1);
            let _ = vm.vcpu.deliver_private(&mut vm.hw);
            assert_eq!(vm.hw.acknowledge(), id.get());
            vm.hw.eoi(id.get());
        }
        let Vm {
            distributor,
            vcpu,
            hw,
        } = &mut vm;
        assert_eq!(rounds(|| vcpu.has_deliverable_now(distributor, hw)), 0);
        assert_eq!(rounds(|| vcpu.save(distributor, hw)), 0);
        assert_eq!(rounds(|| vcpu.load(distributor, hw)), 0);
    }
}

#[test]
fn d3_moving_all_interrupts_to_another_vcpu_takes_a_round_for_each() {
    let mut vm = Vm::new();
    vm.route_all(ANY);
    for word in 1..32 {
        vm.write(CLEAR_ENABLE + 4 * word, u32::MAX);
        vm.write(SET_PENDING + 4 * word, u32::MAX);
    }
    // All but two are off.
    for index in 2..MAX_VCPUS {
        let index = VcpuIndex::new(index);
        let _ = vm.distributor.set_participation(index, Participation::No);
    }
    for (index, participation) in [
        (1, Participation::No),
        (0, Participation::No),
        (1, Participation::Yes),
        (0, Participation::Yes),
        (1, Participation::No),
    ] {
        let Vm { distributor, .. } = &mut vm;
        let index = VcpuIndex::new(index);
        let rounds = rounds(|| distributor.set_participation(index, participation));
        // What is done for each is a few instructions.
        assert!(rounds < 988 + 200, "{rounds}");
    }
}

#[test]
fn a_wire_takes_one_round_at_its_target() {
    let mut vm = Vm::new();
    vm.worst_write(SET_PENDING, u32::MAX);
    vm.route_all(ANY);
    let Vm { distributor, .. } = &mut vm;
    let mut effects = Effects::NONE;
    for level in [Level::High, Level::Low] {
        let rounds = rounds(|| effects.merge(distributor.set_line(IntId::new(1019), level)));
        assert!(rounds < 5, "{rounds}");
    }
}
