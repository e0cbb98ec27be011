//! Several runs made into one.

use match_audit_sites::baseline;
use match_audit_sites::*;
use match_audit_usefulness::never::Access;
use match_audit_usefulness::*;

fn location(line: u32) -> Location {
    Location {
        file: "src/lib.rs".into(),
        line,
        column: 9,
        length: 1,
    }
}

/// A run that sees `line`, a match over an enum with these variants; `padding` moves all numbers.
fn run(line: u32, variants: &[&str], padding: u32) -> Project {
    let id = EnumId(u64::from(padding));
    let path = |variant: &&str| ConstructorName::Tuple(format!("Device::{variant}"));
    let info = |text: &str, line| ArmInfo {
        location: location(line),
        text: text.into(),
        absorb: None,
    };
    let mut types = vec![
        TypeInfo {
            shape: Shape::Bool,
            names: Names::None,
        };
        padding as usize
    ];
    types.push(TypeInfo {
        shape: Shape::sum(id, variants.iter().map(|_| Variant::new([]))),
        names: Names::Variants(variants.iter().map(path).collect()),
    });
    Project {
        types,
        enums: vec![EnumInfo {
            id,
            path: "model::Device".into(),
            variants: variants.iter().map(ToString::to_string).collect(),
            own: true,
            location: Some(location(1)),
        }],
        sites: vec![Site {
            kind: SiteKind::Match,
            location: location(line),
            function: "f".into(),
            matched: Match {
                scrutinee: TypeId(padding),
                validity: Validity::KnownValid,
                arms: vec![Arm::new(Pat::variant(0, [])), Arm::new(Pat::wild())],
            },
            arms: vec![info("Device::A", line + 1), info("_", line + 2)],
            access: Access::Ordinary,
            empty_arm: None,
            run: None,
        }],
        unanalyzed: Vec::new(),
        conversions: Vec::new(),
    }
}

fn merged(runs: Vec<Project>) -> Project {
    let named = runs.into_iter().enumerate();
    merge(named.map(|(at, run)| (format!("run {at}"), run)).collect())
}

#[test]
fn a_site_that_two_runs_see_alike_is_one_site() {
    let project = merged(vec![run(10, &["A", "B"], 0), run(10, &["A", "B"], 3)]);
    assert_eq!(project.sites.len(), 1);
    assert_eq!(project.enums.len(), 1);
    assert_eq!(project.sites[0].run, None);
}

#[test]
fn sites_of_either_run_keep_their_own_types() {
    let project = merged(vec![run(10, &["A", "B"], 2), run(20, &["A", "B", "C"], 5)]);
    let answers = audit(&project, &Options::default(), |_| {});
    let absorbed: Vec<_> = answers
        .sites
        .iter()
        .map(|it| it.absorbed[0].variants.clone())
        .collect();
    assert_eq!(absorbed, [vec![1], vec![1, 2]]);
    assert!(answers.unanalyzed.is_empty());
}

#[test]
fn a_variant_of_one_run_alone_makes_two_sites_but_one_judged_arm() {
    let project = merged(vec![run(10, &["A", "B"], 0), run(10, &["A", "B", "C"], 0)]);
    let runs: Vec<_> = project.sites.iter().map(|it| it.run.as_deref()).collect();
    assert_eq!(runs, [Some("run 0"), Some("run 1")]);
    let answers = audit(&project, &Options::default(), |_| {});
    let now = baseline::current(&project, &answers);
    assert_eq!(now.len(), 1);
    assert_eq!(now[0].0.arms, 1);
    assert_eq!(now[0].0.variants, ["B", "C"]);
}

#[test]
fn what_one_run_could_analyze_is_analyzed() {
    let failed = |line| Unanalyzed {
        kind: SiteKind::Match,
        location: location(line),
        why: "its type is not known".into(),
    };
    let mut blind = run(10, &["A", "B"], 0);
    blind.sites.clear();
    blind.unanalyzed = vec![failed(10), failed(30)];
    let project = merged(vec![blind.clone(), run(10, &["A", "B"], 0), blind]);
    let left: Vec<u32> = project
        .unanalyzed
        .iter()
        .map(|it| it.location.line)
        .collect();
    assert_eq!(left, [30]);
}

#[test]
fn a_configuration_says_itself_in_options_and_survives_the_file() {
    let configuration = Configuration {
        features: vec!["a".into()],
        target: Some("t".into()),
        cfg: vec!["loom".into()],
        ..Configuration::default()
    };
    assert_eq!(
        configuration.to_string(),
        "--features a --cfg loom --target t"
    );
    let file = baseline::Baseline {
        run: vec![Configuration::default(), configuration],
        absorb: Vec::new(),
    };
    let text = baseline::write(&file).unwrap();
    assert_eq!(baseline::parse(&text).unwrap(), file, "{text}");
    assert!(baseline::parse("[[run]]\nfeature = \"a\"").is_err());
}
