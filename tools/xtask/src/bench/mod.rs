//! `cargo xtask bench`: what exits cost, in instructions, beside the bare machine and other
//! hypervisors.
//!
//! The emulator's clock follows the instructions, so figures repeat exactly. They are path lengths,
//! not cycles: barriers, TLB maintenance and system register accesses are counted beside them.

mod against;
mod guest;
mod lab;
mod linux;
mod peers;
mod plot;
mod profile;
mod report;
mod sizes;
mod trace;
mod xen;

use crate::cli::{BenchOptions, PeerName};
use crate::images::{self, Image};
use crate::{paths, setup};
use anyhow::{Context, Result};
use guest::{Guest, Setup};
use lab::Lab;
use linux::{Console, Linux};
use report::{Figures, Report};
use sizes::Sizes;
use std::collections::BTreeMap;
use std::path::Path;

/// The package of the guest, and its binary.
const GUEST: &str = "bench-guest";

/// How often each operation of a row is repeated.
const ITERATIONS: u64 = 1000;
/// As often as kvm-unit-tests does it.
const PAIR_ITERATIONS: u64 = 1024;
/// How often in a trace, which writes a line for each instruction.
const TRACED_ITERATIONS: u64 = 8;
/// How long the vCPU computes that should never exit, in instructions.
const COMPUTED: u64 = 1_000_000_000;

/// The mark that [`GUEST`] sets before it computes; the next one comes after it.
const COMPUTE_MARK: u16 = 20;

/// Runs `cargo xtask bench`.
pub(crate) fn command(options: &BenchOptions) -> Result<()> {
    let target = setup::ensure_rust_target()?;
    let image = images::build_hypervisor(&target)?;
    if options.size {
        print!("{}", Sizes::read(&image)?.table());
        return Ok(());
    }
    let lab = Lab::new()?;
    let guest = Guest::new(&lab, &images::build(&target, GUEST, GUEST)?);
    let peers = peers::read(&paths::workspace_root().join("benches/peers.toml"))?;
    if let Some(revision) = &options.against {
        let other = against::build(&target, revision)?;
        let here = quick(&guest, &image)?;
        let there = quick(&guest, &other)?;
        print!("{}", report::comparison(&peers, revision, &there, &here));
        return Ok(());
    }
    if let Some(way) = &options.profile {
        return profile::print(&guest, &image, way);
    }
    let linux = Linux::new(&lab, &images::build(&target, linux::RULER, linux::RULER)?)?;
    let mut report = measure(&guest, &linux, &image)?;
    report.peer = match options.peer {
        Some(PeerName::Xen) => Some(xen::measure(&lab, &guest)?),
        None => None,
    };
    print!("{}", report.table(&peers));
    if let Some(path) = &options.json {
        write(path, &serde_json::to_string_pretty(&report)?)?;
    }
    if let Some(path) = &options.plot {
        write(path, &plot::svg(&peers, &report))?;
    }
    Ok(())
}

/// Measures everything.
fn measure(guest: &Guest<'_>, linux: &Linux<'_>, image: &Image) -> Result<Report> {
    let mut figures = quick(guest, image)?;
    let mut native = native(guest)?;
    for console in [Console::Full, Console::Quiet] {
        eprintln!(
            "bench: Debian's kernel, its console {console:?}, in a VM and on the bare machine"
        );
        let boot = linux.boot(image, console)?;
        figures.insert(console.row().to_owned(), boot.under);
        native.insert(console.row().to_owned(), boot.native);
    }
    eprintln!("bench: a vCPU that computes for 10^9 instructions");
    let exits = trace::count_exits(guest, image, COMPUTED, COMPUTE_MARK)?;
    figures.insert("compute-exits".to_owned(), exits as f64);
    eprintln!("bench: every instruction in EL2");
    let code = trace::Code::read(&image.elf)?;
    let traced =
        |setup: Setup| trace::run(&code, |extra, take| guest.log(image, &setup, extra, take));
    let single = traced(Setup::single("single", TRACED_ITERATIONS))?;
    let sweep = traced(Setup::single("sweep", 1))?;
    let switch = traced(Setup::switch(TRACED_ITERATIONS))?;
    figures.insert("entry".to_owned(), single.entry as f64);
    let longest = [&single, &sweep, &switch]
        .into_iter()
        .filter_map(|trace| trace.longest.clone())
        .max_by_key(|stay| stay.instructions)
        .context("the traces hold no exit")?;
    figures.insert("longest".to_owned(), longest.instructions as f64);
    Ok(Report {
        peer: None,
        figures,
        native,
        entry_total: single.entry_total,
        longest,
        paths: single
            .paths(&code)
            .into_iter()
            .chain(switch.paths(&code))
            .collect(),
        exits: single.reasons.clone(),
        linux_exits: linux.exits(image, Console::Full)?,
        sizes: Sizes::read(image)?,
    })
}

/// Measures by the guest's own clock alone.
fn quick(guest: &Guest<'_>, image: &Image) -> Result<Figures> {
    let mut figures = Figures::new();
    for setup in Setup::rows().into_iter().chain([Setup::single("sweep", 1)]) {
        eprintln!("bench: {} under the hypervisor", setup.what);
        let output = guest.run(Some(image), &setup)?;
        figures.extend(guest::figures(&output)?);
    }
    Ok(figures)
}

fn native(guest: &Guest<'_>) -> Result<Figures> {
    let mut figures = BTreeMap::new();
    for setup in [
        Setup::single("single", ITERATIONS),
        Setup::pair(PAIR_ITERATIONS),
    ] {
        eprintln!("bench: {} on the bare machine", setup.what);
        figures.extend(guest::figures(&guest.run(None, &setup)?)?);
    }
    Ok(figures)
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
