//! The audit on a hand-made model of a small hypervisor: one enum of devices that is matched in
//! full, and one of states whose transition table has a wildcard.

use match_audit_sites::baseline::{self, Baseline, Complaint};
use match_audit_sites::*;
use match_audit_usefulness::never::Access;
use match_audit_usefulness::*;

const DEVICE: EnumId = EnumId(0);
const STATE: EnumId = EnumId(1);

fn names(enumeration: &str, variants: &[&str]) -> Names {
    let path = |variant: &&str| ConstructorName::Tuple(format!("{enumeration}::{variant}"));
    Names::Variants(variants.iter().map(path).collect())
}

fn location(line: u32) -> Location {
    Location {
        file: "src/lib.rs".into(),
        line,
        column: 9,
        length: 1,
    }
}

fn site(line: u32, function: &str, scrutinee: u32, arms: Vec<(Pat<TypeId>, &str)>) -> Site {
    let (pats, texts): (Vec<_>, Vec<_>) = arms.into_iter().unzip();
    Site {
        kind: SiteKind::Match,
        location: location(line),
        function: function.into(),
        matched: Match {
            scrutinee: TypeId(scrutinee),
            validity: Validity::KnownValid,
            arms: pats.into_iter().map(Arm::new).collect(),
        },
        arms: texts
            .into_iter()
            .map(|text| ArmInfo {
                location: location(line + 1),
                text: text.into(),
                absorb: None,
            })
            .collect(),
        access: Access::Ordinary,
        empty_arm: None,
        run: None,
    }
}

/// Six matches over four devices, and one table over five states.
fn model(legal: &[(usize, usize)]) -> Project {
    let devices = ["Uart", "GicDistributor", "GicRedistributor", "VirtioBlk"];
    let states = ["Reset", "Idle", "Running", "Blocked", "Preempted"];
    let info = |id, path: &str, variants: &[&str]| EnumInfo {
        id,
        path: path.into(),
        variants: variants.iter().map(ToString::to_string).collect(),
        own: true,
        location: None,
    };
    let unit = |_: &&str| Variant::new([]);
    let mut project = Project {
        types: vec![
            TypeInfo {
                shape: Shape::sum(DEVICE, devices.iter().map(unit)),
                names: names("Device", &devices),
            },
            TypeInfo {
                shape: Shape::sum(STATE, states.iter().map(unit)),
                names: names("SpState", &states),
            },
            TypeInfo {
                shape: Shape::product([TypeId(1), TypeId(1)]),
                names: Names::Single(ConstructorName::Anonymous),
            },
        ],
        enums: vec![
            info(DEVICE, "model::Device", &devices),
            info(STATE, "model::SpState", &states),
        ],
        sites: Vec::new(),
        unanalyzed: Vec::new(),
        conversions: Vec::new(),
    };
    for (index, function) in ["read", "write", "base", "size", "reset", "name"]
        .into_iter()
        .enumerate()
    {
        let arms = (0..4).map(|v| (Pat::variant(v, []), "Device::…")).collect();
        project
            .sites
            .push(site(10 * index as u32, function, 0, arms));
    }
    let mut arms: Vec<_> = legal
        .iter()
        .map(|(from, to)| {
            let pair = Pat::product([Pat::variant(*from, []), Pat::variant(*to, [])]);
            (pair, "(…, …)")
        })
        .collect();
    arms.push((Pat::wild(), "_"));
    project.sites.push(site(100, "may_go", 2, arms));
    project
}

const SEVEN: [(usize, usize); 7] = [(0, 1), (1, 2), (2, 1), (2, 3), (3, 2), (2, 4), (4, 2)];

fn run(project: &Project) -> Audit {
    audit(project, &Options::default(), |_| {})
}

#[test]
fn a_new_device_breaks_six_sites_and_a_new_state_none() {
    let project = model(&SEVEN);
    let answers = run(&project);
    let options = Options::default();
    let device = grow(&project, &answers, DEVICE, &options);
    assert_eq!(device.breaks.len(), 6);
    assert!(device.absorbs.is_empty() && device.complete);
    let state = grow(&project, &answers, STATE, &options);
    assert!(state.breaks.is_empty());
    assert_eq!(state.absorbs, [(6, vec![7])]);
}

#[test]
fn the_wildcard_of_the_table_swallows_what_is_not_legal() {
    let mut eight = SEVEN.to_vec();
    eight.push((1, 4));
    for (legal, today, then) in [(&SEVEN[..], 18, 29), (&eight, 17, 28)] {
        let mut project = model(legal);
        let count = |project: &Project| {
            let answers = run(project);
            let table = answers.sites.last().unwrap().clone();
            table.absorbed[0].count
        };
        assert_eq!(count(&project), today);
        if let Shape::Enum(shape) = &mut project.types[1].shape {
            shape.variants.push(Variant::new([]));
        }
        assert_eq!(count(&project), then);
    }
}

#[test]
fn check_fails_on_new_grown_and_stale_wildcards() {
    let mut project = model(&SEVEN);
    let now = baseline::current(&project, &run(&project));
    assert_eq!(now.len(), 1);
    let complaints = baseline::compare(&Baseline::default(), &now);
    assert!(matches!(complaints.as_slice(), [Complaint::Unjudged(..)]));

    let mut judged = baseline::update(&Baseline::default(), &now);
    let complaints = baseline::compare(&judged, &now);
    assert!(matches!(complaints.as_slice(), [Complaint::NoReason(_)]));
    judged.absorb[0].reason = "what is not listed is illegal".into();
    assert!(baseline::compare(&judged, &now).is_empty());

    // One more state: the wildcard swallows more than was judged.
    if let Shape::Enum(shape) = &mut project.types[1].shape {
        shape.variants.push(Variant::new([]));
    }
    project.enums[1].variants.push("Stopped".into());
    let then = baseline::current(&project, &run(&project));
    let complaints = baseline::compare(&judged, &then);
    let [Complaint::Grown(_, more)] = complaints.as_slice() else {
        panic!("{complaints:?}");
    };
    assert_eq!(more, &["Stopped"]);

    // The wildcard is gone.
    let complaints = baseline::compare(&judged, &[]);
    assert!(matches!(complaints.as_slice(), [Complaint::Stale(_)]));
}

#[test]
fn a_comment_answers_for_its_arm() {
    let mut project = model(&SEVEN);
    project.sites[6].arms[7].absorb = Some("illegal".into());
    assert!(baseline::current(&project, &run(&project)).is_empty());
}

#[test]
fn the_file_survives_a_round_trip_and_refuses_what_it_does_not_know() {
    let project = model(&SEVEN);
    let now = baseline::current(&project, &run(&project));
    let file = baseline::update(&Baseline::default(), &now);
    let text = baseline::write(&file).unwrap();
    assert_eq!(baseline::parse(&text).unwrap(), file);
    assert!(baseline::parse("[[absorb]]\nfile = 3").is_err());
    assert!(baseline::parse("surprise = 1").is_err());
}
