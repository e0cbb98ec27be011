//! A vCPU comes to a CPU and leaves it, and what wakes it in between. What most vCPUs bring along and
//! leave behind, one interrupt or none, takes a way of its own.

use crate::bits::Bits;
use crate::cpu_interface::control;
use crate::distributor::Distributor;
use crate::effects::{Effects, PrivateSet};
use crate::list_registers::ListRegister;
use crate::vcpu::VcpuInterrupts;
use machine::VirtualCpuInterface;

impl VcpuInterrupts {
    /// Puts the vCPU on this CPU: loads its CPU interface and fills the list registers. Before it,
    /// make [`VcpuInterrupts::linked_physical`] active on this CPU. All list registers are empty:
    /// [`VcpuInterrupts::save`] leaves them so, and whoever starts a CPU empties them.
    pub fn load<H: VirtualCpuInterface>(
        &mut self,
        distributor: &mut Distributor,
        hw: &mut H,
    ) -> Effects {
        self.interface.load(hw);
        self.control = control::ENABLE;
        hw.set_control(control::ENABLE);
        self.groups = distributor.groups();
        if distributor.join_cpu(self.index).is_quiet() && self.start_alone(hw) {
            return Effects::NONE;
        }
        self.deliver(distributor, hw)
    }

    /// Puts what is pending into the first list register when none is in use, if that is one SGI or
    /// none at all: as [`VcpuInterrupts::deliver_private`] does it, in fewer steps. Tells whether it
    /// was that.
    #[inline(always)]
    fn start_alone<H: VirtualCpuInterface>(&mut self, hw: &mut H) -> bool {
        if !self.bank.is_quiet_but_for_edges() || self.lowered | self.relinked != 0 {
            return false;
        }
        let wanted = self.bank.deliverable(self.groups);
        if wanted == 0 {
            return true;
        }
        let usual = self.bank.edge() & !self.linked;
        if wanted & !usual != 0 || wanted & wanted.wrapping_sub(1) != 0 {
            return false;
        }
        let number = wanted.trailing_zeros();
        let value = self.bank.start_edge(number);
        hw.set_list_register(0, value.get());
        self.slots.assign(0, number);
        true
    }

    /// Takes the vCPU off this CPU: all that it had in flight becomes plain state, and its CPU
    /// interface is saved and disabled. After it, make [`VcpuInterrupts::linked_physical`] inactive
    /// on this CPU.
    pub fn save<H: VirtualCpuInterface>(
        &mut self,
        distributor: &mut Distributor,
        hw: &mut H,
    ) -> Effects {
        let mut effects = Effects::NONE;
        if !self.is_resident() {
            return effects;
        }
        if self.has_finished(hw) {
            effects.deactivate = self.forget_all(hw);
        } else {
            self.fold(distributor, hw, &mut effects);
            effects.kick.remove(self.index);
        }
        self.interface.save(hw);
        hw.set_control(0);
        self.control = 0;
        self.lowered = 0;
        distributor.leave_cpu(self.index);
        effects
    }

    /// Tells whether the guest has finished with all that is in list registers, and all of that is its
    /// own: what most vCPUs leave behind.
    #[inline]
    fn has_finished<H: VirtualCpuInterface>(&self, hw: &H) -> bool {
        self.slots.used() & !hw.empty_list_registers() == 0
            && self.slots.shared() == 0
            && !self.overflows()
    }

    /// Forgets all that is in list registers, as [`VcpuInterrupts::fold`] does it one by one. Returns
    /// the physical interrupts to deactivate.
    #[inline(always)]
    fn forget_all<H: VirtualCpuInterface>(&mut self, hw: &H) -> PrivateSet {
        self.slots.clear();
        if self.linked != 0 {
            return self.forget_linked(hw);
        }
        self.bank.finish_all();
        PrivateSet::EMPTY
    }

    #[inline(never)]
    fn forget_linked<H: VirtualCpuInterface>(&mut self, hw: &H) -> PrivateSet {
        for number in Bits(self.linked & self.bank.in_flight()) {
            let slot = self.slots.of_private(number);
            let value = ListRegister::from_register(hw.list_register(slot as usize));
            self.unlink(number, value);
        }
        self.bank.finish_all();
        self.settle_links()
    }

    /// Tells whether a vCPU at rest has an interrupt that would be signaled: its WFI ends (Arm ARM,
    /// D1.6.2, "WFI wake-up events"). PSTATE.I does not matter for that.
    #[must_use]
    pub fn has_deliverable(&self, distributor: &Distributor) -> bool {
        let words = distributor.request(self.index).words;
        if words == 0 && self.bank.deliverable(distributor.groups()) == 0 {
            return false;
        }
        // Of each group the most urgent one passes, or none does.
        let mut group0 = None;
        let mut group1 = None;
        for word in Bits(words) {
            let waiting = distributor.deliverable_to(self.index, word);
            if let Some(bank) = distributor.bank(word).filter(|_| waiting != 0) {
                urge(&mut group0, bank.ranks().highest(waiting & !bank.group()));
                urge(&mut group1, bank.ranks().highest(waiting & bank.group()));
            }
        }
        let bank = &self.bank;
        let waiting = bank.deliverable(distributor.groups());
        urge(&mut group0, bank.ranks().highest(waiting & !bank.group()));
        urge(&mut group1, bank.ranks().highest(waiting & bank.group()));
        let interface = &self.interface;
        group0.is_some_and(|priority| interface.lets_through(priority, false))
            || group1.is_some_and(|priority| interface.lets_through(priority, true))
    }

    /// As [`VcpuInterrupts::has_deliverable`], for a vCPU that is on this CPU.
    #[must_use]
    pub fn has_deliverable_now<H: VirtualCpuInterface>(
        &mut self,
        distributor: &Distributor,
        hw: &H,
    ) -> bool {
        let used = self.slots.used() & !hw.empty_list_registers();
        if used == 0 && self.bank.is_quiet() && distributor.request(self.index).words == 0 {
            return false;
        }
        self.interface.save(hw);
        let interface = &self.interface;
        Bits(used).any(|slot| {
            let value = ListRegister::from_register(hw.list_register(slot as usize));
            value.is_pending() && interface.lets_through(value.priority(), value.is_group1())
        }) || self.has_deliverable(distributor)
    }
}

/// Keeps the more urgent of two priorities.
fn urge(most: &mut Option<u8>, other: Option<u8>) {
    if let Some(other) = other {
        *most = Some(most.map_or(other, |most| most.min(other)));
    }
}
