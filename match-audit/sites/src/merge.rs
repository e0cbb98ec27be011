//! Several runs of one project, each with a configuration of its own, made into one.

use std::collections::{HashMap, HashSet};

use match_audit_usefulness::{Arm, EnumId, EnumShape, Field, Match, Pat, PatKind, Shape, Variant};

use crate::project::{EnumInfo, Location, Project, Site, SiteKind, TypeId, TypeInfo};
use crate::signature::signature;

/// Joins the projects that several runs have found; each comes with the words that name its run.
///
/// A site that all runs see alike is one site. Where types differ (a variant behind a `cfg`), it
/// is one site for each kind, and says for which run. A site that some run could analyze is not
/// among those that could not be analyzed.
pub fn merge(mut runs: Vec<(String, Project)>) -> Project {
    if runs.len() == 1 {
        return runs.pop().map(|(_, project)| project).unwrap_or_default();
    }
    let mut merger = Merger::default();
    for (name, run) in runs {
        merger.add(&name, run);
    }
    merger.finish()
}

type Place = (Location, SiteKind);

#[derive(Default)]
struct Merger {
    project: Project,
    enums: HashMap<(String, Vec<String>, Option<Location>), EnumId>,
    /// What was found at each place: the signature, the site, its run.
    seen: HashMap<Place, Vec<(String, usize, String)>>,
}

impl Merger {
    fn add(&mut self, name: &str, run: Project) {
        let signatures: Vec<String> = run.sites.iter().map(|it| signature(&run, it)).collect();
        let ids: HashMap<EnumId, EnumId> = run
            .enums
            .into_iter()
            .map(|info| (info.id, self.enumeration(info)))
            .collect();
        let enum_id = |id: EnumId| ids.get(&id).copied().unwrap_or(id);
        let offset = u32::try_from(self.project.types.len()).unwrap_or(u32::MAX);
        let ty = |id: TypeId| TypeId(id.0.saturating_add(offset));
        let types = run.types.into_iter().map(|info| TypeInfo {
            shape: move_shape(&info.shape, &ty, &enum_id),
            names: info.names,
        });
        self.project.types.extend(types);
        for (site, signature) in run.sites.into_iter().zip(signatures) {
            self.site(name, signature, move_site(site, &ty));
        }
        for entry in run.unanalyzed {
            let known = &mut self.project.unanalyzed;
            if !known
                .iter()
                .any(|it| it.location == entry.location && it.kind == entry.kind)
            {
                known.push(entry);
            }
        }
        for mut entry in run.conversions {
            entry.id = enum_id(entry.id);
            if !self.project.conversions.contains(&entry) {
                self.project.conversions.push(entry);
            }
        }
    }

    fn enumeration(&mut self, mut info: EnumInfo) -> EnumId {
        let next = EnumId(self.project.enums.len() as u64);
        let key = (
            info.path.clone(),
            info.variants.clone(),
            info.location.clone(),
        );
        *self.enums.entry(key).or_insert_with(|| {
            info.id = next;
            self.project.enums.push(info);
            next
        })
    }

    fn site(&mut self, name: &str, signature: String, site: Site) {
        let place = (site.location.clone(), site.kind);
        let known = self.seen.entry(place).or_default();
        // One macro call may make several sites of one run at one place; runs make them alike.
        let twin = known
            .iter()
            .any(|(it, _, run)| run != name && *it == signature);
        if !twin {
            known.push((signature, self.project.sites.len(), name.to_string()));
            self.project.sites.push(site);
        }
    }

    fn finish(mut self) -> Project {
        for found in self.seen.values() {
            let runs: HashSet<&String> = found.iter().map(|(_, _, run)| run).collect();
            if runs.len() > 1 {
                for (_, index, run) in found {
                    self.project.sites[*index].run = Some(run.clone());
                }
            }
        }
        let seen = &self.seen;
        self.project
            .unanalyzed
            .retain(|it| !seen.contains_key(&(it.location.clone(), it.kind)));
        self.project
            .sites
            .sort_by(|a, b| a.location.cmp(&b.location));
        self.project
    }
}

fn move_site(site: Site, ty: &impl Fn(TypeId) -> TypeId) -> Site {
    let arms = site.matched.arms.iter().map(|arm| Arm {
        pat: move_pattern(&arm.pat, ty),
        guard: arm.guard,
    });
    Site {
        matched: Match {
            scrutinee: ty(site.matched.scrutinee),
            validity: site.matched.validity,
            arms: arms.collect(),
        },
        ..site
    }
}

fn move_shape(
    shape: &Shape<TypeId>,
    ty: &impl Fn(TypeId) -> TypeId,
    enum_id: &impl Fn(EnumId) -> EnumId,
) -> Shape<TypeId> {
    let fields = |fields: &[Field<TypeId>]| -> Vec<Field<TypeId>> {
        let moved = fields.iter().map(|field| Field {
            ty: ty(field.ty),
            visible: field.visible,
        });
        moved.collect()
    };
    match shape {
        Shape::Never => Shape::Never,
        Shape::Bool => Shape::Bool,
        Shape::Char => Shape::Char,
        Shape::Int(sign, width) => Shape::Int(*sign, *width),
        Shape::Struct(parts) => Shape::Struct(fields(parts)),
        Shape::Enum(shape) => Shape::Enum(EnumShape {
            id: enum_id(shape.id),
            variants: shape
                .variants
                .iter()
                .map(|variant| Variant {
                    fields: fields(&variant.fields),
                    hidden: variant.hidden,
                })
                .collect(),
            foreign_non_exhaustive: shape.foreign_non_exhaustive,
        }),
        Shape::Union(parts) => Shape::Union(fields(parts)),
        Shape::Ref(target) => Shape::Ref(ty(*target)),
        Shape::Slice(element) => Shape::Slice(ty(*element)),
        Shape::Array(element, len) => Shape::Array(ty(*element), *len),
        Shape::Float => Shape::Float,
        Shape::Str => Shape::Str,
        Shape::Opaque => Shape::Opaque,
    }
}

fn move_pattern(pat: &Pat<TypeId>, ty: &impl Fn(TypeId) -> TypeId) -> Pat<TypeId> {
    let one = |pat: &Pat<TypeId>| Box::new(move_pattern(pat, ty));
    let list = |pats: &[Pat<TypeId>]| -> Vec<Pat<TypeId>> {
        pats.iter().map(|pat| move_pattern(pat, ty)).collect()
    };
    let fields = |fields: &[(usize, Pat<TypeId>)]| -> Vec<(usize, Pat<TypeId>)> {
        let moved = fields.iter().map(|(at, pat)| (*at, move_pattern(pat, ty)));
        moved.collect()
    };
    let kind = match &pat.kind {
        PatKind::Bind(mode, sub) => PatKind::Bind(*mode, sub.as_deref().map(one)),
        PatKind::Struct(parts) => PatKind::Struct(fields(parts)),
        PatKind::Variant(index, parts) => PatKind::Variant(*index, fields(parts)),
        PatKind::Union(index, sub) => PatKind::Union(*index, one(sub)),
        PatKind::Ref(sub) => PatKind::Ref(one(sub)),
        PatKind::Deref(target, sub) => PatKind::Deref(ty(*target), one(sub)),
        PatKind::Slice {
            prefix,
            rest,
            suffix,
        } => PatKind::Slice {
            prefix: list(prefix),
            rest: *rest,
            suffix: list(suffix),
        },
        PatKind::Or(alternatives) => PatKind::Or(list(alternatives)),
        PatKind::Wild
        | PatKind::Never
        | PatKind::Bool(_)
        | PatKind::Range(_)
        | PatKind::Float(..)
        | PatKind::Str(_)
        | PatKind::Opaque(_) => pat.kind.clone(),
    };
    Pat {
        kind,
        label: pat.label,
    }
}
