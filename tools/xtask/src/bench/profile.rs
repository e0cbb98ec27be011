//! Which functions the instructions of one way through EL2 belong to.
//!
//! The image is one unit after link-time optimization, so hardly a function of the source is a
//! symbol. The line table tells which function each instruction came from, inlined or not.

use super::guest::{Lab, Setup};
use super::{TRACED_ITERATIONS, trace};
use crate::images::Image;
use addr2line::Loader;
use anyhow::{Context, Result, anyhow};
use std::collections::BTreeMap;

/// How many lines each list has.
const LINES: usize = 45;

/// Prints where the instructions of `way` are spent.
pub(super) fn print(lab: &Lab, image: &Image, way: &str) -> Result<()> {
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
    let trace = trace::run(lab, image, &code, &setup)?;
    let addresses = trace.way(way).context("the guest did not go that way")?;
    let loader = Loader::new(&image.elf)
        .map_err(|error| anyhow!("cannot read {}: {error}", image.elf.display()))?;
    let mut own = BTreeMap::new();
    let mut inclusive = BTreeMap::new();
    for address in addresses {
        let frames = frames(&loader, *address)?;
        let innermost = frames.first().cloned().unwrap_or_default();
        *own.entry(innermost).or_insert(0_u64) += 1;
        let mut names: Vec<_> = frames.into_iter().map(|(name, _)| name).collect();
        names.sort();
        names.dedup();
        for name in names {
            *inclusive.entry(name).or_insert(0_u64) += 1;
        }
    }
    println!("{way}: {} instructions", addresses.len());
    println!("\nby function, with what is inlined into it:");
    list(inclusive, |name| name.clone());
    println!("\nby line:");
    list(own, |(name, place)| format!("{place}  {name}"));
    Ok(())
}

/// Returns the functions of an instruction, the innermost first, each with its file and line.
fn frames(loader: &Loader, address: u64) -> Result<Vec<(String, String)>> {
    let fail = |error: &dyn std::fmt::Display| anyhow!("the image's line table: {error}");
    let mut found = Vec::new();
    let mut frames = loader.find_frames(address).map_err(|error| fail(&error))?;
    while let Some(frame) = frames.next().map_err(|error| fail(&error))? {
        let name = frame
            .function
            .as_ref()
            .and_then(|function| function.demangle().ok().map(|name| name.into_owned()))
            .unwrap_or_default();
        let place = frame.location.map_or_else(String::new, |location| {
            let file = location.file.unwrap_or_default();
            let tail: Vec<_> = file.rsplitn(4, '/').take(3).collect();
            let tail: Vec<_> = tail.into_iter().rev().collect();
            format!("{}:{}", tail.join("/"), location.line.unwrap_or(0))
        });
        found.push((name, place));
    }
    if found.is_empty() {
        let symbol = loader.find_symbol(address).unwrap_or("?").to_owned();
        found.push((symbol, String::new()));
    }
    Ok(found)
}

fn list<K>(counts: BTreeMap<K, u64>, name: impl Fn(&K) -> String) {
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    for (key, count) in counts.iter().take(LINES) {
        println!("{count:8}  {}", name(key));
    }
}
