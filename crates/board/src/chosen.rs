//! What the loader hands over in /chosen.

use crate::error::BoardError;
use crate::memory;
use crate::tree::{Name, TreeNode};
use addr::PaRange;
use alloc::string::String;
use alloc::vec::Vec;

/// What the loader hands over (Devicetree Specification, 3.6).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Chosen {
    /// The command line; empty if there is none.
    pub bootargs: String,
    /// The initial RAM disk, in which we are given the archive of guests.
    pub initrd: Option<PaRange>,
    /// Secret random bytes for seeding; empty if there are none. Not shown by `Debug`.
    pub rng_seed: Vec<u8>,
}

impl core::fmt::Debug for Chosen {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Chosen")
            .field("bootargs", &self.bootargs)
            .field("initrd", &self.initrd)
            .field("rng_seed", &format_args!("{} bytes", self.rng_seed.len()))
            .finish()
    }
}

/// Reads /chosen; a tree without it hands over nothing.
pub(crate) fn chosen(node: Option<&TreeNode<'_>>) -> Result<Chosen, BoardError> {
    const ADDRESS: &str = "an address in one or two cells";
    const PAIR: &str = "given together with linux,initrd-start, and after it";
    let Some(node) = node else {
        return Ok(Chosen::default());
    };
    let start = memory::address(node, Name::InitrdStart, ADDRESS)?;
    let end = memory::address(node, Name::InitrdEnd, ADDRESS)?;
    let initrd = match (start, end) {
        (Some(start), Some(end)) => Some(memory::between(node, start, end, Name::InitrdEnd, PAIR)?),
        (Some(_), None) => return Err(node.missing(Name::InitrdEnd, PAIR)),
        (None, Some(_)) => {
            let wanted = "given together with linux,initrd-end";
            return Err(node.missing(Name::InitrdStart, wanted));
        }
        (None, None) => None,
    };
    let bootargs = node.text(Name::Bootargs, "one string")?.unwrap_or_default();
    let rng_seed = node.property(Name::RngSeed).unwrap_or_default();
    Ok(Chosen {
        bootargs: String::from(bootargs),
        initrd,
        rng_seed: rng_seed.to_vec(),
    })
}
