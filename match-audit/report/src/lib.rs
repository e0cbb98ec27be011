//! What the audit has to say, and the forms in which it says so.

#![forbid(unsafe_code)]

mod finding;
mod findings;
mod forms;
mod html;
mod judgments;
mod lowered;
mod summary;

pub use finding::{Finding, Label, Rule, Severity};
pub use findings::{
    conversions, empty_arms, growth, unanalyzed, unreachable, wildcards, witnesses,
};
pub use forms::{Colors, github, json, sarif, terminal};
pub use html::html;
pub use judgments::complaints;
pub use lowered::lowered;
pub use summary::{EnumSummary, summary, summary_json, summary_table};
