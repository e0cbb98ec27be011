//! The matches of a project in a form that no compiler front end dictates, and the audit of them.
//!
//! A front end fills a [`Project`]; [`audit`] asks the algorithm about every site; [`baseline`]
//! compares the wildcards with those that a person has judged.

#![forbid(unsafe_code)]

mod audit;
pub mod baseline;
mod configuration;
mod merge;
mod project;
mod signature;

pub use audit::{Absorbed, Audit, Growth, SiteAudit, audit, grow};
pub use configuration::Configuration;
pub use merge::merge;
pub use project::{
    ArmInfo, Conversion, ConversionSource, EnumInfo, Location, Names, Project, Site, SiteKind,
    TypeId, TypeInfo, Unanalyzed,
};
