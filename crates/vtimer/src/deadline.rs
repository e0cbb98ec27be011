//! When a timer's line rises.

/// When a timer's line rises, in ticks of the machine's physical counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// It is high now: bring it to the vCPU; there is nothing to wait for.
    Reached,
    /// At this count, which lies ahead.
    At(u64),
    /// Not unless the guest changes the timer.
    Never,
}

impl Deadline {
    /// Returns the earlier of two deadlines.
    #[must_use]
    pub fn earliest(self, other: Self) -> Self {
        match (self, other) {
            (Self::Reached, _) | (_, Self::Reached) => Self::Reached,
            (Self::At(a), Self::At(b)) => Self::At(a.min(b)),
            (Self::At(ticks), Self::Never) | (Self::Never, Self::At(ticks)) => Self::At(ticks),
            (Self::Never, Self::Never) => Self::Never,
        }
    }

    /// Returns what EL2's own timer has to be armed for, if anything.
    #[must_use]
    pub const fn ticks(self) -> Option<u64> {
        match self {
            Self::At(ticks) => Some(ticks),
            Self::Reached | Self::Never => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_wins_in_any_order() {
        let ordered = [
            Deadline::Reached,
            Deadline::At(1),
            Deadline::At(9),
            Deadline::Never,
        ];
        for (i, a) in ordered.into_iter().enumerate() {
            for (j, b) in ordered.into_iter().enumerate() {
                let expected = if i <= j { a } else { b };
                assert_eq!(a.earliest(b), expected);
            }
        }
        assert_eq!(Deadline::At(9).ticks(), Some(9));
        assert_eq!(Deadline::Reached.ticks(), None);
    }
}
