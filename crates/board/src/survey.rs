//! What one pass over the tree collects: facts where a node tells them alone, else the node.

use crate::console::Consoles;
use crate::cpus::{Cpus, PsciVersion};
use crate::error::BoardError;
use crate::memory::Memory;
use crate::tree::{Name, Tree, TreeNode, is_named};
use alloc::string::String;

/// What was found.
pub(crate) struct Survey<'a> {
    pub(crate) model: String,
    pub(crate) memory: Memory,
    pub(crate) cpus: Cpus,
    pub(crate) consoles: Consoles<'a>,
    pub(crate) chosen: Option<TreeNode<'a>>,
    pub(crate) aliases: Option<TreeNode<'a>>,
    /// The node with the newest version of PSCI.
    pub(crate) psci: Option<(TreeNode<'a>, PsciVersion)>,
    /// The first enabled node of each kind.
    pub(crate) gic: Option<TreeNode<'a>>,
    pub(crate) timers: Option<TreeNode<'a>>,
    pub(crate) rtc: Option<TreeNode<'a>>,
}

impl<'a> Survey<'a> {
    /// Goes over the whole tree once.
    pub(crate) fn of(tree: &Tree<'a>) -> Result<Self, BoardError> {
        let mut survey = Self {
            model: String::new(),
            memory: Memory::new(tree)?,
            cpus: Cpus::default(),
            consoles: Consoles::default(),
            chosen: None,
            aliases: None,
            psci: None,
            gic: None,
            timers: None,
            rtc: None,
        };
        tree.visit(|node| survey.visit(node))?;
        Ok(survey)
    }

    fn visit(&mut self, node: &TreeNode<'a>) -> Result<(), BoardError> {
        match node.names() {
            [] => {
                let model = node.strings(Name::Model).next().unwrap_or_default();
                self.model = String::from_utf8_lossy(model).into_owned();
            }
            [name] => self.child_of_root(name, node)?,
            [parent, _] if is_named(parent, b"cpus") => self.cpus.add(node)?,
            [parent, _] if is_named(parent, b"reserved-memory") => {
                self.memory.add_reserved(node)?;
            }
            _ => {}
        }
        self.by_compatible(node);
        Ok(())
    }

    fn child_of_root(&mut self, name: &[u8], node: &TreeNode<'a>) -> Result<(), BoardError> {
        // The first letter decides for most nodes.
        match name {
            [b'c', ..] if is_named(name, b"cpus") => self.cpus.begin(node)?,
            [b'c', ..] if is_named(name, b"chosen") => keep(&mut self.chosen, node),
            [b'a', ..] if is_named(name, b"aliases") => keep(&mut self.aliases, node),
            _ => {}
        }
        self.memory.add_bank(node)
    }

    fn by_compatible(&mut self, node: &TreeNode<'a>) {
        let is_enabled = node.is_enabled();
        let mut psci = None;
        for compatible in node.strings(Name::Compatible) {
            match compatible {
                // A disabled clock runs all the same: the property is about the node's driver.
                b"fixed-clock" => self.consoles.add_clock(node),
                _ if !is_enabled => {}
                b"arm,psci-1.0" => psci = Some(PsciVersion::V1_0),
                b"arm,psci-0.2" => psci = psci.max(Some(PsciVersion::V0_2)),
                b"arm,gic-v3" => keep(&mut self.gic, node),
                b"arm,armv8-timer" => keep(&mut self.timers, node),
                b"arm,pl011" => self.consoles.add_uart(node),
                b"arm,pl031" => keep(&mut self.rtc, node),
                _ => {}
            }
        }
        if let Some(version) = psci
            && self.psci.as_ref().is_none_or(|(_, other)| *other < version)
        {
            self.psci = Some((node.clone(), version));
        }
    }
}

fn keep<'a>(place: &mut Option<TreeNode<'a>>, node: &TreeNode<'a>) {
    place.get_or_insert_with(|| node.clone());
}
