//! What becomes of a trapped access to a system register.

use crate::guest::GuestFeatures;
use trap::{Direction, ExceptionLevel, SysRegId};

/// What a trapped access does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SysRegAction {
    /// The read gives this value.
    Value(u64),
    /// The write has no effect.
    Ignore,
    /// The guest gets an Undefined Instruction exception.
    Undefined,
    /// Cache maintenance by set and way. It can't be carried out for a guest (it reaches one CPU's
    /// caches, and is unbounded work); it has no effect. Guests that mean it use maintenance by
    /// address, and stage 2 keeps their memory coherent.
    SetWay,
    /// A write that sends software-generated interrupts; the operand says to whom.
    Sgi(SgiRegister),
    /// The physical timer or counter.
    Timer(TimerRegister),
    /// A debug register that has state ([`crate::DebugState`]).
    Debug(DebugRegister),
}

/// The registers that send SGIs (IHI0069, 12.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SgiRegister {
    /// ICC_SGI1R_EL1: group 1 of the own security state.
    Group1,
    /// ICC_ASGI1R_EL1: group 1 of the other security state.
    AliasGroup1,
    /// ICC_SGI0R_EL1: group 0.
    Group0,
}

/// The trapped registers of the generic timer (Arm ARM, D24.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerRegister {
    /// CNTP_CTL_EL0.
    Control,
    /// CNTP_CVAL_EL0.
    CompareValue,
    /// CNTP_TVAL_EL0.
    TimerValue,
    /// CNTPCT_EL0 and CNTPCTSS_EL0; read only.
    Counter,
}

/// The debug registers that have state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DebugRegister {
    /// OSLAR_EL1; write only.
    OsLockAccess,
    /// OSLSR_EL1; read only.
    OsLockStatus,
    /// MDSCR_EL1.
    MonitorControl,
}

/// Decides what an access to `id` from `level` does. Total: every identity has an outcome, and none
/// touches the hardware.
#[inline]
#[must_use]
pub fn sysreg_policy(
    id: SysRegId,
    direction: Direction,
    level: ExceptionLevel,
    features: &GuestFeatures,
) -> SysRegAction {
    // ID registers first: they are the ones whose cost is measured.
    if let (Some(value), Direction::Read, ExceptionLevel::El1) =
        (features.read(id), direction, level)
    {
        return SysRegAction::Value(value);
    }
    // op1 3 is what EL0 may name. EL1's own controls come before EL2's traps, so that an access
    // from EL0 which gets here is allowed by the guest's kernel.
    if level == ExceptionLevel::El0 && id.op1() != 3 {
        return SysRegAction::Undefined;
    }
    match id.op0() {
        1 => cache_maintenance(id, direction),
        2 => debug(id, direction),
        _ => register(id, direction),
    }
}

/// Decides for op0 3.
fn register(id: SysRegId, direction: Direction) -> SysRegAction {
    use TimerRegister as T;
    match (id, direction) {
        (SysRegId::ACTLR_EL1, _) => raz_wi(direction),
        (SysRegId::ICC_SGI1R_EL1, Direction::Write) => SysRegAction::Sgi(SgiRegister::Group1),
        (SysRegId::ICC_ASGI1R_EL1, Direction::Write) => SysRegAction::Sgi(SgiRegister::AliasGroup1),
        (SysRegId::ICC_SGI0R_EL1, Direction::Write) => SysRegAction::Sgi(SgiRegister::Group0),
        // Not trapped where ICC_SRE_EL2.Enable is 1. DIB, DFB and SRE are 1 and can't be changed.
        (SysRegId::ICC_SRE_EL1, Direction::Read) => SysRegAction::Value(7),
        (SysRegId::ICC_SRE_EL1, Direction::Write) => SysRegAction::Ignore,
        (SysRegId::CNTP_CTL_EL0, _) => SysRegAction::Timer(T::Control),
        (SysRegId::CNTP_CVAL_EL0, _) => SysRegAction::Timer(T::CompareValue),
        (SysRegId::CNTP_TVAL_EL0, _) => SysRegAction::Timer(T::TimerValue),
        (SysRegId::CNTPCT_EL0 | SysRegId::CNTPCTSS_EL0, Direction::Read) => {
            SysRegAction::Timer(T::Counter)
        }
        // Hidden features, IMPLEMENTATION DEFINED registers, writes to ID registers and whatever
        // else gets here doesn't exist for a guest.
        // If a variant is added to `Direction`, it is refused too.
        _ => SysRegAction::Undefined,
    }
}

/// Decides for op0 1.
fn cache_maintenance(id: SysRegId, direction: Direction) -> SysRegAction {
    match (id, direction) {
        (SysRegId::DC_ISW | SysRegId::DC_CSW | SysRegId::DC_CISW, Direction::Write) => {
            SysRegAction::SetWay
        }
        // As above, for a variant added to `Direction`.
        _ => SysRegAction::Undefined,
    }
}

/// Decides for op0 2: debug and trace. Trace registers have op1 1.
fn debug(id: SysRegId, direction: Direction) -> SysRegAction {
    use DebugRegister as D;
    match (id, direction) {
        (SysRegId::OSLAR_EL1, Direction::Write) => SysRegAction::Debug(D::OsLockAccess),
        (SysRegId::OSLSR_EL1, Direction::Read) => SysRegAction::Debug(D::OsLockStatus),
        (SysRegId::MDSCR_EL1, _) => SysRegAction::Debug(D::MonitorControl),
        (
            SysRegId::OSDTRRX_EL1
            | SysRegId::OSDTRTX_EL1
            | SysRegId::OSECCR_EL1
            | SysRegId::OSDLR_EL1
            | SysRegId::MDCCINT_EL1
            | SysRegId::DBGPRCR_EL1
            | SysRegId::DBGCLAIMSET_EL1
            | SysRegId::DBGCLAIMCLR_EL1
            | SysRegId::DBGDTR_EL0
            | SysRegId::DBGDTRRX_EL0,
            _,
        ) => raz_wi(direction),
        (
            SysRegId::MDRAR_EL1 | SysRegId::DBGAUTHSTATUS_EL1 | SysRegId::MDCCSR_EL0,
            Direction::Read,
        ) => SysRegAction::Value(0),
        _ if is_shown_break_or_watchpoint(id) => raz_wi(direction),
        // If a variant is added to `Direction`, a trapped access of that kind is refused here until
        // somebody decides otherwise.
        _ => SysRegAction::Undefined,
    }
}

/// Tells whether `id` is a value or control register of the two breakpoints and two watchpoints
/// that ID_AA64DFR0_EL1 shows: op1 0, CRn 0, op2 4 to 7, CRm the number.
fn is_shown_break_or_watchpoint(id: SysRegId) -> bool {
    id.op1() == 0 && id.crn() == 0 && id.op2() >= 4 && id.crm() < 2
}

/// Reads as zero, ignores writes.
const fn raz_wi(direction: Direction) -> SysRegAction {
    match direction {
        Direction::Read => SysRegAction::Value(0),
        Direction::Write => SysRegAction::Ignore,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::HostIdRegisters;
    use Direction::{Read, Write};
    use ExceptionLevel::{El0, El1};

    fn features() -> GuestFeatures {
        GuestFeatures::new(&HostIdRegisters::from_fn(|_| 0x1111_1111_1111_1112), 40)
    }

    fn at_el1(id: SysRegId, direction: Direction) -> SysRegAction {
        sysreg_policy(id, direction, El1, &features())
    }

    #[test]
    fn c1_every_encoding_has_an_outcome_that_fits_its_direction() {
        let features = features();
        for bits in 0..=u16::MAX {
            let id = SysRegId::from_bits(bits);
            for level in [El0, El1] {
                for direction in [Read, Write] {
                    let action = sysreg_policy(id, direction, level, &features);
                    let fits = match action {
                        SysRegAction::Value(_)
                        | SysRegAction::Debug(DebugRegister::OsLockStatus)
                        | SysRegAction::Timer(TimerRegister::Counter) => direction == Read,
                        SysRegAction::Ignore
                        | SysRegAction::SetWay
                        | SysRegAction::Sgi(_)
                        | SysRegAction::Debug(DebugRegister::OsLockAccess) => direction == Write,
                        SysRegAction::Undefined
                        | SysRegAction::Timer(_)
                        | SysRegAction::Debug(DebugRegister::MonitorControl) => true,
                    };
                    assert!(fits, "{id} {direction:?} {level:?}: {action:?}");
                    if level == El0 && id.op1() != 3 {
                        assert_eq!(action, SysRegAction::Undefined, "{id}");
                    }
                    if id.op1() >= 4 {
                        assert_eq!(action, SysRegAction::Undefined, "{id}");
                    }
                }
            }
        }
    }

    #[test]
    fn id_registers_are_read_only_and_for_el1_only() {
        let id = SysRegId::ID_AA64PFR0_EL1;
        assert!(matches!(at_el1(id, Read), SysRegAction::Value(value) if value != 0));
        assert_eq!(at_el1(id, Write), SysRegAction::Undefined);
        let from_el0 = sysreg_policy(id, Read, El0, &features());
        assert_eq!(from_el0, SysRegAction::Undefined);
        assert_eq!(at_el1(SysRegId::AIDR_EL1, Read), SysRegAction::Value(0));
    }

    #[test]
    fn c2_hidden_features_registers_are_undefined() {
        for id in [
            SysRegId::PMCR_EL0,
            SysRegId::PMUSERENR_EL0,
            SysRegId::PMINTENSET_EL1,
            SysRegId::ZCR_EL1,
            SysRegId::SMIDR_EL1,
            SysRegId::GMID_EL1,
            SysRegId::ERRIDR_EL1,
            SysRegId::LORC_EL1,
            SysRegId::LORID_EL1,
            SysRegId::SCXTNUM_EL0,
            SysRegId::SCXTNUM_EL1,
            SysRegId::TCR2_EL1,
            SysRegId::SCTLR2_EL1,
            // IMPLEMENTATION DEFINED: CPUECTLR_EL1 of several CPUs, and a system instruction.
            SysRegId::new(3, 0, 15, 1, 4),
            SysRegId::new(3, 1, 11, 0, 2),
            SysRegId::new(1, 0, 15, 0, 0),
            // AMCR_EL0, PMSCR_EL1, TRBLIMITR_EL1, GCR_EL1.
            SysRegId::new(3, 3, 13, 2, 0),
            SysRegId::new(3, 0, 9, 9, 0),
            SysRegId::new(3, 0, 9, 11, 0),
            SysRegId::new(3, 0, 1, 0, 6),
        ] {
            for direction in [Read, Write] {
                assert_eq!(at_el1(id, direction), SysRegAction::Undefined, "{id}");
            }
        }
    }

    #[test]
    fn c5_breakpoints_that_are_shown_read_zero_and_others_are_undefined() {
        for op2 in 4..8 {
            for crm in 0..16 {
                let id = SysRegId::new(2, 0, 0, crm, op2);
                let (read, write) = if crm < 2 {
                    (SysRegAction::Value(0), SysRegAction::Ignore)
                } else {
                    (SysRegAction::Undefined, SysRegAction::Undefined)
                };
                assert_eq!(at_el1(id, Read), read, "{id}");
                assert_eq!(at_el1(id, Write), write, "{id}");
            }
        }
    }

    #[test]
    fn a10_set_and_way_maintenance_is_recognized() {
        for crm in [6, 10, 14] {
            let id = SysRegId::new(1, 0, 7, crm, 2);
            assert_eq!(at_el1(id, Write), SysRegAction::SetWay);
        }
        // By tag: belongs to MTE, which is hidden.
        assert_eq!(
            at_el1(SysRegId::new(1, 0, 7, 14, 6), Write),
            SysRegAction::Undefined
        );
    }

    #[test]
    fn sgis_and_timers_are_handed_on() {
        assert_eq!(
            at_el1(SysRegId::ICC_SGI1R_EL1, Write),
            SysRegAction::Sgi(SgiRegister::Group1)
        );
        assert_eq!(
            at_el1(SysRegId::ICC_SGI1R_EL1, Read),
            SysRegAction::Undefined
        );
        assert_eq!(
            sysreg_policy(SysRegId::CNTP_CTL_EL0, Write, El0, &features()),
            SysRegAction::Timer(TimerRegister::Control)
        );
        assert_eq!(
            at_el1(SysRegId::CNTPCT_EL0, Read),
            SysRegAction::Timer(TimerRegister::Counter)
        );
        assert_eq!(at_el1(SysRegId::CNTPCT_EL0, Write), SysRegAction::Undefined);
    }

    #[test]
    fn what_linux_writes_at_boot_is_accepted() {
        assert_eq!(
            at_el1(SysRegId::OSLAR_EL1, Write),
            SysRegAction::Debug(DebugRegister::OsLockAccess)
        );
        assert_eq!(at_el1(SysRegId::OSDLR_EL1, Write), SysRegAction::Ignore);
        assert_eq!(
            at_el1(SysRegId::MDSCR_EL1, Write),
            SysRegAction::Debug(DebugRegister::MonitorControl)
        );
        assert_eq!(at_el1(SysRegId::ACTLR_EL1, Read), SysRegAction::Value(0));
        assert_eq!(at_el1(SysRegId::REVIDR_EL1, Read), {
            SysRegAction::Value(0x1111_1111_1111_1112)
        });
    }
}
