//! What is said about a VM that can't go on.

use crate::shared::Hypervisor;
use crate::stop::Cause;
use crate::vm::Vm;
use addr::VcpuIndex;
use machine::{El1Registers, Frame, Hardware};
use trap::Esr;

/// Prints the registers of the vCPU that is loaded on this CPU, and what its exception registers say
/// in words.
pub(crate) fn print<H: Hardware>(
    hypervisor: &Hypervisor,
    hw: &mut H,
    vm: &Vm,
    vcpu: VcpuIndex,
    frame: &Frame,
    cause: Cause,
) {
    let mut el1 = El1Registers::default();
    hw.save_el1(&mut el1);
    hypervisor.log(hw, format_args!("VM {} stops: {cause}", vm.name));
    hypervisor.log(
        hw,
        format_args!(
            "  vCPU {vcpu}  PC {:#018x}  PSTATE {:#x}",
            frame.pc, frame.pstate
        ),
    );
    for (row, registers) in (0_u32..).zip(frame.x.chunks(3)) {
        let first = row.saturating_mul(3);
        match *registers {
            [a, b, c] => hypervisor.log(
                hw,
                format_args!(
                    "  x{:<2} {a:#018x}  x{:<2} {b:#018x}  x{:<2} {c:#018x}",
                    first,
                    first.saturating_add(1),
                    first.saturating_add(2),
                ),
            ),
            [a] => hypervisor.log(
                hw,
                format_args!("  x{first:<2} {a:#018x}  SP_EL1 {:#018x}", el1.sp_el1),
            ),
            _ => {}
        }
    }
    let esr = Esr::new(el1.esr_el1);
    hypervisor.log(hw, format_args!("  last exception: {esr}"));
    hypervisor.log(
        hw,
        format_args!(
            "  ELR_EL1 {:#018x}  SPSR_EL1 {:#x}  FAR_EL1 {:#018x}",
            el1.elr_el1, el1.spsr_el1, el1.far_el1
        ),
    );
    hypervisor.log(
        hw,
        format_args!(
            "  SCTLR_EL1 {:#x}  VBAR_EL1 {:#018x}  TTBR0_EL1 {:#x}  TTBR1_EL1 {:#x}",
            el1.sctlr_el1, el1.vbar_el1, el1.ttbr0_el1, el1.ttbr1_el1
        ),
    );
}
