//! Hypercalls: which exist, and what they leave alone.

use super::bench::*;
use machine::Conduit;

const NOT_SUPPORTED: i64 = -1;

fn bench() -> Bench {
    Bench::new(&[Guest::new("alpha", 2)], 2)
}

#[test]
fn queries_answer_what_the_vm_has() {
    let mut bench = bench();
    // (x0, x1), x0 of the answer.
    for (function, argument, answer) in [
        (0x8000_0000_u64, 0_u64, 0x1_0002), // SMCCC_VERSION: 1.2
        (0x8400_0000, 0, 0x1_0001),         // PSCI_VERSION: 1.1
        (0x8400_0006, 0, 2),                // MIGRATE_INFO_TYPE: no trusted OS
        (0x8400_000a, 0x8400_0000, 0),      // PSCI_FEATURES of …
        (0x8400_000a, 0x8400_0002, 0),
        (0x8400_000a, 0xc400_0003, 0),
        (0x8400_000a, 0x8400_0008, 0),
        (0x8400_000a, 0xc400_0012, 0),
        (0x8400_000a, 0x8400_0005, NOT_SUPPORTED), // MIGRATE
        (0x8400_000a, 0x1234_5678, NOT_SUPPORTED),
    ] {
        assert_eq!(
            bench.call(0, &[function, argument]),
            answer,
            "{function:#x} {argument:#x}"
        );
    }
    // TRNG_VERSION: there is a seed, so there are random numbers.
    assert_eq!(bench.call(0, &[0x8400_0050]), 0x1_0000);
    bench.check_rest();
}

#[test]
fn c6_unknown_functions_of_every_owner_are_not_supported_and_leave_x4_to_x17() {
    let mut bench = bench();
    for conduit in [
        Conduit::Hvc { immediate: 0 },
        Conduit::Smc { immediate: 0 },
        Conduit::Hvc { immediate: 1 },
        Conduit::Smc { immediate: 0xffff },
    ] {
        for owner in 0..0x40_u64 {
            for convention in [0x8000_0000_u64, 0xc000_0000, 0, 0x4000_0000] {
                let mut arguments = [0; 31];
                for (place, register) in (0..).zip(&mut arguments) {
                    *register = 0xaaaa_0000_0000_0000 | place;
                }
                arguments[0] = convention | owner << 24 | 0x7abc;
                assert_eq!(bench.conduit(0, conduit, &arguments), Came::Back);
                let frame = &bench.frames[0];
                assert_eq!(frame.x[0].cast_signed(), NOT_SUPPORTED, "{arguments:x?}");
                assert_eq!(frame.x[4..], arguments[4..], "{conduit:?} {owner:#x}");
            }
        }
    }
    bench.check_rest();
}

#[test]
fn c6_a_known_function_with_an_immediate_is_unknown() {
    let mut bench = bench();
    for function in [
        0x8000_0000,
        0x8400_0000,
        0x8400_0002,
        0x8400_0008,
        0x8400_0009,
    ] {
        let conduit = Conduit::Hvc { immediate: 1 };
        assert_eq!(bench.conduit(0, conduit, &[function]), Came::Back);
        assert_eq!(bench.frames[0].x[0].cast_signed(), NOT_SUPPORTED);
    }
    bench.check_rest();
}

#[test]
fn c6_the_top_half_of_the_function_and_of_32_bit_arguments_means_nothing() {
    const DIRTY: u64 = 0xdead_beef << 32;
    let mut bench = bench();
    assert_eq!(bench.call(0, &[DIRTY | 0x8400_0000]), 0x1_0001);
    assert_eq!(bench.call(0, &[DIRTY | 0x8000_0000]), 0x1_0002);
    // AFFINITY_INFO of vCPU 1: off.
    assert_eq!(bench.call(0, &[DIRTY | 0x8400_0004, DIRTY | 1, DIRTY]), 1);
    // The 64-bit one is given what is no affinity.
    assert_eq!(bench.call(0, &[DIRTY | 0xc400_0004, DIRTY | 1, 0]), -2);
    let entry = bench.entry(0);
    let on = [DIRTY | 0x8400_0003, DIRTY | 1, DIRTY | entry, DIRTY | 0x77];
    assert_eq!(bench.call(0, &on), 0);
    bench.settle();
    let cpu = bench.cpu_of(0, 1);
    assert_eq!(bench.frames[cpu].pc, entry);
    assert_eq!(bench.frames[cpu].x[0], 0x77);
    bench.check_rest();
}
