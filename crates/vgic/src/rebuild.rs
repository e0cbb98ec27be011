//! Filling the list registers anew, with the best of all interrupts that a vCPU has. The work is bound
//! by the number of list registers and banks, not by that of interrupts.

use crate::bank::{GroupEnables, Observed};
use crate::bits::Bits;
use crate::cpu_interface::{control, watch_groups};
use crate::distributor::Distributor;
use crate::effects::{Effects, PrivateSet};
use crate::list_registers::{ListRegister, MAX_LIST_REGISTERS};
use crate::priority::{Candidates, Selection};
use crate::private::count;
use crate::recipients::{PRIVATE_WORD, ask};
use crate::vcpu::VcpuInterrupts;
use addr::IntId;
use machine::VirtualCpuInterface;

impl VcpuInterrupts {
    /// Folds, and fills the list registers with the best interrupts.
    #[inline(never)]
    pub(crate) fn rebuild<H: VirtualCpuInterface>(
        &mut self,
        distributor: &mut Distributor,
        hw: &mut H,
        effects: &mut Effects,
    ) {
        self.fold(distributor, hw, effects);
        let machine_control = hw.machine_control();
        let capacity = count(hw) as usize;
        let active = self.outside(distributor, capacity);
        let pending = self.waiting(distributor, machine_control, capacity);

        let reserved = usize::from(pending.len() > 0);
        let actives = active.len().min(capacity.saturating_sub(reserved));
        let pendings = pending.len().min(capacity.saturating_sub(actives));
        let mut value = control::ENABLE;
        if active.overflowed() || actives < active.len() {
            value |= control::NOT_PRESENT;
        }
        if pending.overflowed() || pendings < pending.len() {
            value |= control::NO_PENDING | watch_groups(machine_control);
        }
        let chosen = active
            .iter()
            .take(actives)
            .chain(pending.iter().take(pendings));
        let mut request = distributor.request(self.index);
        for id in chosen {
            if id < IntId::FIRST_SPI {
                let _ = self.place_private(id, hw);
            } else {
                let _ = self.place_spi(id, distributor, hw, effects);
            }
        }
        request.drop(ask::REFOLD | ask::LOWERED);
        if value & control::NO_PENDING == 0 {
            request.words = 0;
        }
        distributor.set_request(self.index, request);
        // EOIcount must start from 0 when it begins to count.
        if value != self.control || self.overflows_active() {
            self.control = value;
            hw.set_control(value);
        }
    }

    /// Takes everything out of the list registers and ends what the guest ended elsewhere.
    pub(crate) fn fold<H: VirtualCpuInterface>(
        &mut self,
        distributor: &mut Distributor,
        hw: &mut H,
        effects: &mut Effects,
    ) {
        for slot in Bits(self.slots.used()) {
            let id = self.slots.id(slot);
            let value = if id < IntId::FIRST_SPI {
                let (_, value) = self.observe_private(slot, id, hw);
                self.bank.put_back(id);
                value
            } else {
                let value = ListRegister::from_register(hw.list_register(slot as usize));
                if distributor.observe(id, value, effects) == Observed::Held {
                    distributor.put_back(id, effects);
                }
                value
            };
            // The guest has emptied most of them.
            if !value.is_empty() || value.wants_eoi() {
                hw.set_list_register(slot as usize, 0);
            }
        }
        self.slots.clear();
        if self.overflows_active() {
            self.end_counted(distributor, hw, effects);
        }
        self.lowered = 0;
        if self.linked != 0 {
            let owed = self.settle_links().bits() | effects.deactivate.bits();
            effects.deactivate = PrivateSet::from_bits(owed);
        }
        distributor.note_folded(self.index);
    }

    /// Ends as many active interrupts without a list register as the guest has ended: with
    /// EOImode 0 it ends them in the order of priority.
    fn end_counted<H: VirtualCpuInterface>(
        &mut self,
        distributor: &mut Distributor,
        hw: &H,
        effects: &mut Effects,
    ) {
        let count = (hw.control() >> control::EOI_COUNT_SHIFT) & 0x1f;
        if count == 0 {
            return;
        }
        let selection = self.outside(distributor, MAX_LIST_REGISTERS);
        for id in selection.iter().take(count as usize) {
            if id < IntId::FIRST_SPI {
                self.bank.end(id);
            } else {
                distributor.end(id, effects);
            }
        }
    }

    /// Selects the active interrupts that are in no list register.
    fn outside(&self, distributor: &mut Distributor, capacity: usize) -> Selection {
        let words = distributor.settle_active_words() | PRIVATE_WORD;
        let distributor = &*distributor;
        Selection::choose(words, capacity, |word| {
            let (bank, interrupts) = match distributor.bank(word) {
                Some(bank) => (bank, distributor.active_on(self.index, word)),
                None => (&self.bank, self.bank.active_outside()),
            };
            Candidates {
                interrupts,
                // The group of what is active no longer matters.
                first: u32::MAX,
                ranks: bank.active_ranks(),
            }
        })
    }

    /// Selects the pending interrupts that are in no list register and could be signaled.
    fn waiting(
        &self,
        distributor: &Distributor,
        machine_control: u32,
        capacity: usize,
    ) -> Selection {
        let words = distributor.request(self.index).words;
        let groups = GroupEnables::at_interface(machine_control);
        Selection::choose(words | PRIVATE_WORD, capacity, |word| {
            let (bank, interrupts) = match distributor.bank(word) {
                Some(bank) => (bank, distributor.deliverable_to(self.index, word)),
                None => (&self.bank, self.bank.deliverable(self.groups)),
            };
            Candidates {
                interrupts,
                first: groups.mask(bank.group()),
                ranks: bank.ranks(),
            }
        })
    }
}
