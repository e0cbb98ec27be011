//! Times large matches here and in the compiler.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use match_audit_usefulness::{
    Arm, EnumId, Match, Options, Pat, PatKind, Shape, Types, Validity, Variant, check,
};

use crate::source::write;
use crate::{Settings, oracle};

/// Variants and arms.
const VARIANTS: usize = 8_192;

/// Fields of the diagonal.
const FIELDS: usize = 20;

/// Compilations of each program; the fastest counts.
const RUNS: usize = 5;

struct Large;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Ty {
    Enum,
    Bool,
    Tuple,
}

impl Types for Large {
    type Ty = Ty;

    fn describe(&self, ty: &Ty) -> Shape<Ty> {
        match ty {
            Ty::Enum => Shape::sum(EnumId(0), (0..VARIANTS).map(|_| Variant::new([]))),
            Ty::Bool => Shape::Bool,
            Ty::Tuple => Shape::product([Ty::Bool; FIELDS]),
        }
    }
}

/// Prints what the compiler needs in addition for a match, and what is needed here.
pub(crate) fn run(settings: &Settings) -> Result<(), String> {
    let mut declaration = String::from("#![allow(warnings)]\npub enum E { ");
    let mut arms = String::new();
    for index in 0..VARIANTS {
        let _ = write!(declaration, "V{index}, ");
        let _ = writeln!(arms, "E::V{index} => {{}}");
    }
    declaration.push_str("}\npub fn f(x: E) {");
    let matched = Match {
        scrutinee: Ty::Enum,
        validity: Validity::KnownValid,
        arms: (0..VARIANTS)
            .map(|index| Arm::new(Pat::variant(index, [])))
            .collect(),
    };
    let with = format!("{declaration} match x {{ {arms} }} }}");
    let without = format!("{declaration} }}");
    compare(settings, "8192 arms", &matched, &with, &without)?;

    let at = |field, value| {
        Pat::new(PatKind::Struct(vec![(
            field,
            Pat::new(PatKind::Bool(value)),
        )]))
    };
    let both = [true, false].into_iter();
    let cells = both.flat_map(|value| (0..FIELDS).map(move |field| (field, value)));
    let matched = Match {
        scrutinee: Ty::Tuple,
        validity: Validity::KnownValid,
        arms: cells
            .clone()
            .map(|(field, value)| Arm::new(at(field, value)))
            .collect(),
    };
    let mut arms = String::new();
    for (field, value) in cells {
        let before = "_, ".repeat(field);
        let after = ", _".repeat(FIELDS - 1 - field);
        let _ = writeln!(arms, "({before}{value}{after}) => {{}}");
    }
    let head = format!(
        "#![allow(warnings)]\npub fn f(x: ({})) {{",
        "bool, ".repeat(FIELDS)
    );
    let with = format!("{head} match x {{ {arms} }} }}");
    let without = format!("{head} }}");
    compare(settings, "diagonal", &matched, &with, &without)
}

fn compare(
    settings: &Settings,
    name: &str,
    matched: &Match<Ty>,
    with: &str,
    without: &str,
) -> Result<(), String> {
    let [with, without] = [with, without].map(|source| fastest(settings, source));
    let start = Instant::now();
    let report = check(&Large, matched, &Options::default()).map_err(|e| e.to_string())?;
    println!(
        "{name}: here {:.2?}, {:?}, complete {}, {} steps; compiler {:.0?} more",
        start.elapsed(),
        report.verdict,
        report.complete,
        report.work,
        with?.saturating_sub(without?)
    );
    Ok(())
}

fn fastest(settings: &Settings, source: &str) -> Result<Duration, String> {
    let file = settings.directory.join("large.rs");
    write(&file, source)?;
    let out = settings.directory.join("large.rmeta").display().to_string();
    let mut fastest = Duration::MAX;
    for _ in 0..RUNS {
        let start = Instant::now();
        let findings = oracle::compile(None, &file, &["-o", &out])?;
        fastest = fastest.min(start.elapsed());
        if !findings.unmatched.is_empty() {
            return Err("the compiler finds the match incomplete".into());
        }
    }
    Ok(fastest)
}
