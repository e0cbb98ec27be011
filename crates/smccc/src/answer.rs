//! What a call leaves in the caller's registers.

use core::fmt;

/// The registers that a call's result occupies; all others keep their values (DEN0028, 2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a call is answered only when the answer is written to the registers"]
pub enum Answer {
    /// x0.
    One(u64),
    /// x0 to x3.
    Four([u64; 4]),
}

impl Answer {
    /// The answer to a call that doesn't exist: −1, in x0 alone.
    pub const NOT_SUPPORTED: Self = Self::One(u64::MAX);
    /// The answer of a call that did what it was asked and has no more to say: 0.
    pub const SUCCESS: Self = Self::One(0);

    /// Writes the answer to `registers`, which start with x0.
    pub fn write_to(self, registers: &mut [u64]) {
        match self {
            Self::One(x0) => {
                if let Some(register) = registers.first_mut() {
                    *register = x0;
                }
            }
            Self::Four(values) => {
                for (register, value) in registers.iter_mut().zip(values) {
                    *register = value;
                }
            }
        }
    }

    /// Returns x0.
    #[must_use]
    pub const fn x0(self) -> u64 {
        match self {
            Self::One(x0) => x0,
            Self::Four([x0, ..]) => x0,
        }
    }
}

/// The errors that calls of the Arm architecture range have in common (DEN0028, 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmcccError {
    /// The call isn't implemented.
    NotSupported,
    /// The CPU doesn't need what was asked for.
    NotRequired,
    /// A parameter isn't valid.
    InvalidParameter,
}

impl SmcccError {
    /// Returns the error's code, extended to 64 bits, as callers compare either width.
    #[must_use]
    pub const fn code(self) -> i64 {
        match self {
            Self::NotSupported => -1,
            Self::NotRequired => -2,
            Self::InvalidParameter => -3,
        }
    }
}

impl fmt::Display for SmcccError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotSupported => "the call is not implemented",
            Self::NotRequired => "the CPU does not need it",
            Self::InvalidParameter => "a parameter is not valid",
        })
    }
}

impl core::error::Error for SmcccError {}

impl From<SmcccError> for Answer {
    fn from(error: SmcccError) -> Self {
        Self::One(error.code().cast_unsigned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c6_an_answer_touches_its_own_registers_only() {
        let mut registers = [7; 18];
        Answer::NOT_SUPPORTED.write_to(&mut registers);
        assert_eq!(registers[0], u64::MAX);
        assert!(registers[1..].iter().all(|x| *x == 7));
        Answer::Four([1, 2, 3, 4]).write_to(&mut registers);
        assert_eq!(registers[..5], [1, 2, 3, 4, 7]);
        assert!(registers[4..].iter().all(|x| *x == 7));
    }

    #[test]
    fn errors_have_their_codes() {
        let codes = [
            SmcccError::NotSupported,
            SmcccError::NotRequired,
            SmcccError::InvalidParameter,
        ]
        .map(SmcccError::code);
        assert_eq!(codes, [-1, -2, -3]);
        assert_eq!(
            Answer::from(SmcccError::NotSupported),
            Answer::NOT_SUPPORTED
        );
    }
}
