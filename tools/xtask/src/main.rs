//! Does everything that a developer of Bulkhead does, as one command: `cargo xtask`.

mod bench;
mod check;
mod cli;
mod console;
mod device_board;
mod elf;
mod emulator;
mod fuzz;
mod guests;
mod images;
mod match_audit;
mod mutants;
mod paths;
mod process;
mod run;
mod setup;
mod test;

use clap::Parser;
use cli::{Cli, Command};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match dispatch(cli.command) {
        Ok(code) => code,
        Err(error) => {
            if error.downcast_ref::<AlreadyReported>().is_none() {
                eprintln!("error: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}

/// A failure that has been told in full: nothing is printed after it.
#[derive(Debug)]
struct AlreadyReported;

impl std::fmt::Display for AlreadyReported {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("failed")
    }
}

impl std::error::Error for AlreadyReported {}

fn dispatch(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Setup(options) => setup::command(&options)?,
        Command::BuildImage(options) => images::command(&options)?,
        Command::Guests(options) => guests::command(&options)?,
        Command::Test(options) => test::command(&options)?,
        Command::AbuseReport(options) => test::abuse_report(&options)?,
        Command::Bench(options) => bench::command(&options)?,
        Command::DiffDevices(options) => device_board::command(&options)?,
        Command::Check(options) => check::command(&options)?,
        Command::Fuzz(options) => fuzz::command(&options)?,
        Command::Mutants(options) => mutants::command(&options)?,
        Command::Run(options) => run::command(&options)?,
        Command::Own(options) => {
            let never = emulator::become_owned(options.parent, &options.command)?;
            match never {}
        }
        Command::MatchAudit(options) => return match_audit::command(&options),
        Command::Bare(options) => return images::bare(&options),
    }
    Ok(ExitCode::SUCCESS)
}
