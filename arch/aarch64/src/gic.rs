//! The physical GICv3, and the virtual CPU interface's registers.
//!
//! The distributor is EL2's alone. EOImode is 1, so that a list register with the HW bit can leave
//! a timer's interrupt active until the guest ends it (IHI0069, 4.7.1).

use crate::cpu::{MAX_CPUS, ThisCpu, this};
use crate::sysreg::{self, isb};
use addr::{CpuId, IntId, Mpidr, Pa, PaRange};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use machine::{Active, IrqHardware, PhysicalInterrupt, VirtualCpuInterface};

/// The SGI that kicks a CPU out of its guest.
pub const KICK: IntId = IntId::new(0);

/// Priority of everything that EL2 handles but its timer.
const PRIORITY: u32 = 0xa0;

/// Priority of EL2's own timer: a flood of kicks must not keep a slice from ending.
const TIMER_PRIORITY: u32 = 0x80;

const GICD_CTLR: u64 = 0x0;
const GICD_IGROUPR: u64 = 0x80;
const GICD_ISENABLER: u64 = 0x100;
const GICD_ICENABLER: u64 = 0x180;
const GICD_ICPENDR: u64 = 0x280;
const GICD_ICACTIVER: u64 = 0x380;
const GICD_IPRIORITYR: u64 = 0x400;
const GICD_IROUTER: u64 = 0x6000;
const GICR_TYPER: u64 = 0x8;
const GICR_WAKER: u64 = 0x14;
const GICR_SGI: u64 = 0x1_0000;
const GICR_ISACTIVER0: u64 = 0x300;
const GICR_ICACTIVER0: u64 = 0x380;

/// Size in bytes of the frames of a redistributor that are used: RD and SGI (IHI0069, 12.10).
const REDISTRIBUTOR_SIZE: u64 = 0x2_0000;

/// Register write pending, in GICD_CTLR and in GICR_CTLR.
const GICD_RWP: u32 = 1 << 31;
const GICR_RWP: u32 = 1 << 3;

static DISTRIBUTOR: AtomicU64 = AtomicU64::new(0);
static REDISTRIBUTORS: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];
static AFFINITIES: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];
static LIST_REGISTERS: AtomicU32 = AtomicU32::new(1);
static ACTIVE_PRIORITIES: AtomicU32 = AtomicU32::new(1);

/// A frame of device registers at EL2's address of it.
#[derive(Clone, Copy)]
struct Registers(u64);

impl Registers {
    fn read(self, offset: u64) -> u32 {
        // SAFETY: the frame is mapped as device memory for good (`start`), and the offset is one of
        // this file's constants, inside it. Reading a GIC register has no effect on memory.
        unsafe { ((self.0 + offset) as *const u32).read_volatile() }
    }

    fn write(self, offset: u64, value: u32) {
        // SAFETY: as in `read`; the distributor and the redistributors write no memory, since LPIs
        // are never enabled.
        unsafe { ((self.0 + offset) as *mut u32).write_volatile(value) }
    }
}

/// Maps and starts the distributor, and finds each CPU's redistributor by its affinity. SPIs are
/// disabled and routed to nobody until [`enable_spi`].
pub(crate) fn start(
    distributor: PaRange,
    redistributors: &[PaRange],
    stride: Option<u64>,
    cpus: &[Mpidr],
) {
    let base = crate::setup::map_device(distributor);
    DISTRIBUTOR.store(base, Ordering::Relaxed);
    let gicd = Registers(base);
    gicd.write(GICD_CTLR, 0);
    wait_for_writes(gicd, GICD_RWP);
    let lines = (gicd.read(0x4) & 0x1f) + 1;
    for word in 1..u64::from(lines) {
        gicd.write(GICD_ICENABLER + 4 * word, u32::MAX);
        gicd.write(GICD_ICPENDR + 4 * word, u32::MAX);
        gicd.write(GICD_ICACTIVER + 4 * word, u32::MAX);
        gicd.write(GICD_IGROUPR + 4 * word, u32::MAX);
    }
    wait_for_writes(gicd, GICD_RWP);
    // Affinity routing (bits 4 and 5 by security state) and group 1, in the view that EL2 has.
    gicd.write(GICD_CTLR, 1 << 4);
    wait_for_writes(gicd, GICD_RWP);
    gicd.write(GICD_CTLR, 1 << 4 | 1 << 1 | 1);
    wait_for_writes(gicd, GICD_RWP);

    for (slot, cpu) in AFFINITIES.iter().zip(cpus) {
        slot.store(cpu.get(), Ordering::Relaxed);
    }
    for region in redistributors {
        find_redistributors(*region, stride, cpus);
    }
}

/// Maps the region's redistributors one after the other, up to the last: a region is often made for
/// far more CPUs than there are.
fn find_redistributors(region: PaRange, stride: Option<u64>, cpus: &[Mpidr]) {
    let mut offset = 0;
    while offset + REDISTRIBUTOR_SIZE <= region.size() {
        let place = Pa::new(region.start().get() + offset);
        let Ok(frames) = PaRange::new(place, REDISTRIBUTOR_SIZE) else {
            return;
        };
        let frame = Registers(crate::setup::map_device(frames));
        let low = frame.read(GICR_TYPER);
        let affinity = frame.read(GICR_TYPER + 4);
        // TYPER holds Aff3 to Aff0 in its high word; MPIDR has Aff3 in bits 39 to 32.
        let affinity = u64::from(affinity >> 24) << 32 | u64::from(affinity & 0xff_ffff);
        if let Some(cpu) = cpus.iter().position(|cpu| cpu.get() == affinity) {
            REDISTRIBUTORS[cpu].store(frame.0, Ordering::Relaxed);
        }
        if low & 1 << 4 != 0 {
            break;
        }
        // With GICv4 (VLPIS) a redistributor has two more frames.
        let frames = if low & 1 << 1 != 0 { 4 } else { 2 };
        offset += stride.map_or(frames * 0x1_0000, |stride| stride.max(REDISTRIBUTOR_SIZE));
    }
}

/// Waits until writes to a frame, whose control register is its first, have taken effect.
fn wait_for_writes(frame: Registers, pending: u32) {
    // Bounded: a distributor that never finishes is a broken machine, and the guests' interrupts
    // will show it.
    for _ in 0..1_000_000 {
        if frame.read(0) & pending == 0 {
            return;
        }
    }
}

/// Starts this CPU's redistributor and interface, with the given private interrupts enabled.
///
/// `timer` is EL2's own.
pub(crate) fn start_cpu(private: &[IntId], timer: IntId) {
    // ICC_SRE_EL2: system registers for EL2 and below.
    // Not Enable: a guest's own ICC_SRE_EL1 traps, and is always 7.
    sysreg::write!("S3_4_C12_C9_5", 7);
    isb();
    let redistributor = Registers(redistributor());
    let waker = redistributor.read(GICR_WAKER);
    redistributor.write(GICR_WAKER, waker & !(1 << 1));
    for _ in 0..1_000_000 {
        if redistributor.read(GICR_WAKER) & 1 << 2 == 0 {
            break;
        }
    }
    let sgi = Registers(redistributor.0 + GICR_SGI);
    sgi.write(GICD_ICENABLER, u32::MAX);
    sgi.write(GICD_IGROUPR, u32::MAX);
    sgi.write(GICR_ICACTIVER0, u32::MAX);
    for word in 0..8 {
        let of = |byte: u32| match 4 * word + byte {
            number if number == timer.get() => TIMER_PRIORITY << (8 * byte),
            _ => PRIORITY << (8 * byte),
        };
        let priorities = of(0) | of(1) | of(2) | of(3);
        sgi.write(GICD_IPRIORITYR + 4 * u64::from(word), priorities);
    }
    let enabled = private
        .iter()
        .fold(1 << KICK.get(), |bits, id| bits | 1 << id.get());
    sgi.write(GICD_ISENABLER, enabled);
    wait_for_writes(redistributor, GICR_RWP);
    sysreg::write!("S3_0_C4_C6_0", 0xff); // ICC_PMR_EL1: nothing is masked by priority
    sysreg::write!("S3_0_C12_C12_3", 0); // ICC_BPR1_EL1
    sysreg::write!("S3_0_C12_C12_4", 1 << 1); // ICC_CTLR_EL1.EOImode
    sysreg::write!("S3_0_C12_C12_7", 1); // ICC_IGRPEN1_EL1
    let vtr = sysreg::read!("S3_4_C12_C11_1"); // ICH_VTR_EL2
    LIST_REGISTERS.store((vtr & 0x1f) as u32 + 1, Ordering::Relaxed);
    sysreg::write!("S3_4_C12_C12_0", 0); // ICH_LR0_EL2
    for index in 1..=(vtr & 0x1f) as usize {
        set_other_list_register(index, 0);
    }
    let preemption_bits = (vtr >> 26 & 7) as u32 + 1;
    ACTIVE_PRIORITIES.store(1 << preemption_bits.saturating_sub(5), Ordering::Relaxed);
    isb();
}

/// Routes a shared interrupt to one CPU and enables it.
pub fn enable_spi(id: IntId, cpu: CpuId) {
    if !id.is_spi() {
        return;
    }
    let gicd = Registers(DISTRIBUTOR.load(Ordering::Relaxed));
    let number = u64::from(id.get());
    let route = AFFINITIES[cpu.index()].load(Ordering::Relaxed);
    gicd.write(GICD_IROUTER + 8 * number, route as u32);
    gicd.write(GICD_IROUTER + 8 * number + 4, (route >> 32) as u32);
    let word = GICD_IPRIORITYR + (number & !3);
    let shift = (number & 3) * 8;
    let priorities = gicd.read(word) & !(0xff << shift) | PRIORITY << shift;
    gicd.write(word, priorities);
    gicd.write(GICD_ISENABLER + 4 * (number / 32), 1 << (number % 32));
}

fn redistributor() -> u64 {
    let index = this().index.load(Ordering::Relaxed);
    let base = REDISTRIBUTORS[index].load(Ordering::Relaxed);
    assert!(
        base != 0,
        "CPU {index} has no redistributor in the device tree's regions"
    );
    base
}

fn private_frame() -> Registers {
    Registers(redistributor() + GICR_SGI)
}

impl IrqHardware for ThisCpu {
    #[inline(always)]
    fn acknowledge(&mut self) -> Option<PhysicalInterrupt> {
        let id = (sysreg::read!("S3_0_C12_C12_0") & 0xff_ffff) as u32; // ICC_IAR1_EL1
        // The acknowledge is done before what the interrupt announces is looked at: another one
        // that comes after that look then interrupts again (IHI0069, 4.4.5).
        // SAFETY: a barrier changes nothing but the order of effects.
        unsafe { core::arch::asm!("dsb sy", options(nostack, preserves_flags)) };
        // 1020 to 1023 are special (IHI0069, 2.2.1).
        if (1020..1024).contains(&id) {
            return None;
        }
        Some(PhysicalInterrupt { id: IntId::new(id) })
    }

    #[inline(always)]
    fn drop_priority(&mut self, interrupt: PhysicalInterrupt) {
        sysreg::write!("S3_0_C12_C12_1", u64::from(interrupt.id.get())); // ICC_EOIR1_EL1
    }

    #[inline]
    fn deactivate(&mut self, id: IntId) {
        sysreg::write!("S3_0_C12_C11_1", u64::from(id.get())); // ICC_DIR_EL1
    }

    fn set_private_active(&mut self, id: IntId, active: Active) {
        let offset = match active {
            Active::Yes => GICR_ISACTIVER0,
            Active::No => GICR_ICACTIVER0,
        };
        private_frame().write(offset, 1 << (id.get() & 31));
        // The read waits for the write: the guest must not end the interrupt before it is active.
        let _ = private_frame().read(GICR_ISACTIVER0);
    }

    fn private_active(&self, id: IntId) -> Active {
        if private_frame().read(GICR_ISACTIVER0) & 1 << (id.get() & 31) == 0 {
            Active::No
        } else {
            Active::Yes
        }
    }

    fn kick(&mut self, cpu: CpuId) {
        let Some(affinity) = AFFINITIES.get(cpu.index()) else {
            return;
        };
        let affinity = affinity.load(Ordering::Relaxed);
        let [_, _, _, aff3, _, aff2, aff1, aff0] = affinity.to_be_bytes();
        // ICC_SGI1R_EL1: the range selector covers Aff0 beyond 15.
        let value = u64::from(aff3) << 48
            | u64::from(aff0 >> 4) << 44
            | u64::from(aff2) << 32
            | u64::from(KICK.get()) << 24
            | u64::from(aff1) << 16
            | 1 << (aff0 & 0xf);
        // What the kick announces is visible before it.
        // SAFETY: a barrier changes nothing but the order of effects.
        unsafe { core::arch::asm!("dsb ishst", options(nostack, preserves_flags)) };
        sysreg::write!("S3_0_C12_C11_5", value);
        isb();
    }
}

macro_rules! indexed {
    ($index:expr, $($number:pat => $body:expr),* $(,)?) => {
        match $index {
            $($number => $body,)*
            _ => Default::default(),
        }
    };
}

/// Reads a list register other than the first, which most often is the only one in use. A function of
/// its own, as the compiler would else look the first one up in a table as well.
#[inline(never)]
fn other_list_register(index: usize) -> u64 {
    indexed!(index,
        1 => sysreg::read!("S3_4_C12_C12_1"),
        2 => sysreg::read!("S3_4_C12_C12_2"), 3 => sysreg::read!("S3_4_C12_C12_3"),
        4 => sysreg::read!("S3_4_C12_C12_4"), 5 => sysreg::read!("S3_4_C12_C12_5"),
        6 => sysreg::read!("S3_4_C12_C12_6"), 7 => sysreg::read!("S3_4_C12_C12_7"),
        8 => sysreg::read!("S3_4_C12_C13_0"), 9 => sysreg::read!("S3_4_C12_C13_1"),
        10 => sysreg::read!("S3_4_C12_C13_2"), 11 => sysreg::read!("S3_4_C12_C13_3"),
        12 => sysreg::read!("S3_4_C12_C13_4"), 13 => sysreg::read!("S3_4_C12_C13_5"),
        14 => sysreg::read!("S3_4_C12_C13_6"), 15 => sysreg::read!("S3_4_C12_C13_7"),
    )
}

/// Writes a list register other than the first.
#[inline(never)]
fn set_other_list_register(index: usize, value: u64) {
    indexed!(index,
        1 => sysreg::write!("S3_4_C12_C12_1", value),
        2 => sysreg::write!("S3_4_C12_C12_2", value),
        3 => sysreg::write!("S3_4_C12_C12_3", value),
        4 => sysreg::write!("S3_4_C12_C12_4", value),
        5 => sysreg::write!("S3_4_C12_C12_5", value),
        6 => sysreg::write!("S3_4_C12_C12_6", value),
        7 => sysreg::write!("S3_4_C12_C12_7", value),
        8 => sysreg::write!("S3_4_C12_C13_0", value),
        9 => sysreg::write!("S3_4_C12_C13_1", value),
        10 => sysreg::write!("S3_4_C12_C13_2", value),
        11 => sysreg::write!("S3_4_C12_C13_3", value),
        12 => sysreg::write!("S3_4_C12_C13_4", value),
        13 => sysreg::write!("S3_4_C12_C13_5", value),
        14 => sysreg::write!("S3_4_C12_C13_6", value),
        15 => sysreg::write!("S3_4_C12_C13_7", value),
    );
}

impl VirtualCpuInterface for ThisCpu {
    #[inline]
    fn list_register_count(&self) -> usize {
        LIST_REGISTERS.load(Ordering::Relaxed) as usize
    }

    #[inline]
    fn list_register(&self, index: usize) -> u64 {
        if index == 0 {
            return sysreg::read!("S3_4_C12_C12_0");
        }
        other_list_register(index)
    }

    #[inline(always)]
    fn set_list_register(&mut self, index: usize, value: u64) {
        if index == 0 {
            sysreg::write!("S3_4_C12_C12_0", value);
            return;
        }
        set_other_list_register(index, value);
    }

    #[inline(always)]
    fn empty_list_registers(&self) -> u32 {
        sysreg::read!("S3_4_C12_C11_5") as u32
    }

    fn eoi_list_registers(&self) -> u32 {
        sysreg::read!("S3_4_C12_C11_3") as u32
    }

    fn maintenance_status(&self) -> u32 {
        sysreg::read!("S3_4_C12_C11_2") as u32
    }

    #[inline]
    fn control(&self) -> u32 {
        sysreg::read!("S3_4_C12_C11_0") as u32
    }

    #[inline]
    fn set_control(&mut self, value: u32) {
        sysreg::write!("S3_4_C12_C11_0", u64::from(value));
    }

    fn machine_control(&self) -> u32 {
        sysreg::read!("S3_4_C12_C11_7") as u32
    }

    fn set_machine_control(&mut self, value: u32) {
        sysreg::write!("S3_4_C12_C11_7", u64::from(value));
    }

    fn active_priority_count(&self) -> usize {
        ACTIVE_PRIORITIES.load(Ordering::Relaxed) as usize
    }

    #[inline(always)]
    fn active_priority(&self, group: usize, index: usize) -> u32 {
        // There always is a first one.
        if index != 0 && index >= self.active_priority_count() {
            return 0;
        }
        indexed!((group, index),
            (0, 0) => sysreg::read!("S3_4_C12_C8_0") as u32,
            (0, 1) => sysreg::read!("S3_4_C12_C8_1") as u32,
            (0, 2) => sysreg::read!("S3_4_C12_C8_2") as u32,
            (0, 3) => sysreg::read!("S3_4_C12_C8_3") as u32,
            (1, 0) => sysreg::read!("S3_4_C12_C9_0") as u32,
            (1, 1) => sysreg::read!("S3_4_C12_C9_1") as u32,
            (1, 2) => sysreg::read!("S3_4_C12_C9_2") as u32,
            (1, 3) => sysreg::read!("S3_4_C12_C9_3") as u32,
        )
    }

    #[inline(always)]
    fn set_active_priority(&mut self, group: usize, index: usize, value: u32) {
        if index != 0 && index >= self.active_priority_count() {
            return;
        }
        let value = u64::from(value);
        indexed!((group, index),
            (0, 0) => sysreg::write!("S3_4_C12_C8_0", value),
            (0, 1) => sysreg::write!("S3_4_C12_C8_1", value),
            (0, 2) => sysreg::write!("S3_4_C12_C8_2", value),
            (0, 3) => sysreg::write!("S3_4_C12_C8_3", value),
            (1, 0) => sysreg::write!("S3_4_C12_C9_0", value),
            (1, 1) => sysreg::write!("S3_4_C12_C9_1", value),
            (1, 2) => sysreg::write!("S3_4_C12_C9_2", value),
            (1, 3) => sysreg::write!("S3_4_C12_C9_3", value),
        );
    }
}
