//! What a change to the model asks of others: vCPUs to kick, physical interrupts to deactivate.

use crate::bits::{Bits, bit};
use addr::{IntId, VcpuIndex};

/// The most vCPUs that one VM may have.
pub const MAX_VCPUS: u16 = 512;

/// A set of vCPUs of one VM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VcpuSet {
    words: [u32; 16],
}

impl VcpuSet {
    /// The set without members.
    pub const EMPTY: Self = Self { words: [0; 16] };

    /// Makes the set of the first `count` vCPUs.
    #[must_use]
    pub fn first(count: u16) -> Self {
        let mut set = Self::EMPTY;
        let mut left = u32::from(count);
        for word in &mut set.words {
            *word = crate::bits::low_bits(left);
            left = left.saturating_sub(32);
        }
        set
    }

    /// Adds a vCPU; an index of [`MAX_VCPUS`] or more is ignored.
    #[inline]
    pub fn insert(&mut self, vcpu: VcpuIndex) {
        if let Some(word) = self.words.get_mut(vcpu.index() >> 5) {
            *word |= bit(u32::from(vcpu.get()) & 31);
        }
    }

    /// Removes a vCPU.
    #[inline]
    pub fn remove(&mut self, vcpu: VcpuIndex) {
        if let Some(word) = self.words.get_mut(vcpu.index() >> 5) {
            *word &= !bit(u32::from(vcpu.get()) & 31);
        }
    }

    /// Tells whether the vCPU is a member.
    #[inline]
    #[must_use]
    pub fn contains(&self, vcpu: VcpuIndex) -> bool {
        self.words
            .get(vcpu.index() >> 5)
            .is_some_and(|word| word & bit(u32::from(vcpu.get()) & 31) != 0)
    }

    /// Tells whether there is no member.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        // All of them without a look in between: that is shorter, as sets are nearly always empty.
        self.words.iter().fold(0, |union, word| union | word) == 0
    }

    /// Adds all members of `other`.
    #[inline]
    pub fn extend(&mut self, other: &Self) {
        for (word, more) in self.words.iter_mut().zip(other.words) {
            *word |= more;
        }
    }

    /// Returns the members that are also in `other`.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let mut both = *self;
        for (word, keep) in both.words.iter_mut().zip(other.words) {
            *word &= keep;
        }
        both
    }

    /// Iterates over the members, lowest index first; at most [`MAX_VCPUS`] steps.
    pub fn iter(&self) -> impl Iterator<Item = VcpuIndex> + use<> {
        (0u16..16).zip(self.words).flat_map(|(place, word)| {
            Bits(word).filter_map(move |number| {
                let number = u16::try_from(number).ok()?;
                Some(VcpuIndex::new(place.wrapping_mul(32).wrapping_add(number)))
            })
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
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.kick.is_empty() && self.deactivate.is_empty()
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
    fn members_are_found_again_and_bounded() {
        let mut set = VcpuSet::EMPTY;
        for index in [0u16, 31, 32, 511, 512, u16::MAX] {
            set.insert(VcpuIndex::new(index));
        }
        assert!(set.iter().map(VcpuIndex::get).eq([0, 31, 32, 511]));
        assert!(!set.contains(VcpuIndex::new(512)));
        set.remove(VcpuIndex::new(32));
        assert!(set.iter().map(VcpuIndex::get).eq([0, 31, 511]));
        assert_eq!(VcpuSet::first(512).iter().count(), 512);
        assert!(VcpuSet::first(33).iter().map(VcpuIndex::get).eq(0..33));
        assert!(VcpuSet::first(0).is_empty());
    }
}
