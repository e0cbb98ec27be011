//! What the audit has to say, and the forms in which it says so.

#![forbid(unsafe_code)]

mod findings;
mod forms;
mod html;
mod summary;

pub use findings::{
    Finding, Label, Rule, Severity, complaints, empty_arms, growth, unanalyzed, unreachable,
    wildcards, witnesses,
};
pub use forms::{Colors, github, json, sarif, terminal};
pub use html::html;
pub use summary::{EnumSummary, summary, summary_json, summary_table};
