//! The random number interface of firmware, offered to guests (DEN0098).

use crate::answer::Answer;
use crate::function::{Convention, FunctionId};
use core::fmt;

/// A call of the random number interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrngCall {
    /// TRNG_VERSION.
    Version,
    /// TRNG_FEATURES.
    Features(FunctionId),
    /// TRNG_GET_UUID.
    Uuid,
    /// TRNG_RND.
    Random {
        /// How many bits are asked for.
        bits: u64,
        /// Which of the two forms: 32-bit registers or 64-bit registers.
        convention: Convention,
    },
}

/// Where random numbers come from. Never a counter or a clock: a guest makes keys of them.
pub trait Entropy {
    /// Returns 64 conditioned random bits; `None` if the source has none at the moment.
    fn random(&mut self) -> Option<u64>;
}

/// Why a call failed (DEN0098, 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TrngError {
    /// There is no source, or no such function.
    NotSupported,
    /// 0 bits, or more than the registers hold.
    InvalidParameters,
    /// The source has too little at the moment; asking again may help.
    NoEntropy,
}

impl TrngError {
    /// Returns the error's code, extended to 64 bits.
    #[must_use]
    pub const fn code(self) -> i64 {
        match self {
            Self::NotSupported => -1,
            Self::InvalidParameters => -2,
            Self::NoEntropy => -3,
        }
    }
}

impl fmt::Display for TrngError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotSupported => "no source of random numbers",
            Self::InvalidParameters => "the number of bits is not valid",
            Self::NoEntropy => "not enough entropy",
        })
    }
}

impl core::error::Error for TrngError {}

impl From<TrngError> for Answer {
    fn from(error: TrngError) -> Self {
        Self::One(error.code().cast_unsigned())
    }
}

/// Version 1.0.
const VERSION: u64 = 0x1_0000;

/// 0d6a8b4e-57c1-4f29-9d83-e2b6140f7a35: the source behind the interface, over w0 to w3.
const UUID: [u64; 4] = [0x4e8b_6a0d, 0x294f_c157, 0xb6e2_839d, 0x357a_0f14];

impl TrngCall {
    /// Decodes functions 0x50 to 0x53 of the standard range; `None` for the rest of them.
    pub(crate) const fn decode(function: FunctionId, x1: u64) -> Option<Self> {
        let convention = function.convention();
        match function.get() {
            0x8400_0050 => Some(Self::Version),
            0x8400_0051 => Some(Self::Features(FunctionId::from_register(x1))),
            0x8400_0052 => Some(Self::Uuid),
            0x8400_0053 | 0xc400_0053 => Some(Self::Random {
                bits: convention.argument(x1),
                convention,
            }),
            _ => None,
        }
    }
}

/// Answers a call. Without a source the whole interface is absent: NOT_SUPPORTED.
pub fn trng_answer<E: Entropy>(call: TrngCall, source: Option<&mut E>) -> Answer {
    let Some(source) = source else {
        return TrngError::NotSupported.into();
    };
    match call {
        TrngCall::Version => Answer::One(VERSION),
        TrngCall::Features(function) => match TrngCall::decode(function, 0) {
            Some(_) => Answer::SUCCESS,
            None => TrngError::NotSupported.into(),
        },
        TrngCall::Uuid => Answer::Four(UUID),
        TrngCall::Random { bits, convention } => match random(bits, convention, source) {
            Ok(answer) => answer,
            Err(error) => error.into(),
        },
    }
}

/// Answers TRNG_RND: the bits stand right-aligned in registers 1 to 3, the lowest in register 3;
/// unused ones are 0 (DEN0098, 2.1.4).
fn random(
    bits: u64,
    convention: Convention,
    source: &mut impl Entropy,
) -> Result<Answer, TrngError> {
    let (width, most) = match convention {
        Convention::Smc32 => (32, 96),
        Convention::Smc64 => (64, 192),
    };
    if bits == 0 || bits > most {
        return Err(TrngError::InvalidParameters);
    }
    let mut registers = [0; 3];
    let mut left = bits;
    for register in registers.iter_mut().rev() {
        let here = left.min(width);
        if here == 0 {
            break;
        }
        let word = source.random().ok_or(TrngError::NoEntropy)?;
        *register = word & low_bits(here);
        left = left.saturating_sub(here);
    }
    let [high, middle, low] = registers;
    Ok(Answer::Four([0, high, middle, low]))
}

/// Returns a value whose low `count` bits are set, for 1 to 64.
fn low_bits(count: u64) -> u64 {
    u32::try_from(count)
        .ok()
        .and_then(|count| 64_u32.checked_sub(count))
        .and_then(|unused| u64::MAX.checked_shr(unused))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives all ones a number of times, then nothing.
    struct Ones(u32);

    impl Entropy for Ones {
        fn random(&mut self) -> Option<u64> {
            self.0 = self.0.checked_sub(1)?;
            Some(u64::MAX)
        }
    }

    fn ask(bits: u64, convention: Convention) -> Answer {
        trng_answer(TrngCall::Random { bits, convention }, Some(&mut Ones(3)))
    }

    #[test]
    fn random_bits_are_right_aligned_and_no_more_than_asked_for() {
        for bits in 1..=192 {
            let Answer::Four([0, high, middle, low]) = ask(bits, Convention::Smc64) else {
                panic!("{bits}");
            };
            let ones = u64::from(high.count_ones() + middle.count_ones() + low.count_ones());
            assert_eq!(ones, bits);
            assert_eq!(
                low,
                if bits >= 64 {
                    u64::MAX
                } else {
                    (1 << bits) - 1
                }
            );
            assert!(high == 0 || middle == u64::MAX);
        }
        for bits in 1..=96 {
            let Answer::Four([0, high, middle, low]) = ask(bits, Convention::Smc32) else {
                panic!("{bits}");
            };
            let ones = u64::from(high.count_ones() + middle.count_ones() + low.count_ones());
            assert_eq!(ones, bits);
            assert!(high.max(middle).max(low) <= 0xffff_ffff);
        }
    }

    #[test]
    fn c6_bad_numbers_of_bits_are_invalid() {
        let invalid = Answer::from(TrngError::InvalidParameters);
        for bits in [0, 97, u64::MAX] {
            assert_eq!(ask(bits, Convention::Smc32), invalid);
        }
        for bits in [0, 193, u64::MAX] {
            assert_eq!(ask(bits, Convention::Smc64), invalid);
        }
        assert_eq!(invalid.x0(), u64::MAX - 1);
    }

    #[test]
    fn a_source_that_runs_dry_gives_no_bits_at_all() {
        let call = TrngCall::Random {
            bits: 65,
            convention: Convention::Smc64,
        };
        let answer = trng_answer(call, Some(&mut Ones(1)));
        assert_eq!(answer, TrngError::NoEntropy.into());
    }

    #[test]
    fn without_a_source_there_is_no_interface() {
        for call in [
            TrngCall::Version,
            TrngCall::Uuid,
            TrngCall::Random {
                bits: 64,
                convention: Convention::Smc64,
            },
        ] {
            assert_eq!(trng_answer::<Ones>(call, None), Answer::NOT_SUPPORTED);
        }
    }

    #[test]
    fn features_know_the_functions_of_the_interface() {
        let ask = |id| trng_answer(TrngCall::Features(FunctionId::new(id)), Some(&mut Ones(0)));
        for id in [
            0x8400_0050,
            0x8400_0051,
            0x8400_0052,
            0x8400_0053,
            0xc400_0053,
        ] {
            assert_eq!(ask(id), Answer::SUCCESS);
        }
        for id in [0x8400_0054, 0xc400_0050, 0x8400_0000, 0] {
            assert_eq!(ask(id), Answer::NOT_SUPPORTED);
        }
        assert_eq!(
            trng_answer(TrngCall::Version, Some(&mut Ones(0))),
            Answer::One(0x1_0000)
        );
        assert_eq!(
            trng_answer(TrngCall::Uuid, Some(&mut Ones(0))),
            Answer::Four(UUID)
        );
    }
}
