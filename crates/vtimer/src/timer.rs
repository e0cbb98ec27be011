//! One timer: CTL, CVAL and its view TVAL.

/// CTL: the timer is enabled.
const ENABLE: u64 = 1 << 0;
/// CTL: the line is masked.
const IMASK: u64 = 1 << 1;
/// CTL: the condition is met. Read-only.
const ISTATUS: u64 = 1 << 2;

/// One generic timer. Counts are those of the timer's own counter, offset included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timer {
    /// CTL without ISTATUS, which follows from the count.
    control: u64,
    /// CVAL.
    compare: u64,
}

/// The registers of a timer, by the last part of their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerRegister {
    /// CTL, the control register.
    Control,
    /// CVAL, the compare value.
    CompareValue,
    /// TVAL, the distance to the compare value.
    TimerValue,
}

impl Timer {
    /// Makes a timer from its registers; bits of `control` that cannot be written are dropped.
    #[must_use]
    pub const fn from_registers(control: u64, compare: u64) -> Self {
        Self {
            control: control & (ENABLE | IMASK),
            compare,
        }
    }

    /// Returns ENABLE and IMASK of CTL, as they are loaded into the register.
    #[must_use]
    pub const fn control(&self) -> u64 {
        self.control
    }

    /// Returns CVAL.
    #[must_use]
    pub const fn compare(&self) -> u64 {
        self.compare
    }

    /// Reads a register when the counter is `count`.
    #[must_use]
    pub const fn read(&self, register: TimerRegister, count: u64) -> u64 {
        match register {
            TimerRegister::Control if self.is_enabled() && self.condition_met(count) => {
                self.control | ISTATUS
            }
            // ISTATUS of a disabled timer is UNKNOWN; 0 gives nothing away.
            TimerRegister::Control => self.control,
            TimerRegister::CompareValue => self.compare,
            // Bits 63 to 32 are RES0.
            TimerRegister::TimerValue => self.compare.wrapping_sub(count) & 0xffff_ffff,
        }
    }

    /// Writes a register when the counter is `count`.
    pub const fn write(&mut self, register: TimerRegister, value: u64, count: u64) {
        match register {
            TimerRegister::Control => self.control = value & (ENABLE | IMASK),
            TimerRegister::CompareValue => self.compare = value,
            TimerRegister::TimerValue => {
                self.compare = count.wrapping_add(sign_extend_word(value));
            }
        }
    }

    /// Tells whether the timer's line is high when the counter is `count`.
    #[must_use]
    pub const fn is_asserted(&self, count: u64) -> bool {
        self.may_assert() && self.condition_met(count)
    }

    /// Returns how many ticks after `count` the line rises; 0 if it is high, `None` if it never
    /// rises with the registers as they are.
    #[must_use]
    pub const fn distance(&self, count: u64) -> Option<u64> {
        if self.may_assert() {
            Some(self.compare.saturating_sub(count))
        } else {
            None
        }
    }

    /// Compares as unsigned numbers of 64 bits (Arm ARM, D12.2.4).
    const fn condition_met(&self, count: u64) -> bool {
        count >= self.compare
    }

    const fn is_enabled(&self) -> bool {
        self.control & ENABLE != 0
    }

    const fn may_assert(&self) -> bool {
        self.control & (ENABLE | IMASK) == ENABLE
    }
}

/// Sign-extends the low 32 bits.
const fn sign_extend_word(value: u64) -> u64 {
    const SIGN: u64 = 1 << 31;
    (value & 0xffff_ffff ^ SIGN).wrapping_sub(SIGN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ON: u64 = 1;
    const MASKED: u64 = 3;

    #[test]
    fn status_needs_enable_and_the_line_also_no_mask() {
        for (control, count, read, line) in [
            (0, 9, 0, false),
            (0, 10, 0, false),
            (ON, 9, 1, false),
            (ON, 10, 5, true),
            (MASKED, 10, 7, false),
            (2, 10, 2, false),
        ] {
            let timer = Timer::from_registers(control, 10);
            assert_eq!(timer.read(TimerRegister::Control, count), read);
            assert_eq!(timer.is_asserted(count), line);
        }
    }

    #[test]
    fn status_and_reserved_bits_cannot_be_written() {
        let mut timer = Timer::default();
        timer.write(TimerRegister::Control, u64::MAX, 0);
        timer.write(TimerRegister::CompareValue, 1, 0);
        assert_eq!(timer.read(TimerRegister::Control, 0), 3);
        assert_eq!(Timer::from_registers(u64::MAX, 1), timer);
    }

    #[test]
    fn timer_value_is_signed_when_written_and_32_bits_when_read() {
        let mut timer = Timer::default();
        timer.write(TimerRegister::TimerValue, 0xdead_0000_0000_0010, 100);
        assert_eq!(timer.compare(), 116);
        timer.write(TimerRegister::TimerValue, 0xffff_fffe, 100);
        assert_eq!(timer.compare(), 98);
        assert_eq!(timer.read(TimerRegister::TimerValue, 100), 0xffff_fffe);
        timer.write(TimerRegister::TimerValue, 0x8000_0000, 0);
        assert_eq!(timer.compare(), 0xffff_ffff_8000_0000);
    }

    #[test]
    fn the_comparison_is_unsigned_over_64_bits() {
        let timer = Timer::from_registers(ON, u64::MAX);
        assert!(!timer.is_asserted(u64::MAX - 1));
        assert!(timer.is_asserted(u64::MAX));
        assert!(!timer.is_asserted(0));
        assert!(Timer::from_registers(ON, 1 << 63).is_asserted(1 << 63));
        assert!(!Timer::from_registers(ON, 1 << 63).is_asserted(0));
    }

    proptest! {
        #[test]
        fn the_line_rises_exactly_at_the_distance(
            control in 0..8_u64,
            compare: u64,
            count: u64,
        ) {
            let timer = Timer::from_registers(control, compare);
            match timer.distance(count) {
                None => prop_assert!(!timer.is_asserted(count)),
                Some(0) => prop_assert!(timer.is_asserted(count)),
                Some(distance) => {
                    prop_assert!(timer.is_asserted(count + distance));
                    prop_assert!(!timer.is_asserted(count + distance - 1));
                }
            }
        }
    }
}
