//! States as plain numbers, and back.

use crate::field::{
    discriminant, entries, missing, named_fields, no_generics, number, only, plain_variants, value,
};
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Expr, Field, Ident, Result, Type};

/// One field of a state.
struct StateField<'a> {
    ident: &'a Ident,
    ty: &'a Type,
    since: u16,
    default: Option<Expr>,
    max: Option<Expr>,
    check: Option<Expr>,
}

/// Expands `#[derive(Migrate)]`.
pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    no_generics(input)?;
    match &input.data {
        Data::Struct(_) => expand_struct(input),
        Data::Enum(_) => expand_enum(input),
        Data::Union(_) => Err(Error::new(
            input.ident.span(),
            "expected a struct or an enum",
        )),
    }
}

fn expand_struct(input: &DeriveInput) -> Result<TokenStream> {
    let options = entries(&input.attrs, "migrate")?;
    only(&options, &["version", "check"])?;
    let version = value(&options, "version")
        .ok_or_else(|| missing(input.ident.span(), "#[migrate(version = 1)]"))?;
    let newest = version_number(version)?;
    let fields: Vec<StateField<'_>> = named_fields(input)?
        .into_iter()
        .map(|field| state_field(field, newest))
        .collect::<Result<_>>()?;
    let name = &input.ident;
    let visibility = &input.vis;
    let snapshot = format_ident!("{name}Snapshot");
    let doc = format!("The saved form of [`{name}`]: plain numbers that nobody has checked.");
    let (idents, types): (Vec<_>, Vec<_>) =
        fields.iter().map(|field| (field.ident, field.ty)).unzip();
    let docs = idents
        .iter()
        .map(|ident| format!("See [`{name}::{ident}`]."));
    let reads = fields.iter().map(read);
    let checks = fields.iter().map(check);
    let whole = value(&options, "check").map(|check| quote! { (#check)(&state)?; });
    Ok(quote! {
        #[doc = #doc]
        #[derive(Clone, Debug, PartialEq, Eq)]
        #visibility struct #snapshot {
            #(
                #[doc = #docs]
                #visibility #idents: <#types as ::device_model::migrate::Plain>::Wire,
            )*
        }

        impl #snapshot {
            /// The version that is written, and the newest that is read.
            #visibility const VERSION: u16 = #newest;
        }

        impl ::device_model::migrate::Wire for #snapshot {
            fn write(&self, out: &mut ::device_model::migrate::Writer) {
                ::device_model::migrate::Wire::write(&Self::VERSION, out);
                #(::device_model::migrate::Wire::write(&self.#idents, out);)*
            }

            fn read(
                input: &mut ::device_model::migrate::Reader<'_>,
            ) -> ::core::result::Result<Self, ::device_model::migrate::RestoreError> {
                let version: u16 = ::device_model::migrate::Wire::read(input)?;
                if version == 0 || version > Self::VERSION {
                    return ::core::result::Result::Err(
                        ::device_model::migrate::RestoreError::Version {
                            found: version,
                            newest: Self::VERSION,
                        },
                    );
                }
                ::core::result::Result::Ok(Self { #(#reads)* })
            }
        }

        impl ::core::convert::From<&#name> for #snapshot {
            fn from(state: &#name) -> Self {
                let _ = state;
                Self {
                    #(#idents: ::device_model::migrate::Plain::to_wire(&state.#idents),)*
                }
            }
        }

        impl ::core::convert::TryFrom<#snapshot> for #name {
            type Error = ::device_model::migrate::Invalid;

            fn try_from(snapshot: #snapshot) -> ::core::result::Result<Self, Self::Error> {
                let _ = &snapshot;
                #(#checks)*
                let state = Self { #(#idents,)* };
                #whole
                ::core::result::Result::Ok(state)
            }
        }

        impl ::device_model::migrate::Plain for #name {
            type Wire = #snapshot;

            fn to_wire(&self) -> #snapshot {
                #snapshot::from(self)
            }

            fn from_wire(
                wire: #snapshot,
            ) -> ::core::result::Result<Self, ::device_model::migrate::Invalid> {
                Self::try_from(wire)
            }
        }
    })
}

/// Returns how a field is read out of a snapshot.
fn read(field: &StateField<'_>) -> TokenStream {
    let StateField {
        ident, ty, since, ..
    } = field;
    let read = quote! { ::device_model::migrate::Wire::read(input)? };
    if *since <= 1 {
        return quote! { #ident: #read, };
    }
    let default = match &field.default {
        Some(default) => quote! { #default },
        None => quote! { ::core::default::Default::default() },
    };
    quote! {
        #ident: if version >= #since {
            #read
        } else {
            let missing: #ty = #default;
            ::device_model::migrate::Plain::to_wire(&missing)
        },
    }
}

/// Returns how a field is checked.
fn check(field: &StateField<'_>) -> TokenStream {
    let StateField { ident, ty, .. } = field;
    let name = ident.to_string();
    let max = field.max.as_ref().map(|max| {
        quote! {
            if #ident > #max {
                return ::core::result::Result::Err(
                    ::device_model::migrate::Invalid::new(#name, u64::from(#ident)),
                );
            }
        }
    });
    let check = field.check.as_ref().map(|check| {
        quote! {
            if !(#check)(&#ident) {
                return ::core::result::Result::Err(
                    ::device_model::migrate::Invalid::new(#name, 0),
                );
            }
        }
    });
    quote! {
        let #ident: #ty = ::device_model::migrate::Plain::from_wire(snapshot.#ident)
            .map_err(|invalid| invalid.in_field(#name))?;
        #max
        #check
    }
}

fn state_field(field: &Field, newest: u16) -> Result<StateField<'_>> {
    let Some(ident) = &field.ident else {
        return Err(Error::new(field.span(), "expected a named field"));
    };
    let options = entries(&field.attrs, "migrate")?;
    only(&options, &["since", "default", "max", "check"])?;
    let since = value(&options, "since").map_or(Ok(1), version_number)?;
    if since > newest {
        let message = format!("the newest version is {newest}");
        return Err(Error::new(ident.span(), message));
    }
    let default = value(&options, "default").cloned();
    if let Some(default) = &default
        && since == 1
    {
        let message = "every version has this field: there is no `since`";
        return Err(Error::new(default.span(), message));
    }
    Ok(StateField {
        ident,
        ty: &field.ty,
        since,
        default,
        max: value(&options, "max").cloned(),
        check: value(&options, "check").cloned(),
    })
}

fn version_number(expression: &Expr) -> Result<u16> {
    u16::try_from(number(expression)?)
        .ok()
        .filter(|version| *version != 0)
        .ok_or_else(|| Error::new(expression.span(), "expected a version from 1 to 65535"))
}

fn expand_enum(input: &DeriveInput) -> Result<TokenStream> {
    let variants = plain_variants(input)?;
    only(&entries(&input.attrs, "migrate")?, &[])?;
    let numbers = variants
        .iter()
        .map(|variant| {
            u8::try_from(discriminant(variant)?)
                .map_err(|error| Error::new(variant.ident.span(), error.to_string()))
        })
        .collect::<Result<Vec<u8>>>()?;
    let idents: Vec<_> = variants.iter().map(|variant| &variant.ident).collect();
    let name = &input.ident;
    Ok(quote! {
        impl ::device_model::migrate::Plain for #name {
            type Wire = u8;

            fn to_wire(&self) -> u8 {
                match self {
                    #(Self::#idents => #numbers,)*
                }
            }

            fn from_wire(
                wire: u8,
            ) -> ::core::result::Result<Self, ::device_model::migrate::Invalid> {
                match wire {
                    #(#numbers => ::core::result::Result::Ok(Self::#idents),)*
                    _ => ::core::result::Result::Err(
                        ::device_model::migrate::Invalid::new("", u64::from(wire)),
                    ),
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
    fn a_state_has_a_version_and_its_fields_none_above() {
        for (input, expected) in [
            (
                parse_quote! { #[migrate(version = 1)] struct S { a: u8 } },
                "",
            ),
            (parse_quote! { #[migrate(version = 1)] struct S; }, ""),
            (
                parse_quote! {
                    #[migrate(version = 2, check = S::check)]
                    struct S { #[migrate(since = 2, default = 7, max = 9)] a: u8 }
                },
                "",
            ),
            (
                parse_quote! { struct S { a: u8 } },
                "missing: #[migrate(version = 1)]",
            ),
            (
                parse_quote! { #[migrate(version = 0)] struct S { a: u8 } },
                "expected a version from 1 to 65535",
            ),
            (
                parse_quote! { #[migrate(version = 1)] struct S { #[migrate(since = 2)] a: u8 } },
                "the newest version is 1",
            ),
            (
                parse_quote! { #[migrate(version = 1)] struct S { #[migrate(default = 2)] a: u8 } },
                "every version has this field: there is no `since`",
            ),
            (
                parse_quote! { #[migrate(version = 1)] struct S { #[migrate(skip)] a: u8 } },
                "unknown; there are since, default, max, check",
            ),
            (
                parse_quote! { #[migrate(version = 1)] struct S(u8); },
                "expected named fields",
            ),
            (
                parse_quote! { #[migrate(version = 1)] struct S<T> { a: T } },
                "generic parameters are not supported",
            ),
        ] {
            assert_eq!(error(&input), expected);
        }
    }

    #[test]
    fn an_enum_is_saved_by_numbers_that_are_written_out() {
        assert_eq!(error(&parse_quote! { enum E { A = 0, B = 255 } }), "");
        assert_eq!(
            error(&parse_quote! { enum E { A, B } }),
            "the number must be written out: `Name = 0`"
        );
        assert!(error(&parse_quote! { enum E { A = 256 } }).contains("out of range"));
        assert_eq!(
            error(&parse_quote! { #[migrate(version = 1)] enum E { A = 0 } }),
            "unknown; there are "
        );
    }
}
