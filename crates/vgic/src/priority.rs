//! Choosing the interrupts of highest priority for a handful of list registers.

use crate::list_registers::MAX_LIST_REGISTERS;
use core::mem::swap;

/// One interrupt in the order of delivery: a lower key comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(u32);

impl Key {
    const NONE: Self = Self(u32::MAX);

    /// Makes the key of an interrupt. One whose group the guest has disabled at its CPU interface
    /// comes after all others: it must not keep them out of the list registers. Among equal
    /// priorities the lower INTID comes first.
    #[inline]
    pub(crate) fn new(id: u32, priority: u8, group: GroupAtInterface) -> Self {
        let last = match group {
            GroupAtInterface::Enabled => 0,
            GroupAtInterface::Disabled => 1 << 24,
        };
        Self(last | u32::from(priority) << 16 | (id & 0xffff))
    }

    /// Makes the key of an active interrupt: its group no longer matters.
    #[inline]
    pub(crate) fn of_active(id: u32, priority: u8) -> Self {
        Self::new(id, priority, GroupAtInterface::Enabled)
    }

    /// Returns the INTID.
    #[inline]
    pub(crate) const fn id(self) -> u32 {
        self.0 & 0xffff
    }
}

/// Whether the guest's ICC_IGRPEN`n`_EL1 lets an interrupt's group through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GroupAtInterface {
    /// Interrupts of the group are signaled.
    Enabled,
    /// Interrupts of the group stay pending.
    Disabled,
}

/// The best interrupts seen so far, at most as many as there are list registers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Selection {
    keys: [Key; MAX_LIST_REGISTERS],
    capacity: usize,
    overflowed: bool,
}

impl Selection {
    /// Makes an empty selection of at most `capacity` interrupts.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            keys: [Key::NONE; MAX_LIST_REGISTERS],
            capacity: capacity.min(MAX_LIST_REGISTERS),
            overflowed: false,
        }
    }

    /// Takes an interrupt in if it is among the best; keeps the order.
    #[inline]
    pub(crate) fn offer(&mut self, key: Key) {
        let worst = self.keys.get(self.capacity.wrapping_sub(1));
        if worst.is_none_or(|worst| key >= *worst) {
            self.overflowed = true;
            return;
        }
        let mut carried = key;
        for place in self.keys.iter_mut().take(self.capacity) {
            if carried < *place {
                swap(place, &mut carried);
            }
        }
        self.overflowed |= carried != Key::NONE;
    }

    /// Returns how many interrupts were taken in.
    pub(crate) fn len(&self) -> usize {
        self.iter().count()
    }

    /// Tells whether an interrupt was left out for want of room.
    pub(crate) const fn overflowed(&self) -> bool {
        self.overflowed
    }

    /// Iterates over the interrupts, best first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Key> + use<> {
        self.keys.into_iter().take_while(|key| *key != Key::NONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_survive_in_order() {
        let mut selection = Selection::new(3);
        for (id, priority) in [(40, 0xa0), (5, 0xf8), (27, 0x80), (90, 0x08), (33, 0xa0)] {
            selection.offer(Key::new(id, priority, GroupAtInterface::Enabled));
        }
        assert!(selection.iter().map(Key::id).eq([90, 27, 33]));
        assert!(selection.overflowed());
    }

    #[test]
    fn a_disabled_group_comes_last() {
        let mut selection = Selection::new(2);
        selection.offer(Key::new(1, 0, GroupAtInterface::Disabled));
        selection.offer(Key::new(2, 0xf8, GroupAtInterface::Enabled));
        assert!(selection.iter().map(Key::id).eq([2, 1]));
        assert!(!selection.overflowed());
    }
}
