//! Which functions the instructions of one way through EL2 belong to.
//!
//! The image is one unit after link-time optimization, so hardly a function of the source is a
//! symbol. The line table tells which function each instruction came from, inlined or not.

use super::guest::{Guest, Setup};
use super::{TRACED_ITERATIONS, trace};
use crate::images::Image;
use crate::paths;
use addr2line::Loader;
use anyhow::{Context, Result, anyhow};
use std::collections::{BTreeMap, BTreeSet};

/// How many lines a sorted list has.
const LINES: usize = 45;

/// A function at an instruction: one that stands in the source, or that was inlined into it.
#[derive(Clone, Debug, Default)]
struct Function {
    name: String,
    /// File and line.
    place: String,
    /// Whether it is this workspace's, and not the standard library's.
    own: bool,
}

/// Prints where the instructions of `way` are spent.
pub(super) fn print(guest: &Guest<'_>, image: &Image, way: &str) -> Result<()> {
    let ways: Vec<_> = trace::ways().collect();
    if !ways.contains(&way) {
        println!("{}", ways.join("\n"));
        return Ok(());
    }
    let code = trace::Code::read(&image.elf)?;
    let setup = if way == "vCPU switch" {
        Setup::switch(TRACED_ITERATIONS)
    } else {
        Setup::single("single", TRACED_ITERATIONS)
    };
    let trace = trace::run(&code, |extra, take| guest.log(image, &setup, extra, take))?;
    let addresses = trace.way(way).context("the guest did not go that way")?;
    let loader = Loader::new(&image.elf)
        .map_err(|error| anyhow!("cannot read {}: {error}", image.elf.display()))?;
    let functions: Vec<_> = addresses
        .iter()
        .map(|address| functions(&loader, *address))
        .collect::<Result<_>>()?;

    println!("{way}: {} instructions\n\nin order:", addresses.len());
    for (name, count) in in_order(&functions) {
        println!("{count:8}  {name}");
    }
    println!("\nby function, with what is inlined into it:");
    let names = functions.iter().flat_map(|functions| {
        let names: BTreeSet<_> = functions.iter().map(|function| &function.name).collect();
        names.into_iter().cloned()
    });
    print_sorted(names);
    println!("\nby line:");
    let lines = functions.iter().filter_map(|functions| {
        let innermost = functions.first()?;
        Some(format!("{}  {}", innermost.place, innermost.name))
    });
    print_sorted(lines);
    Ok(())
}

/// Counts the instructions of each function of ours between two others.
fn in_order(functions: &[Vec<Function>]) -> Vec<(String, u64)> {
    let mut runs: Vec<(String, u64)> = Vec::new();
    for functions in functions {
        let own = functions.iter().find(|function| function.own);
        let name = own.or(functions.last()).map_or("", |own| &own.name);
        match runs.last_mut() {
            Some((last, count)) if last == name => *count += 1,
            _ => runs.push((name.to_owned(), 1)),
        }
    }
    runs
}

/// Returns the functions of an instruction, the innermost first.
fn functions(loader: &Loader, address: u64) -> Result<Vec<Function>> {
    let fail = |error: &dyn std::fmt::Display| anyhow!("the image's line table: {error}");
    let root = paths::workspace_root();
    let mut found = Vec::new();
    let mut frames = loader.find_frames(address).map_err(|error| fail(&error))?;
    while let Some(frame) = frames.next().map_err(|error| fail(&error))? {
        let name = frame
            .function
            .as_ref()
            .and_then(|name| name.demangle().ok());
        let location = frame.location.as_ref();
        let file = location.and_then(|location| location.file).unwrap_or("");
        let line = location.and_then(|location| location.line).unwrap_or(0);
        let file = std::path::Path::new(file);
        found.push(Function {
            name: name.map(|name| name.into_owned()).unwrap_or_default(),
            place: format!(
                "{}:{line}",
                file.strip_prefix(&root).unwrap_or(file).display()
            ),
            own: file.is_relative() || file.starts_with(&root),
        });
    }
    if found.is_empty() {
        // Assembly has no line table.
        found.push(Function {
            name: loader.find_symbol(address).unwrap_or("?").to_owned(),
            ..Function::default()
        });
    }
    Ok(found)
}

fn print_sorted(keys: impl Iterator<Item = String>) {
    let mut counts = BTreeMap::new();
    for key in keys {
        *counts.entry(key).or_insert(0_u64) += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    for (key, count) in counts.iter().take(LINES) {
        println!("{count:8}  {key}");
    }
}
