//! Patterns, arms and matches as the caller gives them.

/// A pattern. Its type follows from where it stands.
#[derive(Clone, Debug)]
pub struct Pat<T> {
    /// What the pattern says.
    pub kind: PatKind<T>,
    /// The caller's own number, given back when an alternative is reported.
    pub label: u32,
}

/// The forms of a pattern. `T` is the caller's type handle.
#[derive(Clone, Debug)]
pub enum PatKind<T> {
    /// `_` or `..`: looks at nothing.
    Wild,
    /// `x`, `ref x` or `x @ sub`.
    Bind(Binding, Option<Box<Pat<T>>>),
    /// `!`: asserts that there is no value here.
    Never,
    /// `true` or `false`.
    Bool(bool),
    /// An integer or character, or a range of them.
    Range(Range),
    /// A float, or a range of floats with both ends included.
    Float(f64, f64),
    /// The contents of a string literal, behind its reference.
    Str(Box<str>),
    /// A struct or tuple: the fields that are mentioned, by index.
    Struct(Vec<(usize, Pat<T>)>),
    /// An enum variant by index, and the fields that are mentioned.
    Variant(usize, Vec<(usize, Pat<T>)>),
    /// One field of a union.
    Union(usize, Box<Pat<T>>),
    /// `&pat`, also where default binding modes imply it.
    Ref(Box<Pat<T>>),
    /// A dereference that calls `Deref` (for example `box` or `deref!`), with the target's type.
    Deref(T, Box<Pat<T>>),
    /// `[a, b]`, or `[a, .., b]` if `rest` is set; also for arrays.
    Slice {
        /// The elements before `..`.
        prefix: Vec<Pat<T>>,
        /// Whether there is a `..`.
        rest: bool,
        /// The elements after `..`.
        suffix: Vec<Pat<T>>,
    },
    /// `a | b`.
    Or(Vec<Pat<T>>),
    /// A constant that cannot be looked into; equal numbers mean the same constant.
    Opaque(u64),
}

/// How a binding gets at its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// By move or copy: the value is read, which asserts that it is valid.
    ByValue,
    /// By reference: the place is named but not read.
    ByRef,
}

/// A range of integers or characters. Values are raw bits: two's complement, cut to the width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The lowest value, or `None` for `..=hi`.
    pub lo: Option<u128>,
    /// The upper end, or `None` for `lo..`.
    pub hi: Option<u128>,
    /// Whether `hi` itself belongs to the range.
    pub end: RangeEnd,
}

/// Whether the upper end of a range belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeEnd {
    /// `..=`.
    Included,
    /// `..`.
    Excluded,
}

impl<T> Pat<T> {
    /// Makes a pattern with label 0.
    pub fn new(kind: PatKind<T>) -> Self {
        Pat { kind, label: 0 }
    }

    /// Makes `_`.
    pub fn wild() -> Self {
        Pat::new(PatKind::Wild)
    }

    /// Makes a binding by value.
    pub fn bind() -> Self {
        Pat::new(PatKind::Bind(Binding::ByValue, None))
    }

    /// Makes a variant whose fields are all mentioned.
    pub fn variant(index: usize, fields: impl IntoIterator<Item = Pat<T>>) -> Self {
        Pat::new(PatKind::Variant(
            index,
            fields.into_iter().enumerate().collect(),
        ))
    }

    /// Makes a struct or tuple whose fields are all mentioned.
    pub fn product(fields: impl IntoIterator<Item = Pat<T>>) -> Self {
        Pat::new(PatKind::Struct(fields.into_iter().enumerate().collect()))
    }

    /// Makes `value`, an integer or character given as raw bits.
    pub fn value(value: u128) -> Self {
        Pat::range(Some(value), Some(value))
    }

    /// Makes `lo..=hi`, either end possibly open.
    pub fn range(lo: Option<u128>, hi: Option<u128>) -> Self {
        Pat::new(PatKind::Range(Range {
            lo,
            hi,
            end: RangeEnd::Included,
        }))
    }

    /// Makes `a | b | …`.
    pub fn or(alternatives: impl IntoIterator<Item = Pat<T>>) -> Self {
        Pat::new(PatKind::Or(alternatives.into_iter().collect()))
    }

    /// Makes `&pat`.
    pub fn reference(pat: Pat<T>) -> Self {
        Pat::new(PatKind::Ref(Box::new(pat)))
    }

    /// Sets the label.
    #[must_use]
    pub fn labeled(mut self, label: u32) -> Self {
        self.label = label;
        self
    }
}

/// One arm.
#[derive(Clone, Debug)]
pub struct Arm<T> {
    /// The pattern.
    pub pat: Pat<T>,
    /// Whether an `if` follows, so that the arm may let any value pass.
    pub guard: Guard,
}

/// Whether an arm has a guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// The arm takes all that its pattern matches.
    Absent,
    /// The arm may refuse a value that its pattern matches.
    Present,
}

impl<T> Arm<T> {
    /// Makes an arm without a guard.
    pub fn new(pat: Pat<T>) -> Self {
        Arm {
            pat,
            guard: Guard::Absent,
        }
    }

    /// Makes an arm with a guard.
    pub fn guarded(pat: Pat<T>) -> Self {
        Arm {
            pat,
            guard: Guard::Present,
        }
    }
}

/// What is known about the bits at the place that is matched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// They are a value of the type: a local, a temporary, a by-value result.
    KnownValid,
    /// They may be anything: behind a pointer or reference, or in a union's field.
    MaybeInvalid,
}

/// A whole match. `if let`, `while let`, `let … else`, `let` and parameters are matches too.
#[derive(Clone, Debug)]
pub struct Match<T> {
    /// The type of what is matched on.
    pub scrutinee: T,
    /// What is known about its place.
    pub validity: Validity,
    /// The arms from top to bottom.
    pub arms: Vec<Arm<T>>,
}
