//! What arms take and swallow, and what becomes of a new variant.

use crate::common::*;
use match_audit_usefulness::*;

fn values(set: &ArmSet<Ty>) -> Vec<String> {
    set.groups
        .iter()
        .map(|g| g.values.display(&Program).to_string())
        .collect()
}

fn ask(matched: &Match<Ty>, name: &str) -> WhatIf<Ty> {
    what_if(&Program, matched, id(name), &Options::default()).unwrap()
}

/// A transition table: the legal pairs, then `_`.
fn transitions(legal: &[(usize, usize)], states: usize) -> Match<Ty> {
    let state = plain("State", states);
    let mut arms: Vec<P> = legal
        .iter()
        .map(|(from, to)| Pat::product([unit(*from), unit(*to)]))
        .collect();
    arms.push(Pat::wild());
    m(Ty::Tuple(vec![state.clone(), state]), arms)
}

const SEVEN: [(usize, usize); 7] = [(0, 1), (1, 2), (2, 1), (2, 3), (3, 2), (3, 4), (2, 4)];

#[test]
fn a_transition_table_swallows_all_pairs_that_are_not_legal() {
    for (pairs, states, swallowed) in [(7, 5, 18), (7, 6, 29)] {
        let table = sets(&transitions(&SEVEN[..pairs], states));
        let last = table.arms.last().unwrap();
        assert!(table.complete);
        assert_eq!(last.swallowed_count, swallowed);
        assert_eq!(last.count, swallowed);
    }
    let mut eight = SEVEN.to_vec();
    eight.push((1, 4));
    for (states, swallowed) in [(5, 17), (6, 28)] {
        let table = sets(&transitions(&eight, states));
        assert_eq!(table.arms.last().unwrap().swallowed_count, swallowed);
    }
}

#[test]
fn a_transition_table_absorbs_a_new_state_and_a_full_match_breaks() {
    let table = transitions(&SEVEN, 5);
    let answer = ask(&table, "State");
    assert!(!answer.breaks);
    assert_eq!(answer.absorbed_by, [7]);
    let full = m(plain("Device", 3), (0..3).map(unit).collect());
    let answer = ask(&full, "Device");
    assert!(answer.breaks);
    assert!(answer.absorbed_by.is_empty());
    let ghost = Program;
    let ghost = Ghost::new(&ghost, id("Device"));
    let text = answer.unmatched[0].display(&ghost).to_string();
    assert_eq!(text, "<new variant>");
}

#[test]
fn a_match_may_break_and_absorb_at_once() {
    let e = plain("E", 2);
    let matched = m(
        Ty::Tuple(vec![e.clone(), e]),
        vec![
            Pat::product([unit(0), Pat::wild()]),
            Pat::product([unit(1), unit(0)]),
            Pat::product([unit(1), unit(1)]),
        ],
    );
    let answer = ask(&matched, "E");
    assert!(answer.breaks);
    assert_eq!(answer.absorbed_by, [0]);
}

#[test]
fn a_payload_that_is_only_passed_on_is_not_swallowed() {
    let matched = m(
        option(plain("E", 3)),
        vec![Pat::variant(1, [Pat::bind()]), unit(0)],
    );
    let answer = ask(&matched, "E");
    assert!(!answer.breaks && answer.absorbed_by.is_empty());
    assert_eq!(
        inspected_enums(&Program, &matched)
            .unwrap()
            .into_iter()
            .collect::<Vec<_>>(),
        [id("Option")]
    );
    let looked_into = m(
        option(plain("E", 3)),
        vec![Pat::variant(1, [unit(0)]), Pat::wild()],
    );
    let found = sets(&looked_into);
    assert_eq!(
        values(&found.arms[1]),
        ["Option::V1(E::V1 | E::V2)", "Option::V0"]
    );
    assert_eq!(found.arms[1].swallowed_count, 3);
    assert_eq!(ask(&looked_into, "E").absorbed_by, [1]);
}

#[test]
fn sets_of_all_arms_and_the_rest_are_disjoint_and_complete() {
    let ty = Ty::Tuple(vec![plain("E", 3), Ty::Bool, plain("F", 2)]);
    let matched = m(
        ty,
        vec![
            Pat::product([unit(0), boolean(true), Pat::wild()]),
            Pat::product([Pat::wild(), Pat::wild(), unit(1)]),
            Pat::product([Pat::or([unit(1), unit(2)]), boolean(false), Pat::wild()]),
        ],
    );
    let found = sets(&matched);
    let taken: u128 = found.arms.iter().map(|arm| arm.count).sum();
    assert_eq!(
        found.arms.iter().map(|a| a.count).collect::<Vec<_>>(),
        [2, 5, 2]
    );
    assert_eq!(
        shown(&found.missing),
        [
            "(E::V0, false, F::V0)",
            "(E::V1, true, F::V0)",
            "(E::V2, true, F::V0)"
        ]
    );
    assert_eq!(taken, 12 - 3);
}

#[test]
fn an_alternative_that_names_a_variant_does_not_swallow_it() {
    let matched = m(
        plain("E", 4),
        vec![Pat::or([unit(0), unit(1)]), Pat::bind()],
    );
    let found = sets(&matched);
    assert!(found.arms[0].swallowed.is_empty());
    assert_eq!(found.arms[0].count, 2);
    assert_eq!(found.arms[1].swallowed[0].variants, [2, 3]);
}

#[test]
fn what_comes_to_a_guard_goes_on_below_it() {
    let mut matched = m(plain("E", 3), vec![unit(0), Pat::wild(), Pat::wild()]);
    matched.arms[1].guard = Guard::Present;
    let found = sets(&matched);
    assert_eq!(found.arms[1].count, 2);
    assert_eq!(found.arms[2].count, 2);
    assert_eq!(ask(&matched, "E").absorbed_by, [1, 2]);
}

#[test]
fn values_that_cannot_exist_are_in_no_set() {
    let ty = result(plain("E", 2), Ty::Never);
    let matched = m(
        ty,
        vec![
            Pat::variant(0, [unit(0)]),
            Pat::variant(1, [Pat::wild()]),
            Pat::wild(),
        ],
    );
    let found = sets(&matched);
    assert!(found.arms[1].groups.is_empty());
    assert_eq!(found.arms[2].count, 1);
}

#[test]
fn wildcards_in_slices_swallow_what_other_arms_name() {
    let ty = reference(Ty::Slice(Box::new(plain("E", 3))));
    let matched = m(
        ty,
        vec![
            Pat::reference(slice(vec![unit(0)], true, vec![])),
            Pat::reference(slice(vec![Pat::wild()], true, vec![])),
            Pat::wild(),
        ],
    );
    let found = sets(&matched);
    assert_eq!(found.arms[1].swallowed[0].variants, [1, 2]);
    assert_eq!(ask(&matched, "E").absorbed_by, [1]);
}

#[test]
fn alternatives_behind_a_reference_are_parenthesized() {
    let e = plain("E", 3);
    let matched = m(reference(e), vec![Pat::reference(unit(0)), Pat::wild()]);
    assert_eq!(values(&sets(&matched).arms[1]), ["&(E::V1 | E::V2)"]);
}

#[test]
fn complete_witnesses_do_not_stop_at_what_is_relevant() {
    let e = plain("E", 2);
    let matched = m(
        Ty::Tuple(vec![e.clone(), e]),
        vec![Pat::product([unit(0), unit(0)])],
    );
    assert_eq!(
        shown(&sets(&matched).missing),
        ["(E::V0, E::V1)", "(E::V1, _)"]
    );
}

#[test]
fn float_groups_show_the_numbers_that_were_written() {
    let float = |lo, hi| Pat::new(PatKind::Float(lo, hi));
    let matched = m(
        Ty::Float,
        vec![
            float(-2.5, -0.5),
            float(0.0, 1.0),
            float(3.0, 3.0),
            Pat::wild(),
        ],
    );
    let found = sets(&matched);
    assert_eq!(values(&found.arms[0]), ["-2.5..=-0.5"]);
    assert_eq!(values(&found.arms[1]), ["0.0..=1.0"]);
    assert_eq!(values(&found.arms[2]), ["3.0"]);
    assert_eq!(values(&found.arms[3]), ["_"]);
}

#[test]
fn every_alternative_is_known_by_its_place() {
    // The second alternative names what the first leaves; neither swallows.
    let pair = Ty::Tuple(vec![plain("E", 3), plain("F", 3)]);
    let either = |a, b| Pat::or([unit(a), unit(b)]);
    let matched = m(
        pair,
        vec![
            Pat::product([either(0, 1), either(1, 2)]),
            Pat::product([Pat::or([unit(2), Pat::wild()]), unit(0)]),
            Pat::wild(),
        ],
    );
    let found = sets(&matched);
    assert!(found.arms[0].swallowed.is_empty());
    assert_eq!(found.arms[0].count, 4);
    // Through the wildcard come V0 and V1, through the name V2.
    assert_eq!(found.arms[1].swallowed[0].variants, [0, 1]);
    assert_eq!((found.arms[1].count, found.arms[1].swallowed_count), (3, 2));
    assert_eq!(found.arms[2].count, 2);
}
