//! The physical interrupt controller, and the registers of a vCPU's virtual CPU interface.

use addr::{CpuId, IntId};

/// An acknowledged physical interrupt; it owes a priority drop and, unless a list register with the
/// HW bit does that, a deactivation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhysicalInterrupt {
    /// The INTID that ICC_IAR1_EL1 returned.
    pub id: IntId,
}

/// The physical GIC, as seen by the CPU that runs the call. EOImode is 1: priority drop and
/// deactivation are separate (IHI0069, 4.7.1).
pub trait IrqHardware {
    /// Acknowledges the highest-priority pending interrupt; `None` if it is spurious.
    fn acknowledge(&mut self) -> Option<PhysicalInterrupt>;

    /// Drops the running priority after [`IrqHardware::acknowledge`].
    fn drop_priority(&mut self, interrupt: PhysicalInterrupt);

    /// Deactivates an interrupt whose priority was dropped.
    fn deactivate(&mut self, id: IntId);

    /// Makes a private interrupt of this CPU active or inactive at the GIC: a vCPU's timer
    /// interrupt stays active while the guest handles it, and moves with the vCPU.
    fn set_private_active(&mut self, id: IntId, active: Active);

    /// Tells whether a private interrupt of this CPU is active at the GIC.
    fn private_active(&self, id: IntId) -> Active;

    /// Sends the kick, a physical SGI, to another CPU.
    fn kick(&mut self, cpu: CpuId);
}

/// The active state of an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Active {
    /// Acknowledged and not yet deactivated.
    Yes,
    /// Not active.
    No,
}

/// The ICH_* registers of the running vCPU (IHI0069, 12.4). Values are the registers' own encodings.
pub trait VirtualCpuInterface {
    /// Returns the number of list registers, 1 to 16 (ICH_VTR_EL2.ListRegs + 1).
    fn list_register_count(&self) -> usize;

    /// Reads list register `index`; 0 beyond the last.
    fn list_register(&self, index: usize) -> u64;

    /// Writes list register `index`; nothing beyond the last.
    fn set_list_register(&mut self, index: usize, value: u64);

    /// Reads ICH_ELRSR_EL2: a bit for each list register that holds nothing.
    fn empty_list_registers(&self) -> u32;

    /// Reads ICH_EISR_EL2: a bit for each list register whose EOI asked for maintenance.
    fn eoi_list_registers(&self) -> u32;

    /// Reads ICH_MISR_EL2: why the maintenance interrupt is asserted.
    fn maintenance_status(&self) -> u32;

    /// Reads ICH_HCR_EL2.
    fn control(&self) -> u32;

    /// Writes ICH_HCR_EL2.
    fn set_control(&mut self, value: u32);

    /// Reads ICH_VMCR_EL2: the guest's mask, binary points and group enables.
    fn machine_control(&self) -> u32;

    /// Writes ICH_VMCR_EL2.
    fn set_machine_control(&mut self, value: u32);

    /// Returns how many active-priority registers each group has: 1, 2 or 4 (from
    /// ICH_VTR_EL2.PREbits).
    fn active_priority_count(&self) -> usize;

    /// Reads ICH_AP0R`index`_EL2 (group 0) or ICH_AP1R`index`_EL2 (group 1).
    fn active_priority(&self, group: usize, index: usize) -> u32;

    /// Writes ICH_AP0R`index`_EL2 (group 0) or ICH_AP1R`index`_EL2 (group 1).
    fn set_active_priority(&mut self, group: usize, index: usize, value: u32);
}
