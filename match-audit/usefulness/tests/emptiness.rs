//! Empty types, by what is known about the place.

mod common;
use common::*;
use match_audit_usefulness::*;

fn void() -> Ty {
    Ty::Enum("Void", vec![])
}

fn ok(sub: P) -> P {
    Pat::variant(0, [sub])
}

fn err(sub: P) -> P {
    Pat::variant(1, [sub])
}

#[test]
fn an_empty_arm_may_be_left_out_where_the_place_is_valid() {
    let ty = result(Ty::U8, void());
    let valid = m(ty.clone(), vec![ok(Pat::wild())]);
    assert!(witnesses(&valid).is_empty());
    assert_eq!(left_out(&valid), ["Result::V1(!)"]);
    let invalid = maybe_invalid(ty, vec![ok(Pat::wild())]);
    assert_eq!(witnesses(&invalid), ["Result::V1(_)"]);
}

#[test]
fn an_arm_that_may_be_left_out_is_omittable_and_never_reached() {
    let ty = result(Ty::U8, Ty::Never);
    let both = m(ty.clone(), vec![ok(Pat::wild()), err(Pat::wild())]);
    let arms = report(&both).arms;
    assert!(!arms[0].omittable && arms[0].reached);
    assert!(arms[1].omittable && !arms[1].reached);
    assert_eq!(arms[1].usefulness, Usefulness::Useful);
    let arms = report(&maybe_invalid(ty, vec![ok(Pat::wild()), err(Pat::wild())])).arms;
    assert!(!arms[1].omittable && arms[1].reached);
}

#[test]
fn a_reference_forgets_that_the_place_is_valid() {
    let ty = reference(result(Ty::U8, Ty::Never));
    let matched = m(ty, vec![Pat::reference(ok(Pat::wild()))]);
    assert_eq!(witnesses(&matched), ["&Result::V1(_)"]);
    let ty = Ty::Union(vec![result(Ty::U8, Ty::Never)]);
    let field = Pat::new(PatKind::Union(0, Box::new(ok(Pat::wild()))));
    assert!(!witnesses(&m(ty, vec![field])).is_empty());
}

#[test]
fn a_match_without_arms_is_accepted_on_types_without_constructors_only() {
    for ty in [Ty::Never, void()] {
        assert!(witnesses(&m(ty.clone(), vec![])).is_empty());
        assert!(witnesses(&maybe_invalid(ty, vec![])).is_empty());
    }
    let both = result(void(), void());
    assert!(witnesses(&m(both.clone(), vec![])).is_empty());
    assert_eq!(
        witnesses(&maybe_invalid(both, vec![])),
        ["Result::V0(_)", "Result::V1(_)"]
    );
}

#[test]
fn a_wildcard_on_a_valid_void_is_redundant_but_not_behind_a_pointer() {
    assert_eq!(redundant(&m(void(), vec![Pat::wild()])), [0]);
    let behind = maybe_invalid(void(), vec![Pat::wild()]);
    assert!(redundant(&behind).is_empty());
    assert!(report(&behind).arms[0].reached);
}

#[test]
fn a_binding_reads_and_so_is_never_reached() {
    let read = maybe_invalid(void(), vec![Pat::bind()]);
    let arm = &report(&read).arms[0];
    assert_eq!(arm.usefulness, Usefulness::Useful);
    assert!(!arm.reached);
    // Reading the whole asserts that the part is valid, too.
    let part = maybe_invalid(option(Ty::Never), vec![unit(0), Pat::bind()]);
    assert!(!report(&part).arms[1].reached);
    let unread = maybe_invalid(option(Ty::Never), vec![unit(0), Pat::wild()]);
    assert!(report(&unread).arms[1].reached);
    let by_ref = Pat::new(PatKind::Bind(Binding::ByRef, None));
    let named = maybe_invalid(option(Ty::Never), vec![unit(0), by_ref]);
    assert!(report(&named).arms[1].reached);
}

#[test]
fn a_read_behind_a_reference_is_not_implied() {
    let ty = reference(option(Ty::Never));
    let matched = m(ty, vec![Pat::reference(unit(0)), Pat::bind()]);
    assert!(report(&matched).arms[1].reached);
}

#[test]
fn private_emptiness_is_nobodys_business() {
    let secret = Ty::Private(Box::new(Ty::Never));
    assert_eq!(witnesses(&m(secret.clone(), vec![])), ["Struct(_)"]);
    let ty = result(Ty::U8, secret);
    assert_eq!(witnesses(&m(ty, vec![ok(Pat::wild())])), ["Result::V1(_)"]);
}

#[test]
fn only_the_empty_slice_of_an_empty_type_exists() {
    let ty = reference(Ty::Slice(Box::new(Ty::Never)));
    let matched = m(
        ty.clone(),
        vec![Pat::reference(slice(vec![], false, vec![]))],
    );
    assert_eq!(witnesses(&matched), ["&[_, ..]"]);
    let everywhere = Options {
        empty_arms: EmptyArms::Everywhere,
        ..Options::default()
    };
    let report = check(&Program, &matched, &everywhere).unwrap();
    assert_eq!(report.verdict, Verdict::Exhaustive);
    let array = |len| Ty::Array(Box::new(Ty::Never), Some(len));
    assert_eq!(witnesses(&m(array(0), vec![])), ["[]"]);
    assert!(witnesses(&m(array(3), vec![])).is_empty());
}

#[test]
fn never_pattern_matches_what_is_not_there() {
    let never = || Pat::new(PatKind::Never);
    let ty = result(Ty::U8, Ty::Never);
    let matched = maybe_invalid(ty, vec![ok(Pat::wild()), err(never())]);
    assert!(witnesses(&matched).is_empty());
    assert!(!report(&matched).arms[1].reached);
}

#[test]
fn product_with_one_empty_field_differs_between_the_rule_sets() {
    let pair = Ty::Tuple(vec![Ty::U8, Ty::Never]);
    let both = Ty::Tuple(vec![Ty::Never, void()]);
    let behind = reference(Ty::Never);
    use never::{Acceptance, Rules, accepts_never};
    let ask = |ty: &Ty, rules| accepts_never(&Program, ty, rules);
    assert_eq!(ask(&pair, Rules::Compiler), Acceptance::Accepted);
    assert_eq!(ask(&pair, Rules::Proposal2018), Acceptance::Refused);
    assert_eq!(ask(&both, Rules::Proposal2018), Acceptance::Accepted);
    assert_eq!(
        ask(&behind, Rules::Proposal2018),
        Acceptance::ThroughReference
    );
    let void_variants = result(Ty::Never, void());
    assert_eq!(
        ask(&void_variants, Rules::Proposal2018),
        Acceptance::Accepted
    );
    let empty_product = Ty::Tuple(vec![]);
    assert_eq!(
        ask(&empty_product, Rules::Proposal2018),
        Acceptance::Refused
    );
    let nested = option(pair);
    assert_eq!(left_out(&m(nested, vec![unit(0)])), ["Option::V1((_, !))"]);
}

#[test]
fn completion_tells_the_two_rule_sets_apart() {
    use never::{Acceptance, completion};
    let arms = |m: &Match<Ty>| -> Vec<(String, bool, Acceptance)> {
        completion(&Program, m, &Options::default())
            .unwrap()
            .into_iter()
            .map(|c| {
                let text = c.pattern.display(&Program).to_string();
                (text, c.compiler, c.proposal_2018)
            })
            .collect()
    };
    // Both would add it.
    let valid = m(result(Ty::U8, Ty::Never), vec![ok(Pat::wild())]);
    let pattern = || "Result::V1(!)".to_string();
    assert_eq!(arms(&valid), [(pattern(), true, Acceptance::Accepted)]);
    // Only the compiler lets it pass: one field may have been written already.
    let pair = Ty::Tuple(vec![Ty::U8, Ty::Never]);
    let partial = m(option(pair), vec![unit(0)]);
    assert_eq!(
        arms(&partial),
        [("Option::V1((_, !))".into(), true, Acceptance::Refused)]
    );
    // Only the proposal would add it.
    let behind = maybe_invalid(result(Ty::U8, Ty::Never), vec![ok(Pat::wild())]);
    assert_eq!(
        arms(&behind),
        [("Result::V1(_)".into(), false, Acceptance::Accepted)]
    );
}

#[test]
fn lint_is_loud_near_unsafe_code_and_silent_without_cause() {
    use never::{Access, Level, omitted_empty_arm};
    let omitted = report(&m(result(Ty::U8, Ty::Never), vec![ok(Pat::wild())]));
    assert_eq!(
        omitted_empty_arm(&omitted, Access::Ordinary),
        Some(Level::OnRequest)
    );
    assert_eq!(
        omitted_empty_arm(&omitted, Access::RawPointer),
        Some(Level::Default)
    );
    let written = report(&m(
        result(Ty::U8, Ty::Never),
        vec![ok(Pat::wild()), err(Pat::wild())],
    ));
    assert_eq!(omitted_empty_arm(&written, Access::UnionField), None);
    let void = report(&maybe_invalid(Ty::Never, vec![]));
    assert_eq!(
        omitted_empty_arm(&void, Access::RawPointer),
        Some(Level::Default)
    );
}
