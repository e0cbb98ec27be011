//! Random input, much of it ill-formed: no panic, and the work limit is kept.

use crate::common::*;
use match_audit_usefulness::*;
use std::collections::VecDeque;

/// A source of choices: the bytes of an input, then pseudo-random numbers (SplitMix64), the same
/// from the same start; a fuzzer's input is followed by zeros only.
pub(crate) struct Rng {
    bytes: VecDeque<u8>,
    state: Option<u64>,
}

impl Rng {
    pub(crate) fn new(seed: u64) -> Rng {
        Rng {
            bytes: VecDeque::new(),
            state: Some(seed),
        }
    }

    pub(crate) fn of_input(bytes: &[u8]) -> Rng {
        Rng {
            bytes: bytes.iter().copied().collect(),
            state: None,
        }
    }

    pub(crate) fn next(&mut self) -> u64 {
        let Some(state) = &mut self.state else {
            return (0..8).fold(0, |number, _| number << 8 | u64::from(self.byte()));
        };
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn byte(&mut self) -> u8 {
        self.bytes.pop_front().unwrap_or(0)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        match self.state {
            Some(_) => (self.next() % bound as u64) as usize,
            None => usize::from(self.byte()) % bound,
        }
    }
}

fn random_type(rng: &mut Rng, depth: usize) -> Ty {
    let sub = |rng: &mut Rng| random_type(rng, depth.saturating_sub(1));
    match rng.below(if depth == 0 { 11 } else { 20 }) {
        0 => Ty::Never,
        1 => Ty::Bool,
        2 => Ty::Char,
        3 => Ty::U8,
        4 => Ty::I8,
        5 => Ty::U128,
        6 => Ty::Usize,
        7 => Ty::Isize,
        8 => Ty::Float,
        9 => Ty::Str,
        10 => Ty::Pointer,
        11 => Ty::Tuple((0..rng.below(4)).map(|_| sub(rng)).collect()),
        12 => Ty::Private(Box::new(sub(rng))),
        13 => reference(sub(rng)),
        14 => Ty::Slice(Box::new(sub(rng))),
        15 => Ty::Array(
            Box::new(sub(rng)),
            [None, Some(0), Some(2), Some(u64::MAX)][rng.below(4)],
        ),
        16 => Ty::Union((0..rng.below(3)).map(|_| sub(rng)).collect()),
        17 => Ty::Foreign(rng.below(4), vec![rng.below(4)], rng.below(2) == 0),
        _ => {
            let variants = (0..rng.below(5))
                .map(|_| (0..rng.below(3)).map(|_| sub(rng)).collect())
                .collect();
            Ty::Enum("E", variants)
        }
    }
}

/// Makes a pattern that fits `ty` most of the time.
pub(crate) fn random_pattern(rng: &mut Rng, ty: &Ty, depth: usize) -> P {
    if depth == 0 || rng.below(5) == 0 {
        return match rng.below(4) {
            0 => Pat::new(PatKind::Never),
            1 => Pat::bind(),
            _ => Pat::wild(),
        };
    }
    let misfit = rng.below(40) == 0;
    let other;
    let ty = if misfit {
        other = random_type(rng, 1);
        &other
    } else {
        ty
    };
    let odd = rng.below(12);
    if odd == 0 {
        return Pat::or((0..1 + rng.below(3)).map(|_| random_pattern(rng, ty, depth - 1)));
    }
    if odd == 1 {
        return Pat::new(PatKind::Opaque(rng.next() % 3));
    }
    if odd == 2 {
        let target = random_type(rng, 1);
        let sub = random_pattern(rng, &target, depth - 1);
        return Pat::new(PatKind::Deref(target, Box::new(sub)));
    }
    let number = |rng: &mut Rng| -> Option<u128> {
        match rng.below(6) {
            0 => None,
            1 => Some(u128::MAX),
            2 => Some(u128::from(rng.next())),
            _ => Some(rng.below(300) as u128),
        }
    };
    match ty {
        Ty::Never | Ty::Pointer => Pat::wild(),
        Ty::Bool => boolean(rng.below(2) == 0),
        Ty::Char | Ty::U8 | Ty::I8 | Ty::U128 | Ty::Usize | Ty::Isize => {
            let end = [RangeEnd::Included, RangeEnd::Excluded][rng.below(2)];
            Pat::new(PatKind::Range(Range {
                lo: number(rng),
                hi: number(rng),
                end,
            }))
        }
        Ty::Float => {
            let ends = [f64::NAN, f64::INFINITY, -0.0, 0.0, 1.5];
            Pat::new(PatKind::Float(ends[rng.below(5)], ends[rng.below(5)]))
        }
        Ty::Str => Pat::new(PatKind::Str(["", "a", "b"][rng.below(3)].into())),
        Ty::Tuple(fields) => Pat::product(
            fields
                .iter()
                .map(|field| random_pattern(rng, field, depth - 1))
                .collect::<Vec<_>>(),
        ),
        Ty::Private(field) => Pat::product([random_pattern(rng, field, depth - 1)]),
        Ty::Ref(target) => Pat::reference(random_pattern(rng, target, depth - 1)),
        Ty::Slice(element) | Ty::Array(element, _) => {
            let list = |rng: &mut Rng| -> Vec<P> {
                (0..rng.below(3))
                    .map(|_| random_pattern(rng, element, depth - 1))
                    .collect()
            };
            let (prefix, suffix) = (list(rng), list(rng));
            slice(prefix, rng.below(3) > 0, suffix)
        }
        Ty::Union(fields) => {
            let index = rng.below(3);
            let sub = match fields.get(index) {
                Some(field) => random_pattern(rng, field, depth - 1),
                None => Pat::wild(),
            };
            Pat::new(PatKind::Union(index, Box::new(sub)))
        }
        Ty::Enum(_, variants) => {
            let index = rng.below(variants.len() + 1);
            let fields: Vec<P> = variants
                .get(index)
                .into_iter()
                .flatten()
                .map(|field| random_pattern(rng, field, depth - 1))
                .collect();
            Pat::variant(index, fields)
        }
        Ty::Foreign(count, ..) => unit(rng.below(count + 1)),
    }
}

/// What became of one input.
#[derive(Debug, PartialEq)]
pub(crate) enum Outcome {
    Malformed,
    Answered,
    /// The answer says itself that it is not whole.
    Incomplete,
}

/// Asks all questions about one match; panics if an answer is wrong in itself.
pub(crate) fn ask_everything(rng: &mut Rng) -> Outcome {
    let ty = random_type(rng, 3);
    let mut matched = m(ty.clone(), Vec::new());
    for _ in 0..rng.below(8) {
        matched.arms.push(Arm {
            pat: random_pattern(rng, &ty, 4),
            guard: [Guard::Absent, Guard::Absent, Guard::Present][rng.below(3)],
        });
    }
    if rng.below(2) == 0 {
        matched.validity = Validity::MaybeInvalid;
    }
    let options = Options {
        work_limit: [10, 300, 100_000][rng.below(3)],
        group_limit: [1, 500][rng.below(2)],
        empty_arms: [EmptyArms::Stable, EmptyArms::Everywhere][rng.below(2)],
    };
    let Ok(answer) = check(&Program, &matched, &options) else {
        return Outcome::Malformed;
    };
    // One step may be as large as the columns it looks at.
    assert!(answer.work <= options.work_limit + 10_000);
    let sets = taken_sets(&Program, &matched, &options).unwrap();
    let _ = shown(&answer.witnesses);
    let _ = shown(&answer.left_out);
    let _ = shown(&sets.missing);
    let _ = what_if(&Program, &matched, id("E"), &options).unwrap();
    let _ = inspected_enums(&Program, &matched).unwrap();
    let completed = never::auto_never(&Program, &matched, &options).unwrap();
    let _ = shown(&completed.unmatched);
    if answer.complete && sets.complete && options.empty_arms == EmptyArms::Stable {
        agree(&answer, &sets);
    }
    if answer.complete {
        Outcome::Answered
    } else {
        Outcome::Incomplete
    }
}

#[test]
fn random_input_neither_panics_nor_exceeds_the_limit() {
    let mut count = [0; 3];
    for seed in 0..10_000 {
        count[ask_everything(&mut Rng::new(seed)) as usize] += 1;
    }
    let [malformed, answered, incomplete] = count;
    assert!(
        malformed > 500 && answered > 3_000 && incomplete > 50,
        "{count:?}"
    );
}

/// Bytes as a fuzzer would give them: noise, then changed here and there.
#[test]
fn changed_inputs_neither_panic_nor_exceed_the_limit() {
    let mut count = [0; 3];
    let mut rng = Rng::new(7);
    for _ in 0..200 {
        let mut input: Vec<u8> = (0..200).map(|_| rng.below(256) as u8).collect();
        for _ in 0..50 {
            count[ask_everything(&mut Rng::of_input(&input)) as usize] += 1;
            match rng.below(3) {
                0 => input.truncate(1 + rng.below(input.len())),
                1 => input.insert(rng.below(input.len()), rng.below(256) as u8),
                _ => {
                    let at = rng.below(input.len());
                    input[at] = [0, 1, 255, rng.below(256) as u8][rng.below(4)];
                }
            }
        }
    }
    let [malformed, answered, _] = count;
    assert!(malformed > 200 && answered > 3_000, "{count:?}");
}

/// Two searches, one pruned by relevance and one complete, must tell the same story.
fn agree(answer: &Report<Ty>, sets: &Sets<Ty>) {
    let exhaustive = answer.verdict == Verdict::Exhaustive;
    assert_eq!(exhaustive, sets.missing.is_empty());
    for (arm, set) in answer.arms.iter().zip(&sets.arms) {
        if !set.groups.is_empty() {
            assert_eq!(arm.usefulness, Usefulness::Useful);
        }
        if arm.usefulness == Usefulness::Useful && !arm.omittable && arm.reached {
            assert!(!set.groups.is_empty());
        }
    }
}
