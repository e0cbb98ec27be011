//! The tree: its root, its shape, and what it still owes.

use crate::edit::EditError;
use crate::geometry::Geometry;
use crate::pending::Owed;
use addr::Pa;
use machine::TableMemory;

/// One VM's stage 2 translation tables.
///
/// The memory of the tables is given to every call rather than owned: all of a machine's trees share
/// one allocator, each through its own quota. Dropping a tree leaks its tables; end it with
/// [`Stage2::destroy`].
#[derive(Debug)]
pub struct Stage2 {
    root: Pa,
    geometry: Geometry,
    pub(crate) owed: Owed,
}

impl Stage2 {
    /// Allocates the root of an empty tree.
    ///
    /// # Errors
    /// [`EditError::NoTableMemory`] if `memory` has no room for the root.
    pub fn new<M: TableMemory>(memory: &mut M, geometry: Geometry) -> Result<Self, EditError> {
        let root = memory
            .allocate(geometry.root_order())
            .ok_or(EditError::NoTableMemory {
                ipa: addr::Ipa::new(0),
            })?;
        Ok(Self {
            root,
            geometry,
            owed: Owed::default(),
        })
    }

    /// Returns the physical address of the root.
    #[must_use]
    pub const fn root(&self) -> Pa {
        self.root
    }

    /// Returns the shape of the tree.
    #[must_use]
    pub const fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Returns VTTBR_EL2 for a CPU that runs the tree's VM under `vmid` (Arm ARM, D24.2.204). CnP
    /// is 0.
    #[must_use]
    pub const fn vttbr(&self, vmid: u16) -> u64 {
        (vmid as u64) << 48 | self.root.get()
    }
}
