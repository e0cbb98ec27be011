//! Starting the other CPUs.

use crate::machine::{MAX_CPUS, affinity};
use crate::{psci, timer};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What another CPU runs; it gets its index.
pub type Work = fn(index: usize);

static WORK: [AtomicUsize; MAX_CPUS] = [const { AtomicUsize::new(0) }; MAX_CPUS];
static DONE: [AtomicBool; MAX_CPUS] = [const { AtomicBool::new(false) }; MAX_CPUS];

/// How long another CPU may take for its work, in milliseconds.
const PATIENCE: u64 = 20_000;

/// Returns the address at which other CPUs enter.
pub fn entry_address() -> u64 {
    unsafe extern "C" {
        static secondary_entry: u8;
    }
    (&raw const secondary_entry).addr() as u64
}

/// Says what CPU `index` runs when it is turned on, with its index as the context.
pub fn prepare(index: usize, work: Work) {
    DONE[index].store(false, Ordering::SeqCst);
    WORK[index].store(work as usize, Ordering::SeqCst);
}

/// Turns CPU `index` on to run `work`, and then turn itself off.
pub fn start(index: usize, work: Work) {
    prepare(index, work);
    let arguments = [affinity(index), entry_address(), index as u64];
    let result = psci::call(psci::CPU_ON, arguments);
    assert_eq!(result, psci::SUCCESS, "CPU_ON of CPU {index}");
}

/// Waits until CPU `index` has done its work and is off.
pub fn join(index: usize) {
    let done = timer::wait_until(PATIENCE, || DONE[index].load(Ordering::SeqCst));
    assert!(done, "CPU {index} does not finish its work");
    let off = timer::wait_until(PATIENCE, || {
        psci::call(psci::AFFINITY_INFO, [affinity(index), 0, 0]) == psci::AFFINITY_OFF
    });
    assert!(off, "CPU {index} does not turn off");
}

/// Runs what was asked of CPU `index`, which runs this.
pub fn run(index: usize) {
    let work = WORK[index].load(Ordering::SeqCst);
    // SAFETY: only `start` stores here, and what it stores is a `Work`.
    let work: Work = unsafe { core::mem::transmute(work) };
    work(index);
    DONE[index].store(true, Ordering::SeqCst);
}
