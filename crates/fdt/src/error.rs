//! Why bytes are no flattened device tree.

use core::fmt;

/// A part of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block {
    /// The memory reservation block.
    Reservations,
    /// The structure block.
    Structure,
    /// The strings block.
    Strings,
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reservations => "memory reservation block",
            Self::Structure => "structure block",
            Self::Strings => "strings block",
        })
    }
}

/// Why bytes are no flattened device tree. Places are in bytes from the start of the structure
/// block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FdtError {
    /// There are fewer bytes than a header has.
    NoHeader {
        /// How many there are.
        length: usize,
    },
    /// The bytes begin with something else.
    BadMagic {
        /// The first word.
        found: u32,
    },
    /// There are fewer bytes than the header says.
    Truncated {
        /// What the header says, in bytes.
        needed: u32,
        /// How many there are.
        available: usize,
    },
    /// Something follows the tree where nothing may.
    TooLong {
        /// The tree's size as the header says it, in bytes.
        size: u32,
        /// How many bytes there are.
        available: usize,
    },
    /// The version is none that can be read.
    BadVersion {
        /// The version.
        version: u32,
        /// The oldest version that it is compatible with.
        compatible: u32,
    },
    /// A block is not inside the blob, or not aligned as it must be.
    BadBlock {
        /// Which one.
        block: Block,
        /// Its offset from the blob's start, in bytes.
        offset: u32,
        /// Its size in bytes; 0 for the memory reservation block, which has none.
        size: u32,
    },
    /// The memory reservation block has no end.
    EndlessReservations,
    /// The structure block ends before the tree does.
    UnexpectedEnd {
        /// Where.
        at: usize,
    },
    /// A token is none that exists.
    UnknownToken {
        /// Where.
        at: usize,
        /// The token.
        token: u32,
    },
    /// A token can't stand where it does: a property after a node, a second root, too many ends.
    MisplacedToken {
        /// Where.
        at: usize,
        /// The token.
        token: u32,
    },
    /// A node's name has no end.
    EndlessName {
        /// Where the name begins.
        at: usize,
    },
    /// The root has a name.
    NamedRoot,
    /// A property's value goes beyond the structure block.
    LongValue {
        /// Where the value begins.
        at: usize,
        /// Its length in bytes.
        length: u32,
    },
    /// A property's name is not in the strings block.
    BadName {
        /// Its offset in the strings block.
        offset: u32,
    },
}

impl fmt::Display for FdtError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NoHeader { length } => write!(f, "{length} bytes are less than a header"),
            Self::BadMagic { found } => write!(
                f,
                "the magic number is {found:#x}; must be {:#x}",
                crate::MAGIC
            ),
            Self::Truncated { needed, available } => {
                write!(f, "{needed} bytes are needed and {available} are there")
            }
            Self::TooLong { size, available } => {
                write!(f, "there are {available} bytes; the header says {size}")
            }
            Self::BadVersion {
                version,
                compatible,
            } => write!(
                f,
                "the version is {version}, compatible with {compatible}; only {} can be read",
                crate::VERSION
            ),
            Self::BadBlock {
                block,
                offset,
                size,
            } => write!(
                f,
                "the {block} of {size:#x} bytes at {offset:#x} is misaligned or outside the blob"
            ),
            Self::EndlessReservations => {
                write!(f, "the {} has no end", Block::Reservations)
            }
            Self::UnexpectedEnd { at } => {
                write!(f, "the structure block ends at {at:#x}, before the tree")
            }
            Self::UnknownToken { at, token } => {
                write!(f, "the structure block has token {token:#x} at {at:#x}")
            }
            Self::MisplacedToken { at, token } => write!(
                f,
                "the structure block has token {token:#x} at {at:#x}, where it can't stand"
            ),
            Self::EndlessName { at } => write!(f, "the node's name at {at:#x} has no end"),
            Self::NamedRoot => f.write_str("the root has a name"),
            Self::LongValue { at, length } => write!(
                f,
                "the value of {length:#x} bytes at {at:#x} goes beyond the structure block"
            ),
            Self::BadName { offset } => {
                write!(f, "there is no name at {offset:#x} of the strings block")
            }
        }
    }
}

impl core::error::Error for FdtError {}
