//! Findings of a small project in all forms.

use match_audit_report::*;
use match_audit_sites::*;
use match_audit_usefulness::never::Access;
use match_audit_usefulness::*;

const SOURCE: &str =
    "fn f(d: Device) {\n    match d {\n        Device::A => {}\n        _ => {}\n    }\n}\n";

fn at(line: u32, column: u32, length: u32) -> Location {
    Location {
        file: "src/lib.rs".into(),
        line,
        column,
        length,
    }
}

fn project() -> Project {
    let name = |v: &str| ConstructorName::Tuple(format!("Device::{v}"));
    let arm = |line, text: &str| ArmInfo {
        location: at(line, 9, text.len() as u32),
        text: text.into(),
        absorb: None,
    };
    Project {
        types: vec![TypeInfo {
            shape: Shape::sum(EnumId(0), (0..3).map(|_| Variant::new([]))),
            names: Names::Variants(vec![name("A"), name("B<&>"), name("C")]),
        }],
        enums: vec![EnumInfo {
            id: EnumId(0),
            path: "model::Device".into(),
            variants: ["A", "B<&>", "C"].map(String::from).to_vec(),
            own: true,
            location: None,
        }],
        sites: vec![Site {
            kind: SiteKind::Match,
            location: at(2, 5, 9),
            function: "f".into(),
            matched: Match {
                scrutinee: TypeId(0),
                validity: Validity::KnownValid,
                arms: vec![Arm::new(Pat::variant(0, [])), Arm::new(Pat::wild())],
            },
            arms: vec![arm(3, "Device::A"), arm(4, "_")],
            access: Access::Ordinary,
            empty_arm: None,
            run: None,
        }],
        unanalyzed: vec![],
        conversions: vec![],
    }
}

fn findings() -> Vec<Finding> {
    let project = project();
    let audit = audit(&project, &Options::default(), |_| {});
    wildcards(&project, &audit, None)
}

#[test]
fn terminal_shows_the_arm_in_its_source() {
    let read = |file: &str| (file == "src/lib.rs").then(|| SOURCE.to_string());
    let text = terminal(&findings(), read, Colors::Never);
    assert!(text.contains("4 |         _ => {}"), "{text}");
    assert!(text.contains("swallows B<&>, C"), "{text}");
    // Without the source the place is still named.
    let text = terminal(&findings(), |_| None, Colors::Never);
    assert!(text.contains("src/lib.rs:4:9"), "{text}");
}

#[test]
fn machine_forms_carry_rule_and_place() {
    let all = findings();
    assert_eq!(json(&all)[0]["line"], 4);
    let log = sarif(&all);
    let result = &log["runs"][0]["results"][0];
    assert_eq!(result["ruleId"], "wildcard-swallows");
    let region = &result["locations"][0]["physicalLocation"]["region"];
    assert_eq!(region["startLine"], 4);
    let text = github(&all);
    assert_eq!(text.lines().count(), 1);
    assert!(text.starts_with("::notice file=src/lib.rs,line=4,col=9,"));
}

#[test]
fn what_the_source_says_is_escaped() {
    let mut all = findings();
    all[0].message = "a\n::error::b".into();
    assert_eq!(github(&all).lines().count(), 1);
    let project = project();
    let audit = audit(&project, &Options::default(), |_| {});
    let page = html(&project, &audit);
    assert!(page.contains("B&lt;&amp;&gt;"));
    assert!(!page.contains("B<&>"));
}

#[test]
fn summary_counts_sites_and_variants() {
    let project = project();
    let audit = audit(&project, &Options::default(), |_| {});
    let rows = summary(&project, &audit);
    assert_eq!((rows[0].sites, rows[0].wildcard), (1, 1));
    assert_eq!(rows[0].swallowed, ["B<&>", "C"]);
    assert!(summary_table(&rows).contains("2 of 3"));
}
