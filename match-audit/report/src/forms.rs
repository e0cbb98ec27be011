//! The forms of findings.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde_json::{Value, json};

use crate::finding::{Finding, Rule, Severity};

/// Writes findings with the source around them, as the compiler does. `read` returns a file's
/// text; `colors` asks for escape codes.
pub fn terminal(
    findings: &[Finding],
    mut read: impl FnMut(&str) -> Option<String>,
    colors: Colors,
) -> String {
    let renderer = match colors {
        Colors::Never => Renderer::plain(),
        Colors::Always => Renderer::styled(),
    };
    let mut out = String::new();
    for finding in findings {
        let level = match finding.severity {
            Severity::Note => Level::NOTE,
            Severity::Warning => Level::WARNING,
            Severity::Error => Level::ERROR,
        };
        let location = &finding.label.location;
        let text = read(&location.file);
        let range = text
            .as_deref()
            .and_then(|text| byte_range(text, location.line, location.column, location.length));
        let mut group = level
            .primary_title(finding.message.as_str())
            .id(finding.rule.name());
        let mut elements = None;
        if let (Some(text), Some(range)) = (&text, range) {
            let annotation = AnnotationKind::Primary
                .span(range)
                .label(finding.label.text.as_str());
            elements = Some(
                Snippet::source(text.as_str())
                    .path(location.file.as_str())
                    .annotation(annotation),
            );
        } else {
            group = group.id(finding.rule.name());
        }
        let mut group = match elements {
            Some(snippet) => group.element(snippet),
            None => {
                let place = format!("{location}: {}", finding.label.text);
                group.element(Level::NOTE.message(place))
            }
        };
        if let Some(help) = &finding.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        out += &renderer.render(&[group]).to_string();
        out += "\n\n";
    }
    out
}

/// Whether to use colors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colors {
    /// Plain text.
    Never,
    /// Escape codes.
    Always,
}

fn byte_range(text: &str, line: u32, column: u32, length: u32) -> Option<std::ops::Range<usize>> {
    let mut start = 0;
    for _ in 1..line {
        start += text.get(start..)?.find('\n')? + 1;
    }
    let rest = text.get(start..)?;
    let offset = |count: usize| {
        rest.char_indices()
            .nth(count)
            .map_or(rest.len(), |(at, _)| at)
    };
    let from = offset(column.checked_sub(1)? as usize);
    let to = offset(column.checked_sub(1)? as usize + length as usize);
    Some(start + from..start + to)
}

/// Writes findings as JSON.
pub fn json(findings: &[Finding]) -> Value {
    findings
        .iter()
        .map(|finding| {
            let location = &finding.label.location;
            json!({
                "rule": finding.rule.name(),
                "severity": severity(finding.severity),
                "enum": finding.enumeration,
                "message": finding.message,
                "file": location.file,
                "line": location.line,
                "column": location.column,
                "label": finding.label.text,
                "help": finding.help,
            })
        })
        .collect()
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Note => "note",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

/// Writes findings in SARIF 2.1.0, for code-scanning views.
pub fn sarif(findings: &[Finding]) -> Value {
    let rules: Vec<Value> = Rule::ALL
        .iter()
        .map(
            |rule| json!({ "id": rule.name(), "shortDescription": { "text": rule.description() } }),
        )
        .collect();
    let results: Vec<Value> = findings
        .iter()
        .map(|finding| {
            let location = &finding.label.location;
            let mut text = finding.message.clone();
            if !finding.label.text.is_empty() {
                text += &format!(" ({})", finding.label.text);
            }
            json!({
                "ruleId": finding.rule.name(),
                "level": severity(finding.severity),
                "message": { "text": text },
                "locations": [{ "physicalLocation": {
                    "artifactLocation": { "uri": location.file, "uriBaseId": "%SRCROOT%" },
                    "region": {
                        "startLine": location.line,
                        "startColumn": location.column,
                        "endColumn": location.column + location.length,
                    },
                } }],
            })
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "match-audit",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

/// Writes findings as workflow commands, one line each.
pub fn github(findings: &[Finding]) -> String {
    let mut out = String::new();
    for finding in findings {
        let command = match finding.severity {
            Severity::Note => "notice",
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        let location = &finding.label.location;
        let property = |text: &str| escape(text).replace(':', "%3A").replace(',', "%2C");
        let mut text = finding.message.clone();
        if !finding.label.text.is_empty() {
            text += &format!("\n{}", finding.label.text);
        }
        out += &format!(
            "::{command} file={},line={},col={},title={}::{}\n",
            property(&location.file),
            location.line,
            location.column,
            finding.rule.name(),
            escape(&text)
        );
    }
    out
}

/// A line break would end the command, and what follows could be another one.
fn escape(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}
