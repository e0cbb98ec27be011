//! Large and hostile matches: in time, or honestly incomplete.

use crate::common::*;
use match_audit_usefulness::*;
use std::time::Instant;

/// One enum of so many unit variants, with a handle that is cheap to copy.
struct Big(usize);

impl Types for Big {
    type Ty = ();

    fn describe(&self, (): &()) -> Shape<()> {
        Shape::sum(EnumId(0), (0..self.0).map(|_| Variant::new([])))
    }
}

#[test]
fn thousands_of_variants_and_arms_are_no_trouble() {
    let count = 8_192;
    let matched = Match {
        scrutinee: (),
        validity: Validity::KnownValid,
        arms: (0..count)
            .map(|index| Arm::new(Pat::variant(index, [])))
            .collect(),
    };
    let options = Options::default();
    let start = Instant::now();
    let answer = check(&Big(count), &matched, &options).unwrap();
    println!(
        "8192 x 8192 verdict: {:?}, work {}",
        start.elapsed(),
        answer.work
    );
    assert_eq!(answer.verdict, Verdict::Exhaustive);
    assert!(
        answer
            .arms
            .iter()
            .all(|a| a.usefulness == Usefulness::Useful)
    );
    assert!(answer.work < 1_000_000);
    let start = Instant::now();
    let found = taken_sets(&Big(count), &matched, &options).unwrap();
    println!("8192 x 8192 sets: {:?}", start.elapsed());
    assert!(found.complete);
    assert!(found.arms.iter().all(|a| a.count == 1));
}

#[test]
fn thousands_of_integer_arms_are_no_trouble() {
    let mut arms: Vec<P> = (0..4_096u128).map(|v| Pat::value(v * 3)).collect();
    arms.push(Pat::wild());
    let start = Instant::now();
    let answer = report(&m(Ty::Usize, arms));
    assert_eq!(answer.verdict, Verdict::Exhaustive);
    println!("4096 integers: {:?}, work {}", start.elapsed(), answer.work);
}

/// For each field one arm that wants `true` there and one that wants `false`.
fn two_polarity_diagonal(fields: usize) -> Match<Ty> {
    let at = |field: usize, value: bool| Pat::new(PatKind::Struct(vec![(field, boolean(value))]));
    let mut arms: Vec<P> = (0..fields).map(|field| at(field, true)).collect();
    arms.extend((0..fields).map(|field| at(field, false)));
    m(Ty::Tuple(vec![Ty::Bool; fields]), arms)
}

#[test]
fn the_two_polarity_diagonal_is_cut_below_covers() {
    let start = Instant::now();
    let matched = two_polarity_diagonal(20);
    let answer = report(&matched);
    println!(
        "diagonal of 20: {:?}, work {}",
        start.elapsed(),
        answer.work
    );
    assert!(answer.complete);
    assert_eq!(answer.verdict, Verdict::Exhaustive);
    assert_eq!(redundant(&matched), (21..40).collect::<Vec<_>>());
}

#[test]
fn guards_make_the_diagonal_hard_and_the_answer_honest() {
    let mut matched = two_polarity_diagonal(40);
    for arm in &mut matched.arms {
        arm.guard = Guard::Present;
    }
    let options = Options {
        work_limit: 1_000_000,
        ..Options::default()
    };
    let answer = check(&Program, &matched, &options).unwrap();
    assert!(!answer.complete);
    assert_ne!(answer.verdict, Verdict::Exhaustive);
    assert!(answer.work <= 1_000_000 + 10_000);
    let found = taken_sets(&Program, &matched, &options).unwrap();
    assert!(!found.complete);
}

#[test]
fn too_many_witnesses_are_cut_and_said_to_be() {
    let e = plain("E", 10);
    let one = Pat::product(vec![unit(0); 6]);
    let diagonal = (0..6).map(|at| Pat::new(PatKind::Struct(vec![(at, unit(0))])));
    let mut arms = vec![one];
    arms.extend(diagonal);
    let answer = report(&m(Ty::Tuple(vec![e; 6]), arms));
    assert_eq!(answer.verdict, Verdict::NotExhaustive);
    assert_eq!(answer.witnesses.len(), Options::default().group_limit);
    assert!(!answer.complete);
}

#[test]
fn a_long_chain_of_fields_costs_no_stack() {
    let wide = Ty::Tuple(vec![Ty::Bool; 4_000]);
    let arm = Pat::product(vec![boolean(true); 4_000]);
    let start = Instant::now();
    let answer = report(&m(wide, vec![arm, Pat::wild()]));
    println!("4000 fields: {:?}, work {}", start.elapsed(), answer.work);
    assert_ne!(answer.verdict, Verdict::NotExhaustive);
}

#[test]
fn repeated_rows_are_looked_at_once() {
    // Each arm multiplies out to 4^6 rows, nearly all of them equal once a field is done.
    let field = || Pat::or([boolean(true), boolean(false), boolean(true), Pat::wild()]);
    let arm = || Pat::product((0..6).map(|_| field()).collect::<Vec<_>>());
    let answer = report(&m(Ty::Tuple(vec![Ty::Bool; 6]), vec![arm(), arm()]));
    assert_eq!(answer.verdict, Verdict::Exhaustive);
    assert!(answer.complete);
    assert!(answer.work < 5_000, "{}", answer.work);
}

#[test]
fn work_grows_with_rows_and_fields() {
    let count = |fields, arms: usize| {
        let arm = || Pat::product(vec![boolean(true); fields]);
        let arms = (0..arms).map(|_| arm()).collect();
        report(&m(Ty::Tuple(vec![Ty::Bool; fields]), arms)).work
    };
    assert!(count(200, 5) > 200 * 5);
    assert!(count(200, 5) > 3 * count(50, 5));
}
