//! Lets enums grow, and compares the predicted errors with those that appear.

use match_audit_usefulness::{EnumId, Options, Verdict, check, what_if};

use crate::generate::{Case, Focus};
use crate::program::{Body, Product, Program, Style};
use crate::rng::Rng;
use crate::source::{PRELUDE, compile, write_program};
use crate::{Settings, Tally};

/// Adds a variant to one enum, and compares the predicted E0004s with those that appear.
pub(crate) fn check_growth(
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
        variants.push(Product {
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
            let moved = at(case.function.start)..at(case.function.end);
            let broken = findings.unmatched_in(&moved).is_some();
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
