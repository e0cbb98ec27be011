//! The physical GIC and the virtual CPU interface.

use crate::{Call, FakeMachine};
use addr::{CpuId, IntId};
use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;
use machine::{Active, IrqHardware, PhysicalInterrupt, VirtualCpuInterface};

/// LR.State: neither pending nor active is 0 (IHI0069, ICH_LR<n>_EL2).
const LR_STATE: u64 = 0b11 << 62;
/// LR.HW.
const LR_HW: u64 = 1 << 61;
/// LR.EOI, where LR.HW is 0.
const LR_EOI: u64 = 1 << 41;

/// The physical GIC of one CPU.
#[derive(Clone, Debug, Default)]
pub struct FakeGic {
    /// What the next acknowledgements return.
    pub pending: VecDeque<IntId>,
    /// What is active.
    pub active: BTreeSet<IntId>,
    /// What was acknowledged and whose priority was not dropped yet.
    pub running: Vec<IntId>,
    /// The CPUs that were kicked, in order.
    pub kicks: Vec<CpuId>,
}

/// The ICH_* registers of one CPU.
#[derive(Clone, Debug)]
pub struct FakeInterface {
    /// How many list registers there are, 1 to 16.
    pub count: usize,
    /// The list registers.
    pub list_registers: [u64; 16],
    /// ICH_HCR_EL2.
    pub control: u32,
    /// ICH_VMCR_EL2.
    pub machine_control: u32,
    /// ICH_MISR_EL2: as the test says.
    pub maintenance_status: u32,
    /// How many active-priority registers each group has.
    pub active_priority_count: usize,
    /// The active-priority registers of both groups.
    pub active_priorities: [[u32; 4]; 2],
}

impl Default for FakeInterface {
    fn default() -> Self {
        Self {
            count: 4,
            list_registers: [0; 16],
            control: 0,
            machine_control: 0,
            maintenance_status: 0,
            active_priority_count: 1,
            active_priorities: [[0; 4]; 2],
        }
    }
}

impl FakeInterface {
    /// Returns a bit for each list register whose value fulfils `predicate`.
    fn bits(&self, predicate: impl Fn(u64) -> bool) -> u32 {
        self.list_registers[..self.count]
            .iter()
            .enumerate()
            .filter(|(_, value)| predicate(**value))
            .fold(0, |bits, (index, _)| bits | 1 << index)
    }
}

impl IrqHardware for FakeMachine {
    fn acknowledge(&mut self) -> Option<PhysicalInterrupt> {
        let id = self.gic.pending.pop_front()?;
        self.calls.push(Call::Acknowledge(id));
        self.gic.active.insert(id);
        self.gic.running.push(id);
        Some(PhysicalInterrupt { id })
    }

    fn drop_priority(&mut self, interrupt: PhysicalInterrupt) {
        self.calls.push(Call::DropPriority(interrupt.id));
        assert_eq!(
            self.gic.running.pop(),
            Some(interrupt.id),
            "priorities are dropped in the reverse order of acknowledgement"
        );
    }

    fn deactivate(&mut self, id: IntId) {
        self.calls.push(Call::Deactivate(id));
        assert!(
            !self.gic.running.contains(&id),
            "{id} is deactivated before its priority is dropped"
        );
        assert!(self.gic.active.remove(&id), "{id} was not active");
    }

    fn set_private_active(&mut self, id: IntId, active: Active) {
        assert!(id.is_private(), "{id} is shared");
        self.calls.push(Call::SetPrivateActive(id, active));
        match active {
            Active::Yes => self.gic.active.insert(id),
            Active::No => self.gic.active.remove(&id),
        };
    }

    fn private_active(&self, id: IntId) -> Active {
        assert!(id.is_private(), "{id} is shared");
        if self.gic.active.contains(&id) {
            Active::Yes
        } else {
            Active::No
        }
    }

    fn kick(&mut self, cpu: CpuId) {
        self.calls.push(Call::Kick(cpu));
        self.gic.kicks.push(cpu);
    }
}

impl VirtualCpuInterface for FakeMachine {
    fn list_register_count(&self) -> usize {
        self.interface.count
    }

    fn list_register(&self, index: usize) -> u64 {
        if index < self.interface.count {
            self.interface.list_registers[index]
        } else {
            0
        }
    }

    fn set_list_register(&mut self, index: usize, value: u64) {
        self.calls.push(Call::SetListRegister(index, value));
        if index < self.interface.count {
            self.interface.list_registers[index] = value;
        }
    }

    fn empty_list_registers(&self) -> u32 {
        self.interface
            .bits(|value| value & LR_STATE == 0 && (value & LR_HW != 0 || value & LR_EOI == 0))
    }

    fn eoi_list_registers(&self) -> u32 {
        self.interface
            .bits(|value| value & (LR_STATE | LR_HW | LR_EOI) == LR_EOI)
    }

    fn maintenance_status(&self) -> u32 {
        self.interface.maintenance_status
    }

    fn control(&self) -> u32 {
        self.interface.control
    }

    fn set_control(&mut self, value: u32) {
        self.interface.control = value;
    }

    fn machine_control(&self) -> u32 {
        self.interface.machine_control
    }

    fn set_machine_control(&mut self, value: u32) {
        self.interface.machine_control = value;
    }

    fn active_priority_count(&self) -> usize {
        self.interface.active_priority_count
    }

    fn active_priority(&self, group: usize, index: usize) -> u32 {
        self.interface.active_priorities[group][index]
    }

    fn set_active_priority(&mut self, group: usize, index: usize, value: u32) {
        self.interface.active_priorities[group][index] = value;
    }
}
