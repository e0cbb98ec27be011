//! One thing that is done to both sides.

use super::Request;
use addr::Width;
use device_model::Level;
use std::fmt;

/// One access, or one change of an input. Offsets count from the subject's first address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A read.
    Read {
        /// Where, in bytes.
        offset: u64,
        /// How much.
        width: Width,
    },
    /// A write.
    Write {
        /// Where, in bytes.
        offset: u64,
        /// How much.
        width: Width,
        /// What, in the low bits.
        value: u64,
    },
    /// An input of the device, or of the interrupt controller, is driven.
    Input {
        /// Its number.
        number: u32,
        /// Its new level.
        level: Level,
    },
    /// A request to a block device.
    Request(Request),
}

impl Operation {
    /// Makes a read of 32 bits.
    #[must_use]
    pub const fn read(offset: u64) -> Self {
        Self::Read {
            offset,
            width: Width::Word,
        }
    }

    /// Makes a write of 32 bits.
    #[must_use]
    pub const fn write(offset: u64, value: u64) -> Self {
        Self::Write {
            offset,
            width: Width::Word,
            value: value & Width::Word.mask(),
        }
    }

    /// Returns the offset of an access.
    #[must_use]
    pub const fn offset(&self) -> Option<u64> {
        match *self {
            Self::Read { offset, .. } | Self::Write { offset, .. } => Some(offset),
            Self::Input { .. } | Self::Request(_) => None,
        }
    }

    /// Returns the offset and the width of a read.
    #[must_use]
    pub const fn as_read(&self) -> Option<(u64, Width)> {
        match *self {
            Self::Read { offset, width } => Some((offset, width)),
            Self::Write { .. } | Self::Input { .. } | Self::Request(_) => None,
        }
    }

    /// Tells whether this reads a byte of `bytes` bytes at `first`.
    #[must_use]
    pub fn reads(&self, first: u64, bytes: u64) -> bool {
        self.as_read()
            .is_some_and(|(offset, width)| offset < first + bytes && first < offset + width.bytes())
    }

    /// Returns the command of the qtest protocol; `inputs` is the path of what has the
    /// inputs. A request is many.
    #[must_use]
    pub fn command(&self, base: u64, inputs: &str) -> Option<String> {
        Some(match *self {
            Self::Read { offset, width } => {
                format!("read{} {:#x}", letter(width), base.wrapping_add(offset))
            }
            Self::Write {
                offset,
                width,
                value,
            } => {
                let address = base.wrapping_add(offset);
                format!("write{} {address:#x} {value:#x}", letter(width))
            }
            Self::Input { number, level } => {
                let level = u32::from(level == Level::High);
                format!("set_irq_in {inputs} unnamed-gpio-in {number} {level}")
            }
            Self::Request(_) => return None,
        })
    }

    /// Reads an access from a command of the qtest protocol; `None` if it is none, or lies elsewhere.
    #[must_use]
    pub fn from_command(command: &str, base: u64) -> Option<Self> {
        let number = |word: &str| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok();
        let mut words = command.split_whitespace();
        let (name, address) = (words.next()?, number(words.next()?)?);
        let offset = address.checked_sub(base)?;
        let (name, last) = name.split_at(name.len().checked_sub(1)?);
        let width = Width::ALL
            .into_iter()
            .find(|width| last == letter(*width).to_string())?;
        match (name, words.next()) {
            ("read", None) => Some(Self::Read { offset, width }),
            ("write", Some(value)) => Some(Self::Write {
                offset,
                width,
                value: number(value)?,
            }),
            _ => None,
        }
    }
}

fn letter(width: Width) -> char {
    match width {
        Width::Byte => 'b',
        Width::Half => 'w',
        Width::Word => 'l',
        Width::Double => 'q',
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Read { offset, width } => write!(f, "read{} +{offset:#05x}", letter(width)),
            Self::Write {
                offset,
                width,
                value,
            } => write!(f, "write{} +{offset:#05x} {value:#x}", letter(width)),
            Self::Input { number, level } => write!(f, "input {number} {level:?}"),
            Self::Request(request) => request.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_those_of_the_protocol() {
        let high = Operation::Input {
            number: 3,
            level: Level::High,
        };
        for (operation, command) in [
            (Operation::read(0x18), "readl 0x9000018"),
            (Operation::write(4, u64::MAX), "writel 0x9000004 0xffffffff"),
            (high, "set_irq_in /gic unnamed-gpio-in 3 1"),
        ] {
            assert_eq!(operation.command(0x900_0000, "/gic").unwrap(), command);
            let read_back = Operation::from_command(command, 0x900_0000);
            assert_eq!(read_back.unwrap_or(high), operation);
        }
    }

    #[test]
    fn a_read_touches_what_it_covers() {
        let read = Operation::Read {
            offset: 4,
            width: Width::Word,
        };
        assert!(read.reads(4, 1) && read.reads(0, 5) && read.reads(7, 9));
        assert!(!read.reads(0, 4) && !read.reads(8, 1));
        assert!(!Operation::write(4, 0).reads(4, 4));
    }
}
