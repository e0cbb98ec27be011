//! As much of an image's wiring as a CPU needs that has its own stack and the final tables.

extern crate alloc;

use crate::faults::Fault;
use addr::{Address, BLOCK_2M, PaRange};
use alloc::boxed::Box;
use alloc::vec::Vec;
use arch::{Boot, Firmware, Resources, ThisCpu, give_up};
use board::{Board, Conduit, usable_ram};
use machine::{ExitHandler, Frame, Next, Short, Syndrome};

arch::image!(role: Nothing, primary: primary, secondary: secondary);

/// What the image takes for itself, in bytes.
const OWNED: u64 = 16 << 20;

/// A role without guests, so that no exit ever comes.
struct Nothing(Fault);

impl ExitHandler<ThisCpu> for Nothing {
    fn call(&mut self, _: &mut ThisCpu, _: &mut Frame, _: machine::Conduit) -> Next {
        Next::Resume
    }
    fn interrupt(&mut self, _: &mut ThisCpu) -> Next {
        Next::Resume
    }
    fn trap(&mut self, _: &mut ThisCpu, _: &mut Box<Frame>, _: &Syndrome) {}
    fn register(&mut self, _: &mut ThisCpu, _: &mut Frame, _: u64) -> Short {
        Short::Refused
    }
    fn access(&mut self, _: &mut ThisCpu, _: &mut Frame, _: &Syndrome) -> Short {
        Short::Refused
    }
    fn system_error(&mut self, _: &mut ThisCpu, _: &mut Box<Frame>, _: &Syndrome) {}
    fn full(&mut self, _: &mut ThisCpu, _: &mut Box<Frame>) {}
}

fn primary(boot: Boot) -> ! {
    let tree = boot.device_tree();
    let board = match Board::discover(tree) {
        Ok(board) => board,
        Err(error) => give_up(format_args!("the device tree cannot be used: {error}")),
    };
    boot.start_console(board.console.registers);
    let Some(fault) = Fault::named_in(&board.chosen.bootargs) else {
        give_up(format_args!(
            "no fault is named by {:?}",
            board.chosen.bootargs
        ));
    };
    let ranges = boot.image_range().zip(boot.device_tree_range());
    let Some((usable, owned)) = ranges.and_then(|(image, device_tree)| {
        let usable = usable_ram(&board, image, device_tree);
        let owned = owned(&usable)?;
        Some((usable, owned))
    }) else {
        give_up(format_args!("no free RAM"));
    };
    let Ok(maintenance) = board.maintenance_interrupt() else {
        give_up(format_args!("no maintenance interrupt"));
    };
    let mpidrs: Vec<_> = board.cpus.iter().map(|cpu| cpu.mpidr).collect();
    let mut started = boot.start(&Resources {
        guest_ram: &usable,
        owned,
        archive: None,
        distributor: board.gic.distributor,
        redistributors: &board.gic.redistributor_regions,
        redistributor_stride: board.gic.redistributor_stride,
        private_interrupts: [
            maintenance,
            board.timers.hypervisor,
            board.timers.virtual_timer,
            board.timers.physical,
        ],
        cpus: &mpidrs,
        firmware: match board.psci.conduit {
            Conduit::Smc => Firmware::Smc,
            Conduit::Hvc => Firmware::Hvc,
        },
    });
    let Some(other) = board.cpus.iter().find(|cpu| cpu.id != started.cpu) else {
        give_up(format_args!("this image needs a second CPU"));
    };
    let role = Box::new(Nothing(fault));
    if let Err(code) = started.hardware.start_cpu(other.id, other.mpidr, role) {
        give_up(format_args!(
            "the firmware does not start the second CPU: error {code}"
        ));
    }
    loop {
        core::hint::spin_loop();
    }
}

fn secondary(role: &mut Nothing, _: &mut ThisCpu) -> ! {
    role.0.commit()
}

/// Takes memory from the end of the largest free piece.
fn owned(usable: &[PaRange]) -> Option<PaRange> {
    let blocks = usable.iter().filter_map(|range| range.shrink_to(BLOCK_2M));
    let largest = blocks.max_by_key(|range| range.size())?;
    PaRange::new(largest.end().checked_sub(OWNED)?, OWNED).ok()
}
