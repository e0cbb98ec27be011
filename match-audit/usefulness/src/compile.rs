//! Checks patterns against their types and lays them out flat.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hasher;

use crate::constructor::{Ctor, Parts, Real};
use crate::pattern::{Arm, Binding, Pat, PatKind};
use crate::slices::Lengths;
use crate::table::{Info, Table, TyId};
use crate::types::Types;

/// Says that a pattern does not fit its type; the caller lowered something wrongly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The arm, counted from 0.
    pub arm: usize,
    /// The label of the offending pattern.
    pub label: u32,
    /// What is wrong.
    pub why: Why,
}

/// What is wrong with a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The type has no such constructor.
    WrongConstructor,
    /// The struct or variant has no such field, or the pattern mentions it twice.
    WrongField,
    /// The range is empty or leaves the type.
    WrongRange,
    /// The array has another length.
    WrongLength,
    /// A float that is not a number, or a range of floats that is empty.
    WrongFloat,
    /// An or-pattern without alternatives.
    NoAlternatives,
    /// Nested deeper than [`MAX_PATTERN_DEPTH`].
    TooDeep,
}

/// How deeply patterns may be nested.
pub const MAX_PATTERN_DEPTH: u32 = 256;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.why {
            Why::WrongConstructor => "its type has no such constructor",
            Why::WrongField => "there is no such field, or it is mentioned twice",
            Why::WrongRange => "the range is empty or leaves the type",
            Why::WrongLength => "the array has another length",
            Why::WrongFloat => "the float range is empty or not a number",
            Why::NoAlternatives => "it has no alternatives",
            Why::TooDeep => "it is nested too deeply",
        };
        write!(
            f,
            "pattern {} in arm {} does not fit: {why}",
            self.label, self.arm
        )
    }
}

impl std::error::Error for Malformed {}

/// One entry of a row: a pattern, or nothing to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Cell {
    node: u32,
    /// Whether the value is read as a whole, which asserts that it is valid.
    pub(crate) reads: bool,
}

const NO_NODE: u32 = u32::MAX;

impl Cell {
    pub(crate) const WILD: Cell = Cell {
        node: NO_NODE,
        reads: false,
    };

    pub(crate) fn wild(reads: bool) -> Cell {
        Cell {
            node: NO_NODE,
            reads,
        }
    }

    pub(crate) fn reading(self, reads: bool) -> Cell {
        Cell { reads, ..self }
    }

    /// Says whether both look for the same, whatever they read.
    pub(crate) fn same(self, other: Cell) -> bool {
        self.node == other.node
    }

    pub(crate) fn hash_into(self, state: &mut impl Hasher) {
        state.write_u32(self.node);
    }

    pub(crate) fn is_wild(self) -> bool {
        self.node == NO_NODE
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Head {
    Ctor(Ctor),
    Or,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    head: Head,
    first_kid: u32,
    kid_count: u32,
}

/// All patterns of one match.
#[derive(Default)]
pub(crate) struct Patterns {
    nodes: Vec<Node>,
    kids: Vec<Cell>,
    labels: Vec<u32>,
    strings: Vec<Box<str>>,
    string_ids: HashMap<Box<str>, u32>,
    /// Equal patterns without alternatives share a node, so that equal rows can be told.
    shared: HashMap<(Ctor, Vec<Cell>), u32>,
}

impl Patterns {
    pub(crate) fn head(&self, cell: Cell) -> Option<Head> {
        self.nodes.get(cell.node as usize).map(|node| node.head)
    }

    pub(crate) fn kids(&self, cell: Cell) -> &[Cell] {
        self.nodes.get(cell.node as usize).map_or(&[], |node| {
            let first = node.first_kid as usize;
            &self.kids[first..first + node.kid_count as usize]
        })
    }

    /// Returns the position of the first kid; the position of a kid identifies an alternative.
    pub(crate) fn first_kid(&self, cell: Cell) -> u32 {
        self.nodes
            .get(cell.node as usize)
            .map_or(0, |node| node.first_kid)
    }

    pub(crate) fn label_of_kid(&self, kid: u32) -> u32 {
        self.labels[kid as usize]
    }

    pub(crate) fn string(&self, id: u32) -> &str {
        &self.strings[id as usize]
    }
}

/// Lays out the patterns of all arms.
pub(crate) fn compile<C: Types>(
    table: &mut Table<'_, C>,
    ty: TyId,
    arms: &[Arm<C::Ty>],
) -> Result<(Patterns, Vec<Cell>), Malformed> {
    let mut compiler = Compiler {
        table,
        patterns: Patterns::default(),
    };
    let mut roots = Vec::with_capacity(arms.len());
    for (index, arm) in arms.iter().enumerate() {
        let root = compiler
            .cell(ty, &arm.pat, 0)
            .map_err(|(label, why)| Malformed {
                arm: index,
                label,
                why,
            })?;
        roots.push(root);
    }
    Ok((compiler.patterns, roots))
}

struct Compiler<'t, 'c, C: Types> {
    table: &'t mut Table<'c, C>,
    patterns: Patterns,
}

type Fault = (u32, Why);

impl<C: Types> Compiler<'_, '_, C> {
    fn cell(&mut self, ty: TyId, pat: &Pat<C::Ty>, depth: u32) -> Result<Cell, Fault> {
        let fault = |why| Err((pat.label, why));
        if depth > MAX_PATTERN_DEPTH {
            return fault(Why::TooDeep);
        }
        let info = self.table.info(ty);
        match (&pat.kind, &*info) {
            (PatKind::Wild, _) => Ok(Cell::WILD),
            // Matches all values there are, namely none; and says that this is so.
            (PatKind::Never, _) => Ok(Cell::wild(true)),
            (PatKind::Bind(mode, sub), _) => {
                let mut cell = match sub {
                    Some(sub) => self.cell(ty, sub, depth + 1)?,
                    None => Cell::WILD,
                };
                cell.reads |= *mode == Binding::ByValue;
                Ok(cell)
            }
            (PatKind::Opaque(id), _) => Ok(self.leaf(Ctor::Opaque(*id))),
            (PatKind::Bool(value), Info::Bool) => Ok(self.leaf(Ctor::Bool(*value))),
            (PatKind::Range(range), Info::Line(line)) => match line.span(*range) {
                Some(span) => Ok(self.leaf(Ctor::Span(span))),
                None => fault(Why::WrongRange),
            },
            (PatKind::Float(lo, hi), Info::Float) => match (Real::new(*lo), Real::new(*hi)) {
                (Some(lo), Some(hi)) if lo <= hi => Ok(self.leaf(Ctor::Float(lo, hi))),
                _ => fault(Why::WrongFloat),
            },
            (PatKind::Str(text), Info::Str) => {
                let id = self.string(text);
                Ok(self.leaf(Ctor::Str(id)))
            }
            (PatKind::Struct(fields), Info::Struct { .. }) => {
                self.fields(ty, Ctor::Struct, fields, pat.label, depth)
            }
            (PatKind::Variant(index, fields), Info::Enum { variants, .. }) => {
                match u32::try_from(*index) {
                    Ok(variant) if *index < variants.len() => {
                        self.fields(ty, Ctor::Variant(variant), fields, pat.label, depth)
                    }
                    _ => fault(Why::WrongConstructor),
                }
            }
            (PatKind::Union(field, sub), Info::Union(parts)) => {
                let Some(part) = parts.get(*field) else {
                    return fault(Why::WrongField);
                };
                let mut kids = vec![Cell::WILD; parts.len()];
                kids[*field] = self.cell(part.ty, sub, depth + 1)?;
                Ok(self.node(Head::Ctor(Ctor::Union), &kids, &[]))
            }
            (PatKind::Ref(sub), Info::Ref(target)) => {
                let kid = self.cell(*target, sub, depth + 1)?;
                Ok(self.node(Head::Ctor(Ctor::Ref), &[kid], &[]))
            }
            (PatKind::Deref(target, sub), _) => {
                let target = self.table.intern(target);
                let kid = self.cell(target, sub, depth + 1)?;
                Ok(self.node(Head::Ctor(Ctor::Deref(target)), &[kid], &[]))
            }
            (
                PatKind::Slice {
                    prefix,
                    rest,
                    suffix,
                },
                Info::Slice { element, array, .. },
            ) => {
                let lengths =
                    Lengths::of_pattern(prefix.len() as u64, *rest, suffix.len() as u64, *array);
                let fits = array.is_none_or(|len| match lengths {
                    Lengths::Exactly(named) => named == len,
                    Lengths::AtLeast { .. } => lengths.arity() < len,
                });
                if !fits {
                    return fault(Why::WrongLength);
                }
                let kids = prefix
                    .iter()
                    .chain(suffix)
                    .map(|sub| self.cell(*element, sub, depth + 1))
                    .collect::<Result<Vec<_>, _>>()?;
                Ok(self.node(Head::Ctor(Ctor::Lengths(lengths)), &kids, &[]))
            }
            (PatKind::Or(alternatives), _) => {
                if alternatives.is_empty() {
                    return fault(Why::NoAlternatives);
                }
                let kids = alternatives
                    .iter()
                    .map(|sub| self.cell(ty, sub, depth + 1))
                    .collect::<Result<Vec<_>, _>>()?;
                let labels: Vec<u32> = alternatives.iter().map(|sub| sub.label).collect();
                Ok(self.node(Head::Or, &kids, &labels))
            }
            _ => fault(Why::WrongConstructor),
        }
    }

    fn fields(
        &mut self,
        ty: TyId,
        ctor: Ctor,
        fields: &[(usize, Pat<C::Ty>)],
        label: u32,
        depth: u32,
    ) -> Result<Cell, Fault> {
        let parts = Parts::of(self.table, ty, ctor);
        let mut kids = vec![Cell::WILD; parts.len()];
        let mut mentioned = vec![false; parts.len()];
        for (index, sub) in fields {
            match mentioned.get_mut(*index) {
                Some(again) if !*again => *again = true,
                _ => return Err((label, Why::WrongField)),
            }
            kids[*index] = self.cell(parts.get(*index).ty, sub, depth + 1)?;
        }
        Ok(self.node(Head::Ctor(ctor), &kids, &[]))
    }

    fn leaf(&mut self, ctor: Ctor) -> Cell {
        self.node(Head::Ctor(ctor), &[], &[])
    }

    fn node(&mut self, head: Head, kids: &[Cell], labels: &[u32]) -> Cell {
        let node = self.patterns.nodes.len() as u32;
        // An or-pattern is never equal to another, since its alternatives are told apart; nor
        // then is a pattern around it.
        if let Head::Ctor(ctor) = head {
            let known = self.patterns.shared.entry((ctor, kids.to_vec()));
            let known = *known.or_insert(node);
            if known != node {
                return Cell {
                    node: known,
                    reads: false,
                };
            }
        }
        self.patterns.nodes.push(Node {
            head,
            first_kid: self.patterns.kids.len() as u32,
            kid_count: kids.len() as u32,
        });
        self.patterns.kids.extend_from_slice(kids);
        self.patterns.labels.extend_from_slice(labels);
        self.patterns.labels.resize(self.patterns.kids.len(), 0);
        Cell { node, reads: false }
    }

    fn string(&mut self, text: &str) -> u32 {
        if let Some(&id) = self.patterns.string_ids.get(text) {
            return id;
        }
        let id = self.patterns.strings.len() as u32;
        self.patterns.strings.push(text.into());
        self.patterns.string_ids.insert(text.into(), id);
        id
    }
}
