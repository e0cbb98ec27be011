//! The CPUs and how the firmware starts them.

use crate::error::{BoardError, PropertyValue};
use crate::tree::{Tree, TreeNode};
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

/// Reads the enabled CPUs of /cpus (Devicetree Specification, 3.8), in the tree's order.
pub(crate) fn cpus(tree: &Tree<'_>) -> Result<Vec<Cpu>, BoardError> {
    let parent = tree.find("/cpus")?.ok_or(BoardError::MissingNode {
        wanted: "node /cpus",
    })?;
    let address_cells = address_cells(&parent)?;
    let mut cpus: Vec<Cpu> = Vec::new();
    let mut unmanaged = None;
    for node in parent.children() {
        let node = node?;
        let is_cpu = node.property("device_type") == Some(b"cpu\0") || node.base_name() == "cpu";
        if !is_cpu || !node.is_enabled() {
            continue;
        }
        let mpidr = mpidr(&node, address_cells)?;
        if cpus.iter().any(|cpu| cpu.mpidr == mpidr) {
            return Err(BoardError::DuplicateCpu {
                node: node.path(),
                mpidr: mpidr.get(),
            });
        }
        if let Some(missing) = require_psci(&node)? {
            unmanaged.get_or_insert(missing);
        }
        let id = u16::try_from(cpus.len()).ok();
        match id.filter(|_| cpus.len() < MAX_CPUS) {
            Some(id) => cpus.push(Cpu {
                id: CpuId::new(id),
                mpidr,
            }),
            None => return Err(BoardError::TooManyCpus { node: node.path() }),
        }
    }
    match (cpus.len(), unmanaged) {
        (0, _) => Err(BoardError::MissingNode {
            wanted: "enabled CPU under /cpus",
        }),
        // The only CPU runs already: nobody has to start it, and some trees don't say how.
        (1, _) | (_, None) => Ok(cpus),
        (_, Some(missing)) => Err(missing),
    }
}

/// Reads the PSCI node (Linux, Documentation/devicetree/bindings/arm/psci.yaml).
pub(crate) fn psci(tree: &Tree<'_>) -> Result<Psci, BoardError> {
    const METHOD: &str = "\"smc\" or \"hvc\"";
    let versions = [
        ("arm,psci-1.0", PsciVersion::V1_0),
        ("arm,psci-0.2", PsciVersion::V0_2),
    ];
    for (compatible, version) in versions {
        let Some(node) = tree.find_compatible(compatible)? else {
            continue;
        };
        let conduit = match node.text("method", METHOD)? {
            Some("smc") => Conduit::Smc,
            Some("hvc") => Conduit::Hvc,
            Some(other) => {
                return Err(node.bad("method", PropertyValue::Text(String::from(other)), METHOD));
            }
            None => return Err(node.missing("method", METHOD)),
        };
        return Ok(Psci { conduit, version });
    }
    Err(BoardError::MissingNode {
        wanted: "node compatible with \"arm,psci-1.0\" or \"arm,psci-0.2\"",
    })
}

fn address_cells(cpus: &TreeNode<'_>) -> Result<usize, BoardError> {
    const NAME: &str = "#address-cells";
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
        .cells("reg", WANTED)?
        .ok_or_else(|| node.missing("reg", WANTED))?;
    let number = cells.number().filter(|_| cells.len() == address_cells);
    let Some(number) = number else {
        let length = cells.len().saturating_mul(4);
        return Err(node.bad("reg", PropertyValue::Bytes(length), WANTED));
    };
    Mpidr::from_argument(number)
        .ok_or_else(|| node.bad("reg", PropertyValue::Number(number), WANTED))
}

/// Checks how a CPU is started. Returns the error that a node without that property deserves, if
/// the CPU has to be started at all.
fn require_psci(node: &TreeNode<'_>) -> Result<Option<BoardError>, BoardError> {
    const WANTED: &str = "\"psci\"";
    match node.text("enable-method", WANTED)? {
        Some("psci") => Ok(None),
        Some(other) => Err(node.bad(
            "enable-method",
            PropertyValue::Text(String::from(other)),
            WANTED,
        )),
        None => Ok(Some(node.missing("enable-method", WANTED))),
    }
}
