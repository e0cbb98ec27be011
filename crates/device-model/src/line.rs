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

/// A change of a line. The number grows by one (modulo 2³²) with each change of that line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineUpdate {
    /// The new level.
    pub level: Level,
    /// Which change of the line this is.
    pub sequence: u32,
}

/// The device's end of an interrupt line; under the device's lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineState {
    level: Level,
    sequence: u32,
}

impl LineState {
    /// Returns the level that was driven last.
    #[must_use]
    pub const fn level(&self) -> Level {
        self.level
    }

    /// Drives `level`; returns the change, or `None` if the line has that level already.
    pub fn drive(&mut self, level: Level) -> Option<LineUpdate> {
        if level == self.level {
            return None;
        }
        self.level = level;
        self.sequence = self.sequence.wrapping_add(1);
        Some(LineUpdate {
            level,
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
    fn the_number_may_wrap() {
        let mut line = LineState {
            level: Level::Low,
            sequence: u32::MAX,
        };
        let mut gate = LineGate { sequence: u32::MAX };
        let update = line.drive(Level::High).unwrap();
        assert_eq!(update.sequence, 0);
        assert_eq!(gate.accept(update), Some(Level::High));
    }
}
