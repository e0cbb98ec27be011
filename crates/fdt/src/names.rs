//! The property names that a reader or a writer knows.

use crate::error::FdtError;
use crate::read::{self, Fdt};

/// Names of properties; [`names!`](crate::names!) implements it.
pub trait Names: Copy + Eq + 'static {
    /// All names.
    const ALL: &'static [Self];
    /// Their texts, in the order of [`Names::ALL`].
    const TEXTS: &'static [&'static str];
    /// A strings block of all texts, each with its NUL.
    const STRINGS: &'static [u8];
    /// Where each text stands in [`Names::STRINGS`], in the order of [`Names::ALL`].
    const OFFSETS: &'static [u32];

    /// Returns the name's place in [`Names::ALL`].
    fn index(self) -> usize;

    /// Returns the name as it stands in a tree.
    fn text(self) -> &'static str {
        Self::TEXTS.get(self.index()).copied().unwrap_or_default()
    }
}

/// Declares an enum of property names, and implements [`Names`] for it.
#[macro_export]
macro_rules! names {
    (
        $(#[$attribute:meta])*
        $visibility:vis enum $enum:ident {
            $($(#[$name_attribute:meta])* $name:ident = $text:literal,)+
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $visibility enum $enum {
            $($(#[$name_attribute])* $name,)+
        }

        impl $crate::Names for $enum {
            const ALL: &'static [Self] = &[$(Self::$name,)+];
            const TEXTS: &'static [&'static str] = &[$($text,)+];
            const STRINGS: &'static [u8] =
                &$crate::layout::strings::<{ $crate::layout::size(&[$($text,)+]) }>(&[$($text,)+]);
            const OFFSETS: &'static [u32] =
                &$crate::layout::offsets::<{ [$($text,)+].len() }>(&[$($text,)+]);

            fn index(self) -> usize {
                self as usize
            }
        }
    };
}

/// What [`names!`](crate::names!) computes when it is compiled.
#[doc(hidden)]
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "evaluated by the compiler, which refuses what goes wrong; a strings block is small"
)]
pub mod layout {
    /// Returns the size of a strings block, in bytes.
    #[must_use]
    pub const fn size(texts: &[&str]) -> usize {
        let (mut size, mut index) = (0, 0);
        while index < texts.len() {
            size += texts[index].len() + 1;
            index += 1;
        }
        size
    }

    /// Makes a strings block of `SIZE` bytes.
    #[must_use]
    pub const fn strings<const SIZE: usize>(texts: &[&str]) -> [u8; SIZE] {
        let mut block = [0; SIZE];
        let (mut at, mut index) = (0, 0);
        while index < texts.len() {
            let text = texts[index].as_bytes();
            let mut byte = 0;
            while byte < text.len() {
                block[at] = text[byte];
                at += 1;
                byte += 1;
            }
            at += 1;
            index += 1;
        }
        block
    }

    /// Returns where each text begins.
    #[must_use]
    pub const fn offsets<const COUNT: usize>(texts: &[&str]) -> [u32; COUNT] {
        let mut offsets = [0; COUNT];
        let (mut at, mut index) = (0, 0);
        while index < texts.len() {
            offsets[index] = at as u32;
            at += texts[index].len() + 1;
            index += 1;
        }
        offsets
    }
}

/// Finds which known name, if any, stands at an offset of a tree's strings block. A text is read
/// and compared when its offset is seen first; a later property of that name costs a few
/// instructions.
#[derive(Clone, Debug)]
pub struct NameTable<'a, N> {
    strings: &'a [u8],
    /// Offset and name, at a place that follows from the offset.
    seen: [(u32, Option<N>); SEEN],
}

/// How many names are remembered: more than the trees of most machines have.
const SEEN: usize = 128;

/// No offset: no strings block is so large.
const NOWHERE: u32 = u32::MAX;

impl<'a, N: Names> NameTable<'a, N> {
    /// Makes the table of a tree.
    #[must_use]
    pub fn new(fdt: &Fdt<'a>) -> Self {
        Self {
            strings: fdt.strings(),
            seen: [(NOWHERE, None); SEEN],
        }
    }

    /// Finds the name at `offset`; `None` if it is none of the known ones.
    ///
    /// # Errors
    /// [`FdtError::BadName`] if no name stands there.
    pub fn find(&mut self, offset: u32) -> Result<Option<N>, FdtError> {
        let Some(seen) = usize::try_from(offset)
            .ok()
            .and_then(|offset| self.seen.get_mut((offset ^ (offset / SEEN)) % SEEN))
        else {
            return Err(FdtError::BadName { offset });
        };
        if seen.0 == offset && offset != NOWHERE {
            return Ok(seen.1);
        }
        let text = read::name(self.strings, offset)?;
        let known = N::ALL.iter().zip(N::TEXTS);
        let name = known
            .filter(|(_, known)| known.as_bytes() == text)
            .map(|(name, _)| *name)
            .next();
        *seen = (offset, name);
        Ok(name)
    }
}
