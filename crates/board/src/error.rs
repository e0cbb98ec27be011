//! Why a device tree does not describe a machine that we can run on.

use addr::PaRange;
use alloc::string::String;
use core::fmt;
use fdt::FdtError;

/// Why a device tree was refused. Each error names the node, the property and the value at fault,
/// and says what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BoardError {
    /// The blob is shorter than its header says, or than a header.
    Truncated {
        /// How many bytes the header asks for (or a header has), in bytes.
        needed: usize,
        /// How many bytes there are.
        available: usize,
    },
    /// The blob is larger than the arm64 boot protocol allows.
    TooLarge {
        /// What the header says, in bytes.
        size: usize,
    },
    /// The blob is not a flattened device tree (Devicetree Specification, chapter 5).
    Malformed(FdtError),
    /// A node lies deeper in the tree than any that describes a machine.
    TooDeep {
        /// Path of the node.
        node: String,
    },
    /// A node that every machine has is missing.
    MissingNode {
        /// What was looked for.
        wanted: &'static str,
    },
    /// A node lacks a property.
    MissingProperty {
        /// Path of the node.
        node: String,
        /// Name of the property.
        property: &'static str,
        /// What would be right.
        wanted: &'static str,
    },
    /// A property has a value that can't be.
    BadProperty {
        /// Path of the node.
        node: String,
        /// Name of the property.
        property: &'static str,
        /// The value found.
        value: PropertyValue,
        /// What would be right.
        wanted: &'static str,
    },
    /// Two regions that must be apart share addresses.
    Overlap {
        /// What the first is.
        first: PaRange,
        /// What the second is.
        second: PaRange,
        /// What the two are.
        what: &'static str,
    },
    /// Two CPUs have the same affinity.
    DuplicateCpu {
        /// Path of the second node.
        node: String,
        /// The `reg` that both have.
        mpidr: u64,
    },
    /// There are more CPUs than the hypervisor has room for.
    TooManyCpus {
        /// Path of the first node too many.
        node: String,
    },
    /// The redistributor regions are too small for the CPUs.
    TooFewRedistributors {
        /// Path of the interrupt controller's node.
        node: String,
        /// How many redistributors fit.
        available: u64,
        /// How many CPUs there are.
        cpus: usize,
    },
}

/// A property's value, as far as it was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PropertyValue {
    /// A number.
    Number(u64),
    /// A string.
    Text(String),
    /// A region: its start and its size in bytes.
    Region {
        /// First address.
        start: u64,
        /// Size in bytes.
        size: u64,
    },
    /// Something of an unexpected length in bytes.
    Bytes(usize),
}

impl fmt::Display for PropertyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number:#x}"),
            Self::Text(text) => write!(f, "\"{text}\""),
            Self::Region { start, size } => write!(f, "{size:#x} bytes at {start:#x}"),
            Self::Bytes(length) => write!(f, "{length} bytes"),
        }
    }
}

impl fmt::Display for BoardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { needed, available } => write!(
                f,
                "the device tree is cut off: it needs {needed} bytes and has {available}"
            ),
            Self::TooLarge { size } => write!(
                f,
                "the device tree's totalsize is {size} bytes; at most {} are allowed",
                crate::MAX_TREE_SIZE
            ),
            Self::Malformed(error) => write!(f, "the device tree is malformed: {error}"),
            Self::TooDeep { node } => write!(
                f,
                "{node}: nodes may nest {} levels deep",
                crate::tree::MAX_DEPTH
            ),
            Self::MissingNode { wanted } => write!(f, "the device tree has no {wanted}"),
            Self::MissingProperty {
                node,
                property,
                wanted,
            } => write!(f, "{node}: {property} is missing; it must be {wanted}"),
            Self::BadProperty {
                node,
                property,
                value,
                wanted,
            } => write!(f, "{node}: {property} is {value}; it must be {wanted}"),
            Self::Overlap {
                first,
                second,
                what,
            } => write!(f, "{what} overlap: {first} and {second}"),
            Self::DuplicateCpu { node, mpidr } => write!(
                f,
                "{node}: reg is {mpidr:#x}, as of another CPU; each needs its own affinity"
            ),
            Self::TooManyCpus { node } => write!(
                f,
                "{node}: more than {} CPUs are not supported",
                crate::MAX_CPUS
            ),
            Self::TooFewRedistributors {
                node,
                available,
                cpus,
            } => write!(
                f,
                "{node}: reg has room for {available} redistributors; {cpus} CPUs need one each"
            ),
        }
    }
}

impl core::error::Error for BoardError {}
