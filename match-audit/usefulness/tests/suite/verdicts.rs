//! Exhaustiveness, witnesses and redundancy, case by case.

use crate::common::*;
use match_audit_usefulness::*;

#[test]
fn missing_variants_are_listed_at_the_root() {
    let e = plain("E", 4);
    assert_eq!(
        witnesses(&m(e.clone(), vec![unit(1)])),
        ["E::V0", "E::V2", "E::V3"]
    );
    assert!(witnesses(&m(e.clone(), vec![unit(1), Pat::wild()])).is_empty());
    assert_eq!(
        witnesses(&m(e, vec![])),
        ["E::V0", "E::V1", "E::V2", "E::V3"]
    );
}

#[test]
fn a_place_nobody_looks_into_is_a_wildcard() {
    let pair = Ty::Tuple(vec![plain("E", 2), plain("F", 3)]);
    let arm = Pat::product([unit(0), Pat::wild()]);
    assert_eq!(witnesses(&m(pair.clone(), vec![arm])), ["(E::V1, _)"]);
    let arm = Pat::product([unit(0), unit(2)]);
    // Like the compiler: what V1 shows need not be shown for V0 again.
    assert_eq!(
        witnesses(&m(pair.clone(), vec![arm.clone()])),
        ["(E::V1, _)"]
    );
    let rest = Pat::product([unit(1), Pat::wild()]);
    assert_eq!(
        witnesses(&m(pair, vec![arm, rest])),
        ["(E::V0, F::V0)", "(E::V0, F::V1)"]
    );
}

#[test]
fn guarded_arms_take_nothing_for_sure() {
    let mut guarded = m(Ty::Bool, vec![boolean(true), boolean(false)]);
    guarded.arms[1].guard = Guard::Present;
    assert_eq!(witnesses(&guarded), ["false"]);
    guarded.arms.push(Arm::new(boolean(false)));
    assert!(witnesses(&guarded).is_empty());
    assert!(redundant(&guarded).is_empty());
}

#[test]
fn an_arm_below_its_cover_is_redundant_and_names_it() {
    let pair = Ty::Tuple(vec![Ty::Bool, Ty::Bool]);
    let matched = m(
        pair,
        vec![
            Pat::product([boolean(true), Pat::wild()]),
            Pat::product([Pat::wild(), boolean(true)]),
            Pat::product([boolean(false), boolean(false)]),
            Pat::product([boolean(true), boolean(true)]),
            Pat::product([Pat::wild(), boolean(false)]),
        ],
    );
    let report = report(&matched);
    assert_eq!(redundant(&matched), [3, 4]);
    assert_eq!(
        report.arms[3].usefulness,
        Usefulness::Redundant {
            covered_by: vec![0]
        }
    );
    assert_eq!(
        report.arms[4].usefulness,
        Usefulness::Redundant {
            covered_by: vec![0, 2]
        }
    );
}

#[test]
fn a_redundant_alternative_is_found_at_any_depth() {
    let opt = option(plain("E", 3));
    let nested = Pat::variant(1, [Pat::or([unit(0).labeled(7), unit(1).labeled(8)])]);
    let matched = m(
        opt,
        vec![
            Pat::variant(1, [unit(1)]),
            Pat::or([nested.labeled(1), unit(0).labeled(2), unit(0).labeled(3)]),
            Pat::wild(),
        ],
    );
    let arm = &report(&matched).arms[1];
    assert_eq!(arm.usefulness, Usefulness::Useful);
    let labels: Vec<u32> = arm.redundant_alternatives.iter().map(|a| a.label).collect();
    assert_eq!(labels, [8, 3]);
    assert_eq!(arm.redundant_alternatives[0].covered_by, [0]);
    assert_eq!(arm.redundant_alternatives[1].covered_by, [1]);
}

#[test]
fn integers_print_in_the_compilers_notation() {
    assert_eq!(
        witnesses(&m(Ty::I8, vec![Pat::range(Some(0), Some(5))])),
        ["i8::MIN..=-1_i8", "6_i8..=i8::MAX"]
    );
    assert_eq!(
        witnesses(&m(Ty::U128, vec![Pat::range(Some(1), Some(6))])),
        ["0_u128", "7_u128.."]
    );
    assert_eq!(
        witnesses(&m(
            Ty::Usize,
            vec![Pat::range(Some(0), Some(u64::MAX.into()))]
        )),
        ["usize::MAX.."]
    );
    assert_eq!(
        witnesses(&m(Ty::Isize, vec![Pat::range(Some(0), None)])),
        ["..=-1_isize"]
    );
    assert_eq!(
        witnesses(&m(Ty::Char, vec![Pat::range(Some(98), Some(121))])),
        [
            "'\\0'..='a'",
            "'z'..='\\u{d7ff}'",
            "'\\u{e000}'..='\\u{10ffff}'"
        ]
    );
}

#[test]
fn half_open_ranges_exhaust_pointer_sized_integers() {
    let halves = vec![
        Pat::new(PatKind::Range(Range {
            lo: None,
            hi: Some(9),
            end: RangeEnd::Excluded,
        })),
        Pat::range(Some(9), None),
    ];
    assert!(witnesses(&m(Ty::Isize, halves.clone())).is_empty());
    assert!(witnesses(&m(Ty::Usize, halves)).is_empty());
}

#[test]
fn slices_are_told_apart_by_length_and_both_ends() {
    let ty = reference(Ty::Slice(Box::new(Ty::Bool)));
    let arms = vec![
        Pat::reference(slice(vec![], false, vec![])),
        Pat::reference(slice(vec![boolean(true)], true, vec![])),
        Pat::reference(slice(vec![], true, vec![boolean(true)])),
    ];
    assert_eq!(
        witnesses(&m(ty.clone(), arms.clone())),
        ["&[false]", "&[false, .., false]"]
    );
    let mut all = arms;
    all.push(Pat::reference(slice(vec![boolean(false)], true, vec![])));
    assert!(witnesses(&m(ty, all.clone())).is_empty());
}

#[test]
fn array_witnesses_drop_silent_elements() {
    let ty = Ty::Array(Box::new(Ty::Bool), Some(5));
    let arms = vec![slice(vec![boolean(true)], true, vec![Pat::wild()])];
    assert_eq!(witnesses(&m(ty.clone(), arms)), ["[false, ..]"]);
    let wrong = m(ty, vec![slice(vec![boolean(true)], false, vec![])]);
    let error = check(&Program, &wrong, &Options::default()).unwrap_err();
    assert_eq!(error.why, Why::WrongLength);
}

#[test]
fn arrays_of_unknown_length_are_like_slices() {
    let ty = Ty::Array(Box::new(Ty::Bool), None);
    let arms = vec![slice(vec![], false, vec![])];
    assert_eq!(witnesses(&m(ty, arms)), ["[_, ..]"]);
}

#[test]
fn strings_and_floats_never_run_out() {
    let text = |s: &str| Pat::reference(Pat::new(PatKind::Str(s.into())));
    let ty = reference(Ty::Str);
    assert_eq!(
        witnesses(&m(ty.clone(), vec![text("a"), text("b")])),
        ["&_"]
    );
    assert_eq!(
        redundant(&m(ty, vec![text("a"), text("b"), text("a"), Pat::wild()])),
        [2]
    );
    let float = |lo, hi| Pat::new(PatKind::Float(lo, hi));
    let arms = vec![float(0.0, 2.0), float(1.0, 1.0), Pat::wild()];
    assert_eq!(redundant(&m(Ty::Float, arms)), [1]);
}

#[test]
fn opaque_constants_cover_nothing() {
    let constant = |id| Pat::new(PatKind::Opaque(id));
    let arms = vec![constant(1), constant(2), boolean(true), boolean(false)];
    let matched = m(Ty::Bool, arms);
    assert!(witnesses(&matched).is_empty());
    assert!(redundant(&matched).is_empty());
    assert_eq!(
        witnesses(&m(Ty::Bool, vec![constant(1)])),
        ["true", "false"]
    );
}

#[test]
fn foreign_enums_stay_open_and_hide_hidden_variants() {
    let open = Ty::Foreign(2, vec![], true);
    assert_eq!(witnesses(&m(open.clone(), vec![unit(0), unit(1)])), ["_"]);
    assert!(witnesses(&m(open, vec![unit(0), Pat::wild()])).is_empty());
    let hiding = Ty::Foreign(3, vec![2], false);
    assert_eq!(
        witnesses(&m(hiding.clone(), vec![unit(0)])),
        ["Foreign::V1", "_"]
    );
    assert_eq!(witnesses(&m(hiding.clone(), vec![unit(0), unit(1)])), ["_"]);
    assert!(witnesses(&m(hiding, vec![unit(0), unit(1), unit(2)])).is_empty());
}

#[test]
fn deref_patterns_look_through() {
    let through = |sub| Pat::new(PatKind::Deref(plain("E", 2), Box::new(sub)));
    let half = m(Ty::Pointer, vec![through(unit(0))]);
    assert_eq!(witnesses(&half), ["deref!(E::V1)"]);
    let full = m(Ty::Pointer, vec![through(unit(0)), through(unit(1))]);
    assert!(witnesses(&full).is_empty());
}

#[test]
fn patterns_that_do_not_fit_are_refused_not_guessed() {
    let cases = [
        (m(Ty::Bool, vec![unit(0)]), Why::WrongConstructor),
        (m(plain("E", 2), vec![unit(2)]), Why::WrongConstructor),
        (m(Ty::U8, vec![Pat::value(256)]), Why::WrongRange),
        (
            m(Ty::U8, vec![Pat::range(Some(4), Some(3))]),
            Why::WrongRange,
        ),
        (
            m(
                Ty::Tuple(vec![Ty::U8]),
                vec![Pat::new(PatKind::Struct(vec![(1, Pat::wild())]))],
            ),
            Why::WrongField,
        ),
        (
            m(Ty::Float, vec![Pat::new(PatKind::Float(f64::NAN, 1.0))]),
            Why::WrongFloat,
        ),
        (m(Ty::Bool, vec![Pat::or([])]), Why::NoAlternatives),
    ];
    for (matched, why) in cases {
        let error = check(&Program, &matched, &Options::default()).unwrap_err();
        assert_eq!(error.why, why);
    }
}

#[test]
fn deep_patterns_are_refused_before_the_stack_ends() {
    type Wrap = fn(Ty, Pat<Ty>) -> (Ty, PatKind<Ty>);
    let wraps: [Wrap; 8] = [
        |ty, pat| (ty, PatKind::Bind(Binding::ByRef, Some(Box::new(pat)))),
        |ty, pat| (Ty::Tuple(vec![ty]), PatKind::Struct(vec![(0, pat)])),
        |ty, pat| {
            (
                Ty::Enum("E", vec![vec![ty]]),
                PatKind::Variant(0, vec![(0, pat)]),
            )
        },
        |ty, pat| (Ty::Union(vec![ty]), PatKind::Union(0, Box::new(pat))),
        |ty, pat| (Ty::Ref(Box::new(ty)), PatKind::Ref(Box::new(pat))),
        |ty, pat| (Ty::Pointer, PatKind::Deref(ty, Box::new(pat))),
        |ty, pat| (ty, PatKind::Or(vec![pat])),
        |ty, pat| {
            let slice = PatKind::Slice {
                prefix: vec![],
                rest: true,
                suffix: vec![pat],
            };
            (Ty::Slice(Box::new(ty)), slice)
        },
    ];
    for (number, wrap) in wraps.into_iter().enumerate() {
        let nested = |levels| {
            let (mut ty, mut pat) = (Ty::Bool, Pat::wild());
            for _ in 0..levels {
                let (outer, kind) = wrap(ty, pat);
                (ty, pat) = (outer, Pat::new(kind));
            }
            check(&Program, &m(ty, vec![pat]), &Options::default())
        };
        assert!(nested(MAX_PATTERN_DEPTH).is_ok(), "kind {number}");
        let error = nested(MAX_PATTERN_DEPTH + 1).unwrap_err();
        assert_eq!(error.why, Why::TooDeep, "kind {number}");
    }
}

#[test]
fn a_misfit_is_reported_with_its_place() {
    let misfit = Pat::or([boolean(true), unit(0).labeled(9)]);
    let matched = m(Ty::Bool, vec![boolean(false), misfit]);
    let error = check(&Program, &matched, &Options::default()).unwrap_err();
    assert_eq!((error.arm, error.label), (1, 9));
    assert_eq!(
        error.to_string(),
        "pattern 9 in arm 1 does not fit: its type has no such constructor"
    );
}

#[test]
fn strings_of_witnesses_are_those_of_the_patterns() {
    let text = |s: &str| Pat::reference(Pat::new(PatKind::Str(s.into())));
    let pair = |a, b| Pat::product([a, b]);
    let ty = Ty::Tuple(vec![reference(Ty::Str), Ty::Bool]);
    let arms = vec![
        pair(text("a"), boolean(true)),
        pair(text("b\n"), boolean(false)),
    ];
    assert_eq!(
        shown(&sets(&m(ty, arms)).missing),
        ["(&\"a\", false)", "(&\"b\\n\", true)", "(&_, _)"]
    );
}

#[test]
fn patterns_of_the_greatest_depth_are_accepted() {
    let mut pat = Pat::wild();
    for _ in 0..MAX_PATTERN_DEPTH {
        pat = Pat::new(PatKind::Bind(Binding::ByRef, Some(Box::new(pat))));
    }
    assert!(check(&Program, &m(Ty::Bool, vec![pat]), &Options::default()).is_ok());
}
