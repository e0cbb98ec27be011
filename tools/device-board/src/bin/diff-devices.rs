//! Compares the board's devices with a stock QEMU's: `cargo xtask diff-devices`.

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use device_board::diff::{self, Programs, Run, SUBJECTS, Subject, Whose};
use device_board::plant::PLANTS;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

/// The QEMU whose differences have reasons.
const REVIEWED: &str = "10.0";

/// Drives the same random accesses into the board and into a stock QEMU.
#[derive(Debug, Parser)]
struct Options {
    /// The stock QEMU.
    #[arg(long, value_name = "FILE", default_value = "qemu-system-aarch64")]
    qemu: PathBuf,
    /// A stock QEMU for PCs, for the event timers; without one, what one answered once counts.
    #[arg(long, value_name = "FILE")]
    qemu_pc: Option<PathBuf>,
    /// The board; the one beside this program by default.
    #[arg(long, value_name = "FILE")]
    board: Option<PathBuf>,
    /// Only this device; may be given again.
    #[arg(long = "device", value_name = "NAME")]
    devices: Vec<String>,
    /// How many operations each device gets.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    operations: usize,
    /// Where the random numbers start.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// A bug to plant into the board.
    #[arg(long, value_name = "NAME")]
    plant: Option<String>,
    /// Plant every bug, one after the other, and fail if one is not found.
    #[arg(long, conflicts_with_all = ["plant", "devices"])]
    prove: bool,
    /// Write what QEMU answers to the operations of the first device named, as a trace.
    #[arg(long, requires = "devices")]
    record: bool,
    /// Say which differences are accepted, and why.
    #[arg(long)]
    reasons: bool,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    if options.reasons {
        print_reasons();
        return Ok(());
    }
    let programs = Programs {
        qemu: options.qemu.clone(),
        qemu_pc: options.qemu_pc.clone(),
        board: match &options.board {
            Some(board) => board.clone(),
            None => std::env::current_exe()?.with_file_name("bulkhead-system-arm"),
        },
    };
    if options.prove {
        return prove(options, &programs);
    }
    if options.record {
        let subject = chosen(options)?[0];
        let trace = diff::record(&programs, subject, options.seed, options.operations)?;
        print!("{trace}");
        return Ok(());
    }
    let mut different = Vec::new();
    for subject in chosen(options)? {
        let run = Run {
            programs: &programs,
            subject,
            plant: options.plant.as_deref(),
        };
        if !compare(options, &run)? {
            different.push(subject.name);
        }
    }
    ensure!(
        different.is_empty(),
        "unexplained differences: {} (the reasons were found with QEMU {REVIEWED})",
        different.join(", ")
    );
    Ok(())
}

fn chosen(options: &Options) -> Result<Vec<&'static Subject>> {
    if options.devices.is_empty() {
        return Ok(SUBJECTS.iter().collect());
    }
    let find = |name: &String| {
        let subject = SUBJECTS.iter().find(|subject| subject.name == name);
        subject.with_context(|| {
            let names: Vec<&str> = SUBJECTS.iter().map(|subject| subject.name).collect();
            format!("no device {name}; there are {}", names.join(", "))
        })
    };
    options.devices.iter().map(find).collect()
}

/// Compares one device; tells whether it found no difference.
fn compare(options: &Options, run: &Run) -> Result<bool> {
    let start = Instant::now();
    let outcome = diff::compare(run, options.seed, options.operations)?;
    println!(
        "{}: {} operations in {} s, {} differences with a reason, {} without",
        run.subject.name,
        outcome.compared,
        start.elapsed().as_secs(),
        outcome.explained,
        usize::from(outcome.difference.is_some()),
    );
    let Some(difference) = outcome.difference else {
        return Ok(true);
    };
    println!("  after {} operations", difference.operations.len());
    let difference = if run.programs.can_start(run.subject.machine) {
        diff::shrink(run, difference)?
    } else {
        difference
    };
    println!("{difference}");
    Ok(false)
}

/// Checks that every planted bug is found, wherever it can be.
fn prove(options: &Options, programs: &Programs) -> Result<()> {
    let mut missed = Vec::new();
    for subject in SUBJECTS {
        let plants = PLANTS
            .iter()
            .filter(|plant| plant.subjects.contains(&subject.name));
        ensure!(plants.clone().count() > 0, "no bug for {}", subject.name);
        for plant in plants {
            let run = Run {
                programs,
                subject,
                plant: Some(plant.name),
            };
            let outcome = diff::compare(&run, options.seed, options.operations)?;
            match outcome.difference {
                Some(found) => println!(
                    "{}: found after {} operations ({})",
                    plant.name,
                    found.operations.len(),
                    plant.what
                ),
                None => missed.push(plant.name),
            }
        }
    }
    if missed.is_empty() {
        return Ok(());
    }
    bail!("planted bugs that were not found: {}", missed.join(", "))
}

fn print_reasons() {
    for subject in SUBJECTS {
        println!("{}:", subject.name);
        for choice in subject.choices {
            let whose = match choice.whose {
                Whose::Qemu => "QEMU's fault",
                Whose::Choice => "choice",
            };
            println!("  {whose}: {}", choice.reason);
        }
    }
}
