//! The interrupt controller of the board: the virtual GIC, with no vCPU running.
//!
//! A vCPU at rest has nothing in list registers, so the distributor and the redistributors are all
//! the state there is, and no CPU interface is needed.

use addr::{IntId, VcpuIndex, Width};
use anyhow::{Context, Result};
use device_model::Level;
use machine::VirtualCpuInterface;
use vgic::{Distributor, RedistributorRegion, VcpuInterrupts};

/// SPIs of QEMU's `virt` machine.
pub const SPI_COUNT: u16 = 256;

/// How many private interrupts a CPU has, SGIs included.
const PRIVATE_COUNT: u32 = 32;

/// The GIC of one machine.
#[derive(Debug)]
pub struct Gic {
    distributor: Distributor,
    region: RedistributorRegion,
    vcpus: Vec<VcpuInterrupts>,
}

impl Gic {
    /// Makes the GIC of a machine with so many CPUs.
    ///
    /// # Errors
    /// If the model has no room for them.
    pub fn new(cpus: u16) -> Result<Self> {
        let distributor = Distributor::new(vgic::Config {
            spi_count: SPI_COUNT,
            vcpu_count: cpus,
        })
        .context("the interrupt controller")?;
        Ok(Self {
            distributor,
            region: RedistributorRegion::new(cpus),
            vcpus: (0..cpus)
                .map(|index| VcpuInterrupts::new(VcpuIndex::new(index)))
                .collect(),
        })
    }

    /// Puts everything into the state after its creation; the wires keep their levels.
    pub fn reset(&mut self) {
        self.distributor.reset();
        for vcpu in &mut self.vcpus {
            let _ = vcpu.reset();
        }
    }

    /// Reads from the distributor's frame.
    pub fn read_distributor(&mut self, offset: u64, width: Width) -> u64 {
        self.distributor.read(offset, width)
    }

    /// Writes to the distributor's frame.
    pub fn write_distributor(&mut self, offset: u64, width: Width, value: u64) {
        // Nobody runs, so nobody is kicked.
        let _ = self.distributor.write(offset, width, value);
    }

    /// Reads from the redistributors' region.
    pub fn read_redistributors(&mut self, offset: u64, width: Width) -> u64 {
        let Some(frame) = self.region.locate(offset) else {
            return 0;
        };
        if let Some(value) = self.region.read_constant(frame, width) {
            return value;
        }
        match self.vcpus.get_mut(usize::from(frame.vcpu.get())) {
            Some(vcpu) => vcpu.read_redistributor(frame.offset, width, &mut NoInterface),
            None => 0,
        }
    }

    /// Writes to the redistributors' region.
    pub fn write_redistributors(&mut self, offset: u64, width: Width, value: u64) {
        let Some(frame) = self.region.locate(offset) else {
            return;
        };
        if let Some(vcpu) = self.vcpus.get_mut(usize::from(frame.vcpu.get())) {
            let _ = vcpu.write_redistributor(frame.offset, width, value, &mut NoInterface);
        }
    }

    /// Sets the wire of an SPI.
    pub fn set_spi(&mut self, id: IntId, level: Level) {
        let _ = self.distributor.set_line(id, wire(level));
    }

    /// Sets an input by QEMU's numbering: the SPIs first, then 32 private interrupts for each CPU.
    pub fn set_input(&mut self, input: u32, level: Level) {
        let Some(private) = input.checked_sub(u32::from(SPI_COUNT)) else {
            if let Some(id) = IntId::spi(input) {
                self.set_spi(id, level);
            }
            return;
        };
        let (cpu, id) = (private / PRIVATE_COUNT, private % PRIVATE_COUNT);
        if let Some(vcpu) = self.vcpus.get_mut(cpu as usize) {
            vcpu.set_ppi_line(IntId::new(id), wire(level));
        }
    }
}

fn wire(level: Level) -> vgic::Level {
    match level {
        Level::Low => vgic::Level::Low,
        Level::High => vgic::Level::High,
    }
}

/// A CPU interface that is never used, since no vCPU runs.
struct NoInterface;

impl VirtualCpuInterface for NoInterface {
    fn list_register_count(&self) -> usize {
        0
    }
    fn list_register(&self, _: usize) -> u64 {
        0
    }
    fn set_list_register(&mut self, _: usize, _: u64) {}
    fn empty_list_registers(&self) -> u32 {
        0
    }
    fn eoi_list_registers(&self) -> u32 {
        0
    }
    fn maintenance_status(&self) -> u32 {
        0
    }
    fn control(&self) -> u32 {
        0
    }
    fn set_control(&mut self, _: u32) {}
    fn machine_control(&self) -> u32 {
        0
    }
    fn set_machine_control(&mut self, _: u32) {}
    fn active_priority_count(&self) -> usize {
        1
    }
    fn active_priority(&self, _: usize, _: usize) -> u32 {
        0
    }
    fn set_active_priority(&mut self, _: usize, _: usize, _: u32) {}
}
