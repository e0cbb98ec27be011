//! Compares the algorithm with the compiler on random matches.
//!
//! ```text
//! match-audit-difftest [--count N | --long] [--seed N] [--nightly] [--keep DIR]
//! ```
//!
//! Half of the matches are over all types, half over empty types at all kinds of places. Compared
//! are: whether the match is exhaustive, the witnesses in the error's text, and the patterns that
//! the compiler calls unreachable. In each batch one enum then gains a variant, and the
//! predicted E0004s are compared with those that appear. `--nightly` judges emptiness with the
//! nightly's `exhaustive_patterns` and `never_patterns` instead.

#![forbid(unsafe_code)]

mod brute;
mod generate;
mod oracle;
mod program;
mod rng;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use match_audit_usefulness::{
    EmptyArms, EnumId, Options, Report, Usefulness, Verdict, Witness, WitnessKind, check, what_if,
};

use generate::{Case, Focus, Generator};
use oracle::Findings;
use program::{Body, Kind, Program, Style, Ty};
use rng::Rng;

/// Matches per call of the compiler.
const BATCH: usize = 1_000;

struct Settings {
    count: usize,
    seed: u64,
    nightly: bool,
    directory: PathBuf,
    keep: bool,
}

#[derive(Default)]
struct Tally {
    matches: usize,
    exhaustive: usize,
    unreachable: usize,
    what_ifs: usize,
    broken: usize,
    brute: usize,
    given_up: usize,
    differences: usize,
}

fn main() -> ExitCode {
    let settings = match settings() {
        Ok(settings) => settings,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    let start = Instant::now();
    let mut tally = Tally::default();
    let result = run(&settings, &mut tally);
    if !settings.keep {
        // Nothing depends on the scratch files; leaving them behind would only fill the disk.
        let _ = std::fs::remove_dir_all(&settings.directory);
    }
    if let Err(message) = result {
        eprintln!("{message}");
        return ExitCode::from(2);
    }
    println!(
        "{} matches ({} exhaustive, {} unreachable patterns), {} what-ifs ({} break), \
         {} against all values, {} given up, seed {}: {} differences in {:.1?}",
        tally.matches,
        tally.exhaustive,
        tally.unreachable,
        tally.what_ifs,
        tally.broken,
        tally.brute,
        tally.given_up,
        settings.seed,
        tally.differences,
        start.elapsed()
    );
    if tally.differences == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn settings() -> Result<Settings, String> {
    let mut settings = Settings {
        count: 10_000,
        seed: 1,
        nightly: false,
        directory: std::env::temp_dir()
            .join(format!("match-audit-difftest-{}", std::process::id())),
        keep: false,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || {
            arguments
                .next()
                .and_then(|text| text.parse().ok())
                .ok_or(format!("{argument} needs a number"))
        };
        match argument.as_str() {
            "--count" => settings.count = number()? as usize,
            "--seed" => settings.seed = number()?,
            "--long" => settings.count = 100_000,
            "--nightly" => settings.nightly = true,
            "--keep" => {
                let directory = arguments.next().ok_or("--keep needs a directory")?;
                settings.directory = directory.into();
                settings.keep = true;
            }
            other => return Err(format!("unknown argument {other}")),
        }
    }
    Ok(settings)
}

fn run(settings: &Settings, tally: &mut Tally) -> Result<(), String> {
    let directory = &settings.directory;
    std::fs::create_dir_all(directory).map_err(|e| format!("{}: {e}", directory.display()))?;
    let foreign = directory.join("foreign.rs");
    write(&foreign, program::FOREIGN)?;
    let toolchain = settings.nightly.then_some("+nightly");
    let library = directory.join("libforeign.rmeta");
    let out = library.display().to_string();
    oracle::compile(
        toolchain,
        &foreign,
        &["--crate-name", "foreign", "-o", &out],
    )?;
    let mut seeds = Rng::new(settings.seed);
    let mut batch = 0;
    while tally.matches < settings.count {
        let size = BATCH.min(settings.count - tally.matches);
        let focus = if settings.nightly || batch % 2 == 1 {
            Focus::Emptiness
        } else {
            Focus::Everything
        };
        run_batch(settings, seeds.next(), size, focus, tally)?;
        batch += 1;
        eprint!("\r{} of {} matches", tally.matches, settings.count);
        if tally.differences > 20 {
            eprintln!("\ntoo many differences, stopped");
            break;
        }
    }
    eprintln!();
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()))
}

fn run_batch(
    settings: &Settings,
    seed: u64,
    size: usize,
    focus: Focus,
    tally: &mut Tally,
) -> Result<(), String> {
    let mut rng = Rng::new(seed);
    let mut program = Program::random(&mut rng, 14);
    let (source, cases) = write_program(settings, &program, &rng, size, focus);
    let findings = compile(settings, &source)?;
    let options = Options {
        empty_arms: if settings.nightly {
            EmptyArms::Everywhere
        } else {
            EmptyArms::Stable
        },
        // The compiler counts all witnesses.
        group_limit: 200_000,
        ..Options::default()
    };
    for case in &cases {
        let start = Instant::now();
        let differences = compare(&program, case, &findings, &source, &options, tally)?;
        tally.differences += differences;
        if start.elapsed().as_secs() >= 2 {
            println!(
                "slow, {:.1?}:\n{}",
                start.elapsed(),
                &source[case.function.clone()]
            );
        }
        tally.brute += usize::from(brute::applies(&program, case.matched.scrutinee));
        for difference in brute::check_sets(&program, &case.matched) {
            tally.differences += 1;
            println!("{difference}\n{}", &source[case.function.clone()]);
        }
    }
    tally.matches += size;
    if !settings.nightly {
        check_growth(settings, &mut program, &rng, &cases, size, focus, tally)?;
    }
    Ok(())
}

/// Writes declarations and matches. The same random numbers give the same matches, whatever
/// variants were added meanwhile at the end of the declarations.
fn write_program(
    settings: &Settings,
    program: &Program,
    rng: &Rng,
    size: usize,
    focus: Focus,
) -> (String, Vec<Case>) {
    let mut generator = Generator::new(program, rng.clone(), focus);
    generator.never_patterns = settings.nightly;
    if settings.nightly {
        generator.source.push_str(
            "#![feature(never_type, never_patterns, exhaustive_patterns)]\n#![allow(incomplete_features)]\ntype Never = !;\n",
        );
    } else {
        generator.source.push_str(
            "pub trait Out { type T; } impl<T> Out for fn() -> T { type T = T; }\ntype Never = <fn() -> ! as Out>::T;\n",
        );
    }
    generator.source.push_str(PRELUDE);
    program.declare(&mut generator.source);
    let cases = (0..size).map(|number| generator.case(number)).collect();
    (generator.source, cases)
}

const PRELUDE: &str = "use foreign::*;
fn g() -> bool { true }
union Wrap<T: Copy> { f: T }
";

fn compile(settings: &Settings, source: &str) -> Result<Findings, String> {
    let file = settings.directory.join("batch.rs");
    write(&file, source)?;
    let library = format!(
        "foreign={}",
        settings.directory.join("libforeign.rmeta").display()
    );
    let out = settings.directory.join("batch.rmeta").display().to_string();
    let toolchain = settings.nightly.then_some("+nightly");
    oracle::compile(toolchain, &file, &["--extern", &library, "-o", &out])
}

/// Compares one match; prints and counts the differences.
fn compare(
    program: &Program,
    case: &Case,
    findings: &Findings,
    source: &str,
    options: &Options,
    tally: &mut Tally,
) -> Result<usize, String> {
    let text = &source[case.function.clone()];
    let report = check(program, &case.matched, options).map_err(|e| format!("{e}\n{text}"))?;
    if !report.complete {
        // The answer says itself that it is not whole.
        tally.given_up += 1;
        return Ok(0);
    }
    let mut differences = 0;
    let mut differ = |what: &str, ours: String, theirs: String| {
        differences += 1;
        println!("{what}:\n  ours:   {ours}\n  theirs: {theirs}\n{text}");
    };
    let theirs = findings
        .unmatched
        .range(case.function.clone())
        .next()
        .map(|(_, message)| message.as_str());
    let ours = error_text(program, case, &report);
    let same = match (&ours, theirs) {
        (None, None) => true,
        // With never patterns on, the compiler prints `!` for a wildcard over an empty type.
        (Some(ours), Some(theirs)) => {
            ours.replace('!', "_") == theirs.replace('!', "_")
                || !has_comparable_text(&report, theirs)
        }
        _ => false,
    };
    if !same {
        differ("E0004", format!("{ours:?}"), format!("{theirs:?}"));
    }
    tally.exhaustive += usize::from(report.verdict == Verdict::Exhaustive);
    let ours = unreachable(case, &report);
    let theirs: Vec<(usize, usize)> = findings
        .unreachable
        .range((case.function.start, 0)..(case.function.end, 0))
        .copied()
        .collect();
    tally.unreachable += ours.len();
    if ours != theirs {
        let show = |list: &[(usize, usize)]| {
            let parts: Vec<&str> = list.iter().map(|(a, b)| &source[*a..*b]).collect();
            parts.join("   ")
        };
        differ("unreachable", show(&ours), show(&theirs));
    }
    Ok(differences)
}

/// Writes the message of E0004 as the compiler would.
fn error_text(program: &Program, case: &Case, report: &Report<Ty>) -> Option<String> {
    if report.verdict == Verdict::Exhaustive {
        return None;
    }
    if case.matched.arms.is_empty() && !lists_without_arms(program, case.matched.scrutinee) {
        return Some("non-exhaustive patterns: type".into());
    }
    let shown: Vec<String> = report
        .witnesses
        .iter()
        .map(|witness| format!("`{}`", witness.display(program)))
        // The compiler drops a private empty field when it prints.
        .map(|text| text.replace("Secret(_)", "Secret()"))
        .collect();
    let list = match shown.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [rest @ .., last] if shown.len() <= 3 => format!("{} and {last}", rest.join(", ")),
        [a, b, c, rest @ ..] => format!("{a}, {b}, {c} and {} more", rest.len()),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    };
    Some(format!("non-exhaustive patterns: {list} not covered"))
}

/// Without arms the compiler lists the variants of an enum, and else only names the type.
fn lists_without_arms(program: &Program, ty: Ty) -> bool {
    match program.kind(ty) {
        Kind::Option(_) | Kind::Result(..) => true,
        Kind::Adt(index) => matches!(program.adts[index].body, Body::Enum { .. }),
        _ => false,
    }
}

/// Some texts are the compiler's own affair: its way to print unions, and the name of a type.
fn has_comparable_text(report: &Report<Ty>, theirs: &str) -> bool {
    !theirs.contains(" is non-empty") && !report.witnesses.iter().any(has_union)
}

fn has_union(witness: &Witness<Ty>) -> bool {
    match &witness.kind {
        WitnessKind::Union(_) => true,
        WitnessKind::Struct(fields) | WitnessKind::Variant(_, fields) => {
            fields.iter().any(has_union)
        }
        WitnessKind::Ref(sub) | WitnessKind::Deref(sub) => has_union(sub),
        WitnessKind::Slice(front, back) => front.iter().chain(back.iter().flatten()).any(has_union),
        WitnessKind::OneOf(subs) => subs.iter().any(has_union),
        WitnessKind::Any
        | WitnessKind::Unlisted
        | WitnessKind::Never
        | WitnessKind::Bool(_)
        | WitnessKind::Range(_)
        | WitnessKind::Str(_)
        | WitnessKind::Float(..)
        | WitnessKind::Opaque(_) => false,
    }
}

/// Lists what should be called unreachable, as byte ranges.
fn unreachable(case: &Case, report: &Report<Ty>) -> Vec<(usize, usize)> {
    let mut list = Vec::new();
    for (arm, bytes) in report.arms.iter().zip(&case.arms) {
        if let Usefulness::Redundant { .. } = arm.usefulness {
            list.push((bytes.start, bytes.end));
        }
        for alternative in &arm.redundant_alternatives {
            let bytes = &case.alternatives[alternative.label as usize];
            list.push((bytes.start, bytes.end));
        }
    }
    list.sort_unstable();
    list
}

/// Adds a variant to one enum, and compares the predicted E0004s with those that appear.
fn check_growth(
    settings: &Settings,
    program: &mut Program,
    rng: &Rng,
    cases: &[Case],
    size: usize,
    focus: Focus,
    tally: &mut Tally,
) -> Result<(), String> {
    let own: Vec<usize> = (0..program.adts.len())
        .filter(|index| {
            let adt = &program.adts[*index];
            !adt.foreign && matches!(&adt.body, Body::Enum { variants, .. } if !variants.is_empty())
        })
        .collect();
    let options = Options::default();
    for &index in own.iter().take(2) {
        let mut predicted = Vec::new();
        for case in cases {
            let answer = what_if(program, &case.matched, EnumId(index as u64), &options)
                .map_err(|e| e.to_string())?;
            let today = check(program, &case.matched, &options).map_err(|e| e.to_string())?;
            predicted.push(match today.verdict {
                Verdict::Unknown => None,
                Verdict::NotExhaustive => Some(true),
                Verdict::Exhaustive if answer.complete || answer.breaks => Some(answer.breaks),
                Verdict::Exhaustive => None,
            });
            tally.what_ifs += 1;
            tally.broken += usize::from(answer.breaks);
        }
        // The same program again: the patterns must not use the new variant, so they are taken
        // over as text, and only the declarations are written anew.
        let (old, _) = write_program(settings, program, rng, size, focus);
        let Body::Enum { variants, .. } = &mut program.adts[index].body else {
            continue;
        };
        variants.push(program::Product {
            name: "Ghost".into(),
            style: Style::Tuple,
            fields: vec![],
            hidden: false,
            non_exhaustive: false,
        });
        let mut source = String::new();
        let first = cases.first().map_or(0, |case| case.function.start);
        let declarations_at = old.find(PRELUDE).map_or(0, |at| at + PRELUDE.len());
        source.push_str(&old[..declarations_at]);
        program.declare(&mut source);
        let moved = source.len() as isize - first as isize;
        source.push_str(&old[first..]);
        if let Body::Enum { variants, .. } = &mut program.adts[index].body {
            variants.pop();
        }
        let findings = compile(settings, &source)?;
        for (case, predicted) in cases.iter().zip(predicted) {
            let at = |offset: usize| (offset as isize + moved) as usize;
            let broken = findings
                .unmatched
                .range(at(case.function.start)..at(case.function.end))
                .next()
                .is_some();
            if predicted.is_some_and(|predicted| broken != predicted) {
                tally.differences += 1;
                println!(
                    "what-if {}: predicted {predicted:?}, happened {broken}\n{}",
                    program.adts[index].name,
                    &old[case.function.clone()]
                );
            }
        }
    }
    Ok(())
}
