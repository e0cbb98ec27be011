//! The ID registers of the machine's CPUs.

use crate::field::fields;
use trap::SysRegId;

/// How many registers have op0 3, op1 0, CRn 0: CRm 0 to 7, op2 0 to 7.
pub(crate) const REGISTERS: usize = 64;

/// The values of one CPU's ID registers, or what several CPUs have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostIdRegisters {
    registers: [u64; REGISTERS],
    event_counters: u8,
}

impl HostIdRegisters {
    /// Takes the values that `read` returns. It is called for MIDR_EL1, REVIDR_EL1 and each register
    /// with op0 3, op1 0, CRn 0, CRm 1 to 7 — reserved ones read as zero, none is UNDEFINED (Arm ARM,
    /// D24.1.4) — and for PMCR_EL0 only if ID_AA64DFR0_EL1 says that the CPU has a PMU.
    #[must_use]
    pub fn from_fn(mut read: impl FnMut(SysRegId) -> u64) -> Self {
        let mut host = Self {
            registers: [0; REGISTERS],
            event_counters: 0,
        };
        for id in Self::ids() {
            if let Some(slot) = slot(id).and_then(|index| host.registers.get_mut(index)) {
                *slot = read(id);
            }
        }
        let pmu = host.field(SysRegId::ID_AA64DFR0_EL1, 8);
        if pmu != 0 && pmu != 0xf {
            // PMCR_EL0.N, bits 15–11.
            let [.., low] = read(SysRegId::PMCR_EL0).wrapping_shr(11).to_be_bytes();
            host.event_counters = low & 0x1f;
        }
        host
    }

    /// Goes through the registers that [`HostIdRegisters::from_fn`] always reads.
    pub fn ids() -> impl Iterator<Item = SysRegId> {
        let tables = (1..8).flat_map(|crm| (0..8).map(move |op2| SysRegId::new(3, 0, 0, crm, op2)));
        [SysRegId::MIDR_EL1, SysRegId::REVIDR_EL1]
            .into_iter()
            .chain(tables)
    }

    /// Returns what this CPU and `other` have in common: each field's lesser value. MIDR_EL1 and
    /// REVIDR_EL1 stay this CPU's.
    #[must_use]
    pub fn merge(&self, other: &Self) -> Self {
        let mut common = Self {
            registers: [0; REGISTERS],
            event_counters: self.event_counters.min(other.event_counters),
        };
        for field in fields() {
            let least = field.least(
                self.field(field.register, field.shift),
                other.field(field.register, field.shift),
            );
            common.or_into(field.register, field.put(least));
        }
        for id in [SysRegId::MIDR_EL1, SysRegId::REVIDR_EL1] {
            common.or_into(id, self.register(id));
        }
        common
    }

    /// Returns the value of an ID register; 0 for any other.
    #[must_use]
    pub fn register(&self, id: SysRegId) -> u64 {
        slot(id)
            .and_then(|index| self.registers.get(index))
            .copied()
            .unwrap_or(0)
    }

    /// Returns the four-bit field at `shift` of an ID register.
    #[must_use]
    pub fn field(&self, id: SysRegId, shift: u32) -> u8 {
        let [.., low] = self.register(id).wrapping_shr(shift).to_be_bytes();
        low & 0xf
    }

    /// Returns how many event counters the PMU has (PMCR_EL0.N).
    #[must_use]
    pub const fn event_counters(&self) -> u8 {
        self.event_counters
    }

    /// Sets bits of a register.
    fn or_into(&mut self, id: SysRegId, bits: u64) {
        if let Some(slot) = slot(id).and_then(|index| self.registers.get_mut(index)) {
            *slot |= bits;
        }
    }
}

/// Returns an ID register's place in the dense array; `None` for other registers.
#[inline]
pub(crate) const fn slot(id: SysRegId) -> Option<usize> {
    // op0, op1 and CRn are the bits from 7 up, CRm and op2 the low seven; CRm is 0 to 7.
    let first = SysRegId::MIDR_EL1.bits();
    let offset = id.bits().wrapping_sub(first);
    if offset < 64 {
        Some(offset as usize)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merge_takes_the_lesser_value_of_each_field() {
        let cpu = |pfr0, mmfr0| {
            HostIdRegisters::from_fn(|id| match id {
                SysRegId::ID_AA64PFR0_EL1 => pfr0,
                SysRegId::ID_AA64MMFR0_EL1 => mmfr0,
                SysRegId::MIDR_EL1 => pfr0,
                _ => 0,
            })
        };
        // FP and AdvSIMD are signed: 0xf is absent, and less than 1.
        let big = cpu(0x0001_0000_0011_2222, 0x0000_1125);
        let little = cpu(0x0000_0000_00ff_1112, 0xf000_1022);
        let both = big.merge(&little);
        assert_eq!(
            both.register(SysRegId::ID_AA64PFR0_EL1),
            0x0000_0000_00ff_1112
        );
        assert_eq!(both.register(SysRegId::ID_AA64MMFR0_EL1), 0xf000_1022);
        assert_eq!(
            both.register(SysRegId::MIDR_EL1),
            big.register(SysRegId::MIDR_EL1)
        );
        assert_eq!(little.merge(&big).register(SysRegId::ID_AA64PFR0_EL1), {
            both.register(SysRegId::ID_AA64PFR0_EL1)
        });
    }

    #[test]
    fn event_counters_are_read_only_where_there_is_a_pmu() {
        let counters = |dfr0| {
            HostIdRegisters::from_fn(|id| match id {
                SysRegId::ID_AA64DFR0_EL1 => dfr0,
                SysRegId::PMCR_EL0 => 6 << 11 | 0x7ff,
                _ => 0,
            })
            .event_counters()
        };
        assert_eq!(counters(0x100), 6);
        assert_eq!(counters(0x000), 0);
        assert_eq!(counters(0xf00), 0);
    }

    #[test]
    fn slots_are_dense_and_unique() {
        let mut seen = [false; REGISTERS];
        for bits in 0..=u16::MAX {
            let id = SysRegId::from_bits(bits);
            let inside = (id.op0(), id.op1(), id.crn()) == (3, 0, 0) && id.crm() < 8;
            assert_eq!(slot(id).is_some(), inside, "{id}");
            if let Some(index) = slot(id) {
                assert!(!seen[index]);
                seen[index] = true;
            }
        }
        assert!(seen.iter().all(|seen| *seen));
        assert_eq!(HostIdRegisters::ids().count(), 58);
    }
}
