//! The physical counter and EL2's own timer.

use crate::cpu::ThisCpu;
use crate::sysreg;
use machine::Clock;

/// CNTHP_CTL_EL2.ENABLE.
const ENABLE: u64 = 1;

impl Clock for ThisCpu {
    fn frequency(&self) -> u64 {
        sysreg::read!("cntfrq_el0")
    }

    #[inline]
    fn now(&self) -> u64 {
        sysreg::read!("cntpct_el0")
    }

    #[inline]
    fn set_deadline(&mut self, deadline: Option<u64>) {
        match deadline {
            Some(deadline) => {
                sysreg::write!("cnthp_cval_el2", deadline);
                sysreg::write!("cnthp_ctl_el2", ENABLE);
            }
            None => sysreg::write!("cnthp_ctl_el2", 0),
        }
    }
}
