//! No file of the product names a package registry's host or a path of a developer's machine.

use super::Findings;
use crate::{paths, process};
use anyhow::{Context, Result};
use std::process::Command;

/// Files that tools write, with addresses of their own.
const EXEMPT: [&str; 1] = ["Cargo.lock"];

/// Checks every file that is committed or about to be.
pub(crate) fn check() -> Result<Findings> {
    let root = paths::workspace_root();
    let list = process::capture(Command::new("git").current_dir(&root).args([
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
    ]))
    .context("cannot list the files of the project")?;
    let words = forbidden();
    let mut findings = Findings::default();
    let mut count = 0;
    for name in list.lines() {
        if EXEMPT.iter().any(|exempt| name.ends_with(exempt)) {
            continue;
        }
        // A file may be deleted and not yet committed, or hold no text.
        let Ok(text) = std::fs::read_to_string(root.join(name)) else {
            continue;
        };
        count += 1;
        findings.violations.extend(
            find(&text, &words)
                .into_iter()
                .map(|(line, word)| format!("{name}:{line}: names {word}")),
        );
    }
    findings.notes.push(format!("{count} files"));
    Ok(findings)
}

/// The words, put together here so that this file does not hold them.
fn forbidden() -> Vec<String> {
    let hosts = [
        ["crates", ".io"],
        ["static.rust-lang", ".org"],
        ["deb.debian", ".org"],
        ["security.debian", ".org"],
        ["snapshot.debian", ".org"],
        ["archive.ubuntu", ".com"],
        ["ports.ubuntu", ".com"],
        ["proxy.golang", ".org"],
        ["registry.npmjs", ".org"],
        ["pypi", ".org"],
        ["arti", "factory"],
    ];
    let folders = [
        ["/wo", "rk/"],
        ["/ho", "me/"],
        ["/Us", "ers/"],
        ["/root/", "."],
    ];
    hosts
        .iter()
        .chain(&folders)
        .map(|parts| parts.concat())
        .collect()
}

fn find<'a>(text: &str, words: &'a [String]) -> Vec<(usize, &'a str)> {
    text.lines()
        .enumerate()
        .flat_map(|(index, line)| {
            words
                .iter()
                .filter(|word| line.contains(word.as_str()))
                .map(move |word| (index + 1, word.as_str()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planted_host_or_path_is_found_with_its_line() {
        let words = forbidden();
        let text = format!(
            "fine\nfetch https://{}/x\n",
            ["deb.debian", ".org"].concat()
        );
        assert_eq!(find(&text, &words).len(), 1);
        assert_eq!(find(&text, &words)[0].0, 2);
        let text = format!("path = \"{}main\"", ["/wo", "rk/"].concat());
        assert_eq!(find(&text, &words).len(), 1);
        assert!(find("HOME=/root cd /root", &words).is_empty());
    }
}
