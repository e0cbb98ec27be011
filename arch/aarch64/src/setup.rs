//! From the first Rust code to running CPUs.

use crate::cpu::{CPUS, MAX_CPUS, ThisCpu, this};
use crate::el2_table::{self, Use};
use crate::power::Firmware;
use crate::world::{self, TrapRegisters};
use crate::{boot, console, gic, layout, memory, power};
use addr::{CpuId, IntId, Mpidr, Pa, PaRange};
use alloc::boxed::Box;
use core::sync::atomic::{AtomicBool, Ordering};
use lock::Lock;

/// The longest device tree that is accepted, in bytes (Linux, booting.rst).
const MAX_DEVICE_TREE: u64 = 0x20_0000;
/// What a device tree begins with, big endian (Devicetree Specification, 5.2).
const DEVICE_TREE_MAGIC: u32 = 0xd00d_feed;

static STACKS_MAPPED: AtomicBool = AtomicBool::new(false);
/// What [`cpu_interface`] needs on every CPU.
static SETTINGS: Lock<Option<Settings>> = Lock::new(None);

#[derive(Clone)]
struct Settings {
    private_interrupts: [IntId; 4],
    traps: TrapRegisters,
}

/// The machine in the state that the boot loader left: one CPU, EL2's own tables, and the device
/// tree mapped.
pub struct Boot {
    device_tree: &'static [u8],
    device_tree_pa: Pa,
}

/// What the device tree says about the parts that EL2 drives itself.
#[derive(Clone, Debug)]
pub struct Resources<'a> {
    /// The RAM that guests may be given: EL2's windows show nothing else.
    pub guest_ram: &'a [PaRange],
    /// Free RAM for the hypervisor's own use.
    pub owned: PaRange,
    /// The boot archive.
    pub archive: Option<PaRange>,
    /// GICD.
    pub distributor: PaRange,
    /// GICR regions.
    pub redistributors: &'a [PaRange],
    /// Distance of two redistributors in bytes, where the device tree gives one.
    pub redistributor_stride: Option<u64>,
    /// The private interrupts that EL2 takes: maintenance, EL2's timer, the guest's virtual and
    /// physical timer.
    pub private_interrupts: [IntId; 4],
    /// The affinities of the CPUs; the first is the boot CPU's place in the list, found by its own.
    pub cpus: &'a [Mpidr],
    /// How the firmware is called.
    pub firmware: Firmware,
}

/// The machine ready for a role.
pub struct Started {
    /// The boot CPU.
    pub hardware: ThisCpu,
    /// The boot CPU's place in the list of CPUs.
    pub cpu: CpuId,
    /// The boot archive.
    pub archive: &'static [u8],
}

impl Boot {
    /// Takes over from the boot assembly. Called once, by [`image!`](crate::image).
    #[must_use]
    pub fn begin(device_tree: u64, image: u64) -> Self {
        memory::start_early_heap();
        el2_table::start(image);
        Self {
            device_tree: map_device_tree(device_tree).unwrap_or(&[]),
            device_tree_pa: Pa::new(device_tree),
        }
    }

    /// Returns the device tree that the boot loader passed; empty if it passed none.
    #[must_use]
    pub fn device_tree(&self) -> &'static [u8] {
        self.device_tree
    }

    /// Returns where the device tree lies.
    #[must_use]
    pub fn device_tree_range(&self) -> Option<PaRange> {
        PaRange::new(self.device_tree_pa, self.device_tree.len() as u64).ok()
    }

    /// Returns where the image lies, with its zeroed part.
    #[must_use]
    pub fn image_range(&self) -> Option<PaRange> {
        let bounds = boot::image_bounds();
        PaRange::new(
            Pa::new(el2_table::image_to_pa(bounds.start)),
            bounds.end - bounds.start,
        )
        .ok()
    }

    /// Starts the console, so that errors can be told from here on.
    pub fn start_console(&self, uart: PaRange) {
        console::start(uart);
    }

    /// Takes over memory, GIC and this CPU's interface.
    ///
    /// # Panics
    /// If the machine has more than [`MAX_CPUS`] CPUs, or the boot CPU is not among them.
    #[must_use]
    pub fn start(self, resources: &Resources<'_>) -> Started {
        assert!(
            resources.cpus.len() <= MAX_CPUS,
            "more than {MAX_CPUS} CPUs"
        );
        memory::set_guest_ram(resources.guest_ram);
        memory::add_owned(resources.owned);
        power::set_firmware(resources.firmware);
        gic::start(
            resources.distributor,
            resources.redistributors,
            resources.redistributor_stride,
            resources.cpus,
        );
        let here = Mpidr::from_register(crate::sysreg::read!("mpidr_el1"));
        let cpu = resources.cpus.iter().position(|cpu| *cpu == here);
        let cpu = cpu.expect("the boot CPU is in the device tree");
        for (index, data) in CPUS.iter().enumerate().take(resources.cpus.len()) {
            prepare_cpu(index, data);
        }
        STACKS_MAPPED.store(true, Ordering::Release);
        crate::sysreg::write!("tpidr_el2", core::ptr::from_ref(&CPUS[cpu]).addr() as u64);
        *SETTINGS.lock() = Some(Settings {
            private_interrupts: resources.private_interrupts,
            traps: TrapRegisters::default(),
        });
        let archive = resources.archive.map_or(&[][..], map_read_only);
        // SAFETY: MMU, GIC distributor and per-CPU data are set up; `set_traps` adds this CPU's GIC
        // interface and the traps before a guest runs. `Boot` existed once, and so does this token.
        let hardware = unsafe { ThisCpu::new() };
        Started {
            hardware,
            cpu: CpuId::new(u16::try_from(cpu).unwrap_or(0)),
            archive,
        }
    }
}

impl ThisCpu {
    /// Sets what is trapped from guests, on this CPU now and on the others when they start.
    pub fn set_traps(&mut self, traps: TrapRegisters) {
        if let Some(settings) = SETTINGS.lock().as_mut() {
            settings.traps = traps;
        }
        cpu_interface();
    }

    /// Gives this CPU its role's data.
    pub fn start_role<R: Send>(&mut self, role: Box<R>) -> &'static mut R {
        let role = Box::into_raw(role);
        this().role.store(role.cast(), Ordering::Release);
        // SAFETY: just leaked, and nothing uses the stored pointer before the first exit, when the
        // function that got this reference never runs again (it ends in `enter_guest`).
        unsafe { &mut *role }
    }

    /// Starts another CPU with its role's data; it runs the image's secondary function.
    ///
    /// # Errors
    /// The negative PSCI error code.
    pub fn start_cpu<R: Send>(
        &mut self,
        cpu: CpuId,
        mpidr: Mpidr,
        role: Box<R>,
    ) -> Result<(), i64> {
        let data = &CPUS[cpu.index()];
        data.role
            .store(Box::into_raw(role).cast(), Ordering::Release);
        let entry = el2_table::image_to_pa(boot::secondary_entry());
        power::cpu_on(
            self,
            mpidr.get(),
            entry,
            core::ptr::from_ref(data).addr() as u64,
        )
    }
}

/// Starts the interface of the CPU that runs the call: GIC, traps, timer.
pub(crate) fn cpu_interface() {
    let settings = SETTINGS.lock().clone();
    if let Some(settings) = settings {
        let [_, timer, ..] = settings.private_interrupts;
        gic::start_cpu(&settings.private_interrupts, timer);
        world::set_traps(&settings.traps);
        crate::sysreg::write!("cnthp_ctl_el2", 0);
        crate::sysreg::write!("cntv_ctl_el0", 0);
        crate::sysreg::write!("cntp_ctl_el0", 0);
        crate::sysreg::isb();
    }
}

pub(crate) fn stacks_are_mapped() -> bool {
    STACKS_MAPPED.load(Ordering::Acquire)
}

/// Maps a CPU's stacks, each between unmapped pages, and prepares its windows.
fn prepare_cpu(index: usize, data: &crate::cpu::PerCpu) {
    let stacks = [
        (
            layout::stack_bottom(index),
            layout::STACK_SIZE,
            &data.stack_top,
        ),
        (
            layout::emergency_bottom(index),
            layout::EMERGENCY_STACK_SIZE,
            &data.emergency_top,
        ),
    ];
    for (bottom, size, top) in stacks {
        el2_table::map(bottom, memory::leak_pages(size), size, Use::Data);
        top.store(bottom + size, Ordering::Relaxed);
    }
    data.index.store(index, Ordering::Relaxed);
    memory::prepare_windows(index, data);
}

/// Maps device registers and returns where.
pub(crate) fn map_device(range: PaRange) -> u64 {
    map_missing(layout::DEVICE, range, Use::Device);
    layout::DEVICE + range.start().get()
}

/// Maps the pages of `range` at their physical address + `base`, but for those that are mapped
/// already: two devices may share a page, or be mapped twice.
fn map_missing(base: u64, range: PaRange, usage: Use) {
    let Some(pages) = range.grow_to(0x1000) else {
        return;
    };
    let start = pages.start().get();
    el2_table::map_missing(base + start, start, pages.size(), usage);
}

/// Maps what the boot loader placed in RAM, and returns its bytes.
fn map_read_only(range: PaRange) -> &'static [u8] {
    map_missing(layout::OWNED, range, Use::ReadOnly);
    let pointer = (layout::OWNED + range.start().get()) as *const u8;
    // SAFETY: the range is mapped for good, and nobody writes it: it is kept out of the RAM that
    // guests and the hypervisor are given.
    unsafe { core::slice::from_raw_parts(pointer, range.size() as usize) }
}

fn map_device_tree(address: u64) -> Option<&'static [u8]> {
    if address == 0 || !address.is_multiple_of(8) {
        return None;
    }
    let header = map_read_only(PaRange::new(Pa::new(address), 8).ok()?);
    let word = |at: usize| Some(u32::from_be_bytes(header.get(at..at + 4)?.try_into().ok()?));
    let size = u64::from(word(4)?);
    if word(0)? != DEVICE_TREE_MAGIC || size > MAX_DEVICE_TREE {
        return None;
    }
    Some(map_read_only(PaRange::new(Pa::new(address), size).ok()?))
}
