//! The contents of a list register, and which interrupt each one holds.

use crate::bits::{Bits, bit, low_bits};
use addr::IntId;

/// The most list registers that the architecture has (IHI0069, 12.4.5, ICH_VTR_EL2.ListRegs).
pub const MAX_LIST_REGISTERS: usize = 16;

/// A value of ICH_LR`n`_EL2 (IHI0069, 12.4.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListRegister(u64);

impl ListRegister {
    /// Holds nothing.
    pub const EMPTY: Self = Self(0);
    const PENDING: u64 = 1 << 62;
    const ACTIVE: u64 = 1 << 63;
    const HARDWARE: u64 = 1 << 61;
    const GROUP1: u64 = 1 << 60;
    /// Asks for a maintenance interrupt at deactivation; only where HW is 0.
    const EOI: u64 = 1 << 41;
    const PHYSICAL_SHIFT: u32 = 32;
    const PRIORITY_SHIFT: u32 = 48;

    /// Takes a value as it was read from the register.
    #[inline]
    #[must_use]
    pub const fn from_register(value: u64) -> Self {
        Self(value)
    }

    /// Returns the value to write to the register.
    #[inline]
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Makes an inactive value that names an interrupt, its priority and its group.
    #[inline]
    #[must_use]
    pub(crate) fn named(id: u32, priority: u8, group1: u32) -> Self {
        let group = if group1 != 0 { Self::GROUP1 } else { 0 };
        Self(u64::from(id) | u64::from(priority) << Self::PRIORITY_SHIFT | group)
    }

    /// Adds the pending state.
    #[inline]
    pub(crate) const fn with_pending(self) -> Self {
        Self(self.0 | Self::PENDING)
    }

    /// Adds the active state.
    #[inline]
    pub(crate) const fn with_active(self) -> Self {
        Self(self.0 | Self::ACTIVE)
    }

    /// Adds the wish for a maintenance interrupt at deactivation.
    #[inline]
    pub(crate) const fn with_eoi(self) -> Self {
        Self(self.0 | Self::EOI)
    }

    /// Ties the interrupt to a physical one, deactivated together with it.
    #[inline]
    pub(crate) fn with_physical(self, physical: u8) -> Self {
        Self(self.0 | Self::HARDWARE | u64::from(physical) << Self::PHYSICAL_SHIFT)
    }

    /// Returns the virtual INTID.
    #[must_use]
    pub fn id(self) -> IntId {
        IntId::new(u32::try_from(self.0 & 0xffff_ffff).unwrap_or(0))
    }

    /// Returns the priority, 0 the highest.
    #[inline]
    #[must_use]
    pub const fn priority(self) -> u8 {
        let [_, priority, ..] = self.0.to_be_bytes();
        priority
    }

    /// Tells whether the interrupt is in group 1.
    #[inline]
    #[must_use]
    pub const fn is_group1(self) -> bool {
        self.0 & Self::GROUP1 != 0
    }

    /// Tells whether the interrupt is pending (also if it is active too).
    #[inline]
    #[must_use]
    pub const fn is_pending(self) -> bool {
        self.0 & Self::PENDING != 0
    }

    /// Tells whether the interrupt is active (also if it is pending too).
    #[inline]
    #[must_use]
    pub const fn is_active(self) -> bool {
        self.0 & Self::ACTIVE != 0
    }

    /// Tells whether a physical interrupt is tied to this one.
    #[inline]
    #[must_use]
    pub const fn is_hardware(self) -> bool {
        self.0 & Self::HARDWARE != 0
    }

    /// Tells whether deactivation asks for maintenance.
    #[inline]
    #[must_use]
    pub const fn wants_eoi(self) -> bool {
        !self.is_hardware() && self.0 & Self::EOI != 0
    }

    /// Tells whether the state is inactive: the guest has finished with the interrupt.
    #[inline]
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 & (Self::PENDING | Self::ACTIVE) == 0
    }
}

/// Which interrupt was put in which list register. The guest empties registers without an exit, so
/// a slot in use here may be empty in hardware.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slots {
    /// One bit to a register that was filled.
    used: u32,
    /// The part of `used` that holds SGIs and PPIs.
    private: u32,
    ids: [u16; MAX_LIST_REGISTERS],
    /// Where each private interrupt is, if its bit in the bank's `in_flight` is set.
    of_private: [u8; 32],
}

/// What stands in a slot not in use is of no meaning.
impl PartialEq for Slots {
    fn eq(&self, other: &Self) -> bool {
        self.used == other.used && Bits(self.used).all(|slot| self.id(slot) == other.id(slot))
    }
}

impl Eq for Slots {}

impl Slots {
    /// Nothing is in a list register.
    pub(crate) const EMPTY: Self = Self {
        used: 0,
        private: 0,
        ids: [0; MAX_LIST_REGISTERS],
        of_private: [0; 32],
    };

    /// Returns the slots that were filled.
    #[inline]
    pub(crate) const fn used(&self) -> u32 {
        self.used
    }

    /// Returns the slots that were filled with private interrupts.
    #[inline]
    pub(crate) const fn private(&self) -> u32 {
        self.private
    }

    /// Returns the slots that were filled with SPIs.
    #[inline]
    pub(crate) const fn shared(&self) -> u32 {
        self.used & !self.private
    }

    /// Finds a slot that was not filled, of the first `count`.
    #[inline]
    pub(crate) fn free(&self, count: u32) -> Option<u32> {
        let free = !self.used & low_bits(count);
        (free != 0).then(|| free.trailing_zeros())
    }

    /// Returns the INTID in slot `slot`.
    #[inline]
    pub(crate) fn id(&self, slot: u32) -> u32 {
        self.ids.get(slot as usize).map_or(0, |id| u32::from(*id))
    }

    /// Returns the slot of private interrupt `number`, which is in flight.
    #[inline]
    pub(crate) fn of_private(&self, number: u32) -> u32 {
        self.of_private
            .get(number as usize)
            .map_or(0, |slot| u32::from(*slot))
    }

    /// Finds the slot of an SPI.
    pub(crate) fn of_shared(&self, id: u32) -> Option<u32> {
        Bits(self.shared()).find(|slot| self.id(*slot) == id)
    }

    /// Records that slot `slot` holds interrupt `id`.
    #[inline]
    pub(crate) fn assign(&mut self, slot: u32, id: u32) {
        self.used |= bit(slot);
        if let Some(place) = self.ids.get_mut(slot as usize) {
            *place = u16::try_from(id).unwrap_or(0);
        }
        if id < IntId::FIRST_SPI {
            self.private |= bit(slot);
            if let Some(place) = self.of_private.get_mut(id as usize) {
                *place = u8::try_from(slot).unwrap_or(0);
            }
        } else {
            self.private &= !bit(slot);
        }
    }

    /// Records that slot `slot` holds nothing.
    #[inline]
    pub(crate) fn release(&mut self, slot: u32) {
        self.used &= !bit(slot);
        self.private &= !bit(slot);
    }

    /// Forgets all.
    #[inline]
    pub(crate) const fn clear(&mut self) {
        self.used = 0;
        self.private = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stand_where_the_specification_puts_them() {
        let lr = ListRegister::named(27, 0xa8, 1)
            .with_pending()
            .with_physical(30);
        assert_eq!(lr.get(), 0x70a8_001e_0000_001b);
        assert_eq!((lr.id().get(), lr.priority()), (27, 0xa8));
        assert!(lr.is_group1() && lr.is_pending() && lr.is_hardware());
        assert!(!lr.is_active() && !lr.wants_eoi());
        let level = ListRegister::named(40, 0, 0).with_active().with_eoi();
        assert_eq!(level.get(), 0x8000_0200_0000_0028);
        assert!(level.wants_eoi());
        assert!(!ListRegister::named(5, 0, 1).with_pending().wants_eoi());
    }

    #[test]
    fn a_reused_slot_changes_its_kind() {
        let mut slots = Slots::EMPTY;
        slots.assign(0, 5);
        assert_eq!((slots.private(), slots.of_private(5)), (1, 0));
        slots.assign(0, 77);
        assert_eq!((slots.private(), slots.shared()), (0, 1));
        assert_eq!(slots.of_shared(77), Some(0));
        assert_eq!(slots.free(1), None);
        slots.release(0);
        assert_eq!(slots.free(4), Some(0));
        assert_eq!(slots, Slots::EMPTY);
        slots.assign(1, 40);
        let mut other = slots;
        assert_eq!(slots, other);
        other.assign(1, 41);
        assert_ne!(slots, other);
        other.clear();
        assert_eq!(other, Slots::EMPTY);
    }
}
