//! The cases. One that returns has passed; one that finds a fault panics with what it found.

mod fp;
mod interrupts;
mod memory;
mod power;
mod processors;
mod system_registers;

/// A case.
type Case = fn();

/// The cases by name.
const CASES: &[(&str, Case)] = &[
    ("access-outside-ram", memory::access_outside_ram),
    (
        "access-outside-ram-handled",
        memory::access_outside_ram_handled,
    ),
    ("fp-registers", fp::fp_registers),
    ("heartbeat", power::heartbeat),
    ("hello", power::hello),
    ("jump-unmapped", memory::jump_unmapped),
    ("mmio-loads", memory::mmio_loads),
    ("mmio-without-syndrome", memory::mmio_without_syndrome),
    ("psci-abuse", power::psci_abuse),
    ("psci-calls", power::psci_calls),
    ("reset-loop", power::reset_loop),
    ("runaway", power::runaway),
    ("sgi-others", interrupts::sgi_others),
    ("sgi-self", interrupts::sgi_self),
    ("smp-hello", processors::smp_hello),
    ("sysreg-reads", system_registers::reads),
    ("timer-irq", interrupts::timer_irq),
    ("timer-preempt", interrupts::timer_preempt),
    ("undefined", system_registers::undefined),
    ("wfi-wake", interrupts::wfi_wake),
];

/// Finds a case by name.
pub(crate) fn find(name: &str) -> Option<Case> {
    CASES
        .iter()
        .find(|(other, _)| *other == name)
        .map(|(_, case)| *case)
}
