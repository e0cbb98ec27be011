//! The generated program as a file for the compiler.

use std::path::Path;

use crate::generate::{Case, Focus, Generator};
use crate::oracle::{self, Findings};
use crate::program::Program;
use crate::rng::Rng;
use crate::{Judge, Settings};

/// Writes declarations and matches. The same random numbers give the same matches, whatever
/// variants were added meanwhile at the end of the declarations.
pub(crate) fn write_program(
    settings: &Settings,
    program: &Program,
    rng: &Rng,
    size: usize,
    focus: Focus,
) -> (String, Vec<Case>) {
    let mut generator = Generator::new(program, rng.clone(), focus);
    generator.never_patterns = settings.judge == Judge::Nightly;
    if generator.never_patterns {
        generator.source.push_str(
            "#![feature(never_type, never_patterns, exhaustive_patterns)]\n#![allow(incomplete_features)]\ntype Never = !;\n",
        );
    } else {
        generator.source.push_str(
            "pub trait Out { type T; } impl<T> Out for fn() -> T { type T = T; }\ntype Never = <fn() -> ! as Out>::T;\n",
        );
    }
    generator.source.push_str(PRELUDE);
    program.declare(&mut generator.source);
    let cases = (0..size).map(|number| generator.case(number)).collect();
    (generator.source, cases)
}

pub(crate) const PRELUDE: &str = "use foreign::*;
fn g() -> bool { true }
union Wrap<T: Copy> { f: T }
";

pub(crate) fn compile(settings: &Settings, source: &str) -> Result<Findings, String> {
    let file = settings.directory.join("batch.rs");
    write(&file, source)?;
    let library = format!(
        "foreign={}",
        settings.directory.join("libforeign.rmeta").display()
    );
    let out = settings.directory.join("batch.rmeta").display().to_string();
    oracle::compile(
        settings.toolchain(),
        &file,
        &["--extern", &library, "-o", &out],
    )
}

pub(crate) fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()))
}
