//! A vCPU's own part of the GIC: its SGIs and PPIs and the state of its CPU interface.

use crate::bank::Bank;
use crate::bank::GroupEnables;
use crate::bits::{Bits, bit};
use crate::cpu_interface::{CpuInterface, control};
use crate::distributor::{Distributor, DistributorRead, Level};
use crate::effects::{Effects, PrivateSet, VcpuSet};
use crate::list_registers::Slots;
use crate::recipients::ask;
use crate::registers::{Access, BANKED_FRAME};
use crate::sgi::SgiGroup;
use addr::{IntId, VcpuIndex, Width};
use machine::VirtualCpuInterface;

/// A read of another vCPU's interrupts that waits for their owners to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Awaited {
    offset: u64,
    holders: VcpuSet,
}

/// The interrupts of one vCPU. Only the CPU that the vCPU has been moved to uses it. After
/// [`VcpuInterrupts::save`] it is plain state: equal values behave equally from then on.
///
/// Methods that take a `hw` use it only while the vCPU is on a CPU, from
/// [`VcpuInterrupts::load`] to [`VcpuInterrupts::save`]; otherwise any will do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VcpuInterrupts {
    pub(crate) index: VcpuIndex,
    pub(crate) bank: Bank,
    /// The PPIs on whose behalf a physical interrupt is active.
    pub(crate) linked: u32,
    /// The part of `linked` whose physical interrupt came again, while a list register still shows
    /// the one before: the guest has ended that, and so the physical one.
    pub(crate) relinked: u32,
    /// Which physical interrupt that is.
    pub(crate) physical: [u8; 32],
    /// The PPIs whose wire fell since the list registers were last looked at.
    pub(crate) lowered: u32,
    /// What GICD_CTLR forwarded when this vCPU last had the distributor.
    pub(crate) groups: GroupEnables,
    pub(crate) slots: Slots,
    /// ICH_HCR_EL2 as it was last written, without EOIcount: 0 at rest.
    pub(crate) control: u32,
    pub(crate) interface: CpuInterface,
    /// GICR_WAKER.ProcessorSleep, and ChildrenAsleep, which follows at once.
    pub(crate) asleep: bool,
    pub(crate) guest_errors: u32,
    awaited: Option<Awaited>,
}

impl VcpuInterrupts {
    /// Makes the interrupts of the vCPU at `index`, at rest and in the reset state.
    #[must_use]
    pub const fn new(index: VcpuIndex) -> Self {
        Self {
            index,
            bank: Bank::private(),
            linked: 0,
            relinked: 0,
            physical: [0; 32],
            lowered: 0,
            groups: GroupEnables::from_control(0),
            slots: Slots::EMPTY,
            control: 0,
            interface: CpuInterface::RESET,
            asleep: true,
            guest_errors: 0,
            awaited: None,
        }
    }

    /// Returns to the reset state, when the vCPU is at rest: the VM is reset, or the vCPU turned on
    /// (which resets its CPU interface; IHI0069 leaves the redistributor's state to the
    /// implementation). Wires keep their level. Returns the physical interrupts that are no longer
    /// spoken for: deactivate them.
    #[must_use = "a physical interrupt that stays active never comes again"]
    pub fn reset(&mut self) -> PrivateSet {
        let owed = self.linked_physical();
        self.bank.reset();
        self.linked = 0;
        self.relinked = 0;
        self.lowered = 0;
        self.slots.clear();
        self.interface = CpuInterface::RESET;
        self.asleep = true;
        self.awaited = None;
        owed
    }

    /// Returns to the reset state of the CPU interface alone, when the vCPU is at rest: PSCI CPU_ON
    /// of a vCPU that was off. What is pending or active in the redistributor stays.
    pub const fn reset_interface(&mut self) {
        self.interface = CpuInterface::RESET;
    }

    /// Returns the vCPU's place in its VM.
    #[must_use]
    pub const fn index(&self) -> VcpuIndex {
        self.index
    }

    /// Tells whether the vCPU is on a CPU.
    #[inline]
    pub(crate) const fn is_resident(&self) -> bool {
        self.control != 0
    }

    /// Tells whether an interrupt found no list register: the maintenance interrupt is asked for then.
    #[inline]
    pub(crate) const fn overflows(&self) -> bool {
        self.control & !control::ENABLE != 0
    }

    /// Tells whether an active interrupt found none: ending it is counted in ICH_HCR_EL2.EOIcount.
    #[inline]
    pub(crate) const fn overflows_active(&self) -> bool {
        self.control & control::NOT_PRESENT != 0
    }

    /// Returns the saved CPU interface, up to date after [`VcpuInterrupts::save`].
    #[must_use]
    pub const fn interface(&self) -> &CpuInterface {
        &self.interface
    }

    /// Returns the number of accesses to the vCPU's frames that the architecture does not have.
    #[must_use]
    pub const fn guest_errors(&self) -> u32 {
        self.guest_errors
    }

    /// Makes an SGI pending, if its configured group is the one that it was generated for
    /// (IHI0069, 12.1.10). [`VcpuInterrupts::deliver_private`] makes it seen.
    #[inline]
    pub fn pend_sgi(&mut self, id: IntId, group: SgiGroup) {
        let word = match group {
            SgiGroup::Group1 => bit(id.get()) & 0xffff,
            SgiGroup::Group0 => (bit(id.get()) & 0xffff) << 16,
        };
        if id.is_sgi() {
            self.pend_sgis(word);
        }
    }

    /// Makes SGIs pending, from a word of [`crate::SgiRequest::mailbox_bit`]s: group 1 in bits 0 to
    /// 15, group 0 in bits 16 to 31. Those whose configured group differs are dropped.
    #[inline]
    pub const fn pend_sgis(&mut self, word: u32) {
        let group = self.bank.group();
        self.bank
            .pend(((word & group) | ((word >> 16) & !group)) & 0xffff);
    }

    /// Sets the wire of a PPI that software models; other INTIDs are ignored.
    /// [`VcpuInterrupts::deliver_private`] makes the change seen.
    #[inline]
    pub fn set_ppi_line(&mut self, id: IntId, level: Level) {
        if !id.is_private() || id.is_sgi() {
            return;
        }
        match level {
            Level::High => self.bank.raise(bit(id.get())),
            Level::Low => {
                self.lowered |= self.bank.lower(bit(id.get()));
            }
        }
    }

    /// Makes a PPI pending on behalf of a physical interrupt of this CPU that was acknowledged and
    /// whose priority was dropped, but which is still active. The guest's end of the interrupt
    /// deactivates the physical one without an exit. Until then, and through any number of
    /// [`VcpuInterrupts::save`]s, the physical interrupt must stay active wherever the vCPU runs
    /// ([`VcpuInterrupts::linked_physical`]) and be inactive where it left.
    ///
    /// A PPI that is injected this way has no wire: don't use [`VcpuInterrupts::set_ppi_line`] on it.
    /// [`VcpuInterrupts::deliver_private`] makes it seen. Returns what to deactivate at once:
    /// `physical`, if `id` is no PPI or `physical` is no private interrupt.
    #[inline]
    #[must_use = "a physical interrupt that stays active never comes again"]
    pub fn inject_hardware_ppi(&mut self, id: IntId, physical: IntId) -> PrivateSet {
        let number = id.get();
        let known = u8::try_from(physical.get()).ok().filter(|_| {
            id.is_private() && !id.is_sgi() && physical.is_private() && !physical.is_sgi()
        });
        let place = self.physical.get_mut(number as usize);
        let (Some(place), Some(known)) = (place, known) else {
            return PrivateSet::from_bits(if physical.is_private() {
                bit(physical.get())
            } else {
                0
            });
        };
        *place = known;
        self.relinked |= self.linked & self.bank.in_flight() & bit(number);
        self.linked |= bit(number);
        self.bank.pend(bit(number));
        PrivateSet::EMPTY
    }

    /// Returns the *virtual* PPIs that are pending on behalf of a physical interrupt and not active
    /// (as of the last look, where in flight). If the physical source has become inactive meanwhile
    /// (a timer's condition no longer holds), call [`VcpuInterrupts::withdraw_hardware_ppi`].
    #[must_use]
    pub const fn pending_hardware(&self) -> PrivateSet {
        PrivateSet::from_bits(self.linked & self.bank.pending() & !self.bank.active())
    }

    /// Takes a pending PPI back whose physical source is no longer asserted. Does nothing while it is
    /// in a list register: the guest then sees an interrupt without a cause, as it may on hardware.
    /// Returns the physical interrupt to deactivate.
    #[must_use = "a physical interrupt that stays active never comes again"]
    pub fn withdraw_hardware_ppi(&mut self, id: IntId) -> PrivateSet {
        let interrupt = if id.is_private() { bit(id.get()) } else { 0 };
        if interrupt & self.linked & !self.bank.in_flight() != 0 {
            let _ = self.bank.unpend(interrupt);
        }
        self.settle_links()
    }

    /// Returns the *physical* private interrupts that are active on behalf of this vCPU. Whoever
    /// moves the vCPU makes them inactive on the CPU that it leaves, after
    /// [`VcpuInterrupts::save`], and active on the CPU that it comes to, before
    /// [`VcpuInterrupts::load`].
    #[must_use]
    pub fn linked_physical(&self) -> PrivateSet {
        self.physical_of(self.linked)
    }

    /// Reads the GICD frame for this vCPU.
    #[inline]
    pub fn read_distributor<H: VirtualCpuInterface>(
        &mut self,
        distributor: &mut Distributor,
        offset: u64,
        width: Width,
        hw: &mut H,
    ) -> DistributorRead {
        let Some(access) = BANKED_FRAME.find(offset, width) else {
            return DistributorRead::Value(distributor.refuse());
        };
        if distributor.in_flight_at(access) == 0 {
            return DistributorRead::Value(distributor.read_found(access));
        }
        self.read_in_flight(distributor, offset, access, hw)
    }

    /// Writes the GICD frame for this vCPU and brings its list registers up to date.
    pub fn write_distributor<H: VirtualCpuInterface>(
        &mut self,
        distributor: &mut Distributor,
        offset: u64,
        width: Width,
        value: u64,
        hw: &mut H,
    ) -> Effects {
        let effects = distributor.write(offset, width, value);
        self.settle_effects(distributor, effects, hw)
    }

    /// Takes this vCPU out of `effects`, by doing what it asks. For effects that the distributor gave
    /// to the CPU that runs this vCPU, such as of [`Distributor::set_line`].
    pub fn settle_effects<H: VirtualCpuInterface>(
        &mut self,
        distributor: &mut Distributor,
        mut effects: Effects,
        hw: &mut H,
    ) -> Effects {
        if self.is_resident() && effects.kick.contains(self.index) {
            effects.merge(self.deliver(distributor, hw));
            effects.kick.remove(self.index);
        }
        effects
    }

    /// Reads a register that shows what is in list registers: looks at the own ones, and has the
    /// other holders look at theirs once for each read.
    #[cold]
    #[inline(never)]
    fn read_in_flight<H: VirtualCpuInterface>(
        &mut self,
        distributor: &mut Distributor,
        offset: u64,
        access: Access,
        hw: &mut H,
    ) -> DistributorRead {
        let word = access.interrupt >> 5;
        let mut holders = VcpuSet::EMPTY;
        for number in Bits(distributor.in_flight_at(access)) {
            holders.insert(VcpuIndex::new(distributor.holder(word, number)));
        }
        let mut effects = Effects::NONE;
        if holders.contains(self.index) {
            self.publish(distributor, hw, &mut effects);
            holders.remove(self.index);
        }
        let missing = match self.awaited.filter(|awaited| awaited.offset == offset) {
            Some(awaited) => distributor.still_to_look(&awaited.holders),
            None => {
                let mut asked = Effects::NONE;
                for holder in holders.iter() {
                    distributor.ask(holder.get(), ask::LOOK, &mut asked);
                }
                self.awaited = Some(Awaited { offset, holders });
                holders
            }
        };
        effects.kick.extend(&missing);
        // What this vCPU's own registers released and it may have again.
        let effects = self.settle_effects(distributor, effects, hw);
        if effects.is_none() {
            self.awaited = None;
            return DistributorRead::Value(distributor.read_found(access));
        }
        DistributorRead::Again(effects)
    }

    /// Ends the ties to physical interrupts whose virtual counterpart is neither pending nor active.
    /// Returns the physical interrupts to deactivate.
    pub(crate) fn settle_links(&mut self) -> PrivateSet {
        let over =
            self.linked & !self.bank.pending() & !self.bank.active() & !self.bank.in_flight();
        self.linked &= !over;
        self.physical_of(over)
    }

    fn physical_of(&self, interrupts: u32) -> PrivateSet {
        let mut set = 0;
        for number in Bits(interrupts) {
            if let Some(physical) = self.physical.get(number as usize) {
                set |= bit(u32::from(*physical));
            }
        }
        PrivateSet::from_bits(set)
    }
}
