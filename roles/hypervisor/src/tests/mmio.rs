//! Accesses to memory that stage 2 does not map.

use super::bench::*;
use addr::Width;
use bulkhead_core::vcpu_state::VcpuState;

const ISV: u64 = 1 << 24;
const SF: u64 = 1 << 15;
const IL: u64 = 1 << 25;
/// A data abort from a lower level with a translation fault at level 3.
const TRANSLATION: u64 = 0x24 << 26 | IL | 7;
/// A synchronous external abort, taken from EL1 to EL1.
const EXTERNAL: u64 = 0x25 << 26 | IL | 0x10;
const WNR: u64 = 1 << 6;

fn bench() -> Bench {
    Bench::new(&[Guest::new("alpha", 2)], 2)
}

/// The SGI frame of a vCPU's redistributor.
fn sgi_frame(vcpu: u64) -> u64 {
    0x080a_0000 + vcpu * 0x2_0000 + 0x1_0000
}

#[test]
fn a1_a2_where_nothing_is_the_guest_gets_an_external_abort() {
    let mut bench = bench();
    bench.machines[0].world.el1.vbar_el1 = 0x4000_8000;
    for ipa in [
        0,
        0x07ff_fffc,
        0x0801_0000,
        0x080e_0000, // behind the second redistributor
        0x0900_1000,
        0x0901_1000, // behind the clock
        0x090d_0008,
        0x0a00_0000, // nor a virtio device
        0x4040_0000, // behind the memory
        0x8000_0000,
        1 << 39,
        1 << 40, // beyond the address space
        0xf_ffff_ffff_f000,
    ] {
        for width in Width::ALL {
            for write in [None, Some(0x1234)] {
                let pc = bench.frames[0].pc;
                bench.frames[0].pstate = 0x8000_0005;
                let came = bench.access(0, ipa, width, write);
                let expected = EXTERNAL | if write.is_some() { WNR } else { 0 };
                assert_eq!(came, Access::Abort(expected), "{ipa:#x} {width:?}");
                let el1 = bench.machines[0].world.el1;
                assert_eq!(el1.elr_el1, pc);
                assert_eq!(el1.far_el1, ipa | 0xffff << 48);
                assert_eq!(el1.spsr_el1, 0x8000_0005);
                assert_eq!(bench.frames[0].pstate & 0x3cf, 0x3c5, "masked, at EL1");
            }
        }
    }
    bench.check_rest();
}

#[test]
fn a8_accesses_that_the_syndrome_does_not_describe_abort_even_at_devices() {
    let mut bench = bench();
    for (what, esr) in [
        ("no ISV", TRANSLATION),
        ("a stage 1 walk", TRANSLATION | ISV | 1 << 7),
        ("cache maintenance", TRANSLATION | ISV | 1 << 8 | WNR),
        ("an external abort", 0x24 << 26 | IL | ISV | 0x10),
        ("an alignment fault", 0x24 << 26 | IL | ISV | 0x21),
        ("a permission fault", 0x24 << 26 | IL | ISV | 0xf),
        ("an unknown fault", 0x24 << 26 | IL | ISV | 0x3f),
    ] {
        for ipa in [0x0800_0000, 0x080a_0000, 0x0900_0000, 0x090d_0000] {
            let came = bench.abort(0, esr, ipa);
            assert!(matches!(came, Access::Abort(_)), "{what}: {came:?}");
        }
    }
    bench.check_rest();
}

#[test]
fn b1_b2_b5_every_register_is_accessed_in_every_way_and_the_hypervisor_lives() {
    let mut bench = Bench::new(&[Guest::new("alpha", 2), Guest::new("beta", 1)], 3);
    let cpu = bench.cpu_of(0, 0);
    let frames = [
        (0x0800_0000, 0x1_0000_u64, 0xf4),
        (0x080a_0000, 0x4_0000, 0x1f4),
        (0x0900_0000, 0x1000, 1),
    ];
    for (base, size, step) in frames {
        for offset in (0..size).step_by(step) {
            for width in Width::ALL {
                for write in [None, Some(0), Some(0xa5a5_a5a5_a5a5_a5a5)] {
                    let _ = bench.access(cpu, base + offset, width, write);
                }
            }
        }
        let _ = bench.machines[cpu].take_calls();
        bench.settle();
    }
    bench.check_rest();
    assert_eq!(bench.alive(0), 1);
}

#[test]
fn b3_an_access_across_the_end_of_a_device_aborts() {
    let mut bench = bench();
    for (ipa, width) in [
        (0x0800_fffc, Width::Double),
        (0x080d_fffc, Width::Double),
        (0x0900_0ffc, Width::Double),
        (0x0900_0fff, Width::Half),
        (0x090d_0001, Width::Half),
        (0x090d_0000, Width::Word),
    ] {
        for write in [None, Some(1)] {
            let came = bench.access(0, ipa, width, write);
            assert!(
                matches!(came, Access::Abort(_)),
                "{ipa:#x} {width:?} {came:?}"
            );
        }
    }
    assert_eq!(bench.alive(0), 1, "no store reached the panic notifier");
    bench.check_rest();
}

#[test]
fn b4_loads_are_extended_and_the_zero_register_swallows_them() {
    let mut bench = bench();
    // UARTPCellID3 is 0xb1.
    const ID: u64 = 0x0900_0ffc;
    const SSE: u64 = 1 << 21;
    for (flags, expected) in [
        (SF, 0xb1),
        (SSE, 0xffff_ffb1),
        (SSE | SF, 0xffff_ffff_ffff_ffb1),
        (0, 0xb1),
    ] {
        bench.frames[0].x[9] = u64::MAX;
        let came = bench.abort(0, TRANSLATION | ISV | 9 << 16 | flags, ID);
        assert_eq!(came, Access::Done(expected), "{flags:#x}");
    }
    let before = bench.frames[0].x;
    let _ = bench.abort(0, TRANSLATION | ISV | 31 << 16 | SF, ID);
    assert_eq!(bench.frames[0].x, before);
    // A store of XZR to the transmitter sends a 0.
    let _ = bench.output();
    let _ = bench.abort(0, TRANSLATION | ISV | 31 << 16 | WNR, 0x0900_0000);
    assert_eq!(bench.output(), "\0");
    bench.check_rest();
}

#[test]
fn b6_a_t32_instruction_of_two_bytes_is_stepped_over_by_two() {
    let mut bench = bench();
    bench.frames[0].pc = 0x4000_1000;
    // AArch32 EL0, T32.
    bench.frames[0].pstate = 0x30;
    let esr = 0x24 << 26 | ISV | 7;
    assert_eq!(bench.trap(0, esr, 0xffc, 0x9000 << 4), Came::Back);
    assert_eq!(bench.frames[0].pc, 0x4000_1002);
    assert_eq!(bench.frames[0].x[0], 0xb1);
    bench.check_rest();
}

#[test]
fn a_fetch_from_nowhere_is_an_external_abort() {
    let mut bench = bench();
    bench.machines[0].world.el1.vbar_el1 = 0x4000_8000;
    bench.frames[0].pc = 0x0900_0000;
    let came = bench.trap(0, 0x20 << 26 | IL | 7, 0x0900_0000, 0x9000 << 4);
    assert_eq!(came, Came::Back);
    let el1 = bench.machines[0].world.el1;
    assert_eq!(el1.esr_el1, 0x21 << 26 | IL | 0x10);
    assert_eq!((el1.elr_el1, el1.far_el1), (0x0900_0000, 0x0900_0000));
    assert_eq!(bench.frames[0].pc, 0x4000_8200);
    // From EL0 the vector and the class are others.
    bench.frames[0].pc = 0x0900_0000;
    bench.frames[0].pstate = 0;
    let _ = bench.trap(0, 0x20 << 26 | IL | 7, 0x0900_0000, 0x9000 << 4);
    assert_eq!(bench.machines[0].world.el1.esr_el1, 0x20 << 26 | IL | 0x10);
    assert_eq!(bench.frames[0].pc, 0x4000_8400);
    bench.check_rest();
}

#[test]
fn a9_what_is_mapped_by_now_is_tried_again() {
    // A translation fault in RAM, as while another CPU splits the block around it.
    let mut bench = bench();
    let ram = 0x4000_1000;
    for class in [0x20, 0x24] {
        bench.frames[0].pc = ram;
        let came = bench.trap(0, class << 26 | IL | 7, ram, ram >> 12 << 4);
        assert_eq!(came, Came::Back);
        assert_eq!(bench.frames[0].pc, ram, "{class:#x}");
        assert_eq!(bench.machines[0].world.el1.esr_el1, 0, "{class:#x}");
    }
    // On a walk of the guest's own tables, the address is not what was accessed.
    let _ = bench.trap(0, 0x20 << 26 | IL | 1 << 7 | 7, ram, ram >> 12 << 4);
    assert_ne!(bench.machines[0].world.el1.esr_el1, 0);
    bench.check_rest();
}

#[test]
fn devices_answer() {
    let mut bench = bench();
    assert_eq!(bench.read(0, 0x0800_0000), 0x50, "GICD_CTLR: DS and ARE");
    let typer = |vcpu: u64| 0x080a_0008 + vcpu * 0x2_0000;
    for vcpu in 0..2 {
        match bench.access(0, typer(vcpu), Width::Double, None) {
            Access::Done(value) => {
                assert_eq!(value >> 32, vcpu, "the affinity");
                assert_eq!(value >> 4 & 1, vcpu, "the last one");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(bench.read(0, 0x0900_0fe0), 0x11, "UARTPeriphID0");
    let events = bench.access(0, 0x090d_0000, Width::Byte, None);
    assert_eq!(
        events,
        Access::Done(3),
        "pvpanic knows panics and crash kernels"
    );
    // The start of a crash kernel is no panic.
    let loaded = bench.access(0, 0x090d_0000, Width::Byte, Some(2));
    assert_eq!(loaded, Access::Done(2));
    bench.check_rest();
}

#[test]
fn a_resting_vcpus_redistributor_is_accessed_in_place() {
    let mut bench = bench();
    let enable = sgi_frame(1) + 0x100;
    bench.write(0, enable, 0xff);
    assert_eq!(bench.read(0, enable), 0xff);
    assert_eq!(bench.state(0, 1), VcpuState::Off);
    bench.check_rest();
}

#[test]
fn a_running_vcpus_redistributor_is_accessed_by_its_own_cpu() {
    let mut bench = bench();
    bench.cpu_on(0, 1);
    let other = bench.cpu_of(0, 1);
    bench.enable_interrupts(other);
    let enable = sgi_frame(1) + 0x100;
    let load = |bench: &mut Bench| bench.access(0, enable, Width::Word, None);
    assert_eq!(load(&mut bench), Access::Again);
    assert_eq!(
        load(&mut bench),
        Access::Again,
        "the owner did not look yet"
    );
    assert!(bench.machines[other].gic.pending.contains(&KICK));
    bench.settle();
    assert_eq!(load(&mut bench), Access::Done(0xffff_ffff));
    // A store: an SGI that the owner then has.
    let pend = sgi_frame(1) + 0x200;
    let store = |bench: &mut Bench| bench.access(0, pend, Width::Word, Some(1 << 7));
    assert_eq!(store(&mut bench), Access::Again);
    bench.settle();
    assert_eq!(bench.take_interrupts(other), [7]);
    assert!(matches!(store(&mut bench), Access::Done(_)));
    bench.settle();
    assert!(bench.take_interrupts(other).is_empty());
    bench.check_rest();
}

#[test]
fn a_store_to_a_sleeping_vcpus_redistributor_wakes_it() {
    let mut bench = bench();
    bench.enable_interrupts(0);
    bench.cpu_on(0, 1);
    let other = bench.cpu_of(0, 1);
    bench.enable_interrupts(other);
    assert_eq!(bench.wfi(other), Came::Idle);
    bench.write(0, sgi_frame(1) + 0x200, 1 << 7);
    bench.settle();
    bench.check_rest();
    assert_eq!(bench.running(other), Some(id(0, 1)));
    assert_eq!(bench.take_interrupts(other), [7]);
}

#[test]
fn a_store_that_the_owner_has_carried_out_is_not_repeated_when_it_rests() {
    let mut bench = bench();
    bench.cpu_on(0, 1);
    let other = bench.cpu_of(0, 1);
    bench.enable_interrupts(other);
    let store = |bench: &mut Bench| {
        let pend = sgi_frame(1) + 0x200;
        bench.access(0, pend, Width::Word, Some(1 << 7))
    };
    assert_eq!(store(&mut bench), Access::Again);
    bench.settle();
    assert_eq!(bench.take_interrupts(other), [7]);
    assert_eq!(bench.wfi(other), Came::Idle);
    assert!(matches!(store(&mut bench), Access::Done(_)));
    bench.settle();
    assert_eq!(bench.state(0, 1), VcpuState::Waiting, "nothing is pending");
    bench.check_rest();
}

#[test]
fn two_vcpus_that_access_a_third_ones_redistributor_both_get_there() {
    let mut bench = Bench::new(&[Guest::new("alpha", 3)], 3);
    bench.cpu_on(0, 1);
    bench.cpu_on(0, 2);
    let askers = [bench.cpu_of(0, 0), bench.cpu_of(0, 1)];
    let enable = sgi_frame(2) + 0x100;
    let mut done = [false; 2];
    for _ in 0..10 {
        for (place, cpu) in askers.into_iter().enumerate() {
            if !done[place] {
                done[place] = bench.access(cpu, enable, Width::Word, None) == Access::Done(0);
            }
        }
        bench.settle();
    }
    assert_eq!(done, [true; 2]);
    bench.check_rest();
}

#[test]
fn an_order_to_another_redistributor_does_not_outlive_a_reset() {
    let mut bench = bench();
    bench.cpu_on(0, 1);
    let again = bench.access(0, sgi_frame(1) + 0x100, Width::Word, None);
    assert_eq!(again, Access::Again);
    let _ = bench.hvc(0, &[0x8400_0009]);
    bench.settle();
    assert!(bench.vm(0).places[1].remote.lock().is_none());
    bench.check_rest();
}

#[test]
fn a_read_of_what_another_vcpu_holds_waits_for_it() {
    let mut bench = bench();
    bench.enable_interrupts(0);
    bench.cpu_on(0, 1);
    let other = bench.cpu_of(0, 1);
    bench.enable_interrupts(other);
    bench.write(0, 0x0800_0084, 1 << 8);
    bench.write(0, 0x0800_0104, 1 << 8);
    let route = bench.access(0, 0x0800_6140, Width::Double, Some(1));
    assert!(matches!(route, Access::Done(_)));
    bench.write(0, 0x0800_0204, 1 << 8);
    bench.settle();
    assert_eq!(bench.acknowledge(other), [40]);
    let active = |bench: &mut Bench| bench.access(0, 0x0800_0304, Width::Word, None);
    assert_eq!(active(&mut bench), Access::Again);
    bench.settle();
    assert_eq!(active(&mut bench), Access::Done(1 << 8));
    bench.end(other);
    assert_eq!(active(&mut bench), Access::Again);
    bench.settle();
    assert_eq!(active(&mut bench), Access::Done(0));
    bench.check_rest();
}
