//! Finds the sites of a body.

use std::collections::HashSet;

use match_audit_sites::SiteKind;
use match_audit_usefulness::Guard;
use ra_ap_base_db::CrateOrigin;
use ra_ap_hir_def::expr_store::{Body, BodySourceMap, ExprOrPatSource};
use ra_ap_hir_def::hir::{Expr, ExprId, LoopSource, MatchArm, Pat as HirPat, PatId, Statement};
use ra_ap_hir_expand::{FileRange, HirFileId, MacroCallId};
use ra_ap_hir_ty::InferenceResult;
use ra_ap_ide_db::RootDatabase;
use ra_ap_syntax::{SyntaxKind, TextRange, TextSize};

/// A site as found, not lowered yet.
pub(crate) struct Found {
    pub(crate) kind: SiteKind,
    pub(crate) range: FileRange,
    /// The place in the file or in the macro's output; one call may make several sites.
    pub(crate) inner: TextRange,
    /// What is matched on; a parameter has nothing but its type.
    pub(crate) scrutinee: Option<ExprId>,
    pub(crate) arms: Vec<(PatId, Guard)>,
    /// Whether a silent "else" takes the rest.
    pub(crate) or_else: bool,
}

/// One body with all that is known about it.
pub(crate) struct Context<'a, 'db> {
    pub(crate) db: &'db RootDatabase,
    pub(crate) body: &'a Body,
    pub(crate) map: &'a BodySourceMap,
    pub(crate) infer: &'db InferenceResult<'db>,
}

impl Context<'_, '_> {
    /// Lists the sites of a body.
    pub(crate) fn find(&self) -> Vec<Found> {
        let mut found = Vec::new();
        let body = self.body;
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
            found.extend(self.irrefutable(SiteKind::Parameter, param.user_written, None));
        }
        for (id, expr) in body.exprs() {
            match expr {
                Expr::Match { expr, arms } => {
                    found.extend(self.found_match(id, *expr, arms));
                }
                Expr::Let { pat, expr } => {
                    let kind = if in_while.contains(&id) {
                        SiteKind::WhileLet
                    } else {
                        SiteKind::IfLet
                    };
                    found.extend(self.single(kind, *pat, Some(*expr), true));
                }
                Expr::Block { statements, .. } | Expr::Unsafe { statements, .. } => {
                    for statement in statements {
                        found.extend(self.found_let(statement));
                    }
                }
                Expr::Closure { args, .. } => {
                    for arg in args {
                        found.extend(self.irrefutable(SiteKind::Parameter, *arg, None));
                    }
                }
                _ => {}
            }
        }
        found
    }

    fn found_let(&self, statement: &Statement) -> Option<Found> {
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
            return self.irrefutable(SiteKind::Let, *pat, *initializer);
        }
        self.single(SiteKind::LetElse, *pat, *initializer, true)
    }

    /// Makes a site of a single pattern, with or without a silent "else".
    fn single(
        &self,
        kind: SiteKind,
        pat: PatId,
        scrutinee: Option<ExprId>,
        or_else: bool,
    ) -> Option<Found> {
        let source = self.map.pat_syntax(pat).ok()?;
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
    fn irrefutable(&self, kind: SiteKind, pat: PatId, scrutinee: Option<ExprId>) -> Option<Found> {
        if matches!(
            self.body[pat],
            HirPat::Bind { subpat: None, .. } | HirPat::Wild | HirPat::Missing
        ) {
            return None;
        }
        self.single(kind, pat, scrutinee, false)
    }

    fn found_match(&self, id: ExprId, scrutinee: ExprId, arms: &[MatchArm]) -> Option<Found> {
        let source = self.map.expr_syntax(id).ok()?;
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
    pub(crate) fn site_range(
        &self,
        source: ExprOrPatSource,
        kind: SiteKind,
    ) -> Option<(FileRange, SiteKind)> {
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
    pub(crate) fn user_range(&self, source: ExprOrPatSource) -> Option<FileRange> {
        source
            .map(|ptr| ptr.text_range())
            .original_node_file_range_rooted_opt(self.db)
    }

    /// A match in a macro's text is a site where the macro is called, if the macro is the
    /// project's own or `matches!`.
    fn macro_site(&self, file: HirFileId, kind: SiteKind) -> Option<(FileRange, SiteKind)> {
        let db = self.db;
        let call = outermost_call(db, file)?;
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

/// Returns the macro call in the programmer's own text that made a file, unless a derive did.
pub(crate) fn outermost_call(db: &RootDatabase, file: HirFileId) -> Option<MacroCallId> {
    let mut call = file.macro_file()?;
    loop {
        let loc = call.loc(db);
        if loc.def.is_derive() {
            return None;
        }
        match loc.kind.file_id().macro_file() {
            Some(outer) => call = outer,
            None => return Some(call),
        }
    }
}
