//! The saved virtual CPU interface of a vCPU that does not run, and what it would let through.

use machine::VirtualCpuInterface;

/// ICH_HCR_EL2 fields (IHI0069, 12.4.3).
pub(crate) mod control {
    /// Enables the virtual CPU interface.
    pub(crate) const ENABLE: u32 = 1;
    /// Maintenance when an interrupt without a list register was ended.
    pub(crate) const NOT_PRESENT: u32 = 1 << 2;
    /// Maintenance when no list register is pending.
    pub(crate) const NO_PENDING: u32 = 1 << 3;
    /// Maintenance while the guest has group 0 enabled.
    pub(crate) const GROUP0_ENABLED: u32 = 1 << 4;
    /// Maintenance while the guest has group 0 disabled.
    pub(crate) const GROUP0_DISABLED: u32 = 1 << 5;
    /// Maintenance while the guest has group 1 enabled.
    pub(crate) const GROUP1_ENABLED: u32 = 1 << 6;
    /// Maintenance while the guest has group 1 disabled.
    pub(crate) const GROUP1_DISABLED: u32 = 1 << 7;
    /// Where the number of ended interrupts without a list register stands; 5 bits.
    pub(crate) const EOI_COUNT_SHIFT: u32 = 27;
}

/// ICH_VMCR_EL2 fields (IHI0069, 12.4.9).
const VENG0: u32 = 1;
const VENG1: u32 = 1 << 1;
const VFIQEN: u32 = 1 << 3;
const VCBPR: u32 = 1 << 4;
const VBPR1_SHIFT: u32 = 18;
const VBPR0_SHIFT: u32 = 21;

/// The state of a virtual CPU interface apart from its list registers, as plain register values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuInterface {
    /// ICH_VMCR_EL2.
    pub machine_control: u32,
    /// ICH_AP0R0–3_EL2 and ICH_AP1R0–3_EL2; those that hardware lacks are 0.
    pub active_priorities: [[u32; 4]; 2],
    /// How many of the active-priority registers of a group count: 1, 2 or 4.
    pub registers_per_group: u8,
}

impl CpuInterface {
    /// The reset state: everything masked and disabled. Hardware raises the binary points to its
    /// minimum. VFIQEn is RES1 where the guest uses system registers.
    pub(crate) const RESET: Self = Self {
        machine_control: VFIQEN,
        active_priorities: [[0; 4]; 2],
        registers_per_group: 1,
    };

    /// Reads the interface of the vCPU that leaves this CPU.
    #[inline]
    pub(crate) fn save<H: VirtualCpuInterface>(&mut self, hw: &H) {
        self.machine_control = hw.machine_control();
        let [[group0, ..], [group1, ..]] = &mut self.active_priorities;
        *group0 = hw.active_priority(0, 0);
        *group1 = hw.active_priority(1, 0);
        let count = hw.active_priority_count();
        if count > 1 {
            self.save_others(count, hw);
        }
    }

    /// Writes the interface of the vCPU that comes to this CPU.
    #[inline]
    pub(crate) fn load<H: VirtualCpuInterface>(&self, hw: &mut H) {
        hw.set_machine_control(self.machine_control);
        let [[group0, ..], [group1, ..]] = self.active_priorities;
        hw.set_active_priority(0, 0, group0);
        hw.set_active_priority(1, 0, group1);
        let count = hw.active_priority_count();
        if count > 1 {
            self.load_others(count, hw);
        }
    }

    /// Reads the registers that only CPUs with more than 32 levels of preemption have.
    #[cold]
    #[inline(never)]
    fn save_others<H: VirtualCpuInterface>(&mut self, count: usize, hw: &H) {
        self.registers_per_group = u8::try_from(count.min(4)).unwrap_or(1);
        for (group, registers) in self.active_priorities.iter_mut().enumerate() {
            for (index, register) in registers.iter_mut().enumerate().take(count).skip(1) {
                *register = hw.active_priority(group, index);
            }
        }
    }

    /// Writes them.
    #[cold]
    #[inline(never)]
    fn load_others<H: VirtualCpuInterface>(&self, count: usize, hw: &mut H) {
        for (group, registers) in self.active_priorities.iter().enumerate() {
            for (index, register) in registers.iter().enumerate().take(count).skip(1) {
                hw.set_active_priority(group, index, *register);
            }
        }
    }

    /// Tells whether a pending interrupt would be signaled to the vCPU: its group is enabled, it
    /// passes the priority mask and preempts what is active (IHI0069, 4.8.5).
    pub(crate) fn lets_through(&self, priority: u8, group1: bool) -> bool {
        let [mask, ..] = self.machine_control.to_be_bytes();
        group_enabled(self.machine_control, group1) == GroupAtInterface::Enabled
            && priority < mask
            && self.preempts(priority, group1)
    }

    fn preempts(&self, priority: u8, group1: bool) -> bool {
        let mask = self.preemption_mask(group1);
        self.running_priority()
            .is_none_or(|running| u32::from(priority) & mask < running & mask)
    }

    /// Returns the bits of a priority that decide on preemption (IHI0069, 4.8.6).
    fn preemption_mask(&self, group1: bool) -> u32 {
        let common = self.machine_control & VCBPR != 0;
        let point = if group1 && !common {
            ((self.machine_control >> VBPR1_SHIFT) & 7).saturating_sub(1)
        } else {
            (self.machine_control >> VBPR0_SHIFT) & 7
        };
        (0xff_u32 << 1).wrapping_shl(point) & 0xff
    }

    /// Returns the highest active priority; `None` if nothing is active.
    fn running_priority(&self) -> Option<u32> {
        let [group0, group1] = &self.active_priorities;
        let mut first = 0u32;
        for (zero, one) in group0.iter().zip(group1) {
            let word = zero | one;
            if word != 0 {
                let level = first.wrapping_add(word.trailing_zeros());
                // 32, 64 or 128 levels of preemption share the 256 priorities.
                return Some(match self.registers_per_group {
                    1 => level << 3,
                    2 => level << 2,
                    _ => level << 1,
                });
            }
            first = first.wrapping_add(32);
        }
        None
    }
}

/// Whether the guest's ICC_IGRPEN`n`_EL1 lets a group through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GroupAtInterface {
    /// Interrupts of the group are signaled.
    Enabled,
    /// Interrupts of the group stay pending.
    Disabled,
}

/// Tells whether the guest lets a group through, by its ICH_VMCR_EL2.
#[inline]
const fn group_enabled(machine_control: u32, group1: bool) -> GroupAtInterface {
    let bit = if group1 { VENG1 } else { VENG0 };
    if machine_control & bit != 0 {
        GroupAtInterface::Enabled
    } else {
        GroupAtInterface::Disabled
    }
}

/// Returns the ICH_HCR_EL2 bits that report a change of the groups the guest lets through.
pub(crate) const fn watch_groups(machine_control: u32) -> u32 {
    let group0 = match group_enabled(machine_control, false) {
        GroupAtInterface::Enabled => control::GROUP0_DISABLED,
        GroupAtInterface::Disabled => control::GROUP0_ENABLED,
    };
    let group1 = match group_enabled(machine_control, true) {
        GroupAtInterface::Enabled => control::GROUP1_DISABLED,
        GroupAtInterface::Disabled => control::GROUP1_ENABLED,
    };
    group0 | group1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(mask: u32, active1: u32) -> CpuInterface {
        CpuInterface {
            machine_control: mask << 24 | VENG1 | 2 << VBPR0_SHIFT | 3 << VBPR1_SHIFT,
            active_priorities: [[0; 4], [active1, 0, 0, 0]],
            registers_per_group: 1,
        }
    }

    #[test]
    fn the_mask_and_the_group_decide() {
        assert!(interface(0xf0, 0).lets_through(0xe8, true));
        assert!(!interface(0xf0, 0).lets_through(0xf0, true));
        assert!(!interface(0xf0, 0).lets_through(0x00, false));
        assert!(!CpuInterface::RESET.lets_through(0, true));
    }

    #[test]
    fn an_active_priority_is_preempted_by_higher_ones_only() {
        let busy = interface(0xff, 1 << 20);
        assert!(busy.lets_through(0x98, true));
        assert!(!busy.lets_through(0xa0, true));
        assert!(!busy.lets_through(0xf0, true));
    }

    #[test]
    fn group_0_and_a_common_point_use_the_binary_point_of_group_0() {
        // Point 6 of group 0, where 0x98 and 0xa0 share a group priority; that of group 1 is 3.
        let mut busy = interface(0xff, 1 << 20);
        busy.machine_control |= VENG0 | 6 << VBPR0_SHIFT;
        assert!(!busy.lets_through(0x98, false));
        assert!(busy.lets_through(0x78, false));
        assert!(busy.lets_through(0x98, true));
        busy.machine_control |= VCBPR;
        assert!(!busy.lets_through(0x98, true));
    }

    #[test]
    fn the_binary_point_joins_priorities() {
        let mut busy = interface(0xff, 1 << 20);
        busy.machine_control |= 7 << VBPR1_SHIFT;
        // Point 7: one bit of group priority; 0x98 and 0xa0 share it.
        assert!(!busy.lets_through(0x98, true));
        assert!(busy.lets_through(0x78, true));
    }
}
