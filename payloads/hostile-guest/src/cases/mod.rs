//! The cases. One that returns has been answered as the architecture says; one that finds otherwise
//! panics with what it found.

mod calls;
mod devices;
mod features;
mod gic_registers;
mod interrupts;
mod kept;
mod memory;
mod power;
mod system_registers;
mod tables;
mod user;

/// How a case must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// The guest goes on: each attempt was carried out or refused as the architecture says.
    Answered,
    /// The VM, and it alone, is stopped as crashed.
    Stopped,
    /// The VM is off.
    Off,
    /// The VM starts again.
    Reset,
}

/// A case.
pub(crate) struct Case {
    /// Its name, which starts with its number in the list of abuse cases.
    pub(crate) name: &'static str,
    /// How it must end.
    pub(crate) expected: Expected,
    /// How many vCPUs it needs.
    pub(crate) cpus: usize,
    /// What it does, in words for the report.
    pub(crate) what: &'static str,
    /// Plays it.
    pub(crate) run: fn(),
}

/// Makes the table: `name: expected, vCPUs, function, "what it does"`.
macro_rules! cases {
    ($($name:ident: $expected:ident, $cpus:literal, $run:path, $what:literal;)*) => {
        &[$(Case {
            name: stringify!($name),
            expected: Expected::$expected,
            cpus: $cpus,
            what: $what,
            run: $run,
        }),*]
    };
}

/// All cases, in the order in which they are played.
#[rustfmt::skip]
pub(crate) const CASES: &[Case] = cases! {
    a1_outside_ram: Answered, 1, memory::outside_ram, "load, store, fetch in each 2 MiB that is not its RAM";
    a2_high_addresses: Answered, 1, memory::high_addresses, "addresses with bits above the IPA size";
    a2_high_output: Answered, 1, tables::high_output, "stage 1 blocks with bits above the IPA size";
    a3_tables_nowhere: Answered, 1, tables::nowhere, "stage 1 tables in devices and in no memory";
    a4_aliases: Answered, 1, tables::aliases, "one page cacheable and as device";
    a7_code_in_devices: Answered, 1, memory::code_in_devices, "fetches from devices";
    a8_no_syndrome: Answered, 1, devices::no_syndrome, "pairs, exclusives, atomics, DC ZVA, write-back on devices";
    a10_set_way: Answered, 1, memory::set_way, "cache maintenance by set and way, each level and way";
    b1_widths: Answered, 1, devices::widths, "8, 16, 32 and 64 bits at each word of each device";
    b2_unaligned: Answered, 1, tables::unaligned, "unaligned accesses to devices, mapped as Normal";
    b3_region_ends: Answered, 1, tables::region_ends, "accesses across the ends of pages and regions";
    b4_extensions: Answered, 1, devices::extensions, "sign-extending loads, and loads to XZR";
    b4_operands: Answered, 1, kept::operands, "a device and an ID register, read through each register";
    b4_registers_kept: Answered, 1, kept::registers, "all registers around each kind of exit";
    b5_reserved: Answered, 1, devices::reserved, "writes to reserved and read-only offsets";
    b6_aarch32: Answered, 1, user::aarch32, "a device from A32 and T32 code, in an IT block too";
    b7_changed_code: Answered, 2, devices::changed_code, "a load at a page's end that another vCPU rewrites meanwhile";
    b8_no_double_retire: Answered, 1, devices::no_double_retire, "refused accesses: ELR is the access itself";
    c1_sweep_el1: Answered, 1, system_registers::sweep_el1, "all 2^16 encodings, read and written, from EL1";
    c1_sweep_el0: Answered, 1, system_registers::sweep_el0, "all 2^16 encodings, read and written, from EL0";
    c2_hidden_features: Answered, 1, features::hidden, "registers of features against the ID registers";
    c3_same_everywhere: Answered, 2, features::same_everywhere, "ID registers on all vCPUs";
    c4_aarch32_traps: Answered, 1, user::aarch32_traps, "CP14 and CP15 accesses from AArch32";
    c5_leave_traces: Reset, 1, system_registers::leave_traces, "fill registers with patterns, then reset";
    c5_no_traces: Answered, 1, system_registers::no_traces, "the same registers after a reset";
    c6_unknown_calls: Answered, 1, calls::unknown, "unknown functions of all owners, dirty halves, immediates, SMC";
    c7_illegal_returns: Answered, 1, calls::illegal_returns, "ERET with every M field";
    d1_cpu_on: Answered, 2, power::cpu_on, "CPU_ON of itself, of no CPU, to no memory, misaligned";
    d2_race: Answered, 3, power::race, "two vCPUs that turn on the same third";
    d4_off_others: Answered, 2, power::on_and_off, "a vCPU turned on and off 200 times";
    d5_suspend: Answered, 2, power::suspend, "CPU_SUSPEND and SYSTEM_SUSPEND with bad states and entries";
    d6_affinity_info: Answered, 2, power::affinity_info, "AFFINITY_INFO while a vCPU comes and goes";
    e1_distributor: Answered, 1, gic_registers::distributor, "each word of GICD, all widths, read, all ones, zero";
    e1_redistributor: Answered, 1, gic_registers::redistributor, "each word of the own GICR, all widths";
    e1_redistributors: Answered, 2, gic_registers::others, "other vCPUs' GICR, on and off";
    e2_reserved_fields: Answered, 1, interrupts::reserved_fields, "SGI registers with reserved fields set";
    e3_absent_targets: Answered, 2, interrupts::absent_targets, "SGIs to absent vCPUs, and to all in a loop";
    e4_disable_active: Answered, 1, interrupts::disable_active, "disable while active; enable, pend and clear";
    e5_many_active: Answered, 1, interrupts::many_active, "more pending and active than list registers, EOI out of order";
    e6_maintenance: Answered, 1, interrupts::maintenance, "the maintenance interrupt, pended by the guest";
    e10_level: Answered, 1, interrupts::level, "a line that is never deasserted";
    e11_timer: Answered, 1, interrupts::timer_past, "a timer whose time is always past";
    f12_console: Answered, 1, devices::console_flood, "64 KiB to the console, without line ends";
    i2_worst_choice: Answered, 1, interrupts::worst_choice, "all SPIs active, all pending, in the worst order";
    j1_workarounds: Answered, 1, calls::workarounds, "SMCCC_ARCH_FEATURES against what the calls do";
    d4_reset: Reset, 1, power::reset, "SYSTEM_RESET with all vCPUs on";
    a1_no_handler: Stopped, 1, memory::no_handler, "a load from no memory, with vectors in no memory";
    a1_jump: Stopped, 1, memory::jump, "a branch to no memory, with vectors there";
    a3_no_tables: Stopped, 1, tables::none, "the MMU turned on with tables in no memory";
    d3_cpu_off: Off, 1, power::cpu_off, "CPU_OFF of the last vCPU";
    d4_off: Off, 1, power::off, "SYSTEM_OFF with all vCPUs on";
};
