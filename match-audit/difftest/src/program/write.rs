//! Types and their declarations as Rust.

use std::fmt::Write as _;

use match_audit_usefulness::{IntWidth, Sign};

use super::{Body, Kind, Product, Program, Style, Ty};

impl Program {
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
