//! What the vCPUs of a guest see.

use crate::controls::TrapControls;
use crate::field::fields;
use crate::host::{HostIdRegisters, REGISTERS, slot};
use trap::{Esr, SysRegId};

/// A guest's ID registers: the same on each of its vCPUs, and for as long as it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestFeatures {
    registers: [u64; REGISTERS],
}

impl GuestFeatures {
    /// Computes what a guest sees on a machine whose CPUs have `host` in common
    /// ([`HostIdRegisters::merge`]), with an address space of `ipa_bits` bits at stage 2.
    #[must_use]
    pub fn new(host: &HostIdRegisters, ipa_bits: u32) -> Self {
        let mut guest = Self {
            registers: [0; REGISTERS],
        };
        let aarch32 = host.field(SysRegId::ID_AA64PFR0_EL1, 0) >= 2;
        for field in fields() {
            // CRm 1 to 3 describe AArch32.
            if field.register.crm() < 4 && !aarch32 {
                continue;
            }
            let mut value = field.guest_value(host.field(field.register, field.shift));
            if field.register == SysRegId::ID_AA64MMFR0_EL1 && field.name == "PARange" {
                value = value.min(physical_range(ipa_bits));
            }
            guest.or_into(field.register, field.put(value));
        }
        for id in [SysRegId::MIDR_EL1, SysRegId::REVIDR_EL1] {
            guest.or_into(id, host.register(id));
        }
        guest
    }

    /// Reads an ID register that traps: those of HCR_EL2.TID3 and TID1. `None` for a register that
    /// isn't one of them, or whose value differs between vCPUs (MPIDR_EL1).
    #[inline]
    #[must_use]
    pub fn read(&self, id: SysRegId) -> Option<u64> {
        match slot(id) {
            Some(index) if index >= FIRST_TABLE || id == SysRegId::MIDR_EL1 => {
                self.registers.get(index).copied()
            }
            Some(_) if id == SysRegId::REVIDR_EL1 => Some(self.register(id)),
            None if id == SysRegId::AIDR_EL1 => Some(0),
            Some(_) | None => None,
        }
    }

    /// Serves the read of an ID register straight from the syndrome: the destination register (31 is
    /// XZR) and the value. `None` for any other exit, which is then decoded the long way; what both
    /// answer is the same for EL1, and at EL0 the instruction is undefined and does not get here.
    #[inline(always)]
    #[must_use]
    pub fn read_by_syndrome(&self, esr: Esr) -> Option<(u8, u64)> {
        /// Op2, Rt and the low bits of CRm: what may differ between reads of ID registers.
        const VARIABLE: u64 = 7 << 17 | 0x1f << 5 | 7 << 1;
        /// Class 0x18, IL, Op0 3, Op1 0, CRn 0, read.
        const READ: u64 = 0x18 << 26 | 1 << 25 | 3 << 20 | 1;
        /// CRm. With 0 a register is one of a vCPU's own, or not in the tables.
        const CRM: u64 = 0xf << 1;
        let value = esr.get();
        if value & !VARIABLE != READ || value & CRM == 0 {
            return None;
        }
        // CRm stands in bits 4–1, Op2 in bits 19–17.
        let [crm_and_op2, ..] = (((value & 0xe) << 2) | ((value >> 17) & 7)).to_le_bytes();
        let [low, ..] = (value >> 5).to_le_bytes();
        let index = usize::from(crm_and_op2);
        Some((low & 0x1f, *self.registers.get(index)?))
    }

    /// Computes the control registers for this guest on the CPU whose own registers are `cpu`.
    #[must_use]
    pub fn trap_controls(&self, cpu: &HostIdRegisters) -> TrapControls {
        TrapControls::new(self, cpu)
    }

    /// Returns the value of an ID register; 0 for any other.
    pub(crate) fn register(&self, id: SysRegId) -> u64 {
        slot(id)
            .and_then(|index| self.registers.get(index))
            .copied()
            .unwrap_or(0)
    }

    /// Sets bits of a register.
    fn or_into(&mut self, id: SysRegId, bits: u64) {
        if let Some(slot) = slot(id).and_then(|index| self.registers.get_mut(index)) {
            *slot |= bits;
        }
    }
}

/// The first register of the tables, with CRm 1.
const FIRST_TABLE: usize = 8;

/// Returns the largest ID_AA64MMFR0_EL1.PARange that an address space of `bits` bits holds.
const fn physical_range(bits: u32) -> u8 {
    match bits {
        0..36 => 0,
        36..40 => 1,
        40..42 => 2,
        42..44 => 3,
        44..48 => 4,
        48..52 => 5,
        52..56 => 6,
        56.. => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::Policy;

    /// A Cortex-A72.
    fn a72() -> HostIdRegisters {
        HostIdRegisters::from_fn(|id| match id {
            SysRegId::MIDR_EL1 => 0x410f_d083,
            SysRegId::ID_AA64PFR0_EL1 => 0x0100_2222,
            SysRegId::ID_AA64DFR0_EL1 => 0x1030_5106,
            SysRegId::ID_AA64ISAR0_EL1 => 0x0001_1120,
            SysRegId::ID_AA64MMFR0_EL1 => 0x0000_1124,
            SysRegId::ID_ISAR0_EL1 => 0x0210_1110,
            SysRegId::PMCR_EL0 => 0x4102_3000,
            _ => 0,
        })
    }

    #[test]
    fn a_cortex_a72_is_shown_without_el2_el3_and_pmu() {
        let guest = GuestFeatures::new(&a72(), 40);
        assert_eq!(guest.read(SysRegId::ID_AA64PFR0_EL1), Some(0x0100_0012));
        assert_eq!(
            guest.read(SysRegId::ID_AA64DFR0_EL1),
            Some(0x00f0_0010_1006)
        );
        assert_eq!(guest.read(SysRegId::ID_AA64ISAR0_EL1), Some(0x0001_1120));
        assert_eq!(
            guest.read(SysRegId::ID_AA64MMFR0_EL1),
            Some(0x0111_0000_0022)
        );
        assert_eq!(guest.read(SysRegId::ID_ISAR0_EL1), Some(0x0210_1110));
        assert_eq!(guest.read(SysRegId::MIDR_EL1), Some(0x410f_d083));
        assert_eq!(guest.read(SysRegId::MPIDR_EL1), None);
        assert_eq!(guest.read(SysRegId::SCTLR_EL1), None);
    }

    #[test]
    fn physical_range_is_cut_to_the_stage_2_address_space() {
        for (bits, range) in [
            (32, 0),
            (36, 1),
            (39, 1),
            (40, 2),
            (42, 3),
            (44, 4),
            (48, 4),
        ] {
            let value = GuestFeatures::new(&a72(), bits).register(SysRegId::ID_AA64MMFR0_EL1);
            assert_eq!(value & 0xf, range, "{bits}");
        }
    }

    #[test]
    fn aarch32_registers_read_zero_without_aarch32_at_el0() {
        let host = HostIdRegisters::from_fn(|id| match id {
            SysRegId::ID_AA64PFR0_EL1 => 0x1111,
            _ => 0x1111_1111,
        });
        let guest = GuestFeatures::new(&host, 40);
        for crm in 1..4 {
            for op2 in 0..8 {
                assert_eq!(guest.read(SysRegId::new(3, 0, 0, crm, op2)), Some(0));
            }
        }
    }

    #[test]
    fn reserved_registers_and_fields_read_zero() {
        let host = HostIdRegisters::from_fn(|_| u64::MAX);
        let guest = GuestFeatures::new(&host, 48);
        assert_eq!(guest.read(SysRegId::new(3, 0, 0, 4, 3)), Some(0));
        assert_eq!(guest.read(SysRegId::new(3, 0, 0, 7, 7)), Some(0));
        assert_eq!(guest.read(SysRegId::ID_AA64ZFR0_EL1), Some(0));
        assert_eq!(guest.register(SysRegId::ID_AA64PFR1_EL1) >> 20 & 0xf, 0);
    }

    #[test]
    fn the_short_way_answers_as_the_long_way() {
        use trap::{Direction, Exit, ExitRegisters, decode};
        let guest = GuestFeatures::new(&a72(), 40);
        let mut served = 0;
        for bits in 0..=u16::MAX {
            let id = SysRegId::from_bits(bits);
            for direction in [0, 1] {
                let esr = Esr::new(
                    0x18 << 26
                        | 1 << 25
                        | u64::from(id.op0()) << 20
                        | u64::from(id.op2()) << 17
                        | u64::from(id.op1()) << 14
                        | u64::from(id.crn()) << 10
                        | 21 << 5
                        | u64::from(id.crm()) << 1
                        | direction,
                );
                let Some((register, value)) = guest.read_by_syndrome(esr) else {
                    continue;
                };
                served += 1;
                let exit = decode(&ExitRegisters {
                    esr,
                    far: 0,
                    hpfar: 0,
                });
                let Exit::SystemRegister(access) = exit else {
                    panic!("{exit:?}");
                };
                assert_eq!(access.direction, Direction::Read);
                assert_eq!(access.register, register);
                assert_eq!(guest.read(access.id), Some(value));
            }
        }
        assert_eq!(served, 56);
        assert_eq!(guest.read_by_syndrome(Esr::new(0x16 << 26)), None);
    }

    #[test]
    fn c3_a_guest_of_merged_cpus_sees_nothing_that_one_lacks() {
        let strong = HostIdRegisters::from_fn(|_| 0x7777_7777_7777_7777);
        let guest = GuestFeatures::new(&strong.merge(&a72()), 48);
        for field in fields() {
            let shown = field.get(guest.register(field.register));
            let weak = a72().field(field.register, field.shift);
            if !matches!(field.policy, Policy::Fixed(_)) {
                assert_eq!(field.least(shown, weak), shown, "{}", field.name);
            }
        }
    }
}
