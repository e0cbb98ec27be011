//! A device tree's nodes with what they inherit: the meaning of their addresses and interrupts.

use crate::address_space::AddressSpace;
use crate::error::{BoardError, PropertyValue};
use addr::PaRange;
use alloc::string::String;
use alloc::vec::Vec;
use arrayvec::ArrayVec;
use fdt::{Fdt, NameTable, Names, Token, Tokens};

/// The most that arm64's boot protocol allows a blob to have, in bytes.
pub const MAX_TREE_SIZE: usize = 2 * 1024 * 1024;

/// How deep nodes may nest. What describes a machine lies at depth 4 at most.
pub(crate) const MAX_DEPTH: usize = 16;

fdt::names! {
    /// The properties that are read; all others are passed over.
    pub(crate) enum Name {
        AddressCells = "#address-cells",
        Bootargs = "bootargs",
        ClockFrequency = "clock-frequency",
        ClockNames = "clock-names",
        Clocks = "clocks",
        Compatible = "compatible",
        DeviceType = "device_type",
        EnableMethod = "enable-method",
        InitrdEnd = "linux,initrd-end",
        InitrdStart = "linux,initrd-start",
        InterruptCells = "#interrupt-cells",
        InterruptNames = "interrupt-names",
        InterruptParent = "interrupt-parent",
        Interrupts = "interrupts",
        Method = "method",
        Model = "model",
        Phandle = "phandle",
        Ranges = "ranges",
        RedistributorRegions = "#redistributor-regions",
        RedistributorStride = "redistributor-stride",
        Reg = "reg",
        RngSeed = "rng-seed",
        SizeCells = "#size-cells",
        Status = "status",
        StdoutPath = "stdout-path",
    }
}

/// How many properties are read.
const NAMES: usize = Name::ALL.len();

/// A device tree whose header has been checked.
pub(crate) struct Tree<'a> {
    fdt: Fdt<'a>,
}

/// A node of the tree.
#[derive(Clone)]
pub(crate) struct TreeNode<'a> {
    /// Names from the root's child down to this node; empty for the root.
    names: ArrayVec<&'a [u8], MAX_DEPTH>,
    /// The values of what is read, by [`Names::index`].
    values: [Option<&'a [u8]>; NAMES],
    /// Where the node's properties begin.
    tokens: Tokens<'a>,
    /// How `reg` of this node is read.
    space: AddressSpace,
    inherited_parent: Option<u32>,
}

/// What a node's children inherit.
struct Inherited {
    /// How their `reg` is read.
    space: AddressSpace,
    interrupt_parent: Option<u32>,
}

impl<'a> Tree<'a> {
    /// Checks that `blob` starts with a tree's header; what follows the tree is ignored.
    pub(crate) fn new(blob: &'a [u8]) -> Result<Self, BoardError> {
        let size = total_size(blob)?;
        let blob = blob.get(..size).ok_or(BoardError::Truncated {
            needed: size,
            available: blob.len(),
        })?;
        let fdt = Fdt::new(blob).map_err(BoardError::Malformed)?;
        Ok(Self { fdt })
    }

    /// Gives the memory reservation block's entries: start and size.
    pub(crate) fn memory_reservations(&self) -> impl Iterator<Item = (u64, u64)> + 'a {
        self.fdt.reservations()
    }

    /// Calls `visit` for each node in the tree's order, and checks the whole tree by that. This is
    /// the one pass over it.
    pub(crate) fn visit(
        &self,
        mut visit: impl FnMut(&TreeNode<'a>) -> Result<(), BoardError>,
    ) -> Result<(), BoardError> {
        let mut names = NameTable::<Name>::new(&self.fdt);
        let mut tokens = self.fdt.tokens();
        // What is inherited from each open node whose children have begun.
        let mut open: ArrayVec<Inherited, MAX_DEPTH> = ArrayVec::new();
        let mut node = TreeNode {
            names: ArrayVec::new(),
            values: [None; NAMES],
            tokens: tokens.clone(),
            space: AddressSpace::none(),
            inherited_parent: None,
        };
        // A node is visited at what follows its properties: then they are complete.
        let mut is_complete = true;
        loop {
            match tokens.next_token().map_err(BoardError::Malformed)? {
                Token::Property(property) => {
                    let name = names.find(property.name).map_err(BoardError::Malformed)?;
                    if let Some(name) = name
                        && let Some(value) = node.values.get_mut(name.index())
                    {
                        value.get_or_insert(property.value);
                    }
                }
                Token::Begin(name) if tokens.depth() > 1 => {
                    if !is_complete {
                        visit(&node)?;
                        let inherited = node.inherited();
                        open.try_push(inherited).map_err(|_| node.too_deep())?;
                    }
                    node.enter(name, &tokens, open.last())?;
                    is_complete = false;
                }
                // The root begins.
                Token::Begin(_) => {
                    node.tokens = tokens.clone();
                    is_complete = false;
                }
                Token::End => {
                    if is_complete {
                        open.pop();
                    } else {
                        visit(&node)?;
                    }
                    node.names.pop();
                    is_complete = true;
                }
                Token::Finish => return Ok(()),
            }
        }
    }
}

impl<'a> TreeNode<'a> {
    /// Returns the names from the root's child down to this node; none for the root.
    pub(crate) fn names(&self) -> &[&'a [u8]] {
        &self.names
    }

    /// Returns the node's path, for messages.
    pub(crate) fn path(&self) -> String {
        if self.names.is_empty() {
            return String::from("/");
        }
        let mut path = String::new();
        for name in &self.names {
            path.push('/');
            path.push_str(&String::from_utf8_lossy(name));
        }
        path
    }

    /// Tells whether `path` leads to this node; a name in it without a unit address matches any.
    pub(crate) fn is_at(&self, path: &str) -> bool {
        let mut wanted = path.split('/').filter(|name| !name.is_empty());
        let matches = |name: &[u8]| {
            let wanted = wanted.next().map(str::as_bytes);
            wanted == Some(name) || wanted == Some(base_name(name))
        };
        path.starts_with('/') && self.names.iter().copied().all(matches) && wanted.next().is_none()
    }

    /// Returns a property's raw value.
    pub(crate) fn property(&self, name: Name) -> Option<&'a [u8]> {
        self.values.get(name.index()).copied().flatten()
    }

    /// Finds a property that is not among those that are read.
    pub(crate) fn other_property(&self, name: &str) -> Option<&'a [u8]> {
        let mut tokens = self.tokens.clone();
        while let Ok(Token::Property(property)) = tokens.next_token() {
            if tokens.name(property.name) == Ok(name.as_bytes()) {
                return Some(property.value);
            }
        }
        None
    }

    /// Returns a property of exactly one cell; `None` also where it has another size.
    pub(crate) fn cell(&self, name: Name) -> Option<u32> {
        let bytes: [u8; 4] = self.property(name)?.try_into().ok()?;
        Some(u32::from_be_bytes(bytes))
    }

    /// Returns a property's cells, which must be whole.
    pub(crate) fn cells(
        &self,
        name: Name,
        wanted: &'static str,
    ) -> Result<Option<Cells<'a>>, BoardError> {
        let Some(value) = self.property(name) else {
            return Ok(None);
        };
        let (cells, rest) = value.as_chunks();
        if !rest.is_empty() {
            return Err(self.bad(name, PropertyValue::Bytes(value.len()), wanted));
        }
        Ok(Some(Cells(cells)))
    }

    /// Returns a property that is one string, with its NUL removed.
    pub(crate) fn text(
        &self,
        name: Name,
        wanted: &'static str,
    ) -> Result<Option<&'a str>, BoardError> {
        let Some(value) = self.property(name) else {
            return Ok(None);
        };
        match text(value) {
            Some(text) => Ok(Some(text)),
            None => Err(self.bad(name, PropertyValue::Bytes(value.len()), wanted)),
        }
    }

    /// Gives the strings of a string list.
    pub(crate) fn strings(&self, name: Name) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let value = self.property(name).unwrap_or_default();
        value
            .strip_suffix(&[0])
            .unwrap_or_default()
            .split(|byte| *byte == 0)
            .filter(|text| !text.is_empty())
    }

    /// Tells whether the node may be used (Devicetree Specification, 2.3.4).
    pub(crate) fn is_enabled(&self) -> bool {
        match self.property(Name::Status) {
            Some(status) => status == b"okay\0" || status == b"ok\0",
            None => true,
        }
    }

    /// Reads `reg` as physical ranges, translated through all buses above.
    pub(crate) fn regions(&self) -> Result<Vec<PaRange>, BoardError> {
        self.space.regions(self)
    }

    /// Returns the phandle of the controller that the node's interrupts go to.
    pub(crate) fn interrupt_parent(&self) -> Option<u32> {
        self.cell(Name::InterruptParent).or(self.inherited_parent)
    }

    /// Makes the error for a property's value.
    pub(crate) fn bad(
        &self,
        property: Name,
        value: PropertyValue,
        wanted: &'static str,
    ) -> BoardError {
        BoardError::BadProperty {
            node: self.path(),
            property: property.text(),
            value,
            wanted,
        }
    }

    /// Makes the error for a property that is missing.
    pub(crate) fn missing(&self, property: Name, wanted: &'static str) -> BoardError {
        BoardError::MissingProperty {
            node: self.path(),
            property: property.text(),
            wanted,
        }
    }

    /// Becomes a child, without properties yet.
    fn enter(
        &mut self,
        name: &'a [u8],
        tokens: &Tokens<'a>,
        inherited: Option<&Inherited>,
    ) -> Result<(), BoardError> {
        if self.names.is_full() {
            return Err(self.too_deep());
        }
        self.names.push(name);
        self.values = [None; NAMES];
        self.tokens = tokens.clone();
        if let Some(inherited) = inherited {
            self.space = inherited.space.clone();
            self.inherited_parent = inherited.interrupt_parent;
        }
        Ok(())
    }

    fn too_deep(&self) -> BoardError {
        BoardError::TooDeep { node: self.path() }
    }

    fn inherited(&self) -> Inherited {
        Inherited {
            space: if self.names.is_empty() {
                AddressSpace::of_root(self)
            } else {
                AddressSpace::below(self, &self.space)
            },
            interrupt_parent: self.interrupt_parent(),
        }
    }
}

/// Returns a name without its unit address.
pub(crate) fn base_name(name: &[u8]) -> &[u8] {
    match name.iter().position(|byte| *byte == b'@') {
        Some(end) => name.get(..end).unwrap_or(name),
        None => name,
    }
}

/// Tells whether a name, without its unit address, is `base`.
pub(crate) fn is_named(name: &[u8], base: &[u8]) -> bool {
    name.strip_prefix(base)
        .is_some_and(|rest| rest.first().is_none_or(|next| *next == b'@'))
}

/// Returns a value that is one string, without its NUL.
pub(crate) fn text(value: &[u8]) -> Option<&str> {
    value
        .strip_suffix(&[0])
        .filter(|text| !text.contains(&0))
        .and_then(|text| core::str::from_utf8(text).ok())
}

/// The 32-bit big-endian cells of a property.
#[derive(Clone, Copy)]
pub(crate) struct Cells<'a>(&'a [[u8; 4]]);

impl<'a> Cells<'a> {
    /// Takes a property's value, cut into cells.
    pub(crate) fn new(cells: &'a [[u8; 4]]) -> Self {
        Self(cells)
    }

    /// Returns how many cells there are.
    pub(crate) fn len(self) -> usize {
        self.0.len()
    }

    /// Returns cell `index`.
    pub(crate) fn get(self, index: usize) -> Option<u32> {
        self.0.get(index).copied().map(u32::from_be_bytes)
    }

    /// Gives groups of `size` cells; an incomplete last one is left out, as is everything if `size`
    /// is 0.
    pub(crate) fn groups(self, size: usize) -> impl Iterator<Item = Cells<'a>> {
        let whole = if size == 0 { &[] } else { self.0 };
        whole.chunks_exact(size.max(1)).map(Cells)
    }

    /// Splits after `count` cells; `None` if there are fewer.
    pub(crate) fn split_at(self, count: usize) -> Option<(Cells<'a>, Cells<'a>)> {
        let (first, rest) = self.0.split_at_checked(count)?;
        Some((Cells(first), Cells(rest)))
    }

    /// Reads up to two cells as one number; `None` if there are more.
    pub(crate) fn number(self) -> Option<u64> {
        match self.0 {
            [] => Some(0),
            [low] => Some(u64::from(u32::from_be_bytes(*low))),
            [high, low] => {
                let high = u64::from(u32::from_be_bytes(*high));
                Some(high << 32 | u64::from(u32::from_be_bytes(*low)))
            }
            _ => None,
        }
    }
}

/// Reads the header's magic and total size (Devicetree Specification, 5.2).
fn total_size(blob: &[u8]) -> Result<usize, BoardError> {
    const HEADER_SIZE: usize = 40;
    let Some((header, _)) = blob.split_first_chunk::<HEADER_SIZE>() else {
        return Err(BoardError::Truncated {
            needed: HEADER_SIZE,
            available: blob.len(),
        });
    };
    let [m0, m1, m2, m3, s0, s1, s2, s3, ..] = *header;
    // A wrong magic is left to the parser: it then reports that, and not a nonsense size.
    if [m0, m1, m2, m3] != [0xd0, 0x0d, 0xfe, 0xed] {
        return Ok(blob.len().min(MAX_TREE_SIZE));
    }
    let size = usize::try_from(u32::from_be_bytes([s0, s1, s2, s3])).unwrap_or(usize::MAX);
    if size > MAX_TREE_SIZE {
        return Err(BoardError::TooLarge { size });
    }
    Ok(size)
}
