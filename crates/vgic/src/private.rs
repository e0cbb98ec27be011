//! A vCPU's own interrupts in list registers: what needs no lock, and what must be quick.

use crate::bank::{Again, Observed};
use crate::bits::{Bits, bit};
use crate::list_registers::{ListRegister, MAX_LIST_REGISTERS};
use crate::vcpu::VcpuInterrupts;
use addr::IntId;
use machine::VirtualCpuInterface;

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

impl VcpuInterrupts {
    /// Brings pending SGIs and PPIs to the list registers. The short path of the timer and of SGIs:
    /// it needs no lock. Does nothing for a vCPU at rest.
    #[inline]
    pub fn deliver_private<H: VirtualCpuInterface>(&mut self, hw: &mut H) -> PrivateDelivery {
        if (self.is_quiet() && !self.overflows()) || !self.is_resident() {
            return PrivateDelivery::Done;
        }
        self.place_pending(hw)
    }

    /// Tells whether none of the vCPU's own interrupts can need a list register, by as short a look
    /// as will do in most cases.
    #[inline]
    pub(crate) const fn is_quiet(&self) -> bool {
        self.bank.is_quiet() && self.lowered | self.relinked == 0
    }

    #[inline(never)]
    fn place_pending<H: VirtualCpuInterface>(&mut self, hw: &mut H) -> PrivateDelivery {
        if self.overflows() {
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
        let Some(slot) = self.slots.free(count(hw)) else {
            return false;
        };
        let value = self.bank.start_edge(number);
        hw.set_list_register(slot as usize, value.get());
        self.slots.assign(slot, number);
        true
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
        if self.overflows() || !self.bank.can_renew(number, self.groups) {
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
    pub(crate) fn place_private<H: VirtualCpuInterface>(
        &mut self,
        number: u32,
        hw: &mut H,
    ) -> bool {
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
    pub(crate) fn free_slot<H: VirtualCpuInterface>(&mut self, hw: &mut H) -> Option<u32> {
        if let Some(slot) = self.slots.free(count(hw)) {
            return Some(slot);
        }
        for slot in Bits(hw.empty_list_registers() & self.slots.private()) {
            self.observe_private(slot, self.slots.id(slot), hw);
            self.slots.release(slot);
        }
        self.slots.free(count(hw))
    }

    /// Learns from a list register what the guest did with a private interrupt.
    #[inline]
    pub(crate) fn observe_private<H: VirtualCpuInterface>(
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

    /// Ends the tie to a physical interrupt that hardware has deactivated together with the virtual
    /// one; it may have come again since.
    #[inline]
    pub(crate) fn unlink(&mut self, number: u32, finished: ListRegister) {
        if finished.is_hardware() {
            self.linked &= !bit(number) | self.relinked;
        }
        self.relinked &= !bit(number);
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

    /// Frees the slot of an interrupt that the guest has finished with. One that asked for
    /// maintenance does so until it is overwritten.
    pub(crate) fn forget_finished<H: VirtualCpuInterface>(
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
}

/// Returns the number of list registers of this CPU.
#[inline]
pub(crate) fn count<H: VirtualCpuInterface>(hw: &H) -> u32 {
    u32::try_from(hw.list_register_count().min(MAX_LIST_REGISTERS)).unwrap_or(0)
}
