//! The physical PL031: the time of day.

use crate::cpu::ThisCpu;
use crate::setup::map_device;
use addr::PaRange;

/// RTCDR, the time in seconds since 1970 (DDI0224C, 3.3.1).
const DR: u64 = 0x0;

impl ThisCpu {
    /// Maps a PL031 and reads what it shows, in seconds since 1970. Called while one CPU runs.
    #[must_use]
    pub fn read_rtc(&mut self, registers: PaRange) -> u32 {
        let address = map_device(registers) + DR;
        // SAFETY: mapped as device memory just now, in whole; the read changes nothing.
        unsafe { (address as *const u32).read_volatile() }
    }
}
