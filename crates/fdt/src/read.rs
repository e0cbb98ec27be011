//! The header and the tokens.

use crate::error::{Block, FdtError};
use crate::node::Node;
use crate::{BEGIN_NODE, END, END_NODE, HEADER_SIZE, MAGIC, NOP, PROP, VERSION};
use zerocopy::{FromBytes, IntoBytes};

/// A blob whose header has been checked: its blocks lie inside it.
#[derive(Clone, Copy, Debug)]
pub struct Fdt<'a> {
    reservations: &'a [[u8; 16]],
    structure: &'a [u32],
    strings: &'a [u8],
}

impl<'a> Fdt<'a> {
    /// Checks the header that `blob` begins with. What follows the tree is ignored.
    ///
    /// # Errors
    /// [`FdtError`]. A blob that is not aligned to 4 bytes has a misaligned [`Block::Structure`].
    pub fn new(blob: &'a [u8]) -> Result<Self, FdtError> {
        let header = Header::read(blob)?;
        let blob = usize::try_from(header.total_size)
            .ok()
            .and_then(|size| blob.get(..size))
            .ok_or(FdtError::Truncated {
                needed: header.total_size,
                available: blob.len(),
            })?;
        if header.version < VERSION || header.compatible > VERSION {
            return Err(FdtError::BadVersion {
                version: header.version,
                compatible: header.compatible,
            });
        }
        let structure = header.block(blob, Block::Structure)?;
        let Ok(structure) = <[u32]>::ref_from_bytes(structure) else {
            return Err(header.bad(Block::Structure));
        };
        Ok(Self {
            reservations: reservations(header.block(blob, Block::Reservations)?)?,
            structure,
            strings: header.block(blob, Block::Strings)?,
        })
    }

    /// Checks the header of a blob that is exactly a tree.
    ///
    /// # Errors
    /// [`FdtError`], [`FdtError::TooLong`] if something follows the tree.
    pub fn exact(blob: &'a [u8]) -> Result<Self, FdtError> {
        let size = Header::read(blob)?.total_size;
        let available = blob.len();
        if usize::try_from(size).is_ok_and(|size| size < available) {
            return Err(FdtError::TooLong { size, available });
        }
        Self::new(blob)
    }

    /// Gives the entries of the memory reservation block: address and size in bytes.
    pub fn reservations(&self) -> impl ExactSizeIterator<Item = (u64, u64)> + use<'a> {
        self.reservations.iter().map(|entry| {
            let (address, size) = halves(entry);
            (u64::from_be_bytes(address), u64::from_be_bytes(size))
        })
    }

    /// Gives the structure block's tokens.
    #[must_use]
    pub fn tokens(&self) -> Tokens<'a> {
        Tokens {
            structure: self.structure,
            strings: self.strings,
            at: 0,
            depth: 0,
            place: Place::BeforeRoot,
        }
    }

    /// Checks the whole tree, and returns its root.
    ///
    /// # Errors
    /// [`FdtError`].
    pub fn check(&self) -> Result<Node<'a>, FdtError> {
        let mut tokens = self.tokens();
        loop {
            match tokens.next_token()? {
                Token::Property(property) => {
                    tokens.name(property.name)?;
                }
                Token::Begin(_) | Token::End => {}
                Token::Finish => return Ok(Node::root(self.tokens())),
            }
        }
    }

    /// Returns the strings block.
    pub(crate) fn strings(&self) -> &'a [u8] {
        self.strings
    }
}

/// A token of the structure block (5.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    /// A node begins; its name, without the NUL.
    Begin(&'a [u8]),
    /// A property of the node that has begun last.
    Property(Property<'a>),
    /// The node that has begun last ends.
    End,
    /// The tree ends; so does every later call.
    Finish,
}

/// A property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Property<'a> {
    /// Where its name stands in the strings block: what [`Tokens::name`] and
    /// [`crate::NameTable::find`] take.
    pub name: u32,
    /// Its value.
    pub value: &'a [u8],
}

/// The tokens in their order. Each is given only where the grammar allows it: the properties of a
/// node precede its children, and all nodes lie in one root without a name.
#[derive(Clone, Debug)]
pub struct Tokens<'a> {
    structure: &'a [u32],
    strings: &'a [u8],
    at: usize,
    depth: usize,
    place: Place,
}

/// What may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    BeforeRoot,
    /// A node has begun, or a property stood here.
    Properties,
    /// A child has ended.
    Children,
    AfterRoot,
}

impl<'a> Tokens<'a> {
    /// Returns the next token.
    ///
    /// # Errors
    /// [`FdtError`]; what follows an error has no meaning, but is bounded by the blob too.
    pub fn next_token(&mut self) -> Result<Token<'a>, FdtError> {
        loop {
            let at = self.at;
            let token = self.word()?;
            let place = self.place;
            let is_open = place == Place::Properties || place == Place::Children;
            match token {
                PROP if place == Place::Properties => return self.property().map(Token::Property),
                BEGIN_NODE if is_open || place == Place::BeforeRoot => {
                    return self.begin().map(Token::Begin);
                }
                END_NODE if is_open => {
                    self.depth = self.depth.saturating_sub(1);
                    self.place = match self.depth {
                        0 => Place::AfterRoot,
                        _ => Place::Children,
                    };
                    return Ok(Token::End);
                }
                END if place == Place::AfterRoot => {
                    self.at = at;
                    return Ok(Token::Finish);
                }
                NOP => {}
                BEGIN_NODE | END_NODE | PROP | END => {
                    let at = bytes(at);
                    return Err(FdtError::MisplacedToken { at, token });
                }
                _ => {
                    let at = bytes(at);
                    return Err(FdtError::UnknownToken { at, token });
                }
            }
        }
    }

    /// Returns the name of a property, without its NUL.
    ///
    /// # Errors
    /// [`FdtError::BadName`].
    pub fn name(&self, offset: u32) -> Result<&'a [u8], FdtError> {
        name(self.strings, offset)
    }

    /// Returns how many nodes have begun and not ended.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.depth
    }

    fn begin(&mut self) -> Result<&'a [u8], FdtError> {
        let start = self.at;
        let endless = FdtError::EndlessName { at: bytes(start) };
        let rest = self.structure.get(start..).unwrap_or_default();
        let last = rest
            .iter()
            .position(|word| has_zero(*word))
            .ok_or(endless)?;
        self.at = start.saturating_add(last).saturating_add(1);
        let in_last = match rest.get(last).map_or([0; 4], |word| word.to_ne_bytes()) {
            [0, ..] => 0,
            [_, 0, ..] => 1,
            [_, _, 0, _] => 2,
            _ => 3,
        };
        let length = bytes(last).saturating_add(in_last);
        let name = rest.as_bytes().get(..length).ok_or(endless)?;
        if self.depth == 0 && !name.is_empty() {
            return Err(FdtError::NamedRoot);
        }
        self.depth = self.depth.saturating_add(1);
        self.place = Place::Properties;
        Ok(name)
    }

    fn property(&mut self) -> Result<Property<'a>, FdtError> {
        let length = self.word()?;
        let name = self.word()?;
        let at = self.at;
        let value = self.structure.get(at..).unwrap_or_default();
        let long = FdtError::LongValue {
            at: bytes(at),
            length,
        };
        let length = usize::try_from(length).map_err(|_| long)?;
        let words = length.div_ceil(4);
        let value = value.get(..words).ok_or(long)?;
        self.at = at.saturating_add(words);
        Ok(Property {
            name,
            value: value.as_bytes().get(..length).ok_or(long)?,
        })
    }

    fn word(&mut self) -> Result<u32, FdtError> {
        match self.structure.get(self.at) {
            Some(word) => {
                self.at = self.at.saturating_add(1);
                Ok(u32::from_be(*word))
            }
            None => Err(FdtError::UnexpectedEnd { at: bytes(self.at) }),
        }
    }
}

/// Reads the name at `offset` of the strings block.
pub(crate) fn name(strings: &[u8], offset: u32) -> Result<&[u8], FdtError> {
    let bad = FdtError::BadName { offset };
    let rest = usize::try_from(offset)
        .ok()
        .and_then(|offset| strings.get(offset..))
        .ok_or(bad)?;
    let end = rest.iter().position(|byte| *byte == 0).ok_or(bad)?;
    rest.get(..end).ok_or(bad)
}

/// Tells whether one of the word's bytes is 0.
fn has_zero(word: u32) -> bool {
    word.wrapping_sub(0x0101_0101) & !word & 0x8080_8080 != 0
}

/// Turns a place in words into one in bytes.
fn bytes(words: usize) -> usize {
    words.saturating_mul(4)
}

fn halves(entry: &[u8; 16]) -> ([u8; 8], [u8; 8]) {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *entry;
    ([a, b, c, d, e, f, g, h], [i, j, k, l, m, n, o, p])
}

/// Cuts the memory reservation block at its last entry, which is 0 throughout (5.3.2).
fn reservations(bytes: &[u8]) -> Result<&[[u8; 16]], FdtError> {
    let (entries, _) = bytes.as_chunks();
    let end = entries.iter().position(|entry| *entry == [0; 16]);
    end.and_then(|end| entries.get(..end))
        .ok_or(FdtError::EndlessReservations)
}

/// The fields of the header (5.2).
struct Header {
    total_size: u32,
    structure_offset: u32,
    strings_offset: u32,
    reservations_offset: u32,
    version: u32,
    compatible: u32,
    strings_size: u32,
    structure_size: u32,
}

impl Header {
    fn read(blob: &[u8]) -> Result<Self, FdtError> {
        let length = blob.len();
        let Some(header) = blob.first_chunk::<HEADER_SIZE>() else {
            return Err(FdtError::NoHeader { length });
        };
        let (words, _) = header.as_chunks::<4>();
        let mut words = words.iter().map(|word| u32::from_be_bytes(*word));
        let mut next = || words.next().unwrap_or(0);
        let found = next();
        if found != MAGIC {
            return Err(FdtError::BadMagic { found });
        }
        let (total_size, structure_offset, strings_offset, reservations_offset) =
            (next(), next(), next(), next());
        let (version, compatible, _boot_cpu) = (next(), next(), next());
        let (strings_size, structure_size) = (next(), next());
        Ok(Self {
            total_size,
            structure_offset,
            strings_offset,
            reservations_offset,
            version,
            compatible,
            strings_size,
            structure_size,
        })
    }

    /// Cuts a block out of the blob.
    fn block<'a>(&self, blob: &'a [u8], block: Block) -> Result<&'a [u8], FdtError> {
        let (offset, size) = self.place(block);
        let offset = usize::try_from(offset).map_err(|_| self.bad(block))?;
        let rest = blob.get(offset..).ok_or(self.bad(block))?;
        match block {
            Block::Reservations => Ok(rest),
            Block::Structure | Block::Strings => usize::try_from(size)
                .ok()
                .and_then(|size| rest.get(..size))
                .ok_or(self.bad(block)),
        }
    }

    /// Returns offset and size of a block, in bytes.
    fn place(&self, block: Block) -> (u32, u32) {
        match block {
            Block::Reservations => (self.reservations_offset, 0),
            Block::Structure => (self.structure_offset, self.structure_size),
            Block::Strings => (self.strings_offset, self.strings_size),
        }
    }

    fn bad(&self, block: Block) -> FdtError {
        let (offset, size) = self.place(block);
        FdtError::BadBlock {
            block,
            offset,
            size,
        }
    }
}
