//! Integers and characters as intervals between cuts on a line.
//!
//! A signed value is shifted so that the order of its bits is the order of the line. `usize` and
//! `isize` go on beyond their last concrete value on this target, because code that compiles
//! here must compile where they are wider; the line has room for that at both ends.

use crate::types::{IntWidth, Sign};

/// A point between two neighboring values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Cut {
    /// Below everything, also below `isize::MIN` of any target.
    Start,
    /// Just before the value.
    Before(u128),
    /// Just after the largest value that 128 bits can hold.
    AfterMax,
    /// Above everything, also above `usize::MAX` of any target.
    End,
}

impl Cut {
    /// Returns the cut just after `value`.
    pub(crate) fn after(value: u128) -> Cut {
        value.checked_add(1).map_or(Cut::AfterMax, Cut::Before)
    }
}

/// A non-empty interval: all values between two cuts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Span {
    pub(crate) lo: Cut,
    pub(crate) hi: Cut,
}

impl Span {
    pub(crate) fn new(lo: Cut, hi: Cut) -> Option<Span> {
        (lo < hi).then_some(Span { lo, hi })
    }

    pub(crate) fn contains(self, other: Span) -> bool {
        self.lo <= other.lo && other.hi <= self.hi
    }

    pub(crate) fn intersection(self, other: Span) -> Option<Span> {
        Span::new(self.lo.max(other.lo), self.hi.min(other.hi))
    }
}

/// How the values of an integer type or of `char` lie on the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Char,
    Int(Sign, IntWidth),
}

const CHAR_LOW: Span = Span {
    lo: Cut::Before(0),
    hi: Cut::Before(0xD800),
};
const CHAR_HIGH: Span = Span {
    lo: Cut::Before(0xE000),
    hi: Cut::Before(0x11_0000),
};

impl Line {
    /// Returns the spans that make up the whole type.
    pub(crate) fn whole(self) -> Vec<Span> {
        match self {
            Line::Char => vec![CHAR_LOW, CHAR_HIGH],
            Line::Int(sign, width) => {
                let lo = match (sign, width) {
                    (Sign::Signed, IntWidth::Pointer(_)) => Cut::Start,
                    (Sign::Signed | Sign::Unsigned, _) => Cut::Before(0),
                };
                let hi = match width {
                    IntWidth::Pointer(_) => Cut::End,
                    IntWidth::Bits(_) => Cut::after(self.mask()),
                };
                vec![Span { lo, hi }]
            }
        }
    }

    /// Returns the largest raw value.
    pub(crate) fn mask(self) -> u128 {
        match self {
            Line::Char => 0x10_FFFF,
            Line::Int(_, width) => match width.bits() {
                0 => 0,
                bits => u128::MAX >> (128 - u32::from(bits.min(128))),
            },
        }
    }

    /// Moves raw bits to their position on the line, and back: the shift is its own inverse.
    pub(crate) fn shift(self, raw: u128) -> u128 {
        match self {
            Line::Int(Sign::Signed, width) if (1..=128).contains(&width.bits()) => {
                raw ^ (1 << (width.bits() - 1))
            }
            Line::Int(..) | Line::Char => raw,
        }
    }

    /// Turns a range pattern into a span, or `None` if the range is empty or out of the type.
    pub(crate) fn span(self, range: crate::pattern::Range) -> Option<Span> {
        use crate::pattern::RangeEnd;
        let whole = self.whole();
        let lo = match range.lo {
            Some(raw) if raw <= self.mask() => Cut::Before(self.shift(raw)),
            Some(_) => return None,
            None => whole.first()?.lo,
        };
        let hi = match (range.hi, range.end) {
            (Some(raw), _) if raw > self.mask() => return None,
            (Some(raw), RangeEnd::Included) => Cut::after(self.shift(raw)),
            (Some(raw), RangeEnd::Excluded) => Cut::Before(self.shift(raw)),
            (None, _) => whole.last()?.hi,
        };
        Span::new(lo, hi)
    }
}

/// Cuts `whole` at every end of `seen` and says of each piece whether something seen covers it.
pub(crate) fn split(whole: &[Span], seen: &[Span]) -> Vec<(Span, bool)> {
    let mut pieces = Vec::new();
    for &span in whole {
        // +1 where a seen span begins, -1 where it ends: the running sum counts what covers.
        let mut events: Vec<(Cut, isize)> = Vec::with_capacity(seen.len() * 2);
        for part in seen.iter().filter_map(|s| s.intersection(span)) {
            events.push((part.lo, 1));
            events.push((part.hi, -1));
        }
        events.sort_unstable();
        let mut from = span.lo;
        let mut depth = 0;
        for (cut, change) in events {
            if let Some(piece) = Span::new(from, cut) {
                pieces.push((piece, depth > 0));
                from = cut;
            }
            depth += change;
        }
        if let Some(piece) = Span::new(from, span.hi) {
            pieces.push((piece, false));
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::{Range, RangeEnd};

    const U8: Line = Line::Int(Sign::Unsigned, IntWidth::Bits(8));
    const I8: Line = Line::Int(Sign::Signed, IntWidth::Bits(8));
    const I128: Line = Line::Int(Sign::Signed, IntWidth::Bits(128));
    const USIZE: Line = Line::Int(Sign::Unsigned, IntWidth::Pointer(64));
    const ISIZE: Line = Line::Int(Sign::Signed, IntWidth::Pointer(64));

    fn range(lo: Option<u128>, hi: Option<u128>) -> Range {
        Range {
            lo,
            hi,
            end: RangeEnd::Included,
        }
    }

    #[test]
    fn full_concrete_range_covers_fixed_width_types_only() {
        for (line, covers) in [(U8, true), (I8, true), (USIZE, false), (ISIZE, false)] {
            let (lo, hi) = (line.shift(0), line.shift(line.mask()));
            let span = line.span(range(Some(lo), Some(hi))).unwrap();
            let pieces = split(&line.whole(), &[span]);
            assert_eq!(pieces.iter().all(|p| p.1), covers, "{line:?}");
        }
    }

    #[test]
    fn open_range_covers_the_pointer_sized_end() {
        let span = USIZE.span(range(Some(0), None)).unwrap();
        assert_eq!(split(&USIZE.whole(), &[span]), [(span, true)]);
        let span = ISIZE.span(range(None, None)).unwrap();
        assert_eq!(split(&ISIZE.whole(), &[span]), [(span, true)]);
    }

    #[test]
    fn negative_values_come_before_positive_ones() {
        let minus_one = I8.span(range(Some(0xFF), Some(0xFF))).unwrap();
        let zero = I8.span(range(Some(0), Some(0))).unwrap();
        assert_eq!(minus_one.hi, zero.lo);
        let all = I128
            .span(range(Some(1 << 127), Some((1 << 127) - 1)))
            .unwrap();
        assert_eq!(I128.whole(), [all]);
    }

    #[test]
    fn overlapping_ranges_are_cut_at_each_end() {
        let a = U8.span(range(Some(10), Some(20))).unwrap();
        let b = U8.span(range(Some(15), Some(30))).unwrap();
        let pieces = split(&U8.whole(), &[a, b]);
        let seen: Vec<bool> = pieces.iter().map(|p| p.1).collect();
        assert_eq!(seen, [false, true, true, true, false]);
    }

    #[test]
    fn char_leaves_out_the_surrogates() {
        let all = Line::Char.span(range(Some(0), Some(0x10_FFFF))).unwrap();
        let pieces = split(&Line::Char.whole(), &[all]);
        assert_eq!(pieces, [(CHAR_LOW, true), (CHAR_HIGH, true)]);
    }

    #[test]
    fn empty_and_oversized_ranges_are_refused() {
        assert_eq!(U8.span(range(Some(3), Some(2))), None);
        assert_eq!(U8.span(range(Some(3), Some(256))), None);
    }
}
