//! VMIDs: 8 or 16 bits for any number of VMs, by generations.
//!
//! A VM's [`VmidSlot`] holds a generation and a number. When the numbers run out, a new generation
//! begins: all TLBs are emptied once, and every VM takes a new number when a CPU next turns to it.
//! VMs that CPUs are running at that moment go on under their old numbers, which are reserved for
//! them; no CPU has to be interrupted.
//!
//! Three things share the work. The [`VmidTable`] is read and written by all CPUs without a lock. A
//! VM's slot lies with the VM. The [`VmidAllocator`] is behind a lock, taken only when
//! [`VmidTable::activate`] says so: once for each VM and generation, and after a rollover. That
//! lock is taken with others held or not; nothing is locked under it.

use addr::CpuId;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use machine::{Invalidation, Tlb};

/// The size of VMIDs: ID_AA64MMFR1_EL1.VMIDBits, VTCR_EL2.VS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VmidWidth {
    /// 255 VMIDs.
    Eight,
    /// 65,535 VMIDs (FEAT_VMID16).
    Sixteen,
}

impl VmidWidth {
    /// Reads the field ID_AA64MMFR1_EL1.VMIDBits; a value that is reserved counts as 8 bits.
    #[must_use]
    pub const fn from_vmid_bits(field: u64) -> Self {
        if field == 2 {
            Self::Sixteen
        } else {
            Self::Eight
        }
    }

    /// Returns how many numbers there are, 0 included, which no VM gets.
    #[must_use]
    pub const fn numbers(self) -> usize {
        match self {
            Self::Eight => 1 << 8,
            Self::Sixteen => 1 << 16,
        }
    }
}

/// Why there can be no VMIDs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VmidError {
    /// Each CPU may hold a number over a rollover, so there must be more numbers than CPUs.
    TooManyCpus {
        /// The number of CPUs.
        cpus: usize,
    },
    /// The machine has no such CPU.
    NoSuchCpu {
        /// The CPU.
        cpu: CpuId,
    },
}

impl fmt::Display for VmidError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TooManyCpus { cpus } => write!(f, "too few VMIDs for {cpus} CPUs"),
            Self::NoSuchCpu { cpu } => write!(f, "there is no CPU {cpu}"),
        }
    }
}

impl core::error::Error for VmidError {}

/// A number together with its generation: the number in bits 15 to 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Assigned(u64);

impl Assigned {
    /// Never assigned; as a CPU's active value: a rollover has taken it.
    const NONE: Self = Self(0);
    /// As a CPU's active value: it runs no VM. (Generation 0 is never current.)
    const IDLE: Self = Self(1);

    const fn new(generation: u64, number: u16) -> Self {
        Self(generation << 16 | number as u64)
    }

    const fn generation(self) -> u64 {
        self.0 >> 16
    }

    const fn number(self) -> u16 {
        let [low, high, ..] = self.0.to_le_bytes();
        u16::from_le_bytes([low, high])
    }

    /// Tells whether this is a VM's at all.
    const fn is_some(self) -> bool {
        self.generation() != 0
    }
}

/// One VM's VMID. A new VM has none.
#[derive(Debug, Default)]
pub struct VmidSlot(AtomicU64);

impl VmidSlot {
    /// Makes a slot without a VMID.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Returns the number under which TLBs may hold the VM's translations; `None` if no CPU has run
    /// it yet. The number may be of an old generation, and other VM's by now: good for
    /// invalidating, not for VTTBR_EL2.
    #[must_use]
    pub fn vmid(&self) -> Option<u16> {
        let assigned = self.load();
        assigned.is_some().then(|| assigned.number())
    }

    fn load(&self) -> Assigned {
        Assigned(self.0.load(Ordering::Acquire))
    }

    fn store(&self, assigned: Assigned) {
        self.0.store(assigned.0, Ordering::Release);
    }
}

/// What all CPUs share without a lock: the current generation, and what each CPU runs.
#[derive(Debug)]
pub struct VmidTable {
    generation: AtomicU64,
    active: Vec<AtomicU64>,
}

impl VmidTable {
    /// Makes the VMIDs of a machine with `cpus` CPUs.
    ///
    /// # Errors
    /// [`VmidError::TooManyCpus`] if there may be too few numbers.
    pub fn new(width: VmidWidth, cpus: usize) -> Result<(Self, VmidAllocator), VmidError> {
        // Number 0 is no VM's, and the VM that caused the rollover needs one too.
        if cpus.saturating_add(2) > width.numbers() {
            return Err(VmidError::TooManyCpus { cpus });
        }
        let mut active = Vec::new();
        active.resize_with(cpus, || AtomicU64::new(Assigned::IDLE.0));
        let table = Self {
            generation: AtomicU64::new(1),
            active,
        };
        let allocator = VmidAllocator {
            width,
            used: vec![0; width.numbers() / 64],
            reserved: vec![Assigned::IDLE; cpus],
            next: 1,
        };
        Ok((table, allocator))
    }

    /// Tells whether the slot's VMID is of the current generation.
    #[must_use]
    pub fn is_current(&self, slot: &VmidSlot) -> bool {
        slot.load().generation() == self.generation.load(Ordering::Acquire)
    }

    /// Returns the VMID for `cpu` to put into VTTBR_EL2 when it turns to the slot's VM; `None` if
    /// [`VmidAllocator::activate`] has to be asked.
    ///
    /// This is needed when VTTBR_EL2 changes, not at each entry: until then the CPU keeps its
    /// number, over rollovers too.
    #[must_use]
    pub fn activate(&self, cpu: CpuId, slot: &VmidSlot) -> Option<u16> {
        let assigned = slot.load();
        let active = self.active.get(cpu.index())?;
        // A rollover moves the generation, then takes the value of every CPU. If it has taken this
        // one's, the new generation is seen below.
        let before = active.load(Ordering::Acquire);
        if assigned.generation() != self.generation.load(Ordering::Acquire) {
            return None;
        }
        // A rollover that takes the value later finds this number, and reserves it.
        if before == assigned.0 {
            return Some(assigned.number());
        }
        // If it takes the value before this exchange, this fails; if after, it finds and reserves
        // the number.
        active
            .compare_exchange(before, assigned.0, Ordering::AcqRel, Ordering::Relaxed)
            .ok()?;
        Some(assigned.number())
    }

    /// Says that `cpu` runs no VM: it has put another value into VTTBR_EL2 (and synchronized) that
    /// walks no VM's tables. A CPU that turns to another VM need not say so.
    pub fn deactivate(&self, cpu: CpuId) {
        if let Some(active) = self.active.get(cpu.index()) {
            active.store(Assigned::IDLE.0, Ordering::Release);
        }
    }
}

/// What gives out VMIDs; kept behind a lock.
#[derive(Debug)]
pub struct VmidAllocator {
    width: VmidWidth,
    /// One bit a number: taken in this generation.
    used: Vec<u64>,
    /// What each CPU was running when the generation began.
    reserved: Vec<Assigned>,
    /// Where the search for a free number goes on.
    next: usize,
}

impl VmidAllocator {
    /// Returns the VMID for `cpu` to put into VTTBR_EL2 when it turns to the slot's VM, after
    /// whatever invalidation is owed.
    ///
    /// The work is bounded by 2 passes over 1,024 words and the CPUs.
    ///
    /// # Errors
    /// [`VmidError::NoSuchCpu`].
    pub fn activate<T: Tlb>(
        &mut self,
        table: &VmidTable,
        cpu: CpuId,
        slot: &VmidSlot,
        tlb: &mut T,
    ) -> Result<u16, VmidError> {
        let active = table
            .active
            .get(cpu.index())
            .ok_or(VmidError::NoSuchCpu { cpu })?;
        let mut assigned = slot.load();
        if !table.is_current(slot) {
            assigned = self.assign(table, assigned, tlb)?;
            slot.store(assigned);
            // Another CPU may be taking pages from this VM: it writes the tables, then reads the
            // slot. The invalidation's barrier puts the slot's store before this CPU's first walk,
            // so that either that CPU invalidates under the new number, or the walk sees the
            // new tables.
            let vmid = assigned.number();
            tlb.invalidate(Invalidation::Vmid { vmid });
        }
        active.store(assigned.0, Ordering::Release);
        Ok(assigned.number())
    }

    fn assign<T: Tlb>(
        &mut self,
        table: &VmidTable,
        old: Assigned,
        tlb: &mut T,
    ) -> Result<Assigned, VmidError> {
        let generation = table.generation.load(Ordering::Relaxed);
        if let Some(kept) = self.keep_reserved(old, generation) {
            return Ok(kept);
        }
        if let Some(number) = self.take_free() {
            return Ok(Assigned::new(generation, number));
        }
        let generation = self.roll_over(table, tlb);
        // There are more numbers than CPUs, so that one is free; a VM that is itself reserved just
        // now keeps its number.
        if let Some(kept) = self.keep_reserved(old, generation) {
            return Ok(kept);
        }
        let cpus = self.reserved.len();
        self.take_free()
            .map(|number| Assigned::new(generation, number))
            .ok_or(VmidError::TooManyCpus { cpus })
    }

    /// Moves `old` to the current generation if some CPU has kept it over the last rollover.
    fn keep_reserved(&mut self, old: Assigned, generation: u64) -> Option<Assigned> {
        if !old.is_some() {
            return None;
        }
        let new = Assigned::new(generation, old.number());
        let mut kept = None;
        for reserved in &mut self.reserved {
            if *reserved == old {
                *reserved = new;
                kept = Some(new);
            }
        }
        kept
    }

    /// Begins a new generation, and empties all TLBs.
    fn roll_over<T: Tlb>(&mut self, table: &VmidTable, tlb: &mut T) -> u64 {
        // 48 bits of generations, each of at least 128 assignments, outlast any machine.
        let generation = table.generation.load(Ordering::Relaxed).wrapping_add(1);
        table.generation.store(generation, Ordering::SeqCst);
        self.used.fill(0);
        self.next = 1;
        for index in 0..table.active.len() {
            let Some(active) = table.active.get(index) else {
                continue;
            };
            let running = Assigned(active.swap(Assigned::NONE.0, Ordering::SeqCst));
            let Some(reserved) = self.reserved.get_mut(index) else {
                continue;
            };
            // A CPU that a rollover has visited before, and that has not turned to another VM
            // since, still runs what it ran then.
            if running != Assigned::NONE {
                *reserved = running;
            }
            let reserved = *reserved;
            if reserved.is_some() {
                self.mark(usize::from(reserved.number()));
            }
        }
        tlb.invalidate(Invalidation::All);
        generation
    }

    /// Takes the next free number of the generation.
    fn take_free(&mut self) -> Option<u16> {
        let start = self.next / 64;
        for index in start..self.used.len() {
            let Some(word) = self.used.get(index) else {
                continue;
            };
            // Number 0 is no VM's.
            let word = if index == 0 { *word | 1 } else { *word };
            if word == u64::MAX {
                continue;
            }
            let bit = usize::try_from(word.trailing_ones()).ok()?;
            let number = index.checked_mul(64)?.checked_add(bit)?;
            self.mark(number);
            self.next = number;
            return u16::try_from(number).ok();
        }
        self.next = self.width.numbers();
        None
    }

    fn mark(&mut self, number: usize) {
        if let Some(word) = self.used.get_mut(number / 64) {
            let bit = u32::try_from(number % 64).unwrap_or(0);
            *word |= 1_u64.wrapping_shl(bit);
        }
    }
}
