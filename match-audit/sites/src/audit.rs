//! Asks the algorithm about every site.

use std::collections::{BTreeMap, BTreeSet};

use match_audit_usefulness::never::{Level, omitted_empty_arm};
use match_audit_usefulness::{
    EnumId, Options, Report, Sets, check, inspected_enums, taken_sets, what_if,
};

use crate::project::{Project, Site, SiteKind, TypeId, Unanalyzed};

/// The answers about a project.
#[derive(Clone, Debug)]
pub struct Audit {
    /// One entry for each site that could be analyzed.
    pub sites: Vec<SiteAudit>,
    /// The sites that could not: lowered wrongly, or given up by the front end.
    pub unanalyzed: Vec<Unanalyzed>,
}

/// The answers about one site.
#[derive(Clone, Debug)]
pub struct SiteAudit {
    /// The index in [`Project::sites`].
    pub site: usize,
    /// The verdict, the witnesses and the arms' usefulness.
    pub report: Report<TypeId>,
    /// What each arm takes.
    pub sets: Sets<TypeId>,
    /// The enums whose variants the site tells apart.
    pub inspects: BTreeSet<EnumId>,
    /// Wildcards that take variants of an enum without naming them.
    pub absorbed: Vec<Absorbed>,
    /// Whether the lint `omitted_empty_arm` has something to say.
    pub omitted_empty_arm: Option<Level>,
}

/// A wildcard that takes variants of an enum without naming them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absorbed {
    /// The arm, counted from 0.
    pub arm: usize,
    /// The enum.
    pub id: EnumId,
    /// The variants, ascending.
    pub variants: Vec<usize>,
    /// The number of values that the arm swallows, as the match tells them apart.
    pub count: u128,
}

/// Asks about every site of the project. `progress` is told how many are done.
pub fn audit(project: &Project, options: &Options, mut progress: impl FnMut(usize)) -> Audit {
    let mut audit = Audit {
        sites: Vec::new(),
        unanalyzed: project.unanalyzed.clone(),
    };
    for (index, site) in project.sites.iter().enumerate() {
        match audit_site(project, index, site, options) {
            Ok(answers) => audit.sites.push(answers),
            Err(error) => audit.unanalyzed.push(Unanalyzed {
                kind: site.kind,
                location: site.location.clone(),
                why: error.to_string(),
            }),
        }
        progress(index + 1);
    }
    audit
}

fn audit_site(
    project: &Project,
    index: usize,
    site: &Site,
    options: &Options,
) -> Result<SiteAudit, match_audit_usefulness::Malformed> {
    let report = check(project, &site.matched, options)?;
    let sets = taken_sets(project, &site.matched, options)?;
    let inspects = inspected_enums(project, &site.matched)?;
    let mut absorbed = Vec::new();
    if is_refutable(site) {
        for (arm, set) in sets.arms.iter().enumerate() {
            // One enum may be swallowed at several places.
            let mut by_enum: BTreeMap<EnumId, BTreeSet<usize>> = BTreeMap::new();
            for swallowed in &set.swallowed {
                let variants = by_enum.entry(swallowed.id).or_default();
                variants.extend(&swallowed.variants);
            }
            absorbed.extend(by_enum.into_iter().map(|(id, variants)| Absorbed {
                arm,
                id,
                variants: variants.into_iter().collect(),
                count: set.swallowed_count,
            }));
        }
    }
    Ok(SiteAudit {
        site: index,
        omitted_empty_arm: omitted_empty_arm(&report, site.access),
        report,
        sets,
        inspects,
        absorbed,
    })
}

/// A `let` or parameter that takes everything passes a value on; it decides nothing.
fn is_refutable(site: &Site) -> bool {
    match site.kind {
        SiteKind::Let | SiteKind::Parameter => false,
        SiteKind::Match
        | SiteKind::IfLet
        | SiteKind::WhileLet
        | SiteKind::LetElse
        | SiteKind::Matches => site.matched.arms.len() > 1,
    }
}

/// What one enum's growth would do to the project.
#[derive(Clone, Debug, Default)]
pub struct Growth {
    /// Sites that would no longer compile, as indices in [`Project::sites`].
    pub breaks: Vec<usize>,
    /// Sites that would silently take the new variant, and the arms that would.
    pub absorbs: Vec<(usize, Vec<usize>)>,
    /// Whether every question was answered in full.
    pub complete: bool,
}

/// Asks what every site would do if the enum `id` had one more variant.
pub fn grow(project: &Project, audit: &Audit, id: EnumId, options: &Options) -> Growth {
    let mut growth = Growth {
        complete: true,
        ..Growth::default()
    };
    for answers in &audit.sites {
        let site = &project.sites[answers.site];
        if !answers.inspects.contains(&id) {
            continue;
        }
        // The site was lowered well before, so it is now.
        let Ok(answer) = what_if(project, &site.matched, id, options) else {
            growth.complete = false;
            continue;
        };
        growth.complete &= answer.complete;
        if answer.breaks {
            growth.breaks.push(answers.site);
        }
        if !answer.absorbed_by.is_empty() && is_refutable(site) {
            growth.absorbs.push((answers.site, answer.absorbed_by));
        }
    }
    growth
}
