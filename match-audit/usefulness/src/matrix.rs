//! The table of patterns that is left to inspect.
//!
//! A row is one way to take an arm: or-patterns are multiplied out into rows. A column is a place
//! inside the value. The next column to inspect is the last one, so that it can be popped.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher as _};

use crate::compile::{Cell, Head, Patterns};
use crate::constructor::Ctor;
use crate::slices::Lengths;
use crate::table::TyId;

/// One column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) ty: TyId,
    pub(crate) valid: bool,
    /// Whether this is what the match is on, not a part of it.
    pub(crate) root: bool,
    /// Whether the place is empty behind the module's back and must not be looked at.
    pub(crate) passed_over: bool,
}

/// What goes with the cells of a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// The arm and the alternatives that were chosen.
    pub(crate) lineage: u32,
    pub(crate) guarded: bool,
    /// Whether this branch can tell anything new about the row.
    pub(crate) relevant: bool,
    /// Whether reaching the row would have read a value that cannot exist.
    pub(crate) dead: bool,
    /// How many cells say something.
    pub(crate) said: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Matrix {
    pub(crate) rows: Vec<Row>,
    cells: Vec<Cell>,
    width: usize,
}

impl Matrix {
    pub(crate) fn of_arms(roots: impl Iterator<Item = (Cell, Row)>) -> Matrix {
        let (cells, rows) = roots
            .map(|(cell, row)| {
                let said = u32::from(!cell.is_wild());
                (cell, Row { said, ..row })
            })
            .unzip();
        Matrix {
            rows,
            cells,
            width: 1,
        }
    }

    /// Returns the cell of the next column.
    pub(crate) fn head(&self, row: usize) -> Cell {
        self.cells[(row + 1) * self.width - 1]
    }

    fn rest(&self, row: usize) -> &[Cell] {
        &self.cells[row * self.width..(row + 1) * self.width - 1]
    }

    pub(crate) fn truncate(&mut self, rows: usize) {
        self.rows.truncate(rows);
        self.cells.truncate(rows * self.width);
    }

    /// Removes rows that say what an unguarded row above them says, and returns them with the
    /// row above. Or-patterns multiply out to many such rows.
    pub(crate) fn remove_repetitions(&mut self) -> Vec<(Row, Row)> {
        let mut first: HashMap<u64, Vec<usize>> = HashMap::new();
        let mut removed = Vec::new();
        let mut kept = Vec::with_capacity(self.rows.len());
        for index in 0..self.rows.len() {
            let cells = self.cells_of(index);
            let mut hasher = DefaultHasher::new();
            cells.iter().for_each(|cell| cell.hash_into(&mut hasher));
            let candidates = first.entry(hasher.finish()).or_default();
            let above = candidates.iter().copied().find(|above| {
                let pairs = self.cells_of(*above).iter().zip(cells);
                pairs.clone().all(|(a, b)| a.same(*b))
            });
            if let Some(above) = above {
                removed.push((self.rows[above], self.rows[index]));
                continue;
            }
            if !self.rows[index].guarded {
                candidates.push(index);
            }
            kept.push(index);
        }
        if !removed.is_empty() {
            let mut cells = Vec::with_capacity(kept.len() * self.width);
            for &index in &kept {
                cells.extend_from_slice(self.cells_of(index));
            }
            self.cells = cells;
            self.rows = kept.into_iter().map(|index| self.rows[index]).collect();
        }
        removed
    }

    fn cells_of(&self, row: usize) -> &[Cell] {
        &self.cells[row * self.width..(row + 1) * self.width]
    }

    /// Leaves out the next column.
    pub(crate) fn drop_column(&mut self) {
        let mut cells = Vec::with_capacity(self.rows.len() * (self.width - 1));
        for index in 0..self.rows.len() {
            cells.extend_from_slice(self.rest(index));
            if !self.head(index).is_wild() {
                self.rows[index].said -= 1;
            }
        }
        self.cells = cells;
        self.width -= 1;
    }

    /// Multiplies out the or-patterns in the next column, one level. `choose` makes the lineage
    /// of a row that takes the given alternative.
    pub(crate) fn expand_or(
        &self,
        patterns: &Patterns,
        mut choose: impl FnMut(u32, u32) -> u32,
    ) -> Matrix {
        let mut expanded = Matrix {
            rows: Vec::new(),
            cells: Vec::new(),
            width: self.width,
        };
        for (index, row) in self.rows.iter().enumerate() {
            let head = self.head(index);
            if !matches!(patterns.head(head), Some(Head::Or)) {
                expanded.push(*row, self.rest(index), &[head]);
                continue;
            }
            let first = patterns.first_kid(head);
            for (offset, kid) in (0..).zip(patterns.kids(head)) {
                let mut kid = *kid;
                kid.reads |= head.reads;
                let row = Row {
                    lineage: choose(row.lineage, first + offset),
                    said: row.said - u32::from(kid.is_wild()),
                    ..*row
                };
                expanded.push(row, self.rest(index), &[kid]);
            }
        }
        expanded
    }

    fn push(&mut self, row: Row, rest: &[Cell], heads: &[Cell]) {
        self.rows.push(row);
        self.cells.extend_from_slice(rest);
        self.cells.extend_from_slice(heads);
    }

    /// Keeps the given rows, and replaces the next column by the fields of `ctor`.
    ///
    /// All rows given must match `ctor`. `wild_relevant` says whether rows that say nothing
    /// about this column still learn something; `dies` whether reading the value kills a row.
    pub(crate) fn specialize(
        &self,
        patterns: &Patterns,
        rows: impl Iterator<Item = u32>,
        ctor: Option<Ctor>,
        arity: usize,
        wild_relevant: bool,
        dies: bool,
    ) -> Matrix {
        let mut out = Matrix {
            rows: Vec::new(),
            cells: Vec::new(),
            width: self.width - 1 + arity,
        };
        let mut heads: Vec<Cell> = Vec::with_capacity(arity);
        for index in rows {
            let index = index as usize;
            let head = self.head(index);
            let reads = head.reads && !ctor.is_some_and(Ctor::is_indirect);
            heads.clear();
            heads.resize(arity, Cell::wild(reads));
            let mut row = self.rows[index];
            row.dead |= dies && head.reads;
            if head.is_wild() {
                row.relevant &= wild_relevant;
            } else {
                row.said -= 1;
                let kids = patterns.kids(head);
                let prefix = match patterns.head(head) {
                    Some(Head::Ctor(Ctor::Lengths(Lengths::AtLeast { prefix, .. }))) => {
                        prefix as usize
                    }
                    _ => kids.len(),
                };
                for (position, kid) in kids.iter().enumerate() {
                    // Elements after `..` are counted from the end.
                    let position = if position < prefix {
                        position
                    } else {
                        arity - kids.len() + position
                    };
                    // The first field comes last: it is the next column.
                    let slot = &mut heads[arity - 1 - position];
                    slot.reads |= kid.reads;
                    if !kid.is_wild() {
                        row.said += 1;
                        *slot = kid.reading(slot.reads);
                    }
                }
            }
            out.push(row, self.rest(index), &heads);
        }
        out
    }
}
