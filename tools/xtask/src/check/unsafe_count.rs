//! Counts unsafe code, and checks that each block has a safety comment of its own.

use super::Findings;
use super::sources::SourceFile;
use anyhow::{Result, anyhow};
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The only folders that may hold unsafe code.
pub(crate) const FOLDERS: &[&str] = &["arch", "images", "payloads"];

/// How much unsafe code a crate has.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Totals {
    /// `unsafe { … }`, in macros too.
    pub(crate) blocks: usize,
    /// `unsafe impl`.
    pub(crate) impls: usize,
    /// `#[unsafe(…)]`, such as `no_mangle`.
    pub(crate) attributes: usize,
}

/// What was counted.
#[derive(Debug, Default)]
pub(crate) struct Count {
    /// By crate (`arch/aarch64`).
    pub(crate) totals: BTreeMap<String, Totals>,
    /// The places that have no safety comment.
    uncommented: Vec<String>,
    comments: usize,
}

/// Counts the unsafe code of files.
pub(crate) fn count(files: &[SourceFile]) -> Result<Count> {
    let mut count = Count::default();
    for file in files {
        let tokens: TokenStream = file
            .text
            .parse()
            .map_err(|error| anyhow!("{}: {error}", file.path))?;
        let mut found = Vec::new();
        scan(tokens, &mut found);
        let totals = count.totals.entry(crate_of(&file.path)).or_default();
        let lines: Vec<&str> = file.text.lines().collect();
        let mut floor = 0;
        for (line, kind) in found {
            match kind {
                Kind::Attribute => {
                    totals.attributes += 1;
                    continue;
                }
                Kind::Block => totals.blocks += 1,
                Kind::Impl => totals.impls += 1,
            }
            if has_comment(&lines, line, floor) {
                count.comments += 1;
            } else {
                count.uncommented.push(format!("{}:{line}", file.path));
            }
            floor = line;
        }
    }
    Ok(count)
}

/// Counts, and reports every block without a safety comment.
pub(crate) fn check(files: &[SourceFile]) -> Result<Findings> {
    let count = count(files)?;
    let mut findings = Findings::default();
    for (name, totals) in &count.totals {
        findings.notes.push(format!(
            "{name}: {} unsafe blocks, {} unsafe impls, {} unsafe attributes",
            totals.blocks, totals.impls, totals.attributes
        ));
    }
    findings
        .notes
        .push(format!("{} safety comments", count.comments));
    for place in count.uncommented {
        findings.violations.push(format!(
            "{place}: unsafe code without its own SAFETY comment"
        ));
    }
    Ok(findings)
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Block,
    Impl,
    Attribute,
}

/// Finds `unsafe` by what follows it. Tokens, not syntax: macros' bodies count too.
fn scan(tokens: TokenStream, found: &mut Vec<(usize, Kind)>) {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Group(group) => scan(group.stream(), found),
            TokenTree::Ident(name) if name == "unsafe" => {
                let kind = match tokens.peek() {
                    Some(TokenTree::Group(group)) => match group.delimiter() {
                        Delimiter::Brace => Some(Kind::Block),
                        Delimiter::Parenthesis => Some(Kind::Attribute),
                        Delimiter::Bracket | Delimiter::None => None,
                    },
                    Some(TokenTree::Ident(next)) if next == "impl" => Some(Kind::Impl),
                    _ => None,
                };
                found.extend(kind.map(|kind| (name.span().start().line, kind)));
            }
            _ => {}
        }
    }
}

/// Tells whether the comment of an unsafe block stands on its line or above it: over attributes
/// and the first lines of its statement, but never over the unsafe block before it.
fn has_comment(lines: &[&str], line: usize, floor: usize) -> bool {
    const REACH: usize = 12;
    let says_why = |text: &str| {
        text.find("//").is_some_and(|start| {
            text.get(start..)
                .is_some_and(|rest| rest.contains("SAFETY:"))
        })
    };
    let end = line.min(lines.len());
    let start = floor.max(end.saturating_sub(REACH));
    lines
        .get(start..end)
        .is_some_and(|nearby| nearby.iter().any(|text| says_why(text)))
}

fn crate_of(path: &str) -> String {
    path.split('/').take(2).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Vec<SourceFile> {
        vec![SourceFile {
            path: "arch/x/src/lib.rs".to_owned(),
            text: text.to_owned(),
        }]
    }

    #[test]
    fn blocks_impls_and_attributes_are_counted_in_macros_too() {
        let text = "#[unsafe(no_mangle)]\nunsafe fn f() {}\n// SAFETY: a\nunsafe impl Sync for X {}\nmacro_rules! m { () => {\n// SAFETY: b\nunsafe { g() }\n} }\n// unsafe { in a comment }\n";
        let count = count(&file(text)).unwrap();
        let totals = count.totals["arch/x"];
        assert_eq!(
            totals,
            Totals {
                blocks: 1,
                impls: 1,
                attributes: 1
            }
        );
        assert!(count.uncommented.is_empty());
        assert_eq!(count.comments, 2);
    }

    #[test]
    fn a_block_without_its_own_comment_is_a_violation() {
        let text = "fn f() {\n// SAFETY: one\nunsafe { a() };\nunsafe { b() };\n}\n";
        let findings = check(&file(text)).unwrap();
        assert_eq!(findings.violations.len(), 1);
        assert!(findings.violations[0].starts_with("arch/x/src/lib.rs:4"));
    }

    #[test]
    fn the_word_in_a_string_is_no_comment() {
        let text = "fn f() {\nlet x = \"SAFETY:\";\nunsafe { a() };\n}\n";
        assert_eq!(check(&file(text)).unwrap().violations.len(), 1);
    }
}
