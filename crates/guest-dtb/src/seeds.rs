//! The tree of a VM, and the random numbers that each start of its guest finds in it.

use alloc::vec::Vec;

/// Bytes of [`Seeds::random`].
pub(crate) const RANDOM: usize = 32;

/// Bytes of [`Seeds::kaslr`].
pub(crate) const KASLR: usize = 8;

/// Random numbers for one start of a guest. They are secret, so that there is no `Debug`.
#[derive(Clone)]
pub struct Seeds {
    /// For the guest's random number generator (`rng-seed`).
    pub random: [u8; RANDOM],
    /// For the place of the guest's kernel (`kaslr-seed`).
    pub kaslr: [u8; KASLR],
}

/// A VM's device tree: the same at each start of the guest, but for the [`Seeds`].
#[derive(Clone, Debug)]
pub struct GuestTree {
    pub(crate) blob: Vec<u8>,
    /// Where the values of the seeds begin.
    pub(crate) random: usize,
    pub(crate) kaslr: usize,
}

/// What is written over a part of the tree.
#[derive(Clone, Copy)]
pub struct Patch<'a> {
    /// Where, in bytes from the tree's start.
    pub offset: usize,
    /// What.
    pub bytes: &'a [u8],
}

impl GuestTree {
    /// Returns the blob. It has seeds of zeros, which no guest may find: [`GuestTree::patches`] says
    /// what to write over them.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.blob
    }

    /// Returns what to write over the seeds' places: the seeds, or what takes the properties out.
    #[must_use]
    pub fn patches<'a>(&self, seeds: Option<&'a Seeds>) -> [Patch<'a>; 2] {
        match seeds {
            Some(seeds) => [
                Patch {
                    offset: self.random,
                    bytes: &seeds.random,
                },
                Patch {
                    offset: self.kaslr,
                    bytes: &seeds.kaslr,
                },
            ],
            None => [
                Patch {
                    offset: self.random.saturating_sub(fdt::PROPERTY_HEADER),
                    bytes: NO_RANDOM.as_flattened(),
                },
                Patch {
                    offset: self.kaslr.saturating_sub(fdt::PROPERTY_HEADER),
                    bytes: NO_KASLR.as_flattened(),
                },
            ],
        }
    }
}

/// What stands in the place of a property with its header.
static NO_RANDOM: [[u8; 4]; (fdt::PROPERTY_HEADER + RANDOM) / 4] = [fdt::NOP_TOKEN; _];
static NO_KASLR: [[u8; 4]; (fdt::PROPERTY_HEADER + KASLR) / 4] = [fdt::NOP_TOKEN; _];
