//! A heuristic: code that makes an own enum from a number or a text, or lists its variants.
//!
//! Such code names variants one by one, so a new variant is lost in it, although no match on the
//! enum has a wildcard. What is found is a guess: that the value is made here is concluded from
//! the types around, and that it is the only way is not known at all.

use std::collections::{BTreeMap, BTreeSet};

use match_audit_sites::ConversionSource;
use ra_ap_hir_def::expr_store::Body;
use ra_ap_hir_def::hir::{Array, Expr, ExprId, Literal, MatchArm, Pat, PatId, UnaryOp};
use ra_ap_hir_def::{AdtId, EnumId, Lookup, VariantId};
use ra_ap_hir_ty::InferenceResult;
use ra_ap_hir_ty::next_solver::{Ty, TyKind};
use ra_ap_ide_db::RootDatabase;
use ra_ap_rustc_type_ir::inherent::IntoKind;
use ra_ap_syntax::ast::{BinaryOp, CmpOp};

use crate::find::Context;

/// Types nested deeper than this are not searched for an enum.
const MAX_DEPTH: u32 = 4;

/// What a body makes.
pub(crate) struct Made {
    /// The first expression that makes it.
    pub(crate) at: ExprId,
    pub(crate) from: ConversionSource,
    pub(crate) id: EnumId,
    pub(crate) variants: BTreeSet<usize>,
}

/// Lists what a body makes, each enum once for each source.
pub(crate) fn made_by(context: &Context<'_, '_>) -> Vec<Made> {
    let search = Search {
        db: context.db,
        body: context.body,
        infer: context.infer,
    };
    let mut all: BTreeMap<(ConversionSource, EnumId), Made> = BTreeMap::new();
    for (at, expr) in context.body.exprs() {
        for made in search.made_at(at, expr) {
            let known = all.entry((made.from, made.id));
            let known = known.or_insert_with(|| Made {
                variants: BTreeSet::new(),
                ..made
            });
            known.variants.extend(made.variants);
        }
    }
    all.into_values().collect()
}

type Variants = BTreeMap<EnumId, BTreeSet<usize>>;

/// An expression that chooses by a number or a text, or a list.
struct Branches {
    from: ConversionSource,
    /// What each chosen branch, or each element, mentions.
    cases: Vec<Variants>,
    /// What is mentioned where nothing was chosen.
    rest: Variants,
}

fn join(into: &mut Variants, other: Variants) {
    for (id, variants) in other {
        into.entry(id).or_default().extend(variants);
    }
}

struct Search<'a, 'db> {
    db: &'db RootDatabase,
    body: &'a Body,
    infer: &'db InferenceResult<'db>,
}

impl<'db> Search<'_, 'db> {
    fn made_at(&self, at: ExprId, expr: &Expr) -> Vec<Made> {
        let Some(Branches { from, cases, rest }) = (match expr {
            Expr::Match { arms, .. } => self.of_match(arms),
            Expr::If { .. } => self.of_chain(expr),
            Expr::Array(Array::ElementList { elements }) => Some(Branches {
                from: ConversionSource::List,
                cases: elements.iter().map(|it| self.named_by(*it)).collect(),
                rest: Variants::new(),
            }),
            _ => None,
        }) else {
            return Vec::new();
        };
        let mut wanted = BTreeSet::new();
        self.enums_in(self.infer.expr_ty(at), MAX_DEPTH, &mut wanted);
        if from != ConversionSource::List {
            let whole = self.infer.expr_ty(self.body.root_expr());
            self.enums_in(whole, MAX_DEPTH, &mut wanted);
        }
        let made = wanted.into_iter().filter_map(|id| {
            let named: Vec<&BTreeSet<usize>> = cases.iter().filter_map(|it| it.get(&id)).collect();
            let mut variants: BTreeSet<usize> =
                named.iter().flat_map(|it| it.iter().copied()).collect();
            // A list of distinct variants is a list of the variants; any other one is a table of
            // something else.
            let is_list = named.len() == cases.len()
                && named.iter().all(|it| it.len() == 1)
                && variants.len() == named.len();
            let counts = named.len() > 1
                && variants.len() > 1
                && (from != ConversionSource::List || is_list);
            variants.extend(rest.get(&id).into_iter().flatten());
            counts.then_some(Made {
                at,
                from,
                id,
                variants,
            })
        });
        made.collect()
    }

    /// Looks at the arms that a number or a text selects.
    fn of_match(&self, arms: &[MatchArm]) -> Option<Branches> {
        let mut from = None;
        let mut cases = Vec::new();
        let mut rest = Variants::new();
        for arm in arms {
            let mut named = self.named_by(arm.expr);
            if let Some(source) = self.source_of(arm.pat) {
                from = Some(source);
                // From a value of the same enum: that is a step, not a conversion.
                self.forget_matched(arm.pat, &mut named);
                cases.push(named);
            } else {
                join(&mut rest, named);
            }
        }
        Some(Branches {
            from: from?,
            cases,
            rest,
        })
    }

    /// Looks at the branches of `if n == 1 { … } else if n == 2 { … }`.
    fn of_chain(&self, first: &Expr) -> Option<Branches> {
        let mut from = None;
        let mut cases = Vec::new();
        let mut rest = Variants::new();
        let mut at = first;
        while let Expr::If {
            condition,
            then_branch,
            else_branch,
        } = at
        {
            let named = self.named_by(*then_branch);
            if let Some(source) = self.compared_with(*condition) {
                from = Some(source);
                cases.push(named);
            } else {
                join(&mut rest, named);
            }
            let Some(next) = *else_branch else { break };
            at = &self.body[next];
            if !matches!(at, Expr::If { .. }) {
                join(&mut rest, self.named_by(next));
            }
        }
        Some(Branches {
            from: from?,
            cases,
            rest,
        })
    }

    fn compared_with(&self, condition: ExprId) -> Option<ConversionSource> {
        match &self.body[condition] {
            Expr::BinaryOp {
                lhs,
                rhs,
                op: Some(BinaryOp::CmpOp(CmpOp::Eq { negated: false })),
            } => self.constant(*rhs).or_else(|| self.constant(*lhs)),
            Expr::BinaryOp {
                lhs,
                rhs,
                op: Some(BinaryOp::LogicOp(_)),
            } => self
                .compared_with(*lhs)
                .or_else(|| self.compared_with(*rhs)),
            _ => None,
        }
    }

    fn source_of(&self, pat: PatId) -> Option<ConversionSource> {
        let mut found = match &self.body[pat] {
            Pat::Lit(expr) => self.constant(*expr),
            Pat::Range { start, end, .. } => (*start).or(*end).and_then(|expr| self.constant(expr)),
            Pat::Path(_) if self.infer.variant_resolution_for_pat(pat).is_none() => {
                source_of_type(self.infer.pat_ty(pat))
            }
            _ => None,
        };
        self.body.walk_pats_shallow(pat, |sub| {
            found = found.or_else(|| self.source_of(sub));
        });
        found
    }

    fn constant(&self, expr: ExprId) -> Option<ConversionSource> {
        match &self.body[expr] {
            Expr::Literal(Literal::String(_) | Literal::ByteString(_)) => {
                Some(ConversionSource::Text)
            }
            Expr::Literal(Literal::Int(..) | Literal::Uint(..) | Literal::Char(_)) => {
                Some(ConversionSource::Number)
            }
            Expr::UnaryOp {
                expr,
                op: UnaryOp::Neg,
            } => self.constant(*expr),
            // Constants are named in capitals; a variable is no case of its own.
            Expr::Path(path) => {
                let name = path.segments().last()?.name.as_str().to_string();
                let is_constant = name.chars().all(|c| !c.is_lowercase());
                is_constant.then(|| source_of_type(self.infer.expr_ty(expr)))?
            }
            _ => None,
        }
    }

    /// Collects the variants that an expression mentions.
    fn named_by(&self, expr: ExprId) -> Variants {
        let mut named = Variants::new();
        let mut left = vec![expr];
        while let Some(expr) = left.pop() {
            if let Some(VariantId::EnumVariantId(id)) = self.infer.variant_resolution_for_expr(expr)
            {
                let parent = id.lookup(self.db).parent;
                named.entry(parent).or_default().insert(id.index(self.db));
            }
            self.body
                .walk_child_exprs_without_pats(expr, |child| left.push(child));
        }
        named
    }

    fn forget_matched(&self, pat: PatId, named: &mut Variants) {
        if let Some(VariantId::EnumVariantId(id)) = self.infer.variant_resolution_for_pat(pat) {
            named.remove(&id.lookup(self.db).parent);
        }
        let mut subs = Vec::new();
        self.body.walk_pats_shallow(pat, |sub| subs.push(sub));
        for sub in subs {
            self.forget_matched(sub, named);
        }
    }

    /// Collects the enums in a type, but not those of errors.
    fn enums_in(&self, ty: Ty<'db>, depth: u32, into: &mut BTreeSet<EnumId>) {
        let Some(depth) = depth.checked_sub(1) else {
            return;
        };
        match ty.kind() {
            TyKind::Adt(adt, args) => {
                let mut parts: Vec<Ty<'db>> = args.types().collect();
                if let AdtId::EnumId(id) = adt.def_id() {
                    into.insert(id);
                    if self.is_result(id) {
                        parts.truncate(1);
                    }
                }
                for part in parts {
                    self.enums_in(part, depth, into);
                }
            }
            TyKind::Ref(_, target, _) => self.enums_in(target, depth, into),
            TyKind::Slice(element) | TyKind::Array(element, _) => {
                self.enums_in(element, depth, into);
            }
            TyKind::Tuple(parts) => {
                for part in parts.iter() {
                    self.enums_in(part, depth, into);
                }
            }
            _ => {}
        }
    }

    fn is_result(&self, id: EnumId) -> bool {
        let variants = &id.enum_variants(self.db).variants;
        let names: Vec<&str> = variants.keys().map(|name| name.as_str()).collect();
        names == ["Ok", "Err"]
    }
}

fn source_of_type(ty: Ty<'_>) -> Option<ConversionSource> {
    match ty.kind() {
        TyKind::Int(_) | TyKind::Uint(_) | TyKind::Char => Some(ConversionSource::Number),
        TyKind::Str => Some(ConversionSource::Text),
        TyKind::Ref(_, target, _) if matches!(target.kind(), TyKind::Str) => {
            Some(ConversionSource::Text)
        }
        _ => None,
    }
}
