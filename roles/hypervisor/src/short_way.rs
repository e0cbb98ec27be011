//! The short way: the exits that guests make most, recognized before anything is decoded.
//!
//! What it answers is what the long way ([`Cpu::exception`]) would; it only knows less. Reads call
//! nothing, so that no register need be saved for them.

use crate::cpu::Cpu;
use addr::Ipa;
use guest_image::map;
use id_registers::SgiRegister;
use machine::{Frame, Hardware, Next, Short, Syndrome};
use trap::{DeviceAccess, Esr, ExitRegisters};
use vgic::{REDISTRIBUTOR_STRIDE, sgi};

impl Cpu {
    /// Serves reads of ID registers, and SGIs.
    #[inline(always)]
    pub(crate) fn short_register<H: Hardware>(
        &mut self,
        hw: &mut H,
        frame: &mut Frame,
        esr: u64,
    ) -> Short {
        let esr = Esr::new(esr);
        if let Some((register, value)) = self.hypervisor.features.read_by_syndrome(esr) {
            frame.set_operand(register, value);
            return Short::Done;
        }
        self.short_sgi(hw, frame, esr)
    }

    /// Sends an SGI of group 1, to the own vCPU alone in fewer steps.
    #[inline(never)]
    fn short_sgi<H: Hardware>(&mut self, hw: &mut H, frame: &Frame, esr: Esr) -> Short {
        // At EL0 the instruction is undefined: it does not get here (Arm ARM, ICC_SGI1R_EL1).
        let Some(register) = esr.sgi1_register() else {
            return Short::Refused;
        };
        let value = frame.operand(register);
        if let Some(vcpu) = &mut self.current
            && let Some(id) = sgi::to_self(value, vcpu.id.index)
            && vcpu.interrupts.renew_sgi(id, hw)
        {
            return Short::Done;
        }
        self.send_sgi(hw, SgiRegister::Group1, value);
        Short::Done
    }

    /// Serves reads of the GIC's 32-bit registers, and all of the devices'.
    #[inline(always)]
    pub(crate) fn short_access<H: Hardware>(
        &mut self,
        hw: &mut H,
        frame: &mut Frame,
        syndrome: &Syndrome,
    ) -> Short {
        let registers = ExitRegisters {
            esr: Esr::new(syndrome.esr),
            far: syndrome.far,
            hpfar: syndrome.hpfar,
        };
        if let Some((register, ipa)) = DeviceAccess::recognize_word_read(&registers)
            && let Some(word) = self.read_gic_word(ipa)
        {
            frame.set_operand(register, u64::from(word));
            return Short::Done;
        }
        // By values, last, and in the vector's order, so that what comes before it needs no stack and
        // moves nothing.
        Self::short_device(frame, syndrome.esr, syndrome.far, syndrome.hpfar, self, hw)
    }

    /// Carries out an access to a device, which needs no register but the operand.
    #[inline(never)]
    fn short_device<H: Hardware>(
        frame: &mut Frame,
        esr: u64,
        far: u64,
        hpfar: u64,
        cpu: &mut Self,
        hw: &mut H,
    ) -> Short {
        let registers = ExitRegisters {
            esr: Esr::new(esr),
            far,
            hpfar,
        };
        let done = DeviceAccess::recognize(&registers)
            .and_then(|device| cpu.board_access(hw, frame, device.ipa, device.access));
        match (done, cpu.next()) {
            (None, _) => Short::Refused,
            (Some(()), Next::Resume) => Short::Done,
            (Some(()), Next::Full) => Short::Full,
        }
    }

    /// Reads a register of the distributor or of the loaded vCPU's redistributor. `None` for any
    /// other address, and for what takes longer.
    #[inline(always)]
    fn read_gic_word(&self, ipa: Ipa) -> Option<u32> {
        let vcpu = self.current.as_ref()?;
        let offset = ipa.get().wrapping_sub(map::GICD.base.get());
        if offset < map::GICD.size {
            let offset = u32::try_from(offset).ok()?;
            return vcpu.vm.gic.lock().distributor.read_word(offset);
        }
        let own = u64::from(vcpu.id.index.get()).wrapping_mul(REDISTRIBUTOR_STRIDE);
        let offset = ipa
            .get()
            .wrapping_sub(map::GICR_BASE.get())
            .wrapping_sub(own);
        if offset >= REDISTRIBUTOR_STRIDE {
            return None;
        }
        let offset = u32::try_from(offset).ok()?;
        vcpu.interrupts.read_word(vcpu.vm.redistributors, offset)
    }
}
