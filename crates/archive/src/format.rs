//! What reader and writer have in common: the fields of a header, their order and the limits.

/// Most entries that the reader accepts, padding included. It bounds the search for duplicates.
pub const MAX_ENTRIES: usize = 512;

/// Longest name of an entry in bytes, without its NUL.
pub const MAX_NAME: usize = 1023;

/// Name of the entries that only move the next entry's data to a boundary. The reader checks them
/// and never shows them; unlike all others they may occur more than once.
pub const PADDING_NAME: &str = ".padding";

/// Name of the entry that ends an archive.
pub(crate) const TRAILER_NAME: &str = "TRAILER!!!";

/// The first bytes of each header.
pub(crate) const MAGIC: &[u8; 6] = b"070701";

/// Size of a header in bytes: the magic and 13 fields.
pub(crate) const HEADER_SIZE: usize = 110;

/// Digits of one field.
pub(crate) const FIELD_DIGITS: usize = 8;

/// Names and data are padded to this many bytes.
pub(crate) const ALIGNMENT: u64 = 4;

/// The fields of a header that the reader looks at, by their place after the magic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Mode = 1,
    FileSize = 6,
    NameSize = 11,
}

impl Field {
    /// Returns the name that the format's description uses.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Mode => "c_mode",
            Self::FileSize => "c_filesize",
            Self::NameSize => "c_namesize",
        }
    }
}

/// What an entry describes: the file type in bits 15–12 of its mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link; its data is the target.
    Symlink,
    /// The node of a character device.
    CharacterDevice,
    /// The node of a block device.
    BlockDevice,
}

impl EntryKind {
    /// All kinds.
    pub(crate) const ALL: [Self; 5] = [
        Self::File,
        Self::Directory,
        Self::Symlink,
        Self::CharacterDevice,
        Self::BlockDevice,
    ];

    /// The bits of a mode that hold the file type.
    pub(crate) const MASK: u32 = 0o170_000;

    /// Returns the file type as it stands in a mode.
    pub(crate) const fn mode(self) -> u32 {
        match self {
            Self::File => 0o100_000,
            Self::Directory => 0o040_000,
            Self::Symlink => 0o120_000,
            Self::CharacterDevice => 0o020_000,
            Self::BlockDevice => 0o060_000,
        }
    }

    /// Finds the kind in a mode; `None` if it is another one, such as a socket.
    pub(crate) fn from_mode(mode: u32) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.mode() == mode & Self::MASK)
    }
}
