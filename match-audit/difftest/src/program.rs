//! The types of a generated program, and what the algorithm is told of them.

mod random;
mod write;

use std::cell::RefCell;
use std::collections::HashMap;

use match_audit_usefulness::{
    ConstructorName, EnumId, EnumShape, Field, IntWidth, Shape, Sign, Types, Variant,
};

use crate::rng::Rng;

pub(crate) use write::{FOREIGN, int_name};

/// A handle on a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ty(u32);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Never,
    Bool,
    Char,
    Int(Sign, IntWidth),
    Float,
    Str,
    RawPointer,
    Tuple(Vec<Ty>),
    Ref(Ty),
    Slice(Ty),
    Array(Ty, u64),
    Option(Ty),
    Result(Ty, Ty),
    Adt(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Tuple,
    Named,
}

#[derive(Clone, Debug)]
pub(crate) struct Product {
    pub(crate) name: String,
    pub(crate) style: Style,
    pub(crate) fields: Vec<Ty>,
    pub(crate) hidden: bool,
    pub(crate) non_exhaustive: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Body {
    Struct { product: Product, private: bool },
    Enum { variants: Vec<Product>, open: bool },
    Union { fields: Vec<Ty> },
}

#[derive(Clone, Debug)]
pub(crate) struct Adt {
    pub(crate) name: String,
    pub(crate) foreign: bool,
    pub(crate) body: Body,
}

#[derive(Default)]
struct Interner {
    kinds: Vec<Kind>,
    ids: HashMap<Kind, Ty>,
}

/// All types of a program.
#[derive(Default)]
pub(crate) struct Program {
    interner: RefCell<Interner>,
    pub(crate) adts: Vec<Adt>,
}

const OPTION: EnumId = EnumId(1 << 32);
const RESULT: EnumId = EnumId((1 << 32) + 1);

impl Program {
    pub(crate) fn ty(&self, kind: Kind) -> Ty {
        let mut interner = self.interner.borrow_mut();
        if let Some(&ty) = interner.ids.get(&kind) {
            return ty;
        }
        let ty = Ty(interner.kinds.len() as u32);
        interner.kinds.push(kind.clone());
        interner.ids.insert(kind, ty);
        ty
    }

    pub(crate) fn kind(&self, ty: Ty) -> Kind {
        self.interner.borrow().kinds[ty.0 as usize].clone()
    }

    /// Makes a program with the fixed foreign types and `count` random ones.
    pub(crate) fn random(rng: &mut Rng, count: usize) -> Program {
        let mut program = Program::default();
        program.add_foreign();
        program.add_fixed();
        for index in 0..count {
            let adt = program.random_adt(rng, index);
            program.adts.push(adt);
        }
        program
    }

    fn product(name: &str, style: Style, fields: Vec<Ty>) -> Product {
        Product {
            name: name.into(),
            style,
            fields,
            hidden: false,
            non_exhaustive: false,
        }
    }

    fn push(&mut self, name: &str, foreign: bool, body: Body) -> Ty {
        self.adts.push(Adt {
            name: name.into(),
            foreign,
            body,
        });
        self.ty(Kind::Adt(self.adts.len() - 1))
    }

    /// Declares what [`FOREIGN`] contains.
    fn add_foreign(&mut self) {
        let unit = |name: &str| Program::product(name, Style::Tuple, vec![]);
        let hidden = |name: &str| Product {
            hidden: true,
            ..unit(name)
        };
        let enumeration = |variants, open| Body::Enum { variants, open };
        let boolean = self.ty(Kind::Bool);
        let void = self.push("ForeignVoid", true, enumeration(vec![], false));
        self.push("OpenVoid", true, enumeration(vec![], true));
        self.push("Open", true, enumeration(vec![unit("A"), unit("B")], true));
        let mut variants = vec![unit("A"), unit("B"), hidden("C"), hidden("D")];
        self.push("Hiding", true, enumeration(variants.clone(), false));
        variants.pop();
        self.push("OpenHiding", true, enumeration(variants, true));
        let tuple = |name: &str, fields| Program::product(name, Style::Tuple, fields);
        let growing = Product {
            non_exhaustive: true,
            ..tuple("Growing", vec![void])
        };
        let variants = vec![
            tuple("Fixed", vec![boolean]),
            growing,
            tuple("Gone", vec![void]),
        ];
        self.push("Variants", true, enumeration(variants, false));
        let product = Product {
            non_exhaustive: true,
            ..Program::product("GrowingStruct", Style::Named, vec![boolean, void])
        };
        let body = Body::Struct {
            product,
            private: false,
        };
        self.push("GrowingStruct", true, body);
    }

    fn add_fixed(&mut self) {
        self.push(
            "Void",
            false,
            Body::Enum {
                variants: vec![],
                open: false,
            },
        );
        let never = self.ty(Kind::Never);
        for (name, field) in [("Secret", never), ("Plain", self.ty(Kind::Bool))] {
            let body = Body::Struct {
                product: Program::product(name, Style::Tuple, vec![field]),
                private: true,
            };
            self.push(name, false, body);
        }
    }
}

impl Types for Program {
    type Ty = Ty;

    fn describe(&self, ty: &Ty) -> Shape<Ty> {
        match self.kind(*ty) {
            Kind::Never => Shape::Never,
            Kind::Bool => Shape::Bool,
            Kind::Char => Shape::Char,
            Kind::Int(sign, width) => Shape::Int(sign, width),
            Kind::Float => Shape::Float,
            Kind::Str => Shape::Str,
            Kind::RawPointer => Shape::Opaque,
            Kind::Tuple(fields) => Shape::product(fields),
            Kind::Ref(target) => Shape::Ref(target),
            Kind::Slice(element) => Shape::Slice(element),
            Kind::Array(element, len) => Shape::Array(element, Some(len)),
            Kind::Option(of) => Shape::sum(OPTION, [Variant::new([]), Variant::new([of])]),
            Kind::Result(ok, err) => Shape::sum(RESULT, [Variant::new([ok]), Variant::new([err])]),
            Kind::Adt(index) => {
                let adt = &self.adts[index];
                match &adt.body {
                    Body::Struct { product, private } => Shape::Struct(
                        product
                            .fields
                            .iter()
                            .map(|ty| Field {
                                ty: *ty,
                                visible: !private,
                            })
                            .collect(),
                    ),
                    Body::Enum { variants, open } => Shape::Enum(EnumShape {
                        id: EnumId(index as u64),
                        variants: variants
                            .iter()
                            .map(|variant| Variant {
                                hidden: variant.hidden,
                                ..Variant::new(variant.fields.iter().copied())
                            })
                            .collect(),
                        foreign_non_exhaustive: *open,
                    }),
                    Body::Union { fields } => {
                        Shape::Union(fields.iter().map(|ty| Field::visible(*ty)).collect())
                    }
                }
            }
        }
    }

    fn constructor_name(&self, ty: &Ty, variant: Option<usize>) -> ConstructorName {
        let of = |path: String, product: &Product| match product.style {
            Style::Tuple => ConstructorName::Tuple(path),
            Style::Named => ConstructorName::Named {
                path,
                fields: (0..product.fields.len()).map(|f| format!("f{f}")).collect(),
            },
        };
        match (self.kind(*ty), variant) {
            (Kind::Tuple(_), _) => ConstructorName::Anonymous,
            (Kind::Option(_), Some(index)) => {
                ConstructorName::Tuple(["None", "Some"][index.min(1)].into())
            }
            (Kind::Result(..), Some(index)) => {
                ConstructorName::Tuple(["Ok", "Err"][index.min(1)].into())
            }
            (Kind::Adt(index), variant) => {
                let adt = &self.adts[index];
                match (&adt.body, variant) {
                    (Body::Enum { variants, .. }, Some(variant)) => {
                        let product = &variants[variant];
                        let path = if adt.foreign {
                            format!("foreign::{}::{}", adt.name, product.name)
                        } else {
                            format!("{}::{}", adt.name, product.name)
                        };
                        of(path, product)
                    }
                    (Body::Struct { product, .. }, _) if adt.foreign => {
                        of(format!("foreign::{}", adt.name), product)
                    }
                    (Body::Struct { product, .. }, _) => of(adt.name.clone(), product),
                    _ => ConstructorName::Tuple(adt.name.clone()),
                }
            }
            _ => ConstructorName::Tuple("?".into()),
        }
    }
}
