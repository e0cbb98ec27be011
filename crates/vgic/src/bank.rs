//! The state of 32 interrupts: one word of every bit register, for SPIs, and for SGIs and PPIs.

use crate::bits::{Bits, bit, gather, spread, when};
use crate::list_registers::ListRegister;
use crate::priority::Ranks;
use crate::registers::BankRegister;

/// Which groups the distributor forwards (GICD_CTLR.EnableGrp0 and EnableGrp1), as masks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct GroupEnables {
    group0: u32,
    group1: u32,
}

impl GroupEnables {
    /// Takes the two low bits of GICD_CTLR.
    #[inline]
    pub(crate) const fn from_control(control: u32) -> Self {
        Self {
            group0: when(control & 1 != 0, u32::MAX),
            group1: when(control & 2 != 0, u32::MAX),
        }
    }

    /// Takes what the guest lets through, of ICH_VMCR_EL2, which has the two bits in the same place.
    #[inline]
    pub(crate) const fn at_interface(machine_control: u32) -> Self {
        Self::from_control(machine_control)
    }

    /// Returns the two low bits of GICD_CTLR.
    #[inline]
    pub(crate) const fn control(self) -> u32 {
        (self.group0 & 1) | (self.group1 & 2)
    }

    /// Returns the interrupts whose group is enabled; `group` has a bit for each in group 1.
    #[inline]
    pub(crate) const fn mask(self, group: u32) -> u32 {
        (group & self.group1) | (!group & self.group0)
    }
}

/// 32 interrupts. Each field but the priorities has one bit to an interrupt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bank {
    /// The interrupts that exist. The others' bits are 0 in all fields.
    implemented: u32,
    /// The interrupts whose trigger mode the guest may change.
    configurable: u32,
    /// Group 1 (else group 0).
    group: u32,
    enabled: u32,
    /// Edge-triggered (else level-sensitive).
    edge: u32,
    /// Pending by an edge, an SGI or a write, and not given to a list register.
    latch: u32,
    /// The level of the interrupt's wire.
    line: u32,
    /// Active. Of an interrupt in flight: when the owner last looked.
    active: u32,
    /// In a list register.
    in_flight: u32,
    /// The part of `latch` that went to a list register and was not acknowledged when the owner last
    /// looked. Clearing it here takes the pending state back when the owner looks again.
    taken: u32,
    /// In flight, and to become active when the owner takes it back (a write to ISACTIVER).
    activate: u32,
    /// In flight, and to become inactive when the owner takes it back (a write to ICACTIVER).
    deactivate: u32,
    /// ICFGR, as the guest reads it: `edge` with two bits to an interrupt.
    configuration: [u32; 2],
    /// IPRIORITYR, as the guest reads it.
    priority: [u32; 8],
    /// The same, as it is compared.
    ranks: Ranks,
    /// The group in which each active interrupt was acknowledged.
    active_group: u32,
    /// The priority with which each active interrupt was acknowledged. Writes to IPRIORITYR and
    /// IGROUPR don't change what is active (IHI0069, 12.9.20 leaves that open): hardware ends an
    /// interrupt only if the list register's group and priority are those that are dropped.
    active_ranks: Ranks,
    /// SPIs that may go to any vCPU (GICD_IROUTER.Interrupt_Routing_Mode).
    any: u32,
}

/// The bits of a priority that are implemented: 32 priorities (IHI0069, 4.8).
const PRIORITY_MASK: u32 = 0xf8f8_f8f8;

/// Where an active interrupt goes if it is pending again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// To the vCPU on which it is active.
    Here,
    /// To another one, after its end.
    Elsewhere,
}

/// What [`Bank::observe`] found in a list register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Observed {
    /// The guest has finished with the interrupt: it is no longer in flight.
    Finished,
    /// The interrupt is still pending or active.
    Held,
}

impl Bank {
    /// Makes a bank in its reset state.
    pub(crate) const fn new(implemented: u32, edge: u32, configurable: u32) -> Self {
        Self {
            implemented,
            configurable,
            group: 0,
            enabled: 0,
            edge,
            latch: 0,
            line: 0,
            active: 0,
            in_flight: 0,
            taken: 0,
            activate: 0,
            deactivate: 0,
            configuration: [spread(edge), spread(edge >> 16)],
            priority: [0; 8],
            ranks: Ranks::HIGHEST,
            active_group: 0,
            active_ranks: Ranks::HIGHEST,
            any: 0,
        }
    }

    /// Makes the bank of a vCPU's own interrupts: SGIs are always edge-triggered.
    pub(crate) const fn private() -> Self {
        Self::new(u32::MAX, 0xffff, 0xffff_0000)
    }

    /// Returns to the reset state; the wires keep their level, which is not the GIC's to reset.
    pub(crate) const fn reset(&mut self) {
        let line = self.line;
        *self = Self::new(
            self.implemented,
            self.implemented & !self.configurable,
            self.configurable,
        );
        self.line = line;
    }

    /// Returns the interrupts that exist.
    #[inline]
    pub(crate) const fn implemented(&self) -> u32 {
        self.implemented
    }

    /// Returns the interrupts whose wire makes them pending.
    #[inline]
    const fn asserted(&self) -> u32 {
        self.line & !self.edge
    }

    /// Returns the interrupts that are pending, as GICD_ISPENDR shows them.
    #[inline]
    pub(crate) const fn pending(&self) -> u32 {
        self.latch | self.taken | self.asserted()
    }

    /// Returns the interrupts that are active, as GICD_ISACTIVER shows them.
    #[inline]
    pub(crate) const fn active(&self) -> u32 {
        self.active
    }

    /// Returns the interrupts that are in list registers.
    #[inline]
    pub(crate) const fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Returns the active interrupts that are in no list register.
    #[inline]
    pub(crate) const fn active_outside(&self) -> u32 {
        self.active & !self.in_flight
    }

    /// Returns the interrupts of group 1.
    #[inline]
    pub(crate) const fn group(&self) -> u32 {
        self.group
    }

    /// Returns the interrupts that could be signaled and are in no list register.
    #[inline]
    pub(crate) const fn deliverable(&self, groups: GroupEnables) -> u32 {
        (self.latch | self.asserted())
            & self.enabled
            & groups.mask(self.group)
            & !self.in_flight
            & !self.active
    }

    /// Returns the interrupts that a list register should learn about: those that could be signaled
    /// and are in none, and those in one that became pending once more.
    #[inline]
    pub(crate) const fn wanted(&self, groups: GroupEnables) -> u32 {
        self.wanted_again(groups) | self.deliverable(groups)
    }

    /// Returns the interrupts that became pending once more in a list register.
    #[inline]
    pub(crate) const fn wanted_again(&self, groups: GroupEnables) -> u32 {
        self.latch
            & self.enabled
            & groups.mask(self.group)
            & self.in_flight
            & (self.edge | !self.active)
    }

    /// Tells whether nothing is pending or active, list registers aside: a look at fewer things than
    /// [`Bank::wanted`] takes.
    #[inline]
    pub(crate) const fn is_quiet(&self) -> bool {
        self.latch | self.line | self.active == 0
    }

    /// As [`Bank::is_quiet`], but that there may be latched interrupts.
    #[inline]
    pub(crate) const fn is_quiet_but_for_edges(&self) -> bool {
        self.line | self.active == 0
    }

    /// Returns the interrupts of `among` that are in a list register, pending there, although their
    /// wire, the only reason, is low again.
    #[inline]
    pub(crate) const fn withdrawn(&self, among: u32) -> u32 {
        among & self.in_flight & !self.edge & !self.taken & !self.line
    }

    /// Returns the priority of interrupt `number`, 0 the highest.
    #[inline]
    pub(crate) fn priority(&self, number: u32) -> u8 {
        let word = self.priority.get((number >> 2) as usize).copied();
        let [priority, ..] = word
            .unwrap_or(0)
            .wrapping_shr((number & 3).wrapping_mul(8))
            .to_le_bytes();
        priority
    }

    /// Returns the priorities.
    #[inline]
    pub(crate) const fn ranks(&self) -> &Ranks {
        &self.ranks
    }

    /// Returns the priorities of the active interrupts.
    #[inline]
    pub(crate) const fn active_ranks(&self) -> &Ranks {
        &self.active_ranks
    }

    /// Returns the interrupts that may go to any vCPU.
    #[inline]
    pub(crate) const fn any(&self) -> u32 {
        self.any
    }

    /// Notes that the interrupts `set` may go to any vCPU and the interrupts `clear` go to one.
    #[inline]
    pub(crate) const fn set_any(&mut self, set: u32, clear: u32) {
        self.any = (self.any & !clear) | (set & self.implemented);
    }

    /// Reads a 32-bit register; `sub` tells which of those that a bank has.
    #[inline(always)]
    pub(crate) fn read(&self, register: BankRegister, sub: u32) -> u32 {
        match register {
            BankRegister::Group => self.group,
            BankRegister::SetEnable | BankRegister::ClearEnable => self.enabled,
            BankRegister::SetPending | BankRegister::ClearPending => self.pending(),
            BankRegister::SetActive | BankRegister::ClearActive => self.active,
            BankRegister::Priority => self.priority.get(sub as usize).copied().unwrap_or(0),
            BankRegister::Configuration => {
                let [first, second] = self.configuration;
                if sub & 1 == 0 { first } else { second }
            }
        }
    }

    /// Writes the bits `mask` of a 32-bit register. Returns the interrupts whose list register, if
    /// they are in flight, no longer says what it should; for writes to ISACTIVER also those that
    /// became active.
    pub(crate) fn write(&mut self, register: BankRegister, sub: u32, value: u32, mask: u32) -> u32 {
        let set = value & mask & self.implemented;
        match register {
            BankRegister::Group => {
                let changed = (self.group ^ value) & mask & self.implemented;
                self.group ^= changed;
                changed
            }
            BankRegister::SetEnable => {
                self.enabled |= set;
                0
            }
            BankRegister::ClearEnable => {
                let changed = self.enabled & set;
                self.enabled &= !set;
                changed
            }
            BankRegister::SetPending => {
                self.latch |= set;
                0
            }
            BankRegister::ClearPending => {
                let changed = self.taken & set;
                self.latch &= !set;
                self.taken &= !set;
                changed
            }
            BankRegister::SetActive => self.set_active(set),
            BankRegister::ClearActive => self.clear_active(set),
            BankRegister::Priority => self.write_priority(sub, value, mask),
            BankRegister::Configuration => {
                let shift = (sub & 1).wrapping_mul(16);
                let changed = (self.edge ^ (gather(value).wrapping_shl(shift)))
                    & gather(mask).wrapping_shl(shift)
                    & self.configurable;
                self.edge ^= changed;
                self.configuration = [spread(self.edge), spread(self.edge >> 16)];
                changed
            }
        }
    }

    fn set_active(&mut self, set: u32) -> u32 {
        let outside = set & !self.in_flight & !self.active;
        self.active |= outside;
        self.active_group = (self.active_group & !outside) | (self.group & outside);
        self.active_ranks.copy(&self.ranks, outside);
        let inside = set & self.in_flight;
        self.activate |= inside;
        self.deactivate &= !inside;
        outside | inside
    }

    fn clear_active(&mut self, set: u32) -> u32 {
        self.active &= !(set & !self.in_flight);
        let inside = set & self.in_flight;
        self.deactivate |= inside;
        self.activate &= !inside;
        inside
    }

    fn write_priority(&mut self, sub: u32, value: u32, mask: u32) -> u32 {
        let shift = sub.wrapping_mul(4);
        let implemented = self.implemented.wrapping_shr(shift);
        let Some(word) = self.priority.get_mut(sub as usize) else {
            return 0;
        };
        let mut exists = 0;
        for number in Bits(implemented & 0xf) {
            exists |= 0xff_u32.wrapping_shl(number.wrapping_mul(8));
        }
        let changed = (*word ^ value) & mask & PRIORITY_MASK & exists;
        *word ^= changed;
        let mut interrupts = 0;
        let priorities = word.to_le_bytes();
        for (number, (byte, priority)) in
            (0..).zip(changed.to_le_bytes().into_iter().zip(priorities))
        {
            if byte != 0 {
                interrupts |= bit(number);
                self.ranks.set(shift | number, priority);
            }
        }
        interrupts.wrapping_shl(shift)
    }

    /// Makes interrupts pending by an edge or an SGI.
    #[inline]
    pub(crate) const fn pend(&mut self, interrupts: u32) {
        self.latch |= interrupts & self.implemented;
    }

    /// Takes the pending state away that an edge or a write caused. Returns what had gone to a list
    /// register.
    #[inline]
    pub(crate) const fn unpend(&mut self, interrupts: u32) -> u32 {
        let taken = self.taken & interrupts;
        self.latch &= !interrupts;
        self.taken &= !interrupts;
        taken
    }

    /// Sets the wire of one interrupt high; a rising edge latches.
    #[inline]
    pub(crate) const fn raise(&mut self, interrupt: u32) {
        let interrupt = interrupt & self.implemented;
        self.latch |= interrupt & self.edge & !self.line;
        self.line |= interrupt;
    }

    /// Sets the wire of one interrupt low. Returns the interrupt if that was not so and it is in a list
    /// register.
    #[inline]
    pub(crate) const fn lower(&mut self, interrupt: u32) -> u32 {
        let fallen = self.line & self.in_flight & interrupt;
        self.line &= !interrupt;
        fallen
    }

    /// Returns the edge-triggered interrupts.
    #[inline]
    pub(crate) const fn edge(&self) -> u32 {
        self.edge
    }

    /// Tells whether interrupt `number` is level-sensitive.
    #[inline]
    pub(crate) const fn is_level(&self, number: u32) -> bool {
        self.edge & bit(number) == 0
    }

    /// Makes the value for the list register of interrupt `number`, whose INTID is `id`, and marks it
    /// as in flight. `physical` names a physical interrupt that is active on behalf of this one.
    ///
    /// A level-sensitive interrupt asks for maintenance at its end, when its wire is looked at
    /// again; until then it is never pending and active at once, since the wire may fall. Neither is
    /// one with the HW bit, which could not be both (IHI0069, 4.3.2): it goes without that bit first;
    /// nor one that would come again with another priority or group, or to another vCPU.
    #[inline]
    pub(crate) fn take(
        &mut self,
        number: u32,
        id: u32,
        physical: Option<u8>,
        again: Again,
        groups: GroupEnables,
    ) -> ListRegister {
        let interrupt = bit(number);
        let active = self.active & interrupt != 0;
        let pending =
            (self.latch | self.asserted()) & self.enabled & groups.mask(self.group) & interrupt
                != 0;
        let mut value = if active {
            ListRegister::named(
                id,
                self.active_ranks.get(number),
                self.active_group & interrupt,
            )
        } else {
            ListRegister::named(id, self.priority(number), self.group & interrupt)
        };
        let mut both = self.edge & interrupt != 0;
        match physical {
            Some(_) if active && pending => {
                both = false;
                value = value.with_eoi();
            }
            Some(physical) => value = value.with_physical(physical),
            None if !both || (active && pending && !self.keeps_rank(number, again)) => {
                both = false;
                value = value.with_eoi();
            }
            None => {}
        }
        self.in_flight |= interrupt;
        if active {
            value = value.with_active();
        }
        if pending && (!active || both) {
            value = value.with_pending();
            self.taken |= self.latch & interrupt;
            self.latch &= !interrupt;
        }
        value
    }

    /// As [`Bank::take`], for an edge-triggered interrupt of [`Bank::deliverable`] without a physical
    /// one.
    #[inline]
    pub(crate) fn start_edge(&mut self, number: u32) -> ListRegister {
        let interrupt = bit(number);
        self.latch &= !interrupt;
        self.taken |= interrupt;
        self.in_flight |= interrupt;
        ListRegister::named(number, self.priority(number), self.group & interrupt).with_pending()
    }

    /// As [`Bank::observe`] of an empty list register, for all that is in flight. Only for a vCPU's own
    /// bank: what a write to ISACTIVER or ICACTIVER changes there was taken back at once.
    #[inline]
    pub(crate) const fn finish_all(&mut self) {
        self.active &= !self.in_flight;
        self.taken = 0;
        self.in_flight = 0;
    }

    /// As [`Bank::observe`] of an empty list register and [`Bank::take`] in one, for the usual case: an
    /// interrupt that is latched, with a list register that the guest has finished with. `None` if
    /// that is not all there is to it.
    #[inline]
    pub(crate) fn renew(&mut self, number: u32, groups: GroupEnables) -> Option<ListRegister> {
        let interrupt = bit(number);
        let ready = self.latch & self.enabled & groups.mask(self.group) & !self.activate;
        if ready & interrupt == 0 {
            return None;
        }
        self.latch &= !interrupt;
        self.taken |= interrupt;
        self.active &= !interrupt;
        self.deactivate &= !interrupt;
        let value = ListRegister::named(number, self.priority(number), self.group & interrupt);
        Some(value.with_pending())
    }

    /// Tells whether interrupt `number` is in a list register, of group 1, and could be signaled if it
    /// became pending now.
    #[inline(always)]
    pub(crate) const fn can_renew(&self, number: u32, groups: GroupEnables) -> bool {
        let ready = self.in_flight & self.enabled & self.group & groups.mask(u32::MAX);
        ready & !(self.latch | self.activate) & bit(number) != 0
    }

    /// As [`Bank::renew`], after [`Bank::can_renew`]; the interrupt becomes pending by that.
    #[inline(always)]
    pub(crate) fn renew_group1(&mut self, number: u32) -> ListRegister {
        let interrupt = bit(number);
        self.taken |= interrupt;
        self.active &= !interrupt;
        self.deactivate &= !interrupt;
        ListRegister::named(number, self.priority(number), interrupt).with_pending()
    }

    /// Tells whether an active interrupt would come again with the priority and group that it has,
    /// where it is.
    fn keeps_rank(&self, number: u32, again: Again) -> bool {
        again == Again::Here
            && self.active_ranks.get(number) == self.priority(number)
            && (self.active_group ^ self.group) & bit(number) == 0
    }

    /// Learns from the list register of interrupt `number` what the guest did with it.
    #[inline]
    pub(crate) fn observe(&mut self, number: u32, value: ListRegister) -> Observed {
        let interrupt = bit(number);
        if !value.is_pending() {
            self.taken &= !interrupt;
        }
        let was = when(value.is_active(), interrupt);
        if (was | (self.activate & interrupt)) != 0 {
            self.active_group =
                (self.active_group & !interrupt) | when(value.is_group1(), interrupt);
            self.active_ranks.set(number, value.priority());
        }
        let active = (was | (self.activate & interrupt)) & !self.deactivate;
        self.active = (self.active & !interrupt) | active;
        if value.is_empty() {
            self.put_back(number);
            Observed::Finished
        } else {
            Observed::Held
        }
    }

    /// Takes interrupt `number` out of its list register, after [`Bank::observe`].
    #[inline]
    pub(crate) const fn put_back(&mut self, number: u32) {
        let interrupt = bit(number);
        self.latch |= self.taken & interrupt;
        self.taken &= !interrupt;
        self.in_flight &= !interrupt;
        self.activate &= !interrupt;
        self.deactivate &= !interrupt;
    }

    /// Ends interrupt `number`, which is active and in no list register.
    #[inline]
    pub(crate) const fn end(&mut self, number: u32) {
        self.active &= !bit(number);
    }
}
