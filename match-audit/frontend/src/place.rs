//! What is known about the place that is matched on.

use match_audit_usefulness::Validity;
use match_audit_usefulness::never::Access;
use ra_ap_hir_def::AdtId;
use ra_ap_hir_def::expr_store::Body;
use ra_ap_hir_def::hir::{Expr, ExprId, UnaryOp};
use ra_ap_hir_def::resolver::{Resolver, ValueNs};
use ra_ap_hir_ty::db::HirDatabase;
use ra_ap_hir_ty::next_solver::{Ty, TyKind};
use ra_ap_hir_ty::{Adjust, InferenceResult};
use ra_ap_rustc_type_ir::inherent::IntoKind;

pub(crate) struct Places<'a, 'db> {
    pub(crate) db: &'db dyn HirDatabase,
    pub(crate) body: &'a Body,
    pub(crate) infer: &'db InferenceResult<'db>,
    pub(crate) resolver: &'a Resolver<'db>,
}

impl<'db> Places<'_, 'db> {
    /// Follows the expression down to where its place begins. A dereference or a union's field
    /// on the way makes the bits unknown; a value of its own makes them valid.
    pub(crate) fn of(&self, expr: ExprId) -> (Validity, Access) {
        let mut validity = Validity::KnownValid;
        let mut access = Access::Ordinary;
        let mut at = expr;
        loop {
            if self.is_dereferenced(at) {
                validity = Validity::MaybeInvalid;
            }
            match &self.body[at] {
                Expr::UnaryOp {
                    expr,
                    op: UnaryOp::Deref,
                } => {
                    validity = Validity::MaybeInvalid;
                    if matches!(self.ty(*expr).kind(), TyKind::RawPtr(..)) {
                        access = Access::RawPointer;
                    }
                    at = *expr;
                }
                Expr::Field { expr, .. } => {
                    if is_union(self.ty(*expr)) {
                        validity = Validity::MaybeInvalid;
                        access = Access::UnionField;
                    }
                    at = *expr;
                }
                Expr::Index { base, .. } => {
                    // Only arrays are indexed in place; all else goes through a reference.
                    if !matches!(self.ty(*base).kind(), TyKind::Array(..)) {
                        validity = Validity::MaybeInvalid;
                    }
                    at = *base;
                }
                Expr::Cast { expr, .. } => at = *expr,
                Expr::Path(path) => {
                    let hygiene = self.body.expr_path_hygiene(at);
                    let value = self
                        .resolver
                        .resolve_path_in_value_ns_fully(self.db, path, hygiene);
                    if matches!(value, Some(ValueNs::StaticId(_))) {
                        validity = Validity::MaybeInvalid;
                    }
                    return (validity, access);
                }
                // Any other expression makes a value, which is valid.
                _ => return (validity, access),
            }
        }
    }

    fn is_dereferenced(&self, expr: ExprId) -> bool {
        self.infer
            .expr_adjustment(expr)
            .is_some_and(|all| all.iter().any(|a| matches!(a.kind, Adjust::Deref(_))))
    }

    fn ty(&self, expr: ExprId) -> Ty<'db> {
        self.infer
            .type_of_expr_with_adjust(expr)
            .unwrap_or_else(|| self.infer.expr_ty(expr))
    }
}

fn is_union(ty: Ty<'_>) -> bool {
    matches!(ty.kind(), TyKind::Adt(adt, _) if matches!(adt.def_id(), AdtId::UnionId(_)))
}
