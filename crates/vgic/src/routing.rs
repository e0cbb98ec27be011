//! Where each SPI goes: wires, targets, and the SPIs in the vCPUs' list registers.

use crate::bank::{Again, GroupEnables, Observed};
use crate::bits::{Bits, bit, when};
use crate::distributor::{Distributor, IROUTER_ANY, Level, NOBODY, Participation, spi_index};
use crate::effects::Effects;
use crate::list_registers::ListRegister;
use crate::recipients::ask;
use addr::{IntId, Mpidr, VcpuIndex};

impl Distributor {
    /// Sets the wire of an SPI; an INTID that the VM does not have is ignored. The effects may name
    /// any vCPU.
    #[inline]
    pub fn set_line(&mut self, id: IntId, level: Level) -> Effects {
        let (word, number) = split(id.get());
        let groups = self.groups;
        let Some(bank) = self.bank_mut(word) else {
            return Effects::NONE;
        };
        let before = bank.wanted(groups);
        match level {
            Level::High => {
                bank.raise(bit(number));
                let fresh = bank.wanted(groups) & !before;
                self.announce(word, fresh)
            }
            Level::Low => {
                let fallen = bank.lower(bit(number));
                let withdrawn = bank.withdrawn(fallen);
                self.withdraw(word, withdrawn)
            }
        }
    }

    /// Makes an edge-triggered SPI pending, or sets the wire of a level-sensitive one: what a
    /// message-based interrupt does (GICD_SETSPI_NSR, GICD_CLRSPI_NSR).
    pub(crate) fn message(&mut self, value: u32, level: Level) -> Effects {
        let id = IntId::new(value & 0x1fff);
        let (word, number) = split(id.get());
        let groups = self.groups;
        let Some(bank) = self.bank_mut(word) else {
            return Effects::NONE;
        };
        if bank.is_level(number) {
            return self.set_line(id, level);
        }
        let before = bank.wanted(groups);
        match level {
            Level::High => {
                bank.pend(bit(number));
                let fresh = bank.wanted(groups) & !before;
                self.announce(word, fresh)
            }
            Level::Low => {
                let taken = bank.unpend(bit(number));
                let mut effects = Effects::NONE;
                if taken != 0 {
                    let holder = self.holder(word, number);
                    self.ask(holder, ask::REFOLD, &mut effects);
                }
                effects
            }
        }
    }

    /// Tells the distributor whether a vCPU may be chosen for 1-of-N interrupts: when it is turned
    /// on or off. Those that waited for it go to another.
    pub fn set_participation(&mut self, vcpu: VcpuIndex, participation: Participation) -> Effects {
        let nobody_took_part = self.participants.is_empty();
        match participation {
            Participation::Yes => self.participants.insert(vcpu),
            Participation::No => self.participants.remove(vcpu),
        }
        let mut effects = Effects::NONE;
        for word in Bits(self.all_words()) {
            let Some(bank) = self.bank(word) else {
                continue;
            };
            // Those in flight follow their holder until it has put them back.
            let movable = bank.any() & !bank.in_flight();
            let lost = match participation {
                Participation::Yes if nobody_took_part => movable,
                Participation::Yes => 0,
                Participation::No => movable & self.targeted(vcpu, word),
            };
            if lost != 0 {
                self.move_to_another(word, lost, &mut effects);
            }
        }
        effects
    }

    /// Has 1-of-N interrupts of a bank, none in flight, go to the next participant, all to the same:
    /// choosing for each would take long.
    fn move_to_another(&mut self, word: u32, interrupts: u32, effects: &mut Effects) {
        let chosen = self.next_participant();
        for number in Bits(interrupts) {
            self.set_target(join(word, number), chosen);
        }
        let waiting = self
            .bank(word)
            .map_or(0, |bank| bank.deliverable(self.groups));
        if let Some(number) = Bits(waiting & interrupts).next() {
            self.notify(word, number, effects);
        }
    }

    /// Changes GICD_IROUTER. What is in flight is taken back and routed anew; what is active stays
    /// where it is until it ends.
    pub(crate) fn set_route(&mut self, id: u32, route: u64) -> Effects {
        let (word, number) = split(id);
        let Some(place) = self.routes.get_mut(spi_index(id)) else {
            return Effects::NONE;
        };
        *place = route;
        let any = route & IROUTER_ANY != 0;
        if let Some(bank) = self.bank_mut(word) {
            bank.set_any(when(any, bit(number)), bit(number));
        }
        let target = if any {
            // Until it is retargeted, it stays where it is in flight.
            self.holder(word, number)
        } else {
            Mpidr::from_register(route)
                .vcpu()
                .filter(|vcpu| vcpu.get() < self.config.vcpu_count)
                .map_or(NOBODY, VcpuIndex::get)
        };
        self.set_target(id, target);
        self.retarget(word, number);
        let mut effects = Effects::NONE;
        let (in_flight, waiting) = self.bank(word).map_or((0, 0), |bank| {
            (bank.in_flight(), bank.deliverable(self.groups))
        });
        if in_flight & bit(number) != 0 {
            let holder = self.holder(word, number);
            self.ask(holder, ask::REFOLD, &mut effects);
        } else if waiting & bit(number) != 0 {
            self.notify(word, number, &mut effects);
        }
        effects
    }

    /// Tells those responsible that interrupts of a bank became pending.
    fn announce(&mut self, word: u32, fresh: u32) -> Effects {
        let mut effects = Effects::NONE;
        for number in Bits(fresh) {
            self.retarget(word, number);
            self.notify(word, number, &mut effects);
        }
        effects
    }

    /// Tells the holders that interrupts of a bank are no longer asserted.
    fn withdraw(&mut self, word: u32, withdrawn: u32) -> Effects {
        let mut effects = Effects::NONE;
        for number in Bits(withdrawn) {
            let holder = self.holder(word, number);
            self.ask(holder, ask::LOWERED, &mut effects);
        }
        effects
    }

    /// Chooses the target of a 1-of-N interrupt that is not in flight: the participants in turn.
    pub(crate) fn retarget(&mut self, word: u32, number: u32) {
        let movable = self
            .bank(word)
            .map_or(0, |bank| bank.any() & !bank.in_flight());
        if movable & bit(number) != 0 {
            let chosen = self.next_participant();
            self.set_target(join(word, number), chosen);
        }
    }

    fn next_participant(&mut self) -> u16 {
        let chosen = self
            .participants
            .next_from(self.next_target)
            .map_or(NOBODY, VcpuIndex::get);
        self.next_target = chosen.wrapping_add(1);
        chosen
    }

    /// Gives an interrupt that a write made active to its target.
    pub(crate) fn adopt_active(&mut self, word: u32, number: u32) {
        let id = join(word, number);
        self.active_words |= bit(word);
        let target = self.target(id).map_or(NOBODY, VcpuIndex::get);
        self.set_holder(id, target);
    }

    /// Returns which groups are forwarded.
    #[inline]
    pub(crate) const fn groups(&self) -> GroupEnables {
        self.groups
    }

    /// Returns the SPIs of a bank that a vCPU's list registers should learn about.
    #[inline]
    pub(crate) fn wanted_by(&self, vcpu: VcpuIndex, word: u32) -> u32 {
        let Some(bank) = self.bank(word) else {
            return 0;
        };
        let in_flight = bank.in_flight();
        let responsible =
            (in_flight & self.held(vcpu, word)) | (!in_flight & self.targeted(vcpu, word));
        bank.wanted(self.groups) & responsible
    }

    /// Returns the SPIs of a bank that could be signaled to a vCPU and are in no list register.
    #[inline]
    pub(crate) fn deliverable_to(&self, vcpu: VcpuIndex, word: u32) -> u32 {
        self.bank(word)
            .map_or(0, |bank| bank.deliverable(self.groups))
            & self.targeted(vcpu, word)
    }

    /// Returns the SPIs of a bank that are active on a vCPU and in no list register.
    #[inline]
    pub(crate) fn active_on(&self, vcpu: VcpuIndex, word: u32) -> u32 {
        self.bank(word).map_or(0, |bank| bank.active_outside()) & self.held(vcpu, word)
    }

    /// Returns the banks that have active interrupts in no list register.
    pub(crate) fn settle_active_words(&mut self) -> u32 {
        for word in Bits(self.active_words) {
            if self
                .bank(word)
                .is_none_or(|bank| bank.active_outside() == 0)
            {
                self.active_words &= !bit(word);
            }
        }
        self.active_words
    }

    /// Makes the value for an SPI's list register and gives the SPI to a vCPU.
    pub(crate) fn take(&mut self, id: u32, vcpu: VcpuIndex) -> ListRegister {
        let (word, number) = split(id);
        self.set_holder(id, vcpu.get());
        let again = if self.target(id) == Some(vcpu) {
            Again::Here
        } else {
            Again::Elsewhere
        };
        let groups = self.groups;
        self.bank_mut(word).map_or(ListRegister::EMPTY, |bank| {
            bank.take(number, id, None, again, groups)
        })
    }

    /// Learns from a list register what the guest did with an SPI.
    pub(crate) fn observe(
        &mut self,
        id: u32,
        value: ListRegister,
        effects: &mut Effects,
    ) -> Observed {
        let (word, number) = split(id);
        let Some(bank) = self.bank_mut(word) else {
            return Observed::Finished;
        };
        let observed = bank.observe(number, value);
        match observed {
            Observed::Finished => self.released(word, number, effects),
            Observed::Held => {}
        }
        observed
    }

    /// Takes an SPI out of its list register, after [`Distributor::observe`].
    pub(crate) fn put_back(&mut self, id: u32, effects: &mut Effects) {
        let (word, number) = split(id);
        if let Some(bank) = self.bank_mut(word) {
            bank.put_back(number);
        }
        self.released(word, number, effects);
    }

    /// Ends an active SPI that is in no list register.
    pub(crate) fn end(&mut self, id: u32, effects: &mut Effects) {
        let (word, number) = split(id);
        if let Some(bank) = self.bank_mut(word) {
            bank.end(number);
        }
        self.released(word, number, effects);
    }

    fn released(&mut self, word: u32, number: u32, effects: &mut Effects) {
        let groups = self.groups;
        let Some(bank) = self.bank_mut(word) else {
            return;
        };
        let active = bank.active_outside() & bit(number) != 0;
        let waiting = bank.deliverable(groups) & bit(number) != 0;
        if active {
            self.active_words |= bit(word);
        }
        if waiting {
            self.notify(word, number, effects);
        }
    }
}

/// Splits an INTID in the word of the bit registers and the bit.
#[inline]
pub(crate) const fn split(id: u32) -> (u32, u32) {
    (id >> 5, id & 31)
}

/// Undoes [`split`].
#[inline]
pub(crate) const fn join(word: u32, number: u32) -> u32 {
    word << 5 | number
}
