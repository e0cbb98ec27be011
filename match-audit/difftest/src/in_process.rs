//! The compiler's own algorithm, published as a library, asked about the same matches.
//!
//! Only the algorithm is shared with the compiler: what it asks about types is answered here, and
//! patterns are lowered here, so a mistake that this crate and `match-audit-usefulness` have in
//! common would be seen by the comparison with `rustc` only. In return a question costs some
//! microseconds, and all witnesses are compared, not the first three.

use std::fmt;

use match_audit_usefulness::{
    EmptyArms, Guard, IntWidth, Match, Options, Pat, PatKind, RangeEnd, Report, Shape, Sign, Types,
    Usefulness, Validity, Verdict,
};
use ra_ap_rustc_pattern_analysis::constructor::{
    self as theirs, Constructor, ConstructorSet, IntRange, MaybeInfiniteInt, OpaqueId, Slice,
    SliceKind, VariantVisibility,
};
use ra_ap_rustc_pattern_analysis::pat::{DeconstructedPat, IndexedPat};
use ra_ap_rustc_pattern_analysis::usefulness::{
    self, PlaceValidity, UsefulnessReport, compute_match_usefulness,
};
use ra_ap_rustc_pattern_analysis::{IndexVec, MatchArm, PatCx, PrivateUninhabitedField};
use rustc_apfloat::Float as _;
use rustc_apfloat::ieee::Double;

use crate::program::{Program, Ty};
use crate::{compare, neutral};

/// So many steps, then the question is given up.
const COMPLEXITY: usize = 20_000_000;

/// Compares `report` with the answers of the compiler's algorithm, and describes the differences;
/// `None` if that algorithm gave up.
pub(crate) fn differences(
    program: &Program,
    matched: &Match<Ty>,
    options: &Options,
    report: &Report<Ty>,
) -> Option<Vec<String>> {
    let cx = Cx {
        program,
        everywhere: options.empty_arms == EmptyArms::Everywhere,
    };
    let pats: Vec<_> = matched
        .arms
        .iter()
        .map(|arm| cx.lower(matched.scrutinee, &arm.pat))
        .collect();
    let arms: Vec<_> = pats
        .iter()
        .zip(&matched.arms)
        .map(|(pat, arm)| MatchArm {
            pat,
            has_guard: arm.guard == Guard::Present,
            arm_data: (),
        })
        .collect();
    let validity = PlaceValidity::from_bool(matched.validity == Validity::KnownValid);
    let theirs =
        compute_match_usefulness(&cx, &arms, matched.scrutinee, validity, COMPLEXITY).ok()?;
    Some(compare_reports(program, report, &theirs))
}

fn compare_reports(
    program: &Program,
    report: &Report<Ty>,
    theirs: &UsefulnessReport<'_, Cx<'_>>,
) -> Vec<String> {
    let mut differences = Vec::new();
    let exhaustive = theirs.non_exhaustiveness_witnesses.is_empty();
    if exhaustive != (report.verdict == Verdict::Exhaustive) {
        differences.push(format!(
            "in process: exhaustive {exhaustive}, {:?}",
            report.verdict
        ));
    }
    let ours: Vec<String> = report.witnesses.iter().map(neutral::of_ours).collect();
    let listed: Vec<String> = theirs
        .non_exhaustiveness_witnesses
        .iter()
        .map(|w| neutral::of_theirs(program, w))
        .collect();
    // Of a union that two fields look into, the compiler makes one witness a field, none of them
    // the whole truth.
    let has_union = report.witnesses.iter().any(compare::has_union);
    if ours != listed && !has_union {
        differences.push(format!(
            "in process, witnesses:\n  ours:   {ours:?}\n  theirs: {listed:?}"
        ));
    }
    for (index, (ours, (_, theirs))) in report.arms.iter().zip(&theirs.arm_usefulness).enumerate() {
        let (redundant, mut labels) = match theirs {
            usefulness::Usefulness::Redundant(_) => (true, Vec::new()),
            usefulness::Usefulness::Useful(subs) => {
                (false, subs.iter().map(|(pat, _)| *pat.data()).collect())
            }
        };
        let mut alternatives: Vec<u32> = ours
            .redundant_alternatives
            .iter()
            .map(|alternative| alternative.label)
            .collect();
        alternatives.sort_unstable();
        labels.sort_unstable();
        let same = redundant == matches!(ours.usefulness, Usefulness::Redundant { .. });
        if !same || labels != alternatives {
            differences.push(format!(
                "in process, arm {index}: redundant {redundant} and {labels:?}, ours {ours:?}"
            ));
        }
    }
    differences
}

/// The types of a program, as the compiler's algorithm wants to see them.
pub(crate) struct Cx<'p> {
    program: &'p Program,
    everywhere: bool,
}

impl fmt::Debug for Cx<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cx")
    }
}

impl Cx<'_> {
    /// Says whether the module of the matches can see that there are no values.
    fn is_empty(&self, ty: Ty) -> bool {
        let fields_empty = |fields: &[match_audit_usefulness::Field<Ty>]| {
            fields
                .iter()
                .any(|field| field.visible && self.is_empty(field.ty))
        };
        match self.program.describe(&ty) {
            Shape::Never => true,
            Shape::Struct(fields) => fields_empty(&fields),
            Shape::Enum(shape) => {
                !shape.foreign_non_exhaustive
                    && shape.variants.iter().all(|v| fields_empty(&v.fields))
            }
            Shape::Array(element, Some(len)) => len > 0 && self.is_empty(element),
            _ => false,
        }
    }

    fn fields(&self, ctor: &Constructor<Self>, ty: Ty) -> Vec<(Ty, PrivateUninhabitedField)> {
        let visible = |ty| (ty, PrivateUninhabitedField(false));
        let fields = match (self.program.describe(&ty), ctor) {
            (Shape::Ref(target), Constructor::Ref) => return vec![visible(target)],
            (Shape::Slice(element) | Shape::Array(element, _), Constructor::Slice(slice)) => {
                return vec![visible(element); slice.arity()];
            }
            (Shape::Struct(fields), Constructor::Struct)
            | (Shape::Union(fields), Constructor::UnionField) => fields,
            (Shape::Enum(mut shape), Constructor::Variant(index)) => {
                shape.variants.swap_remove(*index).fields
            }
            _ => Vec::new(),
        };
        fields
            .into_iter()
            .map(|field| {
                let skip = !field.visible && self.is_empty(field.ty);
                (field.ty, PrivateUninhabitedField(skip))
            })
            .collect()
    }

    fn lower(&self, ty: Ty, pat: &Pat<Ty>) -> DeconstructedPat<Self> {
        let shape = self.program.describe(&ty);
        let (ctor, subs): (Constructor<Self>, Vec<(usize, &Pat<Ty>)>) = match (&pat.kind, &shape) {
            (PatKind::Bind(_, Some(sub)), _) => return self.lower(ty, sub),
            (PatKind::Wild | PatKind::Never | PatKind::Bind(_, None), _) => {
                (Constructor::Wildcard, vec![])
            }
            (PatKind::Bool(value), _) => (Constructor::Bool(*value), vec![]),
            (PatKind::Range(range), _) => {
                let end = |raw: Option<u128>, open| raw.map_or(open, |raw| encode(&shape, raw));
                let range = IntRange::from_range(
                    end(range.lo, MaybeInfiniteInt::NegInfinity),
                    end(range.hi, MaybeInfiniteInt::PosInfinity),
                    match range.end {
                        RangeEnd::Included => theirs::RangeEnd::Included,
                        RangeEnd::Excluded => theirs::RangeEnd::Excluded,
                    },
                );
                (Constructor::IntRange(range), vec![])
            }
            (PatKind::Float(lo, hi), _) => {
                let [lo, hi] = [lo, hi].map(|v| Double::from_bits(v.to_bits().into()));
                let end = theirs::RangeEnd::Included;
                (Constructor::F64Range(lo, hi, end), vec![])
            }
            (PatKind::Str(text), _) => (Constructor::Str(text.to_string()), vec![]),
            (PatKind::Struct(fields), _) => (Constructor::Struct, of_fields(fields)),
            (PatKind::Variant(index, fields), _) => {
                (Constructor::Variant(*index), of_fields(fields))
            }
            (PatKind::Union(index, sub), _) => (Constructor::UnionField, vec![(*index, &**sub)]),
            (PatKind::Ref(sub), _) => (Constructor::Ref, vec![(0, &**sub)]),
            (PatKind::Deref(target, sub), _) => {
                (Constructor::DerefPattern(*target), vec![(0, &**sub)])
            }
            (
                PatKind::Slice {
                    prefix,
                    rest,
                    suffix,
                },
                _,
            ) => {
                let kind = if *rest {
                    SliceKind::VarLen(prefix.len(), suffix.len())
                } else {
                    SliceKind::FixedLen(prefix.len())
                };
                let array = match shape {
                    Shape::Array(_, len) => len.and_then(|len| usize::try_from(len).ok()),
                    _ => None,
                };
                let subs = prefix.iter().chain(suffix).enumerate().collect();
                (Constructor::Slice(Slice::new(array, kind)), subs)
            }
            (PatKind::Or(subs), _) => (Constructor::Or, subs.iter().enumerate().collect()),
            (PatKind::Opaque(_), _) => (Constructor::Opaque(OpaqueId::new()), vec![]),
        };
        let is_or = matches!(ctor, Constructor::Or);
        let types: Vec<Ty> = match &ctor {
            Constructor::Or => vec![ty; subs.len()],
            Constructor::DerefPattern(target) => vec![*target],
            _ => self.fields(&ctor, ty).iter().map(|part| part.0).collect(),
        };
        let fields: Vec<IndexedPat<Self>> = subs
            .into_iter()
            .map(|(at, sub)| self.lower_field(types[at], sub, is_or).at_index(at))
            .collect();
        DeconstructedPat::new(ctor, fields, types.len(), ty, pat.label)
    }

    /// An alternative is known by its own label, though it may be a binding with a pattern inside.
    fn lower_field(&self, ty: Ty, sub: &Pat<Ty>, is_alternative: bool) -> DeconstructedPat<Self> {
        match &sub.kind {
            PatKind::Bind(_, Some(inner)) if is_alternative => {
                let inner = (**inner).clone().labeled(sub.label);
                self.lower_field(ty, &inner, is_alternative)
            }
            _ => self.lower(ty, sub),
        }
    }
}

fn of_fields(fields: &[(usize, Pat<Ty>)]) -> Vec<(usize, &Pat<Ty>)> {
    fields.iter().map(|(at, sub)| (*at, sub)).collect()
}

fn encode(shape: &Shape<Ty>, raw: u128) -> MaybeInfiniteInt {
    match shape {
        Shape::Int(Sign::Signed, width) => {
            MaybeInfiniteInt::new_finite_int(raw, width.bits().into())
        }
        _ => MaybeInfiniteInt::new_finite_uint(raw),
    }
}

fn integers(lo: u128, hi: u128) -> IntRange {
    let [lo, hi] = [lo, hi].map(MaybeInfiniteInt::new_finite_uint);
    IntRange::from_range(lo, hi, theirs::RangeEnd::Included)
}

impl PatCx for Cx<'_> {
    type Ty = Ty;
    type Error = String;
    type VariantIdx = usize;
    type StrLit = String;
    type ArmData = ();
    /// The label.
    type PatData = u32;

    fn is_exhaustive_patterns_feature_on(&self) -> bool {
        self.everywhere
    }

    fn ctor_arity(&self, ctor: &Constructor<Self>, ty: &Ty) -> usize {
        self.fields(ctor, *ty).len()
    }

    fn ctor_sub_tys(
        &self,
        ctor: &Constructor<Self>,
        ty: &Ty,
    ) -> impl ExactSizeIterator<Item = (Ty, PrivateUninhabitedField)> {
        self.fields(ctor, *ty).into_iter()
    }

    fn ctors_for_ty(&self, ty: &Ty) -> Result<ConstructorSet<Self>, String> {
        let slice = |element, array_len| ConstructorSet::Slice {
            array_len,
            subtype_is_empty: self.is_empty(element),
        };
        Ok(match self.program.describe(ty) {
            Shape::Never => ConstructorSet::NoConstructors,
            Shape::Bool => ConstructorSet::Bool,
            Shape::Char => ConstructorSet::Integers {
                range_1: integers(0, 0xD7FF),
                range_2: Some(integers(0xE000, 0x10_FFFF)),
            },
            Shape::Int(sign, width) => ConstructorSet::Integers {
                range_1: whole(sign, width),
                range_2: None,
            },
            Shape::Struct(_) => ConstructorSet::Struct {
                empty: self.is_empty(*ty),
            },
            Shape::Enum(shape) if shape.variants.is_empty() && !shape.foreign_non_exhaustive => {
                ConstructorSet::NoConstructors
            }
            Shape::Enum(shape) => ConstructorSet::Variants {
                variants: IndexVec::from_raw(
                    shape
                        .variants
                        .iter()
                        .map(|variant| {
                            let mut fields = variant.fields.iter();
                            if fields.any(|field| field.visible && self.is_empty(field.ty)) {
                                VariantVisibility::Empty
                            } else if variant.hidden {
                                VariantVisibility::Hidden
                            } else {
                                VariantVisibility::Visible
                            }
                        })
                        .collect(),
                ),
                non_exhaustive: shape.foreign_non_exhaustive,
            },
            Shape::Union(_) => ConstructorSet::Union,
            Shape::Ref(_) => ConstructorSet::Ref,
            Shape::Slice(element) => slice(element, None),
            Shape::Array(element, len) => slice(element, len.and_then(|len| len.try_into().ok())),
            Shape::Float | Shape::Str | Shape::Opaque => ConstructorSet::Unlistable,
        })
    }

    fn write_variant_name(
        f: &mut fmt::Formatter<'_>,
        ctor: &Constructor<Self>,
        _: &Ty,
    ) -> fmt::Result {
        write!(f, "{ctor:?}")
    }

    fn bug(&self, message: fmt::Arguments<'_>) -> String {
        panic!("the compiler's algorithm was misused: {message}")
    }

    fn complexity_exceeded(&self) -> Result<(), String> {
        Err("too complex".into())
    }

    fn report_mixed_deref_pat_ctors(
        &self,
        _: &DeconstructedPat<Self>,
        _: &DeconstructedPat<Self>,
    ) -> String {
        "dereferences mixed with other patterns".into()
    }
}

fn whole(sign: Sign, width: IntWidth) -> IntRange {
    match (sign, width) {
        (Sign::Signed, IntWidth::Pointer(_)) => IntRange {
            lo: MaybeInfiniteInt::NegInfinity,
            hi: MaybeInfiniteInt::PosInfinity,
        },
        (Sign::Unsigned, IntWidth::Pointer(_)) => IntRange {
            lo: MaybeInfiniteInt::new_finite_uint(0),
            hi: MaybeInfiniteInt::PosInfinity,
        },
        // Signed values are encoded in order, from 0 on.
        (_, IntWidth::Bits(bits)) => integers(0, u128::MAX >> (128 - u32::from(bits))),
    }
}
