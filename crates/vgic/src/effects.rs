//! What a change to the model asks of others: vCPUs to kick, physical interrupts to deactivate.

use crate::bits::{Bits, bit, step};
use addr::{IntId, VcpuIndex};

/// The most vCPUs that one VM may have: as many as a word holds that every change of a model hands over.
/// The redistributors of 123 fit below the first device of QEMU's `virt` machine.
pub const MAX_VCPUS: u16 = 128;

/// A set of vCPUs of one VM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VcpuSet(u128);

impl VcpuSet {
    /// The set without members.
    pub const EMPTY: Self = Self(0);

    /// Makes the set of the first `count` vCPUs.
    #[must_use]
    pub fn first(count: u16) -> Self {
        Self(
            u128::MAX
                .checked_shl(count.into())
                .map_or(u128::MAX, |rest| !rest),
        )
    }

    /// Returns the set of one vCPU; of none if its index is [`MAX_VCPUS`] or more.
    #[inline]
    fn of(vcpu: VcpuIndex) -> u128 {
        1_u128.checked_shl(vcpu.get().into()).unwrap_or(0)
    }

    /// Adds a vCPU; an index of [`MAX_VCPUS`] or more is ignored.
    #[inline]
    pub fn insert(&mut self, vcpu: VcpuIndex) {
        self.0 |= Self::of(vcpu);
    }

    /// Removes a vCPU.
    #[inline]
    pub fn remove(&mut self, vcpu: VcpuIndex) {
        self.0 &= !Self::of(vcpu);
    }

    /// Tells whether the vCPU is a member.
    #[inline]
    #[must_use]
    pub fn contains(&self, vcpu: VcpuIndex) -> bool {
        self.0 & Self::of(vcpu) != 0
    }

    /// Tells whether there is no member.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0 == 0
    }

    /// Adds all members of `other`.
    #[inline]
    pub const fn extend(&mut self, other: &Self) {
        self.0 |= other.0;
    }

    /// Returns the first member with an index of at least `start`; after the last one the search goes
    /// on at 0. `None` if there is no member.
    pub(crate) fn next_from(&self, start: u16) -> Option<VcpuIndex> {
        let ahead = self.0 & u128::MAX.checked_shl(start.into()).unwrap_or(0);
        Self(if ahead == 0 { self.0 } else { ahead }).iter().next()
    }

    /// Iterates over the members, lowest index first; at most [`MAX_VCPUS`] steps.
    pub fn iter(&self) -> impl Iterator<Item = VcpuIndex> + use<> {
        let mut left = self.0;
        core::iter::from_fn(move || {
            if left == 0 {
                return None;
            }
            step();
            let index = u16::try_from(left.trailing_zeros()).ok()?;
            left &= left.wrapping_sub(1);
            Some(VcpuIndex::new(index))
        })
    }
}

/// A set of a CPU's private interrupts, INTIDs 0 to 31.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrivateSet(u32);

impl PrivateSet {
    /// The set without members.
    pub const EMPTY: Self = Self(0);

    /// Makes a set from a word with one bit to an INTID.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// Returns a word with one bit to an INTID.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Tells whether there is no member.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Tells whether `id` is a member.
    #[must_use]
    pub const fn contains(self, id: IntId) -> bool {
        id.is_private() && self.0 & bit(id.get()) != 0
    }

    /// Iterates over the members, lowest INTID first.
    pub fn iter(self) -> impl Iterator<Item = IntId> + use<> {
        Bits(self.0).map(IntId::new)
    }
}

/// What the caller owes after it changed the model. Apply it after the VM's lock is released.
#[must_use = "vCPUs miss interrupts unless they are kicked"]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// The vCPUs that must call [`crate::VcpuInterrupts::deliver`] soon: kick those that run, wake
    /// those that wait. A method of a vCPU never names that vCPU itself.
    pub kick: VcpuSet,
    /// The *physical* private interrupts of the vCPU's CPU that must be deactivated: their virtual
    /// counterpart ended in another way than through a list register with the HW bit.
    pub deactivate: PrivateSet,
}

impl Effects {
    /// Nothing is owed.
    pub const NONE: Self = Self {
        kick: VcpuSet::EMPTY,
        deactivate: PrivateSet::EMPTY,
    };

    /// Tells whether nothing is owed.
    #[inline]
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.kick.0 | u128::from(self.deactivate.0) == 0
    }

    /// Adds what `other` owes.
    pub fn merge(&mut self, other: Self) {
        self.kick.extend(&other.kick);
        self.deactivate.0 |= other.deactivate.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_set_has_its_members_and_no_others() {
        let set = PrivateSet::from_bits(1 << 27 | 1);
        for id in 0..64 {
            assert_eq!(set.contains(IntId::new(id)), [0, 27].contains(&id), "{id}");
        }
    }

    #[test]
    fn members_are_found_again_and_bounded() {
        let mut set = VcpuSet::EMPTY;
        for index in [0u16, 31, 32, 127, 128, u16::MAX] {
            set.insert(VcpuIndex::new(index));
        }
        assert!(set.iter().map(VcpuIndex::get).eq([0, 31, 32, 127]));
        assert!(!set.contains(VcpuIndex::new(128)));
        set.remove(VcpuIndex::new(32));
        assert!(set.iter().map(VcpuIndex::get).eq([0, 31, 127]));
        assert_eq!(VcpuSet::first(MAX_VCPUS).iter().count(), 128);
        assert!(VcpuSet::first(33).iter().map(VcpuIndex::get).eq(0..33));
        assert!(VcpuSet::first(0).is_empty());
    }

    #[test]
    fn the_search_goes_round() {
        let mut set = VcpuSet::EMPTY;
        assert_eq!(set.next_from(0), None);
        for index in [3, 40, 127] {
            set.insert(VcpuIndex::new(index));
        }
        for (start, found) in [
            (0, 3),
            (3, 3),
            (4, 40),
            (40, 40),
            (41, 127),
            (127, 127),
            (128, 3),
            (u16::MAX, 3),
        ] {
            assert_eq!(set.next_from(start), Some(VcpuIndex::new(found)), "{start}");
        }
        set.remove(VcpuIndex::new(127));
        assert_eq!(set.next_from(41), Some(VcpuIndex::new(3)));
        assert_eq!(set.next_from(40), Some(VcpuIndex::new(40)));
    }
}
