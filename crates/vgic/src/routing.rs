//! Where each SPI goes: wires, targets, and the SPIs in the vCPUs' list registers.

use crate::bank::{Again, GroupEnables, Observed};
use crate::bits::{Bits, bit};
use crate::distributor::{Distributor, Level, NOBODY, Participation, Request, spi_index};
use crate::effects::Effects;
use crate::list_registers::ListRegister;
use crate::priority::{Key, Selection};
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
                bank.lower(bit(number));
                let withdrawn = bank.withdrawn(bit(number));
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
                    self.refold(holder, &mut effects);
                }
                effects
            }
        }
    }

    /// Tells the distributor whether a vCPU may be chosen for 1-of-N interrupts: when it is turned
    /// on or off. Those that waited for it go to another.
    pub fn set_participation(&mut self, vcpu: VcpuIndex, participation: Participation) -> Effects {
        match participation {
            Participation::Yes => self.participants.insert(vcpu),
            Participation::No => self.participants.remove(vcpu),
        }
        let mut effects = Effects::NONE;
        for word in Bits(self.all_words()) {
            let waiting = self
                .bank(word)
                .map_or(0, |bank| bank.deliverable(self.groups));
            for number in Bits(waiting) {
                let id = join(word, number);
                let lost = self
                    .target(id)
                    .is_none_or(|target| !self.participants.contains(target));
                if lost && self.goes_to_any(id) {
                    self.retarget(word, number);
                    self.notify(word, number, &mut effects);
                }
            }
        }
        effects
    }

    /// Changes GICD_IROUTER. What is in flight is taken back and routed anew; what is active stays
    /// where it is until it ends.
    pub(crate) fn set_route(&mut self, id: u32, route: u64) -> Effects {
        let (word, number) = split(id);
        let Some(place) = self.routes.get_mut(spi_index(id)) else {
            return Effects::NONE;
        };
        *place = route;
        let target = if self.goes_to_any(id) {
            // Until it is retargeted, it stays where it is in flight.
            self.holder(word, number)
        } else {
            Mpidr::from_register(route)
                .vcpu()
                .filter(|vcpu| vcpu.get() < self.config.vcpu_count)
                .map_or(NOBODY, VcpuIndex::get)
        };
        if let Some(place) = self.targets.get_mut(spi_index(id)) {
            *place = target;
        }
        self.retarget(word, number);
        let mut effects = Effects::NONE;
        let (in_flight, waiting) = self.bank(word).map_or((0, 0), |bank| {
            (bank.in_flight(), bank.deliverable(self.groups))
        });
        if in_flight & bit(number) != 0 {
            let holder = self.holder(word, number);
            self.refold(holder, &mut effects);
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
            if let Some(request) = self.requests.get_mut(usize::from(holder)) {
                request.lowered = true;
                effects.kick.insert(VcpuIndex::new(holder));
            }
        }
        effects
    }

    /// Chooses the target of a 1-of-N interrupt that is not in flight: the participants in turn.
    pub(crate) fn retarget(&mut self, word: u32, number: u32) {
        let id = join(word, number);
        let in_flight = self.bank(word).map_or(0, |bank| bank.in_flight());
        if !self.goes_to_any(id) || in_flight & bit(number) != 0 {
            return;
        }
        let chosen = self.next_participant();
        if let Some(place) = self.targets.get_mut(spi_index(id)) {
            *place = chosen;
        }
    }

    fn next_participant(&mut self) -> u16 {
        let mut lowest = NOBODY;
        for vcpu in self.participants.iter() {
            if vcpu.get() >= self.next_target {
                self.next_target = vcpu.get().wrapping_add(1);
                return vcpu.get();
            }
            lowest = lowest.min(vcpu.get());
        }
        self.next_target = lowest.wrapping_add(1);
        lowest
    }

    /// Records for the holder of an SPI in flight, or else its target, that it must look at it.
    pub(crate) fn notify(&mut self, word: u32, number: u32, effects: &mut Effects) {
        let in_flight = self.bank(word).map_or(0, |bank| bank.in_flight());
        let vcpu = if in_flight & bit(number) != 0 {
            self.holder(word, number)
        } else {
            self.target(join(word, number))
                .map_or(NOBODY, VcpuIndex::get)
        };
        if let Some(request) = self.requests.get_mut(usize::from(vcpu)) {
            request.words |= bit(word);
            effects.kick.insert(VcpuIndex::new(vcpu));
        }
    }

    /// Records that a vCPU must take its list registers back and fill them anew.
    pub(crate) fn refold(&mut self, vcpu: u16, effects: &mut Effects) {
        if let Some(request) = self.requests.get_mut(usize::from(vcpu)) {
            request.refold = true;
            effects.kick.insert(VcpuIndex::new(vcpu));
        }
    }

    /// Gives an interrupt that a write made active to its target.
    pub(crate) fn adopt_active(&mut self, word: u32, number: u32) {
        let id = join(word, number);
        self.active_words |= bit(word);
        let target = self.target(id).map_or(NOBODY, VcpuIndex::get);
        if let Some(place) = self.holders.get_mut(spi_index(id)) {
            *place = target;
        }
    }

    /// Returns the vCPU that an SPI goes to.
    #[inline]
    pub(crate) fn target(&self, id: u32) -> Option<VcpuIndex> {
        self.targets
            .get(spi_index(id))
            .filter(|target| **target != NOBODY)
            .map(|target| VcpuIndex::new(*target))
    }

    /// Tells whether an SPI that could be signaled to a vCPU satisfies `condition` on its priority
    /// and on whether it is in group 1.
    pub(crate) fn any_for(
        &self,
        vcpu: VcpuIndex,
        mut condition: impl FnMut(u8, bool) -> bool,
    ) -> bool {
        Bits(self.request(vcpu).words).any(|word| {
            self.bank(word).is_some_and(|bank| {
                Bits(bank.deliverable(self.groups)).any(|number| {
                    self.target(join(word, number)) == Some(vcpu)
                        && condition(bank.priority(number), bank.group() & bit(number) != 0)
                })
            })
        })
    }

    /// Returns the index of the vCPU that holds an SPI, in flight or active.
    #[inline]
    pub(crate) fn holder(&self, word: u32, number: u32) -> u16 {
        self.holders
            .get(spi_index(join(word, number)))
            .copied()
            .unwrap_or(NOBODY)
    }

    /// Returns which groups are forwarded.
    #[inline]
    pub(crate) const fn groups(&self) -> GroupEnables {
        self.groups
    }

    /// Returns what a vCPU has to look at.
    #[inline]
    pub(crate) fn request(&self, vcpu: VcpuIndex) -> Request {
        self.requests.get(vcpu.index()).copied().unwrap_or_default()
    }

    /// Replaces what a vCPU has to look at.
    #[inline]
    pub(crate) fn set_request(&mut self, vcpu: VcpuIndex, request: Request) {
        if let Some(place) = self.requests.get_mut(vcpu.index()) {
            *place = request;
        }
    }

    /// Records that a vCPU came to a CPU.
    pub(crate) fn join_cpu(&mut self, vcpu: VcpuIndex) {
        self.resident.insert(vcpu);
    }

    /// Records that a vCPU took back all that it had in flight.
    pub(crate) fn note_folded(&mut self, vcpu: VcpuIndex) {
        self.disabling.remove(vcpu);
        self.looks.remove(vcpu);
    }

    /// Records that a vCPU, which has nothing in flight, left its CPU.
    pub(crate) fn leave_cpu(&mut self, vcpu: VcpuIndex) {
        self.note_folded(vcpu);
        self.resident.remove(vcpu);
        if let Some(request) = self.requests.get_mut(vcpu.index()) {
            request.refold = false;
            request.lowered = false;
        }
    }

    /// Returns the SPIs of a bank that a vCPU's list registers should learn about.
    #[inline]
    pub(crate) fn wanted_by(&self, vcpu: VcpuIndex, word: u32) -> u32 {
        let Some(bank) = self.bank(word) else {
            return 0;
        };
        let mut mine = bank.wanted(self.groups);
        for number in Bits(mine) {
            let responsible = if bank.in_flight() & bit(number) != 0 {
                self.holder(word, number) == vcpu.get()
            } else {
                self.target(join(word, number)) == Some(vcpu)
            };
            if !responsible {
                mine &= !bit(number);
            }
        }
        mine
    }

    /// Makes the value for an SPI's list register and gives the SPI to a vCPU.
    pub(crate) fn take(&mut self, id: u32, vcpu: VcpuIndex) -> ListRegister {
        let (word, number) = split(id);
        if let Some(place) = self.holders.get_mut(spi_index(id)) {
            *place = vcpu.get();
        }
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

    /// Offers the SPIs of a vCPU that are active in no list register.
    pub(crate) fn offer_active(&mut self, vcpu: VcpuIndex, selection: &mut Selection) {
        for word in Bits(self.active_words) {
            let Some(bank) = self.bank(word) else {
                continue;
            };
            let active = bank.active_outside();
            if active == 0 {
                self.active_words &= !bit(word);
                continue;
            }
            for number in Bits(active) {
                if self.holder(word, number) == vcpu.get() {
                    let id = join(word, number);
                    selection.offer(Key::of_active(id, bank.active_priority(number)));
                }
            }
        }
    }

    /// Offers the SPIs of the banks `words` that could be signaled to a vCPU.
    pub(crate) fn offer_pending(
        &self,
        vcpu: VcpuIndex,
        words: u32,
        machine_control: u32,
        selection: &mut Selection,
    ) {
        for word in Bits(words) {
            let Some(bank) = self.bank(word) else {
                continue;
            };
            let group = bank.group();
            for number in Bits(bank.deliverable(self.groups)) {
                let id = join(word, number);
                if self.target(id) == Some(vcpu) {
                    let group1 = group & bit(number) != 0;
                    let at = crate::cpu_interface::group_enabled(machine_control, group1);
                    selection.offer(Key::new(id, bank.priority(number), at));
                }
            }
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
