//! Block split and merge by break-before-make (Arm ARM, D8.16.1).
//!
//! The steps, in this order: the new table is filled while nothing points to it; the old descriptor
//! is made invalid; every translation of the whole block leaves all TLBs; the new descriptor is
//! written. The first two are an edit, the last two its [`PendingInvalidation`].

use crate::descriptor::{Descriptor, Entry, Leaf, Level};
use crate::edit::EditError;
use crate::geometry::Geometry;
use crate::pending::{Make, Owed, PendingInvalidation};
use crate::table::Stage2;
use crate::walk::Place;
use addr::{Address, Ipa, IpaRange, PAGE_SIZE, Pa};
use machine::TableMemory;

impl Stage2 {
    /// Splits the block that maps `ipa` into 512 blocks or pages of the next size. A page stays as
    /// it is.
    ///
    /// # Errors
    /// [`EditError::NotMapped`], [`EditError::BeyondIpaSize`], [`EditError::NoTableMemory`] or
    /// [`EditError::InvalidationOwed`]. Nothing has changed then.
    pub fn split<M: TableMemory>(
        &mut self,
        memory: &mut M,
        ipa: Ipa,
    ) -> Result<PendingInvalidation<'_>, EditError> {
        self.check_page_of(ipa)?;
        let (_, place, entry) = self.path(memory, ipa);
        match entry {
            Entry::Leaf(leaf) => {
                self.owed = plan_split(memory, self.geometry(), place, ipa, leaf)?;
                Ok(PendingInvalidation::new(self, None))
            }
            // A walk never ends at a table.
            Entry::Invalid | Entry::Table(_) => Err(EditError::NotMapped { ipa }),
        }
    }

    /// Merges the table that maps `ipa` at the lowest level into one block of the level above.
    ///
    /// # Errors
    /// [`EditError::NotMergeable`] if the table's entries don't make one aligned block of equal
    /// attributes; otherwise as [`Stage2::split`]. Nothing has changed then.
    pub fn merge<M: TableMemory>(
        &mut self,
        memory: &mut M,
        ipa: Ipa,
    ) -> Result<PendingInvalidation<'_>, EditError> {
        self.check_page_of(ipa)?;
        let (path, _, _) = self.path(memory, ipa);
        let &[.., parent, child] = path.as_slice() else {
            return Err(EditError::NotMergeable { ipa });
        };
        self.owed = plan_merge(memory, self.geometry(), parent, child, ipa)?;
        Ok(PendingInvalidation::new(self, None))
    }

    fn check_page_of(&self, ipa: Ipa) -> Result<(), EditError> {
        let page =
            IpaRange::new(ipa.page(), PAGE_SIZE).map_err(|_| EditError::NotMapped { ipa })?;
        self.check(page)
    }
}

/// Breaks the block `leaf`, which maps `ipa` in the table `place`, and plans the table that takes
/// its place. A page is left alone.
pub(crate) fn plan_split<M: TableMemory>(
    memory: &mut M,
    geometry: Geometry,
    place: Place,
    ipa: Ipa,
    leaf: Leaf,
) -> Result<Owed, EditError> {
    let Some(level) = place.level.next() else {
        return Ok(Owed::default());
    };
    let table = memory.allocate(0).ok_or(EditError::NoTableMemory { ipa })?;
    for index in 0..512 {
        let descriptor = Descriptor::leaf(part(leaf, level, index), level, geometry.format());
        memory.write(table, index, descriptor.raw());
    }
    place.write(memory, geometry, ipa, Descriptor::INVALID);
    Ok(planned(geometry, place, ipa, Descriptor::table(table)))
}

/// Breaks the entry of `parent` for `ipa`, which points to `child`, and plans the block that takes
/// its place.
fn plan_merge<M: TableMemory>(
    memory: &mut M,
    geometry: Geometry,
    parent: Place,
    child: Place,
    ipa: Ipa,
) -> Result<Owed, EditError> {
    let entry = |index| {
        let raw = memory.read(child.table, index);
        Descriptor::from_raw(raw).decode(child.level, geometry.format())
    };
    let Entry::Leaf(first) = entry(0) else {
        return Err(EditError::NotMergeable {
            ipa: parent.span_start(ipa),
        });
    };
    let stranger =
        (0..512).find(|&index| entry(index) != Entry::Leaf(part(first, child.level, index)));
    if !parent.level.has_leaves()
        || !first.pa.is_aligned(parent.level.bytes())
        || stranger.is_some()
    {
        let offset = offset(child.level, stranger.unwrap_or(0));
        return Err(EditError::NotMergeable {
            ipa: Ipa::new(parent.span_start(ipa).get() | offset),
        });
    }
    parent.write(memory, geometry, ipa, Descriptor::INVALID);
    let block = Descriptor::leaf(first, parent.level, geometry.format());
    let mut owed = planned(geometry, parent, ipa, block);
    // A fresh list has room.
    let _ = owed.free.try_push(child.table);
    Ok(owed)
}

/// Plans the write of `descriptor` for `ipa` after everything that the entry spans has left the
/// TLBs: a TLB may hold the block under any of its addresses.
fn planned(geometry: Geometry, place: Place, ipa: Ipa, descriptor: Descriptor) -> Owed {
    Owed {
        changed: IpaRange::between(place.span_start(ipa), place.span_end(ipa)),
        make: Some(Make {
            place,
            index: geometry.index(place.level, ipa),
            descriptor,
        }),
        ..Owed::default()
    }
}

/// Returns entry `index` of the table that maps the same memory as `leaf` at the next `level`.
fn part(leaf: Leaf, level: Level, index: usize) -> Leaf {
    Leaf {
        pa: Pa::new(leaf.pa.get().wrapping_add(offset(level, index))),
        attributes: leaf.attributes,
    }
}

/// Returns the distance from a table's first entry to entry `index`, in bytes.
fn offset(level: Level, index: usize) -> u64 {
    (index as u64).wrapping_mul(level.bytes())
}
