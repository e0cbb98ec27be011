//! A device tree's nodes with what they inherit: the meaning of their addresses and interrupts.

use crate::address_space::AddressSpace;
use crate::error::{BoardError, PropertyValue};
use addr::PaRange;
use alloc::string::String;
use alloc::vec::Vec;
use arrayvec::ArrayVec;
use dtoolkit::fdt::{Fdt, FdtNode};
use dtoolkit::{Node, Property};

/// The most that arm64's boot protocol allows a blob to have, in bytes.
pub const MAX_TREE_SIZE: usize = 2 * 1024 * 1024;

/// How deep nodes may nest. What describes a machine lies at depth 4 at most; the bound keeps a
/// hostile tree from costing more than a few passes over its bytes.
pub(crate) const MAX_DEPTH: usize = 16;

/// A well-formed device tree.
pub(crate) struct Tree<'a> {
    fdt: Fdt<'a>,
}

/// A node of the tree.
#[derive(Clone)]
pub(crate) struct TreeNode<'a> {
    node: FdtNode<'a>,
    /// Names from the root's child down to this node; empty for the root.
    names: ArrayVec<&'a str, MAX_DEPTH>,
    /// How `reg` of this node is read.
    space: AddressSpace,
    /// How `reg` of this node's children is read.
    child_space: AddressSpace,
    interrupt_parent: Option<u32>,
}

impl<'a> Tree<'a> {
    /// Checks that `blob` starts with a well-formed tree; what follows it is ignored.
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
        self.fdt
            .memory_reservations()
            .map(|entry| (entry.address(), entry.size()))
    }

    /// Returns the root node.
    pub(crate) fn root(&self) -> TreeNode<'a> {
        let node = self.fdt.root();
        let mut root = TreeNode {
            node,
            names: ArrayVec::new(),
            space: AddressSpace::none(),
            child_space: AddressSpace::none(),
            interrupt_parent: None,
        };
        root.interrupt_parent = root.cell("interrupt-parent");
        root.child_space = AddressSpace::of_root(&root);
        root
    }

    /// Finds the node at `path`, which starts with a slash.
    pub(crate) fn find(&self, path: &str) -> Result<Option<TreeNode<'a>>, BoardError> {
        if !path.starts_with('/') {
            return Ok(None);
        }
        let mut node = self.root();
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let Some(child) = node.child(name)? else {
                return Ok(None);
            };
            node = child;
        }
        Ok(Some(node))
    }

    /// Finds the first node in the tree's order that `wanted` accepts.
    pub(crate) fn find_where(
        &self,
        wanted: impl Fn(&TreeNode<'a>) -> bool,
    ) -> Result<Option<TreeNode<'a>>, BoardError> {
        let root = self.root();
        let mut open = Vec::new();
        open.push((root.node.children(), root));
        while let Some((children, parent)) = open.last_mut() {
            let Some(child) = children.next() else {
                open.pop();
                continue;
            };
            let child = parent.enter(child)?;
            if wanted(&child) {
                return Ok(Some(child));
            }
            open.push((child.node.children(), child));
        }
        Ok(None)
    }

    /// Finds the first enabled node with `compatible` in its list.
    pub(crate) fn find_compatible(
        &self,
        compatible: &str,
    ) -> Result<Option<TreeNode<'a>>, BoardError> {
        self.find_where(|node| node.is_enabled() && node.is_compatible(compatible))
    }

    /// Finds the node that `phandle` refers to.
    pub(crate) fn find_phandle(&self, phandle: u32) -> Result<Option<TreeNode<'a>>, BoardError> {
        self.find_where(|node| node.cell("phandle") == Some(phandle))
    }
}

impl<'a> TreeNode<'a> {
    /// Returns the node's path, for messages.
    pub(crate) fn path(&self) -> String {
        if self.names.is_empty() {
            return String::from("/");
        }
        let mut path = String::new();
        for name in &self.names {
            path.push('/');
            path.push_str(name);
        }
        path
    }

    /// Returns the node's name without its unit address.
    pub(crate) fn base_name(&self) -> &'a str {
        let name = self.names.last().copied().unwrap_or("");
        name.split_once('@').map_or(name, |(base, _)| base)
    }

    /// Gives the children in the tree's order.
    pub(crate) fn children(
        &self,
    ) -> impl Iterator<Item = Result<TreeNode<'a>, BoardError>> + use<'a, '_> {
        self.node.children().map(|child| self.enter(child))
    }

    /// Finds a child by name; a name without a unit address matches any.
    pub(crate) fn child(&self, name: &str) -> Result<Option<TreeNode<'a>>, BoardError> {
        self.node
            .child(name)
            .map(|child| self.enter(child))
            .transpose()
    }

    /// Returns a property's raw value.
    pub(crate) fn property(&self, name: &str) -> Option<&'a [u8]> {
        self.node
            .property(name)
            .and_then(|property| property.value_as().ok())
    }

    /// Returns a property of exactly one cell; `None` also where it has another size.
    pub(crate) fn cell(&self, name: &str) -> Option<u32> {
        let bytes: [u8; 4] = self.property(name)?.try_into().ok()?;
        Some(u32::from_be_bytes(bytes))
    }

    /// Returns a property's cells, which must be whole.
    pub(crate) fn cells(
        &self,
        name: &'static str,
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
        name: &'static str,
        wanted: &'static str,
    ) -> Result<Option<&'a str>, BoardError> {
        let Some(value) = self.property(name) else {
            return Ok(None);
        };
        let text = value
            .strip_suffix(&[0])
            .filter(|text| !text.contains(&0))
            .and_then(|text| core::str::from_utf8(text).ok());
        match text {
            Some(text) => Ok(Some(text)),
            None => Err(self.bad(name, PropertyValue::Bytes(value.len()), wanted)),
        }
    }

    /// Gives the strings of a string list; what is not UTF-8 is left out.
    pub(crate) fn strings(&self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let value = self.property(name).unwrap_or_default();
        value
            .strip_suffix(&[0])
            .unwrap_or_default()
            .split(|byte| *byte == 0)
            .filter_map(|text| core::str::from_utf8(text).ok())
            .filter(|text| !text.is_empty())
    }

    /// Tells whether the node's list of what it is compatible with has `compatible`.
    pub(crate) fn is_compatible(&self, compatible: &str) -> bool {
        self.strings("compatible").any(|text| text == compatible)
    }

    /// Tells whether the node may be used (Devicetree Specification, 2.3.4).
    pub(crate) fn is_enabled(&self) -> bool {
        match self.property("status") {
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
        self.interrupt_parent
    }

    /// Makes the error for a property's value.
    pub(crate) fn bad(
        &self,
        property: &'static str,
        value: PropertyValue,
        wanted: &'static str,
    ) -> BoardError {
        BoardError::BadProperty {
            node: self.path(),
            property,
            value,
            wanted,
        }
    }

    /// Makes the error for a property that is missing.
    pub(crate) fn missing(&self, property: &'static str, wanted: &'static str) -> BoardError {
        BoardError::MissingProperty {
            node: self.path(),
            property,
            wanted,
        }
    }

    fn enter(&self, child: FdtNode<'a>) -> Result<TreeNode<'a>, BoardError> {
        let mut names = self.names.clone();
        if names.try_push(child.name()).is_err() {
            return Err(BoardError::TooDeep { node: self.path() });
        }
        let mut node = TreeNode {
            node: child,
            names,
            space: self.child_space.clone(),
            child_space: AddressSpace::none(),
            interrupt_parent: self.interrupt_parent,
        };
        if let Some(parent) = node.cell("interrupt-parent") {
            node.interrupt_parent = Some(parent);
        }
        node.child_space = AddressSpace::below(&node, &self.child_space);
        Ok(node)
    }
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
