//! Arm architecture calls (DEN0028, 7).

use crate::answer::{Answer, SmcccError};
use crate::function::FunctionId;
use crate::simple::SMCCC_VERSION;

/// SMCCC_ARCH_FEATURES.
pub(crate) const ARCH_FEATURES: u32 = 0x8000_0001;
/// SMCCC_ARCH_SOC_ID.
pub(crate) const ARCH_SOC_ID: u32 = 0x8000_0002;

/// The firmware's mitigations of speculation attacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Workaround {
    /// SMCCC_ARCH_WORKAROUND_1: CVE-2017-5715.
    One,
    /// SMCCC_ARCH_WORKAROUND_2: CVE-2018-3639.
    Two,
    /// SMCCC_ARCH_WORKAROUND_3: CVE-2017-5715 and CVE-2022-23960.
    Three,
    /// SMCCC_ARCH_WORKAROUND_4: CVE-2024-7881.
    Four,
}

impl Workaround {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::One, Self::Two, Self::Three, Self::Four];

    /// Finds the workaround of a function.
    #[must_use]
    pub const fn from_function(function: FunctionId) -> Option<Self> {
        match function.get() {
            0x8000_8000 => Some(Self::One),
            0x8000_7fff => Some(Self::Two),
            0x8000_3fff => Some(Self::Three),
            0x8000_0004 => Some(Self::Four),
            _ => None,
        }
    }

    /// Returns the function to call in the firmware.
    #[must_use]
    pub const fn function(self) -> FunctionId {
        FunctionId::new(match self {
            Self::One => 0x8000_8000,
            Self::Two => 0x8000_7fff,
            Self::Three => 0x8000_3fff,
            Self::Four => 0x8000_0004,
        })
    }
}

/// What is known about one workaround on this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mitigation {
    /// The firmware doesn't say, or a CPU is affected and there is no remedy: NOT_SUPPORTED.
    #[default]
    Unknown,
    /// At least one CPU needs the call, and it works on all: 0.
    Required,
    /// No CPU needs it: 1.
    NotRequired,
}

/// What a guest is told of the machine it runs on. It has to be the truth: a guest that is told too
/// much leaves itself open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArchTruth {
    /// CVE-2017-5715.
    pub workaround_1: Mitigation,
    /// CVE-2018-3639.
    pub workaround_2: Mitigation,
    /// CVE-2022-23960.
    pub workaround_3: Mitigation,
    /// CVE-2024-7881.
    pub workaround_4: Mitigation,
}

impl ArchTruth {
    /// Answers SMCCC_ARCH_FEATURES for `queried` (DEN0028, 7.3).
    pub const fn features(&self, queried: FunctionId) -> Answer {
        if let Some(workaround) = Workaround::from_function(queried) {
            return match self.mitigation(workaround) {
                Mitigation::Unknown => Answer::NOT_SUPPORTED,
                Mitigation::Required => Answer::SUCCESS,
                Mitigation::NotRequired => Answer::One(1),
            };
        }
        match queried.get() {
            SMCCC_VERSION | ARCH_FEATURES => Answer::SUCCESS,
            // SOC_ID names a machine that a guest can't rely on: it isn't offered.
            _ => Answer::NOT_SUPPORTED,
        }
    }

    /// Decides whether a guest's call of a workaround is passed to the firmware.
    ///
    /// # Errors
    /// [`SmcccError::NotSupported`] if the firmware doesn't offer it. A workaround that isn't
    /// required may be called all the same and does nothing: `Ok(None)`.
    pub const fn call(&self, workaround: Workaround) -> Result<Option<FunctionId>, SmcccError> {
        match self.mitigation(workaround) {
            Mitigation::Unknown => Err(SmcccError::NotSupported),
            Mitigation::NotRequired => Ok(None),
            Mitigation::Required => Ok(Some(workaround.function())),
        }
    }

    /// Returns what is known about a workaround.
    const fn mitigation(&self, workaround: Workaround) -> Mitigation {
        match workaround {
            Workaround::One => self.workaround_1,
            Workaround::Two => self.workaround_2,
            Workaround::Three => self.workaround_3,
            Workaround::Four => self.workaround_4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn j1_features_tell_the_truth_that_they_were_given() {
        let truth = ArchTruth {
            workaround_1: Mitigation::Required,
            workaround_2: Mitigation::NotRequired,
            ..ArchTruth::default()
        };
        let ask = |workaround: Workaround| truth.features(workaround.function());
        assert_eq!(ask(Workaround::One), Answer::SUCCESS);
        assert_eq!(ask(Workaround::Two), Answer::One(1));
        assert_eq!(ask(Workaround::Three), Answer::NOT_SUPPORTED);
        assert_eq!(
            truth.call(Workaround::One),
            Ok(Some(FunctionId::new(0x8000_8000)))
        );
        assert_eq!(truth.call(Workaround::Two), Ok(None));
        assert_eq!(truth.call(Workaround::Four), Err(SmcccError::NotSupported));
    }

    #[test]
    fn workarounds_survive_their_functions() {
        for workaround in Workaround::ALL {
            let again = Workaround::from_function(workaround.function());
            assert_eq!(again, Some(workaround));
        }
    }

    #[test]
    fn features_of_unknown_functions_are_not_supported() {
        let truth = ArchTruth::default();
        for id in [0, 0x8000_0002, 0x8400_0000, 0xc000_8000, u32::MAX] {
            assert_eq!(truth.features(FunctionId::new(id)), Answer::NOT_SUPPORTED);
        }
        assert_eq!(
            truth.features(FunctionId::new(0x8000_0000)),
            Answer::SUCCESS
        );
    }
}
