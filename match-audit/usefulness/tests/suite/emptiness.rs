//! Empty types, by what is known about the place.

use crate::common::*;
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
fn a_binding_is_reached_by_the_values_that_another_arm_leaves() {
    // Only `Err` is not mentioned, and it is empty; but 1 comes here through `Ok`.
    let first = Pat::variant(0, [Pat::value(0)]);
    let matched = maybe_invalid(result(Ty::U8, Ty::Never), vec![first, Pat::bind()]);
    assert!(report(&matched).arms[1].reached);
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

/// The arms that the rules of 2018 add, whether the match is then exhaustive, and whether the
/// compiler accepts it as it stands.
fn completed(m: &Match<Ty>) -> (Vec<String>, bool, bool) {
    let answer = never::auto_never(&Program, m, &Options::default()).unwrap();
    assert!(answer.complete);
    (
        answer
            .arms
            .iter()
            .map(|arm| arm.pattern.display(&Program).to_string())
            .collect(),
        answer.proposal_2018 == Verdict::Exhaustive,
        answer.compiler == Verdict::Exhaustive,
    )
}

fn some(sub: P) -> P {
    Pat::variant(1, [sub])
}

#[test]
fn completion_adds_the_variants_whose_fields_are_all_empty() {
    let valid = m(result(Ty::U8, Ty::Never), vec![ok(Pat::wild())]);
    assert_eq!(
        completed(&valid),
        (vec!["Result::V1(!)".into()], true, true)
    );
    let both = m(result(void(), Ty::Tuple(vec![Ty::Never, void()])), vec![]);
    assert_eq!(completed(&both), (vec!["!".into()], true, true));
    let nested = m(option(option(Ty::Never)), vec![unit(0), some(unit(0))]);
    let pattern = "Option::V1(Option::V1(!))";
    assert_eq!(completed(&nested), (vec![pattern.into()], true, true));
}

#[test]
fn completion_leaves_products_alone_that_may_be_half_written() {
    let pair = Ty::Tuple(vec![Ty::U8, Ty::Never]);
    let partial = m(option(pair.clone()), vec![unit(0)]);
    assert_eq!(completed(&partial), (vec![], false, true));
    let written = m(option(pair), vec![unit(0), some(Pat::wild())]);
    assert_eq!(completed(&written), (vec![], true, true));
    // Private fields and types that may grow are nobody's business here.
    let secret = Ty::Private(Box::new(Ty::Never));
    assert_eq!(
        completed(&m(option(secret), vec![unit(0)])),
        (vec![], false, false)
    );
    let open = Ty::Foreign(0, vec![], true);
    assert_eq!(
        completed(&m(option(open), vec![unit(0)])),
        (vec![], false, false)
    );
    // A union has no constructor that could be empty.
    let union = Ty::Union(vec![Ty::Never]);
    assert_eq!(
        completed(&m(option(union), vec![unit(0)])),
        (vec![], false, false)
    );
}

#[test]
fn completion_does_not_ask_what_is_known_about_the_place() {
    let behind = maybe_invalid(result(Ty::U8, Ty::Never), vec![ok(Pat::wild())]);
    assert_eq!(
        completed(&behind),
        (vec!["Result::V1(!)".into()], true, false)
    );
    let reference = m(option(reference(Ty::Never)), vec![unit(0)]);
    assert_eq!(
        completed(&reference),
        (vec!["Option::V1(&!)".into()], true, false)
    );
    let answer = never::auto_never(&Program, &reference, &Options::default()).unwrap();
    assert!(answer.arms[0].through_reference);
    let answer = never::auto_never(&Program, &behind, &Options::default()).unwrap();
    assert!(!answer.arms[0].through_reference);
}

#[test]
fn completion_combines_what_each_field_adds_and_says_what_stays_open() {
    let half = option(Ty::Never);
    let pair = Ty::Tuple(vec![half.clone(), half]);
    let matched = m(pair, vec![Pat::product([unit(0), unit(0)])]);
    let answer = never::auto_never(&Program, &matched, &Options::default()).unwrap();
    let added = answer.arms.iter().map(|arm| arm.pattern.clone());
    let added: Vec<_> = added.collect();
    assert_eq!(shown(&added), ["(Option::V1(!), Option::V1(!))"]);
    assert_eq!(answer.proposal_2018, Verdict::NotExhaustive);
    assert_eq!(
        shown(&answer.unmatched),
        ["(Option::V0, Option::V1(_))", "(Option::V1(_), Option::V0)"]
    );
    // The compiler lets both pass.
    assert_eq!(answer.left_out.len(), 2);
    assert_eq!(answer.compiler, Verdict::Exhaustive);
}

#[test]
fn completion_adds_nothing_that_is_matched_already() {
    let ty = result(Ty::U8, Ty::Never);
    let all = m(ty.clone(), vec![ok(Pat::wild()), err(Pat::wild())]);
    assert_eq!(completed(&all), (vec![], true, true));
    let wild = m(ty, vec![Pat::wild()]);
    assert_eq!(completed(&wild), (vec![], true, true));
    // All values are missed here but the impossible ones.
    let none = m(result(Ty::Never, Ty::U8), vec![]);
    assert_eq!(
        completed(&none),
        (vec!["Result::V0(!)".into()], false, false)
    );
}

/// An enum that leads to itself through references, as `Refers(how often)`.
struct Endless;

impl Types for Endless {
    /// How often it refers to itself, and whether through a reference at all.
    type Ty = (usize, bool);

    fn describe(&self, &(times, direct): &(usize, bool)) -> Shape<(usize, bool)> {
        match direct {
            true => Shape::sum(EnumId(7), [Variant::new(vec![(times, false); times])]),
            false => Shape::Ref((times, true)),
        }
    }
}

#[test]
fn types_that_lead_to_themselves_are_refused_in_time() {
    use never::{Acceptance, Rules, accepts_never, auto_never};
    for times in 1..4 {
        let ty = (times, true);
        for rules in [Rules::Proposal2018, Rules::Compiler] {
            assert_eq!(accepts_never(&Endless, &ty, rules), Acceptance::Refused);
        }
        let matched = Match {
            scrutinee: ty,
            validity: Validity::KnownValid,
            arms: vec![],
        };
        let answer = auto_never(&Endless, &matched, &Options::default()).unwrap();
        assert!(answer.arms.is_empty() && answer.complete);
        assert_eq!(answer.proposal_2018, Verdict::NotExhaustive);
    }
}

/// `(u8, T, T)` nested so deep, with `!` at the bottom; or the same without the number.
fn doubling(depth: usize, number: bool) -> Ty {
    (0..depth).fold(Ty::Never, |ty, _| {
        let mut fields = vec![ty.clone(), ty];
        if number {
            fields.insert(0, Ty::U8);
        }
        Ty::Tuple(fields)
    })
}

#[test]
fn patterns_for_empty_types_do_not_double_with_each_level() {
    // Twelve, since the test's own types are written out as trees.
    let matched = m(option(doubling(12, true)), vec![unit(0)]);
    let text = left_out(&matched).concat();
    assert_eq!(text.matches('!').count(), 13, "{text}");
    let answer = completed(&m(option(doubling(12, false)), vec![unit(0)]));
    assert_eq!(answer, (vec!["Option::V1(!)".into()], true, true));
}

#[test]
fn completion_that_meets_a_limit_says_so() {
    let half = option(Ty::Never);
    let triple = Ty::Tuple(vec![result(half.clone(), half); 3]);
    let ask = |arms: Vec<P>, work_limit, group_limit| {
        let options = Options {
            work_limit,
            group_limit,
            ..Options::default()
        };
        let answer = never::auto_never(&Program, &m(triple.clone(), arms), &options).unwrap();
        (answer.arms.len(), answer.complete, answer.proposal_2018)
    };
    // Added arms are one level deeper than the match, so there is nothing to add to an empty one.
    let open = Verdict::NotExhaustive;
    assert_eq!(ask(vec![], 1_000_000, 1_000), (0, true, open));
    let deep = || Pat::product(vec![ok(unit(0)), Pat::wild(), Pat::wild()]);
    assert_eq!(ask(vec![deep()], 1_000_000, 1_000), (8, true, open));
    assert_eq!(ask(vec![deep()], 1_000_000, 8), (8, true, open));
    assert_eq!(
        ask(vec![deep()], 1_000_000, 7),
        (0, false, Verdict::Unknown)
    );
    assert_eq!(ask(vec![deep()], 5, 1_000), (0, false, Verdict::Unknown));
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
