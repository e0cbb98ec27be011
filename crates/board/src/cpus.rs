//! The CPUs and how the firmware starts them.

use crate::error::{BoardError, PropertyValue};
use crate::tree::{Name, TreeNode, is_named};
use addr::{CpuId, Mpidr};
use alloc::string::String;
use alloc::vec::Vec;

/// The most CPUs of a machine.
pub const MAX_CPUS: usize = 64;

/// A CPU of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpu {
    /// Its place in [`crate::Board::cpus`].
    pub id: CpuId,
    /// Its affinity, which PSCI CPU_ON takes.
    pub mpidr: Mpidr,
}

/// What the firmware says of its PSCI (DEN0022).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Psci {
    /// The instruction that calls it.
    pub conduit: Conduit,
    /// The oldest version that it can be, by its `compatible`; PSCI_VERSION says it exactly.
    pub version: PsciVersion,
}

/// The instruction that makes an SMCCC call (DEN0028, 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conduit {
    /// SMC: to EL3.
    Smc,
    /// HVC: to EL2, so that we ourselves are a guest.
    Hvc,
}

/// A version of PSCI that standardized function identifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PsciVersion {
    /// 0.2.
    V0_2,
    /// 1.0 or later.
    V1_0,
}

/// Collects the enabled CPUs of /cpus (Devicetree Specification, 3.8), in the tree's order.
#[derive(Default)]
pub(crate) struct Cpus {
    /// Cells of a CPU's `reg`; there once /cpus has been visited.
    address_cells: Option<usize>,
    cpus: Vec<Cpu>,
    /// What is wrong if any of the CPUs has to be started.
    unmanaged: Option<BoardError>,
}

impl Cpus {
    /// Takes the node /cpus.
    pub(crate) fn begin(&mut self, node: &TreeNode<'_>) -> Result<(), BoardError> {
        self.address_cells = Some(address_cells(node)?);
        Ok(())
    }

    /// Takes a child of /cpus.
    pub(crate) fn add(&mut self, node: &TreeNode<'_>) -> Result<(), BoardError> {
        let is_cpu = node.property(Name::DeviceType) == Some(b"cpu\0")
            || node
                .names()
                .last()
                .is_some_and(|name| is_named(name, b"cpu"));
        if !is_cpu || !node.is_enabled() {
            return Ok(());
        }
        let mpidr = mpidr(node, self.address_cells.unwrap_or(1))?;
        if self.cpus.iter().any(|cpu| cpu.mpidr == mpidr) {
            return Err(BoardError::DuplicateCpu {
                node: node.path(),
                mpidr: mpidr.get(),
            });
        }
        if let Some(missing) = require_psci(node)? {
            self.unmanaged.get_or_insert(missing);
        }
        let id = u16::try_from(self.cpus.len()).ok();
        match id.filter(|_| self.cpus.len() < MAX_CPUS) {
            Some(id) => self.cpus.push(Cpu {
                id: CpuId::new(id),
                mpidr,
            }),
            None => return Err(BoardError::TooManyCpus { node: node.path() }),
        }
        Ok(())
    }

    /// Returns the CPUs, at least one.
    pub(crate) fn finish(self) -> Result<Vec<Cpu>, BoardError> {
        let missing = |wanted| Err(BoardError::MissingNode { wanted });
        if self.address_cells.is_none() {
            return missing("node /cpus");
        }
        match (self.cpus.len(), self.unmanaged) {
            (0, _) => missing("enabled CPU under /cpus"),
            // The only CPU runs already: nobody has to start it, and some trees don't say how.
            (1, _) | (_, None) => Ok(self.cpus),
            (_, Some(missing)) => Err(missing),
        }
    }
}

/// Reads the PSCI node (Linux, Documentation/devicetree/bindings/arm/psci.yaml).
pub(crate) fn psci(node: Option<&(TreeNode<'_>, PsciVersion)>) -> Result<Psci, BoardError> {
    const METHOD: &str = "\"smc\" or \"hvc\"";
    let (node, version) = node.ok_or(BoardError::MissingNode {
        wanted: "node compatible with \"arm,psci-1.0\" or \"arm,psci-0.2\"",
    })?;
    let conduit = match node.text(Name::Method, METHOD)? {
        Some("smc") => Conduit::Smc,
        Some("hvc") => Conduit::Hvc,
        Some(other) => {
            let found = PropertyValue::Text(String::from(other));
            return Err(node.bad(Name::Method, found, METHOD));
        }
        None => return Err(node.missing(Name::Method, METHOD)),
    };
    Ok(Psci {
        conduit,
        version: *version,
    })
}

fn address_cells(cpus: &TreeNode<'_>) -> Result<usize, BoardError> {
    const NAME: Name = Name::AddressCells;
    const WANTED: &str = "1 or 2";
    match cpus.cell(NAME) {
        Some(1) => Ok(1),
        Some(2) => Ok(2),
        Some(other) => Err(cpus.bad(NAME, PropertyValue::Number(other.into()), WANTED)),
        None => Err(cpus.missing(NAME, WANTED)),
    }
}

fn mpidr(node: &TreeNode<'_>, address_cells: usize) -> Result<Mpidr, BoardError> {
    const WANTED: &str = "the affinity fields of MPIDR_EL1, in the number of cells that /cpus says";
    let cells = node
        .cells(Name::Reg, WANTED)?
        .ok_or_else(|| node.missing(Name::Reg, WANTED))?;
    let number = cells.number().filter(|_| cells.len() == address_cells);
    let Some(number) = number else {
        let length = cells.len().saturating_mul(4);
        return Err(node.bad(Name::Reg, PropertyValue::Bytes(length), WANTED));
    };
    Mpidr::from_argument(number)
        .ok_or_else(|| node.bad(Name::Reg, PropertyValue::Number(number), WANTED))
}

/// Checks how a CPU is started. Returns the error that a node without that property deserves, if
/// the CPU has to be started at all.
fn require_psci(node: &TreeNode<'_>) -> Result<Option<BoardError>, BoardError> {
    const WANTED: &str = "\"psci\"";
    match node.text(Name::EnableMethod, WANTED)? {
        Some("psci") => Ok(None),
        Some(other) => Err(node.bad(
            Name::EnableMethod,
            PropertyValue::Text(String::from(other)),
            WANTED,
        )),
        None => Ok(Some(node.missing(Name::EnableMethod, WANTED))),
    }
}
