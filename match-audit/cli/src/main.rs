//! `cargo match-audit`: which matches would protect you from a new enum variant, and which would
//! stay silent.

#![forbid(unsafe_code)]

mod arguments;
mod run;

use std::process::ExitCode;

use clap::Parser;

use arguments::Arguments;

fn main() -> ExitCode {
    // Cargo passes the name of the subcommand as the first argument.
    let mut words: Vec<_> = std::env::args_os().collect();
    if words.get(1).is_some_and(|word| word == "match-audit") {
        words.remove(1);
    }
    match run::run(&Arguments::parse_from(words)) {
        Ok(code) => code,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::from(2)
        }
    }
}
