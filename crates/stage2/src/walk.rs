//! Walks: from a guest-physical address to its memory, as hardware would find it.

use crate::descriptor::{Attributes, Descriptor, Entry, Leaf, Level, Permissions};
use crate::geometry::Geometry;
use crate::table::Stage2;
use addr::{Address, Ipa, Pa, align_down};
use arrayvec::ArrayVec;
use core::fmt;
use machine::TableMemory;

/// What a guest-physical address stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translation {
    /// The physical address of the byte.
    pub pa: Pa,
    /// How many bytes from there on the same leaf maps, the byte included; at most 1 GiB.
    pub contiguous_bytes: u64,
    /// The leaf's attributes.
    pub attributes: Attributes,
    /// The level of the leaf: how large it is.
    pub level: Level,
}

/// An access that a guest makes, or that is made for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A load.
    Read,
    /// A store.
    Write,
    /// An instruction fetch.
    Execute,
}

impl Translation {
    /// Tells whether the guest itself may make `access`.
    #[must_use]
    pub const fn permits(self, access: Access) -> bool {
        let permissions: Permissions = self.attributes.permissions;
        match access {
            Access::Read => true,
            Access::Write => permissions.writable(),
            Access::Execute => permissions.executable(),
        }
    }
}

/// Why an address stands for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalkError {
    /// It lies beyond the guest's address size; hardware reports a level 0 translation fault.
    BeyondIpaSize {
        /// The address.
        ipa: Ipa,
    },
    /// The walk ended at an invalid descriptor.
    NotMapped {
        /// The address.
        ipa: Ipa,
        /// The level of the descriptor, as the fault status code has it.
        level: Level,
    },
}

impl fmt::Display for WalkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::BeyondIpaSize { ipa } => write!(f, "{ipa} is beyond the guest's address size"),
            Self::NotMapped { ipa, level } => write!(f, "{ipa} is not mapped ({level:?})"),
        }
    }
}

impl core::error::Error for WalkError {}

impl Stage2 {
    /// Walks the tables for `ipa`.
    ///
    /// # Errors
    /// [`WalkError`], with the level that a translation fault would report.
    pub fn walk<M: TableMemory>(&self, memory: &M, ipa: Ipa) -> Result<Translation, WalkError> {
        let geometry = self.geometry();
        if !geometry.contains(ipa) {
            return Err(WalkError::BeyondIpaSize { ipa });
        }
        let mut place = Place::start(self);
        loop {
            match place.read(memory, geometry, ipa) {
                Entry::Invalid => {
                    let level = place.level;
                    return Err(WalkError::NotMapped { ipa, level });
                }
                Entry::Leaf(leaf) => return Ok(translation(ipa, leaf, place.level)),
                Entry::Table(table) => match place.below(table) {
                    Some(below) => place = below,
                    None => {
                        let level = place.level;
                        return Err(WalkError::NotMapped { ipa, level });
                    }
                },
            }
        }
    }

    /// Translates `ipa`, or tells that nothing is mapped there; the address may be anything.
    #[must_use]
    pub fn translate<M: TableMemory>(&self, memory: &M, ipa: Ipa) -> Option<Translation> {
        self.walk(memory, ipa).ok()
    }
}

fn translation(ipa: Ipa, leaf: Leaf, level: Level) -> Translation {
    let size = level.bytes();
    let offset = ipa.get() & size.wrapping_sub(1);
    Translation {
        // The leaf is aligned to its size: nothing carries.
        pa: Pa::new(leaf.pa.get() | offset),
        contiguous_bytes: size.wrapping_sub(offset),
        attributes: leaf.attributes,
        level,
    }
}

/// A table and the level of its entries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) table: Pa,
    pub(crate) level: Level,
}

impl Place {
    /// Returns the root.
    pub(crate) fn start(tree: &Stage2) -> Self {
        Self {
            table: tree.root(),
            level: tree.geometry().start(),
        }
    }

    /// Returns the place of the next level's `table`; `None` after level 3, whose entries aren't
    /// decoded as tables.
    pub(crate) fn below(self, table: Pa) -> Option<Self> {
        let level = self.level.next()?;
        Some(Self { table, level })
    }

    /// Reads the entry for `ipa`.
    pub(crate) fn read<M: TableMemory>(self, memory: &M, geometry: Geometry, ipa: Ipa) -> Entry {
        let index = geometry.index(self.level, ipa);
        Descriptor::from_raw(memory.read(self.table, index)).decode(self.level, geometry.format())
    }

    /// Writes the entry for `ipa`.
    pub(crate) fn write<M: TableMemory>(
        self,
        memory: &mut M,
        geometry: Geometry,
        ipa: Ipa,
        descriptor: Descriptor,
    ) {
        let index = geometry.index(self.level, ipa);
        memory.write(self.table, index, descriptor.raw());
    }

    /// Returns the first address that the entry for `ipa` spans.
    pub(crate) fn span_start(self, ipa: Ipa) -> Ipa {
        Ipa::new(align_down(ipa.get(), self.level.bytes()))
    }

    /// Returns the first address after what the entry for `ipa` spans.
    pub(crate) fn span_end(self, ipa: Ipa) -> Ipa {
        // Guest addresses have at most 48 bits.
        Ipa::new(self.span_start(ipa).get().wrapping_add(self.level.bytes()))
    }

    /// Tells whether `ipa` is the first address that the table maps, or is past its last: whether a
    /// run of entries that reached it has left the table.
    pub(crate) fn left_at(self, geometry: Geometry, ipa: Ipa) -> bool {
        ipa.is_aligned(self.level.bytes()) && geometry.index(self.level, ipa) == 0
    }
}

/// The tables from the root to the one whose entry maps an address, the root first.
pub(crate) type Path = ArrayVec<Place, 4>;

impl Stage2 {
    /// Finds the tables that a walk for `ipa`, which the geometry contains, goes through, and the
    /// entry that it ends at.
    pub(crate) fn path<M: TableMemory>(&self, memory: &M, ipa: Ipa) -> (Path, Place, Entry) {
        let mut path = Path::new();
        let mut place = Place::start(self);
        loop {
            // Four levels, four places.
            let _ = path.try_push(place);
            let entry = place.read(memory, self.geometry(), ipa);
            let below = match entry {
                Entry::Table(table) => place.below(table),
                Entry::Invalid | Entry::Leaf(_) => None,
            };
            match below {
                Some(below) => place = below,
                None => return (path, place, entry),
            }
        }
    }
}
