//! Names the functions and constants around sites.

use ra_ap_hir_def::signatures::{
    ConstSignature, EnumSignature, FunctionSignature, StaticSignature, StructSignature,
    TraitSignature, UnionSignature,
};
use ra_ap_hir_def::{AdtId, DefWithBodyId, ImplId, ItemContainerId, Lookup};
use ra_ap_hir_ty::db::HirDatabase;
use ra_ap_hir_ty::next_solver::TyKind;
use ra_ap_ide_db::RootDatabase;
use ra_ap_rustc_type_ir::inherent::IntoKind;
use ra_ap_span::Edition;

/// Names the function or constant, with the type or trait around it.
pub(crate) fn name_of(db: &RootDatabase, owner: DefWithBodyId) -> String {
    let show = |name: &ra_ap_hir_expand::name::Name| name.display(db, Edition::LATEST).to_string();
    let (container, name) = match owner {
        DefWithBodyId::FunctionId(id) => (
            id.lookup(db).container,
            show(&FunctionSignature::of(db, id).name),
        ),
        DefWithBodyId::ConstId(id) => (
            id.lookup(db).container,
            ConstSignature::of(db, id)
                .name
                .as_ref()
                .map_or_else(|| "_".into(), show),
        ),
        DefWithBodyId::StaticId(id) => (
            id.lookup(db).container,
            show(&StaticSignature::of(db, id).name),
        ),
        DefWithBodyId::VariantId(id) => return show(&id.lookup(db).name),
    };
    match container {
        ItemContainerId::ImplId(id) => format!("{}::{name}", impl_name(db, id)),
        ItemContainerId::TraitId(id) => {
            format!("{}::{name}", show(&TraitSignature::of(db, id).name))
        }
        ItemContainerId::ModuleId(_) | ItemContainerId::ExternBlockId(_) => name,
    }
}

fn impl_name(db: &RootDatabase, id: ImplId) -> String {
    let ty = db.impl_self_ty(id).instantiate_identity().skip_norm_wip();
    let name = match ty.kind() {
        TyKind::Adt(adt, _) => match adt.def_id() {
            AdtId::StructId(id) => StructSignature::of(db, id).name.clone(),
            AdtId::EnumId(id) => EnumSignature::of(db, id).name.clone(),
            AdtId::UnionId(id) => UnionSignature::of(db, id).name.clone(),
        },
        _ => return "_".into(),
    };
    name.display(db, Edition::LATEST).to_string()
}
