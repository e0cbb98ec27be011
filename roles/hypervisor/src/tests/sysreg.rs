//! Traps of system registers and of other instructions.

use super::bench::*;
use id_registers::{GuestFeatures, HostIdRegisters};
use trap::SysRegId;

fn bench() -> Bench {
    let mut bench = Bench::new(&[Guest::new("alpha", 1)], 1);
    bench.machines[0].world.el1.vbar_el1 = 0x4000_8000;
    bench
}

#[test]
fn c1_every_register_works_or_is_undefined() {
    let mut bench = bench();
    for pstate in [5, 0] {
        for bits in 0..=u16::MAX {
            for write in [None, Some(u64::from(bits) * 0x1_0001)] {
                let id = SysRegId::from_bits(bits);
                bench.frames[0].pc = 0x4000_0100;
                bench.frames[0].pstate = pstate;
                if bench.register(0, id, write).is_none() {
                    let el1 = &bench.machines[0].world.el1;
                    assert_eq!((el1.esr_el1, el1.elr_el1), (1 << 25, 0x4000_0100));
                    assert!([0x4000_8200, 0x4000_8400].contains(&bench.frames[0].pc));
                }
            }
            bench.machines[0].calls.clear();
        }
    }
    bench.settle();
    bench.check_rest();
}

#[test]
fn c3_id_registers_are_the_sanitised_ones_on_every_vcpu() {
    let mut bench = Bench::new(&[Guest::new("alpha", 2)], 2);
    bench.cpu_on(0, 1);
    let features = GuestFeatures::new(&HostIdRegisters::from_fn(|_| 0x1111_1111_1111_1112), 40);
    for id in HostIdRegisters::ids() {
        if let Some(expected) = features.read(id) {
            for cpu in 0..2 {
                assert_eq!(bench.register(cpu, id, None), Some(expected), "{id}");
            }
        }
    }
    bench.check_rest();
}

#[test]
fn a10_cache_maintenance_by_set_and_way_is_stepped_over() {
    let mut bench = bench();
    for id in [SysRegId::DC_ISW, SysRegId::DC_CSW, SysRegId::DC_CISW] {
        assert_eq!(bench.register(0, id, Some(0)), Some(0));
    }
    bench.check_rest();
}

#[test]
fn debug_registers_belong_to_the_vcpu() {
    const KDE: u64 = 1 << 13;
    let mut bench = Bench::new(&[Guest::new("alpha", 1), Guest::new("beta", 1)], 1);
    while bench.running(0) != Some(id(0, 0)) {
        let _ = bench.wfe(0);
    }
    let monitor = SysRegId::MDSCR_EL1;
    assert_eq!(bench.register(0, SysRegId::OSLSR_EL1, None), Some(0b1010));
    assert_eq!(bench.register(0, monitor, Some(KDE)), Some(KDE));
    assert_eq!(bench.machines[0].world.el1.mdscr_el1 & KDE, 0, "locked");
    let _ = bench.register(0, SysRegId::OSLAR_EL1, Some(0));
    assert_eq!(bench.machines[0].world.el1.mdscr_el1 & KDE, KDE, "unlocked");
    assert_eq!(bench.register(0, monitor, None), Some(KDE));
    // The other VM has its own, and the first one finds what it left.
    let _ = bench.wfe(0);
    assert_eq!(bench.running(0), Some(id(1, 0)));
    assert_eq!(bench.machines[0].world.el1.mdscr_el1 & KDE, 0);
    assert_eq!(bench.register(0, monitor, None), Some(0));
    assert_eq!(bench.register(0, SysRegId::OSLSR_EL1, None), Some(0b1010));
    let _ = bench.wfe(0);
    assert_eq!(bench.machines[0].world.el1.mdscr_el1 & KDE, KDE);
    assert_eq!(bench.register(0, SysRegId::OSLSR_EL1, None), Some(0b1000));
    bench.check_rest();
}

#[test]
fn c2_c4_classes_that_are_asked_for_to_hide_features_are_undefined() {
    for class in 0..0x40_u64 {
        // Those that do something, and that other tests are about.
        if [0x01, 0x07, 0x16, 0x17, 0x18, 0x20, 0x24, 0x2f].contains(&class) {
            continue;
        }
        for iss in [0, 0x155_5555, 0x1ff_ffff] {
            let mut bench = bench();
            bench.frames[0].pc = 0x4000_0100;
            let came = bench.trap(0, class << 26 | 1 << 25 | iss, 0, 0);
            assert_eq!(came, Came::Back);
            let el1 = &bench.machines[0].world.el1;
            assert_eq!(el1.esr_el1, 1 << 25, "class {class:#x}");
            assert_eq!(el1.elr_el1, 0x4000_0100);
            assert_eq!(bench.frames[0].pc, 0x4000_8200);
            bench.check_rest();
        }
    }
}

#[test]
fn wfi_in_all_its_forms_is_stepped_over() {
    for kind in 0..4 {
        let mut bench = bench();
        bench.enable_interrupts(0);
        bench.send_sgi(0, 1, 0);
        bench.frames[0].pc = 0x4000_0100;
        let came = bench.trap(0, 0x01 << 26 | 1 << 25 | kind, 0, 0);
        assert_eq!(came, Came::Back);
        assert_eq!(bench.frames[0].pc, 0x4000_0104);
        bench.check_rest();
    }
}
