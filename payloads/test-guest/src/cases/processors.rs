//! More than one CPU.

use crate::console::say;
use crate::machine::{affinity, cpu_count, this_cpu};
use crate::registers::read;
use crate::{psci, smp};

/// The affinity fields of MPIDR_EL1.
const AFFINITY_MASK: u64 = 0xff_00ff_ffff;

/// Starts each other CPU twice; it says hello, one at a time.
pub(crate) fn smp_hello() {
    assert!(cpu_count() >= 2, "this case needs two CPUs");
    check_identity(0);
    for _ in 0..2 {
        for cpu in 1..cpu_count() {
            let info = psci::call(psci::AFFINITY_INFO, [affinity(cpu), 0, 0]);
            assert_eq!(info, psci::AFFINITY_OFF, "AFFINITY_INFO of CPU {cpu}");
            smp::start(cpu, |cpu| {
                check_identity(cpu);
                let own = affinity(cpu);
                let info = psci::call(psci::AFFINITY_INFO, [own, 0, 0]);
                assert_eq!(info, psci::AFFINITY_ON, "AFFINITY_INFO of CPU {cpu}");
                say!("hello from CPU {cpu}");
            });
            smp::join(cpu);
        }
    }
}

fn check_identity(cpu: usize) {
    assert_eq!(this_cpu(), cpu);
    let mpidr = read!("mpidr_el1") & AFFINITY_MASK;
    assert_eq!(mpidr, affinity(cpu), "MPIDR_EL1 of CPU {cpu}");
    let level = read!("currentel") >> 2 & 3;
    assert_eq!(level, 1, "exception level of CPU {cpu}");
}
