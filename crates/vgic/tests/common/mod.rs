//! A virtual CPU interface in plain fields, and what a guest does with it (IHI0069, 4.6 to 4.8 and
//! 12.4): written from the specification, 5 bits of priority and of preemption.

use machine::VirtualCpuInterface;
// For the crate itself, which has no prelude of std.
use std::vec;
use std::vec::Vec;

const PENDING: u64 = 1 << 62;
const ACTIVE: u64 = 1 << 63;
const HARDWARE: u64 = 1 << 61;
const GROUP1: u64 = 1 << 60;
const EOI: u64 = 1 << 41;
const EOI_COUNT: u32 = 0x1f << 27;

pub(crate) const SPURIOUS: u32 = 1023;

/// The registers of a virtual CPU interface.
#[derive(Clone, Debug)]
pub(crate) struct FakeInterface {
    lrs: Vec<u64>,
    hcr: u32,
    pub(crate) vmcr: u32,
    pub(crate) apr: [[u32; 4]; 2],
    /// How many of them each group has.
    pub(crate) apr_count: usize,
    /// The physical interrupts that ends with the HW bit have deactivated.
    pub(crate) deactivated: Vec<u32>,
    /// Counts the uses of list registers by the hypervisor.
    pub(crate) register_uses: std::cell::Cell<usize>,
}

impl FakeInterface {
    pub(crate) fn new(list_registers: usize) -> Self {
        Self {
            lrs: vec![0; list_registers],
            hcr: 0,
            vmcr: 0,
            apr: [[0; 4]; 2],
            apr_count: 1,
            deactivated: Vec::new(),
            register_uses: std::cell::Cell::new(0),
        }
    }

    /// What a guest does first: all priorities, both groups, smallest binary points.
    pub(crate) fn guest_enables(&mut self) {
        self.vmcr = 0xff << 24 | 2 << 21 | 3 << 18 | 3;
    }

    fn running(&self) -> u32 {
        let word = self.apr[0][0] | self.apr[1][0];
        if word == 0 {
            0x100
        } else {
            word.trailing_zeros() << 3
        }
    }

    fn lr_priority(lr: u64) -> u32 {
        (lr >> 48) as u32 & 0xff
    }

    fn lr_id(lr: u64) -> u32 {
        lr as u32
    }

    fn group_enabled(&self, lr: u64) -> bool {
        self.hcr & 1 != 0 && self.vmcr & (if lr & GROUP1 != 0 { 2 } else { 1 }) != 0
    }

    /// Returns the list register of the interrupt that is signaled.
    fn signaled_slot(&self) -> Option<usize> {
        let mask = self.vmcr >> 24;
        (0..self.lrs.len())
            .filter(|n| self.lrs[*n] & (PENDING | ACTIVE) == PENDING)
            .filter(|n| self.group_enabled(self.lrs[*n]))
            .min_by_key(|n| (Self::lr_priority(self.lrs[*n]), Self::lr_id(self.lrs[*n])))
            .filter(|n| Self::lr_priority(self.lrs[*n]) < mask.min(self.running()))
    }

    /// Returns INTID and priority of the interrupt that is signaled.
    pub(crate) fn signaled(&self) -> Option<(u32, u32)> {
        let lr = self.lrs[self.signaled_slot()?];
        Some((Self::lr_id(lr), Self::lr_priority(lr)))
    }

    /// The guest reads ICC_IAR of the signaled interrupt's group.
    pub(crate) fn acknowledge(&mut self) -> u32 {
        let Some(slot) = self.signaled_slot() else {
            return SPURIOUS;
        };
        let lr = self.lrs[slot];
        self.lrs[slot] = (lr & !PENDING) | ACTIVE;
        let group = usize::from(lr & GROUP1 != 0);
        self.apr[group][0] |= 1 << (Self::lr_priority(lr) >> 3);
        Self::lr_id(lr)
    }

    /// The guest writes ICC_EOIR; with EOImode 0 that also ends the interrupt.
    pub(crate) fn eoi(&mut self, id: u32) {
        let word = self.apr[0][0] | self.apr[1][0];
        if word == 0 {
            return;
        }
        let dropped = word.trailing_zeros();
        let group1 = self.apr[1][0] & (1 << dropped) != 0;
        self.apr[usize::from(group1)][0] &= !(1 << dropped);
        if self.vmcr & (1 << 9) != 0 {
            return;
        }
        match self.active_slot(id) {
            Some(slot)
                if Self::lr_priority(self.lrs[slot]) >> 3 == dropped
                    && (self.lrs[slot] & GROUP1 != 0) == group1 =>
            {
                self.end(slot);
            }
            Some(_) => {}
            None => self.count(),
        }
    }

    /// The guest writes ICC_DIR, with EOImode 1.
    pub(crate) fn deactivate(&mut self, id: u32) {
        match self.active_slot(id) {
            Some(slot) => self.end(slot),
            None => self.count(),
        }
    }

    fn active_slot(&self, id: u32) -> Option<usize> {
        (0..self.lrs.len()).find(|n| self.lrs[*n] & ACTIVE != 0 && Self::lr_id(self.lrs[*n]) == id)
    }

    fn end(&mut self, slot: usize) {
        self.lrs[slot] &= !ACTIVE;
        if self.lrs[slot] & HARDWARE != 0 {
            assert_eq!(self.lrs[slot] & PENDING, 0, "HW with pending and active");
            self.deactivated
                .push((self.lrs[slot] >> 32) as u32 & 0x1fff);
        }
    }

    fn count(&mut self) {
        let count = (self.hcr >> 27).wrapping_add(1) & 0x1f;
        self.hcr = (self.hcr & !EOI_COUNT) | count << 27;
    }

    pub(crate) fn holds(&self, id: u32) -> bool {
        self.lr_of(id).is_some()
    }

    pub(crate) fn lr_of(&self, id: u32) -> Option<u64> {
        let mut found = self
            .lrs
            .iter()
            .filter(|lr| **lr & (PENDING | ACTIVE) != 0 && Self::lr_id(**lr) == id);
        let first = found.next().copied();
        assert!(found.next().is_none(), "INTID {id} in two list registers");
        first
    }

    pub(crate) fn in_use(&self) -> usize {
        (self.lrs.iter())
            .filter(|lr| **lr & (PENDING | ACTIVE) != 0)
            .count()
    }
}

impl VirtualCpuInterface for FakeInterface {
    fn list_register_count(&self) -> usize {
        self.lrs.len()
    }

    fn list_register(&self, index: usize) -> u64 {
        self.register_uses.set(self.register_uses.get() + 1);
        self.lrs.get(index).copied().unwrap_or(0)
    }

    fn set_list_register(&mut self, index: usize, value: u64) {
        self.register_uses.set(self.register_uses.get() + 1);
        let both = value & (PENDING | ACTIVE) == PENDING | ACTIVE;
        assert!(value & HARDWARE == 0 || !both, "HW with pending and active");
        if let Some(lr) = self.lrs.get_mut(index) {
            *lr = value;
        }
    }

    fn empty_list_registers(&self) -> u32 {
        (0..self.lrs.len())
            .filter(|n| self.lrs[*n] & (PENDING | ACTIVE) == 0)
            .filter(|n| self.lrs[*n] & HARDWARE != 0 || self.lrs[*n] & EOI == 0)
            .fold(0, |set, n| set | 1 << n)
    }

    fn eoi_list_registers(&self) -> u32 {
        (0..self.lrs.len())
            .filter(|n| self.lrs[*n] & (PENDING | ACTIVE | HARDWARE) == 0)
            .filter(|n| self.lrs[*n] & EOI != 0)
            .fold(0, |set, n| set | 1 << n)
    }

    fn maintenance_status(&self) -> u32 {
        let pending = (self.lrs.iter()).any(|lr| lr & (PENDING | ACTIVE) == PENDING);
        let used = self.in_use();
        let when = |condition: bool, bit: u32| if condition { 1 << bit } else { 0 };
        when(self.eoi_list_registers() != 0, 0)
            | when(self.hcr & 1 << 1 != 0 && used <= 1, 1)
            | when(self.hcr & 1 << 2 != 0 && self.hcr & EOI_COUNT != 0, 2)
            | when(self.hcr & 1 << 3 != 0 && !pending, 3)
            | when(self.hcr & 1 << 4 != 0 && self.vmcr & 1 != 0, 4)
            | when(self.hcr & 1 << 5 != 0 && self.vmcr & 1 == 0, 5)
            | when(self.hcr & 1 << 6 != 0 && self.vmcr & 2 != 0, 6)
            | when(self.hcr & 1 << 7 != 0 && self.vmcr & 2 == 0, 7)
    }

    fn control(&self) -> u32 {
        self.hcr
    }

    fn set_control(&mut self, value: u32) {
        self.hcr = value;
    }

    fn machine_control(&self) -> u32 {
        self.vmcr
    }

    fn set_machine_control(&mut self, value: u32) {
        self.vmcr = value;
    }

    fn active_priority_count(&self) -> usize {
        self.apr_count
    }

    fn active_priority(&self, group: usize, index: usize) -> u32 {
        self.apr[group][index]
    }

    fn set_active_priority(&mut self, group: usize, index: usize, value: u32) {
        self.apr[group][index] = value;
    }
}
