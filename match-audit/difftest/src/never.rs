//! Completes matches by the rules of 2018, and lets the nightly compiler judge the result.
//!
//! What those rules add are never patterns, so the compiler must take them for such; and a match
//! that is exhaustive by those rules must be accepted, since the compiler wants less. Then types
//! are asked one by one whether `!` may stand for them.

use std::fmt::Write as _;

use match_audit_usefulness::never::{Acceptance, Rules, accepts_never, auto_never};
use match_audit_usefulness::{Options, Verdict};

use crate::generate::Case;
use crate::oracle;
use crate::program::{Kind, Program};
use crate::rng::Rng;
use crate::source::write;
use crate::{Settings, Tally};

/// Appends to each match of a program what the rules of 2018 add, adds a question about a type
/// for each match, and compares.
pub(crate) fn check_completions(
    settings: &Settings,
    program: &Program,
    source: &str,
    cases: &[Case],
    tally: &mut Tally,
) -> Result<(), String> {
    let first = cases.first().map_or(0, |case| case.function.start);
    let mut text = source[..first].to_string();
    let mut functions = Vec::new();
    for case in cases {
        // An expression of type `!` loses its type, and with it the never pattern its place.
        if program.kind(case.matched.scrutinee) == Kind::Never {
            continue;
        }
        let answer = auto_never(program, &case.matched, &Options::default())
            .map_err(|error| error.to_string())?;
        let start = text.len();
        let written = &source[case.function.clone()];
        let Some(head) = written.strip_suffix("} }\n") else {
            return Err(format!("not a generated match: {written}"));
        };
        text.push_str(head);
        for arm in &answer.arms {
            let pattern = arm.pattern.display(program).to_string();
            // Where another crate may add fields, the pattern cannot be written out.
            let _ = match pattern.contains("Growing") {
                true => writeln!(text, "_ => {{}}"),
                false => writeln!(text, "{pattern},"),
            };
        }
        text.push_str("} }\n");
        let accepted = answer.proposal_2018 == Verdict::Exhaustive;
        functions.push((start..text.len(), accepted));
    }
    let mut rng = Rng::new(settings.seed ^ tally.matches as u64);
    let mut types = Vec::new();
    for number in 0..cases.len() {
        let ty = program.hollow_ty(&mut rng, 3);
        let start = text.len();
        let written = program.write_ty(ty);
        let _ = writeln!(
            text,
            "unsafe fn a{number}(x: *const Option<{written}>) {{ match *x {{ None => {{}} Some(!), }} }}"
        );
        // Not as the scrutinee itself, for the same reason.
        let acceptance = accepts_never(program, &ty, Rules::Compiler);
        types.push((start..text.len(), acceptance != Acceptance::Refused));
    }
    let file = settings.directory.join("completed.rs");
    write(&file, &text)?;
    let library = settings.directory.join("libforeign.rmeta");
    let library = format!("foreign={}", library.display());
    let out = settings.directory.join("completed.rmeta");
    let out = out.display().to_string();
    let arguments = ["--extern", &library, "-o", &out];
    let findings = oracle::compile(settings.toolchain(), &file, &arguments)?;
    for (function, exhaustive) in functions {
        tally.completed += 1;
        let refused = findings.refused_in(&function);
        let unmatched = findings.unmatched_in(&function);
        if refused || (exhaustive && unmatched.is_some()) {
            tally.differences += 1;
            println!("completed: never pattern refused {refused}, {unmatched:?}");
            println!("{}", &text[function]);
        }
    }
    for (function, ours) in types {
        tally.accepted += 1;
        let theirs = !findings.refused_in(&function);
        if ours != theirs {
            tally.differences += 1;
            println!(
                "never pattern: ours {ours}, theirs {theirs}\n{}",
                &text[function]
            );
        }
    }
    Ok(())
}
