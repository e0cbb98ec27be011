//! A small program of types to test with.
#![allow(unreachable_pub)]

use match_audit_usefulness::*;

/// A type, written as a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Ty {
    Never,
    Bool,
    Char,
    U8,
    I8,
    U128,
    Usize,
    Isize,
    Float,
    Str,
    Pointer,
    Tuple(Vec<Ty>),
    /// A struct with one private field.
    Private(Box<Ty>),
    Ref(Box<Ty>),
    Slice(Box<Ty>),
    Array(Box<Ty>, Option<u64>),
    Union(Vec<Ty>),
    /// Name, the fields of each variant.
    Enum(&'static str, Vec<Vec<Ty>>),
    /// An enum of another crate: variants, hidden ones, whether non-exhaustive.
    Foreign(usize, Vec<usize>, bool),
}

pub struct Program;

impl Types for Program {
    type Ty = Ty;

    fn describe(&self, ty: &Ty) -> Shape<Ty> {
        match ty.clone() {
            Ty::Never => Shape::Never,
            Ty::Bool => Shape::Bool,
            Ty::Char => Shape::Char,
            Ty::U8 => Shape::Int(Sign::Unsigned, IntWidth::Bits(8)),
            Ty::I8 => Shape::Int(Sign::Signed, IntWidth::Bits(8)),
            Ty::U128 => Shape::Int(Sign::Unsigned, IntWidth::Bits(128)),
            Ty::Usize => Shape::Int(Sign::Unsigned, IntWidth::Pointer(64)),
            Ty::Isize => Shape::Int(Sign::Signed, IntWidth::Pointer(64)),
            Ty::Float => Shape::Float,
            Ty::Str => Shape::Str,
            Ty::Pointer => Shape::Opaque,
            Ty::Tuple(fields) => Shape::product(fields),
            Ty::Private(field) => Shape::Struct(vec![Field::private(*field)]),
            Ty::Ref(target) => Shape::Ref(*target),
            Ty::Slice(element) => Shape::Slice(*element),
            Ty::Array(element, len) => Shape::Array(*element, len),
            Ty::Union(fields) => Shape::Union(fields.into_iter().map(Field::visible).collect()),
            Ty::Enum(name, variants) => {
                let id = name.bytes().fold(0, |id, byte| id << 8 | u64::from(byte));
                Shape::sum(EnumId(id), variants.into_iter().map(Variant::new))
            }
            Ty::Foreign(count, hidden, open) => Shape::Enum(EnumShape {
                id: EnumId(1),
                variants: (0..count)
                    .map(|index| Variant {
                        hidden: hidden.contains(&index),
                        ..Variant::new([])
                    })
                    .collect(),
                foreign_non_exhaustive: open,
            }),
        }
    }

    fn constructor_name(&self, ty: &Ty, variant: Option<usize>) -> ConstructorName {
        match (ty, variant) {
            (Ty::Tuple(_), _) => ConstructorName::Anonymous,
            (Ty::Enum(name, _), Some(index)) => ConstructorName::Tuple(format!("{name}::V{index}")),
            (Ty::Foreign(..), Some(index)) => ConstructorName::Tuple(format!("Foreign::V{index}")),
            _ => ConstructorName::Tuple("Struct".into()),
        }
    }
}

pub fn id(name: &str) -> EnumId {
    EnumId(name.bytes().fold(0, |id, byte| id << 8 | u64::from(byte)))
}

/// An enum of unit variants.
pub fn plain(name: &'static str, count: usize) -> Ty {
    Ty::Enum(name, vec![vec![]; count])
}

pub fn option(of: Ty) -> Ty {
    Ty::Enum("Option", vec![vec![], vec![of]])
}

pub fn result(ok: Ty, err: Ty) -> Ty {
    Ty::Enum("Result", vec![vec![ok], vec![err]])
}

pub fn reference(of: Ty) -> Ty {
    Ty::Ref(Box::new(of))
}

pub type P = Pat<Ty>;

pub fn unit(index: usize) -> P {
    Pat::variant(index, [])
}

pub fn boolean(value: bool) -> P {
    Pat::new(PatKind::Bool(value))
}

pub fn slice(prefix: Vec<P>, rest: bool, suffix: Vec<P>) -> P {
    Pat::new(PatKind::Slice {
        prefix,
        rest,
        suffix,
    })
}

pub fn m(scrutinee: Ty, arms: Vec<P>) -> Match<Ty> {
    Match {
        scrutinee,
        validity: Validity::KnownValid,
        arms: arms.into_iter().map(Arm::new).collect(),
    }
}

pub fn maybe_invalid(scrutinee: Ty, arms: Vec<P>) -> Match<Ty> {
    Match {
        validity: Validity::MaybeInvalid,
        ..m(scrutinee, arms)
    }
}

pub fn report(m: &Match<Ty>) -> Report<Ty> {
    check(&Program, m, &Options::default()).expect("well-formed")
}

pub fn sets(m: &Match<Ty>) -> Sets<Ty> {
    taken_sets(&Program, m, &Options::default()).expect("well-formed")
}

/// The witnesses as the compiler prints them.
pub fn witnesses(m: &Match<Ty>) -> Vec<String> {
    shown(&report(m).witnesses)
}

pub fn left_out(m: &Match<Ty>) -> Vec<String> {
    shown(&report(m).left_out)
}

pub fn shown(list: &[Witness<Ty>]) -> Vec<String> {
    list.iter()
        .map(|witness| witness.display(&Program).to_string())
        .collect()
}

/// The arms that are of no use.
pub fn redundant(m: &Match<Ty>) -> Vec<usize> {
    let report = report(m);
    (0..report.arms.len())
        .filter(|arm| matches!(report.arms[*arm].usefulness, Usefulness::Redundant { .. }))
        .collect()
}
