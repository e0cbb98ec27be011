//! Lowers the sites in the bodies of the project's own crates.

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use match_audit_sites::{ArmInfo, Conversion, Project, Site, SiteKind, TypeId, Unanalyzed};
use match_audit_usefulness::never::Access;
use match_audit_usefulness::{Arm, Match, Pat, PatKind, Validity};
use ra_ap_hir_def::expr_store::{Body, BodySourceMap};
use ra_ap_hir_def::hir::PatId;
use ra_ap_hir_def::nameres::crate_def_map;
use ra_ap_hir_def::resolver::HasResolver;
use ra_ap_hir_def::src::HasSource;
use ra_ap_hir_def::{DefWithBodyId, HasModule, Lookup, ModuleId};
use ra_ap_hir_expand::{FileRange, InFile};
use ra_ap_hir_ty::db::HirDatabase;
use ra_ap_hir_ty::next_solver::infer::DbInternerInferExt;
use ra_ap_hir_ty::next_solver::{DbInterner, Ty, TypingMode};
use ra_ap_hir_ty::{InferenceResult, attach_db};
use ra_ap_ide_db::RootDatabase;
use ra_ap_paths::AbsPathBuf;
use ra_ap_syntax::{AstNode, TextRange};
use ra_ap_vfs::Vfs;

use crate::bodies::{Bodies, own_crates, pointer_bits};
use crate::conversions::{self, Made};
use crate::find::{Context, Found, outermost_call};
use crate::locate::Files;
use crate::lower::Lowering;
use crate::names::name_of;
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
            conversions: Vec::new(),
            functions: HashMap::new(),
            seen: HashSet::new(),
        };
        for krate in own_crates(db, vfs, targets) {
            let mut bodies = Bodies::default();
            bodies.add_map(db, crate_def_map(db, krate));
            while let Some(owner) = bodies.next() {
                let body = Body::with_source_map(db, owner);
                for (_, map) in body.0.blocks(db) {
                    let name = name_of(db, owner);
                    collector.functions.insert(map.root, name);
                    bodies.add_map(db, map);
                }
                collector.body(owner, &body.0, &body.1);
            }
        }
        collector.finish()
    })
}

struct Collector<'db> {
    db: &'db RootDatabase,
    files: Files<'db>,
    types: TypeTable<'db>,
    sites: Vec<Site>,
    unanalyzed: Vec<Unanalyzed>,
    conversions: Vec<Conversion>,
    /// The functions around the blocks that declare items.
    functions: HashMap<ModuleId, String>,
    /// A file may belong to several crates; a site is reported once.
    seen: HashSet<(FileRange, SiteKind, TextRange)>,
}

impl<'db> Collector<'db> {
    fn finish(mut self) -> Project {
        let (db, files) = (self.db, &mut self.files);
        self.types.place_enums(&self.functions, |id| {
            let source = id.lookup(db).source(db);
            let range = source.map(|node| node.syntax().text_range());
            let range = range.original_node_file_range_rooted(db);
            Some(files.location(range.file_id.file_id(db), range.range))
        });
        let mut project = self.types.project;
        self.sites.sort_by(|a, b| a.location.cmp(&b.location));
        project.sites = self.sites;
        project.unanalyzed = self.unanalyzed;
        self.conversions.sort_by(|a, b| a.location.cmp(&b.location));
        self.conversions.dedup();
        project.conversions = self.conversions;
        project
    }

    fn body(&mut self, owner: DefWithBodyId, body: &Body, map: &BodySourceMap) {
        let db = self.db;
        let infer = InferenceResult::of(db, owner);
        let context = Context {
            db,
            body,
            map,
            infer,
        };
        let name = name_of(db, owner);
        for made in conversions::made_by(&context) {
            self.conversion(&context, &name, made);
        }
        let found = context.find();
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
                    empty_arm: self
                        .files
                        .comment(file, site.range.range, "omitted_empty_arm"),
                    run: None,
                }),
                Err(why) => self.unanalyzed.push(Unanalyzed {
                    kind: site.kind,
                    location,
                    why,
                }),
            }
        }
    }

    fn conversion(&mut self, context: &Context<'_, 'db>, function: &str, made: Made) {
        let db = self.db;
        let Ok(source) = context.map.expr_syntax(made.at) else {
            return;
        };
        let Some((range, _)) = context.site_range(source, SiteKind::Match) else {
            return;
        };
        // A macro that writes both the enum and the conversion cannot forget a variant.
        let call = outermost_call(db, source.file_id);
        let declared = made.id.lookup(db).source(db).file_id;
        if call.is_some() && call == outermost_call(db, declared) {
            return;
        }
        let Some(id) = self.types.own_enum_id(made.id) else {
            return;
        };
        let file = range.file_id.file_id(db);
        self.conversions.push(Conversion {
            location: self.files.location(file, range.range),
            function: function.to_string(),
            from: made.from,
            id,
            made: made.variants.into_iter().collect(),
        });
    }

    fn lower(
        &mut self,
        owner: DefWithBodyId,
        context: &Context<'_, 'db>,
        view: Viewpoint<'_, 'db>,
        found: &Found,
    ) -> Result<(Match<TypeId>, Vec<ArmInfo>, Access), String> {
        let db: &'db dyn HirDatabase = self.db;
        let mut resolver = owner.resolver(db);
        if let Some(expr) = found.scrutinee {
            // Items of the blocks around are known here, too.
            let _ = resolver.update_to_inner_scope(db, owner, expr);
        }
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
                absorb: self.files.comment(file, found.range.range, "absorb"),
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
            .and_then(|source| context.user_range(source))
            .unwrap_or(found.range);
        let text = source.map(|source| {
            let InFile { file_id, value } = source;
            let root = file_id.parse_or_expand(db);
            value.to_node(&root).syntax().text().to_string()
        });
        let text = text.unwrap_or_default();
        let file = range.file_id.file_id(db);
        ArmInfo {
            location: self.files.location(file, range.range),
            text: text.split_whitespace().collect::<Vec<_>>().join(" "),
            absorb: self.files.comment(file, range.range, "absorb"),
        }
    }
}
