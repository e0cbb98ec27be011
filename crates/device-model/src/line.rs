//! The interrupt line of a device, and the order of its changes.

/// The level of an interrupt line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Not asserted.
    #[default]
    Low,
    /// Asserted.
    High,
}

impl From<bool> for Level {
    fn from(asserted: bool) -> Self {
        if asserted { Self::High } else { Self::Low }
    }
}

/// The levels of all lines of a device: bit n is set if line n is asserted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Levels(pub u32);

impl Levels {
    /// Returns the level of line `number`; low for numbers above 31.
    #[must_use]
    pub const fn get(self, number: u8) -> Level {
        if number < 32 && (self.0 >> number) & 1 != 0 {
            Level::High
        } else {
            Level::Low
        }
    }
}

impl From<Level> for Levels {
    fn from(level: Level) -> Self {
        Self(u32::from(level == Level::High))
    }
}

/// A change of a line. The number grows by one (modulo 2³²) with each change of a device's lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineUpdate {
    /// Which line of the device: 0 for most devices, which have one.
    pub line: u8,
    /// The new level.
    pub level: Level,
    /// Which change this is.
    pub sequence: u32,
}

/// The device's end of its interrupt lines; under the device's lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineState {
    levels: Levels,
    sequence: u32,
}

impl LineState {
    /// Returns the level that was driven last on line 0.
    #[must_use]
    pub const fn level(&self) -> Level {
        self.levels.get(0)
    }

    /// Returns the levels that were driven last.
    #[must_use]
    pub const fn levels(&self) -> Levels {
        self.levels
    }

    /// Drives `levels`; returns the next change, or `None` if all lines have their level already.
    /// To be called until it returns `None`: at most 32 times.
    #[inline]
    pub fn drive(&mut self, levels: impl Into<Levels>) -> Option<LineUpdate> {
        let levels = levels.into();
        let changed = self.levels.0 ^ levels.0;
        if changed == 0 {
            return None;
        }
        // Below 32: a bit is set.
        let [line, ..] = changed.trailing_zeros().to_le_bytes();
        self.levels.0 ^= changed & changed.wrapping_neg();
        self.sequence = self.sequence.wrapping_add(1);
        Some(LineUpdate {
            line,
            level: levels.get(line),
            sequence: self.sequence,
        })
    }
}

/// The interrupt controller's end of an interrupt line; under the lock of the interrupt's state.
///
/// Updates are applied after the device's lock is released, so two CPUs can bring theirs in the
/// wrong order. Without the number, a line could stay at a level that the device left long ago.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineGate {
    sequence: u32,
}

impl LineGate {
    /// Returns the level to set, or `None` if a later update has been here before.
    pub fn accept(&mut self, update: LineUpdate) -> Option<Level> {
        // Fewer than 2³¹ updates can be on their way: there are not that many CPUs.
        let ahead = update.sequence.wrapping_sub(self.sequence);
        if ahead == 0 || ahead > u32::MAX / 2 {
            return None;
        }
        self.sequence = update.sequence;
        Some(update.level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changes_are_driven() {
        let mut line = LineState::default();
        assert_eq!(line.drive(Level::Low), None);
        let up = line.drive(Level::High).unwrap();
        assert_eq!((up.level, up.sequence), (Level::High, 1));
        assert_eq!(line.drive(Level::High), None);
        assert_eq!(line.drive(Level::Low).unwrap().sequence, 2);
    }

    #[test]
    fn an_update_that_was_overtaken_is_dropped() {
        let mut line = LineState::default();
        let up = line.drive(Level::High).unwrap();
        let down = line.drive(Level::Low).unwrap();
        let mut gate = LineGate::default();
        assert_eq!(gate.accept(down), Some(Level::Low));
        assert_eq!(gate.accept(up), None);
        assert_eq!(gate.accept(down), None);
    }

    #[test]
    fn lines_change_one_at_a_time() {
        let mut state = LineState::default();
        let mut changes = std::vec::Vec::new();
        for levels in [Levels(0x8000_0001), Levels(0x8000_0000)] {
            while let Some(update) = state.drive(levels) {
                changes.push((update.line, update.level, update.sequence));
            }
            assert_eq!(state.levels(), levels);
        }
        assert_eq!(
            changes,
            [
                (0, Level::High, 1),
                (31, Level::High, 2),
                (0, Level::Low, 3)
            ]
        );
    }

    #[test]
    fn the_number_may_wrap() {
        let mut line = LineState {
            levels: Levels(0),
            sequence: u32::MAX,
        };
        let mut gate = LineGate { sequence: u32::MAX };
        let update = line.drive(Level::High).unwrap();
        assert_eq!(update.sequence, 0);
        assert_eq!(gate.accept(update), Some(Level::High));
    }
}
