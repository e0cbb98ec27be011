//! Writing a tree from its start to its end.

use crate::names::Names;
use crate::{
    BEGIN_NODE, COMPATIBLE_VERSION, END, END_NODE, HEADER_SIZE, MAGIC, NOP, PROP, VERSION,
};
use alloc::vec::Vec;
use core::marker::PhantomData;
use core::ops::Range;

/// Bytes before a property's value: token, length, name.
pub const PROPERTY_HEADER: usize = 12;

/// The token that readers pass over, as it stands in a blob.
pub const NOP_TOKEN: [u8; 4] = NOP.to_be_bytes();

/// Where the structure block begins: behind the header and an empty memory reservation block.
const STRUCTURE: usize = HEADER_SIZE + 16;

/// Writes a blob: each call adds to its end. The strings block holds all names of `N`, so that no
/// name is looked for.
#[derive(Clone, Debug)]
pub struct Writer<N> {
    blob: Vec<u8>,
    /// Whether a property may be added: no child of the node has been.
    is_before_children: bool,
    names: PhantomData<N>,
}

impl<N: Names> Writer<N> {
    /// Begins a blob for which `capacity` bytes are allocated; it grows if that is too little.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let mut blob = Vec::with_capacity(capacity);
        blob.resize(STRUCTURE, 0);
        Self {
            blob,
            is_before_children: false,
            names: PhantomData,
        }
    }

    /// Adds a node with what `fill` adds to it: properties first, then children. The first node is
    /// the root, with an empty name; there is no other beside it.
    pub fn node(&mut self, name: &str, fill: impl FnOnce(&mut Self)) {
        self.word(BEGIN_NODE);
        self.blob.extend_from_slice(name.as_bytes());
        self.within(fill);
    }

    /// Adds a node with a unit address.
    pub fn node_at(&mut self, name: &str, address: u64, fill: impl FnOnce(&mut Self)) {
        self.word(BEGIN_NODE);
        self.blob.extend_from_slice(name.as_bytes());
        self.blob.push(b'@');
        self.hexadecimal(address);
        self.within(fill);
    }

    /// Adds a property; returns where its value lies in the blob. [`PROPERTY_HEADER`] bytes stand
    /// before it; written over with [`NOP_TOKEN`]s from there to the value's end, of whole words,
    /// the property is gone.
    pub fn bytes(&mut self, name: N, value: &[u8]) -> Range<usize> {
        self.property(name, value.len());
        let start = self.blob.len();
        self.blob.extend_from_slice(value);
        let end = self.blob.len();
        self.pad();
        start..end
    }

    /// Adds a property without a value.
    pub fn flag(&mut self, name: N) {
        self.property(name, 0);
    }

    /// Adds a property that is one string.
    pub fn text(&mut self, name: N, text: &str) {
        self.texts(name, &[text]);
    }

    /// Adds a property that is a list of strings.
    pub fn texts(&mut self, name: N, texts: &[&str]) {
        let length = texts.iter().fold(0_usize, |length, text| {
            length.saturating_add(text.len()).saturating_add(1)
        });
        self.property(name, length);
        for text in texts {
            self.blob.extend_from_slice(text.as_bytes());
            self.blob.push(0);
        }
        self.pad();
    }

    /// Adds a property that is a path of one node with a unit address, below the root.
    pub fn path(&mut self, name: N, node: &str, address: u64) {
        self.word(PROP);
        let length = self.blob.len();
        self.word(0);
        self.word(offset(name));
        let start = self.blob.len();
        self.blob.push(b'/');
        self.blob.extend_from_slice(node.as_bytes());
        self.blob.push(b'@');
        self.hexadecimal(address);
        self.blob.push(0);
        let size = self.blob.len().saturating_sub(start);
        self.set_word(length, small(size));
        self.pad();
    }

    /// Adds a property of one cell.
    pub fn cell(&mut self, name: N, cell: u32) {
        self.cells(name, &[cell]);
    }

    /// Adds a property of cells.
    pub fn cells(&mut self, name: N, cells: &[u32]) {
        self.property(name, cells.len().saturating_mul(4));
        for cell in cells {
            self.word(*cell);
        }
    }

    /// Adds a property of numbers of two cells each.
    pub fn numbers(&mut self, name: N, numbers: &[u64]) {
        self.property(name, numbers.len().saturating_mul(8));
        for number in numbers {
            self.blob.extend_from_slice(&number.to_be_bytes());
        }
    }

    /// Ends the blob. It ought to be less than 4 GiB, the format's limit.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.word(END);
        let strings = self.blob.len();
        self.blob.extend_from_slice(N::STRINGS);
        let total = self.blob.len();
        let header = [
            MAGIC,
            small(total),
            small(STRUCTURE),
            small(strings),
            small(HEADER_SIZE),
            VERSION,
            COMPATIBLE_VERSION,
            0,
            small(N::STRINGS.len()),
            small(strings.saturating_sub(STRUCTURE)),
        ];
        for (place, word) in (0..).step_by(4).zip(header) {
            self.set_word(place, word);
        }
        self.blob
    }

    /// Ends the node's name, fills the node, and ends it.
    fn within(&mut self, fill: impl FnOnce(&mut Self)) {
        self.blob.push(0);
        self.pad();
        self.is_before_children = true;
        fill(self);
        self.word(END_NODE);
        self.is_before_children = false;
    }

    /// Begins a property.
    fn property(&mut self, name: N, length: usize) {
        debug_assert!(
            self.is_before_children,
            "{} stands after a child",
            name.text()
        );
        self.word(PROP);
        self.word(small(length));
        self.word(offset(name));
    }

    fn word(&mut self, word: u32) {
        self.blob.extend_from_slice(&word.to_be_bytes());
    }

    fn set_word(&mut self, place: usize, word: u32) {
        let rest = self.blob.get_mut(place..);
        if let Some(place) = rest.and_then(|rest| rest.first_chunk_mut()) {
            *place = word.to_be_bytes();
        }
    }

    fn pad(&mut self) {
        while !self.blob.len().is_multiple_of(4) {
            self.blob.push(0);
        }
    }

    /// Adds a number's digits, without those that would be leading zeros.
    fn hexadecimal(&mut self, number: u64) {
        let leading = number.leading_zeros() / 4;
        let digits = 16_u32.saturating_sub(leading).max(1);
        for place in (0..digits).rev() {
            let digit = number.wrapping_shr(place.wrapping_mul(4)) & 0xf;
            let digit = u8::try_from(digit).unwrap_or(0);
            let first = if digit < 10 {
                b'0'
            } else {
                b'a'.wrapping_sub(10)
            };
            self.blob.push(first.wrapping_add(digit));
        }
    }
}

fn offset<N: Names>(name: N) -> u32 {
    N::OFFSETS.get(name.index()).copied().unwrap_or(0)
}

/// Narrows a length; a blob of 4 GiB can't be written.
fn small(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
