//! Whatever guests do, in whatever order their CPUs do it.

use super::bench::*;
use addr::{IntId, Width};
use alloc::vec;
use alloc::vec::Vec;
use machine::{Conduit, PhysicalTimer};
use proptest::prelude::*;
use trap::SysRegId;

/// What one guest does, or what happens to one CPU.
#[derive(Clone, Debug)]
enum Step {
    Call {
        function: u64,
        arguments: [u64; 3],
    },
    AnyCall {
        conduit: Conduit,
        function: u64,
    },
    Access {
        ipa: u64,
        width: Width,
        write: Option<u64>,
    },
    Trap {
        esr: u64,
        far: u64,
        hpfar: u64,
    },
    Register {
        bits: u16,
        write: Option<u64>,
    },
    SendSgi {
        value: u64,
    },
    Enable,
    Timer {
        control: u64,
        after: u64,
    },
    PhysicalTimer {
        control: u64,
        after: u32,
    },
    Wfi,
    Wfe,
    FloatingPoint,
    Acknowledge,
    End,
    Mask {
        machine_control: u32,
    },
    /// The CPU takes one pending interrupt.
    Interrupt,
    Stray {
        id: u32,
    },
    Type {
        byte: u8,
    },
    Advance {
        ticks: u64,
    },
    /// Everything comes to rest.
    Settle,
}

fn calls() -> impl Strategy<Value = Step> {
    let function = prop_oneof![
        8 => Just(0xc400_0003_u64), // CPU_ON
        3 => Just(0x8400_0002),     // CPU_OFF
        3 => Just(0xc400_0001),     // CPU_SUSPEND
        2 => Just(0xc400_000e),     // SYSTEM_SUSPEND
        2 => Just(0xc400_0004),     // AFFINITY_INFO
        1 => Just(0x8400_0009),     // SYSTEM_RESET
        1 => Just(0xc400_0012),     // SYSTEM_RESET2
        1 => prop_oneof![
            6 => Just(0x8400_0000_u64),
            1 => Just(0x8400_0008), // SYSTEM_OFF
        ],
    ];
    let anything = prop_oneof![
        3 => 0_u64..3,
        1 => (0..32_u32).prop_map(|bit| 1 << bit),
        1 => any::<u64>(),
    ];
    let arguments = [anything.clone(), anything.clone(), anything];
    (function, arguments, prop::bool::weighted(0.8)).prop_map(|(function, any, good)| {
        const ENTRY: u64 = 0x4000_0000;
        let arguments = match function {
            0xc400_0003 if good => [any[0] & 1, ENTRY, any[2]],
            0xc400_0001 if good => [1 << 16, ENTRY, any[2]],
            0xc400_000e if good => [ENTRY, any[1], 0],
            0xc400_0012 if good => [0; 3],
            _ => any,
        };
        Step::Call {
            function,
            arguments,
        }
    })
}

fn accesses() -> impl Strategy<Value = Step> {
    let ipa = prop_oneof![
        2 => 0x0800_0000_u64..0x0800_0e00,
        1 => 0x0800_6000_u64..0x0800_6400,
        1 => 0x080a_0000_u64..0x080e_0000,
        // The registers of both SGI frames that say what is enabled, pending and active.
        6 => (0_u64..2, 0_u64..10).prop_map(|(vcpu, register)| {
            0x080b_0080 + vcpu * 0x2_0000 + register * 0x80
        }),
        2 => (0_u64..16).prop_map(|register| 0x0900_0000 + register * 4),
        1 => any::<u64>(),
    ];
    let value = prop_oneof![Just(0_u64), Just(u64::MAX), any::<u64>(), 0_u64..4];
    let width = prop_oneof![
        5 => Just(Width::Word),
        1 => prop::sample::select(&Width::ALL[..]),
    ];
    (ipa, width, prop::option::of(value)).prop_map(|(ipa, width, write)| {
        // The panic notifier has its own test; here it would end most runs early.
        let ipa = if ipa >> 12 == 0x090d0 { 0 } else { ipa };
        Step::Access { ipa, width, write }
    })
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => calls(),
        8 => accesses(),
        1 => (any::<u16>(), any::<u32>(), any::<bool>()).prop_map(|(immediate, low, hvc)| {
            let conduit = if hvc {
                Conduit::Hvc { immediate: immediate & 1 }
            } else {
                Conduit::Smc { immediate: immediate & 1 }
            };
            // Not PSCI's: those end VMs, and have their own weights.
            Step::AnyCall { conduit, function: u64::from(low) | 1 << 16 }
        }),
        1 => (any::<u32>(), any::<u64>(), any::<u64>()).prop_map(|(esr, far, hpfar)| {
            // No crash on purpose: that is SError, and an abort of a fetch at the vector.
            let class = esr >> 26;
            let esr = if class == 0x2f { esr & 0x03ff_ffff } else { esr };
            Step::Trap { esr: u64::from(esr), far, hpfar }
        }),
        2 => (any::<u16>(), prop::option::of(any::<u64>()))
            .prop_map(|(bits, write)| Step::Register { bits, write }),
        6 => (0_u64..16, 0_u64..4, prop::bool::weighted(0.1)).prop_map(|(id, targets, others)| {
            Step::SendSgi { value: id << 24 | targets | u64::from(others) << 40 }
        }),
        4 => Just(Step::Enable),
        4 => (0_u64..4, 0_u64..1_000_000).prop_map(|(control, after)| Step::Timer { control, after }),
        3 => (0_u64..4, 0_u32..1_000_000)
            .prop_map(|(control, after)| Step::PhysicalTimer { control, after }),
        6 => Just(Step::Wfi),
        2 => Just(Step::Wfe),
        2 => Just(Step::FloatingPoint),
        6 => Just(Step::Acknowledge),
        6 => Just(Step::End),
        1 => any::<u8>().prop_map(|mask| Step::Mask {
            machine_control: u32::from(mask) << 24 | u32::from(mask & 3),
        }),
        20 => Just(Step::Interrupt),
        1 => prop::sample::select(&[15_u32, 25, 33, 40, 1019][..]).prop_map(|id| Step::Stray { id }),
        1 => any::<u8>().prop_map(|byte| Step::Type { byte }),
        4 => (0_u64..400_000).prop_map(|ticks| Step::Advance { ticks }),
        1 => Just(Step::Settle),
    ]
}

/// Takes a step on a CPU. What guests do is left out where none runs.
fn take(bench: &mut Bench, cpu: usize, step: &Step) {
    match step {
        Step::Interrupt => {
            let _ = bench.interrupt(cpu);
        }
        Step::Stray { id } => bench.raise(cpu, IntId::new(*id)),
        Step::Type { byte } => {
            bench.machines[0].console.input.push_back(*byte);
            bench.raise(0, CONSOLE);
        }
        Step::Advance { ticks } => bench.advance(*ticks),
        Step::Settle => rest(bench),
        _ if bench.idle[cpu] => {}
        guest => act(bench, cpu, guest),
    }
}

/// Lets everything come to rest. A vCPU that is ready ends when it has its turn, so that takes some
/// time slices.
fn rest(bench: &mut Bench) {
    bench.settle();
    for _ in 0..8 {
        bench.advance(400_000);
        bench.settle();
    }
    bench.check_rest();
}

fn act(bench: &mut Bench, cpu: usize, step: &Step) {
    match *step {
        Step::Call {
            function,
            arguments,
        } => {
            let [a, b, c] = arguments;
            let _ = bench.hvc(cpu, &[function, a, b, c]);
        }
        Step::AnyCall { conduit, function } => {
            let _ = bench.conduit(cpu, conduit, &[function]);
        }
        Step::Access { ipa, width, write } => {
            const ISV: u64 = 1 << 24 | 1 << 15 | 9 << 16;
            let size = u64::from(width.bytes().trailing_zeros()) << 22;
            let direction = u64::from(write.is_some()) << 6;
            bench.frames[cpu].x[9] = write.unwrap_or(0);
            let esr = 0x24 << 26 | 1 << 25 | ISV | size | direction | 7;
            let _ = bench.trap(cpu, esr, ipa, ipa >> 12 << 4);
        }
        Step::Trap { esr, far, hpfar } => {
            let _ = bench.trap(cpu, esr, far, hpfar);
        }
        Step::Register { bits, write } => {
            let _ = bench.register(cpu, SysRegId::from_bits(bits), write);
        }
        Step::SendSgi { value } => {
            let _ = bench.register(cpu, SysRegId::ICC_SGI1R_EL1, Some(value));
        }
        Step::Enable => bench.enable_interrupts(cpu),
        Step::Timer { control, after } => {
            let machine = &mut bench.machines[cpu];
            let offset = machine
                .world
                .control
                .map_or(0, |world| world.counter_offset);
            machine.timers.registers.cntv_ctl = control;
            machine.timers.registers.cntv_cval = machine.clock.now - offset + after;
            if machine.timers.physical_timer == PhysicalTimer::Native {
                machine.timers.registers.cntp_ctl = control ^ 1;
                machine.timers.registers.cntp_cval = machine.clock.now - offset + after;
            }
        }
        Step::PhysicalTimer { control, after } => {
            let value = SysRegId::CNTP_TVAL_EL0;
            let _ = bench.register(cpu, value, Some(u64::from(after)));
            if !bench.idle[cpu] {
                let _ = bench.register(cpu, SysRegId::CNTP_CTL_EL0, Some(control));
            }
        }
        Step::Wfi => drop(bench.wfi(cpu)),
        Step::Wfe => drop(bench.wfe(cpu)),
        Step::FloatingPoint => drop(bench.floating_point(cpu)),
        Step::Acknowledge => drop(bench.acknowledge(cpu)),
        Step::End => bench.end(cpu),
        Step::Mask { machine_control } => {
            bench.machines[cpu].interface.machine_control = machine_control;
        }
        Step::Interrupt
        | Step::Stray { .. }
        | Step::Type { .. }
        | Step::Advance { .. }
        | Step::Settle => {}
    }
}

/// How the machine is laid out.
fn layouts() -> impl Strategy<Value = (Vec<Guest>, u16, bool)> {
    let guests = |pins: [Option<[u16; 2]>; 2]| {
        let [alpha, beta] = pins;
        let guest = |name, pins: Option<[u16; 2]>| Guest {
            pins: pins.map(|pins| pins.to_vec()),
            ..Guest::new(name, 2)
        };
        vec![guest("alpha", alpha), guest("beta", beta)]
    };
    let pins = prop::sample::select(vec![
        ([None, None], 2),
        ([None, None], 1),
        ([None, None], 4),
        ([Some([0, 1]), None], 2),
        ([Some([0, 1]), Some([1, 0])], 2),
        ([Some([1, 1]), Some([0, 0])], 2),
    ]);
    (pins, any::<bool>()).prop_map(move |((pins, cpus), native)| (guests(pins), cpus, native))
}

/// Turns all vCPUs on, with their interrupts enabled.
fn turn_all_on(bench: &mut Bench) {
    for round in 0..40 {
        for cpu in 0..bench.cpus.len() {
            if let Some(vcpu) = bench.running(cpu) {
                bench.enable_interrupts(cpu);
                let other = u64::from(vcpu.index.get() ^ 1);
                let _ = bench.hvc(cpu, &[0xc400_0003, other, 0x4000_0000, 0]);
            }
        }
        if (bench.alive(0), bench.alive(1)) == (2, 2) && round > 4 {
            break;
        }
        bench.advance(400_000);
        bench.settle();
    }
    assert_eq!((bench.alive(0), bench.alive(1)), (2, 2));
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 128,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Whatever two guests do on any machine, after every exit each vCPU is in exactly one place and
    /// queue, what is counted is right, and no physical interrupt stays active for nobody. And once
    /// all has come to rest nobody sleeps through anything, and no VM is half ended.
    #[test]
    fn i5_no_stream_of_exits_breaks_the_invariants(
        (guests, cpus, native) in layouts(),
        all_on in any::<bool>(),
        steps in prop::collection::vec((0_usize..4, steps()), 1..150),
    ) {
        let mut bench = Bench::booted(&guests, cpus);
        if native {
            for machine in &mut bench.machines {
                machine.timers.physical_timer = PhysicalTimer::Native;
            }
        }
        bench.start();
        if all_on {
            turn_all_on(&mut bench);
        }
        for (cpu, step) in &steps {
            let cpu = cpu % bench.cpus.len();
            take(&mut bench, cpu, step);
            bench.check();
        }
        rest(&mut bench);
    }
}
