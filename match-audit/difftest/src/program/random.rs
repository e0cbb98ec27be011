//! Random types.

use match_audit_usefulness::{IntWidth, Sign};

use super::{Adt, Body, Kind, Product, Program, Style, Ty};
use crate::rng::Rng;

impl Program {
    pub(super) fn random_adt(&mut self, rng: &mut Rng, index: usize) -> Adt {
        let name = format!("T{index}");
        let body = match rng.below(10) {
            0..=5 => {
                let count = 1 + rng.below(6);
                let variants = (0..count)
                    .map(|variant| {
                        let fields = if rng.percent(55) { 0 } else { 1 + rng.below(3) };
                        self.random_product(rng, &format!("V{variant}"), fields)
                    })
                    .collect();
                Body::Enum {
                    variants,
                    open: false,
                }
            }
            6..=8 => {
                let fields = rng.below(4);
                Body::Struct {
                    product: self.random_product(rng, &name, fields),
                    private: false,
                }
            }
            _ => Body::Union {
                fields: (0..1 + rng.below(2))
                    .map(|_| self.random_ty(rng, 1))
                    .collect(),
            },
        };
        Adt {
            name,
            foreign: false,
            body,
        }
    }

    fn random_product(&mut self, rng: &mut Rng, name: &str, fields: usize) -> Product {
        let style = *rng.pick(&[Style::Tuple, Style::Named]);
        // `V {}` is legal but prints differently; an empty one is a unit.
        let style = if fields == 0 { Style::Tuple } else { style };
        let fields = (0..fields).map(|_| self.random_ty(rng, 1)).collect();
        Program::product(name, style, fields)
    }

    /// Makes a sized type.
    pub(crate) fn random_ty(&self, rng: &mut Rng, depth: usize) -> Ty {
        if depth == 0 || rng.percent(30) {
            return self.random_leaf(rng);
        }
        let sub = |rng: &mut Rng| self.random_ty(rng, depth - 1);
        let kind = match rng.below(14) {
            0..=3 => Kind::Tuple((0..1 + rng.below(4)).map(|_| sub(rng)).collect()),
            4 => Kind::Ref(sub(rng)),
            5 => Kind::Ref(self.ty(Kind::Slice(sub(rng)))),
            6 => Kind::Array(sub(rng), rng.below(4) as u64),
            7 | 8 => Kind::Option(sub(rng)),
            9 => Kind::Result(sub(rng), sub(rng)),
            _ if self.adts.is_empty() => Kind::Bool,
            _ => Kind::Adt(rng.below(self.adts.len())),
        };
        self.ty(kind)
    }

    fn random_leaf(&self, rng: &mut Rng) -> Ty {
        let kind = match rng.below(24) {
            0..=4 => Kind::Bool,
            5 => Kind::Char,
            6..=8 => Kind::Int(Sign::Unsigned, IntWidth::Bits(8)),
            9 => Kind::Int(Sign::Signed, IntWidth::Bits(8)),
            10 => Kind::Int(Sign::Signed, IntWidth::Bits(*rng.pick(&[16, 32, 64, 128]))),
            11 => Kind::Int(
                Sign::Unsigned,
                IntWidth::Bits(*rng.pick(&[16, 32, 64, 128])),
            ),
            12 => Kind::Int(Sign::Unsigned, IntWidth::Pointer(64)),
            13 => Kind::Int(Sign::Signed, IntWidth::Pointer(64)),
            14 => Kind::Float,
            15 => Kind::Ref(self.ty(Kind::Str)),
            16 => Kind::Never,
            17 => Kind::RawPointer,
            18 => Kind::Tuple(vec![]),
            _ if self.adts.is_empty() => Kind::Bool,
            _ => Kind::Adt(rng.below(self.adts.len())),
        };
        self.ty(kind)
    }

    /// Makes a type in which emptiness is likely.
    pub(crate) fn hollow_ty(&self, rng: &mut Rng, depth: usize) -> Ty {
        let sub = |rng: &mut Rng| self.hollow_ty(rng, depth - 1);
        let kind = match rng.below(if depth == 0 { 8 } else { 16 }) {
            0 | 1 => Kind::Never,
            2 | 3 => Kind::Adt(self.named("Void")),
            4 => Kind::Adt(self.named("Secret")),
            5 => Kind::Bool,
            6 => Kind::Adt(self.named(rng.pick::<&str>(&["Variants", "OpenVoid", "ForeignVoid"]))),
            7 => Kind::Adt(self.named("GrowingStruct")),
            8 | 9 => Kind::Option(sub(rng)),
            10 | 11 => Kind::Result(sub(rng), sub(rng)),
            12 => Kind::Tuple((0..1 + rng.below(3)).map(|_| sub(rng)).collect()),
            13 => Kind::Ref(sub(rng)),
            14 => Kind::Ref(self.ty(Kind::Slice(sub(rng)))),
            _ => Kind::Array(sub(rng), rng.below(3) as u64),
        };
        self.ty(kind)
    }

    fn named(&self, name: &str) -> usize {
        self.adts
            .iter()
            .position(|adt| adt.name == name)
            .unwrap_or_default()
    }
}
