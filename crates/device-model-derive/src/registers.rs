//! Typed register offsets.

use crate::field::{discriminant, entries, no_generics, number, only, plain_variants, value};
use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, Error, Result};

const DEFAULT_WIDTH: u64 = 4;

/// Expands `#[derive(Registers)]`.
pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    no_generics(input)?;
    let variants = plain_variants(input)?;
    let options = entries(&input.attrs, "registers")?;
    only(&options, &["width"])?;
    let width = value(&options, "width").map_or(Ok(DEFAULT_WIDTH), number)?;
    let mut offsets = Vec::new();
    let mut last = None;
    for variant in &variants {
        let offset = discriminant(variant)?;
        if offset.checked_rem(width) != Some(0) {
            let message = format!("the offset is no multiple of {width}");
            return Err(Error::new(variant.ident.span(), message));
        }
        if last.is_some_and(|last| offset <= last) {
            let message = "the offset is not larger than the one before";
            return Err(Error::new(variant.ident.span(), message));
        }
        last = Some(offset);
        offsets.push(offset);
    }
    let name = &input.ident;
    let visibility = &input.vis;
    let idents: Vec<_> = variants.iter().map(|variant| &variant.ident).collect();
    Ok(quote! {
        impl #name {
            /// All registers, in the order of their offsets.
            #visibility const ALL: &'static [Self] = &[#(Self::#idents),*];

            /// Returns the offset in bytes.
            #[must_use]
            #visibility const fn offset(self) -> u64 {
                match self {
                    #(Self::#idents => #offsets,)*
                }
            }
        }

        impl ::device_model::Registers for #name {
            const ALL: &'static [Self] = Self::ALL;

            fn offset(self) -> u64 {
                Self::offset(self)
            }
        }

        impl ::core::convert::TryFrom<u64> for #name {
            type Error = ::device_model::NoRegister;

            #[inline]
            fn try_from(offset: u64) -> ::core::result::Result<Self, Self::Error> {
                match offset {
                    #(#offsets => ::core::result::Result::Ok(Self::#idents),)*
                    _ => ::core::result::Result::Err(::device_model::NoRegister { offset }),
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::expand;
    use syn::parse_quote;

    fn error(input: &syn::DeriveInput) -> String {
        expand(input).map_or_else(|error| error.to_string(), |_| String::new())
    }

    #[test]
    fn offsets_ascend_and_are_aligned() {
        assert_eq!(
            error(&parse_quote! { enum Register { A = 0, B = 0x10, C = 0x14 } }),
            ""
        );
        assert_eq!(
            error(&parse_quote! { enum Register { A = 0, B = 6 } }),
            "the offset is no multiple of 4"
        );
        assert_eq!(
            error(&parse_quote! { #[registers(width = 2)] enum Register { A = 0, B = 6 } }),
            ""
        );
        for input in [
            parse_quote! { enum Register { A = 4, B = 0 } },
            parse_quote! { enum Register { A = 4, B = 4 } },
        ] {
            assert_eq!(
                error(&input),
                "the offset is not larger than the one before"
            );
        }
    }

    #[test]
    fn what_is_no_list_of_offsets_is_refused() {
        assert_eq!(
            error(&parse_quote! { enum Register { A = 0, B } }),
            "the number must be written out: `Name = 0`"
        );
        assert_eq!(
            error(&parse_quote! { enum Register { A(u8) } }),
            "a variant has no fields here"
        );
        assert_eq!(
            error(&parse_quote! { enum Register {} }),
            "expected a variant"
        );
        assert_eq!(
            error(&parse_quote! { struct Register; }),
            "expected an enum"
        );
        assert_eq!(
            error(&parse_quote! { #[registers(width = 0)] enum Register { A = 0 } }),
            "the offset is no multiple of 0"
        );
        assert_eq!(
            error(&parse_quote! { #[registers(size = 0)] enum Register { A = 0 } }),
            "unknown; there are width"
        );
    }
}
