//! Registers with typed fields.

use crate::field::number;
use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::spanned::Spanned;
use syn::{Attribute, Error, Expr, Field, Fields, Ident, ItemStruct, RangeLimits, Result, Type};

/// One field of a register.
struct BitField<'a> {
    ident: &'a Ident,
    visibility: &'a syn::Visibility,
    documentation: Vec<&'a Attribute>,
    ty: &'a Type,
    kind: Kind,
    low: u32,
    width: u32,
}

/// What a field is in Rust.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Flag,
    Number,
}

/// Expands `#[bit_fields(NUMBER)] struct ...`.
pub(crate) fn expand(attribute: TokenStream, item: &ItemStruct) -> Result<TokenStream> {
    let number: Ident = syn::parse2(attribute)
        .map_err(|error| Error::new(error.span(), "expected #[bit_fields(u8)], u16, u32 or u64"))?;
    let bits = bits_of(&number)?;
    if !item.generics.params.is_empty() {
        let message = "generic parameters are not supported";
        return Err(Error::new(item.generics.span(), message));
    }
    let Fields::Named(named) = &item.fields else {
        return Err(Error::new(item.ident.span(), "expected named fields"));
    };
    let mut fields = Vec::new();
    let mut taken = 0_u64;
    for field in &named.named {
        let field = bit_field(field, bits)?;
        let mask = mask(field.low, field.width);
        if taken & mask != 0 {
            return Err(Error::new(field.ident.span(), "overlaps another field"));
        }
        taken |= mask;
        fields.push(field);
    }
    if fields.is_empty() {
        return Err(Error::new(item.ident.span(), "expected a field"));
    }
    let accessors = fields.iter().map(|field| accessors(field, &number));
    let debug = fields.iter().map(|field| {
        let ident = field.ident;
        let name = ident.to_string();
        quote! { .field(#name, &self.#ident()) }
    });
    let all = syn::LitInt::new(&format!("{taken:#x}"), Span::call_site());
    let (attributes, visibility, name) = (&item.attrs, &item.vis, &item.ident);
    let text = name.to_string();
    Ok(quote! {
        #(#attributes)*
        #[derive(
            ::core::clone::Clone,
            ::core::marker::Copy,
            ::core::default::Default,
            ::core::cmp::PartialEq,
            ::core::cmp::Eq,
        )]
        #visibility struct #name(#number);

        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_lossless,
            clippy::unnecessary_cast,
            clippy::identity_op,
            dead_code
        )]
        impl #name {
            /// The bits that have a meaning.
            #visibility const MASK: #number = #all;

            /// Returns the register's value.
            #[must_use]
            #visibility const fn bits(self) -> #number {
                self.0
            }

            /// Makes the register of its value; `None` if a bit is set that has no meaning.
            #[must_use]
            #visibility const fn from_bits(bits: #number) -> ::core::option::Option<Self> {
                if bits & !Self::MASK == 0 {
                    ::core::option::Option::Some(Self(bits))
                } else {
                    ::core::option::Option::None
                }
            }

            /// Makes the register of its value, without the bits that have no meaning.
            #[must_use]
            #visibility const fn from_bits_truncate(bits: #number) -> Self {
                Self(bits & Self::MASK)
            }

            #(#accessors)*
        }

        impl ::core::fmt::Debug for #name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_struct(#text)#(#debug)*.finish()
            }
        }

        impl ::device_model::migrate::Plain for #name {
            type Wire = #number;

            fn to_wire(&self) -> #number {
                self.0
            }

            fn from_wire(
                wire: #number,
            ) -> ::core::result::Result<Self, ::device_model::migrate::Invalid> {
                Self::from_bits(wire)
                    .ok_or(::device_model::migrate::Invalid::new("", u64::from(wire)))
            }
        }
    })
}

fn accessors(field: &BitField<'_>, number: &Ident) -> TokenStream {
    let BitField {
        ident,
        visibility,
        documentation,
        ty,
        kind,
        low,
        width,
    } = field;
    let with = format_ident!("with_{ident}");
    let mask = syn::LitInt::new(&format!("{:#x}", mask(0, *width)), Span::call_site());
    let get = match kind {
        Kind::Flag => quote! { (self.0 >> #low) & 1 != 0 },
        Kind::Number => quote! { ((self.0 >> #low) & #mask) as #ty },
    };
    let text = format!("Returns the value with the field `{ident}` changed.");
    quote! {
        #(#documentation)*
        #[must_use]
        #[inline]
        #visibility const fn #ident(self) -> #ty {
            #get
        }

        #[doc = #text]
        #[must_use]
        #[inline]
        #visibility const fn #with(self, value: #ty) -> Self {
            let field: #number = #mask;
            Self((self.0 & !(field << #low)) | ((value as #number & field) << #low))
        }
    }
}

fn bit_field(field: &Field, bits: u32) -> Result<BitField<'_>> {
    let Some(ident) = &field.ident else {
        return Err(Error::new(field.span(), "expected a named field"));
    };
    let mut ranges = field
        .attrs
        .iter()
        .filter(|attribute| attribute.path().is_ident("bits"));
    let (Some(attribute), None) = (ranges.next(), ranges.next()) else {
        let message = "expected one #[bits(N)] or #[bits(N..=M)]";
        return Err(Error::new(ident.span(), message));
    };
    let (low, high) = range(&attribute.parse_args()?)?;
    let width = high
        .checked_sub(low)
        .and_then(|distance| distance.checked_add(1))
        .ok_or_else(|| Error::new(attribute.span(), "the first bit is above the last"))?;
    if high >= bits {
        let message = format!("the register has {bits} bits");
        return Err(Error::new(attribute.span(), message));
    }
    let kind = kind(&field.ty, width)?;
    Ok(BitField {
        ident,
        visibility: &field.vis,
        documentation: field
            .attrs
            .iter()
            .filter(|attribute| !attribute.path().is_ident("bits"))
            .collect(),
        ty: &field.ty,
        kind,
        low,
        width,
    })
}

/// Returns the first and the last bit.
fn range(expression: &Expr) -> Result<(u32, u32)> {
    let bit = |expression: &Expr| {
        u32::try_from(number(expression)?)
            .map_err(|error| Error::new(expression.span(), error.to_string()))
    };
    match expression {
        Expr::Range(range) => match (&range.start, range.limits, &range.end) {
            (Some(low), RangeLimits::Closed(_), Some(high)) => Ok((bit(low)?, bit(high)?)),
            // All that is no closed range.
            _ => Err(Error::new(range.span(), "expected N..=M")),
        },
        // Any other expression must be a number.
        _ => bit(expression).map(|bit| (bit, bit)),
    }
}

fn kind(ty: &Type, width: u32) -> Result<Kind> {
    let message = "expected bool, u8, u16, u32 or u64";
    let Type::Path(path) = ty else {
        return Err(Error::new(ty.span(), message));
    };
    let Some(ident) = path.path.get_ident() else {
        return Err(Error::new(ty.span(), message));
    };
    if ident == "bool" {
        if width == 1 {
            return Ok(Kind::Flag);
        }
        return Err(Error::new(ty.span(), "a bool has one bit"));
    }
    if bits_of(ident).map_err(|_| Error::new(ty.span(), message))? < width {
        let message = format!("the field has {width} bits");
        return Err(Error::new(ty.span(), message));
    }
    Ok(Kind::Number)
}

fn bits_of(number: &Ident) -> Result<u32> {
    match number.to_string().as_str() {
        "u8" => Ok(8),
        "u16" => Ok(16),
        "u32" => Ok(32),
        "u64" => Ok(64),
        _ => Err(Error::new(number.span(), "expected u8, u16, u32 or u64")),
    }
}

/// Returns `width` bits, which is 1 to 64, from `low` on.
fn mask(low: u32, width: u32) -> u64 {
    let ones = u64::MAX
        .checked_shr(64_u32.saturating_sub(width))
        .unwrap_or(0);
    ones.checked_shl(low).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::expand;
    use quote::quote;
    use syn::parse_quote;

    fn error(item: &syn::ItemStruct) -> String {
        expand(quote!(u16), item).map_or_else(|error| error.to_string(), |_| String::new())
    }

    #[test]
    fn fields_fit_and_do_not_overlap() {
        for (item, expected) in [
            (
                parse_quote! { struct R { #[bits(0)] a: bool, #[bits(1..=15)] b: u16 } },
                "",
            ),
            (
                parse_quote! { struct R { #[bits(0..=3)] a: u8, #[bits(3)] b: bool } },
                "overlaps another field",
            ),
            (
                parse_quote! { struct R { #[bits(16)] a: bool } },
                "the register has 16 bits",
            ),
            (
                parse_quote! { struct R { #[bits(3..=2)] a: u8 } },
                "the first bit is above the last",
            ),
            (
                parse_quote! { struct R { #[bits(0..=8)] a: u8 } },
                "the field has 9 bits",
            ),
            (
                parse_quote! { struct R { #[bits(0..=1)] a: bool } },
                "a bool has one bit",
            ),
            (
                parse_quote! { struct R { #[bits(0..2)] a: u8 } },
                "expected N..=M",
            ),
            (
                parse_quote! { struct R { a: u8 } },
                "expected one #[bits(N)] or #[bits(N..=M)]",
            ),
            (
                parse_quote! { struct R { #[bits(0)] a: String } },
                "expected bool, u8, u16, u32 or u64",
            ),
            (parse_quote! { struct R {} }, "expected a field"),
            (parse_quote! { struct R(u8); }, "expected named fields"),
        ] {
            assert_eq!(error(&item), expected);
        }
    }

    #[test]
    fn the_register_is_an_unsigned_number() {
        let item = parse_quote! { struct R { #[bits(0)] a: bool } };
        for number in [quote!(i32), quote!(), quote!(u128), quote!(u8, u8)] {
            assert!(expand(number, &item).is_err());
        }
    }
}
