//! Accesses to system registers that trap.

use crate::cpu::Cpu;
use crate::exception::{inject, step_over};
use addr::VcpuIndex;
use bulkhead_core::Before;
use id_registers::{DebugRegister, SgiRegister, SysRegAction, TimerRegister, sysreg_policy};
use machine::{Frame, Hardware};
use trap::{Direction, Exception, InstructionLength, Pstate, SysRegAccess};
use vgic::sgi;
use vtimer::TimerKind;

impl Cpu {
    /// Carries out an access, or gives the guest an exception for it.
    #[inline]
    pub(crate) fn system_register<H: Hardware>(
        &mut self,
        hw: &mut H,
        frame: &mut Frame,
        access: SysRegAccess,
    ) {
        let level = Pstate::new(frame.pstate).level();
        let features = &self.hypervisor.features;
        let value = match sysreg_policy(access.id, access.direction, level, features) {
            SysRegAction::Value(value) => Some(value),
            SysRegAction::Ignore | SysRegAction::SetWay => None,
            SysRegAction::Undefined => {
                inject(hw, frame, Exception::Undefined);
                return;
            }
            SysRegAction::Sgi(register) => {
                self.send_sgi(hw, register, frame.operand(access.register));
                None
            }
            SysRegAction::Timer(register) => self.timer(hw, frame, register, access),
            SysRegAction::Debug(register) => self.debug(hw, frame, register, access),
        };
        if access.direction == Direction::Read {
            frame.set_operand(access.register, value.unwrap_or(0));
        }
        step_over(frame, InstructionLength::Four);
    }

    /// Sends an SGI: to the own vCPU at once, to others through their mailboxes.
    #[inline(never)]
    pub(crate) fn send_sgi<H: Hardware>(&mut self, hw: &mut H, register: SgiRegister, value: u64) {
        let register = match register {
            SgiRegister::Group1 => vgic::SgiRegister::Sgi1,
            SgiRegister::AliasGroup1 => vgic::SgiRegister::Asgi1,
            SgiRegister::Group0 => vgic::SgiRegister::Sgi0,
        };
        let request = sgi::decode(register, value);
        let Some(vcpu) = &mut self.current else {
            return;
        };
        let own: VcpuIndex = vcpu.id.index;
        let mut to_self = false;
        for target in request.targets(own, vcpu.vm.vcpu_count()) {
            if target == own {
                vcpu.interrupts.pend_sgi(request.id, request.group);
                to_self = true;
            } else if let Some(place) = vcpu.vm.place(target)
                && place.mailbox.post_sgis(request.mailbox_bit()) == Before::Empty
            {
                self.hypervisor.rouse(hw, &vcpu.vm, target);
            }
        }
        if to_self {
            self.deliver_private(hw);
        }
    }

    /// Accesses the physical timer or counter; gives a read's value.
    fn timer<H: Hardware>(
        &mut self,
        hw: &mut H,
        frame: &Frame,
        register: TimerRegister,
        access: SysRegAccess,
    ) -> Option<u64> {
        let now = hw.now();
        let vcpu = self.current.as_mut()?;
        let register = match register {
            TimerRegister::Control => vtimer::TimerRegister::Control,
            TimerRegister::CompareValue => vtimer::TimerRegister::CompareValue,
            TimerRegister::TimerValue => vtimer::TimerRegister::TimerValue,
            TimerRegister::Counter => return Some(vcpu.timers.count(TimerKind::Physical, now)),
        };
        match access.direction {
            Direction::Read => Some(vcpu.timers.read(TimerKind::Physical, register, now)),
            Direction::Write => {
                let value = frame.operand(access.register);
                vcpu.timers.write(TimerKind::Physical, register, value, now);
                self.update_physical_timer(hw);
                self.arm_timer(hw);
                None
            }
        }
    }

    /// Accesses a debug register that has state; gives a read's value.
    fn debug<H: Hardware>(
        &mut self,
        hw: &mut H,
        frame: &Frame,
        register: DebugRegister,
        access: SysRegAccess,
    ) -> Option<u64> {
        let vcpu = self.current.as_mut()?;
        let value = frame.operand(access.register);
        match (register, access.direction) {
            (DebugRegister::OsLockStatus, _) => Some(vcpu.debug.os_lock_status()),
            (DebugRegister::OsLockAccess, _) => {
                vcpu.debug.write_os_lock_access(value);
                hw.set_monitor_control(vcpu.debug.hardware_monitor_control());
                None
            }
            (DebugRegister::MonitorControl, Direction::Read) => Some(vcpu.debug.monitor_control()),
            (DebugRegister::MonitorControl, Direction::Write) => {
                vcpu.debug.write_monitor_control(value);
                hw.set_monitor_control(vcpu.debug.hardware_monitor_control());
                None
            }
        }
    }
}
