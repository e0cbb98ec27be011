//! What can be said about a place in the source.

use match_audit_sites::Location;

/// How serious a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Worth a look.
    Warning,
    /// A reason to fail.
    Error,
}

/// What kind of finding it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// A wildcard takes variants without naming them.
    Swallows,
    /// A new variant would stop the build here.
    Breaks,
    /// A new variant would silently be taken here.
    Absorbs,
    /// An arm or alternative takes nothing.
    Unreachable,
    /// Values that are not matched.
    Witness,
    /// An empty arm was left out, or could be.
    EmptyArm,
    /// The baseline and the code disagree.
    Judgment,
    /// An enum seems to be made from something else, without a match on it.
    Conversion,
    /// The site could not be analyzed, or not in full.
    Incomplete,
}

impl Rule {
    /// All rules.
    pub const ALL: [Rule; 9] = [
        Rule::Swallows,
        Rule::Breaks,
        Rule::Absorbs,
        Rule::Unreachable,
        Rule::Witness,
        Rule::EmptyArm,
        Rule::Judgment,
        Rule::Conversion,
        Rule::Incomplete,
    ];

    /// Returns the rule's name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Rule::Swallows => "wildcard-swallows",
            Rule::Breaks => "new-variant-breaks",
            Rule::Absorbs => "new-variant-absorbed",
            Rule::Unreachable => "unreachable-pattern",
            Rule::Witness => "unmatched-values",
            Rule::EmptyArm => "omitted-empty-arm",
            Rule::Judgment => "unjudged-wildcard",
            Rule::Conversion => "conversion-may-lose",
            Rule::Incomplete => "incomplete",
        }
    }

    /// Describes the rule in a sentence.
    pub fn description(self) -> &'static str {
        match self {
            Rule::Swallows => "A wildcard takes enum variants without naming them.",
            Rule::Breaks => "A new variant of the enum would stop the build at this site.",
            Rule::Absorbs => "A new variant of the enum would silently be taken at this site.",
            Rule::Unreachable => "An arm or alternative takes no value.",
            Rule::Witness => "Some values are not matched.",
            Rule::EmptyArm => "The match rests on a type being empty.",
            Rule::Judgment => "A wildcard over an own enum differs from what was judged.",
            Rule::Conversion => {
                "Heuristic: an enum seems to be made from something else; a new variant would be \
                 lost there."
            }
            Rule::Incomplete => "The site was not analyzed, or not in full.",
        }
    }
}

/// Something to say about a place in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How serious it is.
    pub severity: Severity,
    /// What kind it is.
    pub rule: Rule,
    /// The full path of the enum that it is about.
    pub enumeration: Option<String>,
    /// What there is to say.
    pub message: String,
    /// Where, and what to write there.
    pub label: Label,
    /// Advice.
    pub help: Option<String>,
}

/// A remark at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The place.
    pub location: Location,
    /// The remark.
    pub text: String,
}
