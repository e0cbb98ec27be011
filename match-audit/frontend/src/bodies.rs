//! Lists the bodies of the project's own crates.

use std::collections::HashSet;

use ra_ap_base_db::{Crate, CrateOrigin, all_crates};
use ra_ap_hir_def::nameres::DefMap;
use ra_ap_hir_def::{AssocItemId, DefWithBodyId, ModuleDefId};
use ra_ap_hir_ty::db::HirDatabase;
use ra_ap_ide_db::RootDatabase;
use ra_ap_paths::AbsPathBuf;
use ra_ap_vfs::Vfs;

/// Lists the crates whose root files are `targets`.
pub(crate) fn own_crates(
    db: &RootDatabase,
    vfs: &Vfs,
    targets: &HashSet<AbsPathBuf>,
) -> Vec<Crate> {
    let is_wanted = |krate: &Crate| {
        let data = krate.data(db);
        let root = vfs.file_path(data.root_file_id).as_path();
        matches!(data.origin, CrateOrigin::Local { .. })
            && root.is_some_and(|root| targets.contains(root))
    };
    all_crates(db).iter().copied().filter(is_wanted).collect()
}

/// Returns the width of a pointer on the target.
pub(crate) fn pointer_bits(db: &RootDatabase) -> u8 {
    let krate = all_crates(db).first().copied();
    krate
        .and_then(|krate| db.target_data_layout(krate).ok())
        .and_then(|layout| u8::try_from(layout.pointer_size().bits()).ok())
        .unwrap_or(64)
}

/// The bodies still to visit.
#[derive(Default)]
pub(crate) struct Bodies {
    owners: Vec<DefWithBodyId>,
}

impl Bodies {
    /// Takes the next one.
    pub(crate) fn next(&mut self) -> Option<DefWithBodyId> {
        self.owners.pop()
    }

    /// Adds the bodies of a crate or block.
    pub(crate) fn add_map(&mut self, db: &RootDatabase, map: &DefMap) {
        for (_, module) in map.modules() {
            let scope = &module.scope;
            for item in scope.declarations() {
                match item {
                    ModuleDefId::FunctionId(id) => self.owners.push(id.into()),
                    ModuleDefId::ConstId(id) => self.owners.push(id.into()),
                    ModuleDefId::StaticId(id) => self.owners.push(id.into()),
                    ModuleDefId::TraitId(id) => {
                        let items = id.trait_items(db).items.iter();
                        self.add_items(items.map(|(_, item)| *item));
                    }
                    ModuleDefId::ModuleId(_)
                    | ModuleDefId::AdtId(_)
                    | ModuleDefId::EnumVariantId(_)
                    | ModuleDefId::TypeAliasId(_)
                    | ModuleDefId::BuiltinType(_)
                    | ModuleDefId::MacroId(_) => {}
                }
            }
            self.owners
                .extend(scope.unnamed_consts().map(DefWithBodyId::from));
            for id in scope.impls() {
                let items = &id.impl_items(db).items;
                self.add_items(items.iter().map(|(_, item)| *item));
            }
        }
    }

    fn add_items(&mut self, items: impl Iterator<Item = AssocItemId>) {
        for item in items {
            match item {
                AssocItemId::FunctionId(id) => self.owners.push(id.into()),
                AssocItemId::ConstId(id) => self.owners.push(id.into()),
                AssocItemId::TypeAliasId(_) => {}
            }
        }
    }
}
