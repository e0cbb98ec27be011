//! Loads, asks, prints.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use clap::Parser as _;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use match_audit_frontend::{Request, find_rust_src, load};
use match_audit_report as report;
use match_audit_report::{Colors, Finding, Severity};
use match_audit_sites::baseline::{self, Baseline};
use match_audit_sites::{Audit, Configuration, Project, audit, grow, merge};
use match_audit_usefulness::Options;
use serde_json::json;

use crate::arguments::{Also, Arguments, Form, Question};

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let root = workspace_root(&arguments.manifest_path)?;
    let judged = read_baseline(&root.join(&arguments.baseline))?;
    let options = Options {
        work_limit: arguments.work_limit,
        ..Options::default()
    };
    let project = load_project(arguments, &judged, &root)?;
    let bar = bar(project.sites.len() as u64);
    bar.set_message("auditing");
    let answers = audit(&project, &options, |done| bar.set_position(done as u64));
    bar.finish_and_clear();
    if let Some(folder) = &arguments.html {
        let file = folder.join("index.html");
        write(&file, &report::html(&project, &answers))?;
        eprintln!("wrote {}", file.display());
    }
    let session = Session {
        arguments,
        root: &root,
        judged,
        project: &project,
        answers: &answers,
        options: &options,
    };
    session.answer(arguments.question.as_ref().unwrap_or(&Question::Summary))
}

/// Asks cargo for the root of the workspace that a manifest or folder belongs to.
fn workspace_root(path: &Path) -> Result<PathBuf, String> {
    let folder = match path.parent() {
        Some(parent) if path.ends_with("Cargo.toml") => parent,
        _ => path,
    };
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["locate-project", "--workspace", "--message-format", "plain"])
        .current_dir(folder)
        .output()
        .map_err(|error| format!("{}: cannot ask cargo: {error}", folder.display()))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_string());
    }
    let manifest = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    Ok(manifest.parent().unwrap_or(&manifest).to_path_buf())
}

/// Reads the file of judged wildcards; without one nothing is judged.
fn read_baseline(path: &Path) -> Result<Baseline, String> {
    match std::fs::read_to_string(path) {
        Ok(text) => baseline::parse(&text).map_err(|error| format!("{}: {error}", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Baseline::default()),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

/// Lists the runs: those of the command line, or else those of the baseline.
fn runs(arguments: &Arguments, judged: &Baseline) -> Result<Vec<Configuration>, String> {
    let first = Configuration::from(&arguments.configuration);
    if arguments.also.is_empty() && first == Configuration::default() && !judged.run.is_empty() {
        return Ok(judged.run.clone());
    }
    let mut runs = vec![first];
    for words in &arguments.also {
        let also = Also::try_parse_from(words.split_whitespace());
        let also = also.map_err(|error| format!("in --also: {error}"))?;
        runs.push(Configuration::from(&also.configuration));
    }
    Ok(runs)
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    let said = |error: std::io::Error| format!("{}: {error}", path.display());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(said)?;
    }
    std::fs::write(path, text).map_err(said)
}

/// A bar on the terminal, and nothing in a log.
fn bar(length: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {elapsed}") {
        bar.set_style(style);
    }
    bar
}

fn load_project(arguments: &Arguments, judged: &Baseline, root: &Path) -> Result<Project, String> {
    let rust_src = find_rust_src(arguments.rust_src.as_deref())?;
    let spinner = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    spinner.enable_steady_tick(Duration::from_millis(120));
    let mut projects = Vec::new();
    for configuration in runs(arguments, judged)? {
        spinner.set_message("loading");
        let name = configuration.to_string();
        let request = Request {
            root: root.to_path_buf(),
            rust_src: rust_src.clone(),
            configuration,
            run_foreign_code: arguments.run_foreign_code,
        };
        projects.push((name, load(&request, &|step| spinner.set_message(step))?));
    }
    spinner.finish_and_clear();
    Ok(merge(projects))
}

struct Session<'a> {
    arguments: &'a Arguments,
    root: &'a Path,
    judged: Baseline,
    project: &'a Project,
    answers: &'a Audit,
    options: &'a Options,
}

impl Session<'_> {
    fn answer(&self, question: &Question) -> Result<ExitCode, String> {
        let (project, answers) = (self.project, self.answers);
        match question {
            Question::Summary => {
                let findings = report::wildcards(project, answers, None);
                let rows = report::summary(project, answers);
                let guesses = report::conversions(project);
                match self.arguments.format {
                    Form::Terminal => {
                        self.print(&findings);
                        print!("{}", report::summary_table(&rows));
                        println!("{}", self.count());
                        if !guesses.is_empty() {
                            println!(
                                "heuristic, apart from the above: {} places seem to make an enum \
                                 from something else; see `cargo match-audit conversions`",
                                guesses.len()
                            );
                        }
                    }
                    Form::Json => println!(
                        "{:#}",
                        json!({
                            "enums": report::summary_json(&rows),
                            "wildcards": report::json(&findings),
                            "heuristic-conversions": report::json(&guesses),
                            "sites": answers.sites.len(),
                            "unanalyzed": answers.unanalyzed.len(),
                        })
                    ),
                    Form::Sarif | Form::Github => self.print(&findings),
                }
                Ok(ExitCode::SUCCESS)
            }
            Question::WhatIf { name, all: _ } => self.what_if(name.as_deref()),
            Question::Unreachable => self.list(&report::unreachable(project, answers)),
            Question::Witnesses => self.list(&report::witnesses(project, answers)),
            Question::EmptyArms { all } => self.list(&report::empty_arms(project, answers, *all)),
            Question::Conversions => self.list(&report::conversions(project)),
            Question::Lowered => {
                println!("{}", report::lowered(project));
                Ok(ExitCode::SUCCESS)
            }
            Question::Unanalyzed => self.list(&report::unanalyzed(project, answers)),
            Question::Check { write } => self.check(*write),
        }
    }

    fn count(&self) -> String {
        let unanalyzed = self.answers.unanalyzed.len();
        let all = self.answers.sites.len() + unanalyzed;
        let note = if unanalyzed == 0 {
            String::new()
        } else {
            ": see `cargo match-audit unanalyzed`".into()
        };
        format!("{all} sites, {unanalyzed} not analyzed{note}")
    }

    fn list(&self, findings: &[Finding]) -> Result<ExitCode, String> {
        self.print(findings);
        if self.arguments.format == Form::Terminal {
            println!("{} findings; {}", findings.len(), self.count());
        }
        Ok(code(findings))
    }

    fn print(&self, findings: &[Finding]) {
        match self.arguments.format {
            Form::Terminal => {
                let colors = if std::io::stdout().is_terminal() {
                    Colors::Always
                } else {
                    Colors::Never
                };
                let read = |file: &str| std::fs::read_to_string(self.root.join(file)).ok();
                print!("{}", report::terminal(findings, read, colors));
            }
            Form::Json => println!("{:#}", report::json(findings)),
            Form::Sarif => println!("{:#}", report::sarif(findings)),
            Form::Github => print!("{}", report::github(findings)),
        }
    }

    fn what_if(&self, name: Option<&str>) -> Result<ExitCode, String> {
        let enums: Vec<_> = match name {
            Some(name) => self.project.enums_named(name).collect(),
            None => self.project.enums.iter().filter(|info| info.own).collect(),
        };
        if enums.is_empty() {
            return Err(format!(
                "no match mentions an enum {}",
                name.unwrap_or("of this workspace")
            ));
        }
        let mut findings = Vec::new();
        for info in enums {
            let growth = grow(self.project, self.answers, info.id, self.options);
            if self.arguments.format == Form::Terminal {
                println!(
                    "{}: {} sites break, {} absorb{}",
                    info.path,
                    growth.breaks.len(),
                    growth.absorbs.len(),
                    if growth.complete { "" } else { " (incomplete)" }
                );
            }
            // With all enums the counts are the answer.
            if name.is_some() || self.arguments.format != Form::Terminal {
                findings.extend(report::growth(self.project, info, &growth));
            }
        }
        self.print(&findings);
        Ok(ExitCode::SUCCESS)
    }

    fn check(&self, update: bool) -> Result<ExitCode, String> {
        let file = &self.arguments.baseline;
        let now = baseline::current(self.project, self.answers);
        let judged = if update {
            let judged = baseline::update(&self.judged, &now);
            write(&self.root.join(file), &baseline::write(&judged)?)?;
            judged
        } else {
            self.judged.clone()
        };
        let complaints = baseline::compare(&judged, &now);
        let shown = file.display().to_string();
        let mut findings = report::complaints(self.project, self.answers, &complaints, &shown);
        // What was not looked at is not judged.
        findings.extend(report::unanalyzed(self.project, self.answers));
        self.print(&findings);
        if self.arguments.format == Form::Terminal {
            println!(
                "{} judged wildcards, {} complaints; {}",
                judged.absorb.len(),
                complaints.len(),
                self.count()
            );
        }
        Ok(code(&findings))
    }
}

fn code(findings: &[Finding]) -> ExitCode {
    if findings.iter().any(|f| f.severity == Severity::Error) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
