//! Loads, asks, prints.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use match_audit_frontend::{Features, Request, find_rust_src, load};
use match_audit_report as report;
use match_audit_report::{Colors, Finding, Severity};
use match_audit_sites::baseline::{self, Baseline};
use match_audit_sites::{Audit, Project, audit, grow};
use match_audit_usefulness::Options;
use serde_json::json;

use crate::arguments::{Arguments, Form, Question};

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let root = root_of(&arguments.manifest_path);
    let options = Options {
        work_limit: arguments.work_limit,
        ..Options::default()
    };
    let project = load_project(arguments, &root)?;
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
        project: &project,
        answers: &answers,
        options: &options,
    };
    session.answer(arguments.question.as_ref().unwrap_or(&Question::Summary))
}

fn root_of(path: &Path) -> PathBuf {
    if path.ends_with("Cargo.toml") {
        let parent = path.parent().unwrap_or(path);
        if parent.as_os_str().is_empty() {
            return ".".into();
        }
        return parent.into();
    }
    path.into()
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

fn load_project(arguments: &Arguments, root: &Path) -> Result<Project, String> {
    let spinner = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    spinner.enable_steady_tick(Duration::from_millis(120));
    spinner.set_message("loading");
    let request = Request {
        root: root.to_path_buf(),
        rust_src: find_rust_src(arguments.rust_src.as_deref())?,
        features: if arguments.all_features {
            Features::All
        } else {
            Features::Selected {
                list: arguments
                    .features
                    .iter()
                    .flat_map(|words| words.split_whitespace())
                    .map(str::to_string)
                    .collect(),
                no_default: arguments.no_default_features,
            }
        },
        target: arguments.target.clone(),
        all_targets: arguments.all_targets,
        run_foreign_code: arguments.run_foreign_code,
    };
    let project = load(&request, &|step| spinner.set_message(step))?;
    spinner.finish_and_clear();
    Ok(project)
}

struct Session<'a> {
    arguments: &'a Arguments,
    root: &'a Path,
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
                match self.arguments.format {
                    Form::Terminal => {
                        self.print(&findings);
                        print!("{}", report::summary_table(&rows));
                        println!("{}", self.count());
                    }
                    Form::Json => println!(
                        "{:#}",
                        json!({
                            "enums": report::summary_json(&rows),
                            "wildcards": report::json(&findings),
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
            Question::Unanalyzed => self.list(&report::unanalyzed(project, answers)),
            Question::Check { baseline, write } => self.check(baseline, *write),
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

    fn check(&self, file: &Path, update: bool) -> Result<ExitCode, String> {
        let path = self.root.join(file);
        let judged = match std::fs::read_to_string(&path) {
            Ok(text) => {
                baseline::parse(&text).map_err(|error| format!("{}: {error}", path.display()))?
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Baseline::default(),
            Err(error) => return Err(format!("{}: {error}", path.display())),
        };
        let now = baseline::current(self.project, self.answers);
        let judged = if update {
            let judged = baseline::update(&judged, &now);
            write(&path, &baseline::write(&judged)?)?;
            judged
        } else {
            judged
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
