//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

/// Audits the matches of a Cargo workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo match-audit", version, about)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) question: Option<Question>,

    /// The workspace's Cargo.toml, or a folder in it
    #[arg(long, global = true, default_value = ".")]
    pub(crate) manifest_path: PathBuf,

    /// Features to turn on, separated by commas or spaces
    #[arg(long, short = 'F', global = true, value_delimiter = ',')]
    pub(crate) features: Vec<String>,

    /// Turn on all features
    #[arg(long, global = true)]
    pub(crate) all_features: bool,

    /// Leave out the default features
    #[arg(long, global = true)]
    pub(crate) no_default_features: bool,

    /// The target to look at, if not the host
    #[arg(long, global = true)]
    pub(crate) target: Option<String>,

    /// Look at tests, examples and benchmarks too
    #[arg(long, global = true)]
    pub(crate) all_targets: bool,

    /// The folder `library` of the component rust-src
    #[arg(long, global = true)]
    pub(crate) rust_src: Option<PathBuf>,

    /// Run build scripts and procedural macros, which are foreign code
    #[arg(long, global = true)]
    pub(crate) run_foreign_code: bool,

    /// The form of the findings
    #[arg(long, global = true, value_enum, default_value_t = Form::Terminal)]
    pub(crate) format: Form,

    /// Write a page to browse into this folder
    #[arg(long, global = true)]
    pub(crate) html: Option<PathBuf>,

    /// The largest number of steps for one question about one match
    #[arg(long, global = true, default_value_t = 50_000_000)]
    pub(crate) work_limit: u64,
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
    /// Sites that could not be analyzed, or not in full
    Unanalyzed,
    /// Fail if a wildcard over an own enum differs from what was judged
    Check {
        /// The file of judged wildcards
        #[arg(long, default_value = "match-audit.toml")]
        baseline: PathBuf,
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
