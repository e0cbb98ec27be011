//! The device framework's procedural macros. Use them through `device_model`, which re-exports them.
//!
//! Each comes as a pair: a function from tokens to [`syn::Result`], which tests call, and the thin
//! entry point here.

mod bits;
mod device;
mod field;
mod migrate;
mod properties;
mod registers;

use proc_macro::TokenStream;
use syn::{DeriveInput, ItemStruct, parse_macro_input};

/// Makes typed register offsets of an enum: `ALL`, `const fn offset`, `TryFrom<u64>` with the error
/// `NoRegister`, and the trait `Registers`.
///
/// Each variant has its offset in bytes as its discriminant, in ascending order and aligned to the
/// width of the registers, which is 4 unless `#[registers(width = N)]` says otherwise.
#[proc_macro_derive(Registers, attributes(registers))]
pub fn registers(input: TokenStream) -> TokenStream {
    finish(registers::expand(&parse_macro_input!(input as DeriveInput)))
}

/// Makes a register with typed fields of a struct: `#[bit_fields(u16)]`, and on each field
/// `#[bits(3)]` (then it is a `bool`) or `#[bits(4..=6)]` (then it is an unsigned number that holds
/// as many bits).
///
/// The struct becomes a wrapper of the number, with, all `const`: `bits`, `from_bits` (`None` if a
/// bit is set that no field has), `from_bits_truncate`, `MASK`, and for each field `FIELD`-like
/// accessors `field` and `with_field`, which cuts off what does not fit. It can be saved; a bit that
/// no field has is refused then.
#[proc_macro_attribute]
pub fn bit_fields(attribute: TokenStream, item: TokenStream) -> TokenStream {
    finish(bits::expand(
        attribute.into(),
        &parse_macro_input!(item as ItemStruct),
    ))
}

/// Makes a `Config` of what a machine description says. The documentation of a field is its help.
///
/// A field is named as in the struct, with `-` for `_`. `#[property(min = A, max = B)]` narrows a
/// number; `#[property(skip)]` leaves a field to the program. What the description does not name
/// has the value that it has in the struct's `Default`.
#[proc_macro_derive(Properties, attributes(property))]
pub fn properties(input: TokenStream) -> TokenStream {
    finish(properties::expand(&parse_macro_input!(
        input as DeriveInput
    )))
}

/// Makes an enum without fields a choice of words: its variants in `kebab-case`.
#[proc_macro_derive(PropertyValue)]
pub fn property_value(input: TokenStream) -> TokenStream {
    finish(properties::expand_value(&parse_macro_input!(
        input as DeriveInput
    )))
}

/// Makes a `State` that can be saved and restored.
///
/// For a struct, `#[migrate(version = N)]` is required; the struct `StateSnapshot` of plain numbers
/// is made beside it, with `From<&State>`, and `TryFrom` back that checks every field:
/// - what its type says (an unknown bit, a `bool` of 2, ...);
/// - `#[migrate(max = EXPRESSION)]`: a number is no larger;
/// - `#[migrate(check = FUNCTION)]` on a field: `fn(&T) -> bool`;
/// - `#[migrate(version = N, check = FUNCTION)]` on the struct:
///   `fn(&State) -> Result<(), Invalid>`, for what must hold between fields.
///
/// `#[migrate(since = N, default = EXPRESSION)]` marks a field that snapshots before version N lack.
///
/// An enum without fields is saved as its discriminant, one byte; each must be written out, so that
/// a change of the order changes no snapshot.
#[proc_macro_derive(Migrate, attributes(migrate))]
pub fn migrate(input: TokenStream) -> TokenStream {
    finish(migrate::expand(&parse_macro_input!(input as DeriveInput)))
}

/// Makes the part of a device that all have: `new`, `config`, `state`, and the trait `Migrate`.
///
/// The struct has a field `config` and a field `state`, whose type has a `Default` and derives
/// `Migrate`; other fields begin with their `Default` and are not saved. `#[device(kind = "NAME")]`
/// names the device in snapshots; `#[device(kind = "NAME", check = FUNCTION)]` checks what is restored
/// against the configuration: `fn(&Config, &State) -> Result<(), Invalid>`.
#[proc_macro_derive(Device, attributes(device))]
pub fn device(input: TokenStream) -> TokenStream {
    finish(device::expand(&parse_macro_input!(input as DeriveInput)))
}

fn finish(result: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    result.unwrap_or_else(syn::Error::into_compile_error).into()
}
