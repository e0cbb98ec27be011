//! The nodes that every VM has. The bindings are those of Linux (Documentation/devicetree/bindings)
//! and of the Devicetree Specification.

use crate::{DeviceKind, GuestMachine, devices};
use addr::{IntId, IpaRange, Mpidr, VcpuIndex};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use dtoolkit::ToPropertyValue;
use dtoolkit::model::{DeviceTreeNode, DeviceTreeProperty};

/// The phandle of the interrupt controller.
const GIC_PHANDLE: u32 = 1;
/// The phandle of the clock that all PrimeCells run on.
pub(crate) const CLOCK_PHANDLE: u32 = 2;

/// First cell of an interrupt specifier: a shared interrupt.
const SPI: u32 = 0;
/// First cell of an interrupt specifier: a CPU's own interrupt.
const PPI: u32 = 1;
/// Third cell of an interrupt specifier: active high, level-sensitive.
const LEVEL_HIGH: u32 = 4;

/// The timers' PPIs, as the Base System Architecture numbers them: secure physical, physical,
/// virtual, EL2.
const TIMER_PPIS: [u32; 4] = [13, 14, 11, 10];

/// Puts the whole machine into the root node.
pub(crate) fn fill(root: &mut DeviceTreeNode, machine: &GuestMachine<'_>) {
    set(root, "compatible", "linux,dummy-virt");
    set(root, "model", "linux,dummy-virt");
    set(root, "#address-cells", 2u32);
    set(root, "#size-cells", 2u32);
    set(root, "interrupt-parent", GIC_PHANDLE);
    root.add_child(psci());
    for bank in machine.memory {
        root.add_child(memory(*bank));
    }
    for device in machine.devices {
        devices::add(root, device);
    }
    root.add_child(interrupt_controller(machine));
    root.add_child(cpus(machine.vcpus));
    root.add_child(timer());
    root.add_child(clock());
    let console = machine
        .devices
        .iter()
        .find(|device| device.kind == DeviceKind::Pl011)
        .map(|device| format!("/{}", devices::name(device)));
    if let Some(path) = &console {
        let mut aliases = node("aliases");
        set(&mut aliases, "serial0", path.as_str());
        root.add_child(aliases);
    }
    root.add_child(chosen(machine, console));
}

/// Makes an empty node.
pub(crate) fn node(name: impl Into<String>) -> DeviceTreeNode {
    // Names are ours, and a test has every blob validated: unchecked spares an error that can't be.
    DeviceTreeNode::new_unchecked(name)
}

/// Adds a property.
pub(crate) fn set(node: &mut DeviceTreeNode, name: &str, value: impl ToPropertyValue) {
    node.add_property(DeviceTreeProperty::new_unchecked(name, value));
}

/// Adds a property without a value.
pub(crate) fn flag(node: &mut DeviceTreeNode, name: &str) {
    set(node, name, [0u8; 0]);
}

/// Adds `reg`, with two cells each for address and size.
pub(crate) fn reg(node: &mut DeviceTreeNode, ranges: &[IpaRange]) {
    let numbers = ranges
        .iter()
        .flat_map(|range| [range.start().get(), range.size()]);
    let bytes: Vec<u8> = numbers.flat_map(u64::to_be_bytes).collect();
    set(node, "reg", bytes);
}

/// Returns the specifier of a level-sensitive SPI.
pub(crate) fn specifier(interrupt: IntId) -> [u32; 3] {
    let number = interrupt.get().saturating_sub(IntId::FIRST_SPI);
    [SPI, number, LEVEL_HIGH]
}

fn psci() -> DeviceTreeNode {
    let mut psci = node("psci");
    set(
        &mut psci,
        "compatible",
        ["arm,psci-1.0", "arm,psci-0.2"].as_slice(),
    );
    set(&mut psci, "method", "hvc");
    psci
}

fn memory(bank: IpaRange) -> DeviceTreeNode {
    let mut memory = node(format!("memory@{:x}", bank.start().get()));
    set(&mut memory, "device_type", "memory");
    reg(&mut memory, &[bank]);
    memory
}

fn interrupt_controller(machine: &GuestMachine<'_>) -> DeviceTreeNode {
    let mut gic = node(format!("intc@{:x}", machine.distributor.start().get()));
    set(&mut gic, "compatible", "arm,gic-v3");
    flag(&mut gic, "interrupt-controller");
    set(&mut gic, "#interrupt-cells", 3u32);
    set(&mut gic, "#address-cells", 2u32);
    set(&mut gic, "#size-cells", 2u32);
    flag(&mut gic, "ranges");
    set(&mut gic, "#redistributor-regions", 1u32);
    reg(&mut gic, &[machine.distributor, machine.redistributors]);
    set(&mut gic, "phandle", GIC_PHANDLE);
    gic
}

fn cpus(count: u16) -> DeviceTreeNode {
    let mut cpus = node("cpus");
    set(&mut cpus, "#address-cells", 2u32);
    set(&mut cpus, "#size-cells", 0u32);
    for index in 0..count {
        let affinity = Mpidr::of_vcpu(VcpuIndex::new(index)).get();
        let mut cpu = node(format!("cpu@{affinity:x}"));
        set(&mut cpu, "device_type", "cpu");
        set(&mut cpu, "compatible", "arm,armv8");
        set(&mut cpu, "enable-method", "psci");
        set(&mut cpu, "reg", affinity);
        cpus.add_child(cpu);
    }
    cpus
}

fn timer() -> DeviceTreeNode {
    let mut timer = node("timer");
    set(&mut timer, "compatible", "arm,armv8-timer");
    let interrupts = TIMER_PPIS.map(|number| [PPI, number, LEVEL_HIGH]);
    set(&mut timer, "interrupts", interrupts.as_flattened());
    // A vCPU that waits keeps its timer.
    flag(&mut timer, "always-on");
    timer
}

fn clock() -> DeviceTreeNode {
    let mut clock = node("apb-pclk");
    set(&mut clock, "compatible", "fixed-clock");
    set(&mut clock, "#clock-cells", 0u32);
    set(&mut clock, "clock-frequency", 24_000_000u32);
    set(&mut clock, "clock-output-names", "clk24mhz");
    set(&mut clock, "phandle", CLOCK_PHANDLE);
    clock
}

fn chosen(machine: &GuestMachine<'_>, console: Option<String>) -> DeviceTreeNode {
    let mut chosen = node("chosen");
    if !machine.bootargs.is_empty() {
        set(&mut chosen, "bootargs", machine.bootargs);
    }
    if let Some(path) = console {
        set(&mut chosen, "stdout-path", path);
    }
    if let Some(range) = machine.initrd {
        set(&mut chosen, "linux,initrd-start", range.start().get());
        set(&mut chosen, "linux,initrd-end", range.end().get());
    }
    if let Some(seed) = machine.rng_seed {
        set(&mut chosen, "rng-seed", seed);
    }
    if let Some(seed) = machine.kaslr_seed {
        set(&mut chosen, "kaslr-seed", seed);
    }
    chosen
}
