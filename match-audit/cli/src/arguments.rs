//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use match_audit_sites::Configuration;

/// Audits the matches of a Cargo workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo match-audit", version, about)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) question: Option<Question>,

    /// The workspace's Cargo.toml, or a folder in it
    #[arg(long, global = true, default_value = ".")]
    pub(crate) manifest_path: PathBuf,

    #[command(flatten)]
    pub(crate) configuration: ConfigurationArguments,

    /// Join another run to this one, with its own options of those above, as one word
    #[arg(
        long,
        global = true,
        value_name = "OPTIONS",
        allow_hyphen_values = true
    )]
    pub(crate) also: Vec<String>,

    /// The folder `library` of the component rust-src
    #[arg(long, global = true)]
    pub(crate) rust_src: Option<PathBuf>,

    /// Run build scripts and procedural macros, which are foreign code
    #[arg(long, global = true)]
    pub(crate) run_foreign_code: bool,

    /// The form of the findings
    #[arg(long, global = true, value_enum, default_value_t = Form::Terminal)]
    pub(crate) format: Form,

    /// The file of judged wildcards and of runs, below the workspace's root
    #[arg(long, global = true, default_value = "match-audit.toml")]
    pub(crate) baseline: PathBuf,

    /// Write a page to browse into this folder
    #[arg(long, global = true)]
    pub(crate) html: Option<PathBuf>,

    /// The largest number of steps for one question about one match
    #[arg(long, global = true, default_value_t = 50_000_000)]
    pub(crate) work_limit: u64,
}

/// What the options of `--also` are read with.
#[derive(Debug, Parser)]
#[command(name = "--also", no_binary_name = true)]
pub(crate) struct Also {
    #[command(flatten)]
    pub(crate) configuration: ConfigurationArguments,
}

/// One configuration of the workspace, as cargo's options.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Configuration")]
pub(crate) struct ConfigurationArguments {
    /// Look at this package only; may be repeated
    #[arg(long, short = 'p', global = true, value_name = "NAME")]
    package: Vec<String>,

    /// Features to turn on, separated by commas or spaces
    #[arg(long, short = 'F', global = true, value_delimiter = ',')]
    features: Vec<String>,

    /// Turn on all features
    #[arg(long, global = true)]
    all_features: bool,

    /// Leave out the default features
    #[arg(long, global = true)]
    no_default_features: bool,

    /// The target to look at, if not the host
    #[arg(long, global = true, value_name = "TRIPLE")]
    target: Option<String>,

    /// A cfg option, as the compiler takes it: `name` or `key="value"`; may be repeated
    #[arg(long, global = true, value_name = "SPEC")]
    cfg: Vec<String>,

    /// Look at tests, examples and benchmarks too
    #[arg(long, global = true)]
    all_targets: bool,
}

impl From<&ConfigurationArguments> for Configuration {
    fn from(arguments: &ConfigurationArguments) -> Self {
        let features = arguments.features.iter();
        Configuration {
            package: arguments.package.clone(),
            features: features
                .flat_map(|words| words.split_whitespace())
                .map(str::to_string)
                .collect(),
            all_features: arguments.all_features,
            no_default_features: arguments.no_default_features,
            target: arguments.target.clone(),
            cfg: arguments.cfg.clone(),
            all_targets: arguments.all_targets,
        }
    }
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Question {
    /// Sum up each own enum, and show what each wildcard swallows (the default)
    Summary,
    /// Which sites would break, and which would absorb a new variant?
    WhatIf {
        /// The enum, by name or full path
        #[arg(required_unless_present = "all")]
        name: Option<String>,
        /// Ask for each of the workspace's enums
        #[arg(long, conflicts_with = "name")]
        all: bool,
    },
    /// Arms and alternatives that take nothing
    Unreachable,
    /// All values that a site does not match
    Witnesses,
    /// Matches that rest on a type being empty
    EmptyArms {
        /// Not only near raw pointers and unions
        #[arg(long)]
        all: bool,
    },
    /// Heuristic: code that seems to make an enum from a number, a text or a list
    Conversions,
    /// Sites that could not be analyzed, or not in full
    Unanalyzed,
    /// The patterns as they were lowered, as JSON, to be compared with the compiler's own
    #[command(hide = true)]
    Lowered,
    /// Fail if a wildcard over an own enum differs from what was judged
    Check {
        /// Bring the file up to date; reasons are left for you to write
        #[arg(long)]
        write: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// With the source, as the compiler writes
    Terminal,
    /// One JSON document
    Json,
    /// SARIF 2.1.0, for code-scanning views
    Sarif,
    /// Workflow commands that annotate a pull request
    Github,
}
