//! The neutral form.

use std::fmt;

use match_audit_usefulness::never::Access;
use match_audit_usefulness::{ConstructorName, EnumId, Match, Shape, Types};

/// A handle on a type: an index into [`Project::types`].
///
/// The same type seen from two modules may have two handles, since they may see different fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeId(pub u32);

/// All that the audit knows about a project.
#[derive(Clone, Debug, Default)]
pub struct Project {
    /// The types that sites mention, directly or not.
    pub types: Vec<TypeInfo>,
    /// The enums among them.
    pub enums: Vec<EnumInfo>,
    /// The sites, by file and line.
    pub sites: Vec<Site>,
    /// Sites that could not be lowered. They are counted, never dropped.
    pub unanalyzed: Vec<Unanalyzed>,
    /// Where values of own enums seem to be made from something else. A guess, not an analysis.
    pub conversions: Vec<Conversion>,
}

/// A type.
#[derive(Clone, Debug)]
pub struct TypeInfo {
    /// Its structure.
    pub shape: Shape<TypeId>,
    /// How it is written as a pattern.
    pub names: Names,
}

/// How the constructors of a type are written.
#[derive(Clone, Debug)]
pub enum Names {
    /// A type whose values have no names: numbers, references, slices.
    None,
    /// A struct, tuple or union.
    Single(ConstructorName),
    /// The variants of an enum, in order.
    Variants(Vec<ConstructorName>),
}

/// An enum.
#[derive(Clone, Debug)]
pub struct EnumInfo {
    /// Its identity in [`match_audit_usefulness::EnumShape::id`].
    pub id: EnumId,
    /// The full path, for example `devices::Device`.
    pub path: String,
    /// The names of the variants, in order.
    pub variants: Vec<String>,
    /// Whether the project itself declares it.
    pub own: bool,
    /// Where it is declared, if in the project.
    pub location: Option<Location>,
}

impl EnumInfo {
    /// Returns the last part of the path.
    pub fn name(&self) -> &str {
        self.path.rsplit("::").next().unwrap_or(&self.path)
    }
}

/// A place in a source file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// The file, relative to the project's root where it lies below it.
    pub file: String,
    /// The line, counted from 1.
    pub line: u32,
    /// The column in characters, counted from 1.
    pub column: u32,
    /// The length in characters on the first line.
    pub length: u32,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// What kind of code a site is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SiteKind {
    /// `match`.
    Match,
    /// `if let`, also in a chain or a guard.
    IfLet,
    /// `while let`.
    WhileLet,
    /// `let … else`.
    LetElse,
    /// `let`.
    Let,
    /// A parameter of a function or closure.
    Parameter,
    /// `matches!`.
    Matches,
}

impl SiteKind {
    /// Returns the words that a programmer would use.
    pub fn name(self) -> &'static str {
        match self {
            SiteKind::Match => "match",
            SiteKind::IfLet => "if let",
            SiteKind::WhileLet => "while let",
            SiteKind::LetElse => "let … else",
            SiteKind::Let => "let",
            SiteKind::Parameter => "parameter",
            SiteKind::Matches => "matches!",
        }
    }
}

/// One place where values are matched.
#[derive(Clone, Debug)]
pub struct Site {
    /// What it is.
    pub kind: SiteKind,
    /// Where it is; for a site inside a macro, where the macro is called.
    pub location: Location,
    /// The function or constant around it.
    pub function: String,
    /// The match itself. `if let` and its like have a second arm `_` that stands for "else".
    pub matched: Match<TypeId>,
    /// One entry for each arm of `matched`.
    pub arms: Vec<ArmInfo>,
    /// What the place was reached through.
    pub access: Access,
    /// The reason given in `// match-audit: omitted_empty_arm(reason)` beside the site.
    pub empty_arm: Option<String>,
    /// The run that this is about, where another run sees the same place with other types.
    pub run: Option<String>,
}

/// What the source says about an arm.
#[derive(Clone, Debug)]
pub struct ArmInfo {
    /// Where the pattern is.
    pub location: Location,
    /// The pattern as written; `else` for the silent arm of `if let` and its like.
    pub text: String,
    /// The reason given in `// match-audit: absorb(reason)` beside the arm.
    pub absorb: Option<String>,
}

/// Code that seems to make an own enum from something else, naming the variants one by one: a new
/// one would be lost there although no match on the enum has a wildcard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversion {
    /// Where it is.
    pub location: Location,
    /// The function or constant around it.
    pub function: String,
    /// What the values are made from.
    pub from: ConversionSource,
    /// The enum.
    pub id: EnumId,
    /// The variants that are made, ascending.
    pub made: Vec<usize>,
}

/// What an enum is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConversionSource {
    /// An integer or character.
    Number,
    /// A string or a string of bytes.
    Text,
    /// A list of variants, in which others look for one.
    List,
}

impl ConversionSource {
    /// Returns the words that a programmer would use.
    pub fn name(self) -> &'static str {
        match self {
            ConversionSource::Number => "a number",
            ConversionSource::Text => "text",
            ConversionSource::List => "a list",
        }
    }
}

/// A site that could not be lowered.
#[derive(Clone, Debug)]
pub struct Unanalyzed {
    /// What it is.
    pub kind: SiteKind,
    /// Where it is.
    pub location: Location,
    /// Why it could not be lowered.
    pub why: String,
}

impl Types for Project {
    type Ty = TypeId;

    fn describe(&self, ty: &TypeId) -> Shape<TypeId> {
        self.types
            .get(ty.0 as usize)
            .map_or(Shape::Opaque, |info| info.shape.clone())
    }

    fn constructor_name(&self, ty: &TypeId, variant: Option<usize>) -> ConstructorName {
        let names = self.types.get(ty.0 as usize).map(|info| &info.names);
        match (names, variant) {
            (Some(Names::Single(name)), _) => name.clone(),
            (Some(Names::Variants(names)), Some(index)) if index < names.len() => {
                names[index].clone()
            }
            _ => ConstructorName::Tuple("_".into()),
        }
    }
}

impl Project {
    /// Returns the enum with the given identity.
    pub fn enum_info(&self, id: EnumId) -> Option<&EnumInfo> {
        self.enums.iter().find(|info| info.id == id)
    }

    /// Returns the enums whose name or full path is `name`.
    pub fn enums_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a EnumInfo> {
        self.enums
            .iter()
            .filter(move |info| info.path == name || info.name() == name)
    }
}
