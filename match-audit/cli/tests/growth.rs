//! What `what-if` says, checked by doing it: published crates get a variant more, one enum at a
//! time, and the compiler is asked which matches it refuses.

#[allow(dead_code, reason = "each test uses a part")]
mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use common::{Published, json};
use serde_json::Value;

/// A file, a line and a column, counted from 1.
type Place = (String, usize, usize);

#[test]
#[ignore = "downloads crates, and compiles each once for every enum"]
fn the_compiler_refuses_exactly_the_predicted_sites() {
    let crates = [
        ("regex-syntax", "0.8.11"),
        ("winnow", "1.0.5"),
        ("semver", "1.0.28"),
        ("rustc-demangle", "0.1.27"),
        ("toml_parser", "1.1.5"),
        ("httparse", "1.10.1"),
    ];
    let mut wrong = Vec::new();
    for (name, version) in crates {
        let published = Published::fetch(name, version);
        let predicted = predictions(&published);
        let mut tried = 0;
        for (enumeration, (declared, sites)) in &predicted {
            let Some(insert_at) = position_of(&published.root, declared) else {
                println!("{name}: {enumeration} is declared by a macro");
                continue;
            };
            tried += 1;
            let refused = refused_with_variant(&published, &declared.0, insert_at);
            if refused != *sites {
                wrong.push(format!(
                    "{enumeration}: predicted only: {:?}; refused only: {:?}",
                    sites.difference(&refused).collect::<Vec<_>>(),
                    refused.difference(sites).collect::<Vec<_>>(),
                ));
            }
        }
        println!("{name}: {tried} of {} enums tried", predicted.len());
        assert!(tried > 0, "{name}: nothing was tried");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Lists the own enums with where they are declared and the sites that are said to break.
fn predictions(published: &Published) -> BTreeMap<String, (Place, BTreeSet<Place>)> {
    let summary = json(&published.root, &[]);
    let mut all: BTreeMap<String, (Place, BTreeSet<Place>)> = BTreeMap::new();
    for info in summary["enums"].as_array().expect("enums") {
        let path = info["enum"].as_str().expect("a path");
        all.insert(path.into(), (place(&info["declared"]), BTreeSet::new()));
    }
    for finding in json(&published.root, &["what-if", "--all"])
        .as_array()
        .expect("findings")
    {
        if finding["rule"] == "new-variant-breaks" {
            let path = finding["enum"].as_str().expect("a path");
            let entry = all.get_mut(path).expect("an enum of the summary");
            entry.1.insert(place(finding));
        }
    }
    all
}

fn place(value: &Value) -> Place {
    let number = |key: &str| value[key].as_u64().expect("a number") as usize;
    let file = value["file"].as_str().expect("a file");
    (file.into(), number("line"), number("column"))
}

/// Returns where a variant can be put into an enum: the byte behind its opening brace. `None` if a
/// macro declares it, whose call is not read.
fn position_of(root: &Path, declared: &Place) -> Option<usize> {
    let text = std::fs::read_to_string(root.join(&declared.0)).expect("the source");
    let mut at = offset_of(&text, declared.1, declared.2);
    // The declaration begins with its comments and attributes.
    loop {
        let rest = &text[at..];
        at += rest.len() - rest.trim_start().len();
        let rest = rest.trim_start();
        at += if rest.starts_with("//") {
            rest.find('\n')?
        } else if rest.starts_with("/*") {
            rest.find("*/")? + 2
        } else if rest.starts_with("#[") {
            let mut depth = 0_usize;
            let close = |c: char| {
                depth = match c {
                    '[' => depth + 1,
                    ']' => depth - 1,
                    _ => depth,
                };
                c == ']' && depth == 0
            };
            rest.find(close)? + 1
        } else {
            break;
        };
    }
    let (head, _) = text[at..].split_once('{')?;
    let is_enum = head.split([' ', '(', ')', '\n']).any(|word| word == "enum");
    is_enum.then(|| at + head.len() + 1)
}

/// Compiles the crate with one variant more and returns the sites that are refused.
fn refused_with_variant(published: &Published, file: &str, at: usize) -> BTreeSet<Place> {
    let path = published.root.join(file);
    let text = std::fs::read_to_string(&path).expect("the source");
    let mut changed = text.clone();
    // On the line that is there already, so that no other place moves to another line.
    changed.insert_str(at, " MatchAuditNew,");
    std::fs::write(&path, &changed).expect("the source");
    let output = published
        .cargo()
        .args(["check", "--lib", "--message-format", "json"])
        .output()
        .expect("cargo starts");
    std::fs::write(&path, text).expect("the source");
    let mut refused = BTreeSet::new();
    let mut other = Vec::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Ok(message) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        let message = &message["message"];
        match message["code"]["code"].as_str() {
            Some("E0004" | "E0005") => {
                let spans = message["spans"].as_array().expect("spans");
                let span = spans.iter().find(|span| span["is_primary"] == true);
                refused.insert(site_of(published, span.expect("a place")));
            }
            Some(code) if message["level"] == "error" => other.push(code.to_string()),
            _ => {}
        }
    }
    assert!(
        other.is_empty() && (output.status.success() || !refused.is_empty()),
        "{file}: {other:?} {}",
        String::from_utf8_lossy(&output.stderr)
    );
    refused
}

/// Returns where the site of an error begins. The compiler points at what is matched on; the site
/// begins at the keyword before it. In a macro, the site is the call.
fn site_of(published: &Published, span: &Value) -> Place {
    let mut outermost = span;
    while outermost["expansion"]["span"].is_object() {
        outermost = &outermost["expansion"]["span"];
    }
    let number = |key: &str| outermost[key].as_u64().expect("a number") as usize;
    let file = outermost["file_name"].as_str().expect("a file").to_string();
    let start = (file.clone(), number("line_start"), number("column_start"));
    if !std::ptr::eq(outermost, span) {
        return start;
    }
    let text = std::fs::read_to_string(published.root.join(&file)).expect("the source");
    // The byte is one of the changed file; lines and columns before the change are not touched.
    let offset = offset_of(&text, start.1, start.2);
    let before = text[..offset].trim_end_matches(|c: char| c.is_whitespace() || c == '(');
    let Some(keyword) = before.strip_suffix("match") else {
        return start;
    };
    let line = keyword.matches('\n').count() + 1;
    let begin = keyword.rfind('\n').map_or(0, |at| at + 1);
    (file, line, keyword[begin..].chars().count() + 1)
}

fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let begin: usize = text
        .split_inclusive('\n')
        .take(line - 1)
        .map(str::len)
        .sum();
    let rest = &text[begin..];
    let inside = rest.char_indices().nth(column - 1);
    begin + inside.map_or(rest.len(), |(at, _)| at)
}
