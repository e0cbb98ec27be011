//! What the compiler says about a generated program.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::process::Command;

/// The compiler's findings, by byte offset.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// E0004: the offset of the scrutinee, and the message.
    pub(crate) unmatched: BTreeMap<usize, String>,
    /// Patterns called unreachable, by start and end.
    pub(crate) unreachable: BTreeSet<(usize, usize)>,
    /// Where never patterns are refused.
    refused: BTreeSet<usize>,
}

impl Findings {
    /// Returns the message of the E0004 inside these bytes.
    pub(crate) fn unmatched_in(&self, function: &Range<usize>) -> Option<&str> {
        let mut inside = self.unmatched.range(function.clone());
        inside.next().map(|(_, message)| message.as_str())
    }

    /// Says whether a never pattern is refused inside these bytes.
    pub(crate) fn refused_in(&self, function: &Range<usize>) -> bool {
        self.refused.range(function.clone()).next().is_some()
    }
}

/// What the compiler says of a never pattern where a value may be.
const NEVER_REFUSED: &str = "mismatched types";

/// Errors that the generated matches provoke on purpose or that do not concern matching.
const EXPECTED: [&str; 6] = ["E0004", "E0507", "E0508", "E0509", "E0382", "E0505"];

/// Compiles `file` with the given toolchain, for example `+nightly`.
pub(crate) fn compile(
    toolchain: Option<&str>,
    file: &Path,
    arguments: &[&str],
) -> Result<Findings, String> {
    let mut command = Command::new("rustc");
    command.args(toolchain);
    let output = command
        .args(["--edition", "2021", "--crate-type", "lib"])
        .args(["--emit", "metadata", "--error-format", "json"])
        .args(arguments)
        .arg(file)
        .output()
        .map_err(|error| format!("rustc does not start: {error}"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let mut findings = Findings::default();
    for line in text.lines() {
        let Ok(message) = serde_json::from_str::<serde_json::Value>(line) else {
            return Err(format!("rustc says: {line}"));
        };
        let code = message["code"]["code"].as_str().unwrap_or_default();
        let level = message["level"].as_str().unwrap_or_default();
        let said = message["message"].as_str().unwrap_or_default();
        let spans = message["spans"].as_array().cloned().unwrap_or_default();
        let primary = spans.iter().find(|span| span["is_primary"] == true);
        let offset = |key: &str| {
            primary
                .and_then(|span| span[key].as_u64())
                .unwrap_or_default() as usize
        };
        match code {
            "E0004" => {
                findings
                    .unmatched
                    .insert(offset("byte_start"), said.to_string());
            }
            "unreachable_patterns" => {
                findings
                    .unreachable
                    .insert((offset("byte_start"), offset("byte_end")));
            }
            "" if level == "error" && said == NEVER_REFUSED => {
                findings.refused.insert(offset("byte_start"));
            }
            "" if level == "error" && !said.starts_with("aborting due to") => {
                return Err(format!("{}: {said}", file.display()));
            }
            _ if level == "error" && !code.is_empty() && !EXPECTED.contains(&code) => {
                let rendered = message["rendered"].as_str().unwrap_or(said);
                return Err(format!("the generated program is wrong: {rendered}"));
            }
            _ => {}
        }
    }
    Ok(findings)
}
