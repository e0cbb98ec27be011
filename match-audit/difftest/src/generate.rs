//! Random matches, written as Rust and as input of the algorithm at the same time.

mod constructor;
mod range;

use std::fmt::Write as _;
use std::ops::Range as Bytes;

use match_audit_usefulness::{Arm, Binding, Guard, Match, Pat, PatKind, Validity};

use crate::program::{Body, Kind, Program, Ty};
use crate::rng::Rng;

/// What the generated matches are meant to stress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Focus {
    /// All types and patterns.
    Everything,
    /// Empty types at all kinds of places.
    Emptiness,
}

/// One generated match.
pub(crate) struct Case {
    pub(crate) matched: Match<Ty>,
    /// Where the pattern of each arm stands in the source.
    pub(crate) arms: Vec<Bytes<usize>>,
    /// Where the alternative with each label stands.
    pub(crate) alternatives: Vec<Bytes<usize>>,
    /// The whole function.
    pub(crate) function: Bytes<usize>,
}

/// What the scrutinee is: the parameter's type, the expression, and what is known of the place.
const PLACES: [(&str, &str, Validity); 13] = [
    ("TY", "x", Validity::KnownValid),
    ("&'static TY", "*x", Validity::MaybeInvalid),
    ("*const TY", "*x", Validity::MaybeInvalid),
    ("Box<TY>", "*x", Validity::MaybeInvalid),
    ("(u8, TY)", "x.1", Validity::KnownValid),
    ("&'static (u8, TY)", "x.1", Validity::MaybeInvalid),
    ("*const (u8, TY)", "(*x).1", Validity::MaybeInvalid),
    ("Wrap<TY>", "x.f", Validity::MaybeInvalid),
    ("Wrap<(TY, u8)>", "x.f.0", Validity::MaybeInvalid),
    ("[TY; 2]", "x[0]", Validity::KnownValid),
    ("&'static [TY]", "x[0]", Validity::MaybeInvalid),
    ("*const TY", "{ *x }", Validity::KnownValid),
    ("fn() -> TY", "x()", Validity::KnownValid),
];

/// The largest number of rows that one arm may be multiplied out to.
const MOST_ROWS: u64 = 64;

fn rows(pat: &Pat<Ty>) -> u64 {
    let product = |subs: &mut dyn Iterator<Item = &Pat<Ty>>| {
        subs.map(rows)
            .fold(1u64, |all, one| all.saturating_mul(one))
    };
    match &pat.kind {
        PatKind::Or(subs) => subs.iter().map(rows).fold(0u64, u64::saturating_add),
        PatKind::Bind(_, Some(sub))
        | PatKind::Union(_, sub)
        | PatKind::Ref(sub)
        | PatKind::Deref(_, sub) => rows(sub),
        PatKind::Struct(fields) | PatKind::Variant(_, fields) => {
            product(&mut fields.iter().map(|(_, sub)| sub))
        }
        PatKind::Slice { prefix, suffix, .. } => product(&mut prefix.iter().chain(suffix)),
        PatKind::Wild
        | PatKind::Bind(_, None)
        | PatKind::Never
        | PatKind::Bool(_)
        | PatKind::Range(_)
        | PatKind::Float(..)
        | PatKind::Str(_)
        | PatKind::Opaque(_) => 1,
    }
}

pub(crate) struct Generator<'p> {
    pub(crate) program: &'p Program,
    pub(crate) rng: Rng,
    pub(crate) focus: Focus,
    /// Whether `!` may be written as a pattern.
    pub(crate) never_patterns: bool,
    pub(crate) source: String,
    alternatives: Vec<Bytes<usize>>,
    bindings: usize,
    /// Inside an or-pattern all alternatives must bind the same names; here they bind none.
    in_or: bool,
    /// Whether a never pattern may stand here; such an arm binds nothing.
    may_write_never: bool,
    /// Whether the arm at hand contains a never pattern.
    wrote_never: bool,
}

impl<'p> Generator<'p> {
    pub(crate) fn new(program: &'p Program, rng: Rng, focus: Focus) -> Self {
        Generator {
            program,
            rng,
            focus,
            never_patterns: false,
            source: String::new(),
            alternatives: Vec::new(),
            bindings: 0,
            in_or: false,
            may_write_never: false,
            wrote_never: false,
        }
    }

    /// Writes one function with one match.
    pub(crate) fn case(&mut self, number: usize) -> Case {
        let ty = match self.focus {
            Focus::Everything => self.program.random_ty(&mut self.rng, 3),
            Focus::Emptiness => self.program.hollow_ty(&mut self.rng, 3),
        };
        let (parameter, scrutinee, validity) = match self.focus {
            Focus::Everything if self.rng.percent(70) => PLACES[0],
            Focus::Everything | Focus::Emptiness => *self.rng.pick(&PLACES),
        };
        // An expression of type `!` may become anything else before it is matched on.
        let diverges = self.program.kind(ty) == Kind::Never && scrutinee.ends_with([')', '}']);
        let (parameter, scrutinee, validity) = if diverges {
            PLACES[0]
        } else {
            (parameter, scrutinee, validity)
        };
        self.alternatives.clear();
        let start = self.source.len();
        let parameter = parameter.replace("TY", &self.program.write_ty(ty));
        let _ = writeln!(
            self.source,
            "unsafe fn m{number}(x: {parameter}) {{ match {scrutinee} {{"
        );
        let count = match self.focus {
            Focus::Everything => self.rng.below(9),
            Focus::Emptiness => self.rng.below(5),
        };
        let mut arms = Vec::new();
        let mut matched = Match {
            scrutinee: ty,
            validity,
            arms: Vec::new(),
        };
        for _ in 0..count {
            let from = self.source.len();
            self.bindings = 0;
            self.wrote_never = false;
            // A binding or `!` reads `x: !`, which makes the expression diverge and lose its type.
            let diverges = self.program.kind(ty) == Kind::Never;
            self.may_write_never = self.never_patterns && !diverges && self.rng.percent(40);
            self.in_or = self.may_write_never || diverges;
            let labels = self.alternatives.len();
            let mut pat = self.pattern(ty, 4);
            // The compiler multiplies or-patterns out, and takes minutes over some.
            while rows(&pat) > MOST_ROWS {
                self.source.truncate(from);
                self.alternatives.truncate(labels);
                self.bindings = 0;
                self.wrote_never = false;
                pat = self.pattern(ty, 4);
            }
            // The compiler's span of `x @ pat` is that of `pat`.
            let skip = match &pat.kind {
                PatKind::Bind(_, Some(_)) => self.source[from..].find("@ ").map_or(0, |at| at + 2),
                _ => 0,
            };
            arms.push(self.bare(from + skip..self.source.len(), &pat));
            let guard = if self.rng.percent(15) {
                self.source.push_str(" if g()");
                Guard::Present
            } else {
                Guard::Absent
            };
            // A never pattern has neither guard nor body.
            if self.wrote_never {
                self.source.truncate(arms.last().map_or(from, |a| a.end));
                self.source.push_str(",\n");
                matched.arms.push(Arm::new(pat));
            } else {
                self.source.push_str(" => {}\n");
                matched.arms.push(Arm { pat, guard });
            }
        }
        self.source.push_str("} }\n");
        Case {
            matched,
            arms,
            alternatives: self.alternatives.clone(),
            function: start..self.source.len(),
        }
    }

    /// Writes a pattern of type `ty`.
    fn pattern(&mut self, ty: Ty, depth: usize) -> Pat<Ty> {
        if depth == 0 || self.rng.percent(if depth == 4 { 8 } else { 22 }) {
            return self.wildcard(ty);
        }
        if self.may_write_never && self.rng.percent(40) && self.is_empty(ty, 0) {
            self.source.push('!');
            self.wrote_never = true;
            return Pat::new(PatKind::Never);
        }
        // The nightly's parser forgets a never pattern when an or-pattern follows in the arm.
        if !self.wrote_never && self.rng.percent(18) {
            return self.alternatives(ty, depth);
        }
        if !self.in_or && !self.is_unsized(ty) && self.rng.percent(4) {
            let name = self.name();
            let (mode, word) = self.binding();
            let _ = write!(self.source, "{word}{name} @ ");
            let before = std::mem::replace(&mut self.in_or, true);
            let sub = self.constructor(ty, depth);
            self.in_or = before;
            return Pat::new(PatKind::Bind(mode, Some(Box::new(sub))));
        }
        self.constructor(ty, depth)
    }

    /// The compiler's span of a parenthesized pattern leaves the parentheses out.
    fn bare(&self, bytes: Bytes<usize>, pat: &Pat<Ty>) -> Bytes<usize> {
        let pat = match &pat.kind {
            PatKind::Bind(_, Some(sub)) => sub,
            _ => pat,
        };
        if self.source[bytes.clone()].starts_with('(') && matches!(pat.kind, PatKind::Range(_)) {
            bytes.start + 1..bytes.end - 1
        } else {
            bytes
        }
    }

    fn name(&mut self) -> String {
        self.bindings += 1;
        format!("b{}", self.bindings)
    }

    fn binding(&mut self) -> (Binding, &'static str) {
        if self.rng.percent(50) {
            (Binding::ByValue, "")
        } else {
            (Binding::ByRef, "ref ")
        }
    }

    fn is_unsized(&self, ty: Ty) -> bool {
        matches!(self.program.kind(ty), Kind::Slice(_) | Kind::Str)
    }

    fn wildcard(&mut self, ty: Ty) -> Pat<Ty> {
        if !self.in_or && !self.is_unsized(ty) && self.rng.percent(20) {
            let name = self.name();
            let (mode, word) = self.binding();
            let _ = write!(self.source, "{word}{name}");
            return Pat::new(PatKind::Bind(mode, None));
        }
        self.source.push('_');
        Pat::wild()
    }

    fn alternatives(&mut self, ty: Ty, depth: usize) -> Pat<Ty> {
        let before = std::mem::replace(&mut self.in_or, true);
        let never_before = std::mem::replace(&mut self.may_write_never, false);
        let nested = depth < 4;
        if nested {
            self.source.push('(');
        }
        let count = 2 + self.rng.below(3);
        let mut subs = Vec::new();
        for index in 0..count {
            if index > 0 {
                self.source.push_str(" | ");
            }
            let label = self.alternatives.len();
            self.alternatives.push(0..0);
            let from = self.source.len();
            let sub = if self.rng.percent(4) {
                self.wildcard(ty)
            } else {
                self.constructor(ty, depth)
            };
            self.alternatives[label] = self.bare(from..self.source.len(), &sub);
            subs.push(sub.labeled(label as u32));
        }
        if nested {
            self.source.push(')');
        }
        self.in_or = before;
        self.may_write_never = never_before;
        Pat::or(subs)
    }

    /// A rough answer, only to place never patterns where the compiler takes them.
    fn is_empty(&self, ty: Ty, depth: usize) -> bool {
        if depth > 8 {
            return false;
        }
        let all = |fields: &[Ty]| fields.iter().any(|ty| self.is_empty(*ty, depth + 1));
        match self.program.kind(ty) {
            Kind::Never => true,
            Kind::Tuple(fields) => all(&fields),
            Kind::Array(element, len) => len > 0 && self.is_empty(element, depth + 1),
            Kind::Result(ok, err) => self.is_empty(ok, depth + 1) && self.is_empty(err, depth + 1),
            Kind::Adt(index) => match &self.program.adts[index].body {
                Body::Enum { variants, open } => !open && variants.iter().all(|v| all(&v.fields)),
                Body::Struct { product, private } => !private && all(&product.fields),
                Body::Union { .. } => false,
            },
            Kind::Bool
            | Kind::Char
            | Kind::Int(..)
            | Kind::Float
            | Kind::Str
            | Kind::RawPointer
            | Kind::Ref(_)
            | Kind::Slice(_)
            | Kind::Option(_) => false,
        }
    }
}
