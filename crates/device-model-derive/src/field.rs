//! What the macros share: looking at items and their attributes.

use proc_macro2::Span;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{
    Attribute, Data, DeriveInput, Error, Expr, ExprLit, Field, Fields, Lit, LitInt, Meta, Result,
    Token, Variant,
};

/// Returns the named fields of a struct.
pub(crate) fn named_fields(input: &DeriveInput) -> Result<Vec<&Field>> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new(input.ident.span(), "expected a struct"));
    };
    match &data.fields {
        Fields::Named(fields) => Ok(fields.named.iter().collect()),
        Fields::Unit => Ok(Vec::new()),
        Fields::Unnamed(fields) => Err(Error::new(fields.span(), "expected named fields")),
    }
}

/// Returns the variants of an enum without fields, of which there is at least one.
pub(crate) fn plain_variants(input: &DeriveInput) -> Result<Vec<&Variant>> {
    let Data::Enum(data) = &input.data else {
        return Err(Error::new(input.ident.span(), "expected an enum"));
    };
    if let Some(variant) = data
        .variants
        .iter()
        .find(|variant| !matches!(variant.fields, Fields::Unit))
    {
        return Err(Error::new(variant.span(), "a variant has no fields here"));
    }
    if data.variants.is_empty() {
        return Err(Error::new(input.ident.span(), "expected a variant"));
    }
    Ok(data.variants.iter().collect())
}

/// Refuses generics: nothing here needs them.
pub(crate) fn no_generics(input: &DeriveInput) -> Result<()> {
    if input.generics.params.is_empty() {
        Ok(())
    } else {
        Err(Error::new(
            input.generics.span(),
            "generic parameters are not supported",
        ))
    }
}

/// Returns the number that a variant's discriminant is.
pub(crate) fn discriminant(variant: &Variant) -> Result<u64> {
    let Some((_, expression)) = &variant.discriminant else {
        return Err(Error::new(
            variant.ident.span(),
            "the number must be written out: `Name = 0`",
        ));
    };
    number(expression)
}

/// Returns the number that a literal is.
pub(crate) fn number(expression: &Expr) -> Result<u64> {
    literal(expression)?.base10_parse()
}

fn literal(expression: &Expr) -> Result<&LitInt> {
    match expression {
        Expr::Lit(ExprLit {
            lit: Lit::Int(literal),
            ..
        }) => Ok(literal),
        // Any other expression of Rust's: this asks for one kind.
        _ => Err(Error::new(expression.span(), "expected a number")),
    }
}

/// Returns the entries of all attributes `#[name(entry, ...)]`.
pub(crate) fn entries(attributes: &[Attribute], name: &str) -> Result<Vec<Meta>> {
    let mut entries = Vec::new();
    for attribute in attributes {
        if attribute.path().is_ident(name) {
            let parsed =
                attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)?;
            entries.extend(parsed);
        }
    }
    Ok(entries)
}

/// Returns the entry `key = VALUE` of a list.
pub(crate) fn value<'a>(entries: &'a [Meta], key: &str) -> Option<&'a Expr> {
    entries.iter().find_map(|entry| match entry {
        Meta::NameValue(pair) if pair.path.is_ident(key) => Some(&pair.value),
        Meta::NameValue(_) | Meta::Path(_) | Meta::List(_) => None,
    })
}

/// Tells whether a list has the bare word `key`.
pub(crate) fn has_word(entries: &[Meta], key: &str) -> bool {
    entries
        .iter()
        .any(|entry| matches!(entry, Meta::Path(path) if path.is_ident(key)))
}

/// Refuses entries that are none of `known`, and those that stand twice.
pub(crate) fn only(entries: &[Meta], known: &[&str]) -> Result<()> {
    let mut seen = Vec::new();
    for entry in entries {
        let path = entry.path();
        let Some(key) = known.iter().find(|key| path.is_ident(key)) else {
            let message = format!("unknown; there are {}", known.join(", "));
            return Err(Error::new(path.span(), message));
        };
        if seen.contains(key) {
            return Err(Error::new(path.span(), "stands twice"));
        }
        seen.push(key);
    }
    Ok(())
}

/// Returns the text of a string literal.
pub(crate) fn text(expression: &Expr) -> Result<String> {
    match expression {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => Ok(text.value()),
        // Any other expression of Rust's: this asks for one kind.
        _ => Err(Error::new(expression.span(), "expected a string")),
    }
}

/// Returns the documentation of an item, lines joined.
pub(crate) fn documentation(attributes: &[Attribute]) -> String {
    let lines: Vec<String> = attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("doc"))
        .filter_map(|attribute| attribute.meta.require_name_value().ok())
        .filter_map(|pair| text(&pair.value).ok())
        .map(|line| line.trim().to_owned())
        .collect();
    lines.join(" ").trim().to_owned()
}

/// Makes an error at the place of the macro's name.
pub(crate) fn missing(span: Span, what: &str) -> Error {
    Error::new(span, format!("missing: {what}"))
}
