//! The nodes that every VM has. The bindings are those of Linux (Documentation/devicetree/bindings)
//! and of the Devicetree Specification.

use crate::seeds::{GuestTree, KASLR, RANDOM};
use crate::{DeviceKind, GuestMachine, devices};
use addr::{IntId, IpaRange, Mpidr, VcpuIndex};

fdt::names! {
    /// The properties that are written.
    pub(crate) enum Name {
        AddressCells = "#address-cells",
        AlwaysOn = "always-on",
        Bootargs = "bootargs",
        ClockCells = "#clock-cells",
        ClockFrequency = "clock-frequency",
        ClockNames = "clock-names",
        ClockOutputNames = "clock-output-names",
        Clocks = "clocks",
        Compatible = "compatible",
        DeviceType = "device_type",
        DmaCoherent = "dma-coherent",
        EnableMethod = "enable-method",
        GpioCells = "#gpio-cells",
        GpioController = "gpio-controller",
        Gpios = "gpios",
        InitrdEnd = "linux,initrd-end",
        InitrdStart = "linux,initrd-start",
        InterruptCells = "#interrupt-cells",
        InterruptController = "interrupt-controller",
        InterruptParent = "interrupt-parent",
        Interrupts = "interrupts",
        KaslrSeed = "kaslr-seed",
        Label = "label",
        LinuxCode = "linux,code",
        Method = "method",
        Model = "model",
        Phandle = "phandle",
        Ranges = "ranges",
        RedistributorRegions = "#redistributor-regions",
        Reg = "reg",
        RngSeed = "rng-seed",
        Serial0 = "serial0",
        SizeCells = "#size-cells",
        StdoutPath = "stdout-path",
    }
}

/// What the nodes are written with.
pub(crate) type Writer = fdt::Writer<Name>;

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

/// Bytes of a tree's fixed part, of each vCPU's node and of each device's, rounded up: what is
/// allocated at once.
const FIXED_SIZE: usize = 2048;
const VCPU_SIZE: usize = 128;
const DEVICE_SIZE: usize = 256;

/// Writes the whole machine.
pub(crate) fn tree(machine: &GuestMachine<'_>) -> GuestTree {
    let capacity = usize::from(machine.vcpus)
        .saturating_mul(VCPU_SIZE)
        .saturating_add(machine.devices.len().saturating_mul(DEVICE_SIZE))
        .saturating_add(machine.bootargs.len())
        .saturating_add(FIXED_SIZE);
    let mut writer = Writer::new(capacity);
    let mut seeds = (0, 0);
    writer.node("", |root| {
        root.text(Name::Compatible, "linux,dummy-virt");
        root.text(Name::Model, "linux,dummy-virt");
        root.cell(Name::AddressCells, 2);
        root.cell(Name::SizeCells, 2);
        root.cell(Name::InterruptParent, GIC_PHANDLE);
        root.node("psci", psci);
        for bank in machine.memory {
            memory(root, *bank);
        }
        for device in machine.devices {
            devices::add(root, device);
        }
        interrupt_controller(root, machine);
        root.node("cpus", |cpus| vcpus(cpus, machine.vcpus));
        root.node("timer", timer);
        root.node("apb-pclk", clock);
        seeds = aliases_and_chosen(root, machine);
    });
    let (random, kaslr) = seeds;
    GuestTree {
        blob: writer.finish(),
        random,
        kaslr,
    }
}

/// Adds `reg`, with two cells each for address and size.
pub(crate) fn reg(writer: &mut Writer, range: IpaRange) {
    writer.numbers(Name::Reg, &[range.start().get(), range.size()]);
}

/// Returns the specifier of a level-sensitive SPI.
pub(crate) fn specifier(interrupt: IntId) -> [u32; 3] {
    let number = interrupt.get().saturating_sub(IntId::FIRST_SPI);
    [SPI, number, LEVEL_HIGH]
}

fn psci(psci: &mut Writer) {
    psci.texts(Name::Compatible, &["arm,psci-1.0", "arm,psci-0.2"]);
    psci.text(Name::Method, "hvc");
}

fn memory(root: &mut Writer, bank: IpaRange) {
    root.node_at("memory", bank.start().get(), |memory| {
        memory.text(Name::DeviceType, "memory");
        reg(memory, bank);
    });
}

fn interrupt_controller(root: &mut Writer, machine: &GuestMachine<'_>) {
    let (distributor, redistributors) = (machine.distributor, machine.redistributors);
    root.node_at("intc", distributor.start().get(), |gic| {
        gic.text(Name::Compatible, "arm,gic-v3");
        gic.flag(Name::InterruptController);
        gic.cell(Name::InterruptCells, 3);
        gic.cell(Name::AddressCells, 2);
        gic.cell(Name::SizeCells, 2);
        gic.flag(Name::Ranges);
        gic.cell(Name::RedistributorRegions, 1);
        gic.numbers(
            Name::Reg,
            &[
                distributor.start().get(),
                distributor.size(),
                redistributors.start().get(),
                redistributors.size(),
            ],
        );
        gic.cell(Name::Phandle, GIC_PHANDLE);
    });
}

fn vcpus(cpus: &mut Writer, count: u16) {
    cpus.cell(Name::AddressCells, 2);
    cpus.cell(Name::SizeCells, 0);
    for index in 0..count {
        let affinity = Mpidr::of_vcpu(VcpuIndex::new(index)).get();
        cpus.node_at("cpu", affinity, |cpu| {
            cpu.text(Name::DeviceType, "cpu");
            cpu.text(Name::Compatible, "arm,armv8");
            cpu.text(Name::EnableMethod, "psci");
            cpu.numbers(Name::Reg, &[affinity]);
        });
    }
}

fn timer(timer: &mut Writer) {
    timer.text(Name::Compatible, "arm,armv8-timer");
    let interrupts = TIMER_PPIS.map(|number| [PPI, number, LEVEL_HIGH]);
    timer.cells(Name::Interrupts, interrupts.as_flattened());
    // A vCPU that waits keeps its timer.
    timer.flag(Name::AlwaysOn);
}

fn clock(clock: &mut Writer) {
    clock.text(Name::Compatible, "fixed-clock");
    clock.cell(Name::ClockCells, 0);
    clock.cell(Name::ClockFrequency, 24_000_000);
    clock.text(Name::ClockOutputNames, "clk24mhz");
    clock.cell(Name::Phandle, CLOCK_PHANDLE);
}

/// Adds the last two nodes; returns where the values of the two seeds begin.
fn aliases_and_chosen(root: &mut Writer, machine: &GuestMachine<'_>) -> (usize, usize) {
    let console = machine
        .devices
        .iter()
        .find(|device| device.kind == DeviceKind::Pl011)
        .map(|device| (devices::name(device.kind), device.range.start().get()));
    if let Some((name, address)) = console {
        root.node("aliases", |aliases| {
            aliases.path(Name::Serial0, name, address);
        });
    }
    let mut seeds = (0, 0);
    root.node("chosen", |chosen| {
        if !machine.bootargs.is_empty() {
            chosen.text(Name::Bootargs, machine.bootargs);
        }
        if let Some((name, address)) = console {
            chosen.path(Name::StdoutPath, name, address);
        }
        if let Some(range) = machine.initrd {
            chosen.numbers(Name::InitrdStart, &[range.start().get()]);
            chosen.numbers(Name::InitrdEnd, &[range.end().get()]);
        }
        let random = chosen.bytes(Name::RngSeed, &[0; RANDOM]);
        let kaslr = chosen.bytes(Name::KaslrSeed, &[0; KASLR]);
        seeds = (random.start, kaslr.start);
    });
    seeds
}
