//! Software-generated interrupts: what a guest's write to ICC_SGI*R_EL1 asks for.

use crate::bits::{bit, low_bits};
use addr::{IntId, Mpidr, VcpuIndex};

/// The register that the guest wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SgiRegister {
    /// ICC_SGI0R_EL1: an interrupt of group 0.
    Sgi0,
    /// ICC_SGI1R_EL1: an interrupt of group 1.
    Sgi1,
    /// ICC_ASGI1R_EL1: group 1 of the *other* Security state. With a single Security state
    /// (GICD_CTLR.DS = 1) it reaches only interrupts that are configured as group 0.
    Asgi1,
}

/// The group for which an SGI was generated. A target takes it only if its GICR_IGROUPR0 agrees
/// (IHI0069, 12.1.10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SgiGroup {
    /// Group 0.
    Group0,
    /// Group 1.
    Group1,
}

/// Whom an SGI is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Targets {
    /// Interrupt Routing Mode 1: every vCPU but the sender.
    AllButSelf,
    /// A list of vCPUs of one cluster, bit n for the one with Aff0 = n.
    Cluster { first: VcpuIndex, list: u32 },
    /// No vCPU has such an affinity.
    Nobody,
}

/// A decoded write to ICC_SGI*R_EL1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SgiRequest {
    /// The INTID, 0 to 15.
    pub id: IntId,
    /// The group for which it was generated.
    pub group: SgiGroup,
    targets: Targets,
}

/// Decodes a guest's write (IHI0069, 12.2.20, ICC_SGI1R_EL1). RES0 bits are ignored. An affinity or
/// a range (RS) that no vCPU has is not an error: the SGI reaches nobody.
#[inline]
#[must_use]
pub fn decode(register: SgiRegister, value: u64) -> SgiRequest {
    const ROUTE_ALL_BUT_SELF: u8 = 1;
    // Bits 63-56 RES0, Aff3, RS (47-44) and IRM (40), Aff2, INTID (27-24), Aff1, TargetList.
    let [_, aff3, range, aff2, id, aff1, list_high, list_low] = value.to_be_bytes();
    let group = match register {
        SgiRegister::Sgi1 => SgiGroup::Group1,
        SgiRegister::Sgi0 | SgiRegister::Asgi1 => SgiGroup::Group0,
    };
    let targets = if range & ROUTE_ALL_BUT_SELF != 0 {
        Targets::AllButSelf
    } else {
        let list = u32::from(u16::from_be_bytes([list_high, list_low]));
        // RS selects Aff0 values from 16 on, which no vCPU has.
        match Mpidr::from_fields(aff3, aff2, aff1, 0).vcpu() {
            Some(first) if range >> 4 == 0 => Targets::Cluster { first, list },
            Some(_) | None => Targets::Nobody,
        }
    };
    SgiRequest {
        id: IntId::new(u32::from(id & 0xf)),
        group,
        targets,
    }
}

/// Returns the INTID of a write that is for the sender alone. `None` for any other, and for senders
/// with an index above 15; [`decode`] knows them all.
#[inline(always)]
#[must_use]
pub const fn to_self(value: u64, sender: VcpuIndex) -> Option<IntId> {
    const INTID: u64 = 0xf << 24;
    // RES0 bits make a write take the long way.
    let list = 1_u64.wrapping_shl(sender.get() as u32);
    if value & !INTID == list && sender.get() < 16 {
        let [.., id, _, _, _] = value.to_be_bytes();
        Some(IntId::new(id as u32))
    } else {
        None
    }
}

impl SgiRequest {
    /// Iterates over the vCPUs that the SGI is for, in a VM of `count` vCPUs; at most `count` steps.
    #[inline]
    #[must_use]
    pub fn targets(self, sender: VcpuIndex, count: u16) -> SgiTargets {
        let mut targets = SgiTargets {
            first: 0,
            list: 0,
            next: 0,
            end: 0,
            sender: sender.get(),
        };
        match self.targets {
            Targets::AllButSelf => targets.end = count,
            Targets::Cluster { first, list } => {
                targets.first = first.get();
                targets.list = list & low_bits(u32::from(count.saturating_sub(first.get())));
            }
            Targets::Nobody => {}
        }
        targets
    }

    /// Returns the one bit for a target's mailbox: bit n for SGI n of group 1, bit 16 + n for SGI n
    /// of group 0. [`crate::VcpuInterrupts::pend_sgis`] takes such words.
    #[inline]
    #[must_use]
    pub const fn mailbox_bit(self) -> u32 {
        match self.group {
            SgiGroup::Group1 => bit(self.id.get()),
            SgiGroup::Group0 => bit(self.id.get().wrapping_add(16)),
        }
    }
}

/// The vCPUs that an SGI is for, from [`SgiRequest::targets`].
#[derive(Clone, Copy, Debug)]
pub struct SgiTargets {
    /// The index that bit 0 of the list stands for.
    first: u16,
    list: u32,
    /// What is left of all vCPUs, if the SGI is for all but the sender.
    next: u16,
    end: u16,
    sender: u16,
}

impl Iterator for SgiTargets {
    type Item = VcpuIndex;

    #[inline]
    fn next(&mut self) -> Option<VcpuIndex> {
        if self.list != 0 {
            let number = u16::try_from(self.list.trailing_zeros()).unwrap_or(0);
            self.list &= self.list.wrapping_sub(1);
            return Some(VcpuIndex::new(self.first.wrapping_add(number)));
        }
        if self.next == self.sender {
            self.next = self.next.wrapping_add(1);
        }
        if self.next >= self.end {
            return None;
        }
        let index = self.next;
        self.next = index.wrapping_add(1);
        Some(VcpuIndex::new(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn targets(value: u64, sender: u16, count: u16) -> Vec<u16> {
        decode(SgiRegister::Sgi1, value)
            .targets(VcpuIndex::new(sender), count)
            .map(VcpuIndex::get)
            .collect()
    }

    #[test]
    fn a_target_list_names_a_cluster() {
        assert_eq!(targets(0x0000_0000_0500_8003, 0, 16), [0, 1, 15]);
        assert_eq!(targets(0x0000_0000_0001_0003, 0, 18), [16, 17]);
        let request = decode(SgiRegister::Sgi1, 0x0500_0001);
        assert_eq!(request.id, IntId::new(5));
        assert_eq!(request.mailbox_bit(), 1 << 5);
        assert_eq!(
            decode(SgiRegister::Sgi0, 0x0500_0001).mailbox_bit(),
            1 << 21
        );
        assert_eq!(decode(SgiRegister::Asgi1, 0).group, SgiGroup::Group0);
    }

    #[test]
    fn all_but_self_ignores_the_list() {
        assert_eq!(targets(1 << 40 | 0xffff, 1, 4), [0, 2, 3]);
        assert_eq!(targets(1 << 40, 0, 1), []);
    }

    #[test]
    fn e2_reserved_fields_reach_nobody_and_res0_bits_change_nothing() {
        for range in 1..16u64 {
            assert_eq!(targets(range << 44 | 0xffff, 0, 512), []);
        }
        for aff3 in 1..256u64 {
            assert_eq!(targets(aff3 << 48 | 0xffff, 0, 512), []);
        }
        let res0 = 0xff << 56 | 0x7 << 41 | 0xf << 28;
        assert_eq!(targets(res0 | 3, 0, 4), [0, 1]);
        assert_eq!(decode(SgiRegister::Sgi1, res0).id, IntId::new(0));
    }

    #[test]
    fn e3_absent_vcpus_are_never_named_for_any_value() {
        for shift in 0..64 {
            for value in [1 << shift, u64::MAX << shift, !(1 << shift)] {
                for register in [SgiRegister::Sgi0, SgiRegister::Sgi1, SgiRegister::Asgi1] {
                    let all = decode(register, value).targets(VcpuIndex::new(2), 20);
                    assert!(all.inspect(|index| assert!(index.get() < 20)).count() <= 20);
                }
            }
        }
    }
}
