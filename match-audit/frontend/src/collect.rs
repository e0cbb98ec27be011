//! Finds the bodies of the project's own crates, and the sites in them.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use match_audit_sites::{ArmInfo, Project, Site, SiteKind, Unanalyzed};
use match_audit_usefulness::never::Access;
use match_audit_usefulness::{Arm, Guard, Match, Pat, PatKind, Validity};
use ra_ap_base_db::{Crate, CrateOrigin, all_crates};
use ra_ap_hir_def::expr_store::{Body, BodySourceMap, ExprOrPatSource};
use ra_ap_hir_def::hir::{Expr, ExprId, LoopSource, MatchArm, Pat as HirPat, PatId, Statement};
use ra_ap_hir_def::nameres::{DefMap, crate_def_map};
use ra_ap_hir_def::resolver::HasResolver;
use ra_ap_hir_def::signatures::{
    ConstSignature, EnumSignature, FunctionSignature, StaticSignature, StructSignature,
    TraitSignature, UnionSignature,
};
use ra_ap_hir_def::src::HasSource;
use ra_ap_hir_def::{
    AdtId, AssocItemId, DefWithBodyId, HasModule, ImplId, ItemContainerId, Lookup, ModuleDefId,
};
use ra_ap_hir_expand::{FileRange, HirFileId, InFile};
use ra_ap_hir_ty::db::HirDatabase;
use ra_ap_hir_ty::next_solver::infer::DbInternerInferExt;
use ra_ap_hir_ty::next_solver::{DbInterner, Ty, TyKind, TypingMode};
use ra_ap_hir_ty::{InferenceResult, attach_db};
use ra_ap_ide_db::RootDatabase;
use ra_ap_paths::AbsPathBuf;
use ra_ap_rustc_type_ir::inherent::IntoKind;
use ra_ap_span::Edition;
use ra_ap_syntax::{AstNode, SyntaxKind, TextRange, TextSize};
use ra_ap_vfs::Vfs;

use crate::locate::Files;
use crate::lower::Lowering;
use crate::place::Places;
use crate::types::{TypeTable, Viewpoint};

/// Lowers all sites of the workspace's own crates.
pub(crate) fn collect(
    db: &RootDatabase,
    vfs: &Vfs,
    root: &AbsPathBuf,
    targets: &HashSet<AbsPathBuf>,
) -> Project {
    attach_db(db, || {
        let mut collector = Collector {
            db,
            files: Files::new(db, vfs, root),
            types: TypeTable::new(db, pointer_bits(db)),
            sites: Vec::new(),
            unanalyzed: Vec::new(),
            seen: HashSet::new(),
        };
        for krate in own_crates(db, vfs, targets) {
            let mut modules = Modules::default();
            modules.add_map(db, crate_def_map(db, krate));
            while let Some(owner) = modules.next() {
                let body = Body::with_source_map(db, owner);
                for (_, map) in body.0.blocks(db) {
                    modules.add_map(db, map);
                }
                collector.body(owner, &body.0, &body.1);
            }
        }
        collector.finish()
    })
}

fn own_crates(db: &RootDatabase, vfs: &Vfs, targets: &HashSet<AbsPathBuf>) -> Vec<Crate> {
    let is_wanted = |krate: &Crate| {
        let data = krate.data(db);
        let root = vfs.file_path(data.root_file_id).as_path();
        matches!(data.origin, CrateOrigin::Local { .. })
            && root.is_some_and(|root| targets.contains(root))
    };
    all_crates(db).iter().copied().filter(is_wanted).collect()
}

fn pointer_bits(db: &RootDatabase) -> u8 {
    let krate = all_crates(db).first().copied();
    krate
        .and_then(|krate| db.target_data_layout(krate).ok())
        .and_then(|layout| u8::try_from(layout.pointer_size().bits()).ok())
        .unwrap_or(64)
}

/// The bodies still to visit.
#[derive(Default)]
struct Modules {
    owners: Vec<DefWithBodyId>,
}

impl Modules {
    fn next(&mut self) -> Option<DefWithBodyId> {
        self.owners.pop()
    }

    fn add_map(&mut self, db: &RootDatabase, map: &DefMap) {
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

struct Collector<'db> {
    db: &'db RootDatabase,
    files: Files<'db>,
    types: TypeTable<'db>,
    sites: Vec<Site>,
    unanalyzed: Vec<Unanalyzed>,
    /// A file may belong to several crates; a site is reported once.
    seen: HashSet<(FileRange, SiteKind, TextRange)>,
}

/// A site as found, not lowered yet.
struct Found {
    kind: SiteKind,
    range: FileRange,
    /// The place in the file or in the macro's output; one call may make several sites.
    inner: TextRange,
    /// What is matched on; a parameter has nothing but its type.
    scrutinee: Option<ExprId>,
    arms: Vec<(PatId, Guard)>,
    /// Whether a silent "else" takes the rest.
    or_else: bool,
}

/// One body with all that is known about it.
struct Context<'a, 'db> {
    body: &'a Body,
    map: &'a BodySourceMap,
    infer: &'db InferenceResult<'db>,
}

impl<'db> Collector<'db> {
    fn finish(mut self) -> Project {
        let (db, files) = (self.db, &mut self.files);
        self.types.place_enums(|id| {
            let source = id.lookup(db).source(db);
            let range = source.map(|node| node.syntax().text_range());
            let range = range.original_node_file_range_rooted(db);
            Some(files.location(range.file_id.file_id(db), range.range))
        });
        let mut project = self.types.project;
        self.sites.sort_by(|a, b| a.location.cmp(&b.location));
        project.sites = self.sites;
        project.unanalyzed = self.unanalyzed;
        project
    }

    fn body(&mut self, owner: DefWithBodyId, body: &Body, map: &BodySourceMap) {
        let db = self.db;
        let infer = InferenceResult::of(db, owner);
        let context = Context { body, map, infer };
        let found = self.find(&context);
        if found.is_empty() {
            return;
        }
        let interner = DbInterner::new_with(db, owner.krate(db));
        let infcx = interner
            .infer_ctxt()
            .build(TypingMode::typeck_for_body(interner, owner.into()));
        let env = db.trait_environment(owner.generic_def(db));
        let view = Viewpoint {
            module: owner.module(db),
            infcx: &infcx,
            env,
        };
        let name = self.name_of(owner);
        for site in found {
            if !self.seen.insert((site.range, site.kind, site.inner)) {
                continue;
            }
            let file = site.range.file_id.file_id(db);
            let location = self.files.location(file, site.range.range);
            // The front end's own bugs must not end the run; they are listed instead.
            let lowered = catch_unwind(AssertUnwindSafe(|| {
                self.lower(owner, &context, view, &site)
            }))
            .unwrap_or_else(|_| Err("the front end panicked".into()));
            match lowered {
                Ok((matched, arms, access)) => self.sites.push(Site {
                    kind: site.kind,
                    location,
                    function: name.clone(),
                    matched,
                    arms,
                    access,
                }),
                Err(why) => self.unanalyzed.push(Unanalyzed {
                    kind: site.kind,
                    location,
                    why,
                }),
            }
        }
    }

    /// Lists the sites of a body.
    fn find(&self, context: &Context<'_, 'db>) -> Vec<Found> {
        let mut found = Vec::new();
        let body = context.body;
        let mut in_while: HashSet<ExprId> = HashSet::new();
        for (_, expr) in body.exprs() {
            if let Expr::Loop {
                body: inner,
                source: LoopSource::While,
                ..
            } = expr
                && let Expr::If { condition, .. } = &body[*inner]
            {
                lets_of(body, *condition, &mut in_while);
            }
        }
        for param in &body.params {
            found.extend(self.irrefutable(context, SiteKind::Parameter, param.user_written, None));
        }
        for (id, expr) in body.exprs() {
            match expr {
                Expr::Match { expr, arms } => {
                    found.extend(self.found_match(context, id, *expr, arms));
                }
                Expr::Let { pat, expr } => {
                    let kind = if in_while.contains(&id) {
                        SiteKind::WhileLet
                    } else {
                        SiteKind::IfLet
                    };
                    found.extend(self.single(context, kind, *pat, Some(*expr), true));
                }
                Expr::Block { statements, .. } | Expr::Unsafe { statements, .. } => {
                    for statement in statements {
                        found.extend(self.found_let(context, statement));
                    }
                }
                Expr::Closure { args, .. } => {
                    for arg in args {
                        found.extend(self.irrefutable(context, SiteKind::Parameter, *arg, None));
                    }
                }
                _ => {}
            }
        }
        found
    }

    fn found_let(&self, context: &Context<'_, 'db>, statement: &Statement) -> Option<Found> {
        let Statement::Let {
            pat,
            initializer,
            else_branch,
            ..
        } = statement
        else {
            return None;
        };
        if else_branch.is_none() {
            return self.irrefutable(context, SiteKind::Let, *pat, *initializer);
        }
        self.single(context, SiteKind::LetElse, *pat, *initializer, true)
    }

    /// Makes a site of a single pattern, with or without a silent "else".
    fn single(
        &self,
        context: &Context<'_, 'db>,
        kind: SiteKind,
        pat: PatId,
        scrutinee: Option<ExprId>,
        or_else: bool,
    ) -> Option<Found> {
        let source = context.map.pat_syntax(pat).ok()?;
        let (range, _) = self.site_range(source, kind)?;
        Some(Found {
            kind,
            range,
            inner: source.value.text_range(),
            scrutinee,
            arms: vec![(pat, Guard::Absent)],
            or_else,
        })
    }

    /// A plain name decides nothing and is no site.
    fn irrefutable(
        &self,
        context: &Context<'_, 'db>,
        kind: SiteKind,
        pat: PatId,
        scrutinee: Option<ExprId>,
    ) -> Option<Found> {
        if matches!(
            context.body[pat],
            HirPat::Bind { subpat: None, .. } | HirPat::Wild | HirPat::Missing
        ) {
            return None;
        }
        self.single(context, kind, pat, scrutinee, false)
    }

    fn found_match(
        &self,
        context: &Context<'_, 'db>,
        id: ExprId,
        scrutinee: ExprId,
        arms: &[MatchArm],
    ) -> Option<Found> {
        let source = context.map.expr_syntax(id).ok()?;
        // `?`, `for` and `.await` are matches to the compiler, not to the programmer.
        if source.value.kind() != SyntaxKind::MATCH_EXPR {
            return None;
        }
        let (range, kind) = self.site_range(source, SiteKind::Match)?;
        let guard = |arm: &MatchArm| match arm.guard {
            Some(_) => Guard::Present,
            None => Guard::Absent,
        };
        Some(Found {
            kind,
            range,
            inner: source.value.text_range(),
            scrutinee: Some(scrutinee),
            arms: arms.iter().map(|arm| (arm.pat, guard(arm))).collect(),
            or_else: false,
        })
    }

    /// Returns where a site belongs: where it is written, or where the macro that makes it is
    /// called.
    fn site_range(&self, source: ExprOrPatSource, kind: SiteKind) -> Option<(FileRange, SiteKind)> {
        // A macro may make a match around what it is given: the keyword tells who wrote it.
        let whole = source.value.text_range();
        let keyword = TextRange::at(whole.start(), TextSize::of("match").min(whole.len()));
        let first = match source.value.kind() {
            SyntaxKind::MATCH_EXPR => keyword,
            _ => whole,
        };
        let written = source
            .with_value(first)
            .original_node_file_range_rooted_opt(self.db);
        match written.and_then(|_| self.user_range(source)) {
            Some(range) => Some((range, kind)),
            None => self.macro_site(source.file_id, kind),
        }
    }

    /// Returns where the programmer wrote the code, unless a macro did.
    fn user_range(&self, source: ExprOrPatSource) -> Option<FileRange> {
        source
            .map(|ptr| ptr.text_range())
            .original_node_file_range_rooted_opt(self.db)
    }

    /// A match in a macro's text is a site where the macro is called, if the macro is the
    /// project's own or `matches!`.
    fn macro_site(&self, file: HirFileId, kind: SiteKind) -> Option<(FileRange, SiteKind)> {
        let db = self.db;
        let mut call = file.macro_file()?;
        loop {
            let loc = call.loc(db);
            if loc.def.is_derive() {
                return None;
            }
            match loc.kind.file_id().macro_file() {
                Some(outer) => call = outer,
                None => break,
            }
        }
        let loc = call.loc(db);
        let node = call.call_node(db);
        let range = node.as_ref().map(|node| node.text_range());
        let range = range.original_node_file_range_rooted(db);
        let text = node.value.text().to_string();
        let name = text.split('!').next().unwrap_or_default();
        if name.trim().rsplit("::").next() == Some("matches") {
            return Some((range, SiteKind::Matches));
        }
        let own = matches!(loc.def.krate.data(db).origin, CrateOrigin::Local { .. });
        own.then_some((range, kind))
    }

    fn lower(
        &mut self,
        owner: DefWithBodyId,
        context: &Context<'_, 'db>,
        view: Viewpoint<'_, 'db>,
        found: &Found,
    ) -> Result<(Match<match_audit_sites::TypeId>, Vec<ArmInfo>, Access), String> {
        let db: &'db dyn HirDatabase = self.db;
        let resolver = owner.resolver(db);
        let places = Places {
            db,
            body: context.body,
            infer: context.infer,
            resolver: &resolver,
        };
        let (validity, access) = match found.scrutinee {
            Some(expr) => places.of(expr),
            None => (Validity::KnownValid, Access::Ordinary),
        };
        let ty = self.scrutinee_type(context, found)?;
        let scrutinee = self.types.lower(ty, view)?;
        let mut arms = Vec::new();
        let mut infos = Vec::new();
        for (pat, guard) in &found.arms {
            let lowered = Lowering {
                db,
                body: context.body,
                infer: context.infer,
                resolver: &resolver,
                view,
                types: &mut self.types,
                next_opaque: u64::from(u32::from(pat.into_raw())) << 24,
            }
            .pattern(*pat)?;
            arms.push(Arm {
                pat: lowered,
                guard: *guard,
            });
            infos.push(self.arm_info(context, *pat, found));
        }
        if found.or_else {
            arms.push(Arm::new(Pat::new(PatKind::Wild)));
            let file = found.range.file_id.file_id(self.db);
            infos.push(ArmInfo {
                location: self.files.location(file, found.range.range),
                text: "else".into(),
                absorb: self.files.absorb_comment(file, found.range.range),
            });
        }
        let matched = Match {
            scrutinee,
            validity,
            arms,
        };
        Ok((matched, infos, access))
    }

    fn scrutinee_type(&self, context: &Context<'_, 'db>, found: &Found) -> Result<Ty<'db>, String> {
        let infer = context.infer;
        for (pat, _) in &found.arms {
            if infer.pat_has_type_mismatch(*pat) {
                return Err("the front end finds a type error in the pattern".into());
            }
        }
        let by_expr = found
            .scrutinee
            .and_then(|expr| infer.type_of_expr_with_adjust(expr));
        // The first adjustment is the outermost.
        let by_pat = found.arms.first().map(|(pat, _)| {
            let adjustments = infer.pat_adjustment(*pat).unwrap_or_default();
            match adjustments.first() {
                Some(outermost) => outermost.source.as_ref(),
                None => infer.pat_ty(*pat),
            }
        });
        by_pat
            .filter(|ty| !ty.references_non_lt_error())
            .or(by_expr)
            .ok_or_else(|| crate::types::UNKNOWN.into())
    }

    fn arm_info(&mut self, context: &Context<'_, 'db>, pat: PatId, found: &Found) -> ArmInfo {
        let db = self.db;
        let source = context.map.pat_syntax(pat).ok();
        let range = source
            .and_then(|source| self.user_range(source))
            .unwrap_or(found.range);
        let text = source.map(|source| {
            let InFile { file_id, value } = source;
            let root = file_id.parse_or_expand(db);
            value.to_node(&root).syntax().text().to_string()
        });
        let text = text.unwrap_or_default();
        let file = range.file_id.file_id(db);
        let end: TextRange = range.range;
        ArmInfo {
            location: self.files.location(file, range.range),
            text: text.split_whitespace().collect::<Vec<_>>().join(" "),
            absorb: self.files.absorb_comment(file, end),
        }
    }

    /// Names the function or constant, with the type or trait around it.
    fn name_of(&self, owner: DefWithBodyId) -> String {
        let db = self.db;
        let show =
            |name: &ra_ap_hir_expand::name::Name| name.display(db, Edition::LATEST).to_string();
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
            ItemContainerId::ImplId(id) => format!("{}::{name}", self.impl_name(id)),
            ItemContainerId::TraitId(id) => {
                format!("{}::{name}", show(&TraitSignature::of(db, id).name))
            }
            ItemContainerId::ModuleId(_) | ItemContainerId::ExternBlockId(_) => name,
        }
    }

    fn impl_name(&self, id: ImplId) -> String {
        let db = self.db;
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
}

/// Collects the `let`s of a condition.
fn lets_of(body: &Body, condition: ExprId, into: &mut HashSet<ExprId>) {
    match &body[condition] {
        Expr::Let { .. } => {
            into.insert(condition);
        }
        Expr::BinaryOp { lhs, rhs, .. } => {
            lets_of(body, *lhs, into);
            lets_of(body, *rhs, into);
        }
        _ => {}
    }
}
