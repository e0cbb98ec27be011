//! The matches of a project in a form that no compiler front end dictates, and the audit of them.
//!
//! A front end fills a [`Project`]; [`audit`] asks the algorithm about every site; [`baseline`]
//! compares the wildcards with those that a person has judged.

#![forbid(unsafe_code)]

mod audit;
pub mod baseline;
mod project;

pub use audit::{Absorbed, Audit, Growth, SiteAudit, audit, grow};
pub use project::{
    ArmInfo, EnumInfo, Location, Names, Project, Site, SiteKind, TypeId, TypeInfo, Unanalyzed,
};
