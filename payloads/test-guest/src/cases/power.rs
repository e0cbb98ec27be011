//! Life and death of a VM, and PSCI (DEN0022).

use crate::console::say;
use crate::machine::affinity;
use crate::psci::{self, Conduit};
use crate::{exceptions, smp, timer};

/// Turns the VM off.
pub(crate) fn hello() {
    say!("hello from EL1");
}

/// Resets the VM: prints the same again and again.
pub(crate) fn reset_loop() {
    say!("about to reset");
    psci::system_reset()
}

/// Prints a line a second, for the time that the test needs.
pub(crate) fn heartbeat() {
    for beat in 0..3600 {
        say!("heartbeat {beat}");
        timer::spin(1000);
    }
}

/// Never yields, never exits.
pub(crate) fn runaway() {
    say!("running away");
    // SAFETY: masks all interrupts and branches to itself, for ever.
    unsafe { core::arch::asm!("msr daifset, #0xf", "1: b 1b", options(noreturn)) };
}

/// Calls PSCI as an operating system does.
pub(crate) fn psci_calls() {
    let version = call(psci::VERSION, [0; 3]);
    assert!(version >= 0x1_0000, "PSCI_VERSION is {version:#x}");
    for function in [
        psci::VERSION,
        psci::CPU_ON,
        psci::CPU_OFF,
        psci::AFFINITY_INFO,
        psci::SYSTEM_OFF,
        psci::SYSTEM_RESET,
        psci::FEATURES,
    ] {
        let features = call(psci::FEATURES, [function, 0, 0]);
        assert_eq!(features, 0, "PSCI_FEATURES of {function:#x}");
    }
    for function in [0x8400_001f, 0xc400_001f, 0x8400_0000 | 0xffff] {
        let features = call(psci::FEATURES, [function, 0, 0]);
        assert_eq!(
            features,
            psci::NOT_SUPPORTED,
            "PSCI_FEATURES of {function:#x}"
        );
    }
    for function in [
        0x8400_001f,
        0xc400_001f,
        0x8600_ffff,
        0xc600_0000,
        0x8900_0000,
    ] {
        let result = call(function, [0; 3]);
        assert_eq!(result, psci::NOT_SUPPORTED, "function {function:#x}");
    }
    let own = affinity(0);
    let on = call(psci::AFFINITY_INFO, [own, 0, 0]);
    assert_eq!(on, psci::AFFINITY_ON, "AFFINITY_INFO of this CPU");
    let absent = call(psci::AFFINITY_INFO, [0x00ff_ff00, 0, 0]);
    assert_eq!(absent, psci::INVALID_PARAMETERS, "AFFINITY_INFO of no CPU");
    let entry = smp::entry_address();
    let twice = call(psci::CPU_ON, [own, entry, 0]);
    assert_eq!(twice, psci::ALREADY_ON, "CPU_ON of this CPU");
    let absent = call(psci::CPU_ON, [0x00ff_ff00, entry, 0]);
    assert_eq!(absent, psci::INVALID_PARAMETERS, "CPU_ON of no CPU");
}

/// Calls PSCI and others as no operating system would (abuse cases C6 and D1).
pub(crate) fn psci_abuse() {
    let entry = smp::entry_address();
    for affinity in [1 << 24, 1 << 31, 1 << 40, u64::MAX] {
        let result = call(psci::CPU_ON, [affinity, entry, 0]);
        assert_eq!(result, psci::INVALID_PARAMETERS, "CPU_ON of {affinity:#x}");
    }
    for level in [4, u64::MAX] {
        let result = call(psci::AFFINITY_INFO, [affinity(0), level, 0]);
        assert_eq!(
            result,
            psci::INVALID_PARAMETERS,
            "AFFINITY_INFO at level {level:#x}"
        );
    }
    // A function identifier is in w0: what lies above it counts for nothing.
    let version = call(0xdead_beef << 32 | psci::VERSION, [0; 3]);
    assert!(
        version >= 0x1_0000,
        "with x0's upper half dirty: {version:#x}"
    );
    for function in (0..=u64::from(u32::MAX)).step_by(0x0100_0000) {
        // The first two of each range of owners are arch and PSCI calls that do things.
        let function = function | 0xfff0;
        let result = call(function, [u64::MAX; 3]);
        assert_eq!(result, psci::NOT_SUPPORTED, "function {function:#x}");
    }
    for conduit in [Conduit::HvcReserved, Conduit::Smc] {
        let mut registers = [0; 18];
        registers[0] = 0x8400_fff0;
        let mut result = registers;
        let caught = exceptions::catch(|| {
            result = psci::call_with_registers(conduit, registers);
        });
        match caught {
            Some(caught) => assert_eq!(caught.class(), exceptions::EC_UNKNOWN, "{conduit:?}"),
            None => assert_eq!(result[0] as i64, psci::NOT_SUPPORTED, "{conduit:?}"),
        }
    }
}

/// Makes a call and checks that it changes x0 alone.
fn call(function: u64, arguments: [u64; 3]) -> i64 {
    let mut registers = [0; 18];
    for (place, register) in registers.iter_mut().enumerate() {
        *register = 0xa5a5_0000_5a5a_0000 | place as u64;
    }
    registers[0] = function;
    registers[1..4].copy_from_slice(&arguments);
    let result = psci::call_with_registers(Conduit::Hvc, registers);
    for (place, (before, after)) in registers.iter().zip(&result).enumerate().skip(1) {
        assert_eq!(before, after, "x{place} after function {function:#x}");
    }
    result[0] as i64
}
