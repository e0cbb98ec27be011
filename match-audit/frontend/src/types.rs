//! Lowers types.

use std::collections::HashMap;

use match_audit_sites::{EnumInfo, Location, Names, Project, TypeId, TypeInfo};
use match_audit_usefulness::{
    ConstructorName, EnumId, EnumShape, Field, IntWidth, Shape, Sign, Variant,
};
use ra_ap_base_db::CrateOrigin;
use ra_ap_hir_def::attrs::AttrFlags;
use ra_ap_hir_def::item_tree::FieldsShape;
use ra_ap_hir_def::signatures::{EnumSignature, StructSignature, UnionSignature, VariantFields};
use ra_ap_hir_def::{AdtId, HasModule, ModuleId, VariantId};
use ra_ap_hir_ty::consteval::try_const_usize;
use ra_ap_hir_ty::db::HirDatabase;
use ra_ap_hir_ty::next_solver::infer::InferCtxt;
use ra_ap_hir_ty::next_solver::infer::traits::ObligationCause;
use ra_ap_hir_ty::next_solver::normalize::deeply_normalize;
use ra_ap_hir_ty::next_solver::{GenericArgs, ParamEnv, Ty, TyKind};
use ra_ap_rustc_type_ir::inherent::IntoKind;
use ra_ap_rustc_type_ir::{FloatTy, IntTy, UintTy};
use ra_ap_span::Edition;

/// Types nested deeper than this are not described: the chain may have no end.
const MAX_DEPTH: u32 = 24;

/// Why a type could not be described.
pub(crate) const UNKNOWN: &str = "its type is not known";

/// The types of a project, as seen from the modules that mention them.
pub(crate) struct TypeTable<'db> {
    db: &'db dyn HirDatabase,
    pointer_bits: u8,
    known: HashMap<(Ty<'db>, ModuleId), TypeId>,
    enums: HashMap<ra_ap_hir_def::EnumId, EnumId>,
    pub(crate) project: Project,
    opaque: Option<TypeId>,
}

/// Where a type is seen from.
#[derive(Clone, Copy)]
pub(crate) struct Viewpoint<'a, 'db> {
    pub(crate) module: ModuleId,
    pub(crate) infcx: &'a InferCtxt<'db>,
    pub(crate) env: ParamEnv<'db>,
}

impl<'db> Viewpoint<'_, 'db> {
    pub(crate) fn normalize(&self, ty: Ty<'db>) -> Ty<'db> {
        let cause = ObligationCause::dummy();
        deeply_normalize(self.infcx.at(&cause, self.env), ty).unwrap_or(ty)
    }
}

impl<'db> TypeTable<'db> {
    pub(crate) fn new(db: &'db dyn HirDatabase, pointer_bits: u8) -> Self {
        TypeTable {
            db,
            pointer_bits,
            known: HashMap::new(),
            enums: HashMap::new(),
            project: Project::default(),
            opaque: None,
        }
    }

    /// Lowers a type that patterns look into.
    pub(crate) fn lower(
        &mut self,
        ty: Ty<'db>,
        view: Viewpoint<'_, 'db>,
    ) -> Result<TypeId, String> {
        if ty.references_non_lt_error() {
            return Err(UNKNOWN.into());
        }
        Ok(self.lower_at(ty, view, 0))
    }

    fn push(&mut self, shape: Shape<TypeId>, names: Names) -> TypeId {
        let id = TypeId(u32::try_from(self.project.types.len()).unwrap_or(u32::MAX));
        self.project.types.push(TypeInfo { shape, names });
        id
    }

    fn opaque(&mut self) -> TypeId {
        if let Some(id) = self.opaque {
            return id;
        }
        let id = self.push(Shape::Opaque, Names::None);
        self.opaque = Some(id);
        id
    }

    fn lower_at(&mut self, ty: Ty<'db>, view: Viewpoint<'_, 'db>, depth: u32) -> TypeId {
        let ty = view.normalize(ty);
        if let Some(&id) = self.known.get(&(ty, view.module)) {
            return id;
        }
        if depth > MAX_DEPTH {
            return self.opaque();
        }
        // The entry is made first: a type may contain itself behind a reference.
        let id = self.push(Shape::Opaque, Names::None);
        self.known.insert((ty, view.module), id);
        let (shape, names) = self.describe(ty, view, depth);
        let index = id.0 as usize;
        self.project.types[index] = TypeInfo { shape, names };
        id
    }

    fn describe(
        &mut self,
        ty: Ty<'db>,
        view: Viewpoint<'_, 'db>,
        depth: u32,
    ) -> (Shape<TypeId>, Names) {
        let plain = |shape| (shape, Names::None);
        match ty.kind() {
            TyKind::Never => plain(Shape::Never),
            TyKind::Bool => plain(Shape::Bool),
            TyKind::Char => plain(Shape::Char),
            TyKind::Int(width) => plain(Shape::Int(Sign::Signed, self.signed(width))),
            TyKind::Uint(width) => plain(Shape::Int(Sign::Unsigned, self.unsigned(width))),
            TyKind::Float(FloatTy::F16 | FloatTy::F32 | FloatTy::F64) => plain(Shape::Float),
            TyKind::Str => plain(Shape::Str),
            TyKind::Ref(_, target, _) => {
                let target = self.lower_at(target, view, depth + 1);
                plain(Shape::Ref(target))
            }
            TyKind::Slice(element) => {
                let element = self.lower_at(element, view, depth + 1);
                plain(Shape::Slice(element))
            }
            TyKind::Array(element, len) => {
                let element = self.lower_at(element, view, depth + 1);
                let len = try_const_usize(self.db, len).and_then(|len| u64::try_from(len).ok());
                plain(Shape::Array(element, len))
            }
            TyKind::Tuple(parts) => {
                let parts: Vec<TypeId> = parts
                    .iter()
                    .map(|part| self.lower_at(part, view, depth + 1))
                    .collect();
                (
                    Shape::product(parts),
                    Names::Single(ConstructorName::Anonymous),
                )
            }
            TyKind::Adt(adt, args) => self.describe_adt(adt.def_id(), args, view, depth),
            // All others have no constructors to name, or are not known here (type parameters,
            // opaque types): nothing can be listed.
            _ => plain(Shape::Opaque),
        }
    }

    fn signed(&self, width: IntTy) -> IntWidth {
        match width {
            IntTy::Isize => IntWidth::Pointer(self.pointer_bits),
            IntTy::I8 => IntWidth::Bits(8),
            IntTy::I16 => IntWidth::Bits(16),
            IntTy::I32 => IntWidth::Bits(32),
            IntTy::I64 => IntWidth::Bits(64),
            IntTy::I128 => IntWidth::Bits(128),
        }
    }

    fn unsigned(&self, width: UintTy) -> IntWidth {
        match width {
            UintTy::Usize => IntWidth::Pointer(self.pointer_bits),
            UintTy::U8 => IntWidth::Bits(8),
            UintTy::U16 => IntWidth::Bits(16),
            UintTy::U32 => IntWidth::Bits(32),
            UintTy::U64 => IntWidth::Bits(64),
            UintTy::U128 => IntWidth::Bits(128),
        }
    }

    fn describe_adt(
        &mut self,
        adt: AdtId,
        args: GenericArgs<'db>,
        view: Viewpoint<'_, 'db>,
        depth: u32,
    ) -> (Shape<TypeId>, Names) {
        let db = self.db;
        match adt {
            AdtId::StructId(id) => {
                let name = StructSignature::of(db, id)
                    .name
                    .display(db, Edition::LATEST)
                    .to_string();
                let fields = self.fields(id.into(), args, view, depth);
                let name = constructor_name(db, id.into(), name);
                (Shape::Struct(fields), Names::Single(name))
            }
            AdtId::UnionId(id) => {
                let name = UnionSignature::of(db, id)
                    .name
                    .display(db, Edition::LATEST)
                    .to_string();
                let fields = self.fields(id.into(), args, view, depth);
                let name = constructor_name(db, id.into(), name);
                (Shape::Union(fields), Names::Single(name))
            }
            AdtId::EnumId(id) => {
                let enum_id = self.enum_id(id);
                let foreign = id.module(db).krate(db) != view.module.krate(db);
                let name = EnumSignature::of(db, id)
                    .name
                    .display(db, Edition::LATEST)
                    .to_string();
                // The prelude's variants are written without their enum.
                let prefix = match name.as_str() {
                    "Option" | "Result" => String::new(),
                    _ => format!("{name}::"),
                };
                let mut variants = Vec::new();
                let mut names = Vec::new();
                for (variant_name, (variant, _)) in &id.enum_variants(db).variants {
                    let flags = AttrFlags::query(db, (*variant).into());
                    let hidden = foreign && flags.contains(AttrFlags::IS_DOC_HIDDEN)
                        || flags.contains(AttrFlags::IS_UNSTABLE);
                    variants.push(Variant {
                        fields: self.fields((*variant).into(), args, view, depth),
                        hidden,
                    });
                    let path = format!("{prefix}{}", variant_name.display(db, Edition::LATEST));
                    names.push(constructor_name(db, (*variant).into(), path));
                }
                let flags = AttrFlags::query(db, AdtId::from(id).into());
                let shape = EnumShape {
                    id: enum_id,
                    variants,
                    foreign_non_exhaustive: foreign && flags.contains(AttrFlags::NON_EXHAUSTIVE),
                };
                (Shape::Enum(shape), Names::Variants(names))
            }
        }
    }

    fn fields(
        &mut self,
        variant: VariantId,
        args: GenericArgs<'db>,
        view: Viewpoint<'_, 'db>,
        depth: u32,
    ) -> Vec<Field<TypeId>> {
        let db = self.db;
        let types = db.field_types(variant);
        let in_enum = matches!(variant, VariantId::EnumVariantId(_));
        let visibilities = (!in_enum).then(|| VariantFields::field_visibilities(db, variant));
        let indices: Vec<_> = variant
            .fields(db)
            .fields()
            .iter()
            .map(|(id, _)| id)
            .collect();
        indices
            .into_iter()
            .map(|id| {
                let visible = visibilities
                    .as_ref()
                    .is_none_or(|all| all[id].is_visible_from(db, view.module));
                // Nobody here can look into a private field, nor rely on its emptiness.
                let ty = if visible {
                    let ty = types[id].ty().instantiate(view.infcx.interner, args);
                    self.lower_at(ty.skip_norm_wip(), view, depth + 1)
                } else {
                    self.opaque()
                };
                Field { ty, visible }
            })
            .collect()
    }

    /// Returns the identity of an enum, if it is the project's own.
    pub(crate) fn own_enum_id(&mut self, id: ra_ap_hir_def::EnumId) -> Option<EnumId> {
        let data = id.module(self.db).krate(self.db).data(self.db);
        matches!(data.origin, CrateOrigin::Local { .. }).then(|| self.enum_id(id))
    }

    fn enum_id(&mut self, id: ra_ap_hir_def::EnumId) -> EnumId {
        if let Some(&known) = self.enums.get(&id) {
            return known;
        }
        let db = self.db;
        let enum_id = EnumId(self.enums.len() as u64);
        self.enums.insert(id, enum_id);
        let module = id.module(db);
        let krate = module.krate(db);
        let data = krate.data(db);
        let own = matches!(data.origin, CrateOrigin::Local { .. });
        let mut path: Vec<String> = Vec::new();
        let mut at = Some(module);
        while let Some(module) = at {
            path.extend(
                module
                    .name(db)
                    .map(|name| name.display(db, Edition::LATEST).to_string()),
            );
            at = module.containing_module(db);
        }
        let display_name = krate.extra_data(db).display_name.as_ref();
        path.extend(display_name.map(|name| name.to_string()));
        path.reverse();
        let name = EnumSignature::of(db, id)
            .name
            .display(db, Edition::LATEST)
            .to_string();
        path.push(name);
        self.project.enums.push(EnumInfo {
            id: enum_id,
            path: path.join("::"),
            variants: id
                .enum_variants(db)
                .variants
                .keys()
                .map(|name| name.display(db, Edition::LATEST).to_string())
                .collect(),
            own,
            location: None,
        });
        enum_id
    }

    pub(crate) fn pointer_bits(&self) -> u8 {
        self.pointer_bits
    }

    /// Gives the enums of the project their places in the source, and those that a body declares
    /// the name of its function in their paths.
    pub(crate) fn place_enums(
        &mut self,
        functions: &HashMap<ModuleId, String>,
        mut locate: impl FnMut(ra_ap_hir_def::EnumId) -> Option<Location>,
    ) {
        for (id, enum_id) in &self.enums {
            let mut infos = self.project.enums.iter_mut();
            let Some(info) = infos.find(|info| info.id == *enum_id && info.own) else {
                continue;
            };
            info.location = locate(*id);
            if let Some(function) = functions.get(&id.module(self.db)) {
                let (path, name) = info.path.rsplit_once("::").unwrap_or(("", &info.path));
                info.path = format!("{path}::{function}::{name}");
            }
        }
    }
}

fn constructor_name(db: &dyn HirDatabase, variant: VariantId, path: String) -> ConstructorName {
    let fields = variant.fields(db);
    match fields.shape {
        FieldsShape::Record => ConstructorName::Named {
            path,
            fields: fields
                .fields()
                .iter()
                .map(|(_, field)| field.name.display(db, Edition::LATEST).to_string())
                .collect(),
        },
        FieldsShape::Tuple | FieldsShape::Unit => ConstructorName::Tuple(path),
    }
}
