//! Runs the tool on the model project. Needs the component rust-src.

#[allow(dead_code, reason = "each test uses a part")]
mod common;

use std::path::{Path, PathBuf};

use common::run;
use serde_json::Value;

fn model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/model")
}

fn json(arguments: &[&str]) -> Value {
    common::json(&model(), arguments)
}

fn with_rule<'v>(findings: &'v Value, rule: &str) -> Vec<&'v Value> {
    let all = findings.as_array().expect("a list");
    all.iter()
        .filter(|finding| finding["rule"] == rule)
        .collect()
}

#[test]
fn all_sites_are_analyzed() {
    let summary = json(&[]);
    assert_eq!(summary["unanalyzed"], 0, "{:#}", json(&["unanalyzed"]));
}

#[test]
fn a_new_device_breaks_six_sites() {
    let findings = json(&["what-if", "Device"]);
    assert_eq!(with_rule(&findings, "new-variant-breaks").len(), 6);
    assert_eq!(with_rule(&findings, "new-variant-absorbed").len(), 0);
}

#[test]
fn a_new_state_breaks_nothing_and_the_table_absorbs_it() {
    let findings = json(&["what-if", "SpState"]);
    assert_eq!(with_rule(&findings, "new-variant-breaks").len(), 0);
    let absorbed = with_rule(&findings, "new-variant-absorbed");
    assert_eq!(absorbed.len(), 1, "{findings:#}");
    assert_eq!(absorbed[0]["line"], 85);
}

#[test]
fn every_kind_of_site_absorbs() {
    let findings = json(&["what-if", "model::Kind"]);
    // `unreachable_arm` names all; the others are if let, while let, let else, matches!, a slice
    // and a macro of the project.
    assert_eq!(with_rule(&findings, "new-variant-breaks").len(), 1);
    let absorbed = with_rule(&findings, "new-variant-absorbed");
    assert_eq!(absorbed.len(), 6, "{findings:#}");
}

#[test]
fn a_covered_arm_is_found() {
    let findings = json(&["unreachable"]);
    let findings = with_rule(&findings, "unreachable-pattern");
    let texts: Vec<&str> = findings
        .iter()
        .filter_map(|f| f["message"].as_str())
        .collect();
    assert!(
        texts.iter().any(|text| text.contains("`Kind::B`")),
        "{texts:?}"
    );
}

#[test]
fn a_left_out_empty_arm_is_found_on_request() {
    let near_raw = json(&["empty-arms"]);
    let near_raw = with_rule(&near_raw, "omitted-empty-arm");
    // The one that a comment answers is not among them.
    let labels: Vec<_> = near_raw.iter().map(|f| &f["severity"]).collect();
    assert_eq!(labels, ["warning"], "{near_raw:#?}");
    let all = json(&["empty-arms", "--all"]);
    let answered = with_rule(&all, "omitted-empty-arm");
    assert!(answered.iter().any(|f| {
        f["severity"] == "note"
            && f["help"]
                .as_str()
                .is_some_and(|it| it.contains("has promised"))
    }));
    assert!(
        with_rule(&all, "omitted-empty-arm")
            .iter()
            .any(|finding| finding["message"]
                .as_str()
                .is_some_and(|m| m.contains("this let"))),
        "{all:#}"
    );
}

#[test]
fn conversions_are_guessed_and_said_to_be_guesses() {
    let findings = json(&["conversions"]);
    let found: Vec<String> = with_rule(&findings, "conversion-may-lose")
        .iter()
        .map(|finding| {
            let message = finding["message"].as_str().unwrap_or_default();
            assert!(message.starts_with("heuristic: "), "{message}");
            let function = message.split('`').nth(1).unwrap_or_default();
            let label = finding["label"].as_str().unwrap_or_default();
            format!("{function} {label}")
        })
        .collect();
    assert_eq!(
        found,
        [
            "Code::ALL names 3 of 3 variants: A, B, C",
            "Code::from_number names 2 of 3 variants: A, B",
            "Code::from_text names 3 of 3 variants: A, B, C",
        ]
    );
}

#[test]
fn constants_around_numbers_are_looked_into() {
    assert_eq!(json(&["witnesses"]).as_array().map(Vec::len), Some(0));
}

#[test]
fn enums_of_one_name_in_two_functions_are_told_apart() {
    let first = json(&["what-if", "model::first::Step"]);
    assert_eq!(with_rule(&first, "new-variant-absorbed").len(), 1);
    assert_eq!(with_rule(&first, "new-variant-breaks").len(), 0);
    let second = json(&["what-if", "model::second::Step"]);
    assert_eq!(with_rule(&second, "new-variant-breaks").len(), 1);
    assert_eq!(with_rule(&second, "new-variant-absorbed").len(), 0);
}

#[test]
fn runs_are_merged_and_differing_types_told_apart() {
    let sites = |arguments: &[&str]| json(arguments)["sites"].as_u64().expect("a number");
    let (plain, grown) = (sites(&[]), sites(&["--cfg", "grown"]));
    assert_eq!(grown, plain + 1);
    // `boards` is seen with one variant and with two.
    assert_eq!(sites(&["--also", "--cfg grown"]), grown + 1);
    let findings = json(&["what-if", "Board", "--also", "--cfg grown"]);
    let absorbed = with_rule(&findings, "new-variant-absorbed");
    let text = format!("{absorbed:?}");
    assert_eq!(absorbed.len(), 2, "{text}");
    assert!(text.contains("seen with --cfg grown"), "{text}");
    assert!(text.contains("seen with default options"), "{text}");
}

#[test]
fn a_package_that_is_not_there_is_an_error() {
    let output = run(&model(), &["-p", "nobody"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no package nobody"));
}

#[test]
fn check_fails_until_a_person_has_judged() {
    let folder = std::env::temp_dir().join(format!("match-audit-model-{}", std::process::id()));
    let source = folder.join("src");
    std::fs::create_dir_all(&source).expect("a folder");
    for file in ["Cargo.toml", "Cargo.lock", "src/lib.rs"] {
        std::fs::copy(model().join(file), folder.join(file)).expect("a copy");
    }
    let baseline = folder.join("match-audit.toml");
    assert_eq!(run(&folder, &["check"]).status.code(), Some(1));
    assert_eq!(run(&folder, &["check", "--write"]).status.code(), Some(1));
    let text = std::fs::read_to_string(&baseline).expect("the baseline");
    let judged = text.replace("reason = \"\"", "reason = \"a test\"");
    std::fs::write(&baseline, judged).expect("the baseline");
    let output = run(&folder, &["check"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    // One more state is swallowed by a judged wildcard: it must be judged again.
    let lib = source.join("lib.rs");
    let text = std::fs::read_to_string(&lib).expect("the source");
    std::fs::write(
        &lib,
        text.replace("    Preempted,", "    Preempted,\n    Stopped,"),
    )
    .expect("the source");
    let output = run(&folder, &["check"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("now also swallows Stopped"));
    let _ = std::fs::remove_dir_all(&folder);
}
