//! Moving interrupts between plain state and the list registers.
//!
//! The invariant: while nothing has overflowed, every interrupt of the vCPU that is active or could
//! be signaled is in a list register. If there are more, the best ones are: the pending one of
//! highest priority, then the active ones, then the other pending ones, each in the order of
//! priority. Maintenance interrupts ask for the rest: one when no list register is pending any more
//! (NPIE), one when an active interrupt that has none is ended (LRENPIE), one when the guest enables
//! or disables a group, since a disabled group's interrupts come last.

use crate::bank::Observed;
use crate::bits::{Bits, bit};
use crate::distributor::Distributor;
use crate::effects::Effects;
use crate::list_registers::ListRegister;
use crate::private::{PrivateDelivery, count};
use crate::recipients::ask;
use crate::vcpu::VcpuInterrupts;
use addr::IntId;
use machine::VirtualCpuInterface;

/// Whether all interrupts found a list register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Placed {
    All,
    NotAll,
}

impl VcpuInterrupts {
    /// Makes the list registers say what the model says: after a kick, after effects that named this
    /// vCPU, or when [`VcpuInterrupts::deliver_private`] asks for it. Does nothing for a vCPU at
    /// rest. The effects do not name this vCPU.
    #[inline]
    pub fn deliver<H: VirtualCpuInterface>(
        &mut self,
        distributor: &mut Distributor,
        hw: &mut H,
    ) -> Effects {
        if !self.is_resident() {
            return Effects::NONE;
        }
        self.groups = distributor.groups();
        let request = distributor.request(self.index);
        let shared = request.words != 0
            || request.asks(ask::LOOK | ask::REFOLD | ask::LOWERED)
            || self.overflows();
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
            || self.overflows()
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
        if self.is_resident() {
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

    pub(crate) fn place_spi<H: VirtualCpuInterface>(
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
                match self.slots.free(count(hw)) {
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
}
