//! Patterns that name a constructor.

use std::fmt::Write as _;

use match_audit_usefulness::{Pat, PatKind};

use super::Generator;
use crate::program::{Body, Kind, Product, Style, Ty};

impl Generator<'_> {
    /// Writes a pattern that names a constructor, where the type has one to name.
    pub(super) fn constructor(&mut self, ty: Ty, depth: usize) -> Pat<Ty> {
        match self.program.kind(ty) {
            Kind::Never | Kind::RawPointer => self.wildcard(ty),
            Kind::Bool => {
                let value = self.rng.percent(50);
                let _ = write!(self.source, "{value}");
                Pat::new(PatKind::Bool(value))
            }
            Kind::Char => self.range(None),
            Kind::Int(sign, width) => self.range(Some((sign, width))),
            Kind::Float => {
                let lo = self.rng.below(6) as f64 / 2.0;
                let hi = lo + self.rng.below(4) as f64 / 2.0;
                if lo == hi {
                    let _ = write!(self.source, "{lo:?}");
                } else {
                    let _ = write!(self.source, "{lo:?}..={hi:?}");
                }
                Pat::new(PatKind::Float(lo, hi))
            }
            Kind::Str => unreachable!("strings are written with their reference"),
            Kind::Tuple(fields) => {
                self.source.push('(');
                let mut subs = Vec::new();
                for (index, field) in fields.iter().enumerate() {
                    subs.push((index, self.pattern(*field, depth - 1)));
                    self.source.push_str(", ");
                }
                self.source.push(')');
                Pat::new(PatKind::Struct(subs))
            }
            Kind::Ref(target) if self.program.kind(target) == Kind::Str => {
                let text = *self.rng.pick(&["", "a", "b", "ab"]);
                let _ = write!(self.source, "{text:?}");
                Pat::reference(Pat::new(PatKind::Str(text.into())))
            }
            Kind::Ref(target) => {
                self.source.push('&');
                // `&a @ b` and `&(a | b)` need parentheses anyway.
                self.source.push('(');
                let sub = self.pattern(target, depth - 1);
                self.source.push(')');
                Pat::reference(sub)
            }
            Kind::Slice(element) => {
                let max = 4;
                self.slice(element, None, max, depth)
            }
            Kind::Array(element, len) => self.slice(element, Some(len), len as usize, depth),
            Kind::Option(of) => self.variant(&["None", "Some"], &[vec![], vec![of]], depth),
            Kind::Result(ok, err) => self.variant(&["Ok", "Err"], &[vec![ok], vec![err]], depth),
            Kind::Adt(index) => self.adt(ty, index, depth),
        }
    }

    fn variant(&mut self, names: &[&str], fields: &[Vec<Ty>], depth: usize) -> Pat<Ty> {
        let index = self.rng.below(names.len());
        self.source.push_str(names[index]);
        let mut subs = Vec::new();
        if !fields[index].is_empty() {
            self.source.push('(');
            for (at, field) in fields[index].iter().enumerate() {
                subs.push((at, self.pattern(*field, depth - 1)));
            }
            self.source.push(')');
        }
        Pat::new(PatKind::Variant(index, subs))
    }

    fn adt(&mut self, ty: Ty, index: usize, depth: usize) -> Pat<Ty> {
        let program = self.program;
        let adt = &program.adts[index];
        match &adt.body {
            Body::Struct { private: true, .. } => self.wildcard(ty),
            Body::Struct { product, .. } => {
                self.source.push_str(&adt.name);
                Pat::new(PatKind::Struct(self.fields(product, depth)))
            }
            Body::Enum { variants, .. } if variants.is_empty() => self.wildcard(ty),
            Body::Enum { variants, .. } => {
                let index = self.rng.below(variants.len());
                let product = &variants[index];
                let _ = write!(self.source, "{}::{}", adt.name, product.name);
                Pat::new(PatKind::Variant(index, self.fields(product, depth)))
            }
            Body::Union { fields } => {
                let index = self.rng.below(fields.len());
                let _ = write!(self.source, "{} {{ f{index}: ", adt.name);
                let sub = self.pattern(fields[index], depth - 1);
                self.source.push_str(" }");
                Pat::new(PatKind::Union(index, Box::new(sub)))
            }
        }
    }

    fn fields(&mut self, product: &Product, depth: usize) -> Vec<(usize, Pat<Ty>)> {
        let mut subs = Vec::new();
        if product.fields.is_empty() {
            return subs;
        }
        let named = product.style == Style::Named || product.non_exhaustive;
        self.source.push_str(if named { " { " } else { "(" });
        for (index, field) in product.fields.iter().enumerate() {
            if named {
                if self.rng.percent(30) {
                    continue;
                }
                match product.style {
                    Style::Named => {
                        let _ = write!(self.source, "f{index}: ");
                    }
                    Style::Tuple => {
                        let _ = write!(self.source, "{index}: ");
                    }
                }
            }
            subs.push((index, self.pattern(*field, depth - 1)));
            self.source.push_str(", ");
        }
        self.source.push_str(if named { ".. }" } else { ")" });
        subs
    }

    fn slice(&mut self, element: Ty, array: Option<u64>, max: usize, depth: usize) -> Pat<Ty> {
        let rest = self.rng.percent(55);
        let total = match (array, rest) {
            (Some(len), false) => len as usize,
            _ => self.rng.below(max + 1),
        };
        let split = if rest {
            self.rng.below(total + 1)
        } else {
            total
        };
        self.source.push('[');
        let mut prefix = Vec::new();
        let mut suffix = Vec::new();
        for _ in 0..split {
            prefix.push(self.element(element, depth));
        }
        if rest {
            self.source.push_str(".., ");
            for _ in split..total {
                suffix.push(self.element(element, depth));
            }
        }
        self.source.push(']');
        Pat::new(PatKind::Slice {
            prefix,
            rest,
            suffix,
        })
    }

    fn element(&mut self, element: Ty, depth: usize) -> Pat<Ty> {
        let sub = self.pattern(element, depth.saturating_sub(2));
        self.source.push_str(", ");
        sub
    }
}
