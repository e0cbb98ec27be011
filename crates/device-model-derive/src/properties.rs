//! Configurations of properties.

use crate::field::{
    documentation, entries, has_word, missing, named_fields, no_generics, only, plain_variants,
    value,
};
use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, Error, Field, Ident, Result};

/// Expands `#[derive(Properties)]`.
pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    no_generics(input)?;
    let mut infos = Vec::new();
    let mut arms = Vec::new();
    for field in named_fields(input)? {
        if let Some((info, arm)) = property(field)? {
            infos.push(info);
            arms.push(arm);
        }
    }
    let name = &input.ident;
    Ok(quote! {
        impl ::device_model::property::Properties for #name {
            const PROPERTIES: &'static [::device_model::property::PropertyInfo] = &[#(#infos),*];

            fn set(
                &mut self,
                property: &::device_model::property::Property<'_>,
            ) -> ::core::result::Result<(), ::device_model::property::Problem> {
                match property.name {
                    #(#arms)*
                    _ => ::core::result::Result::Err(::device_model::property::Problem::Unknown {
                        known: Self::PROPERTIES,
                    }),
                }
            }
        }
    })
}

/// Returns the description of a property, and the arm that sets it.
fn property(field: &Field) -> Result<Option<(TokenStream, TokenStream)>> {
    let Some(ident) = &field.ident else {
        return Ok(None);
    };
    let options = entries(&field.attrs, "property")?;
    only(&options, &["min", "max", "skip"])?;
    if has_word(&options, "skip") {
        return Ok(None);
    }
    let help = documentation(&field.attrs);
    if help.is_empty() {
        return Err(missing(
            ident.span(),
            "a doc comment, which is the property's help",
        ));
    }
    let ty = &field.ty;
    let name = ident.to_string().replace('_', "-");
    let (min, max) = (value(&options, "min"), value(&options, "max"));
    let kind = match (min, max) {
        (None, None) => quote! { <#ty as ::device_model::property::PropertyValue>::KIND },
        (Some(min), Some(max)) => quote! {
            ::device_model::property::Kind::Number { min: #min, max: #max }
        },
        (Some(_), None) | (None, Some(_)) => {
            return Err(Error::new(ident.span(), "`min` and `max` stand together"));
        }
    };
    let in_range = match (min, max) {
        (Some(min), Some(max)) => quote! {
            .filter(|number| {
                let range: ::core::ops::RangeInclusive<u64> = #min..=#max;
                range.contains(&u64::from(*number))
            })
        },
        (None | Some(_), None) | (None, Some(_)) => quote! {},
    };
    let info = quote! {
        ::device_model::property::PropertyInfo { name: #name, kind: #kind, help: #help }
    };
    let arm = quote! {
        #name => {
            self.#ident = <#ty as ::device_model::property::PropertyValue>::from_value(
                property.value,
            )
            #in_range
            .ok_or(::device_model::property::Problem::Value { expected: #kind })?;
            ::core::result::Result::Ok(())
        }
    };
    Ok(Some((info, arm)))
}

/// Expands `#[derive(PropertyValue)]`.
pub(crate) fn expand_value(input: &DeriveInput) -> Result<TokenStream> {
    no_generics(input)?;
    let variants = plain_variants(input)?;
    let words: Vec<String> = variants
        .iter()
        .map(|variant| kebab(&variant.ident))
        .collect();
    let idents = variants.iter().map(|variant| &variant.ident);
    let name = &input.ident;
    Ok(quote! {
        impl ::device_model::property::PropertyValue for #name {
            const KIND: ::device_model::property::Kind =
                ::device_model::property::Kind::Choice(&[#(#words),*]);

            fn from_value(
                value: ::device_model::property::Value<'_>,
            ) -> ::core::option::Option<Self> {
                match value {
                    #(
                        ::device_model::property::Value::Text(#words) => {
                            ::core::option::Option::Some(Self::#idents)
                        }
                    )*
                    _ => ::core::option::Option::None,
                }
            }
        }
    })
}

/// Returns `TwoWords` as `two-words`.
fn kebab(ident: &Ident) -> String {
    let mut word = String::new();
    for letter in ident.to_string().chars() {
        if letter.is_uppercase() && !word.is_empty() {
            word.push('-');
        }
        word.extend(letter.to_lowercase());
    }
    word
}

#[cfg(test)]
mod tests {
    use super::{expand, expand_value};
    use syn::parse_quote;

    fn error(result: syn::Result<proc_macro2::TokenStream>) -> String {
        result.map_or_else(|error| error.to_string(), |_| String::new())
    }

    #[test]
    fn each_property_has_help_and_whole_ranges() {
        for (input, expected) in [
            (
                parse_quote! { struct C { /** Help. */ #[property(min = 3, max = 32)] a: u8 } },
                "",
            ),
            (parse_quote! { struct C { #[property(skip)] a: u8 } }, ""),
            (parse_quote! { struct C; }, ""),
            (
                parse_quote! { struct C { a: u8 } },
                "missing: a doc comment, which is the property's help",
            ),
            (
                parse_quote! { struct C { /** Help. */ #[property(min = 3)] a: u8 } },
                "`min` and `max` stand together",
            ),
            (
                parse_quote! { struct C { #[property(maximum = 3)] a: u8 } },
                "unknown; there are min, max, skip",
            ),
            (
                parse_quote! { struct C { #[property(skip, skip)] a: u8 } },
                "stands twice",
            ),
            (parse_quote! { struct C(u8); }, "expected named fields"),
            (parse_quote! { enum C { A } }, "expected a struct"),
            (
                parse_quote! { struct C<T> { a: T } },
                "generic parameters are not supported",
            ),
        ] {
            assert_eq!(error(expand(&input)), expected);
        }
    }

    #[test]
    fn a_choice_has_words_only() {
        let tokens = expand_value(&parse_quote! { enum E { Sends, HoldsBack } });
        assert!(tokens.is_ok_and(|tokens| tokens.to_string().contains("\"holds-back\"")));
        let input = parse_quote! { enum E { A(u8) } };
        assert_eq!(error(expand_value(&input)), "a variant has no fields here");
    }
}
