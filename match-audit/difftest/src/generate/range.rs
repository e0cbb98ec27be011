//! Integers, characters and ranges of them.

use match_audit_usefulness::{IntWidth, Pat, PatKind, Range, RangeEnd, Sign};

use super::Generator;
use crate::program::Ty;
use crate::rng::Rng;

impl Generator<'_> {
    /// Writes an integer, or a character if `int` is `None`, or a range.
    pub(super) fn range(&mut self, int: Option<(Sign, IntWidth)>) -> Pat<Ty> {
        let mask = match int {
            None => 0x10_FFFF,
            Some((_, width)) => u128::MAX >> (128 - u32::from(width.bits())),
        };
        // Positions on the line; signed types are shifted when written.
        let signed = matches!(int, Some((Sign::Signed, _)));
        let zero = if signed { mask / 2 + 1 } else { 0 };
        let position = |rng: &mut Rng| -> u128 {
            let position = match rng.below(8) {
                0 => 0,
                1 => mask,
                2 => mask - rng.below(3) as u128,
                3 if signed => zero - 1 - rng.below(5) as u128,
                _ if int.is_none() => 97 + rng.below(8) as u128,
                _ => zero + rng.below(8) as u128,
            };
            // Surrogates are no characters.
            position.min(mask)
        };
        let (a, b) = (position(&mut self.rng), position(&mut self.rng));
        let (lo, hi) = (a.min(b), a.max(b));
        let raw = |position: u128| position.wrapping_sub(zero) & mask;
        let text = |position: u128| match int {
            None => {
                let value = char::from_u32(position as u32).unwrap_or('a');
                format!("{value:?}")
            }
            Some(_) if position < zero => format!("-{}", zero - position),
            Some(_) => format!("{}", position - zero),
        };
        let (range, written) = match self.rng.below(10) {
            0..=4 => (self.make(Some(lo), Some(lo)), text(lo)),
            5..=6 => (
                self.make(Some(lo), Some(hi)),
                format!("{}..={}", text(lo), text(hi)),
            ),
            7 if lo < hi => (
                Range {
                    end: RangeEnd::Excluded,
                    ..self.make(Some(lo), Some(hi))
                },
                format!("{}..{}", text(lo), text(hi)),
            ),
            8 => (self.make(Some(lo), None), format!("({}..)", text(lo))),
            9 => (self.make(None, Some(hi)), format!("(..={})", text(hi))),
            _ => (self.make(Some(hi), Some(hi)), text(hi)),
        };
        self.source.push_str(&written);
        Pat::new(PatKind::Range(Range {
            lo: range.lo.map(raw),
            hi: range.hi.map(raw),
            end: range.end,
        }))
    }

    fn make(&self, lo: Option<u128>, hi: Option<u128>) -> Range {
        Range {
            lo,
            hi,
            end: RangeEnd::Included,
        }
    }
}
