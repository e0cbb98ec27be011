//! Moving interrupts between plain state and the list registers.
//!
//! The invariant: while nothing has overflowed, every interrupt of the vCPU that is active or could
//! be signaled is in a list register. If there are more, the best ones are: the pending one of
//! highest priority, then the active ones, then the other pending ones, each in the order of
//! priority. Maintenance interrupts ask for the rest: one when no list register is pending any more
//! (NPIE), one when an active interrupt that has none is ended (LRENPIE), one when the guest enables
//! or disables a group, since a disabled group's interrupts come last.

use crate::bank::{Again, GroupEnables, Observed};
use crate::bits::{Bits, bit, low_bits};
use crate::cpu_interface::{control, watch_groups};
use crate::distributor::Distributor;
use crate::effects::{Effects, PrivateSet};
use crate::list_registers::{ListRegister, MAX_LIST_REGISTERS};
use crate::priority::{Candidates, Selection};
use crate::recipients::ask;
use crate::vcpu::{Overflow, VcpuInterrupts};
use addr::IntId;
use machine::VirtualCpuInterface;

/// The word of a vCPU's own interrupts.
const PRIVATE_WORD: u32 = 1;

/// Whether private interrupts could be brought to the list registers without the distributor.
#[must_use = "interrupts wait until the distributor is asked"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrivateDelivery {
    /// The list registers are up to date.
    Done,
    /// No list register is free: take the VM's interrupt lock and call
    /// [`VcpuInterrupts::deliver`].
    NeedsDistributor,
}

/// Whether all interrupts found a list register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Placed {
    All,
    NotAll,
}

impl VcpuInterrupts {
    /// Brings pending SGIs and PPIs to the list registers. The short path of the timer and of SGIs:
    /// it needs no lock. Does nothing for a vCPU at rest.
    #[inline]
    pub fn deliver_private<H: VirtualCpuInterface>(&mut self, hw: &mut H) -> PrivateDelivery {
        if !self.resident || (self.is_quiet() && !self.overflow.any()) {
            return PrivateDelivery::Done;
        }
        self.place_pending(hw)
    }

    /// Tells whether none of the vCPU's own interrupts can need a list register, by as short a look
    /// as will do in most cases.
    #[inline]
    const fn is_quiet(&self) -> bool {
        self.bank.is_quiet() && self.lowered | self.relinked == 0
    }

    #[inline(never)]
    fn place_pending<H: VirtualCpuInterface>(&mut self, hw: &mut H) -> PrivateDelivery {
        if self.overflow.any() {
            return PrivateDelivery::NeedsDistributor;
        }
        if self.lowered != 0 {
            self.take_back_lowered(hw);
        }
        let deliverable = self.bank.deliverable(self.groups);
        let edges = deliverable & self.bank.edge() & !self.linked;
        let mut wanted = deliverable
            | self.bank.wanted_again(self.groups)
            | self.bank.active_outside()
            | self.relinked;
        for number in Bits(edges) {
            if !self.start_edge(number, hw) {
                break;
            }
            wanted &= !bit(number);
        }
        if wanted == 0 {
            return PrivateDelivery::Done;
        }
        self.place_each(wanted, hw)
    }

    #[inline(never)]
    fn place_each<H: VirtualCpuInterface>(&mut self, wanted: u32, hw: &mut H) -> PrivateDelivery {
        for number in Bits(wanted) {
            if !self.renew_private(number, hw) && !self.place_private(number, hw) {
                return PrivateDelivery::NeedsDistributor;
            }
        }
        PrivateDelivery::Done
    }

    /// Puts an SGI, or a PPI that is latched, into a list register that was never filled, if there is
    /// one.
    #[inline(always)]
    fn start_edge<H: VirtualCpuInterface>(&mut self, number: u32, hw: &mut H) -> bool {
        let Some(slot) = self.slots.free(self.capacity) else {
            return false;
        };
        let value = self.bank.start_edge(number);
        hw.set_list_register(slot as usize, value.get());
        self.slots.assign(slot, number);
        true
    }

    /// Makes the list registers say what the model says: after a kick, after effects that named this
    /// vCPU, or when [`VcpuInterrupts::deliver_private`] asks for it. Does nothing for a vCPU at
    /// rest. The effects do not name this vCPU.
    #[inline]
    pub fn deliver<H: VirtualCpuInterface>(
        &mut self,
        distributor: &mut Distributor,
        hw: &mut H,
    ) -> Effects {
        if !self.resident {
            return Effects::NONE;
        }
        self.groups = distributor.groups();
        let request = distributor.request(self.index);
        let shared = request.words != 0
            || request.asks(ask::LOOK | ask::REFOLD | ask::LOWERED)
            || self.overflow.any();
        if shared || self.deliver_private(hw) == PrivateDelivery::NeedsDistributor {
            self.deliver_shared(distributor, hw)
        } else {
            Effects::NONE
        }
    }

    #[inline(never)]
    fn deliver_shared<H: VirtualCpuInterface>(
        &mut self,
        distributor: &mut Distributor,
        hw: &mut H,
    ) -> Effects {
        let mut effects = Effects::NONE;
        if distributor.request(self.index).asks(ask::LOOK) {
            self.publish(distributor, hw, &mut effects);
        }
        let request = distributor.request(self.index);
        if request.asks(ask::REFOLD)
            || self.overflow.any()
            || (request.asks(ask::LOWERED) && self.any_withdrawn(distributor, hw))
            || self.deliver_private(hw) == PrivateDelivery::NeedsDistributor
            || self.place_shared(distributor, hw, &mut effects) == Placed::NotAll
        {
            self.rebuild(distributor, hw, &mut effects);
        }
        effects.kick.remove(self.index);
        effects
    }

    /// Handles the maintenance interrupt, whatever it was for: a spurious one does no harm. The cause
    /// is gone afterwards, so that the interrupt is not asserted when the guest goes on.
    pub fn maintain<H: VirtualCpuInterface>(
        &mut self,
        distributor: &mut Distributor,
        hw: &mut H,
    ) -> Effects {
        let mut effects = Effects::NONE;
        if self.resident {
            self.publish(distributor, hw, &mut effects);
            effects.merge(self.deliver(distributor, hw));
            effects.kick.remove(self.index);
        }
        effects
    }

    /// Learns from the list registers what the guest did since the last look. What is still pending
    /// or active stays where it is.
    pub(crate) fn publish<H: VirtualCpuInterface>(
        &mut self,
        distributor: &mut Distributor,
        hw: &mut H,
        effects: &mut Effects,
    ) {
        for slot in Bits(self.slots.used()) {
            self.look_at(slot, distributor, hw, effects);
        }
        distributor.note_looked(self.index);
    }

    /// Puts the vCPU on this CPU: loads its CPU interface and fills the list registers. Before it,
    /// make [`VcpuInterrupts::linked_physical`] active on this CPU.
    pub fn load<H: VirtualCpuInterface>(
        &mut self,
        distributor: &mut Distributor,
        hw: &mut H,
    ) -> Effects {
        self.interface.load(hw);
        let count = u32::try_from(hw.list_register_count().min(MAX_LIST_REGISTERS)).unwrap_or(0);
        self.capacity = count;
        for slot in Bits(!hw.empty_list_registers() & low_bits(count)) {
            hw.set_list_register(slot as usize, 0);
        }
        self.resident = true;
        self.control = control::ENABLE;
        hw.set_control(control::ENABLE);
        self.groups = distributor.groups();
        if distributor.join_cpu(self.index).is_quiet() && self.is_quiet() {
            return Effects::NONE;
        }
        self.deliver(distributor, hw)
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
        if !self.resident {
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
        self.resident = false;
        self.capacity = 0;
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
            && !self.overflow.any()
            && !self.bank.changes_activity()
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

    /// Ends the tie to a physical interrupt that hardware has deactivated together with the virtual
    /// one; it may have come again since.
    #[inline]
    fn unlink(&mut self, number: u32, finished: ListRegister) {
        if finished.is_hardware() {
            self.linked &= !bit(number) | self.relinked;
        }
        self.relinked &= !bit(number);
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

    /// Makes an SGI of group 1 pending and seen in one, if it is all there is to do: the guest has
    /// finished with the list register in which the SGI last was. Tells whether it was; if not,
    /// nothing has been done, and [`VcpuInterrupts::pend_sgi`] and
    /// [`VcpuInterrupts::deliver_private`] do it.
    #[inline(always)]
    pub fn renew_sgi<H: VirtualCpuInterface>(&mut self, id: IntId, hw: &mut H) -> bool {
        id.is_sgi() && self.renew_group1(id.get() & 0xf, None, hw)
    }

    /// As [`VcpuInterrupts::renew_sgi`], for a PPI whose physical interrupt has come again: if it was
    /// not renewed, [`VcpuInterrupts::inject_hardware_ppi`] is what to call.
    #[inline(always)]
    pub fn renew_hardware_ppi<H: VirtualCpuInterface>(
        &mut self,
        id: IntId,
        physical: IntId,
        hw: &mut H,
    ) -> bool {
        let number = id.get() & 0x1f;
        let known = self.physical.get(number as usize).copied().unwrap_or(0);
        id.is_private()
            && self.linked & bit(number) != 0
            && u32::from(known) == physical.get()
            && self.renew_group1(number, Some(known), hw)
    }

    /// Renews private interrupt `number`, of group 1 and configured to be signaled, in the list
    /// register that the guest has emptied.
    #[inline(always)]
    fn renew_group1<H: VirtualCpuInterface>(
        &mut self,
        number: u32,
        physical: Option<u8>,
        hw: &mut H,
    ) -> bool {
        if self.overflow.any() || !self.bank.can_renew(number, self.groups) {
            return false;
        }
        let slot = self.slots.of_private(number & 0x1f);
        if hw.empty_list_registers() & bit(slot) == 0 {
            return false;
        }
        let mut value = self.bank.renew_group1(number);
        if let Some(physical) = physical {
            value = value.with_physical(physical);
        }
        hw.set_list_register(slot as usize, value.get());
        true
    }

    /// Puts an SGI, or a PPI tied to a physical interrupt, into the list register in which it last
    /// was, if the guest has finished with that one. Tells whether it did. Most interrupts go this
    /// way.
    #[inline]
    fn renew_private<H: VirtualCpuInterface>(&mut self, number: u32, hw: &mut H) -> bool {
        let interrupt = bit(number);
        let usual = (self.bank.edge() & !self.linked) | self.relinked;
        if usual & self.bank.in_flight() & interrupt == 0 {
            return false;
        }
        let slot = self.slots.of_private(number);
        if !ListRegister::from_register(hw.list_register(slot as usize)).is_empty() {
            return false;
        }
        let Some(mut value) = self.bank.renew(number, self.groups) else {
            return false;
        };
        if self.relinked & interrupt != 0 {
            let physical = self.physical.get(number as usize).copied().unwrap_or(0);
            value = value.with_physical(physical);
            self.relinked &= !interrupt;
        }
        hw.set_list_register(slot as usize, value.get());
        true
    }

    /// Puts one private interrupt into a list register, or a new value into the one it has. Tells
    /// whether there was one.
    #[inline(never)]
    fn place_private<H: VirtualCpuInterface>(&mut self, number: u32, hw: &mut H) -> bool {
        let slot = if self.bank.in_flight() & bit(number) == 0 {
            match self.free_slot(hw) {
                Some(slot) => slot,
                None => return false,
            }
        } else {
            let slot = self.slots.of_private(number);
            self.observe_private(slot, number, hw);
            self.bank.put_back(number);
            let due = self.bank.deliverable(self.groups) | self.bank.active_outside();
            if due & bit(number) == 0 {
                hw.set_list_register(slot as usize, 0);
                self.slots.release(slot);
                return true;
            }
            slot
        };
        let linked = self.linked & bit(number) != 0;
        let physical = linked
            .then(|| self.physical.get(number as usize).copied())
            .flatten();
        let value = self
            .bank
            .take(number, number, physical, Again::Here, self.groups);
        hw.set_list_register(slot as usize, value.get());
        self.slots.assign(slot, number);
        true
    }

    /// Finds a list register that was never filled, or one of a private interrupt that the guest has
    /// finished with.
    #[inline]
    fn free_slot<H: VirtualCpuInterface>(&mut self, hw: &mut H) -> Option<u32> {
        if let Some(slot) = self.slots.free(self.capacity) {
            return Some(slot);
        }
        for slot in Bits(hw.empty_list_registers() & self.slots.private()) {
            self.observe_private(slot, self.slots.id(slot), hw);
            self.slots.release(slot);
        }
        self.slots.free(self.capacity)
    }

    /// Learns from a list register what the guest did with a private interrupt.
    #[inline]
    fn observe_private<H: VirtualCpuInterface>(
        &mut self,
        slot: u32,
        number: u32,
        hw: &H,
    ) -> (Observed, ListRegister) {
        let value = ListRegister::from_register(hw.list_register(slot as usize));
        let observed = self.bank.observe(number, value);
        match observed {
            Observed::Finished => self.unlink(number, value),
            Observed::Held => self.relinked &= !bit(number),
        }
        (observed, value)
    }

    /// Looks at the list registers of private interrupts.
    pub(crate) fn look_at_private<H: VirtualCpuInterface>(&mut self, hw: &mut H) {
        for slot in Bits(self.slots.private()) {
            let (observed, value) = self.observe_private(slot, self.slots.id(slot), hw);
            self.forget_finished(slot, observed, value, hw);
        }
    }

    /// Takes a private interrupt out of its list register.
    pub(crate) fn take_back_private<H: VirtualCpuInterface>(&mut self, number: u32, hw: &mut H) {
        let slot = self.slots.of_private(number);
        let _ = self.observe_private(slot, number, hw);
        self.bank.put_back(number);
        hw.set_list_register(slot as usize, 0);
        self.slots.release(slot);
    }

    /// Takes PPIs out of their list registers whose wire fell before they were acknowledged.
    #[cold]
    #[inline(never)]
    fn take_back_lowered<H: VirtualCpuInterface>(&mut self, hw: &mut H) {
        let withdrawn = self.bank.withdrawn(self.lowered) & !self.linked;
        for number in Bits(withdrawn) {
            self.take_back_private(number, hw);
        }
        self.lowered = 0;
    }

    fn look_at<H: VirtualCpuInterface>(
        &mut self,
        slot: u32,
        distributor: &mut Distributor,
        hw: &mut H,
        effects: &mut Effects,
    ) {
        let id = self.slots.id(slot);
        let (observed, value) = if id < IntId::FIRST_SPI {
            self.observe_private(slot, id, hw)
        } else {
            let value = ListRegister::from_register(hw.list_register(slot as usize));
            (distributor.observe(id, value, effects), value)
        };
        self.forget_finished(slot, observed, value, hw);
    }

    /// Frees the slot of an interrupt that the guest has finished with. One that asked for
    /// maintenance does so until it is overwritten.
    fn forget_finished<H: VirtualCpuInterface>(
        &mut self,
        slot: u32,
        observed: Observed,
        value: ListRegister,
        hw: &mut H,
    ) {
        match observed {
            Observed::Finished => {
                if value.wants_eoi() {
                    hw.set_list_register(slot as usize, 0);
                }
                self.slots.release(slot);
            }
            Observed::Held => {}
        }
    }

    /// Tells whether a list register holds an SPI as pending whose wire is low again.
    fn any_withdrawn<H: VirtualCpuInterface>(&self, distributor: &Distributor, hw: &H) -> bool {
        Bits(self.slots.shared()).any(|slot| {
            let id = self.slots.id(slot);
            let (word, number) = crate::routing::split(id);
            let withdrawn = distributor
                .bank(word)
                .map_or(0, |bank| bank.withdrawn(bit(number)));
            withdrawn != 0
                && ListRegister::from_register(hw.list_register(slot as usize)).is_pending()
        })
    }

    /// Puts the SPIs that came up for this vCPU into list registers.
    fn place_shared<H: VirtualCpuInterface>(
        &mut self,
        distributor: &mut Distributor,
        hw: &mut H,
        effects: &mut Effects,
    ) -> Placed {
        let mut request = distributor.request(self.index);
        request.drop(ask::LOWERED);
        let words = request.words;
        request.words = 0;
        distributor.set_request(self.index, request);
        for word in Bits(words) {
            for number in Bits(distributor.wanted_by(self.index, word)) {
                let id = crate::routing::join(word, number);
                if !self.place_spi(id, distributor, hw, effects) {
                    self.restore_words(distributor, words);
                    return Placed::NotAll;
                }
            }
        }
        // Making room may have brought up more.
        if distributor.request(self.index).words == 0 {
            Placed::All
        } else {
            Placed::NotAll
        }
    }

    fn restore_words(&self, distributor: &mut Distributor, words: u32) {
        let mut request = distributor.request(self.index);
        request.words |= words;
        distributor.set_request(self.index, request);
    }

    fn place_spi<H: VirtualCpuInterface>(
        &mut self,
        id: u32,
        distributor: &mut Distributor,
        hw: &mut H,
        effects: &mut Effects,
    ) -> bool {
        let held = self.slots.of_shared(id);
        let slot = match held.or_else(|| self.free_slot(hw)) {
            Some(slot) => slot,
            None => {
                for slot in Bits(hw.empty_list_registers() & self.slots.shared()) {
                    self.look_at(slot, distributor, hw, effects);
                }
                match self.slots.free(self.capacity) {
                    Some(slot) => slot,
                    None => return false,
                }
            }
        };
        if held.is_some() {
            let value = ListRegister::from_register(hw.list_register(slot as usize));
            if distributor.observe(id, value, effects) == Observed::Held {
                distributor.put_back(id, effects);
            }
        }
        let value = distributor.take(id, self.index);
        hw.set_list_register(slot as usize, value.get());
        self.slots.assign(slot, id);
        true
    }

    /// Takes everything out of the list registers and ends what the guest ended elsewhere.
    fn fold<H: VirtualCpuInterface>(
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
        if self.overflow.active {
            self.end_counted(distributor, hw, effects);
        }
        self.overflow = Overflow::default();
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

    /// Folds, and fills the list registers with the best interrupts.
    #[inline(never)]
    fn rebuild<H: VirtualCpuInterface>(
        &mut self,
        distributor: &mut Distributor,
        hw: &mut H,
        effects: &mut Effects,
    ) {
        self.fold(distributor, hw, effects);
        let machine_control = hw.machine_control();
        let capacity = self.capacity as usize;
        let active = self.outside(distributor, capacity);
        let pending = self.waiting(distributor, machine_control, capacity);

        let reserved = usize::from(pending.len() > 0);
        let actives = active.len().min(capacity.saturating_sub(reserved));
        let pendings = pending.len().min(capacity.saturating_sub(actives));
        self.overflow = Overflow {
            active: active.overflowed() || actives < active.len(),
            pending: pending.overflowed() || pendings < pending.len(),
        };
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
        if !self.overflow.pending {
            request.words = 0;
        }
        distributor.set_request(self.index, request);
        self.write_control_register(machine_control, hw);
    }

    fn write_control_register<H: VirtualCpuInterface>(&mut self, machine_control: u32, hw: &mut H) {
        let mut value = control::ENABLE;
        if self.overflow.active {
            value |= control::NOT_PRESENT;
        }
        if self.overflow.pending {
            value |= control::NO_PENDING | watch_groups(machine_control);
        }
        // EOIcount must start from 0 when it begins to count.
        if value != self.control || self.overflow.active {
            self.control = value;
            hw.set_control(value);
        }
    }
}

/// Keeps the more urgent of two priorities.
fn urge(most: &mut Option<u8>, other: Option<u8>) {
    if let Some(other) = other {
        *most = Some(most.map_or(other, |most| most.min(other)));
    }
}
