//! Role and arch, put together: the device tree's facts to both, and the first CPU's way from the
//! boot loader to a guest.

extern crate alloc;

use addr::{Address, BLOCK_2M, CpuId, Pa, PaRange, align_down};
use alloc::vec::Vec;
use arch::{Boot, Firmware, Resources, ThisCpu, TrapRegisters, give_up};
use board::{Board, Conduit, usable_ram};
use hypervisor::{BootInput, Cpu, Hypervisor, Interrupts};
use id_registers::{HostIdRegisters, TrapControls};
use machine::{Random, Randomness};
use memory_owner::Owner;

arch::image!(role: Cpu, primary: primary, secondary: secondary);

/// The least memory that the hypervisor takes for itself, in bytes: heap and translation tables.
const LEAST_OWNED: u64 = 16 << 20;

/// Which part of the RAM it takes on larger machines: 1/64.
const OWNED_PART: u64 = 64;

fn primary(boot: Boot) -> ! {
    let tree = boot.device_tree();
    let board = match Board::discover(tree) {
        Ok(board) => board,
        // Without a console to say so, the message is for a debugger.
        Err(error) => give_up(format_args!("the device tree cannot be used: {error}")),
    };
    boot.start_console(board.console.registers);
    let Some((image, device_tree)) = boot.image_range().zip(boot.device_tree_range()) else {
        give_up(format_args!(
            "the boot loader has placed the image or the device tree beyond all addresses"
        ));
    };
    let usable = usable_ram(&board, image, device_tree);
    let Some(owned) = choose_owned(&usable) else {
        give_up(format_args!(
            "no {LEAST_OWNED} bytes of free RAM in one piece: {usable:?}"
        ));
    };
    check_archive(&board, image, device_tree);
    let guest_ram: Vec<_> = usable
        .iter()
        .flat_map(|range| range.without(owned))
        .flatten()
        .collect();
    let interrupts = interrupts(&board);
    let mpidrs: Vec<_> = board.cpus.iter().map(|cpu| cpu.mpidr).collect();
    let started = boot.start(&Resources {
        guest_ram: &guest_ram,
        owned,
        archive: board.chosen.initrd,
        distributor: board.gic.distributor,
        redistributors: &board.gic.redistributor_regions,
        redistributor_stride: board.gic.redistributor_stride,
        private_interrupts: [
            interrupts.maintenance,
            interrupts.hypervisor_timer,
            interrupts.virtual_timer,
            interrupts.physical_timer,
        ],
        cpus: &mpidrs,
        firmware: match board.psci.conduit {
            Conduit::Smc => Firmware::Smc,
            Conduit::Hvc => Firmware::Hvc,
        },
    });
    let mut hardware = started.hardware;
    let host = host_id_registers();
    let mut reserved: Vec<_> = board
        .reserved
        .iter()
        .map(|range| (*range, Owner::Firmware))
        .collect();
    reserved.extend([(image, Owner::Hypervisor), (owned, Owner::Hypervisor)]);
    reserved.push((device_tree, Owner::Archive));
    reserved.extend(board.chosen.initrd.map(|range| (range, Owner::Archive)));
    let seed = seed(&mut hardware, &board);
    let epoch = epoch(&mut hardware, &board);
    let input = BootInput {
        archive: started.archive,
        ram: &board.ram,
        reserved: &reserved,
        cpus: board.cpus.len(),
        host: &host,
        pa_range: arch::id_register(7, 0) & 0xf,
        vmid_bits: arch::id_register(7, 1) >> 4 & 0xf,
        interrupts,
        seed: &seed,
        epoch,
    };
    let hypervisor = match hypervisor::boot(&mut hardware, &input) {
        Ok(hypervisor) => hypervisor,
        Err(error) => give_up(format_args!("{error}")),
    };
    hardware.set_traps(trap_registers(&hypervisor.trap_controls(&host)));
    arch::enable_spi(interrupts.console, started.cpu);
    start_others(&mut hardware, hypervisor, &board, started.cpu);
    let cpu = hardware.start_role(Cpu::new(started.cpu, hypervisor));
    run(cpu, &mut hardware)
}

fn secondary(cpu: &mut Cpu, hardware: &mut ThisCpu) -> ! {
    run(cpu, hardware)
}

fn run(cpu: &mut Cpu, hardware: &mut ThisCpu) -> ! {
    let frame = cpu.first(hardware);
    arch::enter_guest(frame, cpu.draw_key())
}

fn start_others(
    hardware: &mut ThisCpu,
    hypervisor: &'static Hypervisor,
    board: &Board,
    first: CpuId,
) {
    for cpu in board.cpus.iter().filter(|cpu| cpu.id != first) {
        let role = Cpu::new(cpu.id, hypervisor);
        if let Err(code) = hardware.start_cpu(cpu.id, cpu.mpidr, role) {
            give_up(format_args!(
                "the firmware does not start CPU {}: error {code}",
                cpu.id
            ));
        }
    }
}

/// Refuses an archive that is no RAM, or lies over something else: its bytes stay as they are only
/// if they are nobody else's.
fn check_archive(board: &Board, image: PaRange, device_tree: PaRange) {
    let Some(archive) = board.chosen.initrd else {
        give_up(format_args!(
            "no archive of guests: the boot loader passes it as the initial RAM disk (linux,initrd-start in /chosen)"
        ));
    };
    if !board.ram.iter().any(|bank| bank.contains_range(archive)) {
        give_up(format_args!(
            "the archive of guests at {archive} is not in RAM"
        ));
    }
    // The boot loader's own reservation of the archive is no overlap.
    for other in [image, device_tree] {
        if other.overlaps(archive) {
            give_up(format_args!(
                "the archive of guests at {archive} overlaps {other}"
            ));
        }
    }
}

/// Takes memory from the end of the largest free piece, in whole blocks.
fn choose_owned(usable: &[PaRange]) -> Option<PaRange> {
    let total: u64 = usable.iter().map(|range| range.size()).sum();
    let size = align_down((total / OWNED_PART).max(LEAST_OWNED), BLOCK_2M);
    let blocks = usable.iter().filter_map(|range| range.shrink_to(BLOCK_2M));
    let largest = blocks.max_by_key(|range| range.size())?;
    PaRange::new(largest.end().checked_sub(size)?, size)
        .ok()
        .filter(|owned| largest.contains_range(*owned) && owned.start() >= Pa::new(0))
}

fn interrupts(board: &Board) -> Interrupts {
    let maintenance = match board.maintenance_interrupt() {
        Ok(interrupt) => interrupt,
        Err(error) => give_up(format_args!("{error}")),
    };
    Interrupts {
        kick: arch::KICK,
        maintenance,
        hypervisor_timer: board.timers.hypervisor,
        virtual_timer: board.timers.virtual_timer,
        physical_timer: board.timers.physical,
        console: board.console.interrupt,
    }
}

fn host_id_registers() -> HostIdRegisters {
    HostIdRegisters::from_fn(|id| match (id.crn(), id.crm(), id.op2()) {
        (0, 0, 0) => arch::main_id(),
        (0, 0, 6) => arch::revision_id(),
        (0, crm, op2) => arch::id_register(crm, op2),
        // PMCR_EL0 is the only other one that is asked for.
        _ => arch::event_counter_control(),
    })
}

fn trap_registers(controls: &TrapControls) -> TrapRegisters {
    TrapRegisters {
        hcr: controls.hcr_el2,
        hcrx: controls.hcrx_el2,
        cptr: controls.cptr_el2,
        mdcr: controls.mdcr_el2,
        hstr: controls.hstr_el2,
        cnthctl: controls.cnthctl_el2,
        pointer_authentication: controls.pointer_authentication,
        deferred_errors: controls.deferred_errors,
        fine_grained: controls.fine_grained.map(|traps| {
            [
                traps.hfgrtr_el2,
                traps.hfgwtr_el2,
                traps.hfgitr_el2,
                traps.hdfgrtr_el2,
                traps.hdfgwtr_el2,
            ]
        }),
        fine_grained_2: controls.fine_grained_2,
        mpam: controls.mpam2_el2,
    }
}

/// Reads the machine's real-time clock. Without one, the time of day begins in 1970 with the counter.
fn epoch(hardware: &mut ThisCpu, board: &Board) -> u64 {
    board.rtc.map_or(0, |registers| {
        let seconds = hardware.read_rtc(registers);
        hypervisor::epoch(hardware, seconds)
    })
}

/// Gathers a seed for the guests' random numbers: from the CPU and from the firmware, never from a
/// counter.
fn seed(hardware: &mut ThisCpu, board: &Board) -> Vec<u8> {
    let mut seed = board.chosen.rng_seed.clone();
    for _ in 0..8 {
        if let Random::Bits(word) = hardware.random() {
            seed.extend(word.to_le_bytes());
        }
    }
    seed
}
