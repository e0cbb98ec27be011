//! Slices and arrays by length.

/// The lengths that a slice pattern or a group of slices stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Lengths {
    /// Exactly this many elements.
    Exactly(u64),
    /// At least `prefix + suffix` elements, with those at the two ends told apart.
    AtLeast { prefix: u64, suffix: u64 },
}

impl Lengths {
    /// Makes the lengths of a pattern, for an array if `array` is given.
    pub(crate) fn of_pattern(prefix: u64, rest: bool, suffix: u64, array: Option<u64>) -> Lengths {
        let named = prefix.saturating_add(suffix);
        if rest && array != Some(named) {
            Lengths::AtLeast { prefix, suffix }
        } else {
            Lengths::Exactly(named)
        }
    }

    /// Returns how many elements have a place of their own.
    pub(crate) fn arity(self) -> u64 {
        match self {
            Lengths::Exactly(len) => len,
            Lengths::AtLeast { prefix, suffix } => prefix.saturating_add(suffix),
        }
    }

    /// Says whether a pattern with these lengths matches all slices of the group.
    pub(crate) fn covers(self, group: Lengths) -> bool {
        match (self, group) {
            (Lengths::Exactly(a), Lengths::Exactly(b)) => a == b,
            (Lengths::Exactly(_), Lengths::AtLeast { .. }) => false,
            (Lengths::AtLeast { .. }, _) => self.arity() <= group.arity(),
        }
    }
}

/// Groups all lengths so that every seen pattern matches a group wholly or not at all, and says
/// of each group whether something seen covers it.
///
/// Slices shorter than a bound `L` stand alone. All others behave alike, since no pattern looks
/// further than its own prefix and suffix, so one group stands for them, with enough places at
/// both ends for any pattern. Length 0 stands alone, because an element type may be empty.
pub(crate) fn split(array: Option<u64>, seen: &[Lengths]) -> Vec<(Lengths, bool)> {
    let mut prefix = 0;
    let mut suffix = 0;
    let mut longest_exact = 0;
    for lengths in seen {
        match *lengths {
            Lengths::Exactly(len) => longest_exact = longest_exact.max(len),
            Lengths::AtLeast {
                prefix: p,
                suffix: s,
            } => {
                prefix = prefix.max(p);
                suffix = suffix.max(s);
            }
        }
    }
    // The open group must be longer than any exact pattern.
    let bound = longest_exact.saturating_add(1);
    prefix = prefix.max(bound.saturating_sub(suffix));
    let open = Lengths::AtLeast { prefix, suffix };
    let groups: Vec<Lengths> = match array {
        Some(len) if open.arity() >= len => vec![Lengths::Exactly(len)],
        Some(_) => vec![open],
        None => (0..open.arity())
            .map(Lengths::Exactly)
            .chain([open])
            .collect(),
    };
    // One look at the seen lengths answers for every group.
    let mut exact: Vec<u64> = Vec::new();
    let mut shortest_open = u64::MAX;
    for lengths in seen {
        match lengths {
            Lengths::Exactly(len) => exact.push(*len),
            Lengths::AtLeast { .. } => shortest_open = shortest_open.min(lengths.arity()),
        }
    }
    exact.sort_unstable();
    groups
        .into_iter()
        .map(|group| {
            let by_exact =
                matches!(group, Lengths::Exactly(len) if exact.binary_search(&len).is_ok());
            (group, by_exact || shortest_open <= group.arity())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_below_the_bound_stand_alone() {
        let seen = [
            Lengths::Exactly(1),
            Lengths::AtLeast {
                prefix: 1,
                suffix: 2,
            },
        ];
        let groups = split(None, &seen);
        let open = Lengths::AtLeast {
            prefix: 1,
            suffix: 2,
        };
        assert_eq!(
            groups,
            [
                (Lengths::Exactly(0), false),
                (Lengths::Exactly(1), true),
                (Lengths::Exactly(2), false),
                (open, true),
            ]
        );
    }

    #[test]
    fn open_group_is_longer_than_any_exact_pattern() {
        let groups = split(None, &[Lengths::Exactly(2)]);
        assert_eq!(groups.last().unwrap().0.arity(), 3);
        assert_eq!(groups.iter().filter(|g| g.1).count(), 1);
    }

    #[test]
    fn an_array_is_one_group() {
        assert_eq!(
            split(Some(2), &[Lengths::Exactly(2)]),
            [(Lengths::Exactly(2), true)]
        );
        let long = Lengths::AtLeast {
            prefix: 1,
            suffix: 1,
        };
        assert_eq!(split(Some(9), &[long]), [(long, true)]);
    }
}
