//! The hostile guest beside a neighbor, and what each of its cases may not do: stop the hypervisor,
//! change the neighbor's memory, stop its heartbeat, or leave something behind.

#[path = "hostile/report.rs"]
mod report;

use std::time::{Duration, Instant};
use system_tests::{Console, Setup, Vm, is_native};

/// How long the whole attack may take.
const LIMIT: Duration = Duration::from_secs(600);

/// How long the guests may take to come up.
const BOOT: Duration = Duration::from_secs(60);

/// How many cases end their VM.
const ENDS: usize = 5;

/// The most instructions that an exit may take at EL2. What is measured includes the guest's own: the
/// instruction, and the handler of the exception that it may have got.
const BOUND: u64 = 20_000;

/// The neighbor's name.
const NEIGHBOR: &str = "neighbor";

/// The hash of the neighbor's memory, which it fills itself.
const HASH: &str = "0xcf299a8ef16a2325";

/// How long a case may take.
const CASE: Duration = Duration::from_secs(60);

/// How long the neighbor may need for its next beat.
const BEAT: Duration = Duration::from_secs(20);

/// A case, as the guest describes it.
#[derive(Clone, Debug)]
struct Case {
    name: String,
    expected: String,
    cpus: u16,
    what: String,
}

/// What came of a case.
#[derive(Clone, Debug)]
struct Outcome {
    case: Case,
    /// What the guest counted, or how the VM ended.
    result: String,
    /// What the guest noted.
    notes: Vec<String>,
}

impl Case {
    fn ends_its_vm(&self) -> bool {
        matches!(self.expected.as_str(), "off" | "stopped")
    }
}

impl Outcome {
    /// Returns the longest attempt, in ticks; 0 if the guest did not tell.
    fn longest(&self) -> u64 {
        let after = self
            .result
            .split_once("longest ")
            .map_or("0", |(_, after)| after);
        let number = after.split(' ').next().unwrap_or("0");
        number.parse().expect("a number of ticks")
    }
}

/// A machine under attack.
struct Attack {
    console: Console,
    /// The VMs that wait for commands, the one that gets them first.
    vms: Vec<String>,
    has_neighbor: bool,
    /// How much of the output has been looked at.
    looked_at: usize,
}

impl Attack {
    /// Boots hostile VMs with so many vCPUs each, and a neighbor.
    fn start(test: &str, cpus: u16, vcpus: u16, vms: usize) -> Self {
        let names: Vec<_> = (1..=vms).map(|number| format!("bad{number}")).collect();
        let mut described: Vec<_> = names
            .iter()
            .map(|name| Vm::hostile_guest(name).vcpus(vcpus))
            .collect();
        described.push(Vm::heartbeat(NEIGHBOR));
        let console = Setup::new(cpus, described).limit(LIMIT).start(test);
        let mut attack = Self {
            console,
            vms: names,
            has_neighbor: true,
            looked_at: 0,
        };
        for vm in attack.vms.clone() {
            attack.wait("the guest", BOOT, |text| has_line(text, &vm, "ready"));
        }
        attack.check_neighbor();
        attack
    }

    /// Boots one hostile VM with one vCPU on one CPU, with nobody beside it, and a clock that counts
    /// instructions.
    fn start_counting(test: &str) -> Self {
        let vm = "bad1".to_owned();
        let console = Setup::new(1, vec![Vm::hostile_guest(&vm).spis(988)])
            .limit(LIMIT)
            .counting_instructions()
            .start(test);
        let mut attack = Self {
            console,
            vms: vec![vm.clone()],
            has_neighbor: false,
            looked_at: 0,
        };
        attack.wait("the guest", BOOT, |text| has_line(text, &vm, "ready"));
        attack
    }

    /// Waits until `find` finds what it looks for in what has come since the last command.
    fn wait<T>(&mut self, what: &str, limit: Duration, find: impl Fn(&str) -> Option<T>) -> T {
        let end = Instant::now() + limit;
        loop {
            let output = self.console.output();
            if let Some(found) = find(&output[self.looked_at..]) {
                return found;
            }
            if output.contains("hostile-guest: FAILED") {
                self.console.watch(Duration::from_millis(200));
                self.console
                    .fail(&format!("{what}: the guest was not answered as it must be"));
            }
            if Instant::now() > end {
                self.console.fail(&format!("waited for {what}"));
            }
            self.console.watch(Duration::from_millis(10));
        }
    }

    /// Gives the first VM a command.
    fn command(&mut self, line: &str) {
        self.looked_at = self.console.output().len();
        self.console.type_line(line);
    }

    fn list(&mut self) -> Vec<Case> {
        self.command("list");
        let vm = self.vms[0].clone();
        let text = self.wait("the list", CASE, |text| {
            has_line(text, &vm, "listed").map(|()| text.to_owned())
        });
        let lines = lines_of(&text, &vm);
        let cases: Vec<_> = lines
            .iter()
            .filter_map(|line| line.strip_prefix("case "))
            .map(parse_case)
            .collect();
        assert!(cases.len() > 40, "the guest lists {} cases", cases.len());
        cases
    }

    /// Plays a case and checks how it ends and that nobody else is harmed.
    fn play(&mut self, case: &Case) -> Outcome {
        let name = &case.name;
        let vm = self.vms[0].clone();
        self.command(&format!("run {name}"));
        let result = match case.expected.as_str() {
            "answered" => {
                let end = format!("end {name}: ");
                self.wait(name, CASE, |text| {
                    let lines = lines_of(text, &vm);
                    lines
                        .iter()
                        .find_map(|line| line.strip_prefix(&end).map(str::to_owned))
                })
            }
            "reset" => {
                let words = format!("bulkhead: VM {vm} resets");
                self.wait(&words, CASE, |text| {
                    let (_, after) = text.split_once(&words)?;
                    has_line(after, &vm, "ready")
                });
                "the VM started again".to_owned()
            }
            ending => {
                let words = match ending {
                    "off" => "is off",
                    "stopped" => "has crashed and stays stopped",
                    other => panic!("{name} is expected to end with {other:?}"),
                };
                let line = format!("bulkhead: VM {vm} {words}");
                self.wait(&line, CASE, |text| text.contains(&line).then_some(()));
                self.vms.remove(0);
                format!("the VM {words}")
            }
        };
        let text = self.console.output()[self.looked_at..].to_owned();
        self.check_neighbor();
        let notes = lines_of(&text, &vm);
        let notes = notes.iter().filter_map(|line| line.strip_prefix("  "));
        Outcome {
            case: case.clone(),
            result,
            notes: notes.map(str::to_owned).collect(),
        }
    }

    /// Waits for two new beats of the neighbor, the second of which began after the case, and checks
    /// that its memory is what it always was.
    fn check_neighbor(&mut self) {
        if !self.has_neighbor {
            return;
        }
        self.looked_at = self.console.output().len();
        let beats = self.wait("the neighbor's heart", BEAT, |text| {
            let lines = lines_of(text, NEIGHBOR);
            let beats = lines
                .iter()
                .filter_map(|line| line.strip_prefix("heartbeat "));
            let beats: Vec<_> = beats.map(str::to_owned).collect();
            (beats.len() >= 2).then_some(beats)
        });
        for beat in beats {
            let hash = beat.split_once(" hash ").map(|(_, hash)| hash);
            if hash != Some(HASH) {
                self.console
                    .fail(&format!("the neighbor's memory has changed: {beat}"));
            }
        }
    }
}

impl Attack {
    /// Checks that each end of a VM found as much of the hypervisor's memory in use as the first.
    fn check_own_memory(&self) {
        let output = self.console.output();
        let lines = output.lines();
        let reports: Vec<_> = lines
            .filter(|line| line.contains("bulkhead: in use: "))
            .collect();
        let Some(first) = reports.first() else {
            self.console.fail("no VM has ended");
        };
        if let Some(other) = reports.iter().find(|report| *report != first) {
            self.console
                .fail(&format!("something leaks: {first:?}, later {other:?}"));
        }
    }
}

/// The lines that a guest has printed, whole: the console cuts one in two if it takes too long.
fn lines_of(text: &str, vm: &str) -> Vec<String> {
    let prefix = format!("[{vm}] ");
    // A machine with one VM marks nothing.
    let is_marked = text.contains("] hostile-guest: ");
    let parts = text.lines().map(|line| line.trim_end_matches('\r'));
    let joined: String = if is_marked {
        parts
            .filter_map(|line| line.strip_prefix(&prefix))
            .collect()
    } else {
        parts
            .filter(|line| !line.starts_with("bulkhead: "))
            .collect()
    };
    joined
        .split("hostile-guest: ")
        .filter_map(|line| line.strip_suffix(';'))
        .map(str::to_owned)
        .collect()
}

fn has_line(text: &str, vm: &str, line: &str) -> Option<()> {
    lines_of(text, vm).iter().any(|it| it == line).then_some(())
}

fn parse_case(text: &str) -> Case {
    let mut words = text.trim().splitn(4, ' ');
    let mut word = || words.next().unwrap_or_default().to_owned();
    Case {
        name: word(),
        expected: word(),
        cpus: word().parse().expect("a number of vCPUs"),
        what: word(),
    }
}

/// Plays all cases on two CPUs, where the neighbor competes with them.
fn beside_a_neighbor(test: &str) -> Vec<Outcome> {
    let mut attack = Attack::start(test, 2, 3, ENDS);
    let cases = attack.list();
    let ends = cases.iter().filter(|case| case.ends_its_vm());
    assert_eq!(ends.count(), ENDS, "each case that ends its VM needs one");
    let outcomes = cases.iter().map(|case| attack.play(case)).collect();
    attack.check_neighbor();
    attack.check_own_memory();
    outcomes
}

/// Plays the cases that need one vCPU on a machine whose clock counts instructions, and checks how
/// long the guest has to wait for each answer.
fn counted(test: &str) -> Vec<Outcome> {
    let mut attack = Attack::start_counting(test);
    let cases = attack.list();
    let alone = |case: &&Case| case.cpus == 1 && !case.ends_its_vm();
    let outcomes: Vec<_> = cases
        .iter()
        .filter(alone)
        .map(|case| attack.play(case))
        .collect();
    attack.check_own_memory();
    outcomes
}

/// Finds the cases of which an attempt took longer than it may.
fn too_long(outcomes: &[Outcome]) -> Vec<String> {
    let longest = outcomes.iter().filter(|outcome| outcome.longest() > BOUND);
    longest
        .map(|outcome| format!("{}: {}", outcome.case.name, outcome.result))
        .collect()
}

/// Faults of EL2 itself: the name on the image's command line, and what the post-mortem must say.
const EL2_FAULTS: [(&str, &str, &str); 10] = [
    (
        "write-code",
        "a store to EL2's code",
        "data abort from the same level",
    ),
    (
        "write-constants",
        "a store to EL2's constants",
        "data abort from the same level",
    ),
    (
        "execute-data",
        "a branch to EL2's variables",
        "instruction abort from the same level",
    ),
    (
        "execute-stack",
        "a branch to EL2's stack",
        "instruction abort from the same level",
    ),
    (
        "overrun-stack",
        "more calls than fit the stack",
        "stack overflow",
    ),
    (
        "load-null",
        "a load from the first page",
        "data abort from the same level",
    ),
    (
        "load-physical",
        "a load of guest memory without a window",
        "data abort from the same level",
    ),
    (
        "call-no-landing-pad",
        "an indirect call into the middle of a function (BTI)",
        "branch target",
    ),
    (
        "forge-return",
        "a return address overwritten on the stack (PAC)",
        "pointer authentication failure",
    ),
    ("panic", "a panic", "PANIC on CPU 1"),
];

/// Has an image made for it commit a fault at EL2; returns the machine's output.
fn commit(fault: &str) -> String {
    let output = system_tests::run_image("el2-faults", &format!("fault={fault}"), BOOT);
    assert!(
        output.contains("bulkhead: machine off: the hypervisor failed"),
        "{fault}: {output}"
    );
    output
}

#[test]
fn el2_moves_memory_right() {
    if is_native() {
        return;
    }
    let output = commit("none-memory-functions");
    let line = output
        .lines()
        .find(|line| line.contains("memory functions: "));
    let line = line.unwrap_or_else(|| panic!("no result: {output}"));
    assert!(line.contains(" calls, 0 wrong"), "{line}");
}

#[test]
fn the_hostile_guest_harms_nobody() {
    if !is_native() {
        beside_a_neighbor("the_hostile_guest_harms_nobody");
    }
}

#[test]
fn i2_no_answer_takes_longer_than_the_bound() {
    if !is_native() {
        let outcomes = counted("i2_no_answer_takes_longer_than_the_bound");
        let too_long = too_long(&outcomes);
        assert!(too_long.is_empty(), "{too_long:#?}");
    }
}

#[test]
fn j3_a_fault_at_el2_stops_the_machine_with_a_post_mortem() {
    for (fault, _, words) in EL2_FAULTS {
        let output = commit(fault);
        assert!(output.contains(words), "{fault}: no {words:?} in {output}");
        // A panic says so by itself.
        assert!(
            words.starts_with("PANIC") || output.contains("bulkhead: FATAL"),
            "{output}"
        );
    }
}

/// Writes the report to the file that `BULKHEAD_ABUSE_REPORT` names; does nothing without it.
#[test]
#[ignore = "writes docs/security/abuse-report.md"]
fn write_the_abuse_report() {
    let Some(path) = std::env::var_os("BULKHEAD_ABUSE_REPORT") else {
        return;
    };
    let beside = beside_a_neighbor("abuse_report_beside");
    let counted = counted("abuse_report_counted");
    for (fault, ..) in EL2_FAULTS {
        let _ = commit(fault);
    }
    std::fs::write(&path, report::text(&beside, &counted))
        .unwrap_or_else(|error| panic!("cannot write {path:?}: {error}"));
}
