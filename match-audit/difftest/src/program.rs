//! The types of a generated program: declared, rendered and described to the algorithm.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Write as _;

use match_audit_usefulness::{
    ConstructorName, EnumId, EnumShape, Field, IntWidth, Shape, Sign, Types, Variant,
};

use crate::rng::Rng;

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

    fn random_adt(&mut self, rng: &mut Rng, index: usize) -> Adt {
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

    /// Writes the type as Rust.
    pub(crate) fn write_ty(&self, ty: Ty) -> String {
        match self.kind(ty) {
            Kind::Never => "Never".into(),
            Kind::Bool => "bool".into(),
            Kind::Char => "char".into(),
            Kind::Int(sign, width) => int_name(sign, width),
            Kind::Float => "f64".into(),
            Kind::Str => "str".into(),
            Kind::RawPointer => "*const u8".into(),
            Kind::Tuple(fields) => {
                let mut text: String = fields
                    .iter()
                    .map(|field| self.write_ty(*field) + ",")
                    .collect();
                text.insert(0, '(');
                text + ")"
            }
            Kind::Ref(target) => format!("&'static {}", self.write_ty(target)),
            Kind::Slice(element) => format!("[{}]", self.write_ty(element)),
            Kind::Array(element, len) => format!("[{}; {len}]", self.write_ty(element)),
            Kind::Option(of) => format!("Option<{}>", self.write_ty(of)),
            Kind::Result(ok, err) => {
                format!("Result<{}, {}>", self.write_ty(ok), self.write_ty(err))
            }
            Kind::Adt(index) => self.adts[index].name.clone(),
        }
    }

    /// Writes the declarations of all types of this crate.
    pub(crate) fn declare(&self, out: &mut String) {
        for adt in self.adts.iter().filter(|adt| !adt.foreign) {
            let name = &adt.name;
            match &adt.body {
                Body::Struct {
                    product,
                    private: true,
                } => {
                    let field = self.write_ty(product.fields[0]);
                    let _ = writeln!(
                        out,
                        "mod m_{name} {{ use super::*; pub struct {name}({field}); }} use m_{name}::{name};"
                    );
                }
                Body::Struct { product, .. } => {
                    let end = if product.style == Style::Tuple {
                        ";"
                    } else {
                        ""
                    };
                    let fields = self.write_product(product);
                    let _ = writeln!(out, "pub struct {name}{fields}{end}");
                }
                Body::Enum { variants, .. } => {
                    let _ = write!(out, "pub enum {name} {{ ");
                    for variant in variants {
                        let fields = self.write_product(variant);
                        let _ = write!(out, "{}{fields}, ", variant.name);
                    }
                    out.push_str("}\n");
                }
                Body::Union { fields } => {
                    let _ = write!(out, "pub union {name} {{ ");
                    for (index, field) in fields.iter().enumerate() {
                        let _ = write!(out, "f{index}: {}, ", self.write_ty(*field));
                    }
                    out.push_str("}\n");
                }
            }
            let _ = writeln!(
                out,
                "impl Clone for {name} {{ fn clone(&self) -> Self {{ *self }} }} impl Copy for {name} {{}}"
            );
        }
    }

    fn write_product(&self, product: &Product) -> String {
        if product.fields.is_empty() {
            return String::new();
        }
        let (open, close) = match product.style {
            Style::Tuple => ("(", ")"),
            Style::Named => (" { ", " }"),
        };
        let mut text = open.to_string();
        for (index, field) in product.fields.iter().enumerate() {
            if product.style == Style::Named {
                let _ = write!(text, "f{index}: ");
            }
            let _ = write!(text, "{}, ", self.write_ty(*field));
        }
        text + close
    }
}

pub(crate) fn int_name(sign: Sign, width: IntWidth) -> String {
    let letter = match sign {
        Sign::Signed => 'i',
        Sign::Unsigned => 'u',
    };
    match width {
        IntWidth::Bits(bits) => format!("{letter}{bits}"),
        IntWidth::Pointer(_) => format!("{letter}size"),
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

/// The other crate, compiled once per run.
pub(crate) const FOREIGN: &str = r#"
#[derive(Clone, Copy)] pub enum ForeignVoid {}
#[derive(Clone, Copy)] #[non_exhaustive] pub enum OpenVoid {}
#[derive(Clone, Copy)] #[non_exhaustive] pub enum Open { A, B }
#[derive(Clone, Copy)] pub enum Hiding { A, B, #[doc(hidden)] C, #[doc(hidden)] D }
#[derive(Clone, Copy)] #[non_exhaustive] pub enum OpenHiding { A, B, #[doc(hidden)] C }
#[derive(Clone, Copy)] pub enum Variants { Fixed(bool), #[non_exhaustive] Growing(ForeignVoid), Gone(ForeignVoid) }
#[derive(Clone, Copy)] #[non_exhaustive] pub struct GrowingStruct { pub f0: bool, pub f1: ForeignVoid }
"#;
