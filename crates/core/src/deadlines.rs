//! When parked vCPUs want to be woken, as one CPU keeps it.

use addr::VcpuId;
use alloc::vec::Vec;

/// The wake-up times of the vCPUs that one CPU has parked. Each vCPU has one at the most, so the
/// list never grows beyond the machine's vCPUs, and no call allocates.
#[derive(Debug, Default)]
pub struct Deadlines {
    entries: Vec<(u64, VcpuId)>,
    limit: usize,
}

impl Deadlines {
    /// Makes room for `vcpus` vCPUs.
    #[must_use]
    pub fn new(vcpus: usize) -> Self {
        Self {
            entries: Vec::with_capacity(vcpus),
            limit: vcpus,
        }
    }

    /// Sets when `vcpu` wants to be woken, in ticks of the physical counter, in place of what was
    /// set before.
    pub fn set(&mut self, vcpu: VcpuId, deadline: u64) {
        if let Some(entry) = self.entries.iter_mut().find(|(_, other)| *other == vcpu) {
            entry.0 = deadline;
        } else if self.entries.len() < self.limit {
            self.entries.push((deadline, vcpu));
        }
    }

    /// Forgets `vcpu`.
    #[inline]
    pub fn clear(&mut self, vcpu: VcpuId) {
        if self.entries.is_empty() {
            return;
        }
        self.entries.retain(|(_, other)| *other != vcpu);
    }

    /// Returns the earliest deadline.
    #[must_use]
    pub fn earliest(&self) -> Option<u64> {
        self.entries.iter().map(|(deadline, _)| *deadline).min()
    }

    /// Takes out one vCPU whose deadline is not later than `now`.
    pub fn take_due(&mut self, now: u64) -> Option<VcpuId> {
        let place = self
            .entries
            .iter()
            .position(|(deadline, _)| *deadline <= now)?;
        Some(self.entries.swap_remove(place).1)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use addr::{VcpuIndex, VmId};

    fn vcpu(index: u16) -> VcpuId {
        VcpuId {
            vm: VmId::new(0),
            index: VcpuIndex::new(index),
        }
    }

    #[test]
    fn each_is_woken_once_and_in_time() {
        let mut deadlines = Deadlines::new(3);
        deadlines.set(vcpu(0), 30);
        deadlines.set(vcpu(1), 10);
        deadlines.set(vcpu(2), 20);
        assert_eq!(deadlines.earliest(), Some(10));
        assert_eq!(deadlines.take_due(9), None);
        assert_eq!(deadlines.take_due(25), Some(vcpu(1)));
        assert_eq!(deadlines.take_due(25), Some(vcpu(2)));
        assert_eq!(deadlines.take_due(25), None);
        assert_eq!(deadlines.earliest(), Some(30));
    }

    #[test]
    fn a_new_deadline_replaces_the_old_one() {
        let mut deadlines = Deadlines::new(1);
        deadlines.set(vcpu(0), 30);
        deadlines.set(vcpu(0), 40);
        assert_eq!(deadlines.take_due(35), None);
        deadlines.clear(vcpu(0));
        assert_eq!(deadlines.earliest(), None);
        assert_eq!(deadlines.take_due(u64::MAX), None);
    }

    #[test]
    fn the_list_stays_within_its_limit() {
        let mut deadlines = Deadlines::new(1);
        deadlines.set(vcpu(0), 1);
        deadlines.set(vcpu(1), 2);
        assert_eq!(deadlines.take_due(5), Some(vcpu(0)));
        assert_eq!(deadlines.take_due(5), None);
    }
}
