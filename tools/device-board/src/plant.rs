//! Bugs to plant: what shows that a comparison would find one.
//!
//! A planted bug changes what a device gets when certain registers are written, or what a reader
//! sees, as a mistake in its model would.

use addr::Width;

/// A mistake in one behavior of one device.
#[derive(Clone, Copy, Debug)]
pub struct Plant {
    /// Its name on the command line.
    pub name: &'static str,
    /// The comparisons that have to find it.
    pub subjects: &'static [&'static str],
    /// The device, by its name on the board.
    pub device: &'static str,
    /// What is wrong, for people.
    pub what: &'static str,
    on: On,
    /// The first register that it touches, and the first that it does not.
    offsets: (u64, u64),
    change: fn(u64) -> u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum On {
    Read,
    Write,
}

/// All of them; at least one for each device that is compared.
pub const PLANTS: &[Plant] = &[
    Plant {
        name: "pl011-clear",
        subjects: &["pl011"],
        device: "pl011",
        what: "UARTICR clears the transmit interrupt too",
        on: On::Write,
        offsets: (0x44, 0x48),
        change: |value| value | 1 << 5,
    },
    Plant {
        name: "pl011-flags",
        subjects: &["pl011"],
        device: "pl011",
        what: "UARTFR does not show the full receive FIFO",
        on: On::Read,
        offsets: (0x18, 0x1c),
        change: |value| value & !(1 << 6),
    },
    Plant {
        name: "pl031-clear",
        subjects: &["pl031"],
        device: "pl031",
        what: "RTCICR does not clear",
        on: On::Write,
        offsets: (0x1c, 0x20),
        change: |_| 0,
    },
    Plant {
        name: "pl061-event",
        subjects: &["pl061"],
        device: "pl061",
        what: "pin 2 always interrupts on the falling edge",
        on: On::Write,
        offsets: (0x40c, 0x410),
        change: |value| value & !(1 << 2),
    },
    Plant {
        name: "hpet-narrow",
        subjects: &["hpet"],
        device: "hpet",
        what: "timer 1 always has 64 bits",
        on: On::Write,
        offsets: (0x120, 0x124),
        change: |value| value & !(1 << 8),
    },
    Plant {
        name: "gicd-enable",
        subjects: &["gicd"],
        device: "gicd",
        what: "one interrupt of each register cannot be disabled",
        on: On::Write,
        offsets: (0x180, 0x200),
        change: |value| value & !(1 << 9),
    },
    Plant {
        name: "gicr-configuration",
        subjects: &["gicr"],
        device: "gicr",
        what: "PPI 20 cannot be made edge-triggered",
        on: On::Write,
        offsets: (0x1_0c04, 0x1_0c08),
        change: |value| value & !(1 << 9),
    },
    Plant {
        name: "virtio-mmio-status",
        subjects: &["virtio-mmio", "virtio-mmio-legacy"],
        device: "virtio-mmio.31",
        what: "FAILED is not kept",
        on: On::Write,
        offsets: (0x70, 0x74),
        change: |value| value & !0x80,
    },
    Plant {
        name: "virtio-mmio-configuration",
        subjects: &["virtio-blk", "virtio-blk-packed", "virtio-blk-legacy"],
        device: "virtio-mmio.31",
        what: "the capacity is a sector too small",
        on: On::Read,
        offsets: (0x100, 0x104),
        change: |value| value.wrapping_sub(1),
    },
    Plant {
        name: "virtio-mmio-acknowledge",
        subjects: &["virtio-blk", "virtio-blk-packed", "virtio-blk-legacy"],
        device: "virtio-mmio.31",
        what: "InterruptACK does not clear",
        on: On::Write,
        offsets: (0x64, 0x68),
        change: |_| 0,
    },
];

/// Finds a bug by its name.
#[must_use]
pub fn find(name: &str) -> Option<Plant> {
    PLANTS.iter().copied().find(|plant| plant.name == name)
}

impl Plant {
    /// Returns what the device gets of a write.
    #[must_use]
    pub fn written(&self, device: &str, offset: u64, value: u64) -> u64 {
        self.apply(On::Write, device, offset, value)
    }

    /// Returns what a reader gets.
    #[must_use]
    pub fn read(&self, device: &str, offset: u64, width: Width, value: u64) -> u64 {
        self.apply(On::Read, device, offset, value) & width.mask()
    }

    fn apply(&self, on: On, device: &str, offset: u64, value: u64) -> u64 {
        let hit = self.on == on
            && self.device == device
            && (self.offsets.0..self.offsets.1).contains(&offset);
        if hit { (self.change)(value) } else { value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planted_bug_touches_its_registers_only() {
        let plant = find("pl031-clear").unwrap();
        assert_eq!(plant.written("pl031", 0x1c, 1), 0);
        assert_eq!(plant.written("pl031", 0x18, 1), 1);
        assert_eq!(plant.written("pl011", 0x1c, 1), 1);
        assert_eq!(plant.read("pl031", 0x1c, Width::Word, 1), 1);
    }

    #[test]
    fn names_are_unique() {
        for plant in PLANTS {
            assert_eq!(find(plant.name).unwrap().what, plant.what);
        }
    }
}
