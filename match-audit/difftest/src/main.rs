//! Compares the algorithm with the compiler on random matches.
//!
//! ```text
//! match-audit-difftest [--count N | --long] [--seed N] [--nightly | --in-process] [--keep DIR]
//! match-audit-difftest --measure
//! ```
//!
//! Half of the matches are over all types, half over empty types at all kinds of places. Compared
//! are: whether the match is exhaustive, the witnesses in the error's text, and the patterns that
//! the compiler calls unreachable; then all of this once more with the compiler's algorithm as a
//! library; then, where a type has few values, what each of them does. In each batch two enums
//! gain a variant, and the predicted E0004s are compared with those that appear.
//!
//! `--nightly` judges emptiness with the nightly's `exhaustive_patterns` and `never_patterns`
//! instead, and completes matches by the rules of 2018. `--in-process` asks the library only, which
//! allows for millions of matches. `--measure` times large matches against the compiler.

#![forbid(unsafe_code)]

mod brute;
mod compare;
mod generate;
mod growth;
mod in_process;
mod measure;
mod neutral;
mod never;
mod oracle;
mod program;
mod rng;
mod source;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use match_audit_usefulness::{EmptyArms, Options, Verdict, check};

use generate::Focus;
use program::Program;
use rng::Rng;
use source::{compile, write, write_program};

/// Matches per call of the compiler.
const BATCH: usize = 1_000;

struct Settings {
    count: usize,
    seed: u64,
    judge: Judge,
    directory: PathBuf,
    keep: bool,
}

/// Who is asked besides the listing of all values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judge {
    /// The compiler as it is, and its algorithm as a library.
    Compiler,
    /// The nightly compiler with its rules about emptiness, and the library with the same.
    Nightly,
    /// The library only.
    InProcess,
    /// Nobody: large matches are timed.
    Clock,
}

impl Settings {
    fn toolchain(&self) -> Option<&'static str> {
        (self.judge == Judge::Nightly).then_some("+nightly")
    }
}

#[derive(Default)]
struct Tally {
    matches: usize,
    exhaustive: usize,
    unreachable: usize,
    what_ifs: usize,
    broken: usize,
    brute: usize,
    in_process: usize,
    completed: usize,
    accepted: usize,
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
    if settings.judge == Judge::Clock {
        return ExitCode::SUCCESS;
    }
    println!(
        "{} matches ({} exhaustive, {} unreachable patterns), {} also in process, {} what-ifs \
         ({} break), {} against all values, {} completed by the rules \
         of 2018, {} types for never patterns, {} given up, seed {}: {} differences in {:.1?}",
        tally.matches,
        tally.exhaustive,
        tally.unreachable,
        tally.in_process,
        tally.what_ifs,
        tally.broken,
        tally.brute,
        tally.completed,
        tally.accepted,
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
        judge: Judge::Compiler,
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
            "--nightly" => settings.judge = Judge::Nightly,
            "--in-process" => settings.judge = Judge::InProcess,
            "--measure" => settings.judge = Judge::Clock,
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
    if settings.judge == Judge::Clock {
        return measure::run(settings);
    }
    let foreign = directory.join("foreign.rs");
    write(&foreign, program::FOREIGN)?;
    let library = directory.join("libforeign.rmeta");
    let out = library.display().to_string();
    oracle::compile(
        settings.toolchain(),
        &foreign,
        &["--crate-name", "foreign", "-o", &out],
    )?;
    let mut seeds = Rng::new(settings.seed);
    let mut batch = 0;
    while tally.matches < settings.count {
        let size = BATCH.min(settings.count - tally.matches);
        let focus = if settings.judge == Judge::Nightly || batch % 2 == 1 {
            Focus::Emptiness
        } else {
            Focus::Everything
        };
        let empty_arms = match settings.judge {
            Judge::Compiler | Judge::Clock => EmptyArms::Stable,
            Judge::Nightly => EmptyArms::Everywhere,
            Judge::InProcess => [EmptyArms::Stable, EmptyArms::Everywhere][batch / 2 % 2],
        };
        run_batch(settings, seeds.next(), size, focus, empty_arms, tally)?;
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

fn run_batch(
    settings: &Settings,
    seed: u64,
    size: usize,
    focus: Focus,
    empty_arms: EmptyArms,
    tally: &mut Tally,
) -> Result<(), String> {
    let mut rng = Rng::new(seed);
    let mut program = Program::random(&mut rng, 14);
    let (source, cases) = write_program(settings, &program, &rng, size, focus);
    let findings = match settings.judge {
        Judge::Compiler | Judge::Nightly => Some(compile(settings, &source)?),
        Judge::InProcess | Judge::Clock => None,
    };
    let options = Options {
        empty_arms,
        // The compiler counts all witnesses.
        group_limit: 200_000,
        ..Options::default()
    };
    for case in &cases {
        let text = &source[case.function.clone()];
        let start = Instant::now();
        let report =
            check(&program, &case.matched, &options).map_err(|e| format!("{e}\n{text}"))?;
        if start.elapsed().as_secs() >= 2 {
            println!("slow, {:.1?}:\n{text}", start.elapsed());
        }
        let mut differences = Vec::new();
        if report.complete {
            tally.exhaustive += usize::from(report.verdict == Verdict::Exhaustive);
            if let Some(findings) = &findings {
                let unreachable = compare::unreachable(case, &report);
                tally.unreachable += unreachable.len();
                differences = compare::compare(&program, case, findings, &source, &report);
            }
            let theirs = in_process::differences(&program, &case.matched, &options, &report);
            tally.in_process += usize::from(theirs.is_some());
            differences.extend(theirs.into_iter().flatten());
        } else {
            // The answer says itself that it is not whole.
            tally.given_up += 1;
        }
        tally.brute += usize::from(brute::applies(&program, case.matched.scrutinee));
        differences.extend(brute::check_sets(&program, &case.matched));
        tally.differences += differences.len();
        for difference in differences {
            println!("{difference}\n{text}");
        }
    }
    tally.matches += size;
    match settings.judge {
        Judge::Compiler => {
            growth::check_growth(settings, &mut program, &rng, &cases, size, focus, tally)
        }
        Judge::Nightly => never::check_completions(settings, &program, &source, &cases, tally),
        Judge::InProcess | Judge::Clock => Ok(()),
    }
}
