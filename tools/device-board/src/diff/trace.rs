//! What a QEMU answered once, for machines that have none to ask.
//!
//! A line is a command of the qtest protocol; what was read stands behind an arrow.

use super::choice::view;
use super::{Difference, Emulator, Operation, Outcome, Programs, Random, Response, Run, Subject};
use anyhow::{Context, Result};
use std::fmt::Write as _;

const ARROW: &str = " -> ";

/// Asks QEMU and writes down what it answers.
///
/// # Errors
/// If QEMU does not start, ends, or refuses a command.
pub fn record(programs: &Programs, subject: &Subject, seed: u64, count: usize) -> Result<String> {
    let mut qemu = programs.start_qemu(subject)?;
    let mut random = Random::new(seed);
    let mut shadow = (subject.shadow)();
    let mut text = String::new();
    let operations = std::iter::repeat_with(|| (subject.generate)(&mut random))
        .filter_map(|operation| shadow.admit(operation))
        .take(count);
    for operation in operations {
        let command = operation.command(subject.base, "");
        let command = command.context("a trace holds accesses only")?;
        text.push_str(&command);
        if let Some(value) = qemu.command(&command)?.value {
            write!(text, "{ARROW}{value:#x}")?;
        }
        text.push('\n');
    }
    Ok(text)
}

/// Does on the board what a trace says, up to the first difference.
pub(super) fn compare(run: &Run, trace: &str) -> Result<Outcome> {
    let subject = run.subject;
    let mut board = run.programs.start_board(subject, run.plant)?;
    let mut outcome = Outcome::default();
    let mut operations = Vec::new();
    for line in trace.lines() {
        let (command, value) = match line.split_once(ARROW) {
            Some((command, value)) => (command, Some(parse(value)?)),
            None => (line, None),
        };
        let operation = Operation::from_command(command, subject.base);
        let operation = operation.with_context(|| format!("the trace says {command}"))?;
        let qemu = Response {
            value,
            ..Response::default()
        };
        let answer = ask(&mut board, command)?;
        operations.push(operation);
        outcome.compared += 1;
        let seen = |response: &Response| {
            let value = response.value;
            value.map(|value| view(subject.choices, &operation, value))
        };
        if seen(&answer) != seen(&qemu) {
            outcome.difference = Some(Difference {
                operations,
                board: answer,
                qemu,
            });
            break;
        }
        outcome.explained += usize::from(answer != qemu);
    }
    Ok(outcome)
}

fn ask(board: &mut Emulator, command: &str) -> Result<Response> {
    Ok(Response {
        value: board.command(command)?.value,
        ..Response::default()
    })
}

fn parse(value: &str) -> Result<u64> {
    let digits = value.strip_prefix("0x").context("not hexadecimal")?;
    Ok(u64::from_str_radix(digits, 16)?)
}
