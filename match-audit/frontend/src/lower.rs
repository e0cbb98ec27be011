//! Lowers patterns.

use std::hash::{DefaultHasher, Hash, Hasher};

use match_audit_sites::TypeId;
use match_audit_usefulness::{Binding, Pat, PatKind, Range, RangeEnd};
use ra_ap_hir_def::expr_store::Body;
use ra_ap_hir_def::expr_store::path::Path;
use ra_ap_hir_def::hir::{Expr, ExprId, Literal, Pat as HirPat, PatId, RangeOp, UnaryOp};
use ra_ap_hir_def::resolver::{ResolveValueResult, Resolver, ValueNs};
use ra_ap_hir_def::signatures::VariantFields;
use ra_ap_hir_def::{AdtId, ConstId, VariantId};
use ra_ap_hir_ty::db::HirDatabase;
use ra_ap_hir_ty::method_resolution::CandidateId;
use ra_ap_hir_ty::next_solver::{GenericArgs, Ty, TyKind};
use ra_ap_hir_ty::{BindingMode, ByRef, InferenceResult};
use ra_ap_rustc_type_ir::inherent::IntoKind;

use crate::types::{TypeTable, Viewpoint};

/// Lowers the patterns of one body.
pub(crate) struct Lowering<'a, 'db> {
    pub(crate) db: &'db dyn HirDatabase,
    pub(crate) body: &'a Body,
    pub(crate) infer: &'db InferenceResult<'db>,
    pub(crate) resolver: &'a Resolver<'db>,
    pub(crate) view: Viewpoint<'a, 'db>,
    pub(crate) types: &'a mut TypeTable<'db>,
    /// Constants that cannot be looked into get numbers of their own.
    pub(crate) next_opaque: u64,
}

/// How many structs around a number a constant may have to be looked into.
const MAX_CONSTANT_DEPTH: u32 = 4;

type Lowered = Result<Pat<TypeId>, String>;

impl<'db> Lowering<'_, 'db> {
    /// Lowers a pattern with the dereferences that match ergonomics imply.
    pub(crate) fn pattern(&mut self, id: PatId) -> Lowered {
        let mut pat = self.unadjusted(id)?;
        let adjustments = self.infer.pat_adjustment(id).unwrap_or_default();
        let mut inner = self.infer.pat_ty(id);
        for adjustment in adjustments.iter().rev() {
            let outer: Ty<'db> = adjustment.source.as_ref();
            // The kind of the adjustment has no public name; its type tells.
            pat = if matches!(outer.kind(), TyKind::Ref(..)) {
                Pat::reference(pat)
            } else {
                let target = self.types.lower(inner, self.view)?;
                Pat::new(PatKind::Deref(target, Box::new(pat)))
            };
            inner = outer;
        }
        Ok(pat)
    }

    fn unadjusted(&mut self, id: PatId) -> Lowered {
        let body = self.body;
        let kind = match &body[id] {
            HirPat::Missing => return Err("the pattern is missing".into()),
            HirPat::Wild | HirPat::Rest => PatKind::Wild,
            HirPat::Tuple { args, ellipsis } => {
                let TyKind::Tuple(parts) = self.infer.pat_ty(id).kind() else {
                    return Err(crate::types::UNKNOWN.into());
                };
                PatKind::Struct(self.positional(args, *ellipsis, parts.len())?)
            }
            HirPat::Or(alternatives) => {
                let mut subs = Vec::new();
                for alternative in alternatives {
                    let label = u32::from(alternative.into_raw());
                    subs.push(self.pattern(*alternative)?.labeled(label));
                }
                PatKind::Or(subs)
            }
            HirPat::Record { args, .. } => {
                let variant = self.variant(id)?;
                let mut fields = Vec::new();
                for arg in args {
                    let data = variant.fields(self.db);
                    let field = data.field(&arg.name).ok_or("a field is not known")?;
                    let index = u32::from(field.into_raw()) as usize;
                    fields.push((index, self.pattern(arg.pat)?));
                }
                self.constructor(variant, fields)?
            }
            HirPat::TupleStruct { args, ellipsis, .. } => {
                let variant = self.variant(id)?;
                let len = variant.fields(self.db).fields().len();
                let fields = self.positional(args, *ellipsis, len)?;
                self.constructor(variant, fields)?
            }
            HirPat::Path(path) => match self.infer.variant_resolution_for_pat(id) {
                Some(variant) => self.constructor(variant, Vec::new())?,
                None => return self.constant_path(id, path),
            },
            HirPat::Range {
                start,
                end,
                range_type,
            } => return self.range(id, *start, *end, range_type),
            HirPat::Slice {
                prefix,
                slice,
                suffix,
            } => PatKind::Slice {
                prefix: self.list(prefix)?,
                rest: slice.is_some(),
                suffix: self.list(suffix)?,
            },
            HirPat::Lit(expr) => return self.literal(id, *expr),
            HirPat::Bind { subpat, .. } => {
                let mode = match self.infer.binding_mode(id) {
                    Some(BindingMode(ByRef::Yes(_), _)) => Binding::ByRef,
                    Some(BindingMode(ByRef::No, _)) | None => Binding::ByValue,
                };
                let sub = subpat.map(|sub| self.pattern(sub)).transpose()?;
                PatKind::Bind(mode, sub.map(Box::new))
            }
            HirPat::Ref { pat, .. } => PatKind::Ref(Box::new(self.pattern(*pat)?)),
            HirPat::Box { inner } | HirPat::Deref { inner } => {
                let target = self
                    .types
                    .lower(self.infer.type_of_pat_with_adjust(*inner), self.view)?;
                PatKind::Deref(target, Box::new(self.pattern(*inner)?))
            }
            HirPat::ConstBlock(_) | HirPat::NotNull => self.opaque(),
            HirPat::Expr(_) => return Err("an expression stands in the pattern".into()),
        };
        Ok(Pat::new(kind))
    }

    fn list(&mut self, pats: &[PatId]) -> Result<Vec<Pat<TypeId>>, String> {
        pats.iter().map(|pat| self.pattern(*pat)).collect()
    }

    fn opaque(&mut self) -> PatKind<TypeId> {
        self.next_opaque += 1;
        PatKind::Opaque(self.next_opaque)
    }

    fn variant(&self, id: PatId) -> Result<VariantId, String> {
        self.infer
            .variant_resolution_for_pat(id)
            .ok_or_else(|| "a path in the pattern is not known".into())
    }

    /// Numbers positional fields; those after `..` count from the end.
    fn positional(
        &mut self,
        args: &[PatId],
        ellipsis: Option<u32>,
        len: usize,
    ) -> Result<Vec<(usize, Pat<TypeId>)>, String> {
        let gap_at = ellipsis.map_or(args.len(), |at| at as usize);
        let gap = len
            .checked_sub(args.len())
            .ok_or("there are too many fields")?;
        let mut fields = Vec::new();
        for (position, arg) in args.iter().enumerate() {
            let index = if position < gap_at {
                position
            } else {
                position + gap
            };
            fields.push((index, self.pattern(*arg)?));
        }
        Ok(fields)
    }

    fn constructor(
        &self,
        variant: VariantId,
        mut fields: Vec<(usize, Pat<TypeId>)>,
    ) -> Result<PatKind<TypeId>, String> {
        match variant {
            VariantId::EnumVariantId(id) => Ok(PatKind::Variant(id.index(self.db), fields)),
            VariantId::StructId(_) => Ok(PatKind::Struct(fields)),
            VariantId::UnionId(_) => {
                let (index, sub) = fields.pop().ok_or("a union without a field")?;
                Ok(PatKind::Union(index, Box::new(sub)))
            }
        }
    }

    fn literal(&mut self, id: PatId, expr: ExprId) -> Lowered {
        let ty = self.infer.pat_ty(id);
        let body = self.body;
        let kind = match &body[expr] {
            Expr::Literal(Literal::Bool(value)) => PatKind::Bool(*value),
            Expr::Literal(Literal::String(text)) => {
                let text = PatKind::Str(text.as_str().into());
                if matches!(ty.kind(), TyKind::Str) {
                    text
                } else {
                    PatKind::Ref(Box::new(Pat::new(text)))
                }
            }
            Expr::Literal(Literal::ByteString(bytes)) => {
                let prefix = bytes.iter().map(|byte| Pat::value(u128::from(*byte)));
                let slice = PatKind::Slice {
                    prefix: prefix.collect(),
                    rest: false,
                    suffix: Vec::new(),
                };
                if matches!(ty.kind(), TyKind::Ref(..)) {
                    PatKind::Ref(Box::new(Pat::new(slice)))
                } else {
                    slice
                }
            }
            Expr::Literal(Literal::CString(_)) => self.opaque(),
            Expr::Literal(Literal::Float(..)) => match self.float(expr) {
                Some(value) => PatKind::Float(value, value),
                None => self.opaque(),
            },
            Expr::UnaryOp { .. } if matches!(ty.kind(), TyKind::Float(_)) => {
                match self.float(expr) {
                    Some(value) => PatKind::Float(value, value),
                    None => self.opaque(),
                }
            }
            _ => match self.number(expr, ty) {
                Some(raw) => return Ok(Pat::value(raw)),
                None => return Err("a literal is not known".into()),
            },
        };
        Ok(Pat::new(kind))
    }

    fn float(&self, expr: ExprId) -> Option<f64> {
        match &self.body[expr] {
            Expr::Literal(Literal::Float(value, _)) => value.to_string().parse().ok(),
            Expr::UnaryOp {
                expr,
                op: UnaryOp::Neg,
            } => self.float(*expr).map(|value| -value),
            _ => None,
        }
    }

    /// Returns the raw bits of an integer or character, or of a constant that is one.
    fn number(&self, expr: ExprId, ty: Ty<'db>) -> Option<u128> {
        let mask = mask(ty, self.types.pointer_bits())?;
        let raw = match &self.body[expr] {
            Expr::Literal(Literal::Int(value, _)) => value.cast_unsigned(),
            Expr::Literal(Literal::Uint(value, _)) => *value,
            Expr::Literal(Literal::Char(value)) => u128::from(u32::from(*value)),
            Expr::UnaryOp {
                expr,
                op: UnaryOp::Neg,
            } => self.number(*expr, ty)?.wrapping_neg(),
            Expr::Path(path) => {
                let hygiene = self.body.expr_path_hygiene(expr);
                let assoc = self.infer.assoc_resolutions_for_expr(expr);
                let (id, args) = self.resolve_const(path, hygiene, assoc)?;
                return self.evaluate(id, args, mask);
            }
            _ => return None,
        };
        Some(raw & mask)
    }

    fn resolve_const(
        &self,
        path: &Path,
        hygiene: ra_ap_hir_def::expr_store::HygieneId,
        assoc: Option<(CandidateId, GenericArgs<'db>)>,
    ) -> Option<(ConstId, GenericArgs<'db>)> {
        if let Some((CandidateId::ConstId(id), args)) = assoc {
            return Some((id, args));
        }
        let value = self
            .resolver
            .resolve_path_in_value_ns(self.db, path, hygiene)?;
        match value {
            ResolveValueResult::ValueNs(ValueNs::ConstId(id)) => {
                Some((id, GenericArgs::empty(self.view.infcx.interner)))
            }
            _ => None,
        }
    }

    fn evaluate(&self, id: ConstId, args: GenericArgs<'db>, mask: u128) -> Option<u128> {
        number_of(&self.memory(id, args)?, mask)
    }

    fn memory(&self, id: ConstId, args: GenericArgs<'db>) -> Option<Box<[u8]>> {
        let value = self.db.const_eval(id, args, None).ok()?;
        Some(value.memory.clone())
    }

    /// Looks into a constant: a number, a character, a `bool`, or a struct around just one of them,
    /// whose bytes are the same. A private field must not be looked into from here.
    fn constant(&self, ty: Ty<'db>, bytes: &[u8], depth: u32) -> Option<Pat<TypeId>> {
        if let Some(mask) = mask(ty, self.types.pointer_bits()) {
            return number_of(bytes, mask).map(Pat::value);
        }
        match ty.kind() {
            TyKind::Bool => match bytes {
                [0] => Some(Pat::new(PatKind::Bool(false))),
                [1] => Some(Pat::new(PatKind::Bool(true))),
                _ => None,
            },
            TyKind::Adt(adt, args) => {
                let AdtId::StructId(id) = adt.def_id() else {
                    return None;
                };
                let variant = VariantId::from(id);
                let data = variant.fields(self.db);
                let mut fields = data.fields().iter().map(|(field, _)| field);
                let (Some(field), None) = (fields.next(), fields.next()) else {
                    return None;
                };
                let visibility = VariantFields::field_visibilities(self.db, variant)[field];
                if depth == 0 || !visibility.is_visible_from(self.db, self.view.module) {
                    return None;
                }
                let inner = self.db.field_types(variant)[field].ty();
                let inner = inner.instantiate(self.view.infcx.interner, args);
                let inner = self.view.normalize(inner.skip_norm_wip());
                let sub = self.constant(inner, bytes, depth - 1)?;
                Some(Pat::new(PatKind::Struct(vec![(0, sub)])))
            }
            _ => None,
        }
    }

    /// A path that is no constructor is a constant.
    fn constant_path(&mut self, id: PatId, path: &Path) -> Lowered {
        let ty = self.infer.pat_ty(id);
        let hygiene = self.body.pat_path_hygiene(id);
        let assoc = self.infer.assoc_resolutions_for_pat(id);
        let Some((constant, args)) = self.resolve_const(path, hygiene, assoc) else {
            return Err("a path in the pattern is not known".into());
        };
        if let Some(bytes) = self.memory(constant, args)
            && let Some(pat) = self.constant(ty, &bytes, MAX_CONSTANT_DEPTH)
        {
            return Ok(pat);
        }
        // The same constant twice is the same value, whatever it is.
        let mut hasher = DefaultHasher::new();
        (constant, args).hash(&mut hasher);
        Ok(Pat::new(PatKind::Opaque(hasher.finish() | 1 << 63)))
    }

    fn range(
        &mut self,
        id: PatId,
        start: Option<ExprId>,
        end: Option<ExprId>,
        kind: &RangeOp,
    ) -> Lowered {
        let ty = self.infer.pat_ty(id);
        if matches!(ty.kind(), TyKind::Float(_)) {
            let lo = start.map_or(Some(f64::NEG_INFINITY), |expr| self.float(expr));
            let hi = end.map_or(Some(f64::INFINITY), |expr| self.float(expr));
            return Ok(Pat::new(match (lo, hi, kind) {
                (Some(lo), Some(hi), RangeOp::Inclusive) => PatKind::Float(lo, hi),
                // An open end is not a float pattern's own end; it covers less for sure.
                _ => self.opaque(),
            }));
        }
        let unknown = "an end of a range is not known";
        let value = |expr: Option<ExprId>| -> Result<Option<u128>, String> {
            expr.map(|expr| self.number(expr, ty).ok_or_else(|| unknown.to_string()))
                .transpose()
        };
        Ok(Pat::new(PatKind::Range(Range {
            lo: value(start)?,
            hi: value(end)?,
            end: match kind {
                RangeOp::Inclusive => RangeEnd::Included,
                RangeOp::Exclusive => RangeEnd::Excluded,
            },
        })))
    }
}

fn number_of(bytes: &[u8], mask: u128) -> Option<u128> {
    if bytes.is_empty() || bytes.len() > 16 {
        return None;
    }
    let mut wide = [0; 16];
    wide[..bytes.len()].copy_from_slice(bytes);
    Some(u128::from_le_bytes(wide) & mask)
}

/// Returns the mask of the raw bits of an integer or character type.
fn mask(ty: Ty<'_>, pointer_bits: u8) -> Option<u128> {
    use ra_ap_rustc_type_ir::{IntTy, UintTy};
    let bits = match ty.kind() {
        TyKind::Char => 32,
        TyKind::Int(IntTy::Isize) | TyKind::Uint(UintTy::Usize) => u32::from(pointer_bits),
        TyKind::Int(IntTy::I8) | TyKind::Uint(UintTy::U8) => 8,
        TyKind::Int(IntTy::I16) | TyKind::Uint(UintTy::U16) => 16,
        TyKind::Int(IntTy::I32) | TyKind::Uint(UintTy::U32) => 32,
        TyKind::Int(IntTy::I64) | TyKind::Uint(UintTy::U64) => 64,
        TyKind::Int(IntTy::I128) | TyKind::Uint(UintTy::U128) => 128,
        _ => return None,
    };
    Some(u128::MAX >> (128 - bits))
}
