//! What the algorithm must know about types: a trait for the caller to implement.

use std::fmt::Debug;
use std::hash::Hash;

/// Describes the types of one program, as seen from one module.
///
/// The algorithm asks for each type at most once per match. Whether a type has values is worked
/// out from these answers; a field that the module cannot see must say so ([`Field::visible`]),
/// since nobody may rely on the emptiness of a private field.
pub trait Types {
    /// A handle on a type; equal handles are the same type.
    type Ty: Clone + Eq + Hash + Debug;

    /// Describes the structure of `ty`.
    fn describe(&self, ty: &Self::Ty) -> Shape<Self::Ty>;

    /// Names the constructor of a struct, union or enum variant, for printed witnesses.
    ///
    /// `variant` is `None` for a struct or union. The default is a placeholder, good enough
    /// when witnesses are not printed.
    fn constructor_name(&self, ty: &Self::Ty, variant: Option<usize>) -> ConstructorName {
        let _ = ty;
        ConstructorName::Tuple(variant.map_or_else(|| "Struct".into(), |v| format!("Variant{v}")))
    }
}

/// The way a struct, union or variant is written as a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConstructorName {
    /// `(a, b)`: a tuple type.
    Anonymous,
    /// `Path(a, b)`, or plain `Path` without fields.
    Tuple(String),
    /// `Path { a: _, b: _ }`.
    Named {
        /// The path before the brace.
        path: String,
        /// The names of all fields in declaration order.
        fields: Vec<String>,
    },
}

/// Identifies the declaration of an enum, whatever its type arguments are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnumId(pub u64);

/// The width of an integer type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IntWidth {
    /// A fixed number of bits, 1 to 128.
    Bits(u8),
    /// `usize` or `isize`, whose width on this target is given; no concrete range exhausts it.
    Pointer(u8),
}

impl IntWidth {
    /// Returns the number of bits.
    pub fn bits(self) -> u8 {
        match self {
            IntWidth::Bits(bits) | IntWidth::Pointer(bits) => bits,
        }
    }
}

/// Whether an integer type has a sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sign {
    /// Two's complement.
    Signed,
    /// No negative values.
    Unsigned,
}

/// The structure of a type.
#[derive(Clone, Debug)]
pub enum Shape<T> {
    /// `!`.
    Never,
    /// `bool`.
    Bool,
    /// `char`.
    Char,
    /// An integer.
    Int(Sign, IntWidth),
    /// A struct, a tuple, or a box that is matched by a box pattern: the fields in declaration
    /// order. As for the compiler, `#[non_exhaustive]` on a struct or variant does not hide that
    /// a field makes it empty.
    Struct(Vec<Field<T>>),
    /// An enum, also one without variants.
    Enum(EnumShape<T>),
    /// A union.
    Union(Vec<Field<T>>),
    /// A reference to a value of the given type.
    Ref(T),
    /// A slice.
    Slice(T),
    /// An array; the length is `None` where it is not known (a generic parameter).
    Array(T, Option<u64>),
    /// `f16`, `f32` or `f64`.
    Float,
    /// `str`.
    Str,
    /// Anything whose values cannot be listed: raw pointers, functions, type parameters.
    Opaque,
}

/// A field of a struct, tuple, union or variant.
#[derive(Clone, Debug)]
pub struct Field<T> {
    /// The field's type.
    pub ty: T,
    /// Whether the module of the match may name the field.
    pub visible: bool,
}

impl<T> Field<T> {
    /// Makes a field that the module of the match can see.
    pub fn visible(ty: T) -> Self {
        Field { ty, visible: true }
    }

    /// Makes a field that the module of the match cannot see.
    pub fn private(ty: T) -> Self {
        Field { ty, visible: false }
    }
}

/// An enum.
#[derive(Clone, Debug)]
pub struct EnumShape<T> {
    /// The declaration; a ghost variant is added to all types with the same one.
    pub id: EnumId,
    /// The variants in declaration order.
    pub variants: Vec<Variant<T>>,
    /// Whether it is another crate's `#[non_exhaustive]` enum.
    pub foreign_non_exhaustive: bool,
}

/// A variant of an enum.
#[derive(Clone, Debug)]
pub struct Variant<T> {
    /// The fields in declaration order.
    pub fields: Vec<Field<T>>,
    /// Whether witnesses may name it: not so for another crate's `#[doc(hidden)]` or unstable one.
    pub hidden: bool,
}

impl<T> Variant<T> {
    /// Makes an ordinary variant whose fields have the given types.
    pub fn new(fields: impl IntoIterator<Item = T>) -> Self {
        Variant {
            fields: fields.into_iter().map(Field::visible).collect(),
            hidden: false,
        }
    }
}

impl<T> Shape<T> {
    /// Makes a tuple or a struct with visible fields.
    pub fn product(fields: impl IntoIterator<Item = T>) -> Self {
        Shape::Struct(fields.into_iter().map(Field::visible).collect())
    }

    /// Makes an enum of this crate.
    pub fn sum(id: EnumId, variants: impl IntoIterator<Item = Variant<T>>) -> Self {
        Shape::Enum(EnumShape {
            id,
            variants: variants.into_iter().collect(),
            foreign_non_exhaustive: false,
        })
    }
}
