//! What all devices have.

use crate::field::{entries, missing, named_fields, no_generics, only, text, value};
use proc_macro2::TokenStream;
use quote::quote;
use syn::spanned::Spanned;
use syn::{DeriveInput, Error, Field, Result};

/// The room for a kind's name in a snapshot.
const MAX_KIND: usize = 16;

/// Expands `#[derive(Device)]`.
pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    no_generics(input)?;
    let options = entries(&input.attrs, "device")?;
    only(&options, &["kind", "check"])?;
    let kind = value(&options, "kind")
        .ok_or_else(|| missing(input.ident.span(), "#[device(kind = \"name\")]"))?;
    let text = text(kind)?;
    if text.is_empty() || text.len() > MAX_KIND || !text.is_ascii() {
        let message = format!("a kind has 1 to {MAX_KIND} letters");
        return Err(Error::new(kind.span(), message));
    }
    let fields = named_fields(input)?;
    let config = &field(input, &fields, "config")?.ty;
    let state = &field(input, &fields, "state")?.ty;
    let others: Vec<_> = fields
        .iter()
        .filter_map(|field| field.ident.as_ref())
        .filter(|ident| *ident != "config" && *ident != "state")
        .collect();
    let check = value(&options, "check").map(|check| {
        quote! {
            (#check)(&self.config, &state).map_err(::device_model::migrate::RestoreError::Invalid)?;
        }
    });
    let name = &input.ident;
    Ok(quote! {
        impl #name {
            /// Makes a device as it is after reset.
            #[must_use]
            pub fn new(config: #config) -> Self {
                Self {
                    config,
                    state: <#state as ::core::default::Default>::default(),
                    #(#others: ::core::default::Default::default(),)*
                }
            }

            /// Returns what is fixed.
            #[must_use]
            pub const fn config(&self) -> &#config {
                &self.config
            }

            /// Returns what the guest sees change.
            #[must_use]
            pub const fn state(&self) -> &#state {
                &self.state
            }
        }

        impl ::device_model::migrate::Migrate for #name {
            fn kind(&self) -> &'static str {
                #text
            }

            fn save(&self, out: &mut ::device_model::migrate::Writer) {
                let wire = ::device_model::migrate::Plain::to_wire(&self.state);
                ::device_model::migrate::Wire::write(&wire, out);
            }

            fn restore(
                &mut self,
                input: &mut ::device_model::migrate::Reader<'_>,
            ) -> ::core::result::Result<(), ::device_model::migrate::RestoreError> {
                let state: #state = ::device_model::migrate::restore_all(input)?;
                #check
                self.state = state;
                ::core::result::Result::Ok(())
            }
        }
    })
}

fn field<'a>(input: &DeriveInput, fields: &[&'a Field], name: &str) -> Result<&'a Field> {
    fields
        .iter()
        .find(|field| field.ident.as_ref().is_some_and(|ident| ident == name))
        .copied()
        .ok_or_else(|| missing(input.ident.span(), &format!("the field `{name}`")))
}

#[cfg(test)]
mod tests {
    use super::expand;
    use syn::parse_quote;

    #[test]
    fn a_device_has_a_kind_a_config_and_a_state() {
        for (input, expected) in [
            (
                parse_quote! { #[device(kind = "x")] struct D { config: C, state: S, wire: W } },
                "",
            ),
            (
                parse_quote! { struct D { config: C, state: S } },
                "missing: #[device(kind = \"name\")]",
            ),
            (
                parse_quote! { #[device(kind = "x")] struct D { config: C } },
                "missing: the field `state`",
            ),
            (
                parse_quote! { #[device(kind = "x")] struct D { state: S } },
                "missing: the field `config`",
            ),
            (
                parse_quote! { #[device(kind = "")] struct D { config: C, state: S } },
                "a kind has 1 to 16 letters",
            ),
            (
                parse_quote! { #[device(kind = 1)] struct D { config: C, state: S } },
                "expected a string",
            ),
        ] {
            let input: syn::DeriveInput = input;
            let error = expand(&input).map_or_else(|error| error.to_string(), |_| String::new());
            assert_eq!(error, expected);
        }
    }
}
